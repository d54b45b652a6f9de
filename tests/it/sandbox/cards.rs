//! Map pins and contact cards (chert §7.4, §11), effects and grouped pictures (chert §9, §10.5).

use serde_json::json;

use super::*;

fn pin(to: &str) -> Value {
    json!({ "phone": to, "latitude": 48.8584, "longitude": 2.2945, "label": "Tower",
        "address": "Paris", "fallback_mode": "auto", "idempotency_key": "pin-1" })
}

/// The same with one change.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = pin(DANA);
    change(&mut body);
    body
}

#[tokio::test]
async fn a_pin_is_queued_with_202_and_its_key_makes_it_one() {
    let stage = Stage::new().await;
    let first = stage.post("/locations", &pin(DANA)).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let json = first.json();
    assert_eq!(
        (&json["status"], &json["delivery"]),
        (&json!("queued"), &json!("queued"))
    );
    assert_eq!(
        json["location"],
        json!({ "latitude": 48.8584, "longitude": 2.2945, "label": "Tower", "address": "Paris",
            "mode": "balloon", "fallback_mode_requested": "auto" })
    );
    let lines = stage.get("/phone-numbers").await.json();
    assert_eq!(json["phone_line_id"], lines["phone_numbers"][0]["id"]);
    stage.change_line(&json!({ "capabilities": [] }));
    let again = stage.post("/locations", &pin(DANA)).await;
    assert_eq!((again.status, again.json()), (202, json.clone()));
    assert_eq!(again.header("x-idempotent-replay"), Some("true"));
    let other = with(|body| body["label"] = json!("Bridge"));
    stage.refused("/locations", &other, (1012, 409)).await;
    assert_eq!(stage.received(DANA), [Some("pin-1".to_owned())]);
    let id = json["message_id"].as_str().unwrap();
    let message = stage.get(&format!("/messages/{id}")).await.json()["message"].clone();
    assert_eq!(message["status"], "sent");
    assert_eq!(message["parts"][0]["type"], "location");
    assert_eq!(stage.totals().message_posts, 3);
    stage.close().await;
}

#[tokio::test]
async fn a_line_that_cannot_pin_says_so_unless_an_address_will_do() {
    let stage = Stage::new().await;
    stage.change_line(&json!({ "capabilities": ["contacts"] }));
    let strict = with(|body| body["fallback_mode"] = Value::Null);
    stage.refused("/locations", &strict, (4099, 422)).await;
    assert!(stage.received(DANA).is_empty());
    let kind = stage.post("/locations", &pin(DANA)).await;
    assert_eq!(kind.status, 202, "{}", kind.text);
    assert_eq!(kind.json()["location"]["mode"], "url");
    stage.close().await;
}

#[tokio::test]
async fn a_pin_goes_to_a_delivery_id_and_not_to_the_id_of_a_chat() {
    let stage = Stage::new().await;
    let mut body = hello(DANA, "k1");
    body["to"] = json!([DANA, SAM]);
    let group = stage.done("/chats", &body).await;
    stage.greet(DANA, "k2").await;
    let chats = stage.look("/chats").await["chats"].clone();
    for (number, key) in [(0, "pin-group"), (1, "pin-one")] {
        let to = chats[number]["delivery_chat_id"].clone();
        let body = with(|body| {
            body["phone"] = Value::Null;
            body["chat_id"] = to;
            body["idempotency_key"] = json!(key);
        });
        let answer = stage.post("/locations", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    assert_eq!(stage.received(SAM).len(), 2);
    assert_eq!(stage.received(DANA).len(), 4);
    assert_eq!(stage.look("/chats").await["chats"][1]["messages"], 2);
    for wrong in [json!(chat_of(&group)), json!("iMessage;+;chat42")] {
        let body = with(|body| {
            body["phone"] = Value::Null;
            body["chat_id"] = wrong;
        });
        stage.refused("/locations", &body, (2002, 404)).await;
    }
    stage.close().await;
}

#[tokio::test]
async fn every_mistake_in_a_pin_has_its_code() {
    let stage = Stage::new().await;
    for (what, body, code) in [
        ("nobody", with(|b| b["phone"] = Value::Null), 1001),
        (
            "two targets",
            with(|b| b["chat_id"] = json!("iMessage;+;chat42")),
            1002,
        ),
        ("no number", with(|b| b["phone"] = json!("555")), 1003),
        ("no latitude", with(|b| b["latitude"] = Value::Null), 1001),
        (
            "too far north",
            with(|b| b["latitude"] = json!(90.01)),
            1002,
        ),
        (
            "too far west",
            with(|b| b["longitude"] = json!(-180.5)),
            1002,
        ),
        ("a text", with(|b| b["longitude"] = json!("2.2945")), 1002),
        ("a label of numbers", with(|b| b["label"] = json!(7)), 1002),
        (
            "an unknown fallback",
            with(|b| b["fallback_mode"] = json!("sms")),
            1002,
        ),
        (
            "no time",
            with(|b| b["expires_at"] = json!("tomorrow")),
            1002,
        ),
        (
            "over",
            with(|b| b["expires_at"] = json!("2026-06-10T09:15:00Z")),
            1002,
        ),
        ("no key", with(|b| b["idempotency_key"] = json!("")), 1002),
    ] {
        let error = stage.refused("/locations", &body, (code, 400)).await;
        assert_eq!(error["retryable"], false, "{what}");
    }
    let to_come = with(|b| b["expires_at"] = json!("2026-06-10T09:15:01Z"));
    assert_eq!(stage.post("/locations", &to_come).await.status, 202);
    stage.close().await;
}

#[tokio::test]
async fn every_contact_card_is_a_message_of_its_own() {
    let stage = Stage::new().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let card = json!({ "contact": { "full_name": "Texas Prime Plumbing",
        "phones": [LINE], "emails": ["office@plumbing.example"] } });
    let path = format!("/chats/{chat}/send-contact");
    for _ in 0..2 {
        let sent = stage.done(&path, &card).await;
        assert_eq!(sent, json!({ "chat_id": chat, "status": "sent" }));
    }
    assert_eq!(stage.received(DANA).len(), 3);
    let mut first =
        json!({ "to": SAM, "vcard_text": "BEGIN:VCARD\nVERSION:3.0\nFN:Robin\nEND:VCARD" });
    let to_sam = stage.done("/chats/send-contact", &first).await;
    assert_eq!(stage.received(SAM).len(), 1);
    let history = format!("/chats/{}/messages", to_sam["chat_id"].as_str().unwrap());
    let parts = stage.get(&history).await.json()["messages"][0]["parts"].clone();
    assert_eq!(parts[0]["type"], "contact");
    let requests = stage.sandbox.journal(&Filter::default()).requests;
    let to: Vec<_> = requests.iter().filter_map(|r| r.to.as_deref()).collect();
    assert_eq!(to, [DANA, DANA, DANA, SAM]);
    assert!(
        requests[3].message_id.is_some(),
        "the record names the message"
    );
    first["to"] = Value::Null;
    stage
        .refused("/chats/send-contact", &first, (1001, 400))
        .await;
    first["to"] = json!("Sam");
    stage
        .refused("/chats/send-contact", &first, (1002, 400))
        .await;
    for (wrong, code) in [
        (json!({}), 1001),
        (json!({ "vcard_text": "Robin" }), 1002),
        (
            json!({ "vcard_text": "BEGIN:VCARD", "contact": { "full_name": "Robin" } }),
            1002,
        ),
        (json!({ "contact": "Robin" }), 1002),
        (json!({ "contact": {} }), 1002),
        (
            json!({ "contact": { "full_name": "Robin", "phones": LINE } }),
            1002,
        ),
        (
            json!({ "contact": { "full_name": "Robin", "emails": [7] } }),
            1002,
        ),
    ] {
        stage.refused(&path, &wrong, (code, 400)).await;
    }
    stage
        .refused("/chats/nope/send-contact", &card, (2002, 404))
        .await;
    stage.change_line(&json!({ "capabilities": ["locations"] }));
    stage.refused(&path, &card, (4099, 422)).await;
    assert_eq!(stage.totals().messages, 4);
    stage.close().await;
}

#[tokio::test]
async fn effects_and_grouped_pictures_are_checked_and_stand_in_the_record() {
    let stage = Stage::new().await;
    let slot = async |name: &str| {
        let body = json!({ "filename": name, "content_type": "image/png", "size_bytes": 3 });
        let slot = stage.done("/attachments", &body).await;
        let request = stage
            .client
            .put(slot["upload_url"].as_str().unwrap())
            .bearer_auth(stage.secret())
            .header("content-type", "image/png")
            .body("png");
        assert_eq!(answer(request).await.status, 200);
        json!({ "type": "media", "attachment_id": slot["attachment_id"] })
    };
    let pictures = json!([slot("a.png").await, slot("b.png").await]);
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let path = format!("/chats/{chat}/messages");
    let mut message = json!({ "parts": pictures, "effect": "confetti",
        "parallel_attachments": true });
    stage.done(&path, &json!({ "message": message })).await;
    message["effect"] = Value::Null;
    message["parallel_attachments"] = json!(false);
    let above = json!({ "message": message, "parallel_attachments": true });
    stage.done(&path, &above).await;
    stage.done(&path, &json!({ "message": message })).await;
    message["parallel_attachments"] = json!(true);
    message["parts"] = json!([pictures[0]]);
    stage.done(&path, &json!({ "message": message })).await;
    let mut first = hello(SAM, "k2");
    first["message"]["effect"] = json!("slam");
    stage.done("/chats", &first).await;
    let flat = json!({ "phone": SAM, "body": "Hi", "effect": "lasers" });
    stage.done("/send", &flat).await;
    let messages = stage.sandbox.journal(&Filter::default()).messages;
    let looks: Vec<_> = messages
        .iter()
        .map(|one| (one.effect, one.grouped))
        .collect();
    assert_eq!(
        looks,
        [
            (None, false),
            (Some("confetti"), true),
            (None, true),
            (None, false),
            (None, false),
            (Some("slam"), false),
            (Some("lasers"), false),
        ]
    );
    message["parallel_attachments"] = json!("yes");
    stage
        .refused(&path, &json!({ "message": message }), (1002, 400))
        .await;
    for (path, body) in [
        ("/chats", &mut first),
        (path.as_str(), &mut json!({ "message": message })),
    ] {
        body["message"]["parallel_attachments"] = Value::Null;
        body["message"]["effect"] = json!("sparkle");
        body["message"]["idempotency_key"] = Value::Null;
        let error = stage.refused(path, body, (4098, 400)).await;
        assert_eq!(error["allowed_effects"].as_array().unwrap().len(), 14);
    }
    stage.close().await;
}
