//! Webhook subscriptions as they are made, read and changed, and the replay of an event (chert §13,
//! §14).

use serde_json::json;

use super::webhooks::{Manner, Receiver};
use super::*;

const HOOK: &str = "https://hooks.bistro.example/chert";

fn path_of(sub: &Value) -> String {
    format!("/webhook-subscriptions/{}", sub["id"].as_str().unwrap())
}

#[tokio::test]
async fn the_secret_of_a_subscription_is_shown_once() {
    let stage = Stage::new().await;
    let made = stage
        .subscribe(&json!({ "url": HOOK, "events": ["message.received"] }))
        .await;
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 64);
    assert!(secret.bytes().all(|b| b.is_ascii_hexdigit()));
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("secret");
    let expected = json!({
        "id": made["id"], "url": HOOK, "events": ["message.received"], "version": "2026-04-01",
        "is_active": true, "created_at": "2026-06-10T09:15:00.000Z",
    });
    assert_eq!(shown, expected);
    let other = stage.subscribe(&json!({ "url": HOOK })).await;
    assert_ne!(other["secret"], made["secret"], "each has its own");
    assert_eq!(other["events"], json!([]));
    let list = stage.get("/webhook-subscriptions").await;
    assert!(!list.text.contains("secret"), "{}", list.text);
    let ids = list.json()["subscriptions"].as_array().unwrap().clone();
    assert_eq!([&ids[0]["id"], &ids[1]["id"]], [&other["id"], &made["id"]]);
    let one = stage.get(&path_of(&made)).await.json();
    assert_eq!(one, json!({ "subscription": shown }));
    let change = json!({ "events": ["lead_reply"], "version": "2026-05-04" });
    let path = path_of(&made);
    let changed = answer(stage.bearer(Method::PATCH, &path).body(change.to_string())).await;
    let changed = changed.json()["subscription"].clone();
    assert_eq!(changed["events"], json!(["lead_reply"]));
    assert_eq!(changed["version"], "2026-05-04");
    assert_eq!(
        (&changed["url"], changed.get("secret")),
        (&json!(HOOK), None)
    );
    stage.close().await;
}

#[tokio::test]
async fn a_signature_opens_the_subscriptions_as_the_token_does() {
    let stage = Stage::new().await;
    let body = json!({ "url": HOOK }).to_string();
    let signed = |method: Method, path: &str, body: &str| {
        let value = signature(stage.secret(), stage.now_s(), body);
        let request = stage.bare(method, path).header("x-chert-signature", value);
        request
            .header("x-chert-tenant", &stage.tenant.slug)
            .body(body.to_owned())
    };
    let made = answer(signed(Method::POST, "/webhook-subscriptions", &body)).await;
    let path = path_of(&made.json()["subscription"]);
    assert_eq!(answer(signed(Method::DELETE, &path, "")).await.status, 200);
    assert_eq!(answer(signed(Method::DELETE, &path, "")).await.code(), 2011);
    assert_eq!(
        answer(stage.bare(Method::GET, "/webhook-subscriptions"))
            .await
            .code(),
        2012
    );
    stage.close().await;
}

#[tokio::test]
async fn mistakes_in_a_subscription_are_told_by_their_codes() {
    let stage = Stage::new().await;
    for (body, code) in [
        (json!({}), 1001),
        (json!({ "url": null }), 1001),
        (json!({ "url": "http://192.0.2.7/x" }), 1002),
        (json!({ "url": "hooks.bistro.example" }), 1002),
        (json!({ "url": 7 }), 1002),
        (json!({ "url": HOOK, "events": "message.received" }), 1002),
        (json!({ "url": HOOK, "events": [7] }), 1002),
        (json!({ "url": HOOK, "version": 7 }), 1002),
        (json!({ "url": HOOK, "is_active": "yes" }), 1002),
    ] {
        let refused = stage.post("/webhook-subscriptions", &body).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{body}");
    }
    let other = Tenant::new("other-1a2b", "5".repeat(32));
    let made = stage.subscribe(&json!({ "url": HOOK })).await;
    let bad = json!({ "url": "ftp://x.example" }).to_string();
    let path = path_of(&made);
    assert_eq!(
        answer(stage.bearer(Method::PATCH, &path).body(bad))
            .await
            .code(),
        1002
    );
    assert_eq!(
        stage.get("/webhook-subscriptions/nothing").await.code(),
        2011
    );
    stage.close().await;
    let stage = Stage::with(SandboxConfig {
        tenants: vec![Tenant::of_seed(7), other.clone()],
        ..config()
    })
    .await;
    let made = stage.subscribe(&json!({ "url": HOOK })).await;
    let foreign = stage
        .bare(Method::GET, &path_of(&made))
        .bearer_auth(other.secret.expose_secret());
    assert_eq!(answer(foreign).await.code(), 2011);
    stage.close().await;
}

#[tokio::test]
async fn the_dev_inbox_keeps_events_and_calls_nobody() {
    let stage = Stage::new().await;
    stage.hear(DANA, "before");
    stage
        .subscribe(&json!({ "url": "https://dev-inbox" }))
        .await;
    let event_id = stage.hear(DANA, "On my way");
    let inbox = stage.get("/dev-inbox").await.json();
    assert_eq!(inbox["count"], 1);
    assert_eq!(inbox["events"][0]["event_id"], event_id);
    assert_eq!(inbox["events"][0]["delivery"]["status"], "dev_inbox");
    assert_eq!(inbox["events"][0]["delivery"]["attempts"], json!([]));
    let same = stage.get("/events?status=dev_inbox").await.json();
    assert_eq!(same, inbox);
    assert_eq!(stage.get("/dev-inbox?limit=0").await.code(), 1002);
    stage.close().await;
}

#[tokio::test]
async fn a_replay_tells_once_more_at_once_and_changes_where_the_event_stands() {
    let stage = Stage::new().await;
    let manners = [
        Manner::Answers(400),
        Manner::Answers(503),
        Manner::Answers(200),
    ];
    let mut receiver = Receiver::new(&manners).await;
    let sub = stage.subscribe(&json!({ "url": receiver.url })).await;
    let event_id = stage.hear(DANA, "On my way");
    let first = receiver.next().await;
    let row = stage.event_is("failed").await;
    let path = format!("/events/{}/replay", row["id"].as_str().unwrap());
    let refused = answer(stage.bearer(Method::POST, &path)).await;
    assert_eq!(refused.status, 502, "{}", refused.text);
    let body = refused.json();
    assert_eq!(body["ok"], false);
    assert_eq!(
        (&body["code"], &body["retryable"]),
        (&json!(3004), &json!(true))
    );
    assert_eq!(body["downstream_status"], 503);
    assert_eq!(body["trace_id"].as_str(), refused.header("x-trace-id"));
    assert_eq!(body["error"], body["message"]);
    stage.event_is("failed").await;
    let named = format!("{path}?subscription_id={}", sub["id"].as_str().unwrap());
    let told = answer(stage.bearer(Method::POST, &named)).await;
    assert_eq!(
        (told.status, &told.json()["ok"]),
        (200, &json!(true)),
        "{}",
        told.text
    );
    let row = stage.event_is("delivered").await;
    assert_eq!(row["delivery"]["attempts"].as_array().unwrap().len(), 3);
    for _ in 0..2 {
        let again = receiver.next().await;
        assert_eq!(again.body, first.body);
    }
    assert_eq!(row["event_id"], event_id);
    stage.close().await;
}

#[tokio::test]
async fn a_replay_without_anybody_to_call_says_so() {
    let stage = Stage::new().await;
    stage.hear(DANA, "On my way");
    let row = stage.event_is("pending").await;
    let path = format!("/events/{}/replay", row["id"].as_str().unwrap());
    let nobody = answer(stage.bearer(Method::POST, &path)).await;
    assert_eq!((nobody.status, nobody.code()), (400, 1002));
    assert_eq!(nobody.json()["ok"], false);
    stage
        .subscribe(&json!({ "url": "https://dev-inbox" }))
        .await;
    let inbox = answer(stage.bearer(Method::POST, &path)).await;
    assert_eq!((inbox.status, inbox.code()), (400, 1002));
    let unknown = format!("{path}?subscription_id=nothing");
    let unknown = answer(stage.bearer(Method::POST, &unknown)).await;
    assert_eq!((unknown.status, unknown.code()), (404, 2011));
    let none = "/events/evt_ffffffff00000000/replay";
    let none = answer(stage.bearer(Method::POST, none)).await;
    assert_eq!((none.status, none.code()), (404, 2011));
    stage.close().await;
}
