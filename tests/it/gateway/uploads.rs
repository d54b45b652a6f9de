//! Files: the slot, the bytes, and where the secret goes.

use bytes::Bytes;
use sendoff::domain::digest::Digest;
use sendoff::domain::message::Media;
use sendoff::domain::outcome::Outcome;
use sendoff::gateway::Gateway;

use super::server::{Received, Reply, Server, Then, raw, reply};
use super::{SECRET, account, gateway_of, pair};

const BYTES: &[u8] = b"\x89PNG\r\n\x1a\n\0\0";

fn image() -> Media {
    Media {
        sha256: Digest::of(BYTES),
        filename: "joe's \"van\".png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: Bytes::from_static(BYTES),
    }
}

/// The slot of chert §10.1.
fn slot(upload_url: &str, more: &str) -> Reply {
    let body = format!(
        r#"{{"attachment_id":"c3d4","upload_url":"{upload_url}","expires_at":"2026-06-10T10:00:00Z",
            "required_headers":{{"authorization":"Bearer <your-signing-secret>"{more}}}}}"#
    );
    reply(200, &[], &body)
}

/// A server whose slots point to `path` at itself.
async fn upload(path: &str, more: &str, put: Reply) -> (Result<String, Outcome>, Vec<Received>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let own = format!("http://{}", listener.local_addr().unwrap());
    let url = path.replace("OWN", &own);
    let mut server = Server::on(listener, vec![slot(&url, more), put]);
    let gateway = gateway_of(account(&server.base_url())).unwrap();
    let result = gateway.upload(&image()).await;
    let mut received = Vec::new();
    while let Some(request) = server.try_next() {
        received.push(request);
    }
    (result, received)
}

#[tokio::test]
async fn a_file_gets_a_slot_and_goes_into_it_under_the_bearer_token() {
    let more = r#","content-type":"image/png","X-Upload-Kind":"simple","content-length":"7""#;
    let put = reply(200, &[], r#"{"attachment_id":"c3d4","status":"uploaded"}"#);
    let (result, got) = upload("OWN/api/v1/attachments/c3d4/upload", more, put).await;
    assert_eq!(result.as_deref(), Ok("c3d4"));

    assert_eq!(got[0].line(), "POST /api/v1/attachments HTTP/1.1");
    assert_eq!(
        got[0].text(),
        r#"{"filename":"joe's \"van\".png","content_type":"image/png","size_bytes":10}"#
    );
    assert!(got[0].header("x-chert-signature").is_some());
    assert_eq!(got[0].header("authorization"), None);

    assert_eq!(
        got[1].line(),
        "PUT /api/v1/attachments/c3d4/upload HTTP/1.1"
    );
    assert_eq!(got[1].body, BYTES);
    let mut headers: Vec<&str> = got[1].head.lines().skip(1).collect();
    headers.retain(|line| !line.starts_with("host: ") && !line.starts_with("user-agent: "));
    headers.sort_unstable();
    assert_eq!(
        headers,
        [
            "accept: */*",
            &format!("authorization: Bearer {SECRET}"),
            "content-length: 10",
            "content-type: image/png",
            "x-chert-tenant: acme-7a3f",
            "x-upload-kind: simple",
        ]
    );
}

#[tokio::test]
async fn a_slot_may_be_named_by_path_alone_and_answer_with_nothing() {
    let put = reply(204, &[], "");
    let (result, got) = upload("/api/v1/attachments/c3d4/upload", "", put).await;
    assert_eq!(result.as_deref(), Ok("c3d4"));
    assert_eq!(got[1].header("content-type"), Some("image/png"));
}

#[tokio::test]
async fn the_secret_goes_to_no_other_host() {
    for elsewhere in [
        "http://127.0.0.1:1/api/v1/x",
        "https://127.0.0.1/x",
        "https://storage.example/put?sig=1",
        "//storage.example/x",
        "http://localhost/x",
        "file:///tmp/x",
    ] {
        let (result, got) = upload(elsewhere, "", reply(200, &[], "")).await;
        let outcome = result.unwrap_err();
        assert_eq!(outcome.class().as_str(), "stop_run", "{elsewhere}");
        assert!(
            outcome
                .failure()
                .unwrap()
                .text
                .contains("the secret goes only to")
        );
        assert_eq!(got.len(), 1, "{elsewhere}");
    }
    let (result, got) = upload("OWN@storage.example/x", "", reply(200, &[], "")).await;
    assert_eq!((result.is_err(), got.len()), (true, 1));
}

#[tokio::test]
async fn a_refused_file_is_permanent_and_a_lost_one_may_be_tried_again() {
    let refused = |code: u32, http| {
        reply(
            http,
            &[],
            &format!(r#"{{"error":{{"code":{code},"retryable":false}}}}"#),
        )
    };
    for (put, class) in [
        (refused(5002, 400), "permanent"),
        (refused(5003, 400), "permanent"),
        (refused(5001, 404), "retry"),
        (refused(2004, 401), "stop_run"),
        (reply(429, &[("retry-after", "9")], ""), "retry"),
        (reply(502, &[], "<html>"), "retry"),
        (
            reply(307, &[("location", "https://storage.example/x")], ""),
            "stop_run",
        ),
        (raw("", Then::Close), "retry"),
    ] {
        let (result, got) = upload("OWN/put", "", put.clone()).await;
        assert_eq!(result.unwrap_err().class().as_str(), class, "{put:?}");
        assert_eq!(got.len(), 2);
    }
}

#[tokio::test]
async fn a_slot_that_makes_no_sense_is_never_filled() {
    for (slot, class) in [
        (reply(200, &[], "<html>"), "retry"),
        (reply(200, &[], "{}"), "retry"),
        (
            reply(200, &[], r#"{"attachment_id":"","upload_url":"/x"}"#),
            "retry",
        ),
        (
            reply(
                200,
                &[],
                &format!(
                    r#"{{"attachment_id":"{}","upload_url":"/x"}}"#,
                    "a".repeat(300)
                ),
            ),
            "retry",
        ),
        (
            reply(200, &[], r#"{"attachment_id":"a","upload_url":7}"#),
            "retry",
        ),
        (
            reply(
                200,
                &[],
                r#"{"attachment_id":"a","upload_url":"/x","required_headers":{"a b":"c"}}"#,
            ),
            "permanent",
        ),
        (
            reply(400, &[], r#"{"error":{"code":5003,"retryable":false}}"#),
            "permanent",
        ),
        (
            reply(403, &[], r#"{"error":{"code":2005,"retryable":false}}"#),
            "stop_run",
        ),
    ] {
        let (mut server, gateway) = pair(vec![slot.clone()]);
        let outcome = gateway.upload(&image()).await.unwrap_err();
        assert_eq!(outcome.class().as_str(), class, "{slot:?}");
        server.next();
        assert!(server.is_idle());
    }
}
