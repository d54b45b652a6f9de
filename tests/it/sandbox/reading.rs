//! What can be read back: messages, histories, lines (chert §8, §12).

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_message_is_sent_then_delivered_then_read() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k1").await["message"].clone();
    let path = format!("/messages/{}", sent["id"].as_str().unwrap());
    assert_eq!(stage.get(&path).await.json(), json!({ "message": sent }));
    stage.step(SignedDuration::from_secs(2));
    let delivered = stage.get(&path).await.json()["message"].clone();
    assert_eq!(delivered["status"], "delivered");
    assert_eq!(delivered["delivered_at"], "2026-06-10T09:15:02.000Z");
    assert!(delivered["read_at"].is_null());
    stage.step(SignedDuration::from_secs(8));
    let read = stage.get(&path).await.json()["message"].clone();
    assert_eq!(read["status"], "read");
    assert_eq!(read["delivered_at"], delivered["delivered_at"]);
    assert_eq!(read["read_at"], "2026-06-10T09:15:10.000Z");
    assert_eq!(stage.get("/messages/nope").await.code(), 2003);
    stage.close().await;
}

#[tokio::test]
async fn a_history_is_the_latest_two_hundred_oldest_first() {
    let stage = Stage::new().await;
    let first = stage.greet(DANA, "k0").await;
    let path = format!("/chats/{}/messages", first["chat"]["id"].as_str().unwrap());
    for n in 1..200 {
        stage.greet(DANA, &format!("k{n}")).await;
    }
    let all = stage.get(&path).await.json();
    assert_eq!(all["has_more"], false);
    assert_eq!(all["messages"][0]["id"], first["message"]["id"]);
    let last = stage.greet(DANA, "k200").await;
    let cut = stage.get(&path).await.json();
    let messages = cut["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &cut["has_more"]), (200, &json!(true)));
    assert_eq!(messages[0]["id"], all["messages"][1]["id"]);
    assert_eq!(messages[199]["id"], last["message"]["id"]);
    stage.close().await;
}

#[tokio::test]
async fn every_line_is_listed_and_can_be_sent_from() {
    let stage = Stage::with(SandboxConfig {
        lines: Vec::new(),
        ..config()
    })
    .await;
    let lines = stage.get("/phone-numbers").await.json()["phone_numbers"].clone();
    assert_eq!(lines.as_array().unwrap().len(), 2);
    for (n, line) in lines.as_array().unwrap().iter().enumerate() {
        assert_eq!(line["is_active"], true);
        assert_eq!(line["id"], line["phone_line_id"]);
        let mut body = hello(DANA, &n.to_string());
        body["from"] = line["phone_number"].clone();
        assert_eq!(stage.post("/chats", &body).await.status, 200);
    }
    let used = stage.totals().lines;
    assert_eq!(used.into_values().collect::<Vec<_>>(), [1, 1]);
    stage.close().await;
}

#[tokio::test]
async fn the_same_seed_gives_the_same_ids_in_any_order() {
    let mut chats = Vec::new();
    for order in [[DANA, SAM], [SAM, DANA]] {
        let stage = Stage::new().await;
        let mut seen = Vec::new();
        for to in order {
            let json = stage.greet(to, to).await;
            seen.push((
                to,
                json["chat"]["id"].clone(),
                json["message"]["id"].clone(),
            ));
        }
        seen.sort_by_key(|(to, ..)| *to);
        chats.push(seen);
        stage.close().await;
    }
    assert_eq!(chats[0], chats[1]);
}
