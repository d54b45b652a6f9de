//! Who may ask what, how often, and how an error looks (huechat §2 to §4).

use sendoff::sandbox::{HueKey, HueScope};

use super::*;

#[tokio::test]
async fn any_test_key_opens_an_account_of_its_own_by_either_header() {
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}");
    let bearer = answer(hue.bare(Method::GET, &path).bearer_auth(KEY)).await;
    assert_eq!(bearer.status, 200);
    let other = answer(
        hue.bare(Method::GET, &path)
            .header("x-api-key", "sk_test_b"),
    )
    .await;
    other.refused((404, "not_found"), "another key");
    let both = hue.keyed(Method::GET, &path).bearer_auth("sk_test_b");
    assert_eq!(answer(both).await.status, 200, "the own header goes first");
    assert_eq!(hue.sandbox.hue_report().accounts, 2);
    hue.close().await;
}

#[tokio::test]
async fn no_key_a_live_key_and_a_wrong_key_are_refused_without_rate_headers() {
    let hue = Hue::with(HueConfig::default()).await;
    let refused = answer(hue.bare(Method::GET, "/contacts")).await;
    refused.refused((401, "unauthorized"), "none");
    for key in ["sk_live_bistro", "sk_test_", "sk_test_a-b", "bistro"] {
        let request = hue.bare(Method::GET, "/contacts").header("x-api-key", key);
        let refused = answer(request).await;
        refused.refused((401, "unauthorized"), key);
        assert_eq!(refused.header("x-ratelimit-limit"), None, "{key}");
        assert!(!refused.text.contains(key), "no key is repeated");
    }
    hue.close().await;
}

#[tokio::test]
async fn a_key_with_some_scopes_is_told_which_one_it_lacks() {
    let hue = Hue::with(HueConfig {
        keys: vec![HueKey {
            key: KEY.to_owned(),
            scopes: vec![HueScope::ContactsRead, HueScope::ContactsWrite],
        }],
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    let refused = hue
        .refused(
            &format!("/contact/{id}/message"),
            &whatsapp("Hello"),
            (403, "forbidden"),
        )
        .await;
    assert_eq!(
        refused["details"],
        json!({
            "required_permission": "conversations:write",
            "key_permissions": ["contacts:read", "contacts:write"],
        })
    );
    let refused = hue.get("/channels/whatsapp/templates").await;
    let refused = refused.refused((403, "forbidden"), "templates");
    assert_eq!(refused["details"]["required_permission"], "channels:read");
    assert!(hue.sent().is_empty());
    hue.close().await;
}

#[tokio::test]
async fn a_plan_counts_down_in_its_headers_and_then_says_how_long_to_wait() {
    let hue = Hue::with(HueConfig {
        plan: HuePlan::Own {
            per_minute: 3,
            per_day: 100,
        },
        ..unlimited()
    })
    .await;
    hue.step_ms(500);
    let end = (hue.now_s() + 61).to_string();
    for left in ["2", "1", "0"] {
        let taken = hue.get("/contacts").await;
        assert_eq!(taken.header("x-ratelimit-limit"), Some("3"));
        assert_eq!(taken.header("x-ratelimit-remaining"), Some(left));
        assert_eq!(taken.header("x-ratelimit-reset"), Some(end.as_str()));
    }
    hue.step(SignedDuration::from_secs(18));
    let refused = hue.get("/contacts").await;
    let body = refused.refused((429, "rate_limited"), "too many");
    assert_eq!(
        (refused.header("retry-after"), &body["retry_after"]),
        (Some("42"), &json!(42))
    );
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    let other = answer(
        hue.bare(Method::GET, "/contacts")
            .header("x-api-key", "sk_test_b"),
    )
    .await;
    assert_eq!(
        other.header("x-ratelimit-remaining"),
        Some("2"),
        "each account has its own"
    );
    hue.step(SignedDuration::from_secs(42));
    assert_eq!(hue.get("/contacts").await.status, 200);
    assert_eq!(hue.sandbox.hue_report().refusals["rate_limited"], 1);
    hue.close().await;
}

#[tokio::test]
async fn a_day_that_is_used_up_ends_at_midnight_of_the_providers_clock() {
    let hue = Hue::with(HueConfig {
        plan: HuePlan::Own {
            per_minute: 100,
            per_day: 2,
        },
        ..unlimited()
    })
    .await;
    for _ in 0..2 {
        assert_eq!(hue.get("/contacts").await.status, 200);
    }
    let refused = hue.get("/contacts").await;
    refused.refused((429, "rate_limited"), "the day is used up");
    // 09:15 to midnight.
    let wait = 14 * 3_600 + 45 * 60;
    assert_eq!(
        refused.header("retry-after"),
        Some(wait.to_string().as_str())
    );
    assert_eq!(
        refused.header("x-ratelimit-remaining"),
        Some("98"),
        "the minute has room"
    );
    hue.sandbox.step_clock(SignedDuration::from_secs(wait));
    assert_eq!(hue.get("/contacts").await.status, 200);
    hue.close().await;
}

#[tokio::test]
async fn the_free_plan_is_the_usual_one() {
    let hue = Hue::with(HueConfig::default()).await;
    assert_eq!(
        hue.get("/contacts").await.header("x-ratelimit-limit"),
        Some("100")
    );
    hue.close().await;
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_the_same_envelope() {
    let hue = Hue::new().await;
    for path in [
        "",
        "/nope",
        "/contact/a/b/c",
        "/conversation",
        "/workflows",
        "/message/msg_1",
    ] {
        hue.get(path).await.refused((404, "not_found"), path);
    }
    for (method, path) in [
        (Method::GET, "/contact"),
        (Method::DELETE, "/contacts"),
        (Method::PUT, "/contact/x/message"),
        (Method::POST, "/conversations"),
    ] {
        let refused = hue.ask(method, path, None).await;
        refused.refused((405, "method_not_allowed"), path);
    }
    let nobody = answer(hue.bare(Method::GET, "/nope")).await;
    nobody.refused((401, "unauthorized"), "without a key nothing is told");
    let chert = hue.0.get("/v2").await;
    assert_eq!(
        (chert.code(), chert.status),
        (2011, 404),
        "Chert's own paths stay Chert's"
    );
    hue.close().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_or_too_long_is_refused() {
    let hue = Hue::new().await;
    for body in ["", "{", "[]", "null", "\"x\""] {
        let refused = answer(hue.keyed(Method::POST, "/contact").body(body)).await;
        refused.refused((400, "invalid_input"), body);
    }
    let long = json!({ "phone": PAT, "first_name": "Pat", "note": "x".repeat(1 << 20) });
    let refused = hue.refused("/contact", &long, (400, "invalid_input")).await;
    assert_eq!(refused["details"]["field"], "body");
    assert!(hue.sandbox.hue_contacts().is_empty());
    hue.close().await;
}
