//! HueChat gone mad: answers that are nearly right to everything that is asked of it, and events
//! that are nearly so. Each gets an outcome whose wait can be counted; nothing that is damaged
//! makes a message sent that has no name.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::select;
use sendoff::domain::address::Address;
use sendoff::domain::contact::Contact;
use sendoff::domain::outcome::Outcome;
use sendoff::gateway::huechat::events::{Event, Notice};
use sendoff::gateway::{Asked, AtOnce, Gateway};

use super::fuzz;
use super::tokens::{damaged, headers};
use crate::gateway::hue::{NOW, gateway_at, request, sought};
use crate::gateway::server::{Reply, Server, Then, raw};

const BODIES: [&str; 9] = [
    r#"{"id":"msg_1","conversation_id":"conv_1","contact_id":"cnt_5f","channel":"whatsapp","message_type":"text","content":"Hi","status":"sent","sent_by":"user","sent_at":"2026-06-10T09:15:01Z","delivered_at":null,"read_at":null}"#,
    r#"{"id":"msg_1","conversation_id":"conv_1","status":"failed","error":"131056: pair rate"}"#,
    r#"{"error":"rate_limited","message":"Rate limit exceeded.","code":429,"retry_after":42}"#,
    r#"{"error":"invalid_input","message":"Phone number must be in E.164 format","code":400,"details":{"field":"phone","received":"447700900123"},"request_id":"req_9Zt41c","timestamp":"2026-06-10T09:15:00Z"}"#,
    r#"{"id":"cnt_5f","phone":"+12025550143","first_name":"Dana","metadata":{},"status":"active","last_contacted":null}"#,
    r#"{"data":[{"id":"msg_1","message_type":"text","content":"Hi","status":"failed","sent_by":"user","sent_at":"2026-06-10T09:15:01Z","error":"131026: x"},{"id":"msg_2","content":"STOP","sent_by":"contact","sent_at":"2026-06-10T09:16:00Z"}],"pagination":{"limit":20,"offset":0,"total":2,"has_more":false}}"#,
    r#"{"data":[{"id":"conv_1","contact_id":"cnt_5f","contact":{"id":"cnt_5f","phone":"+12025550143"},"channel":"whatsapp","status":"open","unread_count":1,"last_message_at":"2026-06-10T09:16:00Z"}],"pagination":{"limit":20,"offset":0,"total":1,"has_more":true}}"#,
    r#"{"data":[{"name":"parcel_ready","language":"en_US","status":"approved","body":"Hello {{1}}, parcel {{2}}.","parameter_count":2}],"pagination":{"has_more":false}}"#,
    "[]",
];

const EVENTS: [&str; 4] = [
    r#"{"id":"evt_51d0a7","type":"message.delivered","timestamp":"2026-06-10T09:15:07Z","retry_count":0,"data":{"id":"msg_1","conversation_id":"conv_1","status":"delivered","delivered_at":"2026-06-10T09:15:06Z"},"organization_id":"org_1"}"#,
    r#"{"id":"evt_2","type":"message.received","timestamp":"2026-06-10T09:15:07Z","data":{"message":{"id":"msg_2","channel":"sms","content":"SECRETSTOP","sent_by":"contact","sent_at":"2026-06-10T09:15:06Z"},"contact":{"id":"cnt_5f","phone":"+12025550143"}}}"#,
    r#"{"id":"evt_3","type":"message.received","data":{"id":"msg_3","contact_id":"cnt_5f","channel":"email","content":"SECRETSTOP"}}"#,
    r#"{"type":"contact.updated","retry_count":3,"data":{"id":"cnt_5f"}}"#,
];

const VALUES: [&str; 12] = [
    "0",
    "-1",
    "1.5",
    "9223372036854775807",
    "18446744073709551616",
    "1781082942",
    "1781082942000",
    "soon",
    "",
    "Wed, 10 Jun 2026 09:16:30 GMT",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Thu, 01 Jan 0000 00:00:00 GMT",
];

const NAMES: [&str; 7] = [
    "Retry-After",
    "Date",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "X-Request-Id",
    "Location",
];

fn answer() -> impl Strategy<Value = Reply> {
    let sound = BODIES.iter().map(|body| body.as_bytes().to_vec()).collect();
    let status = prop_oneof![
        6 => select(&[200u16, 200, 201, 204, 302, 303, 400, 401, 403, 404, 409, 422, 429, 500, 503][..]),
        1 => 100u16..999,
    ];
    (status, headers(&NAMES, &VALUES), damaged(sound)).prop_map(|(status, headers, body)| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n");
        raw([head.into_bytes(), body].concat(), Then::Close)
    })
}

/// Asks a provider that answers with these in turn all that can be asked; what came of it, but for
/// the successes.
async fn ask(replies: Vec<Reply>, question: usize) -> Option<Outcome> {
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::answering(move |_| {
        let turn = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        replies[turn % replies.len()].clone()
    });
    let gateway = gateway_at(server.address);
    let message = serde_json::from_str(r#"[{"type":"text","value":"Hi"}]"#).unwrap();
    let others = HashSet::new();
    let asked = Asked {
        message_id: "msg_1",
        chat_id: Some("conv_1"),
    };
    let contact = Contact {
        first_name: "Dana".to_owned(),
        last_name: None,
    };
    let dana = Address::stored("+12025550143").unwrap();
    let outcome = match question {
        0 | 1 => Some(gateway.send(&request()).await),
        2 => gateway.contact(&dana, &contact, &AtOnce).await.err(),
        3 => {
            let sought = sought(&message, Some("conv_1"), &others);
            gateway.find(&sought, &AtOnce).await.err()
        }
        4 => {
            let sought = sought(&message, None, &others);
            gateway.find(&sought, &AtOnce).await.err()
        }
        5 => gateway.state(&asked, &AtOnce).await.err(),
        6 => gateway.templates(&AtOnce).await.err(),
        _ => gateway.lines().await.err(),
    };
    if let Some(known) = gateway.allowance() {
        assert!(known.renewed_in.is_positive() && known.renewed_in.as_secs() <= 300);
    }
    outcome
}

#[test]
fn any_answer_of_huechat_to_any_question_gets_an_outcome() {
    let case = move || (prop::collection::vec(answer(), 1..4), 0usize..8);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    fuzz(1_200, case, move |(replies, question)| {
        let asked =
            async { tokio::time::timeout(Duration::from_secs(10), ask(replies, question)).await };
        let Some(outcome) = runtime.block_on(asked).expect("no question takes so long") else {
            return Ok(());
        };
        let far: Timestamp = "2099-12-31T23:59:59Z".parse().unwrap();
        if let Some(wait) = outcome.asked_wait() {
            prop_assert!(
                wait.is_positive() && far.checked_add(wait).is_ok(),
                "{:?}",
                outcome
            );
        }
        if question > 1 {
            let is_harmless = !matches!(
                outcome,
                Outcome::Uncertain { .. } | Outcome::Accepted { .. }
            );
            prop_assert!(is_harmless, "{:?}", outcome);
        }
        if let Outcome::Accepted { message_id, .. } = &outcome {
            prop_assert!(message_id.as_ref().is_some_and(|id| !id.is_empty()));
        }
        if let Some(failure) = outcome.failure() {
            let length = failure.text.chars().count();
            prop_assert!((1..500).contains(&length), "{:?}", outcome);
            prop_assert!(!failure.text.contains(char::is_control), "{:?}", outcome);
        }
        Ok(())
    });
}

#[test]
fn any_event_of_huechat_is_read_the_same_each_time_or_refused() {
    let sound = EVENTS
        .iter()
        .map(|event| event.as_bytes().to_vec())
        .collect();
    fuzz(
        4_000,
        || damaged(sound),
        |body| {
            let read = Event::read(&body);
            prop_assert_eq!(&read, &Event::read(&body));
            let Ok(event) = read else {
                return Ok(());
            };
            prop_assert!(!event.id.is_empty() && event.id.len() <= 200, "{:?}", event);
            let is_plain = |c: char| c.is_ascii_lowercase() || "._".contains(c);
            prop_assert!(event.kind.chars().all(is_plain), "{:?}", event);
            prop_assert!(
                !format!("{:?}", event.notice).contains("SECRETSTOP"),
                "{:?}",
                event
            );
            if let Notice::Reply(reply) = &event.notice {
                prop_assert!(!reply.message_id.is_empty() && reply.text.chars().count() <= 20_000);
                prop_assert!(!reply.text.contains('\0'));
            }
            event.is_fresh(NOW.parse().unwrap());
            Ok(())
        },
    );
}
