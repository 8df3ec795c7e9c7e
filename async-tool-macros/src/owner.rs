//! The type whose methods are tools.

use proc_macro2::{Group, Punct, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Path, Type};

/// What an `impl` block says to each of its methods that is a tool.
pub(crate) struct Owner {
    /// What `Self` means.
    pub(crate) ty: Type,
    /// The block's attributes that hold for all that is generated.
    pub(crate) attrs: Vec<Attribute>,
    /// The facade, for methods that do not name one.
    pub(crate) krate: Option<Path>,
}

impl Owner {
    /// The type as if it stood at `place`, for an error to underline that.
    pub(crate) fn at(&self, place: Span) -> TokenStream {
        located(self.ty.to_token_stream(), place)
    }

    /// A type of a method's signature as it is written outside of the `impl`:
    /// `Self` is the type, and `Self::LENGTH` is `<Type>::LENGTH`.
    pub(crate) fn outside(&self, ty: &Type) -> Type {
        let tokens = ty.to_token_stream();
        if !names_self(tokens.clone()) {
            return ty.clone();
        }
        // What cannot be read afterwards, rustc reports: it finds no `Self`.
        syn::parse2(self.replace(tokens)).unwrap_or_else(|_| ty.clone())
    }

    /// On tokens, because a type may have expressions and macros inside.
    fn replace(&self, tokens: TokenStream) -> TokenStream {
        let mut replaced = TokenStream::new();
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) if word == "Self" => {
                    let ty = self.at(word.span());
                    let begins_path = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                    if begins_path {
                        let bracket = |bracket| spanned(Punct::new(bracket, Spacing::Alone), &word);
                        replaced.extend([bracket('<')]);
                        replaced.extend(ty);
                        replaced.extend([bracket('>')]);
                    } else {
                        replaced.extend(ty);
                    }
                }
                TokenTree::Group(group) => {
                    let mut inside = Group::new(group.delimiter(), self.replace(group.stream()));
                    inside.set_span(group.span());
                    replaced.extend([TokenTree::Group(inside)]);
                }
                other => replaced.extend([other]),
            }
        }
        replaced
    }
}

fn spanned(punct: Punct, like: &proc_macro2::Ident) -> TokenTree {
    let mut token = TokenTree::Punct(punct);
    token.set_span(like.span());
    token
}

fn names_self(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "Self",
        TokenTree::Group(group) => names_self(group.stream()),
        _ => false,
    })
}

/// The tokens, each where `place` is, and meaning what it meant.
fn located(tokens: TokenStream, place: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            let span = token.span().located_at(place);
            if let TokenTree::Group(group) = &token {
                let inside = located(group.stream(), place);
                token = TokenTree::Group(Group::new(group.delimiter(), inside));
            }
            token.set_span(span);
            token
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn self_is_the_type_wherever_it_stands() {
        let owner = Owner {
            ty: parse_quote!(Server<u8>),
            attrs: Vec::new(),
            krate: None,
        };
        let cases: [(Type, Type); 6] = [
            (parse_quote!(Self), parse_quote!(Server<u8>)),
            (
                parse_quote!(Result<Vec<Self>, self::Self_>),
                parse_quote!(Result<Vec<Server<u8>>, self::Self_>),
            ),
            (
                parse_quote!([u8; Self::LENGTH]),
                parse_quote!([u8; <Server<u8>>::LENGTH]),
            ),
            (
                parse_quote!(<Self as Trait>::Of),
                parse_quote!(<Server<u8> as Trait>::Of),
            ),
            (
                parse_quote!((Self, [Self])),
                parse_quote!((Server<u8>, [Server<u8>])),
            ),
            (parse_quote!(list![Self]), parse_quote!(list![Server<u8>])),
        ];
        for (inside, outside) in cases {
            assert_eq!(
                owner.outside(&inside).to_token_stream().to_string(),
                outside.to_token_stream().to_string()
            );
        }
    }
}
