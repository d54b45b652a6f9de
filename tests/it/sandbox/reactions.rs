//! What people do besides writing: reactions, and to whose line they write (chert §13).

use serde_json::json;

use super::*;

impl Stage {
    async fn react(&self, from: &str, message: &str, reaction: Option<&str>) -> Answer {
        let body = json!({ "from": from, "message_id": message, "reaction": reaction });
        let request = self.control(Method::POST, "/reactions");
        answer(request.body(body.to_string())).await
    }
}

#[tokio::test]
async fn a_reaction_is_told_as_it_is_put_on_changed_and_taken_back() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k0").await;
    let message = sent["message"]["id"].as_str().unwrap();
    for reaction in [Some("love"), Some("laugh"), None] {
        let answer = stage.react(DANA, message, reaction).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let log = stage.get("/events").await.json();
    let rows = log["events"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            let data = &row["payload"]["data"];
            assert_eq!(data["message"]["id"], message);
            assert_eq!(data["chat"]["id"], sent["chat"]["id"]);
            assert_eq!(data["reaction"]["sender_handle"]["handle"], DANA);
            let kind = row["type"].as_str().unwrap();
            (kind, data["reaction"]["type"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("reaction.added", "love"),
            ("reaction.removed", "love"),
            ("reaction.added", "laugh"),
            ("reaction.removed", "laugh")
        ]
    );
    let filtered = stage.get("/events?type=reaction.removed").await.json();
    assert_eq!(filtered["count"], 2);
    let path = format!("/chats/{}/messages", sent["chat"]["id"].as_str().unwrap());
    let history = stage.get(&path).await.json();
    assert_eq!(
        history["messages"].as_array().unwrap().len(),
        1,
        "a reaction is no message"
    );
    stage.close().await;
}

#[tokio::test]
async fn only_who_received_a_message_can_react_to_it() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k0").await;
    let message = sent["message"]["id"].as_str().unwrap();
    for (from, id, reaction, part) in [
        (SAM, message, Some("love"), "`message_id`"),
        (DANA, "nothing", Some("love"), "`message_id`"),
        (DANA, message, Some("LOVE"), "`reaction`"),
        (DANA, message, None, "taken back"),
        ("Dana", message, Some("love"), "not a phone number"),
    ] {
        let refused = stage.react(from, id, reaction).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(part), "{}", refused.text);
    }
    assert_eq!(stage.get("/events").await.json()["count"], 0);
    stage.close().await;
}

#[tokio::test]
async fn a_person_may_write_to_the_line_of_a_named_tenant() {
    let other = Tenant::new("other-1a2b", "5".repeat(32));
    let stage = Stage::with(SandboxConfig {
        tenants: vec![Tenant::of_seed(7), other.clone()],
        ..config()
    })
    .await;
    stage.greet(DANA, "k0").await;
    let body = json!({ "from": DANA, "text": "STOP", "tenant": other.slug });
    let request = stage.control(Method::POST, "/inbound");
    let told = answer(request.body(body.to_string())).await;
    assert_eq!(told.status, 200, "{}", told.text);
    assert_eq!(stage.get("/events").await.json()["count"], 0);
    let theirs = stage
        .bare(Method::GET, "/events")
        .bearer_auth(other.secret.expose_secret());
    let theirs = answer(theirs).await.json();
    assert_eq!(theirs["events"][0]["payload"]["partner_id"], other.slug);
    let body = json!({ "from": DANA, "text": "STOP", "tenant": "nobody-0000" });
    let request = stage.control(Method::POST, "/inbound");
    let refused = answer(request.body(body.to_string())).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("`tenant`"), "{}", refused.text);
    stage.close().await;
}

#[tokio::test]
async fn the_journal_lists_what_people_wrote_and_how_they_reacted() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k0").await;
    let message = sent["message"]["id"].as_str().unwrap();
    let event_id = stage.hear(DANA, "On my way");
    stage.hear(SAM, "Who is this?");
    stage.react(DANA, message, Some("like")).await;
    let heard = stage.look("/journal?to=%2B12025550143").await["inbound"].clone();
    let heard = heard.as_array().unwrap();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0]["event_id"], event_id);
    assert_eq!(
        (&heard[0]["from"], &heard[0]["to"]),
        (&json!(DANA), &json!(LINE))
    );
    assert_eq!(heard[0]["text"], "On my way");
    assert_eq!(heard[0]["tenant"], stage.tenant.slug);
    assert_eq!(heard[1]["event"], "reaction.added");
    assert_eq!(heard[1]["reaction"], "like");
    assert_eq!(heard[1]["message_id"], message);
    stage.sandbox.reset();
    assert_eq!(stage.look("/journal").await["inbound"], json!([]));
    stage.close().await;
}
