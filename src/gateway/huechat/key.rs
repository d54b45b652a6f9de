//! The API key: which of the two worlds it is for, and that its host is of the same (huechat §2).
//! A live key never goes to a sandbox, nor the other way.

use reqwest::Url;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};

use super::super::{GatewayError, http};

/// Whether people get what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum World {
    Live,
    Sandbox,
}

/// The key as a header's value, if it belongs where it is to go.
pub(super) fn header(base: &Url, key: &SecretString) -> Result<HeaderValue, GatewayError> {
    let text = key.expose_secret().trim();
    let mut value = HeaderValue::from_str(text).map_err(|_| GatewayError::BadKey)?;
    value.set_sensitive(true);
    let (of_key, of_host) = (
        world_of_key(text).ok_or(GatewayError::BadKey)?,
        world_of(base),
    );
    if of_key == of_host {
        return Ok(value);
    }
    Err(GatewayError::OtherKey {
        key: match of_key {
            World::Live => "real messages (sk_live_…)",
            World::Sandbox => "a sandbox (sk_test_…)",
        },
        host: http::host_of(base),
        place: match of_host {
            World::Live => "no sandbox",
            World::Sandbox => "a sandbox",
        },
    })
}

fn world_of_key(key: &str) -> Option<World> {
    let is_key = |rest: &str| !rest.is_empty();
    if key.strip_prefix("sk_live_").is_some_and(is_key) {
        Some(World::Live)
    } else if key.strip_prefix("sk_test_").is_some_and(is_key) {
        Some(World::Sandbox)
    } else {
        None
    }
}

/// This machine and whatever is called a sandbox are one; everything else counts as the real thing.
fn world_of(base: &Url) -> World {
    let host = base.host_str().unwrap_or_default();
    if http::is_this_machine(base) || host.split('.').next() == Some("sandbox") {
        World::Sandbox
    } else {
        World::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(base: &str, key: &str) -> Result<HeaderValue, GatewayError> {
        header(&Url::parse(base).unwrap(), &SecretString::from(key))
    }

    #[test]
    fn a_key_goes_to_its_own_world_alone() {
        const LIVE: &str = "https://api.huechat.ai/v2";
        const THEIRS: &str = "https://sandbox.huechat.ai/v2";
        const OURS: &str = "http://127.0.0.1:4010/v2";
        assert!(pair(LIVE, "sk_live_a1").is_ok());
        assert!(pair(THEIRS, "sk_test_a1").is_ok());
        assert!(pair(OURS, " sk_test_a1\n").is_ok());
        for (base, key) in [
            (LIVE, "sk_test_a1"),
            (THEIRS, "sk_live_a1"),
            (OURS, "sk_live_a1"),
            ("https://[::1]:4010/v2", "sk_live_a1"),
            ("https://relay.example.com/v2", "sk_test_a1"),
        ] {
            let error = pair(base, key).unwrap_err();
            assert!(matches!(error, GatewayError::OtherKey { .. }), "{base}");
            assert!(!error.to_string().contains("a1"), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_told_from_one_for_elsewhere() {
        for key in [
            "",
            "sk_live_",
            "whsec_12",
            "Bearer sk_live_a1",
            "sk_live_ä\u{7}",
        ] {
            assert_eq!(
                pair("https://api.huechat.ai/v2", key),
                Err(GatewayError::BadKey),
                "{key}"
            );
        }
    }
}
