//! Turns an envelope into path and body (chert §6, §7.2, §7.3). The bytes depend on the envelope
//! alone, field by field in a fixed order, so that every try sends the same ones. Checks nothing:
//! the domain has.

use std::collections::BTreeMap;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::super::segment::segment;
use super::super::{Envelope, Request};
use crate::domain::digest::Digest;
use crate::domain::message::{MediaSource, Part};
use crate::domain::phone::Phone;

/// Where a first message goes.
pub(super) const CHATS: &str = "/chats";

/// The path of the messages of a chat, to read them and to add one (chert §7.3, §8.2).
pub(super) fn messages_of(chat_id: &str) -> String {
    format!("{CHATS}/{}/messages", segment(chat_id))
}

/// The path of one message (chert §8.1).
pub(super) fn message(message_id: &str) -> String {
    format!("/messages/{}", segment(message_id))
}

/// Room for the fields around the parts, so that most bodies are written without growing.
const FRAME: usize = 256;

#[derive(Serialize)]
struct FirstMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    to: [&'a str; 1],
    message: MessageBody<'a>,
}

#[derive(Serialize)]
struct FollowUp<'a> {
    message: MessageBody<'a>,
}

#[derive(Serialize)]
struct MessageBody<'a> {
    parts: Parts<'a>,
    idempotency_key: &'a str,
}

/// The parts as they go on the wire: files under the provider's ids.
struct Parts<'a> {
    parts: &'a [Part],
    attachments: &'a BTreeMap<Digest, String>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "media")]
struct Attachment<'a> {
    attachment_id: &'a str,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_seq(Some(self.parts.len()))?;
        for part in self.parts {
            match part {
                Part::Media {
                    source: MediaSource::File { sha256 },
                } => match self.attachments.get(sha256) {
                    Some(attachment_id) => parts.serialize_element(&Attachment { attachment_id }),
                    // Not uploaded. The digest is an id the provider cannot know: it refuses the
                    // message as a whole (5001), and the engine uploads the file.
                    None => parts.serialize_element(&Attachment {
                        attachment_id: &sha256.to_string(),
                    }),
                }?,
                Part::Text { .. }
                // Refused by the checks; the provider would refuse it, too.
                | Part::Template { .. }
                | Part::RichLink { .. }
                | Part::Media {
                    source: MediaSource::Url { .. },
                } => parts.serialize_element(part)?,
            }
        }
        parts.end()
    }
}

/// The request for one delivery. Needs no account: the same envelope gives the same bytes anywhere.
pub fn request(envelope: &Envelope<'_>) -> Request {
    let message = MessageBody {
        parts: Parts {
            parts: &envelope.message.parts,
            attachments: envelope.attachments,
        },
        idempotency_key: envelope.key.as_str(),
    };
    match envelope.chat_id {
        Some(chat_id) => Request {
            path: messages_of(chat_id),
            body: json(&FollowUp { message }).into(),
        },
        None => Request {
            path: CHATS.to_owned(),
            body: json(&FirstMessage {
                from: envelope.line.map(Phone::expose),
                to: [envelope.to.expose()],
                message,
            })
            .into(),
        },
    }
}

pub(super) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME * 2);
    #[expect(
        clippy::expect_used,
        reason = "strings, lists and fixed fields always have a JSON form, and a Vec takes them"
    )]
    serde_json::to_writer(&mut bytes, value).expect("our own bodies are JSON");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::IdempotencyKey;
    use crate::domain::message::Message;

    fn built(
        chat_id: Option<&str>,
        parts: &str,
        attachments: &BTreeMap<Digest, String>,
    ) -> Request {
        let message: Message = serde_json::from_str(parts).unwrap();
        request(&Envelope {
            to: &crate::domain::address::Address::stored("+12025550143").unwrap(),
            chat_id,
            contact_id: None,
            channel: None,
            line: Some(&Phone::from_e164("+12025550188").unwrap()),
            message: &message,
            attachments,
            key: &IdempotencyKey::stored("so1-aa".to_owned()),
        })
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(&request.body).unwrap()
    }

    #[test]
    fn a_first_message_names_line_recipient_parts_and_key_in_this_order() {
        let parts = r#"[
            {"type":"text","value":"Hi \"Dana\" é 🚰\n"},
            {"type":"rich_link","url":"https://bistro.example/menu","title":"Menu"},
            {"type":"media","url":"https://bistro.example/a.png"}]"#;
        let request = built(None, parts, &BTreeMap::new());
        assert_eq!(request.path, "/chats");
        assert_eq!(
            body(&request),
            concat!(
                r#"{"from":"+12025550188","to":["+12025550143"],"message":{"parts":["#,
                r#"{"type":"text","value":"Hi \"Dana\" é 🚰\n"},"#,
                r#"{"type":"rich_link","url":"https://bistro.example/menu","title":"Menu"},"#,
                r#"{"type":"media","url":"https://bistro.example/a.png"}],"#,
                r#""idempotency_key":"so1-aa"}}"#
            )
        );
    }

    #[test]
    fn a_follow_up_goes_to_its_chat_and_names_no_one() {
        let parts = r#"[{"type":"text","value":"See you at 7."}]"#;
        let request = built(Some("iMessage;+;chat 4/2?é"), parts, &BTreeMap::new());
        assert_eq!(
            request.path,
            "/chats/iMessage%3B%2B%3Bchat%204%2F2%3F%C3%A9/messages"
        );
        assert_eq!(
            body(&request),
            r#"{"message":{"parts":[{"type":"text","value":"See you at 7."}],"idempotency_key":"so1-aa"}}"#
        );
    }

    #[test]
    fn a_file_goes_under_its_id_and_one_without_an_id_under_its_digest() {
        let digest = Digest::of(b"png");
        let parts = format!(r#"[{{"type":"media","sha256":"{digest}"}}]"#);
        let ids = BTreeMap::from([(digest, "att_7".to_owned())]);
        let expected = |id: &str| {
            format!(
                r#"{{"message":{{"parts":[{{"type":"media","attachment_id":"{id}"}}],"idempotency_key":"so1-aa"}}}}"#
            )
        };
        assert_eq!(body(&built(Some("c"), &parts, &ids)), expected("att_7"));
        assert_eq!(
            body(&built(Some("c"), &parts, &BTreeMap::new())),
            expected(&digest.to_string())
        );
    }
}
