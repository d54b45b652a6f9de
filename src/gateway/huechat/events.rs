//! What an event of a webhook tells (huechat §10.3, §10.4). How its inside looks is not published,
//! so every id is looked for in each place that it may stand in, and what cannot be read is told
//! apart from what does not concern us. Pure.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::messages;
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::digest::Digest;
use crate::domain::email::Email;
use crate::domain::phone::Phone;
use crate::domain::receipt::Receipt;

/// The longest name that is taken for one.
const MAX_ID: usize = 200;
/// The longest text that is kept, in characters.
const MAX_TEXT: usize = 20_000;
/// A first delivery is not further away from now than this (huechat §10.5).
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// The types that there are (huechat §10.3).
const LISTED: [&str; 11] = [
    "message.received",
    "message.sent",
    "message.delivered",
    "message.read",
    "conversation.created",
    "conversation.updated",
    "conversation.resolved",
    "conversation.assigned",
    "contact.created",
    "contact.updated",
    "contact.deleted",
];

/// An event, whatever it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same each time that it is delivered.
    pub id: String,
    /// In the provider's words, fit for a log.
    pub kind: String,
    pub at: Option<Timestamp>,
    /// How often it was delivered before.
    pub retry_count: u64,
    pub notice: Notice,
}

/// What it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Somebody wrote.
    Reply(Reply),
    /// How a message of ours stands.
    Receipt {
        message_id: String,
        conversation_id: Option<String>,
        receipt: Receipt,
    },
    /// Nothing that is kept here. Not `listed`: of a type that the provider has not published.
    Other { listed: bool },
    /// Of a type that is kept here, and it lacks something, in words.
    Unreadable { why: &'static str },
}

/// What somebody wrote, as an event tells it. Its words are the person's, and go into the ledger
/// alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The message's own id, as conversations name it as well.
    pub message_id: String,
    pub from: Sender,
    pub channel: Option<Channel>,
    pub conversation_id: Option<String>,
    pub text: String,
    /// `None`: it does not say.
    pub at: Option<Timestamp>,
}

/// Who wrote.
#[derive(Clone, PartialEq, Eq)]
pub enum Sender {
    Address(Address),
    /// Whose contact this is has to be found out.
    Contact(String),
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.message_id, self.text.len())
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:?}"),
            Self::Contact(id) => f.write_str(id),
        }
    }
}

/// The body of a delivery is no event at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body is no JSON object")]
pub struct NoEvent;

impl Event {
    /// Reads the body of a delivery.
    ///
    /// # Errors
    /// [`NoEvent`] when it is no JSON object in UTF-8.
    pub fn read(body: &[u8]) -> Result<Self, NoEvent> {
        let event: Value = serde_json::from_slice(body).map_err(|_| NoEvent)?;
        if !event.is_object() {
            return Err(NoEvent);
        }
        let kind = text(&event, "/type").unwrap_or_default();
        let at = time(&event, "/timestamp");
        let named = text(&event, "/id").and_then(usable);
        Ok(Self {
            id: named.unwrap_or_else(|| named_by(body)),
            at,
            retry_count: event
                .get("retry_count")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            notice: notice(&kind, event.get("data").unwrap_or(&Value::Null), at),
            kind: fit_for_a_log(&kind),
        })
    }

    /// Whether it can have been sent just now: somebody may repeat what was signed once. A
    /// delivery that is tried again is late by its nature.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.retry_count > 0
            || self
                .at
                .is_none_or(|at| now.duration_since(at).abs() <= FRESH)
    }
}

fn notice(kind: &str, data: &Value, at: Option<Timestamp>) -> Notice {
    match kind {
        "message.received" => reply(data, at),
        "message.sent" | "message.delivered" | "message.read" => receipt(kind, data, at),
        other => Notice::Other {
            listed: LISTED.contains(&other),
        },
    }
}

fn reply(data: &Value, at: Option<Timestamp>) -> Notice {
    let message = inner(data, "message");
    // One of our own may be told as received by the contact. Whoever else it is said to be from, it
    // may be a STOP.
    if text(message, "/sent_by").as_deref() == Some("user") {
        return Notice::Other { listed: true };
    }
    let Some(message_id) = id(data, "message", "msg_") else {
        return Notice::Unreadable {
            why: "it names no message",
        };
    };
    let channel = text(message, "/channel").or_else(|| text(data, "/channel"));
    let channel = channel.and_then(|name| Channel::parse(&name));
    let contact = id(data, "contact", "cnt_");
    let Some(from) = address(data, channel)
        .map(Sender::Address)
        .or(contact.map(Sender::Contact))
    else {
        return Notice::Unreadable {
            why: "it does not say who wrote",
        };
    };
    let words = text(message, "/content").unwrap_or_default();
    let words = words.trim().chars().filter(|c| *c != '\0');
    Notice::Reply(Reply {
        message_id,
        from,
        channel,
        conversation_id: id(data, "conversation", "conv_"),
        text: words.take(MAX_TEXT).collect(),
        at: time(message, "/sent_at")
            .or_else(|| time(message, "/created_at"))
            .or(at),
    })
}

/// The message as it stands, and no less than what the type of the event says.
fn receipt(kind: &str, data: &Value, at: Option<Timestamp>) -> Notice {
    let Some(message_id) = id(data, "message", "msg_") else {
        return Notice::Unreadable {
            why: "it names no message",
        };
    };
    let shown = messages::receipt(inner(data, "message"));
    let receipt = match (kind, shown) {
        ("message.read", read @ Receipt::Read { .. }) => read,
        ("message.read", Receipt::Delivered { at: delivered_at }) => {
            Receipt::Read { delivered_at, at }
        }
        ("message.read", _) => Receipt::Read {
            delivered_at: None,
            at,
        },
        (
            "message.delivered",
            known @ (Receipt::Read { .. } | Receipt::Delivered { at: Some(_) }),
        ) => known,
        ("message.delivered", _) => Receipt::Delivered { at },
        (_, shown) => shown,
    };
    Notice::Receipt {
        message_id,
        conversation_id: id(data, "conversation", "conv_"),
        receipt,
    }
}

/// The resource itself, or `data` where that is it.
fn inner<'v>(data: &'v Value, name: &str) -> &'v Value {
    data.get(name).filter(|v| v.is_object()).unwrap_or(data)
}

/// The first of `data.NAME.id`, `data.NAME_id`, `data.id` that is an id of this kind.
fn id(data: &Value, name: &str, prefix: &str) -> Option<String> {
    let places = [format!("/{name}/id"), format!("/{name}_id"), "/id".into()];
    places
        .iter()
        .filter_map(|place| text(data, place).and_then(usable))
        .find(|id| id.starts_with(prefix))
        .or_else(|| {
            // Where the message lies one level down, so do the names of what it belongs to.
            let inside = text(data, &format!("/message/{name}_id")).and_then(usable)?;
            inside.starts_with(prefix).then_some(inside)
        })
}

/// The person's address, where it is told.
fn address(data: &Value, channel: Option<Channel>) -> Option<Address> {
    let phone = || {
        let places = ["/contact/phone", "/message/contact/phone"];
        let phone = places.iter().find_map(|place| text(data, place))?;
        Phone::from_e164(&phone).ok().map(Address::from)
    };
    let email = || {
        let places = ["/contact/email", "/message/contact/email"];
        let email = places.iter().find_map(|place| text(data, place))?;
        Email::parse(&email).ok().map(Address::from)
    };
    match channel {
        Some(channel) if channel.is_mail() => email(),
        Some(_) => phone(),
        None => phone().or_else(email),
    }
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().map(str::to_owned)
}

fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer)?.parse().ok()
}

fn usable(id: String) -> Option<String> {
    let good = (1..=MAX_ID).contains(&id.len()) && !id.chars().any(char::is_control);
    good.then_some(id)
}

/// An event without a name is known by its bytes.
fn named_by(body: &[u8]) -> String {
    format!("sha256:{}", Digest::of(body))
}

/// Whatever stands there: nothing that a person wrote.
fn fit_for_a_log(kind: &str) -> String {
    let is_word = |c: &char| c.is_ascii_lowercase() || matches!(c, '.' | '_');
    if !kind.is_empty() && kind.len() <= 64 && kind.chars().all(|c| is_word(&c)) {
        kind.to_owned()
    } else {
        "unknown".to_owned()
    }
}

#[cfg(test)]
mod tests;
