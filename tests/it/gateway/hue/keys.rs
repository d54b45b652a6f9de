//! A key goes to the world that it is for, and nowhere else (huechat §2).

use sendoff::domain::account::HueChatAccount;
use sendoff::gateway::GatewayError;

use super::{KEY, account, gateway_of, request};

const LIVE: &str = "sk_live_0b9Zq7Lw44TnVd81";

#[test]
fn a_key_and_a_host_of_one_world_are_taken() {
    for (base, key) in [
        ("https://api.huechat.ai/v2", LIVE),
        ("https://api.huechat.ai/v2/", LIVE),
        ("https://API.HueChat.ai:443/v2", LIVE),
        ("https://sandbox.huechat.ai/v2", KEY),
        ("https://SANDBOX.huechat.ai/v2", KEY),
        ("http://127.0.0.1:4010/v2", KEY),
        ("http://127.9.8.7:4010/v2", KEY),
        ("http://localhost:4010/v2", KEY),
        ("http://[::1]:4010/v2", KEY),
        ("http://127.0.0.1:4010/v2", &format!("  {KEY}\r\n")),
    ] {
        assert!(gateway_of(&account(base), key).is_ok(), "{base}");
    }
}

#[test]
fn a_key_for_elsewhere_is_refused_before_anything_is_asked() {
    for (base, key) in [
        ("https://api.huechat.ai/v2", KEY),
        ("https://sandbox.huechat.ai/v2", LIVE),
        ("https://sandbox.huechat.ai.evil.example/v2", LIVE),
        ("https://api.sandbox.huechat.ai/v2", KEY),
        ("https://notsandbox.huechat.ai/v2", KEY),
        ("https://huechat.ai/sandbox/v2", KEY),
        ("http://127.0.0.1:4010/v2", LIVE),
        ("https://localhost/v2", LIVE),
        ("https://relay.example.com/v2", KEY),
    ] {
        let error = gateway_of(&account(base), key).unwrap_err();
        assert!(
            matches!(error, GatewayError::OtherKey { .. }),
            "{base}: {error}"
        );
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("0b9Zq7Lw"), "{shown}");
    }
}

#[test]
fn what_is_no_key_or_no_place_for_one_is_told_apart() {
    for key in [
        "",
        " ",
        "sk_live_",
        "sk_test_",
        "sk_prod_12",
        "SK_LIVE_12",
        "whsec_12",
        "Bearer sk_live_12",
        "sk_live_1\r\nx-more: 2",
    ] {
        let error = gateway_of(&account("https://api.huechat.ai/v2"), key).unwrap_err();
        assert_eq!(error, GatewayError::BadKey, "{key:?}");
    }
    for base in [
        "http://api.huechat.ai/v2",
        "http://sandbox.huechat.ai/v2",
        "http://127.0.0.1.example.com/v2",
        "http://10.0.0.1/v2",
        "https://me:hunter2@api.huechat.ai/v2",
        "https://api.huechat.ai/v2?key=1",
        "api.huechat.ai/v2",
    ] {
        let error = gateway_of(&account(base), LIVE).unwrap_err();
        assert!(matches!(error, GatewayError::BaseUrl { .. }), "{base}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let hasty = HueChatAccount {
        timeout: jiff::SignedDuration::ZERO,
        ..account("https://api.huechat.ai/v2")
    };
    assert_eq!(
        gateway_of(&hasty, LIVE).unwrap_err(),
        GatewayError::BadTimeout
    );
}

#[test]
fn nothing_that_is_shown_has_the_key_the_message_or_the_address() {
    let gateway = gateway_of(&account("http://127.0.0.1:9/v2"), KEY).unwrap();
    let to_nobody_known = super::request_for(
        sendoff::domain::channel::Channel::Sms,
        "+12025550143",
        None,
        super::TEXT,
    );
    let shown = format!("{gateway:?} {:?} {to_nobody_known:?}", request());
    for hidden in ["0b9Zq7Lw", "Dana", "2025550143"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}
