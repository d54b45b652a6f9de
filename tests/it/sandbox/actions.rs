//! What is done in a chat besides sending: typing, reading, reactions, the line's own card
//! (chert §11).

use serde_json::json;

use super::*;

#[tokio::test]
async fn typing_is_told_and_recorded_and_sends_nothing() {
    let stage = Stage::new().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let path = format!("/chats/{chat}/typing");
    for state in ["typing", "stopped"] {
        let told = stage.done(&path, &json!({ "state": state })).await;
        assert_eq!(
            told,
            json!({ "status": "sent", "chat_id": chat, "state": state })
        );
    }
    stage.refused(&path, &json!({}), (1001, 400)).await;
    for state in [json!("thinking"), json!(1)] {
        let body = json!({ "state": state });
        stage.refused(&path, &body, (1002, 400)).await;
    }
    let body = json!({ "state": "typing" });
    stage
        .refused("/chats/nope/typing", &body, (2002, 404))
        .await;
    stage.change_line(&json!({ "capabilities": [] }));
    stage.refused(&path, &body, (4099, 422)).await;
    stage.change_line(&json!({ "capabilities": ["typing"], "is_active": false }));
    let failed = stage.refused(&path, &body, (4001, 502)).await;
    assert_eq!(failed["retryable"], true);
    assert_eq!(
        stage.deeds(),
        [
            ("typing", json!({ "state": "typing" })),
            ("typing", json!({ "state": "stopped" })),
        ]
    );
    assert_eq!(stage.totals().messages, 1);
    stage.close().await;
}

#[tokio::test]
async fn what_a_person_wrote_is_read_from_the_first_mark_on() {
    let stage = Stage::new().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let (read, history) = (
        format!("/chats/{chat}/mark-read"),
        format!("/chats/{chat}/messages"),
    );
    stage.hear(DANA, "On my way");
    let row = |history: &Value| history["messages"][1].clone();
    let before = row(&stage.get(&history).await.json());
    assert_eq!(
        (&before["status"], &before["read_at"]),
        (&json!("delivered"), &Value::Null)
    );
    for _ in 0..2 {
        stage.step(SignedDuration::from_secs(5));
        // There is no body to look at, and so none to refuse.
        let bare = stage.bearer(Method::POST, &read);
        let told = answer(bare).await;
        assert_eq!(told.json(), json!({ "chat_id": chat, "status": "read" }));
    }
    let after = row(&stage.get(&history).await.json());
    assert_eq!(after["status"], "read");
    assert_eq!(after["read_at"], "2026-06-10T09:15:05.000Z");
    assert_eq!(
        stage.deeds(),
        [("mark_read", Value::Null)],
        "once is enough"
    );
    stage.hear(DANA, "Nearly there");
    let later = stage.get(&history).await.json()["messages"][2].clone();
    assert!(
        later["read_at"].is_null(),
        "a mark is not for what comes later"
    );
    stage
        .refused("/chats/nope/mark-read", &json!({}), (2002, 404))
        .await;
    stage.change_line(&json!({ "capabilities": [] }));
    stage.refused(&read, &json!({}), (4099, 501)).await;
    stage.close().await;
}

#[tokio::test]
async fn every_reaction_is_another_one_on_whatever_was_written() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k1").await;
    stage.hear(DANA, "Thanks!");
    let history = format!("/chats/{}/messages", chat_of(&sent));
    let history = stage.get(&history).await.json();
    let received = history["messages"][1]["id"].as_str().unwrap().to_owned();
    let mut expected = Vec::new();
    for id in [message_of(&sent), message_of(&sent), received.clone()] {
        let path = format!("/messages/{id}/react");
        let told = stage.done(&path, &json!({ "reaction": "love" })).await;
        assert_eq!(
            told,
            json!({ "status": "sent", "message_id": id, "reaction": "love" })
        );
        expected.push(id);
    }
    for name in ["like", "dislike", "laugh", "emphasize", "question"] {
        let path = format!("/messages/{received}/react");
        stage.done(&path, &json!({ "reaction": name })).await;
        expected.push(received.clone());
    }
    let path = format!("/messages/{received}/react");
    for body in [
        json!({}),
        json!({ "reaction": "Love" }),
        json!({ "reaction": 1 }),
    ] {
        stage.refused(&path, &body, (1002, 400)).await;
    }
    let love = json!({ "reaction": "love" });
    let small = format!("/messages/{}/react", received.to_lowercase());
    stage.refused(&small, &love, (2003, 404)).await;
    stage
        .refused("/messages/nope/react", &love, (2003, 404))
        .await;
    let journal = stage.look("/journal?to=%2B12025550143").await;
    let actions = journal["actions"].as_array().unwrap();
    let about: Vec<_> = actions
        .iter()
        .map(|one| one["message_id"].clone())
        .collect();
    assert_eq!(about, expected);
    assert_eq!(actions[0]["to"], json!([DANA]));
    assert_eq!(actions[0]["chat_id"], sent["chat"]["id"]);
    assert_eq!(actions[0]["at"], "2026-06-10T09:15:00.000Z");
    let of_sam = stage.look("/journal?to=%2B12025550144").await;
    assert_eq!(of_sam["actions"], json!([]));
    stage.close().await;
}

#[tokio::test]
async fn the_lines_own_card_goes_to_whoever_has_a_chat() {
    let stage = Stage::new().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let shared = json!({ "chat_id": chat, "status": "shared" });
    let by_chat = format!("/chats/{chat}/share-contact-info");
    assert_eq!(stage.done(&by_chat, &json!({})).await, shared);
    let by_person = "/chats/share-contact-info";
    assert_eq!(stage.done(by_person, &json!({ "to": DANA })).await, shared);
    assert_eq!(stage.deeds().len(), 2);
    stage
        .refused(by_person, &json!({ "to": SAM }), (2002, 404))
        .await;
    for body in [json!({}), json!({ "to": "555" }), json!({ "to": [DANA] })] {
        stage.refused(by_person, &body, (1002, 400)).await;
    }
    stage.change_line(&json!({ "capabilities": ["typing"] }));
    stage.refused(&by_chat, &json!({}), (4099, 501)).await;
    stage
        .refused(by_person, &json!({ "to": DANA }), (4099, 501))
        .await;
    stage.close().await;
}

#[tokio::test]
async fn an_action_is_in_the_record_and_under_faults_like_any_request() {
    let stage = Stage::new().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let path = format!("/chats/{chat}/typing");
    let body = json!({ "state": "typing" });
    stage.faults(&json!([
        { "kind": "error", "code": 4001, "times": 1, "match": { "route": "typing", "to": DANA } },
        { "kind": "slow", "delay_ms": 1, "match": { "route": "mark_read" } },
    ]));
    stage.refused(&path, &body, (4001, 502)).await;
    assert!(stage.deeds().is_empty(), "what was refused did not happen");
    stage.done(&path, &body).await;
    stage
        .done(&format!("/chats/{chat}/mark-read"), &json!({}))
        .await;
    let nobody = answer(stage.bare(Method::POST, &path).body(body.to_string())).await;
    assert_eq!(nobody.code(), 2012);
    let no_json = stage.bearer(Method::POST, &path).body("state=typing");
    assert_eq!(answer(no_json).await.code(), 1004);
    let requests = stage.sandbox.journal(&Filter::default()).requests;
    let told: Vec<_> = requests.iter().skip(1).map(|r| (r.fault, r.code)).collect();
    assert_eq!(
        told,
        [
            (Some("error"), Some(4001)),
            (None, None),
            (Some("slow"), None),
            (None, Some(2012)),
            (None, Some(1004)),
        ]
    );
    assert!(requests[..4].iter().all(|r| r.to.as_deref() == Some(DANA)));
    stage.close().await;
}
