//! Lines that go inactive, and what they can do (chert §12), set through the control surface.

use serde_json::json;

use super::*;

const OTHER: &str = "+12025550189";

async fn two_lines() -> Stage {
    let lines = [LINE, OTHER].map(|line| Phone::from_e164(line).unwrap());
    Stage::with(SandboxConfig {
        lines: lines.into(),
        ..config()
    })
    .await
}

impl Stage {
    async fn set(&self, line: &str, change: &Value) -> Answer {
        let path = format!("/lines/{line}");
        answer(self.control(Method::PUT, &path).body(change.to_string())).await
    }
}

#[tokio::test]
async fn an_inactive_line_sends_nothing_and_the_others_go_on() {
    let stage = two_lines().await;
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let set = stage.set(LINE, &json!({ "is_active": false })).await;
    assert_eq!(set.json()["is_active"], false, "{}", set.text);
    let lines = stage.get("/phone-numbers").await.json()["phone_numbers"].clone();
    let active: Vec<_> = lines
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["is_active"])
        .collect();
    assert_eq!(active, [false, true]);
    let not_ours = stage
        .refused("/chats", &hello(SAM, "k2"), (2006, 400))
        .await;
    assert_eq!(not_ours["retryable"], false);
    let follow = json!({ "message": { "parts": [{ "type": "text", "value": "Hi" }] } });
    stage
        .refused(&format!("/chats/{chat}/messages"), &follow, (2006, 400))
        .await;
    let pinned = stage
        .post("/send", &json!({ "phone": DANA, "body": "Hi" }))
        .await;
    assert_eq!(pinned.code(), 2006, "{}", pinned.text);
    for person in [SAM, "+12025550145", "+12025550146", "+12025550147"] {
        let free = stage
            .done("/send", &json!({ "phone": person, "body": "Hi" }))
            .await;
        assert_eq!(free["phone_line_id"], lines[1]["id"]);
    }
    let mut moved = hello(DANA, "k3");
    moved["from"] = json!(OTHER);
    stage.done("/chats", &moved).await;
    stage.set(OTHER, &json!({ "is_active": false })).await;
    let none = stage
        .post("/send", &json!({ "phone": "+12025550148", "body": "Hi" }))
        .await;
    assert_eq!(none.code(), 4002);
    assert_eq!(none.json()["retryable"], true, "{}", none.text);
    stage.set(LINE, &json!({ "is_active": true })).await;
    stage.done("/chats", &hello(SAM, "k2")).await;
    stage.close().await;
}

#[tokio::test]
async fn a_line_is_changed_over_http_shown_to_clients_and_made_whole_by_a_reset() {
    let stage = two_lines().await;
    let whole = stage.look("/lines").await;
    let all = [
        "contacts",
        "edit",
        "groups",
        "locations",
        "mark_read",
        "typing",
    ];
    assert_eq!(whole["lines"][0]["capabilities"], json!(all));
    assert_eq!(whole["lines"][0]["phone"], LINE);
    let set = stage
        .set(LINE, &json!({ "capabilities": ["typing", "edit"] }))
        .await;
    assert_eq!(set.json()["capabilities"], json!(["edit", "typing"]));
    assert_eq!(set.json()["is_active"], true, "what is left out stays");
    let shown = stage.get("/phone-numbers").await.json()["phone_numbers"].clone();
    assert_eq!(
        shown[0]["capabilities"],
        json!(["imessage", "send", "receive", "edit", "typing"])
    );
    assert_eq!(shown[1]["capabilities"].as_array().unwrap().len(), 9);
    for (line, change, status) in [
        ("+12025550111", json!({ "is_active": false }), 404),
        ("Dana", json!({ "is_active": false }), 400),
        (LINE, json!({ "active": false }), 400),
        (LINE, json!({ "capabilities": ["fax"] }), 400),
    ] {
        let refused = stage.set(line, &change).await;
        assert_eq!(refused.status, status, "{line} {change}");
        assert!(refused.json()["error"].is_string());
    }
    answer(stage.control(Method::POST, "/reset")).await;
    assert_eq!(stage.look("/lines").await, whole);
    stage.close().await;
}

#[tokio::test]
async fn what_names_no_line_goes_by_one_that_can() {
    let stage = two_lines().await;
    let pin = |person: &str| json!({ "phone": person, "latitude": 48.8584, "longitude": 2.2945 });
    let people = [
        "+12025550145",
        "+12025550146",
        "+12025550147",
        "+12025550148",
    ];
    stage.set(LINE, &json!({ "capabilities": [] })).await;
    for person in people {
        let pinned = stage.post("/locations", &pin(person)).await;
        assert_eq!(pinned.status, 202, "{}", pinned.text);
    }
    assert_eq!(
        stage.totals().lines,
        [(OTHER.to_owned(), people.len())].into()
    );
    stage.set(OTHER, &json!({ "is_active": false })).await;
    stage.refused("/locations", &pin(SAM), (4002, 503)).await;
    stage.set(OTHER, &json!({ "capabilities": [] })).await;
    stage.refused("/locations", &pin(SAM), (4099, 422)).await;
    stage.close().await;
}

#[tokio::test]
async fn the_chats_are_shown_as_they_are_now() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k1").await;
    stage
        .done(
            "/send",
            &json!({ "phone": SAM, "body": "Hi", "name": "Sam Ortiz" }),
        )
        .await;
    let chats = stage.look("/chats").await["chats"].clone();
    assert_eq!(
        chats[0],
        json!({ "chat_id": chat_of(&sent), "delivery_chat_id": format!("iMessage;-;{DANA}"),
            "is_group": false, "display_name": DANA, "group_chat_icon": null,
            "participants": [DANA], "line": LINE, "left": false, "messages": 1 })
    );
    assert_eq!(chats[1]["display_name"], "Sam Ortiz");
    let of_sam = stage.look("/chats?to=%2B12025550144").await["chats"].clone();
    assert_eq!(of_sam, json!([chats[1]]));
    stage.close().await;
}
