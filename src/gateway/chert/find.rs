//! Looks for one message among those of its chat (chert §8.2): the 200 newest, without paging.
//! That it is not there proves nothing; what follows from either is decided elsewhere.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Sighting, Sought};
use super::{Chert, answer, body};
use crate::domain::message::{Message, Part};
use crate::domain::outcome::Outcome;

/// How far the provider's clock and ours may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

const NOT_SHOWN: Sighting = Sighting::Unclear {
    why: "the messages of the chat do not show it",
};

impl Chert {
    pub(super) async fn find_in_chat(&self, sought: &Sought<'_>) -> Result<Sighting, Outcome> {
        let Some(chat_id) = sought.chat_id else {
            return Ok(NOT_SHOWN);
        };
        let answer = self.get(&body::messages_of(chat_id), &[]).await?;
        Ok(match read(&answer.body, sought) {
            Some(message_id) => Sighting::Found {
                message_id,
                chat_id: Some(chat_id.to_owned()),
            },
            None => NOT_SHOWN,
        })
    }
}

/// The newest message that is the one sought.
fn read(body: &[u8], sought: &Sought<'_>) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let rows = body.get("messages")?.as_array()?;
    rows.iter().rev().find_map(|row| is_it(row, sought))
}

fn is_it(row: &Value, sought: &Sought<'_>) -> Option<String> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let id = text("id").or_else(|| text("message_id"))?;
    let written: Timestamp = text("created_at")?.parse().ok()?;
    let ours = text("direction") == Some("outbound") && text("status") != Some("failed");
    let in_time = written.duration_since(sought.since) >= -SKEW;
    let parts = row.get("parts")?.as_array()?;
    let found = ours && in_time && !sought.others.contains(id) && same(sought.message, parts);
    answer::usable(found.then(|| id.to_owned()))
}

/// Files have other names there, so a picture is taken for a picture.
fn same(message: &Message, parts: &[Value]) -> bool {
    message.parts.len() == parts.len()
        && message.parts.iter().zip(parts).all(|(ours, theirs)| {
            let is =
                |name: &str, value: &str| theirs.get(name).and_then(Value::as_str) == Some(value);
            match ours {
                Part::Text { value, .. } => is("type", "text") && is("value", value),
                Part::Template { .. } => false,
                Part::Media { .. } => is("type", "media"),
                Part::RichLink { url, .. } => is("type", "rich_link") && is("url", url),
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn message() -> Message {
        serde_json::from_str(
            r#"[{"type":"text","value":"Hi Ann"},{"type":"rich_link","url":"https://example.com/r"}]"#,
        )
        .unwrap()
    }

    const PARTS: &str = r#"[{"type":"text","value":"Hi Ann"},{"type":"rich_link","url":"https://example.com/r","title":"x"}]"#;

    fn row(id: &str, at: &str, direction: &str, status: &str, parts: &str) -> String {
        format!(
            r#"{{"id":"{id}","created_at":"{at}","direction":"{direction}","status":"{status}","parts":{parts}}}"#
        )
    }

    fn look(rows: &[String], others: &[&str]) -> Option<String> {
        let others: HashSet<String> = others.iter().map(|&id| id.to_owned()).collect();
        let message = message();
        let sought = Sought {
            chat_id: Some("c1"),
            contact_id: None,
            channel: None,
            now: Timestamp::UNIX_EPOCH,
            message: &message,
            since: "2026-06-10T16:00:00Z".parse().unwrap(),
            others: &others,
        };
        let body = format!(r#"{{"messages":[{}],"has_more":false}}"#, rows.join(","));
        read(body.as_bytes(), &sought)
    }

    #[test]
    fn the_message_is_found_by_what_it_says_and_when() {
        let at = "2026-06-10T16:00:02Z";
        let sent = row("m1", at, "outbound", "sent", PARTS);
        assert_eq!(
            look(std::slice::from_ref(&sent), &[]).as_deref(),
            Some("m1")
        );
        assert_eq!(look(&[sent], &["m1"]), None, "known to be another delivery");
        let others = [
            row("m2", at, "inbound", "delivered", PARTS),
            row("m3", at, "outbound", "failed", PARTS),
            row("m4", "2026-06-10T15:54:59Z", "outbound", "sent", PARTS),
            row(
                "m5",
                at,
                "outbound",
                "sent",
                r#"[{"type":"text","value":"Hi Ann"}]"#,
            ),
            row("m6", at, "outbound", "sent", "[]"),
        ];
        assert_eq!(look(&others, &[]), None);
        let long = row(&"m".repeat(300), at, "outbound", "sent", PARTS);
        assert_eq!(look(&[long], &[]), None, "no id is so long");
    }

    #[test]
    fn what_cannot_be_read_shows_nothing() {
        let others = HashSet::new();
        let message = message();
        let sought = Sought {
            chat_id: Some("c1"),
            contact_id: None,
            channel: None,
            now: Timestamp::UNIX_EPOCH,
            message: &message,
            since: Timestamp::UNIX_EPOCH,
            others: &others,
        };
        for body in [
            "",
            "[]",
            "{}",
            r#"{"messages":3}"#,
            r#"{"messages":[3,null,{}]}"#,
        ] {
            assert_eq!(read(body.as_bytes(), &sought), None, "{body}");
        }
    }
}
