//! Events in the shape of the contract, in others that are as likely, and in none.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const AT: &str = "2026-06-10T09:25:07Z";

fn at(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn event(kind: &str, data: &Value) -> Event {
    let body = json!({ "id": "evt_1", "type": kind, "timestamp": AT, "retry_count": 0,
        "data": data, "organization_id": "org_1" });
    Event::read(body.to_string().as_bytes()).unwrap()
}

fn told(kind: &str, data: &Value) -> Receipt {
    let Notice::Receipt { receipt, .. } = event(kind, data).notice else {
        panic!("no receipt");
    };
    receipt
}

fn said(data: &Value) -> Reply {
    let Notice::Reply(reply) = event("message.received", data).notice else {
        panic!("no reply");
    };
    reply
}

#[test]
fn the_envelope_says_what_it_is_and_how_often_it_was_told() {
    let body = json!({ "id": "evt_7", "type": "message.read", "timestamp": AT, "retry_count": 3,
        "data": { "id": "msg_1" } });
    let event = Event::read(body.to_string().as_bytes()).unwrap();
    assert_eq!(
        (event.id.as_str(), event.kind.as_str()),
        ("evt_7", "message.read")
    );
    assert_eq!((event.at, event.retry_count), (at(AT), 3));
    for nothing in ["", "{", "[]", "7", "\"evt_1\"", "null"] {
        assert_eq!(Event::read(nothing.as_bytes()), Err(NoEvent), "{nothing}");
    }
    assert_eq!(Event::read(b"{\"id\":\"\xff\"}"), Err(NoEvent));
}

#[test]
fn an_event_without_a_name_is_the_same_one_by_its_bytes() {
    let name = |body: &str| Event::read(body.as_bytes()).unwrap().id;
    let unnamed = r#"{"type":"message.read","data":{"id":"msg_1"}}"#;
    assert_eq!(name(unnamed), name(unnamed));
    assert_ne!(
        name(unnamed),
        name(r#"{"type":"message.read","data":{"id":"msg_2"}}"#)
    );
    assert!(name(r#"{"id":"a\u0000b"}"#).starts_with("sha256:"));
    assert!(name(&json!({ "id": "e".repeat(300) }).to_string()).starts_with("sha256:"));
}

#[test]
fn only_a_first_delivery_has_to_be_fresh() {
    let mut event = event("message.read", &json!({ "id": "msg_1" }));
    let told = event.at.unwrap();
    let after = |minutes| told + SignedDuration::from_mins(minutes);
    assert!(event.is_fresh(after(5)) && event.is_fresh(after(-5)));
    assert!(!event.is_fresh(after(6)) && !event.is_fresh(after(-6)));
    event.retry_count = 1;
    assert!(
        event.is_fresh(after(60)),
        "tried again, it is late by its nature"
    );
    event.retry_count = 0;
    event.at = None;
    assert!(event.is_fresh(after(60)), "there is nothing to compare");
}

#[test]
fn ids_are_found_in_each_place_that_they_may_stand_in() {
    for data in [
        json!({ "id": "msg_1", "conversation_id": "conv_1", "status": "read" }),
        json!({ "message": { "id": "msg_1" }, "conversation": { "id": "conv_1" } }),
        json!({ "message_id": "msg_1", "id": "conv_1" }),
        json!({ "id": "evt_9", "message": { "id": "msg_1", "conversation_id": "conv_1" } }),
        // The first that begins as an id of its kind does.
        json!({ "message": { "id": "42" }, "message_id": "msg_1", "conversation_id": "conv_1" }),
    ] {
        let Notice::Receipt {
            message_id,
            conversation_id,
            ..
        } = event("message.read", &data).notice
        else {
            panic!("{data}");
        };
        assert_eq!(message_id, "msg_1", "{data}");
        assert_eq!(conversation_id.as_deref(), Some("conv_1"), "{data}");
    }
    for data in [
        json!(null),
        json!({ "id": "42" }),
        json!({ "message_id": 7 }),
    ] {
        let notice = event("message.read", &data).notice;
        assert!(
            matches!(notice, Notice::Unreadable { .. }),
            "{data}: {notice:?}"
        );
    }
}

#[test]
fn a_receipt_is_no_less_than_its_type_says_and_as_much_as_the_message_shows() {
    let on = "2026-06-10T09:25:06Z";
    let read = "2026-06-10T09:30:00Z";
    let delivered = |at| Receipt::Delivered { at };
    for (kind, data, expected) in [
        (
            "message.sent",
            json!({ "status": "sent" }),
            Receipt::UnderWay,
        ),
        ("message.delivered", json!({}), delivered(at(AT))),
        (
            "message.delivered",
            json!({ "status": "sent" }),
            delivered(at(AT)),
        ),
        (
            "message.delivered",
            json!({ "status": "failed" }),
            delivered(at(AT)),
        ),
        (
            "message.delivered",
            json!({ "status": "delivered", "delivered_at": on, "read_at": null }),
            delivered(at(on)),
        ),
        (
            "message.sent",
            json!({ "delivered_at": on }),
            delivered(at(on)),
        ),
        (
            "message.delivered",
            json!({ "status": "read", "delivered_at": on, "read_at": read }),
            Receipt::Read {
                delivered_at: at(on),
                at: at(read),
            },
        ),
        (
            "message.read",
            json!({ "status": "delivered", "delivered_at": on }),
            Receipt::Read {
                delivered_at: at(on),
                at: at(AT),
            },
        ),
        (
            "message.read",
            json!({}),
            Receipt::Read {
                delivered_at: None,
                at: at(AT),
            },
        ),
    ] {
        let mut with_id = data.clone();
        with_id["id"] = "msg_1".into();
        assert_eq!(told(kind, &with_id), expected, "{kind} {data}");
        let nested = json!({ "message": with_id });
        assert_eq!(told(kind, &nested), expected, "{kind} {nested}");
    }
}

#[test]
fn a_failure_has_the_platforms_code() {
    for (error, code) in [
        (json!("131026: Message undeliverable"), Some(131_026)),
        (json!("(#131047) Re-engagement message"), Some(131_047)),
        (json!("undeliverable"), None),
        (json!(null), None),
    ] {
        let data = json!({ "id": "msg_1", "status": "failed", "error": error });
        let Receipt::Failed { failure, .. } = told("message.sent", &data) else {
            panic!("not failed: {data}");
        };
        assert_eq!(failure.code, code, "{data}");
        assert!(!failure.text.is_empty());
    }
}

#[test]
fn an_answer_has_its_words_its_sender_and_the_name_of_its_message() {
    let data = json!({ "id": "msg_5", "conversation_id": "conv_1", "contact_id": "cnt_1",
        "channel": "whatsapp", "message_type": "text", "content": " STOP\n",
        "sent_by": "contact", "sent_at": "2026-06-10T09:25:00Z" });
    let reply = said(&data);
    assert_eq!(
        (reply.message_id.as_str(), reply.text.as_str()),
        ("msg_5", "STOP")
    );
    assert_eq!(reply.from, Sender::Contact("cnt_1".to_owned()));
    assert_eq!(reply.channel, Some(Channel::Whatsapp));
    assert_eq!(reply.conversation_id.as_deref(), Some("conv_1"));
    assert_eq!(reply.at, at("2026-06-10T09:25:00Z"));
    assert_eq!(format!("{reply:?}"), "Reply(msg_5, 4 bytes)");
}

#[test]
fn who_wrote_is_their_address_where_it_is_told_and_their_contact_otherwise() {
    let phone = Address::stored("+12025550143").unwrap();
    let mail = Address::stored("dana@example.com").unwrap();
    let contact = json!({ "id": "cnt_1", "phone": "+12025550143", "email": "dana@example.com" });
    for (channel, expected) in [("whatsapp", &phone), ("sms", &phone), ("email", &mail)] {
        let data = json!({ "message": { "id": "msg_1", "channel": channel, "content": "Hi" },
            "contact": contact });
        assert_eq!(
            said(&data).from,
            Sender::Address(expected.clone()),
            "{channel}"
        );
    }
    let nothing_usable = json!({ "id": "msg_1", "channel": "sms",
        "contact": { "id": "cnt_1", "phone": "none" } });
    assert_eq!(
        said(&nothing_usable).from,
        Sender::Contact("cnt_1".to_owned())
    );
    let nobody = json!({ "id": "msg_1", "content": "STOP" });
    let notice = event("message.received", &nobody).notice;
    assert!(matches!(notice, Notice::Unreadable { .. }), "{notice:?}");
    let ours = json!({ "id": "msg_1", "contact_id": "cnt_1", "sent_by": "user" });
    let notice = event("message.received", &ours).notice;
    assert_eq!(notice, Notice::Other { listed: true });
}

#[test]
fn what_is_not_kept_here_is_told_apart_by_whether_it_is_known() {
    let data = json!({ "id": "msg_1", "status": "failed", "error": "131026" });
    for (kind, listed) in [
        ("conversation.assigned", true),
        ("contact.deleted", true),
        ("message.failed", false),
        ("", false),
    ] {
        assert_eq!(
            event(kind, &data).notice,
            Notice::Other { listed },
            "{kind}"
        );
    }
    assert_eq!(event("call +12025550143", &data).kind, "unknown");
}

proptest! {
    /// Whatever comes is read or is none, and nothing of it is shown but ids and types.
    #[test]
    fn anything_is_read_without_harm(
        kind in "[a-z.]{0,20}|message.(received|sent|delivered|read)",
        key in "(id|message|contact|content|status|error|sent_at|channel|contact_id|message_id)",
        value in "\\PC{0,40}|(msg|cnt|conv)_[a-z0-9]{1,5}",
        deep in any::<bool>(),
    ) {
        let data = if deep { json!({ "message": { key: value } }) } else { json!({ key: value }) };
        let body = json!({ "id": "evt_1", "type": kind, "data": data }).to_string();
        let event = Event::read(body.as_bytes()).unwrap();
        prop_assert_eq!(event.id, "evt_1");
    }

    #[test]
    fn bytes_are_an_event_or_none(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(event) = Event::read(&body) {
            prop_assert!(!event.id.is_empty());
        }
    }

    /// Words are kept whole up to a length, without what no database takes.
    #[test]
    fn words_are_kept_as_they_were_said(words in "\\PC{0,100}") {
        let data = json!({ "id": "msg_1", "contact_id": "cnt_1", "content": words });
        prop_assert_eq!(said(&data).text, words.trim());
    }
}
