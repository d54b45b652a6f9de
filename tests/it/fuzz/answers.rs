//! Answers of a provider gone mad, to everything that is asked of it: status, headers and a body
//! that is nearly right. Each gets an outcome whose wait can be counted.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use sendoff::domain::digest::Digest;
use sendoff::domain::message::{Media, Message};
use sendoff::domain::outcome::Outcome;
use sendoff::gateway::{AtOnce, Gateway, Sought};

use super::fuzz;
use super::tokens::{damaged, headers};
use crate::gateway::server::{Reply, Server, Then, raw};
use crate::gateway::{account, gateway_of, request};

const BODIES: [&str; 7] = [
    r#"{"chat":{"id":"ch_1"},"message":{"id":"msg_1","chat_id":"ch_1","status":"sent"}}"#,
    r#"{"success":false,"status":429,"error":{"code":1007,"message":"slow down","retryable":true,"retry_after":30},"trace_id":"t-1"}"#,
    r#"{"phone_numbers":[{"id":"pl_1","phone_number":"+12025550188","is_active":true},{"id":7,"phone_number":"x"}]}"#,
    r#"{"messages":[{"id":"m1","created_at":"2026-06-10T16:00:02Z","direction":"outbound","status":"sent","parts":[{"type":"text","value":"Hi"}]}],"has_more":false}"#,
    r#"{"attachment_id":"c3d4","upload_url":"/api/v1/attachments/c3d4/upload","required_headers":{"content-type":"image/png"}}"#,
    r#"{"error":{"code":4003,"message":"busy","retryable":true,"retry_after":"99999999999999999999"}}"#,
    "[]",
];

const WAITS: [&str; 14] = [
    "0",
    "1",
    "-1",
    "1.5",
    "1e9",
    "9223372036854775807",
    "18446744073709551616",
    "99999999999999999999999999999999999",
    "soon",
    "",
    "Wed, 10 Jun 2026 09:16:30 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Wed, 99 Foo 99999 99:99:99 GMT",
    "Thu, 01 Jan 0000 00:00:00 GMT",
];

const NAMES: [&str; 8] = [
    "Retry-After",
    "retry-after",
    "Date",
    "X-Trace-Id",
    "Location",
    "Set-Cookie",
    "Content-Encoding",
    "X",
];

fn answer() -> impl Strategy<Value = Reply> {
    let sound = BODIES.iter().map(|body| body.as_bytes().to_vec()).collect();
    let status = prop_oneof![
        4 => select(&[200u16, 201, 204, 301, 400, 401, 404, 409, 422, 429, 500, 503][..]),
        1 => 100u16..999,
    ];
    let length = prop_oneof![6 => Just(0i64), 1 => -3i64..3, 1 => Just(i64::MAX / 2)];
    (status, headers(&NAMES, &WAITS), damaged(sound), length).prop_map(
        |(status, headers, body, off)| {
            let length = i64::try_from(body.len()).unwrap().saturating_add(off);
            let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
            raw([head.into_bytes(), body].concat(), Then::Close)
        },
    )
}

fn picture() -> Media {
    Media {
        sha256: Digest::of(b"png"),
        filename: "a.png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: Bytes::from_static(b"png"),
    }
}

/// Asks the server all that can be asked; what came of it, but for the successes.
async fn ask(replies: &[Reply], question: usize) -> Option<Outcome> {
    // A refused signature is tried twice, an upload is two requests.
    let script = replies.iter().cycle().take(6).cloned().collect();
    let server = Server::start(script);
    let gateway = gateway_of(account(&server.base_url())).unwrap();
    let message: Message = serde_json::from_str(r#"[{"type":"text","value":"Hi"}]"#).unwrap();
    let sought = Sought {
        chat_id: Some("ch_1"),
        contact_id: None,
        channel: None,
        now: "2026-06-10T16:00:00Z".parse().unwrap(),
        message: &message,
        since: "2026-06-10T16:00:00Z".parse().unwrap(),
        others: &HashSet::new(),
    };
    match question {
        0 => Some(gateway.send(&request(&gateway, None)).await),
        1 => gateway.lines().await.err(),
        2 => gateway.find(&sought, &AtOnce).await.err(),
        _ => gateway.upload(&picture()).await.err(),
    }
}

#[test]
fn any_answer_to_any_question_gets_an_outcome() {
    let case = move || (prop::collection::vec(answer(), 1..3), 0usize..4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    fuzz(1_500, case, move |(replies, question)| {
        let asked =
            async { tokio::time::timeout(Duration::from_secs(10), ask(&replies, question)).await };
        let Some(outcome) = runtime.block_on(asked).expect("no question takes so long") else {
            return Ok(());
        };
        let now: Timestamp = "2099-12-31T23:59:59Z".parse().unwrap();
        if let Outcome::Retry {
            after: Some(after), ..
        }
        | Outcome::LineBusy { after, .. } = &outcome
        {
            prop_assert!(
                after.is_positive() && now.checked_add(*after).is_ok(),
                "{:?}",
                outcome
            );
        }
        if let Some(failure) = outcome.failure() {
            prop_assert!(
                !failure.text.is_empty() && failure.text.chars().count() < 500,
                "{:?}",
                outcome
            );
        }
        Ok(())
    });
}
