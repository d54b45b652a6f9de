//! The idempotency key: a public format, the same for ever.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, hex};
use super::run::RunId;

/// `so1-` and the first 40 hex digits of SHA-256 over
/// `campaign \n occurrence \n recipient_key \n step \n revision`.
///
/// 44 characters of `[a-z0-9-]`, inside the provider's assumed alphabet (chert §5).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// `revision` starts at 0; only a body that has to change after a definite refusal raises it.
    pub fn derive(run: &RunId, recipient_key: &str, step: u32, revision: u32) -> Self {
        let text = format!(
            "{}\n{}\n{recipient_key}\n{step}\n{revision}",
            run.campaign(),
            run.occurrence()
        );
        let digest = Digest::of(text.as_bytes());
        Self(format!(
            "so1-{}",
            hex(digest.bytes().get(..20).unwrap_or_default())
        ))
    }

    /// A key read back from the ledger.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(campaign: &str, occurrence: &str, recipient: &str, step: u32, revision: u32) -> String {
        let run = RunId::new(campaign, occurrence).unwrap();
        IdempotencyKey::derive(&run, recipient, step, revision).to_string()
    }

    /// Computed with `printf '…' | sha256sum`; a change here re-sends to everyone.
    #[test]
    fn the_published_vectors_hold() {
        assert_eq!(
            key("review-request", "once", "+12025550143", 0, 0),
            VECTORS[0]
        );
        assert_eq!(
            key("nightly", "2026-11-20T21:00-06:00", "C-1007", 2, 1),
            VECTORS[1]
        );
    }
    const VECTORS: [&str; 2] = [
        "so1-b5b0f38089d494d9a50ad472756d85af7d8367ca",
        "so1-6e312a372f9847d0515a5047d2d300322908b450",
    ];

    proptest! {
        #[test]
        fn a_key_is_stable_and_tells_every_field_apart(
            a in "[a-z]{1,8}", b in "[a-z0-9]{1,8}", step in 0u32..9, revision in 0u32..9,
        ) {
            let one = key(&a, "once", &b, step, revision);
            prop_assert_eq!(&one, &key(&a, "once", &b, step, revision));
            prop_assert_eq!(one.len(), 44);
            prop_assert_ne!(&one, &key(&a, "twice", &b, step, revision));
            prop_assert_ne!(&one, &key(&a, "once", &format!("{b}x"), step, revision));
            prop_assert_ne!(&one, &key(&a, "once", &b, step + 1, revision));
            prop_assert_ne!(&one, &key(&a, "once", &b, step, revision + 1));
        }
    }
}
