//! Chats and messages as JSON in Chert's forms (chert §6 to §8). Decides nothing.

use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::ids;
use super::receipts::Progress;
use super::store::{Chat, LeadCreated, Line, Message, Origin};
use crate::sandbox::journal::time_text;

/// The answer to the request that brought the message, and to each repetition of it.
pub(super) fn accepted(message: &Message, chat: &Chat, lines: &[Line]) -> String {
    let sent = MessageJson(message, chat, Progress::SENT);
    match message.origin {
        Origin::Chats => format!("{{\"chat\":{},\"message\":{sent}}}", ChatJson(chat)),
        Origin::FollowUp => format!("{{\"message\":{sent}}}"),
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

/// `GET /messages/{id}`.
pub(super) fn one(message: &Message, chat: &Chat, progress: Progress) -> String {
    format!("{{\"message\":{}}}", MessageJson(message, chat, progress))
}

/// A message that was sent, as one among those of its chat.
pub(super) fn row(message: &Message, chat: &Chat, progress: Progress) -> String {
    MessageJson(message, chat, progress).to_string()
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
                "is_active": true,
                "capabilities": ["imessage", "send", "receive"],
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
            chat.people.len() > 1,
            // Any figure from 70 to 99 will do, as long as a chat keeps its own (chert §6).
            70 + chat.id % 30,
            time_text(chat.at_us)
        )
    }
}

/// The Message object (chert §6).
struct MessageJson<'a>(&'a Message, &'a Chat, Progress);

impl Display for MessageJson<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(message, chat, progress) = self;
        write!(
            f,
            "{{\"id\":\"{}\",\"chat_id\":\"{}\",\"parts\":{},\"status\":\"{}\",\
             \"direction\":\"outbound\",\"created_at\":\"{}\"",
            ids::message_text(message.id),
            ids::chat_text(chat.id),
            message.parts,
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
