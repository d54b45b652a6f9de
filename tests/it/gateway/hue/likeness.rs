//! Which row of a conversation is the message that is looked for (huechat §13). "It was not sent"
//! is said only where no row could be it.

use std::collections::HashSet;

use sendoff::gateway::{AtOnce, Gateway, Sighting};
use serde_json::{Value, json};

use super::lists::{Lists, at, noise, ours, text};
use super::{TEXT, gateway_at, message, sought};

const TEMPLATE: &str =
    r#"[{"type":"template","name":"parcel_ready","parameters":{"1":"Asha","2":"PX-204"}}]"#;
const CAPTION: &str =
    r#"[{"type":"media","url":"https://x.example/a.jpg"},{"type":"text","value":"Look here"}]"#;
const BARE: &str = r#"[{"type":"media","url":"https://x.example/menu.pdf"}]"#;

/// In a word: the id that was found, `absent`, or `unclear`.
pub(super) fn word(sighting: Sighting) -> String {
    match sighting {
        Sighting::Found { message_id, .. } => message_id,
        Sighting::Absent => "absent".to_owned(),
        Sighting::Unclear { .. } => "unclear".to_owned(),
    }
}

async fn looked(parts: &str, lists: Lists, others: &[&str]) -> String {
    let server = lists.serve();
    let gateway = gateway_at(server.address);
    let message = message(parts);
    let others: HashSet<String> = others.iter().map(|id| (*id).to_owned()).collect();
    let sought = sought(&message, Some("conv_1"), &others);
    word(gateway.find(&sought, &AtOnce).await.unwrap())
}

async fn seen(rows: Vec<Value>) -> String {
    looked(TEXT, Lists::of(rows), &[]).await
}

fn with(mut row: Value, name: &str, value: impl Into<Value>) -> Value {
    row[name] = value.into();
    row
}

fn without(mut row: Value, names: &[&str]) -> Value {
    for name in names {
        row.as_object_mut().unwrap().remove(*name);
    }
    row
}

#[tokio::test]
async fn exactly_one_row_in_time_is_the_message() {
    assert_eq!(seen(vec![ours("msg_1", 1)]).await, "msg_1");
    assert_eq!(seen(vec![ours("msg_1", -5)]).await, "msg_1");
    assert_eq!(seen(vec![ours("msg_1", -6)]).await, "absent");
    assert_eq!(seen(vec![ours("msg_1", 86_400)]).await, "msg_1");
    assert_eq!(
        seen(vec![ours("msg_1", 2), ours("msg_0", -600)]).await,
        "msg_1"
    );
    assert_eq!(seen(Vec::new()).await, "absent");
    // As the quickstart shows a message.
    let subset = without(ours("msg_1", 1), &["message_type", "sent_by"]);
    assert_eq!(seen(vec![subset]).await, "msg_1");
    let millis = with(ours("msg_1", 0), "sent_at", "2026-06-10T09:14:55.001Z");
    assert_eq!(seen(vec![millis]).await, "msg_1");
    // What became of it afterwards is another question.
    for status in ["delivered", "read", "failed"] {
        let row = with(ours("msg_1", 1), "status", status);
        assert_eq!(seen(vec![row]).await, "msg_1", "{status}");
    }
}

#[tokio::test]
async fn two_that_it_may_be_are_nobodys_guess() {
    let two = || vec![ours("msg_2", 3), ours("msg_1", 1)];
    assert_eq!(seen(two()).await, "unclear");
    for (others, expected) in [
        (&["msg_2"][..], "msg_1"),
        (&["msg_1"], "msg_2"),
        (&["msg_1", "msg_2"], "absent"),
        (&["msg_9"], "unclear"),
    ] {
        let seen = looked(TEXT, Lists::of(two()), others).await;
        assert_eq!(seen, expected, "{others:?}");
    }
}

#[tokio::test]
async fn what_is_surely_another_message_is_no_match() {
    for other in [
        with(ours("msg_1", 1), "sent_by", "contact"),
        with(text("msg_1", "Look", 1), "message_type", "image"),
        with(text("msg_1", "Hello Dana", 1), "message_type", "template"),
        without(ours("msg_1", -30), &["id"]),
        without(ours("msg_1", -30), &["content"]),
    ] {
        assert_eq!(seen(vec![other.clone()]).await, "absent", "{other}");
        let both = vec![other, ours("msg_7", 1)];
        assert_eq!(seen(both).await, "msg_7");
    }
    let known = text("msg_1", "Another", 1);
    assert_eq!(
        looked(TEXT, Lists::of(vec![known]), &["msg_1"]).await,
        "absent"
    );
}

#[tokio::test]
async fn what_may_be_the_message_forbids_to_say_that_it_was_not_sent() {
    let good = || ours("msg_1", 1);
    let content = "Hi Dana, your parcel is here";
    for (odd, what) in [
        (without(good(), &["id"]), "no id"),
        (with(good(), "id", 7), "a number for an id"),
        (with(good(), "id", "x".repeat(400)), "an endless id"),
        (without(good(), &["content"]), "no content"),
        (with(good(), "content", ""), "content left out"),
        (
            with(good(), "content", json!({ "text": content })),
            "content in an object",
        ),
        (
            with(good(), "content", format!("{content}\n\nReply STOP to end")),
            "a footer",
        ),
        (
            with(good(), "content", format!("Acme: {content}")),
            "a header",
        ),
        (with(good(), "content", "Hi Dana, your par"), "cut"),
        (without(good(), &["sent_at"]), "no time"),
        (
            with(good(), "sent_at", "10.06.2026 09:15"),
            "a time of another form",
        ),
        (with(good(), "sent_at", 1_781_082_901), "a time in seconds"),
        (with(good(), "sent_by", "system"), "sent by the system"),
        (with(good(), "sent_by", "api"), "sent by something new"),
        (
            with(good(), "message_type", "freeform"),
            "of a type that is new",
        ),
        (with(good(), "message_type", "TEXT"), "in capitals"),
        (with(good(), "message_type", "template"), "as a template"),
        (
            with(good(), "content", "Hi  Dana, your parcel\nis here "),
            "other spaces",
        ),
        (
            with(good(), "content", "Notice 7"),
            "in words that nobody knows",
        ),
    ] {
        assert_eq!(seen(vec![odd.clone()]).await, "unclear", "{what}");
        let both = vec![odd, ours("msg_7", 1)];
        assert_eq!(seen(both).await, "msg_7", "{what}, and the message");
    }
    // Not if it is known to be another one.
    let odd = with(good(), "sent_by", "system");
    assert_eq!(
        looked(TEXT, Lists::of(vec![odd]), &["msg_1"]).await,
        "absent"
    );
}

#[tokio::test]
async fn a_template_is_told_by_the_values_in_its_words() {
    for (content, expected) in [
        ("Hello Asha, parcel PX-204 is ready.", "msg_1"),
        ("PX-204? Asha!", "msg_1"),
        ("", "msg_1"),
        ("Hello Asha, parcel PX-205 is ready.", "unclear"),
        ("Hello Dana, parcel PX-204 is ready.", "unclear"),
        ("Hello {{1}}, parcel {{2}} is ready.", "unclear"),
        ("parcel_ready", "unclear"),
    ] {
        let row = with(text("msg_1", content, 1), "message_type", "template");
        let seen = looked(TEMPLATE, Lists::of(vec![row]), &[]).await;
        assert_eq!(seen, expected, "{content}");
        // Words that hold every value may be it under any type.
        let row = text("msg_1", content, 1);
        let holds_all = content.contains("Asha") && content.contains("PX-204");
        let expected = if holds_all { "unclear" } else { "absent" };
        assert_eq!(looked(TEMPLATE, Lists::of(vec![row]), &[]).await, expected);
    }
    let filled = |id: &str, parcel: &str| {
        let words = format!("Hello Asha, parcel {parcel} is ready.");
        with(text(id, &words, 1), "message_type", "template")
    };
    let two = || vec![filled("msg_2", "PX-204"), filled("msg_1", "PX-205")];
    assert_eq!(looked(TEMPLATE, Lists::of(two()), &[]).await, "msg_2");
    let two = || vec![filled("msg_2", "PX-204"), filled("msg_1", "PX-204")];
    assert_eq!(looked(TEMPLATE, Lists::of(two()), &[]).await, "unclear");
}

#[tokio::test]
async fn media_are_told_by_their_caption() {
    for (parts, kind, content, expected) in [
        (CAPTION, "image", json!("Look here"), "msg_1"),
        (CAPTION, "image", json!("Look there"), "unclear"),
        (CAPTION, "document", json!("Look here"), "unclear"),
        (CAPTION, "document", json!("Look there"), "absent"),
        (CAPTION, "image", json!(""), "unclear"),
        (CAPTION, "image", Value::Null, "unclear"),
        (BARE, "document", json!(""), "msg_1"),
        (BARE, "document", Value::Null, "msg_1"),
        (BARE, "document", json!("menu.pdf"), "unclear"),
        (BARE, "image", json!(""), "absent"),
    ] {
        let row = with(text("msg_1", "", 1), "message_type", kind);
        let row = with(row, "content", content.clone());
        let seen = looked(parts, Lists::of(vec![row]), &[]).await;
        assert_eq!(seen, expected, "{kind} {content}");
    }
}

/// Lists of a provider whose answers have this `Date`.
fn dated(rows: Vec<Value>, date: &str) -> Lists {
    Lists {
        headers: vec![("date", date.to_owned())],
        ..Lists::of(rows)
    }
}

#[tokio::test]
async fn a_clock_that_is_behind_is_seen_by_the_first_answer_of_all() {
    let behind = "Wed, 10 Jun 2026 09:14:20 GMT";
    let looked =
        async |seconds, date| looked(TEXT, dated(vec![ours("msg_1", seconds)], date), &[]).await;
    assert_eq!(looked(-38, behind).await, "msg_1");
    assert_eq!(looked(-45, behind).await, "msg_1");
    assert_eq!(looked(-46, behind).await, "absent");
    for wrong in ["Wed, 10 Jun 2026 09:15:00 GMT", "yesterday", ""] {
        assert_eq!(looked(-38, wrong).await, "absent", "{wrong}");
    }
    // One that is ahead makes nothing old that is new.
    let ahead = "Wed, 10 Jun 2026 11:15:00 GMT";
    assert_eq!(looked(1, ahead).await, "msg_1");
    assert_eq!(looked(7_201, ahead).await, "msg_1");
    assert_eq!(looked(-6, ahead).await, "absent");
}

#[tokio::test]
async fn a_clock_that_cannot_be_right_proves_nothing_by_old_messages() {
    let longest = "Wed, 10 Jun 2026 09:04:00 GMT";
    let ancient = "Thu, 01 Jan 1970 00:00:00 GMT";
    for date in [longest, ancient] {
        let looked = async |rows| looked(TEXT, dated(rows, date), &[]).await;
        assert_eq!(looked(vec![ours("msg_1", 1)]).await, "msg_1");
        assert_eq!(looked(vec![ours("msg_1", -606)]).await, "unclear");
        assert_eq!(looked(vec![text("msg_1", "Bye", -606)]).await, "unclear");
        assert_eq!(looked(vec![noise(1, -606)]).await, "absent");
    }
    let row = with(ours("msg_1", 1), "sent_at", at(-3_000));
    assert_eq!(looked(TEXT, dated(vec![row], longest), &[]).await, "absent");
}
