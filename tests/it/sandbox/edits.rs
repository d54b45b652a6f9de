//! Edits of what was sent (chert §11).

use serde_json::json;

use super::*;

fn edit(text: &str) -> Value {
    json!({ "new_text": text })
}

/// The path by which a message of this answer is edited.
fn path_of(answer: &Value) -> String {
    format!("/messages/{}/edit", message_of(answer))
}

#[tokio::test]
async fn an_edit_changes_what_the_person_sees_and_tells_the_edits_before_it() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k1").await;
    let path = path_of(&sent);
    stage.step(SignedDuration::from_mins(1));
    let first = stage.done(&path, &edit("Your table is at 7.")).await;
    assert_eq!(
        first,
        json!({
            "status": "edited",
            "message_id": message_of(&sent),
            "new_text": "Your table is at 7.",
            "date_edited": "2026-06-10T09:16:00.000Z",
            "edit_history": null,
        })
    );
    stage.step(SignedDuration::from_mins(1));
    let second = stage.done(&path, &edit("Your table is at 8.")).await;
    assert_eq!(
        second["edit_history"],
        json!([{ "text": "Your table is at 7.", "date": "2026-06-10T09:16:00.000Z" }])
    );
    let shown = json!([{ "type": "text", "value": "Your table is at 8." }]);
    let one = stage.get(&format!("/messages/{}", message_of(&sent))).await;
    assert_eq!(one.json()["message"]["parts"], shown);
    let history = stage
        .get(&format!("/chats/{}/messages", chat_of(&sent)))
        .await;
    assert_eq!(history.json()["messages"][0]["parts"], shown);
    let record = stage.look("/journal").await;
    assert_eq!(record["messages"][0]["parts"], shown);
    assert_eq!(record["totals"]["messages"], 1, "an edit is no message");
    assert_eq!(stage.deeds().len(), 2);
    assert_eq!(
        stage.greet(DANA, "k1").await,
        sent,
        "a repeated request gets its first answer"
    );
    stage.close().await;
}

#[tokio::test]
async fn an_edit_may_come_for_fifteen_minutes_and_no_retry_helps_after_them() {
    let stage = Stage::new().await;
    let path = path_of(&stage.greet(DANA, "k1").await);
    stage.step(SignedDuration::from_mins(15));
    stage.done(&path, &edit("In time")).await;
    stage.step(SignedDuration::from_micros(1));
    let late = stage.refused(&path, &edit("Late"), (4001, 502)).await;
    assert_eq!(late["retryable"], false);
    assert_eq!(stage.deeds().len(), 1);
    stage.close().await;
}

#[tokio::test]
async fn only_a_text_that_was_sent_can_be_edited() {
    let stage = Stage::new().await;
    let mut body = hello(DANA, "k1");
    let link = json!({ "type": "rich_link", "url": "https://bistro.example/menu" });
    body["message"]["parts"].as_array_mut().unwrap().push(link);
    let sent = stage.done("/chats", &body).await;
    stage.hear(DANA, "Thanks!");
    let path = path_of(&sent);
    for wrong in [
        json!({}),
        edit("  "),
        json!({ "new_text": 7 }),
        json!({ "new_text": "Hi", "edited_part_index": 2 }),
        json!({ "new_text": "Hi", "edited_part_index": -1 }),
        json!({ "new_text": "Hi", "edited_part_index": "0" }),
    ] {
        stage.refused(&path, &wrong, (1002, 400)).await;
    }
    stage
        .refused(&path, &edit(&"x".repeat(10_001)), (1009, 400))
        .await;
    let second = json!({ "new_text": "Hi", "edited_part_index": 1 });
    let failed = stage.refused(&path, &second, (4001, 502)).await;
    assert_eq!(failed["retryable"], false);
    let history = stage
        .get(&format!("/chats/{}/messages", chat_of(&sent)))
        .await;
    let received = history.json()["messages"][1]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let theirs = format!("/messages/{received}/edit");
    let failed = stage.refused(&theirs, &edit("No"), (4001, 502)).await;
    assert_eq!(failed["retryable"], false);
    stage
        .refused("/messages/nope/edit", &edit("Hi"), (2003, 404))
        .await;
    stage.change_line(&json!({ "capabilities": ["groups"] }));
    stage.refused(&path, &edit("Hi"), (4099, 501)).await;
    assert!(stage.deeds().is_empty());
    stage.close().await;
}
