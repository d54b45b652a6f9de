//! Messages of a conversation (huechat §7.3): one that may be among them, and how one stands that
//! is. They come newest first.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Asked, Sighting, Sought, Turns};
use super::pages::Pages;
use super::{HueChat, answer, body, platform};
use crate::domain::channel::Channel;
use crate::domain::message::Message;
use crate::domain::outcome::Outcome;
use crate::domain::receipt::Receipt;
use crate::domain::single::Single;

/// How far the provider's clock and ours may be apart, past what its answers show (huechat §13).
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Pages of conversations, and of messages, that are read for one message; what is further down
/// is older than anything that is looked for.
const MOST_PAGES: usize = 20;

impl HueChat {
    /// Looks through the conversation with the person, which is looked for where it is not known.
    pub(super) async fn sight(
        &self,
        sought: &Sought<'_>,
        turns: &dyn Turns,
    ) -> Result<Sighting, Outcome> {
        let since = earlier(sought.since, SKEW + self.behind());
        let conversation = match sought.chat_id {
            Some(id) => Some(id.to_owned()),
            None => match self.conversation_of(sought, since, turns).await? {
                Conversation::Known(id) => Some(id),
                Conversation::None => None,
                Conversation::Unclear => {
                    return Ok(Sighting::Unclear {
                        why: "there are too many conversations to look through",
                    });
                }
            },
        };
        let Some(conversation) = conversation else {
            return Ok(Sighting::Absent);
        };
        let mut matching = Vec::new();
        let mut pages = Pages::of(self, body::messages_of(&conversation), Vec::new());
        let mut all = false;
        for _ in 0..MOST_PAGES {
            let Some(rows) = pages.next(turns).await? else {
                all = true;
                break;
            };
            let found = rows.iter().filter_map(|row| is_it(row, sought, since));
            for id in found {
                if !matching.contains(&id) {
                    matching.push(id);
                }
            }
            if rows
                .iter()
                .any(|row| time(row, "sent_at").is_some_and(|at| at < since))
            {
                all = true;
                break;
            }
        }
        Ok(match matching.as_slice() {
            [one] => Sighting::Found {
                message_id: one.clone(),
                chat_id: Some(conversation),
            },
            [] if all => Sighting::Absent,
            [] => Sighting::Unclear {
                why: "the conversation is too long to look through",
            },
            _ => Sighting::Unclear {
                why: "the conversation shows more than one message that it may be",
            },
        })
    }

    /// The conversation with the person over the channel. Conversations come by their newest
    /// message, so that of a message sent since then stands before all that are older.
    async fn conversation_of(
        &self,
        sought: &Sought<'_>,
        since: Timestamp,
        turns: &dyn Turns,
    ) -> Result<Conversation, Outcome> {
        let Some(contact_id) = sought.contact_id else {
            // Whoever is not known to the provider was not written to.
            return Ok(Conversation::None);
        };
        let mut query = vec![
            ("status", "all".to_owned()),
            ("sort", "last_message_at:desc".to_owned()),
        ];
        query.extend(
            sought
                .channel
                .map(|channel| ("channel", channel.to_string())),
        );
        let mut pages = Pages::of(self, body::CONVERSATIONS.to_owned(), query);
        for _ in 0..MOST_PAGES {
            let Some(rows) = pages.next(turns).await? else {
                return Ok(Conversation::None);
            };
            let ours = rows.iter().find(|row| {
                let text = |name: &str| row.get(name).and_then(Value::as_str);
                let channel = sought.channel.map(Channel::as_str);
                text("contact_id") == Some(contact_id)
                    && text("channel")
                        .is_none_or(|theirs| channel.is_none_or(|ours| ours == theirs))
            });
            let id = ours.and_then(|row| row.get("id")?.as_str());
            if let Some(id) = answer::usable(id.map(str::to_owned)) {
                return Ok(Conversation::Known(id));
            }
            let older = |row: &Value| time(row, "last_message_at").is_some_and(|at| at < since);
            if rows.iter().any(older) {
                return Ok(Conversation::None);
            }
        }
        Ok(Conversation::Unclear)
    }

    /// How a message stands, by the conversation that it is in: there is no other way to ask
    /// (huechat §7.3).
    pub(super) async fn standing(
        &self,
        asked: &Asked<'_>,
        turns: &dyn Turns,
    ) -> Result<Receipt, Outcome> {
        let Some(conversation) = asked.chat_id else {
            return Ok(Receipt::UnderWay);
        };
        let mut pages = Pages::of(self, body::messages_of(conversation), Vec::new()).paced();
        for _ in 0..MOST_PAGES {
            let Some(rows) = pages.next(turns).await? else {
                return Ok(Receipt::Unknown);
            };
            let is_it =
                |row: &&Value| row.get("id").and_then(Value::as_str) == Some(asked.message_id);
            if let Some(row) = rows.iter().find(is_it) {
                return Ok(receipt(row));
            }
        }
        Ok(Receipt::Unknown)
    }
}

enum Conversation {
    Known(String),
    None,
    Unclear,
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

fn time(row: &Value, name: &str) -> Option<Timestamp> {
    row.get(name)?.as_str()?.parse().ok()
}

/// Its id, where it is ours, in time, nobody else's, and says what was to be said.
fn is_it(row: &Value, sought: &Sought<'_>, since: Timestamp) -> Option<String> {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let id = answer::usable(text("id").map(str::to_owned))?;
    let ours = text("sent_by").is_none_or(|by| by == "user");
    // One that does not say when it was written may be any.
    let in_time = time(row, "sent_at").is_none_or(|at| at >= since);
    let found = ours && in_time && !sought.others.contains(&id) && same(sought.message, row);
    found.then_some(id)
}

/// For a template the provider may show the words that it was filled into: then the values are
/// what can be compared (huechat §13).
fn same(message: &Message, row: &Value) -> bool {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let single = message.single();
    let kind = body::message_type(&single);
    // The quickstart's messages have no type.
    let same_kind = text("message_type").is_none_or(|theirs| theirs == kind);
    let content = text("content").unwrap_or_default();
    same_kind
        && match single {
            Single::Text { content: ours, .. } => content == ours,
            Single::Image { caption, .. } | Single::Document { caption, .. } => {
                content == caption.unwrap_or_default()
            }
            Single::Template { parameters, .. } => {
                content.is_empty() || parameters.values().all(|value| content.contains(value))
            }
        }
}

/// How a message stands, out of its own fields; from the list and from an event alike.
pub(super) fn receipt(row: &Value) -> Receipt {
    let (delivered_at, read_at) = (time(row, "delivered_at"), time(row, "read_at"));
    let status = row.get("status").and_then(Value::as_str);
    match (status, delivered_at, read_at) {
        (Some("read"), ..) | (_, _, Some(_)) => Receipt::Read {
            delivered_at,
            at: read_at,
        },
        (Some("delivered"), ..) | (_, Some(_), _) => Receipt::Delivered { at: delivered_at },
        (Some("failed"), ..) => {
            let said = row.get("error").and_then(Value::as_str);
            let mut failure = platform::failure(said);
            failure.text = format!("taken by the provider and given up later: {}", failure.text);
            Receipt::Failed { failure }
        }
        _ => Receipt::UnderWay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const SINCE: &str = "2026-06-10T16:00:00Z";

    fn since() -> Timestamp {
        SINCE.parse().unwrap()
    }

    fn row(id: &str, kind: &str, content: &str, at: &str) -> Value {
        serde_json::json!({ "id": id, "message_type": kind, "content": content,
            "sent_by": "user", "sent_at": at, "status": "sent" })
    }

    fn sighted(message: &str, row: &Value, others: &[&str]) -> Option<String> {
        let message: Message = serde_json::from_str(message).unwrap();
        let others: HashSet<String> = others.iter().map(|id| (*id).to_owned()).collect();
        let sought = Sought {
            chat_id: Some("conv_1"),
            contact_id: Some("cnt_1"),
            channel: None,
            message: &message,
            since: since(),
            now: since(),
            others: &others,
        };
        is_it(row, &sought, since())
    }

    const TEXT: &str = r#"[{"type":"text","value":"Hi Dana"}]"#;
    const TEMPLATE: &str =
        r#"[{"type":"template","name":"parcel_ready","parameters":{"1":"Asha","2":"PX-204"}}]"#;

    #[test]
    fn a_message_is_known_by_its_words_and_its_time() {
        let at = "2026-06-10T16:00:01Z";
        let good = row("m1", "text", "Hi Dana", at);
        assert_eq!(sighted(TEXT, &good, &[]), Some("m1".to_owned()));
        assert_eq!(sighted(TEXT, &good, &["m1"]), None);
        assert_eq!(sighted(TEXT, &row("m1", "text", "Hi Ann", at), &[]), None);
        assert_eq!(sighted(TEXT, &row("m1", "image", "Hi Dana", at), &[]), None);
        let old = row("m1", "text", "Hi Dana", "2026-06-10T15:59:59Z");
        assert_eq!(sighted(TEXT, &old, &[]), None);
        let mut theirs = good;
        theirs["sent_by"] = "contact".into();
        assert_eq!(sighted(TEXT, &theirs, &[]), None);
    }

    #[test]
    fn a_template_is_known_by_the_values_in_its_words() {
        let at = "2026-06-10T16:00:01Z";
        let filled = row("m1", "template", "Hello Asha, parcel PX-204 is ready.", at);
        assert_eq!(sighted(TEMPLATE, &filled, &[]), Some("m1".to_owned()));
        let other = row("m1", "template", "Hello Asha, parcel PX-205 is ready.", at);
        assert_eq!(sighted(TEMPLATE, &other, &[]), None);
    }

    #[test]
    fn a_time_counts_more_than_a_status_that_lags_behind_it() {
        let at = "2026-06-10T16:05:40Z";
        let delivered = Receipt::Delivered {
            at: Some(at.parse().unwrap()),
        };
        for (row, expected) in [
            (
                serde_json::json!({"status":"sent","delivered_at":at}),
                delivered.clone(),
            ),
            (
                serde_json::json!({"status":"delivered","delivered_at":at,"read_at":null}),
                delivered,
            ),
            (
                serde_json::json!({"status":"read"}),
                Receipt::Read {
                    delivered_at: None,
                    at: None,
                },
            ),
            (serde_json::json!({"status":"sent"}), Receipt::UnderWay),
            (
                serde_json::json!({"status":"teleported"}),
                Receipt::UnderWay,
            ),
            (serde_json::json!({}), Receipt::UnderWay),
        ] {
            assert_eq!(receipt(&row), expected, "{row}");
        }
        let failed = serde_json::json!({"status":"failed","error":"131026: Message undeliverable"});
        let Receipt::Failed { failure } = receipt(&failed) else {
            panic!("not failed");
        };
        assert_eq!(failure.code, Some(131_026));
    }
}
