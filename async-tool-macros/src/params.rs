//! Parameters: what is owned comes from the caller, what is borrowed comes
//! from the server.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{
    Attribute, FnArg, GenericArgument, Ident, Lifetime, Pat, PatIdent, PatType, PathArguments,
    Receiver, ReceiverKind, Signature, Type, TypeReference,
};

use crate::errors::Errors;
use crate::names::reserved;
use crate::owner::Owner;
use crate::serde_attrs::{self, SerdeAttrs};
use crate::signature::first_borrow;

/// One parameter of the function.
pub(crate) enum Param {
    Owned(Argument),
    /// The `T` of a `&T`.
    Borrowed(Type),
}

/// An owned parameter: a field of the input struct.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    /// Documentation and what serde and schemars read.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) serde: SerdeAttrs,
}

/// Reads the parameters, and takes the attributes off them that belong to the
/// input struct's fields, from every parameter that there is, because none
/// may be left on the function (invariant 1).
pub(crate) fn take(
    sig: &mut Signature,
    owner: Option<&Owner>,
    errors: &mut Errors,
) -> Option<Vec<Param>> {
    let before = errors.count();
    let mut params = Vec::new();
    for input in &mut sig.inputs {
        match input {
            FnArg::Receiver(receiver) => match owner {
                Some(owner) => params.extend(lent_self(receiver, owner, errors)),
                None => errors.push(
                    &*receiver,
                    format_args!(
                        "`{0}` is a method, and the `impl` block that it is in has no `#[async_tool]`\n\
                         help: put `#[async_tool]` on the `impl` block too; `.state(value)` then gives `self` to the server",
                        sig.ident
                    ),
                ),
            },
            FnArg::Typed(input) => {
                let attrs = input
                    .attrs
                    .extract_if(.., |attr| {
                        // A conditional attribute may turn out to be one that
                        // belongs to the field; it is refused in any case.
                        serde_attrs::belongs_to_field(attr) || attr.path().is_ident("cfg_attr")
                    })
                    .collect();
                params.extend(read(input, attrs, owner, errors));
            }
        }
    }
    check_names(&params, errors);
    (errors.count() == before).then_some(params)
}

/// The state that a method is called on.
fn lent_self(receiver: &Receiver, owner: &Owner, errors: &mut Errors) -> Option<Param> {
    const IS_LENT: &str = "`self` is lent by the server, to many tasks at once";

    match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, None) => {
            check_lifetime(lifetime.as_ref(), "&self", errors);
            let ty = syn::parse2(owner.at(receiver.self_token.span));
            errors.take(ty).map(Param::Borrowed)
        }
        ReceiverKind::Reference(_, _, Some(_)) => {
            errors.push(
                receiver,
                format_args!(
                    "{IS_LENT}, so it cannot be `&mut self`\n\
                     help: write `&self`, and keep what changes in a `Mutex` or an atomic inside the struct"
                ),
            );
            None
        }
        ReceiverKind::Typed(_, ty) => {
            let ty = owner.outside(ty);
            if let Type::Reference(reference) = ungrouped(&ty) {
                check_borrowed(reference, errors);
                return Some(Param::Borrowed(Type::clone(&reference.elem)));
            }
            errors.push(
                receiver,
                format_args!(
                    "{IS_LENT}, so it must be borrowed\n\
                     help: write `&self`; or `self: &Arc<Self>`, and give the server the `Arc`, `.state(arc)`"
                ),
            );
            None
        }
        _ => {
            errors.push(
                receiver,
                format_args!("{IS_LENT}, so it must be borrowed\nhelp: write `&self`"),
            );
            None
        }
    }
}

fn read(
    input: &PatType,
    attrs: Vec<Attribute>,
    owner: Option<&Owner>,
    errors: &mut Errors,
) -> Option<Param> {
    let before = errors.count();
    for attr in input.attrs.iter().chain(&attrs) {
        let name = attr.path().to_token_stream().to_string();
        if name == "cfg" || name == "cfg_attr" {
            errors.push(
                attr,
                format_args!(
                    "`#[{name}]` cannot be on a parameter of a tool: the attribute runs before it is decided\n\
                     help: put `#[{name}]` on the function, and write one function for each case"
                ),
            );
        }
    }
    let ty = owner.map_or_else(|| Type::clone(&input.ty), |owner| owner.outside(&input.ty));
    let ty = ungrouped(&ty);
    let param = if let Type::Reference(reference) = ty {
        check_borrowed(reference, errors);
        // A borrow that should have been owned will be an argument.
        if errors.count() == before
            && let Some(attr) = attrs.iter().find(|attr| is_for_json(attr))
        {
            errors.push(
                attr,
                "only owned parameters are arguments: this one comes from the server",
            );
        }
        Some(Param::Borrowed(Type::clone(&reference.elem)))
    } else {
        check_owned(ty, errors);
        let serde = serde_attrs::read(&attrs, errors);
        name(&input.pat, errors).map(|ident| {
            Param::Owned(Argument {
                ident,
                ty: ty.clone(),
                attrs,
                serde,
            })
        })
    };
    param.filter(|_| errors.count() == before)
}

fn is_for_json(attr: &Attribute) -> bool {
    attr.path().is_ident("serde") || attr.path().is_ident("schemars")
}

/// The name that an owned parameter binds.
fn name(pat: &Pat, errors: &mut Errors) -> Option<Ident> {
    match pat {
        Pat::Ident(PatIdent {
            by_ref: None,
            subpat: None,
            ident,
            ..
        }) => Some(ident.clone()),
        _ => {
            errors.push(
                pat,
                "a parameter that the caller provides must have a plain name: it is the argument's name\n\
                 help: take it by a name, and take it apart in the body",
            );
            None
        }
    }
}

fn check_owned(ty: &Type, errors: &mut Errors) {
    if let Some(owned) = owned_form(ty) {
        errors.push(
            ty,
            format_args!("a parameter must have a size\nhelp: write `{owned}`"),
        );
        return;
    }
    match ty {
        Type::ImplTrait(_) => errors.push(
            ty,
            "a parameter must name its type: its JSON schema is part of the tool",
        ),
        _ if option_of_reference(ty).is_some() => {
            let inner = option_of_reference(ty).map(ToTokens::to_token_stream);
            errors.push(
                ty,
                format_args!(
                    "a parameter is either owned, and comes from the caller, or borrowed, and comes from the server\n\
                     help: write `Option<T>` for what the caller may leave out, `{}` for what the server always has",
                    inner.unwrap_or_default().to_string().replace("& ", "&")
                ),
            );
        }
        _ => {
            if let Some(borrow) = first_borrow(ty) {
                errors.push(
                    borrow,
                    "a parameter that the caller provides must own all its data\n\
                     help: write `String` for `&str`, `Vec<T>` for `&[T]`, `'static` or no lifetime at all",
                );
            }
        }
    }
}

fn check_borrowed(reference: &TypeReference, errors: &mut Errors) {
    if reference.mutability.is_some() {
        errors.push(
            reference,
            "what the server lends is shared by all tasks, so it cannot be `&mut`\n\
             help: write `&T`, and keep what changes in a `Mutex` or an atomic inside `T`",
        );
        return;
    }
    let before = errors.count();
    check_lent(&reference.elem, reference, errors);
    if errors.count() == before {
        check_lifetime(reference.lifetime.as_ref(), "&T", errors);
    }
}

fn check_lifetime(lifetime: Option<&Lifetime>, without: &str, errors: &mut Errors) {
    if let Some(lifetime) = lifetime
        && lifetime.ident == "static"
    {
        errors.push(
            lifetime,
            format_args!(
                "what the server lends is lent for one call, not for `'static`\nhelp: write `{without}`"
            ),
        );
    }
}

/// Checks the `T` of a `&T`; most errors underline `tokens`.
pub(crate) fn check_lent(ty: &Type, tokens: impl ToTokens, errors: &mut Errors) {
    let ty = ungrouped(ty);
    if let Some(owned) = owned_form(ty) {
        let text = ty.to_token_stream().to_string();
        errors.push(
            tokens,
            format_args!(
                "`&{}` cannot be a parameter: what the caller provides is owned, what the server lends is a type of its own\n\
                 help: write `{owned}`",
                text.replace(' ', "")
            ),
        );
        return;
    }
    match ty {
        Type::TraitObject(_) => errors.push(
            tokens,
            "what the server lends is found by its type, so it cannot be a trait object\n\
             help: borrow a struct that holds the `Box<dyn Trait>`",
        ),
        Type::ImplTrait(_) => errors.push(
            tokens,
            "what the server lends is found by its type, so it must name one\n\
             help: write `&T` with a concrete `T`",
        ),
        _ => {
            if let Some(borrow) = first_borrow(ty) {
                errors.push(
                    borrow,
                    "what the server lends must own all its data: it outlives every call\n\
                     help: write `&T` with a `T` that has neither references nor lifetimes",
                );
            }
        }
    }
}

/// What to write for an unsized type of the standard library.
fn owned_form(ty: &Type) -> Option<String> {
    match ty {
        Type::Slice(slice) => Some(format!("Vec<{}>", slice.elem.to_token_stream())),
        // The spelling is enough here: it chooses the words of an error, and
        // rustc reports an alias of these as unsized.
        Type::Path(path) if path.qself.is_none() => {
            let last = path.path.segments.last()?;
            let owned = match last.ident.to_string().as_str() {
                "str" => "String",
                "Path" => "PathBuf",
                "OsStr" => "OsString",
                "CStr" => "CString",
                _ => return None,
            };
            last.arguments.is_none().then(|| owned.to_owned())
        }
        _ => None,
    }
}

/// The `&T` of an `Option<&T>`.
fn option_of_reference(ty: &Type) -> Option<&TypeReference> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(inner) if last.ident == "Option" => match ungrouped(inner) {
            Type::Reference(reference) => Some(reference),
            _ => None,
        },
        _ => None,
    }
}

/// The type within the invisible group that a `macro_rules!` makes of a `$ty:ty`.
fn ungrouped(mut ty: &Type) -> &Type {
    while let Type::Group(syn::TypeGroup { elem, .. }) | Type::Paren(syn::TypeParen { elem, .. }) =
        ty
    {
        ty = elem;
    }
    ty
}

/// Checks the names by which callers give the arguments.
fn check_names(params: &[Param], errors: &mut Errors) {
    let mut seen: Vec<String> = Vec::new();
    for param in params {
        let Param::Owned(argument) = param else {
            continue;
        };
        for (name, span) in argument.json_names() {
            if let Some(purpose) = reserved(&name) {
                errors.add(syn::Error::new(
                    span,
                    format_args!(
                        "`{name}` cannot be an argument's name: every tool has it already, where it {purpose}"
                    ),
                ));
            } else if seen.contains(&name) {
                errors.add(syn::Error::new(
                    span,
                    format_args!("two arguments are named `{name}`"),
                ));
            }
            seen.push(name);
        }
    }
}

impl Argument {
    /// The name by which serde reads and writes the argument.
    pub(crate) fn json_name(&self) -> String {
        self.own_name().0
    }

    /// Every name that serde accepts for the argument, and where it is written.
    fn json_names(&self) -> impl Iterator<Item = (String, Span)> + '_ {
        let aliases = self.serde.aliases.iter();
        std::iter::once(self.own_name()).chain(aliases.map(|alias| (alias.value(), alias.span())))
    }

    fn own_name(&self) -> (String, Span) {
        match &self.serde.rename {
            Some(rename) => (rename.value(), rename.span()),
            None => (self.ident.unraw().to_string(), self.ident.span()),
        }
    }
}
