//! Signatures, by the crate of Standard Webhooks.

use std::fmt;

use standardwebhooks::Webhook;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// How many bytes a secret has (Standard Webhooks, signature scheme).
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// The old one and the new one.
const MOST: usize = 2;

/// Signs for one receiver.
pub(super) struct Signer(Vec<Webhook>);

impl Signer {
    /// A signer with these secrets; or what is wrong with them.
    pub(super) fn new(secrets: &[String]) -> Result<Self, String> {
        if secrets.len() > MOST {
            return Err(format!(
                "has {} secrets; there can be {MOST}, the old one and the new one",
                secrets.len()
            ));
        }
        let parsed: Option<Vec<_>> = secrets.iter().map(|secret| parse(secret)).collect();
        match parsed {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            Some(_) => Err("has no secret; add one with `.secret(\"whsec_…\")`".to_owned()),
            None => Err(format!(
                "has a secret that is not `{PREFIX}` and {} to {} bytes in Base64",
                BYTES.start(),
                BYTES.end()
            )),
        }
    }

    /// The `webhook-signature` of a message: one of each secret, with a space
    /// between them.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let signatures: Vec<String> = self
            .0
            .iter()
            // It fails for bodies that are no UTF-8; a string is.
            .filter_map(|key| key.sign(id, seconds, body.as_bytes()).ok())
            .collect();
        signatures.join(" ")
    }
}

fn parse(secret: &str) -> Option<Webhook> {
    let key = secret.strip_prefix(PREFIX)?;
    let webhook = Webhook::new(key).ok()?;
    // It is Base64, padded: four characters are three bytes.
    let bytes = key.len() / 4 * 3 - key.bytes().filter(|byte| *byte == b'=').count();
    BYTES.contains(&bytes).then_some(webhook)
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 24 and of 32 bytes.
    const ONE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

    fn signer(secrets: &[&str]) -> Result<Signer, String> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        Signer::new(&secrets)
    }

    #[test]
    fn each_secret_signs() {
        let both = signer(&[ONE, OTHER]).expect("good secrets");
        let alone = |secret| {
            signer(&[secret])
                .expect("a good secret")
                .sign("id", 1, "{}")
        };
        assert_eq!(
            both.sign("id", 1, "{}"),
            format!("{} {}", alone(ONE), alone(OTHER))
        );
        assert!(alone(ONE).starts_with("v1,"));
        assert_ne!(alone(ONE), alone(OTHER));
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        let short = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="; // 23 bytes
        let long = format!("whsec_{}", "MDEy".repeat(22)); // 66 bytes
        for bad in ["", "whsec_", &ONE[6..], "whsec_not base64!", short, &long] {
            let error = signer(&[bad]).expect_err(bad);
            assert!(error.contains("24 to 64 bytes"), "{error}");
            assert!(bad.len() < 7 || !error.contains(bad), "{error}");
        }
        assert!(signer(&[]).expect_err("none").contains("no secret"));
        assert!(signer(&[ONE, OTHER, ONE]).expect_err("three").contains("2"));
        assert!(!format!("{:?}", signer(&[ONE])).contains("MfKQ"));
    }
}
