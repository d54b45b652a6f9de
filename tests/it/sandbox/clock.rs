//! The provider's clock: turned, stopped and stepped, while the client's stays the machine's.

use super::*;

impl Stage {
    fn clock(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/clock{path}", self.sandbox.control_url());
        self.client.request(method, url)
    }

    async fn turn(&self, turn: Value) -> Answer {
        answer(self.clock(Method::PUT, "").body(turn.to_string())).await
    }

    pub(super) async fn step_clock(&self, by: &str) -> Value {
        let step = json!({ "by": by }).to_string();
        let stepped = answer(self.clock(Method::POST, "/step").body(step)).await;
        assert_eq!(stepped.status, 200, "{}", stepped.text);
        stepped.json()
    }

    async fn status(&self, sent: &Value) -> Value {
        let id = sent["message"]["id"].as_str().unwrap();
        self.get(&format!("/messages/{id}")).await.json()["message"].clone()
    }
}

#[tokio::test]
async fn a_faster_clock_brings_receipts_sooner() {
    let stage = Stage::new().await;
    let turned = stage.turn(json!({ "rate": 60 })).await.json();
    assert_eq!(
        (&turned["rate"], &turned["stopped"]),
        (&json!(60), &json!(false))
    );
    let sent = stage.greet(DANA, "k1").await;
    stage.step(SignedDuration::from_millis(100));
    let message = stage.status(&sent).await;
    assert_eq!(message["status"], "delivered");
    assert_eq!(message["created_at"], "2026-06-10T09:15:00.000Z");
    assert_eq!(message["delivered_at"], "2026-06-10T09:15:02.000Z");
    let clock = answer(stage.clock(Method::GET, "")).await.json();
    assert_eq!(clock["now"], "2026-06-10T09:15:06.000Z");
    assert_eq!(clock["machine"], "2026-06-10T09:15:00.100Z");
    stage.close().await;
}

#[tokio::test]
async fn a_stopped_clock_goes_only_by_steps() {
    let stage = Stage::new().await;
    stage.turn(json!({ "stopped": true })).await;
    let sent = stage.greet(DANA, "k1").await;
    stage.step(SignedDuration::from_hours(9));
    assert_eq!(stage.status(&sent).await["status"], "sent");
    let stepped = stage.step_clock("2s").await;
    assert_eq!(stepped["now"], "2026-06-10T09:15:02.000Z");
    assert_eq!(stage.status(&sent).await["status"], "delivered");
    stage.step_clock("1h").await;
    assert_eq!(stage.status(&sent).await["status"], "read");
    stage.close().await;
}

#[tokio::test]
async fn keys_and_slots_lapse_by_the_providers_clock() {
    let stage = Stage::new().await;
    let first = stage.greet(DANA, "k1").await;
    let file = json!({ "filename": "a.png", "content_type": "image/png", "size_bytes": 3 });
    let slot = stage.post("/attachments", &file).await.json();
    stage.step_clock("23h59m").await;
    assert_eq!(stage.greet(DANA, "k1").await, first);
    let path = format!(
        "/attachments/{}/upload",
        slot["attachment_id"].as_str().unwrap()
    );
    let put = stage
        .bearer(Method::PUT, &path)
        .header("content-type", "image/png")
        .body("abc");
    assert_eq!(answer(put).await.code(), 5001);
    stage.step_clock("1m").await;
    assert_ne!(stage.greet(DANA, "k1").await, first);
    stage.close().await;
}

#[tokio::test]
async fn signatures_are_judged_by_the_machines_clock_wherever_the_providers_stands() {
    let stage = Stage::new().await;
    stage.step_clock("300d").await;
    let body = hello(DANA, "k1").to_string();
    let signed = |seconds| {
        stage
            .bare(Method::POST, "/chats")
            .header("x-chert-tenant", &stage.tenant.slug)
            .header(
                "x-chert-signature",
                signature(stage.secret(), seconds, &body),
            )
            .body(body.clone())
    };
    assert_eq!(answer(signed(stage.now_s())).await.status, 200);
    let late = answer(signed(stage.now_s() - 301)).await;
    assert_eq!(late.code(), 2013);
    assert_eq!(late.header("date"), Some("Wed, 10 Jun 2026 09:15:00 GMT"));
    stage.close().await;
}

#[tokio::test]
async fn the_record_shows_both_clocks() {
    let stage = Stage::new().await;
    stage.step_clock("1d").await;
    stage.greet(DANA, "k1").await;
    let journal = stage.sandbox.journal(&Filter::default());
    assert_eq!(journal.requests[0].at, "2026-06-10T09:15:00.000Z");
    assert_eq!(journal.requests[0].provider_at, "2026-06-11T09:15:00.000Z");
    assert_eq!(journal.messages[0].at, "2026-06-11T09:15:00.000Z");
    stage.close().await;
}

#[tokio::test]
async fn the_clock_goes_back_only_while_nobody_has_received_anything() {
    let stage = Stage::new().await;
    let back = json!({ "at": "2026-01-05T08:00:00Z", "stopped": true });
    assert_eq!(
        stage.turn(back.clone()).await.json()["now"],
        "2026-01-05T08:00:00.000Z"
    );
    stage.greet(DANA, "k1").await;
    let ahead = json!({ "at": "2026-02-01T08:00:00Z" });
    assert_eq!(stage.turn(ahead).await.status, 200);
    let refused = stage.turn(back.clone()).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.json()["error"]
            .as_str()
            .unwrap()
            .contains("goes back only")
    );
    stage.sandbox.reset();
    assert_eq!(stage.turn(back).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn a_turn_with_a_mistake_changes_nothing_and_says_what_is_meant() {
    let stage = Stage::new().await;
    for (turn, part) in [
        (json!({ "rate": 0 }), "a turn of the clock is"),
        (json!({ "rate": 1_000_000 }), "rate is at most"),
        (json!({ "speed": 2 }), "unknown field"),
        (json!({ "at": "tomorrow" }), "a turn of the clock is"),
    ] {
        let refused = stage.turn(turn).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(part), "{}", refused.text);
    }
    let step = stage.clock(Method::POST, "/step").body(r#"{"by":"2"}"#);
    let refused = answer(step).await;
    assert!(refused.text.contains("a step is"), "{}", refused.text);
    let clock = stage.sandbox.clock();
    assert_eq!((clock.rate.get(), clock.stopped), (1, false));
    assert_eq!(clock.now, clock.machine);
    stage.close().await;
}
