//! What people write: the answer in its chat, and the event log that tells of it (chert §8.2, §13,
//! §14).

use serde_json::json;

use super::*;

#[tokio::test]
async fn an_answer_stands_in_its_chat_among_what_was_sent() {
    let stage = Stage::new().await;
    let first = stage.greet(DANA, "k0").await;
    stage.step(SignedDuration::from_secs(1));
    stage.hear(DANA, "On my way");
    stage.step(SignedDuration::from_secs(1));
    stage.greet(DANA, "k1").await;
    stage.greet(SAM, "k2").await;
    let path = format!("/chats/{}/messages", first["chat"]["id"].as_str().unwrap());
    let history = stage.get(&path).await.json();
    let rows = history["messages"].as_array().unwrap();
    let directions: Vec<_> = rows.iter().map(|row| row["direction"].clone()).collect();
    assert_eq!(directions, ["outbound", "inbound", "outbound"]);
    assert_eq!(
        rows[1]["parts"],
        json!([{ "type": "text", "value": "On my way" }])
    );
    assert_eq!(rows[1]["created_at"], "2026-06-10T09:15:01.000Z");
    stage.close().await;
}

#[tokio::test]
async fn the_event_of_an_answer_is_the_published_envelope() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k0").await;
    let event_id = stage.hear(DANA, "STOP");
    let log = stage.get("/events").await.json();
    assert_eq!(
        (&log["count"], &log["next_cursor"]),
        (&json!(1), &Value::Null)
    );
    let row = &log["events"][0];
    assert_eq!(row["type"], "message.received");
    assert_eq!(row["event_id"], event_id);
    assert_eq!(row["lead_id"], sent["chat"]["id"]);
    assert_eq!(row["created_at"], "2026-06-10T09:15:00.000Z");
    assert_eq!(row["delivery"]["status"], "pending");
    let payload = &row["payload"];
    assert_eq!(payload["event_id"], event_id);
    assert_eq!(payload["event"], "message.received");
    assert_eq!(payload["partner_id"], stage.tenant.slug);
    let data = &payload["data"];
    assert_eq!(data["chat"]["id"], sent["chat"]["id"]);
    assert_eq!(data["chat"]["owner_handle"]["handle"], LINE);
    assert_eq!(data["message"]["direction"], "inbound");
    assert_eq!(data["message"]["sender_handle"]["handle"], DANA);
    assert_eq!(data["message"]["parts"][0]["value"], "STOP");
    let id = row["id"].as_str().unwrap();
    assert_eq!(stage.get(&format!("/events/{id}")).await.json(), *row);
    assert_eq!(stage.get("/events/evt_ffffffff00000000").await.code(), 2011);
    stage.close().await;
}

#[tokio::test]
async fn somebody_nobody_wrote_to_may_write_first() {
    let stage = Stage::new().await;
    stage.hear(SAM, "Who is this?");
    let log = stage.get("/events").await.json();
    let chat = log["events"][0]["lead_id"].clone();
    let sent = stage.greet(SAM, "k0").await;
    assert_eq!(sent["chat"]["id"], chat, "the chat goes on");
    stage.close().await;
}

#[tokio::test]
async fn the_log_is_read_by_pages_newest_first_and_from_a_moment_on() {
    let stage = Stage::new().await;
    // Between two milliseconds: what is shown is what is compared.
    stage.step(SignedDuration::from_micros(1));
    for n in 0..5 {
        stage.hear(DANA, &format!("answer {n}"));
        stage.step(SignedDuration::from_secs(1));
    }
    let texts = |log: &Value| -> Vec<String> {
        let rows = log["events"].as_array().unwrap();
        let text = |row: &Value| row["payload"]["data"]["message"]["parts"][0]["value"].clone();
        rows.iter()
            .map(|row| text(row).as_str().unwrap().to_owned())
            .collect()
    };
    let first = stage.get("/events?limit=3").await.json();
    assert_eq!(texts(&first), ["answer 4", "answer 3", "answer 2"]);
    let cursor = first["next_cursor"].as_str().unwrap().replace('|', "%7C");
    let second = stage
        .get(&format!("/events?limit=3&cursor={cursor}"))
        .await
        .json();
    assert_eq!(texts(&second), ["answer 1", "answer 0"]);
    assert_eq!(second["next_cursor"], Value::Null);
    let since = stage.get("/events?since=2026-06-10T09:15:02Z").await.json();
    assert_eq!(texts(&since), ["answer 4", "answer 3"]);
    for (filter, count) in [
        ("type=message.received", 5),
        ("type=reaction.added", 0),
        ("status=pending", 5),
        ("status=delivered", 0),
        ("lead_id=nobody", 0),
    ] {
        let log = stage.get(&format!("/events?{filter}")).await.json();
        assert_eq!(log["count"], count, "{filter}");
    }
    for bad in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "since=x",
        "status=x",
    ] {
        assert_eq!(
            stage.get(&format!("/events?{bad}")).await.code(),
            1002,
            "{bad}"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn a_person_writes_over_http_and_mistakes_are_told() {
    let stage = Stage::new().await;
    let url = format!("{}/inbound", stage.sandbox.control_url());
    let post = async |body: Value| {
        let answer = stage
            .client
            .post(&url)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let twice = json!({ "from": DANA, "text": "STOP", "to": LINE, "event_id": "evt-1" });
    assert_eq!(
        post(twice.clone()).await,
        (200, r#"{"event_id":"evt-1"}"#.to_owned())
    );
    assert_eq!(post(twice).await.0, 200, "an event may be told twice");
    let log = stage.get("/events").await.json();
    assert_eq!(log["events"][0]["event_id"], log["events"][1]["event_id"]);
    for (body, part) in [
        (json!({ "from": "Dana", "text": "x" }), "not a phone number"),
        (json!({ "from": DANA, "text": "" }), "`text` is empty"),
        (
            json!({ "from": DANA, "text": "x", "to": SAM }),
            "none of the sandbox's lines",
        ),
        (json!({ "from": DANA, "words": "x" }), "an answer is"),
    ] {
        let (status, words) = post(body).await;
        assert_eq!(status, 400);
        assert!(words.contains(part), "{words}");
    }
    stage.close().await;
}

#[tokio::test]
async fn who_said_stop_still_receives_so_that_a_missing_check_is_seen() {
    let stage = Stage::new().await;
    stage.greet(DANA, "k0").await;
    stage.hear(DANA, "STOP");
    stage.greet(DANA, "k1").await;
    assert_eq!(stage.sandbox.totals().messages, 2);
    stage.sandbox.reset();
    assert_eq!(stage.get("/events").await.json()["count"], 0);
    stage.close().await;
}
