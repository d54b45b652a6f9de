//! Upload slots and what may be put into them (chert §10).

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
