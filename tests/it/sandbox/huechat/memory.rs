//! What the sandbox's HueChat was asked is there again after a restart with a state file.

use std::path::Path;

use super::*;

async fn open(path: &Path, at_us: i64) -> Hue {
    let config = SandboxConfig {
        huechat: HueConfig {
            read_percent: 100,
            ..unlimited()
        },
        ..config()
    };
    Hue(Stage::begin(config, at_us, Some(path)).await.unwrap())
}

/// Everything that is remembered.
async fn memory(hue: &Hue) -> Value {
    json!({
        "messages": hue.sandbox.hue_messages(),
        "heard": hue.sandbox.hue_heard(),
        "contacts": hue.sandbox.hue_contacts(),
        "conversations": hue.read("/conversations?status=all").await,
        "webhooks": hue.read("/webhooks").await,
        "templates": hue.sandbox.hue_templates(),
    })
}

#[tokio::test]
async fn what_was_done_is_there_again_after_a_restart_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sandbox.state");
    let hue = open(&path, MORNING_US).await;
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Hello").await;
    hue.step_ms(300);
    let troubled = hue.contact("+12025550106").await;
    let troubled = format!("/contact/{troubled}/message");
    assert_eq!(hue.post(&troubled, &whatsapp("Hello")).await.status, 500);
    let inbound = json!({ "from": PAT, "channel": "whatsapp", "text": "Hi" });
    let heard = answer(
        hue.control(Method::POST, "/inbound")
            .body(inbound.to_string()),
    )
    .await;
    assert_eq!(heard.status, 200);
    let conversation = sent["conversation_id"].as_str().unwrap();
    hue.put(
        &format!("/conversation/{conversation}"),
        &json!({ "labels": ["vip"] }),
    )
    .await;
    let hook = json!({ "url": "https://hooks.example/x", "events": ["message.read"] });
    hue.made("/webhooks", &hook).await;
    hue.put(
        &format!("/contact/{id}"),
        &json!({ "metadata": { "table": 4 } }),
    )
    .await;
    let gone = hue.contact("+447700900124").await;
    hue.ask(Method::DELETE, &format!("/contact/{gone}"), None)
        .await;
    let templates = json!({ "templates": [{ "name": "a", "status": "approved", "body": "x" }] });
    answer(
        hue.control(Method::PUT, "/templates")
            .body(templates.to_string()),
    )
    .await;
    let before = memory(&hue).await;
    let at_us = hue.now_us.load(Ordering::SeqCst);
    hue.close().await;
    assert!(
        !std::fs::read_to_string(&path).unwrap().contains(KEY),
        "no key is kept"
    );

    let hue = open(&path, at_us).await;
    assert_eq!(memory(&hue).await, before);
    assert_eq!(
        hue.sent()[0].status,
        "delivered",
        "it has not been read yet"
    );
    hue.step_ms(300);
    assert_eq!(hue.sent()[0].status, "read");
    assert_eq!(
        hue.post(&troubled, &whatsapp("Hello")).await.status,
        201,
        "a second try"
    );
    hue.refused(
        "/contact",
        &json!({ "phone": PAT, "first_name": "Pat" }),
        (409, "conflict"),
    )
    .await;
    let again = hue.write(&id, "Hello").await;
    assert_ne!(again["id"], sent["id"]);
    hue.close().await;
}
