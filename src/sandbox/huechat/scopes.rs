//! Who sends a request: the forms of a key, and what a key may do (huechat §2). Keeps no key: an
//! account goes by a name that follows from it.

use axum::http::HeaderMap;

use super::errors::{Error, Refusal};
use crate::sandbox::ids;

/// What a key may be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HueScope {
    ContactsRead,
    ContactsWrite,
    ConversationsRead,
    ConversationsWrite,
    ChannelsRead,
    ChannelsWrite,
    WebhooksManage,
    AdminRead,
    AdminWrite,
}

impl HueScope {
    pub fn name(self) -> &'static str {
        match self {
            Self::ContactsRead => "contacts:read",
            Self::ContactsWrite => "contacts:write",
            Self::ConversationsRead => "conversations:read",
            Self::ConversationsWrite => "conversations:write",
            Self::ChannelsRead => "channels:read",
            Self::ChannelsWrite => "channels:write",
            Self::WebhooksManage => "webhooks:manage",
            Self::AdminRead => "admin:read",
            Self::AdminWrite => "admin:write",
        }
    }
}

/// A key that may do some things only. Every other key may do everything.
#[derive(Clone)]
pub struct HueKey {
    pub key: String,
    pub scopes: Vec<HueScope>,
}

impl std::fmt::Debug for HueKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HueKey")
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

/// The longest key that is taken.
const LONGEST_KEY: usize = 200;

/// The key of a request: that of `X-API-Key`, or else the bearer token.
pub(super) fn key_of(headers: &HeaderMap) -> Result<&str, Refusal> {
    let refused = |why| Refusal::new(Error::Unauthorized).because(why);
    let key = match headers.get("x-api-key") {
        Some(key) => Some(key.to_str().unwrap_or_default()),
        None => bearer(headers),
    };
    let key = key.ok_or_else(|| refused("An API key is required"))?;
    if key.starts_with("sk_live_") {
        return Err(refused("A live key does not open the sandbox"));
    }
    let rest = key.strip_prefix("sk_test_").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if rest.is_empty() || key.len() > LONGEST_KEY || !rest.bytes().all(fits) {
        return Err(refused("Invalid API key"));
    }
    Ok(key)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The name of the account that a key opens.
pub(super) fn account_of(seed: u64, key: &str) -> String {
    let id = ids::derive(seed, "huechat account", &[key.as_bytes()]);
    let mut text = format!("org_{id:032x}");
    text.truncate(16);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_own_header_goes_before_the_bearer_token() {
        let both = headers(&[
            ("x-api-key", "sk_test_a"),
            ("authorization", "Bearer sk_test_b"),
        ]);
        assert_eq!(key_of(&both).unwrap(), "sk_test_a");
        let one = headers(&[("authorization", "bearer sk_test_b")]);
        assert_eq!(key_of(&one).unwrap(), "sk_test_b");
    }

    #[test]
    fn a_key_of_another_form_opens_nothing() {
        for key in [
            "",
            "sk_test_",
            "sk_live_a",
            "sk_test_a-b",
            "test",
            "sk_test_ä",
        ] {
            assert!(key_of(&headers(&[("x-api-key", key)])).is_err(), "{key}");
        }
        let wrong_first = headers(&[("x-api-key", "x"), ("authorization", "Bearer sk_test_b")]);
        assert!(key_of(&wrong_first).is_err());
        assert!(key_of(&HeaderMap::new()).is_err());
    }
}
