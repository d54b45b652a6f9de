//! What people answered, out of the provider's event log (chert §13, §14). An event that cannot be
//! read is passed over and counted: it must not hide the others. What an answer means is decided
//! elsewhere.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::http::Answer;
use super::super::{Replies, Reply};
use super::{Chert, answer, codes};
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::phone::Phone;

/// The most that one page holds (chert §14).
const PAGE: usize = 200;
/// Where a log does not end: 50,000 events are read, and then it is an error.
const MOST_PAGES: usize = 250;
/// What was written so long before the newest answer is read again: the provider may tell of
/// answers in another order than they were written in.
const OVERLAP: SignedDuration = SignedDuration::from_mins(10);
/// The longest text that is kept; no phone writes more at once.
const MAX_TEXT: usize = 20_000;

/// One page of the log.
#[derive(Debug, Default)]
struct Page {
    replies: Vec<Reply>,
    unreadable: u64,
    next: Option<String>,
}

impl Chert {
    /// Everything that was answered after `since`, oldest first.
    pub(super) async fn read_replies(
        &self,
        since: Option<Timestamp>,
    ) -> Result<Option<Replies>, Outcome> {
        let mut all = Replies::default();
        let mut seen = HashSet::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let Some(page) = self.page(since, cursor.as_deref()).await? else {
                return Ok(None);
            };
            all.unreadable += page.unreadable;
            let new = page.replies.into_iter();
            all.replies
                .extend(new.filter(|reply| seen.insert(reply.event_id.clone())));
            // A cursor that leads back to where it came from leads nowhere.
            if page.next.is_none() || page.next == cursor {
                all.replies.sort_by_key(|reply| reply.at);
                let newest = all.replies.last().map(|reply| reply.at);
                all.read_to = newest.and_then(|at| at.checked_sub(OVERLAP).ok());
                return Ok(Some(all));
            }
            cursor = page.next;
        }
        Err(unusable(None, "the provider's event log does not end"))
    }

    async fn page(
        &self,
        since: Option<Timestamp>,
        cursor: Option<&str>,
    ) -> Result<Option<Page>, Outcome> {
        let mut query = vec![
            ("type", "message.received".to_owned()),
            ("limit", PAGE.to_string()),
        ];
        query.extend(since.map(|since| ("since", format!("{since:.3}"))));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        let answer = match self.get("/events", &query).await {
            Ok(answer) => answer,
            Err(Outcome::Permanent { failure }) if is_no_log(&failure) => return Ok(None),
            Err(outcome) => return Err(answer::of_the_account(outcome)),
        };
        let read = read(&answer).map(Some);
        read.ok_or_else(|| {
            unusable(
                Some(answer.status),
                "the provider's event log cannot be read",
            )
        })
    }
}

/// There is no event log at this address.
pub(super) fn is_no_log(failure: &Failure) -> bool {
    failure.http == Some(404) || failure.code == Some(codes::NO_SUCH_RESOURCE)
}

pub(super) fn unusable(http: Option<u16>, text: &str) -> Outcome {
    Outcome::Uncertain {
        failure: Failure {
            http,
            text: text.to_owned(),
            ..Failure::default()
        },
    }
}

fn read(answer: &Answer) -> Option<Page> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    let rows = body.get("events").or(Some(&body))?.as_array()?;
    let mut page = Page {
        next: body
            .get("next_cursor")
            .and_then(Value::as_str)
            .filter(|next| !next.is_empty())
            .map(str::to_owned),
        ..Page::default()
    };
    for row in rows {
        match event(row) {
            Event::Reply(reply) => page.replies.push(*reply),
            Event::Other => {}
            Event::Unreadable => page.unreadable += 1,
        }
    }
    Some(page)
}

#[derive(Debug)]
pub(super) enum Event {
    Reply(Box<Reply>),
    /// Something else than an answer, or one that says nothing in words.
    Other,
    Unreadable,
}

/// A row of the log, or the bare envelope that it holds.
pub(super) fn event(row: &Value) -> Event {
    let envelope = row.get("payload").filter(|one| one.is_object());
    let envelope = envelope.unwrap_or(row);
    let kinds = [(row, "type"), (envelope, "event_type"), (envelope, "event")];
    let kind = kinds
        .iter()
        .find_map(|(from, name)| from.get(name)?.as_str());
    if kind.is_some_and(|kind| kind != "message.received") {
        return Event::Other;
    }
    let message = envelope.pointer("/data/message");
    let direction = message.and_then(|message| message.get("direction")?.as_str());
    if direction == Some("outbound") {
        return Event::Other;
    }
    match reply(row, envelope) {
        Some(reply) if reply.text.is_empty() => Event::Other,
        Some(reply) => Event::Reply(Box::new(reply)),
        None => Event::Unreadable,
    }
}

fn reply(row: &Value, envelope: &Value) -> Option<Reply> {
    let text_of = |from: &Value, pointer: &str| from.pointer(pointer)?.as_str().map(str::to_owned);
    let event_id = answer::usable(
        text_of(envelope, "/event_id")
            .or_else(|| text_of(row, "/event_id"))
            .or_else(|| text_of(row, "/id")),
    )?;
    let sender = text_of(envelope, "/data/message/sender_handle/handle")
        .or_else(|| text_of(envelope, "/from"))?;
    let line = envelope
        .pointer("/data/chat/handles")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|handle| handle.get("is_me") == Some(&Value::Bool(true)))
        .and_then(|handle| text_of(handle, "/handle"))
        .or_else(|| text_of(envelope, "/data/chat/owner_handle/handle"))
        .or_else(|| text_of(envelope, "/to"));
    let at = |from: &Value, pointer: &str| text_of(from, pointer)?.parse::<Timestamp>().ok();
    // The earlier of the two: what is read from here on must not begin after others.
    let said_at = at(envelope, "/timestamp");
    let kept_at = at(row, "/created_at");
    Some(Reply {
        event_id,
        phone: Phone::from_e164(&sender).ok()?.into(),
        channel: None,
        line: line.unwrap_or_default(),
        chat_id: answer::usable(text_of(envelope, "/data/chat/id")),
        text: text(envelope),
        at: said_at.into_iter().chain(kept_at).min()?,
    })
}

/// The words of an answer, bubble by bubble.
fn text(envelope: &Value) -> String {
    let parts = envelope
        .pointer("/data/message/parts")
        .and_then(Value::as_array);
    let words: Vec<&str> = parts
        .into_iter()
        .flatten()
        .filter_map(|part| part.get("value")?.as_str())
        .collect();
    let whole = if words.is_empty() {
        let old = envelope.get("text").and_then(Value::as_str);
        old.unwrap_or_default().to_owned()
    } else {
        words.join("\n")
    };
    whole.trim().chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    const ROW: &str = r#"{"id":"evt_5","type":"message.received","event_id":"chert:msg:4b",
        "lead_id":"ld_2","created_at":"2026-06-10T16:05:42Z","payload":{
        "event":"message.received","event_type":"message.received","event_id":"chert:msg:4b",
        "timestamp":"2026-06-10T16:05:41.120Z","data":{"chat":{"id":"ch-1","is_group":false,
        "handles":[{"handle":"+12025550188","is_me":true},{"handle":"+12025550143","is_me":false}]},
        "message":{"id":"5E2C","direction":"inbound",
        "sender_handle":{"handle":"+12025550143","is_me":false},
        "parts":[{"type":"text","value":" STOP "},{"type":"media","attachment_id":"in_0f"}]}}}}"#;

    fn page(body: &str) -> Option<Page> {
        read(&Answer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec().into(),
        })
    }

    fn row() -> Value {
        serde_json::from_str(ROW).unwrap()
    }

    #[test]
    fn an_answer_is_read_from_a_row_and_from_the_bare_envelope() {
        let whole = row();
        for event in [whole.clone(), whole["payload"].clone()] {
            let page = page(&format!(r#"{{"events":[{event}],"next_cursor":null}}"#)).unwrap();
            let [reply] = page.replies.as_slice() else {
                panic!("one answer");
            };
            assert_eq!(reply.event_id, "chert:msg:4b");
            assert_eq!(reply.phone.expose(), "+12025550143");
            assert_eq!(reply.line, "+12025550188");
            assert_eq!(reply.chat_id.as_deref(), Some("ch-1"));
            assert_eq!(reply.text, "STOP");
            assert_eq!(reply.at.to_string(), "2026-06-10T16:05:41.12Z");
            assert_eq!((page.unreadable, page.next), (0, None));
        }
    }

    #[test]
    fn the_old_fields_do_as_well() {
        let page = page(
            r#"[{"type":"message.received","id":"evt_9","created_at":"2026-06-10T16:05:42Z",
                "payload":{"from":"+12025550143","to":"+12025550188","text":"please stop"}}]"#,
        )
        .unwrap();
        let [reply] = page.replies.as_slice() else {
            panic!("one answer");
        };
        assert_eq!(reply.event_id, "evt_9");
        assert_eq!(
            (&*reply.line, &*reply.text),
            ("+12025550188", "please stop")
        );
    }

    #[test]
    fn what_is_no_answer_is_passed_over_and_what_cannot_be_read_is_counted() {
        let mut other = row();
        other["type"] = "reaction.added".into();
        let mut ours = row();
        ours["payload"]["data"]["message"]["direction"] = "outbound".into();
        let mut picture = row();
        picture["payload"]["data"]["message"]["parts"] = serde_json::json!([{"type":"media"}]);
        let mut nobody = row();
        nobody["payload"]["data"]["message"]["sender_handle"] = Value::Null;
        let mut timeless = row();
        timeless["created_at"] = Value::Null;
        timeless["payload"]["timestamp"] = "soon".into();
        let events = [other, ours, picture, nobody, timeless, 7.into(), row()];
        let body = serde_json::json!({ "events": events, "next_cursor": "c" });
        let page = page(&body.to_string()).unwrap();
        assert_eq!(page.replies.len(), 1);
        assert_eq!(page.unreadable, 3);
        assert_eq!(page.next.as_deref(), Some("c"));
    }

    #[test]
    fn what_is_no_log_is_not_taken_for_an_empty_one() {
        for body in ["", "<html>", "{}", r#"{"events":3}"#, "7"] {
            assert!(page(body).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_far_as_they_go(body: String) {
            let _page = page(&body);
            let _page = page(&format!(r#"{{"events":[{body}]}}"#));
        }
    }
}
