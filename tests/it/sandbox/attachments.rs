//! Upload slots and what may be put into them (chert §10).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;

async fn slot(stage: &Stage, size: u64) -> Value {
    let body = json!({ "filename": "a.png", "content_type": "image/png", "size_bytes": size });
    let answer = stage.post("/attachments", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn put(stage: &Stage, slot: &Value, bytes: &'static [u8]) -> RequestBuilder {
    stage
        .client
        .put(slot["upload_url"].as_str().unwrap())
        .header("content-type", "image/png")
        .bearer_auth(stage.secret())
        .body(bytes)
}

fn media(slot: &Value) -> Value {
    json!({ "from": LINE, "to": [DANA], "message": { "parts": [
        { "type": "media", "url": "https://bistro.example/a.png" },
        { "type": "media", "attachment_id": slot["attachment_id"] },
    ] } })
}

#[tokio::test]
async fn a_file_can_be_sent_once_it_is_uploaded() {
    let stage = Stage::new().await;
    let slot = slot(&stage, 5).await;
    assert_eq!(slot["required_headers"]["content-type"], "image/png");
    assert_eq!(slot["expires_at"], "2026-06-10T09:30:00.000Z");
    let early = stage.post("/chats", &media(&slot)).await;
    assert_eq!(early.code(), 5004);
    assert_eq!(early.json()["error"]["attachment_index"], 1);
    let done = answer(put(&stage, &slot, b"bytes")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.json()["status"], "uploaded");
    assert_eq!(stage.post("/chats", &media(&slot)).await.status, 200);
    let send = json!({ "phone": SAM, "body": "Hi", "attachments": [slot["attachment_id"]] });
    assert_eq!(stage.post("/send", &send).await.status, 200);
    let files = stage.sandbox.journal(&Filter::default()).files;
    assert_eq!(files[0].bytes, 5);
    assert_eq!(
        files[0].sha256,
        sendoff::domain::digest::Digest::of(b"bytes")
    );
    assert_eq!(answer(put(&stage, &slot, b"bytes")).await.code(), 1012);
    stage.close().await;
}

#[tokio::test]
async fn every_mistake_in_an_announcement_has_its_code() {
    let stage = Stage::new().await;
    let good = json!({ "filename": "a.png", "content_type": "image/png", "size_bytes": 5 });
    for (field, value, code) in [
        ("filename", Value::Null, 1001),
        ("content_type", Value::Null, 1001),
        ("size_bytes", Value::Null, 1001),
        ("filename", json!(""), 1002),
        ("size_bytes", json!(0), 1002),
        ("size_bytes", json!("5"), 1002),
        ("size_bytes", json!(100_000_001), 5002),
        ("content_type", json!("application/x-msdownload"), 5003),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        assert_eq!(
            stage.post("/attachments", &body).await.code(),
            code,
            "{field}: {value}"
        );
    }
    stage.close().await;
}

#[tokio::test]
async fn every_mistake_in_an_upload_has_its_code() {
    let stage = Stage::new().await;
    let slot = slot(&stage, 3).await;
    let upload = |bytes| put(&stage, &slot, bytes);
    assert_eq!(answer(upload(b"four")).await.code(), 5002);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("fo"), Ok("ur")]);
    let unannounced = upload(b"").body(reqwest::Body::wrap_stream(chunks));
    assert_eq!(answer(unannounced).await.code(), 5002);
    let other_type = stage
        .client
        .put(slot["upload_url"].as_str().unwrap())
        .header("content-type", "image/jpeg")
        .bearer_auth(stage.secret())
        .body("abc");
    assert_eq!(answer(other_type).await.code(), 5003);
    let signed = stage
        .client
        .put(slot["upload_url"].as_str().unwrap())
        .header("content-type", "image/png")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header(
            "x-chert-signature",
            signature(stage.secret(), stage.now_s(), "abc"),
        )
        .body("abc");
    assert_eq!(
        answer(signed).await.code(),
        2012,
        "uploads take the token only"
    );
    let nowhere = stage
        .bearer(Method::PUT, "/attachments/nope/upload")
        .header("content-type", "image/png")
        .body("abc");
    assert_eq!(answer(nowhere).await.code(), 5001);
    stage.step(SignedDuration::from_mins(15));
    assert_eq!(
        answer(upload(b"abc")).await.code(),
        5001,
        "the slot has lapsed"
    );
    assert_eq!(stage.post("/chats", &media(&slot)).await.code(), 5001);
    stage.close().await;
}

/// Gives the sandbox a file that a person is to send.
async fn given(stage: &Stage, kind: &str, bytes: &[u8]) -> Answer {
    let request = stage.control(Method::POST, "/files");
    let file = json!({ "content_type": kind, "base64": STANDARD.encode(bytes) });
    answer(request.body(file.to_string())).await
}

/// A person writes, over HTTP.
async fn written(stage: &Stage, body: &Value) -> Answer {
    let request = stage.control(Method::POST, "/inbound");
    answer(request.body(body.to_string())).await
}

#[tokio::test]
async fn a_picture_that_a_person_sent_is_read_back_to_the_byte_by_its_account_alone() {
    let (ours, other) = (Tenant::of_seed(7), Tenant::of_seed(8));
    let stage = Stage::with(SandboxConfig {
        tenants: vec![ours, other.clone()],
        ..config()
    })
    .await;
    let sent = stage.greet(DANA, "k1").await;
    let bytes = b"\x89PNG\r\n\x1a\n\x00\xff";
    let id = given(&stage, "image/png", bytes).await.json()["attachment_id"].clone();
    let id = id.as_str().unwrap();
    assert!(id.starts_with("in_") && id.len() == 35, "{id}");
    let path = format!("/attachments/{id}/content");
    assert_eq!(
        stage.get(&path).await.code(),
        5001,
        "nobody has sent it yet"
    );
    let half = json!({ "from": DANA, "files": [id, "in_nope"] });
    assert_eq!(written(&stage, &half).await.status, 400);
    assert_eq!(
        stage.get(&path).await.code(),
        5001,
        "nor with half a message"
    );
    let word = json!({ "from": DANA, "text": "Look", "files": [id] });
    assert_eq!(written(&stage, &word).await.status, 200);
    let alone = json!({ "from": DANA, "files": [id, id] });
    assert_eq!(written(&stage, &alone).await.status, 200);
    let media = json!({ "type": "media", "attachment_id": id });
    let history = format!("/chats/{}/messages", sent["chat"]["id"].as_str().unwrap());
    let history = stage.get(&history).await.json()["messages"].clone();
    assert_eq!(
        history[1]["parts"],
        json!([{ "type": "text", "value": "Look" }, media])
    );
    let events = stage.get("/events").await.json()["events"].clone();
    let parts = |n: usize| events[n]["payload"]["data"]["message"]["parts"].clone();
    assert_eq!(parts(0), json!([media, media]));
    assert_eq!(parts(1), history[1]["parts"]);
    let read = stage.bearer(Method::GET, &path).send().await.unwrap();
    assert_eq!(read.headers()["content-type"], "image/png");
    assert!(read.headers().contains_key("x-trace-id"));
    assert_eq!(read.bytes().await.unwrap().as_ref(), bytes);
    let stranger = stage.bare(Method::GET, &path);
    let stranger = stranger.bearer_auth(other.secret.expose_secret());
    assert_eq!(answer(stranger).await.code(), 5001);
    let uploaded = slot(&stage, 3).await;
    let uploaded = uploaded["attachment_id"].as_str().unwrap();
    for unknown in [uploaded, "in_nope", &id.to_uppercase()] {
        let path = format!("/attachments/{unknown}/content");
        assert_eq!(stage.get(&path).await.code(), 5001, "{unknown}");
    }
    stage.close().await;
}

#[tokio::test]
async fn a_file_that_nobody_can_send_is_refused_in_words() {
    let stage = Stage::new().await;
    stage.greet(DANA, "k1").await;
    let long = vec![0; 3_000_001];
    for (kind, bytes, says) in [
        ("image/png", &b""[..], "empty"),
        ("image/png", &long[..], "3 MB"),
        ("png", &b"png"[..], "content_type"),
    ] {
        let refused = given(&stage, kind, bytes).await;
        assert_eq!(refused.status, 400, "{says}");
        assert!(refused.json()["error"].as_str().unwrap().contains(says));
    }
    let bent = stage.control(Method::POST, "/files");
    let bent = bent.body(json!({ "content_type": "image/png", "base64": "?" }).to_string());
    assert_eq!(answer(bent).await.status, 400);
    assert_eq!(given(&stage, "image/png", &long[1..]).await.status, 200);
    for (files, says) in [(json!([]), "empty"), (json!(["in_nope"]), "not given")] {
        let refused = written(&stage, &json!({ "from": DANA, "files": files })).await;
        assert_eq!(refused.status, 400, "{says}");
        assert!(refused.json()["error"].as_str().unwrap().contains(says));
    }
    assert_eq!(stage.get("/events").await.json()["count"], 0);
    stage.close().await;
}
