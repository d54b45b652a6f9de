//! Chats and messages as JSON in Chert's forms (chert §6 to §8). Decides nothing.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::ids;
use super::lines::Line;
use super::receipts::Progress;
use super::store::{Chat, LeadCreated, Message, Origin, Pinned};
use crate::sandbox::journal::time_text;

/// The answer to the request that brought the message, and to each repetition of it.
pub(super) fn accepted(message: &Message, chat: &Chat, lines: &[Line]) -> String {
    let sent = MessageJson(message, chat, Progress::SENT, &message.parts);
    match message.origin {
        Origin::Chats => format!("{{\"chat\":{},\"message\":{sent}}}", ChatJson(chat)),
        Origin::FollowUp => format!("{{\"message\":{sent}}}"),
        Origin::Location(as_what) => place(message, as_what, lines.get(message.line)),
        Origin::Contact => {
            json!({ "chat_id": ids::chat_text(chat.id), "status": "sent" }).to_string()
        }
        Origin::Send { lead_created } => {
            let convo = ids::derive(0, "convo", &[&chat.id.to_be_bytes()]);
            json!({
                "status": "sent",
                "message_id": ids::message_text(message.id),
                "lead_id": ids::chat_text(chat.id),
                "lead_created": lead_created == LeadCreated::Yes,
                "convo_id": ids::chat_text(convo),
                "phone_line_id": lines.get(message.line).map(|line| &line.id),
            })
            .to_string()
        }
    }
}

/// The answer of `POST /locations` (chert §7.4).
fn place(message: &Message, pinned: Pinned, line: Option<&Line>) -> String {
    let mut parts: Value = serde_json::from_str(&message.parts).unwrap_or_default();
    let mut place = parts.get_mut(0).map(Value::take).unwrap_or_default();
    if let Some(place) = place.as_object_mut() {
        let mode = match pinned {
            Pinned::Balloon => "balloon",
            Pinned::Url => "url",
        };
        place.remove("type");
        place.insert("mode".into(), mode.into());
    }
    json!({
        "message_id": ids::message_text(message.id),
        "status": "queued",
        "phone_line_id": line.map(|line| &line.id),
        "delivery": "queued",
        "location": place,
    })
    .to_string()
}

/// `GET /messages/{id}`.
pub(super) fn one(message: &Message, chat: &Chat, progress: Progress) -> String {
    format!("{{\"message\":{}}}", row(message, chat, progress))
}

/// A message that was sent, as one among those of its chat.
pub(super) fn row(message: &Message, chat: &Chat, progress: Progress) -> String {
    MessageJson(message, chat, progress, message.shown()).to_string()
}

/// `GET /chats/{id}/messages` (chert §8.2).
pub(super) fn history(messages: impl Iterator<Item = String>, has_more: HasMore) -> String {
    let messages: Vec<String> = messages.collect();
    format!(
        "{{\"messages\":[{}],\"has_more\":{}}}",
        messages.join(","),
        has_more == HasMore::Yes
    )
}

/// Whether older messages were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HasMore {
    Yes,
    No,
}

/// `GET /phone-numbers` (chert §12).
pub(super) fn phone_numbers(lines: &[Line]) -> String {
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "id": line.id,
                "phone_line_id": line.id,
                "phone_number": line.phone.expose(),
                "service": "imessage",
                "is_active": line.is_active,
                "capabilities": line.capabilities(),
            })
        })
        .collect();
    json!({ "phone_numbers": lines }).to_string()
}

/// The Chat object (chert §6). Numbers are E.164 and ids hex: only the name needs escaping.
struct ChatJson<'a>(&'a Chat);

impl Display for ChatJson<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(chat) = self;
        write!(
            f,
            "{{\"id\":\"{}\",\"display_name\":{},\"handles\":[",
            ids::chat_text(chat.id),
            Value::from(&*chat.display_name)
        )?;
        for (number, person) in chat.people.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let address = person.expose();
            write!(
                f,
                "{comma}{{\"service\":\"imessage\",\"address\":\"{address}\"}}"
            )?;
        }
        write!(
            f,
            "],\"is_group\":{},\"service\":\"imessage\",\"health_score\":{},\
             \"created_at\":\"{}\"}}",
            chat.group.is_some(),
            // Any figure from 70 to 99 will do, as long as a chat keeps its own (chert §6).
            70 + chat.id % 30,
            time_text(chat.at_us)
        )
    }
}

/// The Message object (chert §6); the parts are as accepted, or as they are shown now.
struct MessageJson<'a>(&'a Message, &'a Chat, Progress, &'a str);

impl Display for MessageJson<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(message, chat, progress, parts) = self;
        write!(
            f,
            "{{\"id\":\"{}\",\"chat_id\":\"{}\",\"parts\":{},\"status\":\"{}\",\
             \"direction\":\"outbound\",\"created_at\":\"{}\"",
            ids::message_text(message.id),
            ids::chat_text(chat.id),
            parts,
            progress.status,
            time_text(message.at_us)
        )?;
        for (field, moment) in [
            ("delivered_at", progress.delivered_at_us),
            ("read_at", progress.read_at_us),
        ] {
            match moment {
                Some(moment) => write!(f, ",\"{field}\":\"{}\"", time_text(moment))?,
                None => write!(f, ",\"{field}\":null")?,
            }
        }
        f.write_str(",\"service\":\"imessage\"}")
    }
}
