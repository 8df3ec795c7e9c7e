//! Bearer tokens, and whose they are.

use std::fmt;
use std::fs;
use std::path::Path;

use async_tool::{BoxError, Principal};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Shorter ones could be guessed.
const SHORTEST: usize = 16;

/// Who has which token. A principal may have several, so that a new one can be
/// handed out before the old one is taken back.
pub(crate) struct Tokens(Vec<(Principal, [u8; 32])>);

impl Tokens {
    /// Reads a file of lines `NAME:TOKEN`.
    pub(crate) fn read(file: &Path) -> Result<Self, BoxError> {
        let text = fs::read_to_string(file)
            .map_err(|error| format!("cannot read the tokens in `{}`: {error}", file.display()))?;
        Self::parse(&text)
    }

    /// Reads lines `NAME:TOKEN`; empty ones, and those that begin with `#`, are
    /// left out. What is wrong is told by the number of the line: its text is
    /// secret.
    pub(crate) fn parse(text: &str) -> Result<Self, BoxError> {
        let mut tokens = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| format!("line {number} of the tokens {what}");
            let (name, token) = line
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| wrong("is not `NAME:TOKEN`"))?;
            if token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                let rule = format!(
                    "has a token that is not {SHORTEST} or more visible ASCII characters; \
                     `openssl rand -hex 32` makes a good one"
                );
                return Err(wrong(&rule).into());
            }
            let digest = digest(token);
            if tokens.iter().any(|(_, known)| *known == digest) {
                return Err(wrong("has a token that an earlier one has too").into());
            }
            tokens.push((Principal::new(name), digest));
        }
        if tokens.is_empty() {
            return Err("there are no tokens: nobody could call".into());
        }
        Ok(Self(tokens))
    }

    /// Whether somebody of this name has a token.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(owner, _)| owner.as_str() == name)
    }

    /// Whose token this is. How long it takes tells nothing about any: digests
    /// are compared, all of them, and to their ends.
    pub(crate) fn principal(&self, token: &str) -> Option<&Principal> {
        let given = digest(token);
        // Beyond the end: nobody's.
        let mut found = u32::MAX;
        for (place, (_, known)) in (0..).zip(&self.0) {
            found.conditional_assign(&place, known.ct_eq(&given));
        }
        let (principal, _) = self.0.get(usize::try_from(found).ok()?)?;
        Some(principal)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.len())
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_is_its_owners_and_others_are_nobodys() {
        let text = "# builders\nalice:0123456789abcdef\n\nbob:fedcba9876543210 \nalice:new:one:of:hers:1\n";
        let tokens = Tokens::parse(text).unwrap();
        let owner = |token| tokens.principal(token).map(Principal::as_str);
        assert_eq!(owner("0123456789abcdef"), Some("alice"));
        assert_eq!(owner("new:one:of:hers:1"), Some("alice"));
        assert_eq!(owner("fedcba9876543210"), Some("bob"));
        for other in ["", "0123456789abcde", "0123456789abcdef0", "alice"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_what_is_secret() {
        for (text, told) in [
            ("", "no tokens"),
            ("# nobody\n", "no tokens"),
            ("\nsesame-sesame-sesame", "line 2 of the tokens is not"),
            (":sesame-sesame-sesame", "line 1 of the tokens is not"),
            ("alice:sesame", "line 1 of the tokens has a token that"),
            ("alice:sesame sesame sesame", "visible ASCII"),
            (
                "alice:sesame-sesame-sesame\nbob:sesame-sesame-sesame",
                "line 2 of the tokens has a token that an earlier one",
            ),
        ] {
            let error = Tokens::parse(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }
}
