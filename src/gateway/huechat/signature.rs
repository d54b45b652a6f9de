//! Whether a delivery of events is the provider's own (huechat §10.5). The provider publishes
//! nothing of how it signs, so each of the four parts is the settings' to say: the header, what
//! stands before the signature in it, how it is made, and over what. Pure.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use crate::domain::account::{SignatureAlgorithm, SignedContent, Webhook};

/// The header that is signed along with the body where the settings say so.
pub const TIMESTAMP_HEADER: &str = "X-HueChat-Timestamp";

/// Tells deliveries of the provider from others. `Debug` does not show the secret.
pub struct Verifier {
    secret: SecretString,
    header: String,
    prefix: String,
    algorithm: SignatureAlgorithm,
    signed: SignedContent,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.header)
    }
}

/// Why a delivery is not the provider's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    #[error("it has no signature")]
    Unsigned,
    #[error("the header that is signed with the body is missing")]
    NoTimestamp,
    #[error("the signature does not belong to it")]
    Wrong,
}

impl Verifier {
    /// With the secret as the provider gave it, whatever it begins with.
    pub fn new(webhook: &Webhook, secret: SecretString) -> Self {
        Self {
            secret,
            header: webhook.header.clone(),
            prefix: webhook.prefix.clone(),
            algorithm: webhook.algorithm,
            signed: webhook.signed,
        }
    }

    /// Whether a delivery with this body is the provider's. `header` finds a header's value,
    /// whatever the case of its name. How long it takes says nothing about the right signature.
    ///
    /// # Errors
    /// When it is not.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h [u8]>,
        body: &[u8],
    ) -> Result<(), Forged> {
        let given = header(&self.header).ok_or(Forged::Unsigned)?;
        let before = match self.signed {
            SignedContent::Body => None,
            SignedContent::TimestampAndBody => {
                Some(header(TIMESTAMP_HEADER).ok_or(Forged::NoTimestamp)?)
            }
        };
        let given = given.trim_ascii();
        let given = given
            .strip_prefix(self.prefix.as_bytes())
            .unwrap_or(given)
            .trim_ascii();
        let given = from_hex(given).ok_or(Forged::Wrong)?;
        let parts = match before {
            None => [b"".as_slice(), b"", body],
            Some(timestamp) => [timestamp, b".", body],
        };
        let key = self.secret.expose_secret().as_bytes();
        let right = match self.algorithm {
            SignatureAlgorithm::HmacSha256 => hmac::<Hmac<Sha256>>(key, parts),
            SignatureAlgorithm::HmacSha512 => hmac::<Hmac<Sha512>>(key, parts),
        };
        match right {
            Some(right) if bool::from(right.ct_eq(&given)) => Ok(()),
            Some(_) | None => Err(Forged::Wrong),
        }
    }
}

/// `None`: the key is none.
fn hmac<M: Mac + KeyInit>(key: &[u8], parts: [&[u8]; 3]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac.finalize().into_bytes().to_vec())
}

/// `None`: it is no hexadecimal text.
fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(high)? * 16 + digit(low)?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::account::{SIGNATURE_HEADER, SIGNATURE_PREFIX, SecretSource};

    const SECRET: &str = "whsec_9d2f6c1ab04e77";
    const BODY: &[u8] = br#"{"id":"evt_51d0a7","type":"message.delivered"}"#;
    // printf '%s' '{"id":"evt_51d0a7","type":"message.delivered"}' \
    //   | openssl dgst -sha256 -hmac whsec_9d2f6c1ab04e77
    const SHA256: &str = "78b03790fe7bdebeca361a13087e7398465824fee918146f81a506961e68551c";
    // The same with -sha512.
    const SHA512: &str = "906002662d1b8bf47097146cc3b1ffb5fb87b13c94ecddc4c5e28489a788923a6f19035a059b508956931850dc2f642df4c061510381647fba84f81bbe17136a";
    // The same with '1772443507.' in front of the body, and -sha256.
    const WITH_TIME: &str = "8419c56908b087d10ce3fcd2f7b69b4fbf74d403f55e1617674d6c19b7913098";

    fn webhook() -> Webhook {
        Webhook {
            secret: SecretSource::Env(String::new()),
            header: SIGNATURE_HEADER.to_owned(),
            prefix: SIGNATURE_PREFIX.to_owned(),
            algorithm: SignatureAlgorithm::HmacSha256,
            signed: SignedContent::Body,
        }
    }

    fn verified(webhook: &Webhook, headers: &[(&str, &str)], body: &[u8]) -> Result<(), Forged> {
        let verifier = Verifier::new(webhook, SecretString::from(SECRET));
        let header = |name: &str| {
            let found = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.as_bytes())
        };
        verifier.verify(header, body)
    }

    #[test]
    fn what_another_tool_has_signed_is_taken_with_the_prefix_and_without_it() {
        for value in [
            format!("sha256={SHA256}"),
            SHA256.to_owned(),
            format!(" sha256={} ", SHA256.to_uppercase()),
        ] {
            let headers = [("x-huechat-signature", value.as_str())];
            assert_eq!(verified(&webhook(), &headers, BODY), Ok(()), "{value}");
        }
    }

    #[test]
    fn each_part_can_be_told() {
        let named = Webhook {
            header: "X-Signed-By".to_owned(),
            prefix: "v1:".to_owned(),
            ..webhook()
        };
        let value = format!("v1:{SHA256}");
        assert_eq!(verified(&named, &[("x-signed-by", &value)], BODY), Ok(()));
        let usual = [(SIGNATURE_HEADER, value.as_str())];
        assert_eq!(verified(&named, &usual, BODY), Err(Forged::Unsigned));
        assert_eq!(verified(&webhook(), &usual, BODY), Err(Forged::Wrong));

        let longer = Webhook {
            algorithm: SignatureAlgorithm::HmacSha512,
            ..webhook()
        };
        assert_eq!(
            verified(&longer, &[(SIGNATURE_HEADER, SHA512)], BODY),
            Ok(())
        );
        let short = [(SIGNATURE_HEADER, SHA256)];
        assert_eq!(verified(&longer, &short, BODY), Err(Forged::Wrong));

        let timed = Webhook {
            signed: SignedContent::TimestampAndBody,
            ..webhook()
        };
        let at = |time| [(SIGNATURE_HEADER, WITH_TIME), (TIMESTAMP_HEADER, time)];
        assert_eq!(verified(&timed, &at("1772443507"), BODY), Ok(()));
        assert_eq!(
            verified(&timed, &at("1772443508"), BODY),
            Err(Forged::Wrong)
        );
        let untimed = [(SIGNATURE_HEADER, WITH_TIME)];
        assert_eq!(verified(&timed, &untimed, BODY), Err(Forged::NoTimestamp));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        let half = SHA256.get(..32).unwrap();
        for value in ["", "sha256=", "sha256=zz", half, "sha256", "sha512=00"] {
            let headers = [(SIGNATURE_HEADER, value)];
            assert_eq!(
                verified(&webhook(), &headers, BODY),
                Err(Forged::Wrong),
                "{value}"
            );
        }
        assert_eq!(verified(&webhook(), &[], BODY), Err(Forged::Unsigned));
    }

    #[test]
    fn the_secret_is_not_shown() {
        let verifier = Verifier::new(&webhook(), SecretString::from(SECRET));
        assert_eq!(format!("{verifier:?}"), "Verifier(X-HueChat-Signature)");
    }

    proptest! {
        /// No other body, no other secret and no other signature passes.
        #[test]
        fn a_bit_that_differs_anywhere_is_noticed(
            body in prop::collection::vec(any::<u8>(), 1..300),
            secret in "[ -~]{1,80}",
            place in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let right = hmac::<Hmac<Sha256>>(secret.as_bytes(), [b"", b"", &body]).unwrap();
            let signed = crate::domain::digest::hex(right.as_ref());
            let verifier = Verifier::new(&webhook(), SecretString::from(secret.clone()));
            let passes = |value: &str, body: &[u8]| {
                verifier.verify(|_| Some(value.as_bytes()), body)
            };
            prop_assert_eq!(passes(&signed, &body), Ok(()));
            let mut other = body.clone();
            other[place.index(body.len())] ^= 1 << bit;
            prop_assert_eq!(passes(&signed, &other), Err(Forged::Wrong));
            let mut wrong = right.clone();
            wrong[place.index(right.len())] ^= 1 << bit;
            let wrong = crate::domain::digest::hex(wrong.as_ref());
            prop_assert_eq!(passes(&wrong, &body), Err(Forged::Wrong));
            let another = Verifier::new(&webhook(), SecretString::from(format!("{secret}x")));
            let passed = another.verify(|_| Some(signed.as_bytes()), &body);
            prop_assert_eq!(passed, Err(Forged::Wrong));
        }

        /// Whatever stands in the header: an answer, and never a yes.
        #[test]
        fn no_nonsense_passes(value in prop::collection::vec(any::<u8>(), 0..200)) {
            let verifier = Verifier::new(&webhook(), SecretString::from(SECRET));
            prop_assert_eq!(verifier.verify(|_| Some(&value), b"{}"), Err(Forged::Wrong));
        }
    }
}
