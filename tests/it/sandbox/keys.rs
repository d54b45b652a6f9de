//! Idempotency (chert §5): one message for each key, whatever is repeated.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_same_key_and_body_get_the_first_answer_again() {
    let stage = Stage::new().await;
    let first = stage.post("/chats", &hello(DANA, "k1")).await;
    stage.step(SignedDuration::from_secs(60));
    // The same meaning in another order and spacing.
    let reordered = r#"{ "to": ["+12025550143"], "message": { "idempotency_key": "k1",
        "parts": [{ "value": "Your table is ready.", "type": "text" }] }, "from": "+12025550188" }"#;
    let again = answer(stage.bearer(Method::POST, "/chats").body(reordered)).await;
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("x-idempotent-replay"), Some("true"));
    assert_eq!(first.header("x-idempotent-replay"), None);
    assert_eq!(stage.received(DANA), [Some("k1".to_owned())]);
    stage.close().await;
}

#[tokio::test]
async fn send_and_follow_ups_replay_in_their_own_form() {
    let stage = Stage::new().await;
    let lead = json!({ "phone": DANA, "body": "Hi", "idempotency_key": "s1" });
    let first = stage.post("/send", &lead).await;
    assert_eq!(stage.post("/send", &lead).await.text, first.text);
    let path = format!(
        "/chats/{}/messages",
        first.json()["lead_id"].as_str().unwrap()
    );
    let more = json!({ "message": { "parts": [{ "type": "text", "value": "More" }], "idempotency_key": "s2" } });
    let first = stage.post(&path, &more).await;
    assert_eq!(stage.post(&path, &more).await.text, first.text);
    assert_eq!(stage.received(DANA).len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn a_key_does_not_serve_two_bodies_or_two_routes() {
    let stage = Stage::new().await;
    stage.greet(DANA, "k1").await;
    let other = stage.post("/chats", &hello(SAM, "k1")).await;
    assert_eq!((other.code(), other.status), (1012, 409));
    assert_eq!(other.json()["error"]["retryable"], false);
    let route = json!({ "phone": DANA, "body": "Hi", "idempotency_key": "k1" });
    assert_eq!(stage.post("/send", &route).await.code(), 1012);
    assert_eq!(stage.totals().messages, 1);
    stage.close().await;
}

#[tokio::test]
async fn a_refusal_gives_the_key_back() {
    let stage = Stage::new().await;
    let mut wrong = hello(DANA, "k1");
    wrong["from"] = json!("+12025550111");
    assert_eq!(stage.post("/chats", &wrong).await.code(), 2006);
    stage.greet(DANA, "k1").await;
    stage.close().await;
}

#[tokio::test]
async fn a_key_is_free_again_after_its_retention() {
    let stage = Stage::new().await;
    let first = stage.greet(DANA, "k1").await;
    stage.step(SignedDuration::from_hours(24) - SignedDuration::from_secs(1));
    assert_eq!(stage.greet(DANA, "k1").await, first);
    stage.step(SignedDuration::from_secs(1));
    let second = stage.greet(DANA, "k1").await;
    assert_ne!(second["message"]["id"], first["message"]["id"]);
    assert_eq!(stage.totals().repeated_keys, 1);
    stage.close().await;
}

#[tokio::test]
async fn a_second_request_is_held_until_the_first_ends() {
    let stage = Stage::new().await;
    for kind in ["slow", "slow_after_accept"] {
        stage.faults(&json!([{ "kind": kind, "delay_ms": 600_000, "attempts": 1 }]));
        let key = format!("k-{kind}");
        let body = hello(DANA, &key);
        let first = stage.post("/chats", &body);
        let second = async {
            stage.until_waiting(1).await;
            stage.post("/chats", &body).await
        };
        let other = async {
            stage.until_waiting(2).await;
            // The key is taken, whoever comes with another body need not wait.
            assert_eq!(stage.post("/chats", &hello(SAM, &key)).await.code(), 1012);
            stage.faults(&json!([]));
        };
        let (first, second, ()) = tokio::join!(first, second, other);
        assert_eq!(first.status, 200, "{}", first.text);
        assert_eq!(first.text, second.text);
        assert_eq!(second.header("x-idempotent-replay"), Some("true"));
    }
    assert_eq!(stage.totals().messages, 2);
    stage.close().await;
}

#[tokio::test]
async fn a_request_is_not_held_for_ever() {
    let stage = Stage::with(SandboxConfig {
        hold: SignedDuration::ZERO,
        ..config()
    })
    .await;
    stage.faults(&json!([{ "kind": "slow", "delay_ms": 600_000, "attempts": 1 }]));
    let body = hello(DANA, "k1");
    let first = stage.post("/chats", &body);
    let second = async {
        stage.until_waiting(1).await;
        let busy = stage.post("/chats", &body).await;
        stage.faults(&json!([]));
        busy
    };
    let (first, busy) = tokio::join!(first, second);
    assert_eq!(first.status, 200);
    assert_eq!((busy.code(), busy.status), (1012, 409));
    assert_eq!(busy.json()["error"]["retryable"], true);
    assert_eq!(busy.header("retry-after"), Some("1"));
    stage.close().await;
}

#[tokio::test]
async fn a_hundred_at_once_with_one_key_make_one_message() {
    let stage = Stage::new().await;
    let body = hello(DANA, "k1");
    let answers = (0..100).map(|_| stage.post("/chats", &body));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| answer.text == answers[0].text));
    assert_eq!(stage.totals().messages, 1);
    assert_eq!(stage.totals().message_posts, 100);
    stage.close().await;
}
