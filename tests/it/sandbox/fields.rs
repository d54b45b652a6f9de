//! Field by field, the codes of the sending routes (chert §3.2, §6, §7).

use serde_json::json;

use super::*;

fn chats(parts: &Value) -> Value {
    json!({ "from": LINE, "to": [DANA], "message": { "parts": parts } })
}

#[tokio::test]
async fn the_contracts_own_example_is_taken() {
    let stage = Stage::new().await;
    let body = json!({
        "from": LINE,
        "to": [DANA],
        "message": {
            "parts": [
                { "type": "text", "value": "Hi Dana, your table is ready." },
                { "type": "rich_link", "url": "https://bistro.example/menu" },
            ],
            "idempotency_key": "june-invite:+12025550143:1",
        },
    });
    let answer = stage.post("/chats", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let json = answer.json();
    let (chat, message) = (&json["chat"], &json["message"]);
    assert_eq!(
        chat["handles"],
        json!([{ "service": "imessage", "address": DANA }])
    );
    assert_eq!(chat["is_group"], false);
    assert_eq!(chat["created_at"], "2026-06-10T09:15:00.000Z");
    assert_eq!(message["chat_id"], chat["id"]);
    assert_eq!(message["parts"], body["message"]["parts"]);
    assert_eq!(message["status"], "sent");
    assert_eq!(message["direction"], "outbound");
    assert!(message["delivered_at"].is_null() && message["read_at"].is_null());
    stage.close().await;
}

/// A sound request with one change.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = chats(&json!([{ "type": "text", "value": "Hi" }]));
    change(&mut body);
    body
}

/// A request with one part.
fn part(part: &Value) -> Value {
    chats(&json!([part]))
}

/// Every request is refused with its code and status, in the envelope, and reaches nobody.
async fn refused(cases: Vec<(&str, Value, u64, u16)>) {
    let stage = Stage::new().await;
    for (what, body, code, status) in cases {
        let answer = stage.post("/chats", &body).await;
        assert_eq!((answer.code(), answer.status), (code, status), "{what}");
        let json = answer.json();
        let says = |place| json.pointer(place).cloned().unwrap_or_default();
        assert_eq!(says("/success"), false, "{what}");
        assert_eq!(says("/error/retryable"), false, "{what}");
        assert_eq!(says("/error/status"), status, "{what}");
        assert_eq!(
            says("/trace_id").as_str(),
            answer.header("x-trace-id"),
            "{what}"
        );
    }
    assert_eq!(stage.totals().messages, 0);
    stage.close().await;
}

#[tokio::test]
async fn a_missing_field_is_1001() {
    let cases = [
        ("no from", with(|b| b["from"] = Value::Null)),
        ("no to", with(|b| b["to"] = Value::Null)),
        ("nobody", with(|b| b["to"] = json!([]))),
        ("no message", with(|b| b["message"] = Value::Null)),
        ("no parts", with(|b| b["message"] = json!({}))),
        ("empty parts", chats(&json!([]))),
    ];
    let cases = cases.into_iter();
    refused(cases.map(|(what, body)| (what, body, 1001, 400)).collect()).await;
}

#[tokio::test]
async fn a_field_with_a_bad_value_is_1002() {
    let long = format!("https://e.com/{}", "x".repeat(2_048));
    let cases = [
        ("to is text", with(|b| b["to"] = json!(DANA))),
        ("from is a number", with(|b| b["from"] = json!(5))),
        ("parts is text", chats(&json!("Hi"))),
        ("message is text", with(|b| b["message"] = json!("Hi"))),
        ("twice the same", with(|b| b["to"] = json!([DANA, DANA]))),
        ("to oneself", with(|b| b["to"] = json!([LINE]))),
        ("no such part", part(&json!({ "type": "poem" }))),
        (
            "text for value",
            part(&json!({ "type": "text", "text": "Hi" })),
        ),
        (
            "an empty text",
            part(&json!({ "type": "text", "value": "" })),
        ),
        ("a bare link", part(&json!({ "type": "rich_link" }))),
        (
            "no address",
            part(&json!({ "type": "rich_link", "url": "x" })),
        ),
        (
            "a long link",
            part(&json!({ "type": "rich_link", "url": long })),
        ),
        ("a bare media", part(&json!({ "type": "media" }))),
        (
            "an empty key",
            with(|b| b["message"]["idempotency_key"] = json!("")),
        ),
        (
            "a key of numbers",
            with(|b| b["message"]["idempotency_key"] = json!(1)),
        ),
    ];
    let cases = cases.into_iter();
    refused(cases.map(|(what, body)| (what, body, 1002, 400)).collect()).await;
}

#[tokio::test]
async fn bad_numbers_foreign_lines_and_crowds_have_their_codes() {
    let many: Vec<String> = (0..32).map(|n| format!("+120255501{n:02}")).collect();
    let foreign = json!("+12025550111");
    refused(vec![
        (
            "national",
            with(|b| b["to"] = json!(["2025550143"])),
            1003,
            400,
        ),
        (
            "national line",
            with(|b| b["from"] = json!("2025550188")),
            1003,
            400,
        ),
        ("32 people", with(|b| b["to"] = json!(many)), 1006, 422),
        (
            "unknown line",
            with(|b| b["from"] = foreign.clone()),
            2006,
            400,
        ),
        (
            "unknown line, group",
            with(|b| {
                b["from"] = foreign.clone();
                b["to"] = json!([DANA, SAM]);
            }),
            2006,
            403,
        ),
    ])
    .await;
}

#[tokio::test]
async fn parts_that_break_a_rule_have_their_codes() {
    let text = json!({ "type": "text", "value": "Hi" });
    let link = json!({ "type": "rich_link", "url": "https://bistro.example" });
    let novel = json!({ "type": "text", "value": "x".repeat(10_001) });
    let url = json!({ "type": "text", "value": "see bistro-example.com" });
    let legacy = json!({ "type": "link", "value": "https://bistro.example" });
    let unknown = json!({ "type": "media", "attachment_id": "x" });
    let both = json!({ "type": "media", "url": "https://e.com/a.png", "attachment_id": "x" });
    let group = with(|b| {
        b["to"] = json!([DANA, SAM]);
        b["message"]["parts"] = json!([text, link]);
    });
    refused(vec![
        ("eleven", chats(&json!(vec![link.clone(); 11])), 1006, 400),
        ("two texts", chats(&json!([text, text])), 1008, 400),
        ("a novel", part(&novel), 1009, 400),
        ("a URL in the text", part(&url), 1005, 400),
        ("a legacy link", part(&legacy), 1005, 400),
        ("media by id and url", part(&both), 1011, 409),
        ("unknown file", part(&unknown), 5001, 404),
        ("a link to a group", group, 4099, 501),
    ])
    .await;
}

#[tokio::test]
async fn what_may_go_first_is_taken() {
    let stage = Stage::new().await;
    let text = json!({ "type": "text", "value": "Write to me@example.com" });
    let link = json!({ "type": "rich_link", "url": "https://bistro.example", "title": "Menu" });
    let image = json!({ "type": "media", "url": "https://bistro.example/a.png" });
    for parts in [
        json!([text]),
        json!([text, link, text]),
        json!([image, text, link]),
        json!([{ "type": "text", "value": "x".repeat(10_000) }]),
    ] {
        let answer = stage.post("/chats", &chats(&parts)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let group = json!({ "from": LINE, "to": [DANA, SAM],
        "message": { "parts": [{ "type": "text", "value": "Hi both" }], "subject": "Dinner" } });
    let chat = stage.post("/chats", &group).await.json()["chat"].clone();
    assert_eq!(chat["is_group"], true);
    assert_eq!(chat["display_name"], "Dinner");
    assert_eq!(chat["handles"].as_array().unwrap().len(), 2);
    stage.close().await;
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let stage = Stage::new().await;
    for (body, code) in [
        ("", 1004),
        ("hello", 1004),
        ("{\"from\":", 1004),
        ("[]", 1002),
    ] {
        let request = stage.bearer(Method::POST, "/chats").body(body);
        assert_eq!(answer(request).await.code(), code, "{body:?}");
    }
    let long = stage
        .bearer(Method::POST, "/chats")
        .body(" ".repeat((1 << 20) + 1));
    let long = answer(long).await;
    assert_eq!((long.code(), long.status), (1002, 413));
    stage.close().await;
}

#[tokio::test]
async fn a_known_person_keeps_the_chat_and_a_follow_up_goes_by_its_id() {
    let stage = Stage::new().await;
    let first = stage.greet(DANA, "k1").await;
    let second = stage.greet(DANA, "k2").await;
    assert_eq!(first["chat"], second["chat"]);
    assert_ne!(first["message"]["id"], second["message"]["id"]);
    let id = first["chat"]["id"].as_str().unwrap();
    let path = format!("/chats/{id}/messages");
    let body = json!({ "message": { "parts": [{ "type": "text", "value": "See https://bistro.example" }] } });
    let answer = stage.post(&path, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["message"]["chat_id"], id);
    assert!(answer.json().get("chat").is_none());
    for (what, path, body, code) in [
        (
            "no such chat",
            "/chats/nope/messages".to_owned(),
            body.clone(),
            2002,
        ),
        (
            "other case",
            format!("/chats/{}/messages", id.to_uppercase()),
            body.clone(),
            2002,
        ),
        (
            "parts at top level",
            path.clone(),
            body["message"].clone(),
            1001,
        ),
        (
            "unknown effect",
            path.clone(),
            json!({ "message": { "effect": "boom", "parts": body["message"]["parts"] } }),
            4098,
        ),
    ] {
        assert_eq!(stage.post(&path, &body).await.code(), code, "{what}");
    }
    stage.close().await;
}

#[tokio::test]
async fn send_makes_a_lead_once() {
    let stage = Stage::new().await;
    let send = |body: &str| json!({ "phone": DANA, "body": body, "name": "Dana Ruiz" });
    let first = stage
        .post("/send", &send("Hi\nDana\n\nAll well?"))
        .await
        .json();
    assert_eq!(first["status"], "sent");
    assert_eq!(first["lead_created"], true);
    let again = stage
        .post("/send", &send("see https://bistro.example"))
        .await
        .json();
    assert_eq!(again["lead_created"], false);
    assert_eq!(again["lead_id"], first["lead_id"]);
    let history = format!("/chats/{}/messages", first["lead_id"].as_str().unwrap());
    let parts = stage.get(&history).await.json()["messages"][0]["parts"].clone();
    assert_eq!(
        parts,
        json!([{ "type": "text", "value": "Hi\nDana" }, { "type": "text", "value": "All well?" }])
    );
    let convo = format!("/chats/{}/messages", first["convo_id"].as_str().unwrap());
    assert_eq!(stage.get(&convo).await.code(), 2002);
    let chat = stage.greet(DANA, "k1").await["chat"].clone();
    assert_eq!(chat["id"], first["lead_id"]);
    assert_eq!(chat["display_name"], "Dana Ruiz");
    stage.close().await;
}

#[tokio::test]
async fn send_fails_flat() {
    let stage = Stage::new().await;
    for (what, body, code) in [
        ("no phone", json!({ "body": "Hi" }), 1001),
        ("no body", json!({ "phone": SAM }), 1001),
        ("bad number", json!({ "phone": "555", "body": "Hi" }), 1003),
        (
            "a URL at first",
            json!({ "phone": SAM, "body": "bistro.com" }),
            1005,
        ),
        (
            "unknown line",
            json!({ "phone": SAM, "body": "Hi", "phone_line_id": "pl_x" }),
            2006,
        ),
        (
            "unknown effect",
            json!({ "phone": SAM, "body": "Hi", "effect": "boom" }),
            4098,
        ),
        (
            "a file by url",
            json!({ "phone": SAM, "body": "Hi", "attachments": [{ "url": "x" }] }),
            1011,
        ),
        (
            "a live photo by word",
            json!({ "phone": SAM, "body": "Hi", "attachments": [{ "id": "a", "live_photo": "yes" }] }),
            1002,
        ),
        (
            "no list",
            json!({ "phone": SAM, "body": "Hi", "attachments": "x" }),
            1002,
        ),
    ] {
        let answer = stage.post("/send", &body).await;
        let json = answer.json();
        assert_eq!(answer.code(), code, "{what}");
        assert_eq!(json["status"], "failed", "{what}");
        assert!(
            json.get("trace_id").is_none() && json["error"].is_string(),
            "{what}"
        );
        assert!(answer.header("x-trace-id").is_some(), "{what}");
        assert_eq!(
            json.get("allowed_effects").is_some(),
            code == 4098,
            "{what}"
        );
    }
    assert!(stage.received(SAM).is_empty());
    stage.close().await;
}

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_the_envelope() {
    let stage = Stage::new().await;
    for (method, path) in [
        (Method::GET, "/nothing"),
        (Method::GET, "/chats"),
        (Method::GET, "/chats/b7e9b1c4-52b5-4a0f-8d7c-0c6a1f3e9d55"),
        (Method::DELETE, "/messages/9c41d07e5ab24a6db3c8f17700e2aa31"),
        (Method::DELETE, "/phone-numbers"),
    ] {
        let answer = answer(stage.bearer(method, path)).await;
        assert_eq!((answer.code(), answer.status), (2011, 404), "{path}");
        assert!(answer.header("x-trace-id").is_some());
    }
    stage.close().await;
}
