//! From the JSON of a sending route to a [`Draft`], or to the code that says which field is
//! wrong (chert §3.2, §7). Looks at the request alone: what depends on chats, lines or files
//! is the store's to say.

use serde_json::Value;

use super::errors::{Refusal, code, invalid, missing};
use super::keys::Key;
use super::lines::{Capability, Need};
use super::parts::{self, MediaRef, Occasion, Parts, is_too_long, present};
use crate::domain::digest::Digest;
use crate::domain::links;
use crate::domain::phone::Phone;

/// The effects that the sandbox knows: Apple's own (chert §9).
pub(super) const EFFECTS: [&str; 14] = [
    "slam",
    "loud",
    "gentle",
    "invisible_ink",
    "echo",
    "spotlight",
    "balloons",
    "confetti",
    "heart",
    "lasers",
    "fireworks",
    "celebration",
    "shooting_star",
    "sparkles",
];

/// Most people in a group (chert §7.2).
pub(super) const MAX_GROUP: usize = 31;
/// Longest idempotency key in characters; the alphabet is left open, for the contract's own
/// example has a `+` in it (chert §5, §7.2).
pub(super) const MAX_KEY_CHARS: usize = 128;

/// A message whose fields are in order, not yet accepted.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) target: Target,
    pub(super) parts: Parts,
    pub(super) look: Look,
    pub(super) key: Option<Key>,
    /// Of the body's bytes.
    pub(super) body: Digest,
    /// What its line must be able to do besides sending.
    pub(super) need: Option<Need>,
    pub(super) kind: Kind,
}

/// What a draft is the draft of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, files and links.
    Message,
    /// A place on the map.
    Pin,
    /// Somebody's contact card.
    Card,
}

/// How a message is to be shown, beyond its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Look {
    /// Of [`EFFECTS`].
    pub(super) effect: Option<&'static str>,
    /// Several files as one bubble (chert §10.5).
    pub(super) grouped: bool,
}

/// Whom it goes to, and how the route says so.
#[derive(Debug)]
pub(super) enum Target {
    /// `POST /chats` with one recipient.
    Direct { from: Phone, to: Phone },
    /// `POST /chats` with several.
    Group {
        from: Phone,
        to: Vec<Phone>,
        subject: Option<String>,
    },
    /// `POST /chats/{id}/messages`.
    Chat { id: String },
    /// `POST /send`.
    Lead(Lead),
}

/// The person of `/send`.
#[derive(Debug)]
pub(super) struct Lead {
    pub(super) phone: Phone,
    pub(super) name: Option<String>,
    pub(super) line_id: Option<String>,
    pub(super) has_url: HasUrl,
}

/// Whether the text has a web address in it, which only a first message must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HasUrl {
    Yes,
    No,
}

/// The request as the field checks see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) path: &'a str,
    pub(super) json: &'a Value,
    /// Of the body's bytes.
    pub(super) body: Digest,
}

/// The idempotency key that a body carries, whether or not the rest of it is in order.
pub(super) fn key_of(json: &Value) -> Option<&str> {
    let message = json.get("message").and_then(|m| m.get("idempotency_key"));
    message.or_else(|| json.get("idempotency_key"))?.as_str()
}

/// The person that a body names first, whether or not the rest of it is in order.
pub(super) fn person_of(json: &Value) -> Option<&str> {
    let to = json.get("to").filter(|to| !to.is_null());
    let first = to.map(|to| to.get(0).unwrap_or(to));
    first.or_else(|| json.get("phone"))?.as_str()
}

/// `POST /chats` (chert §7.2).
pub(super) fn chats(form: Form<'_>) -> Result<Draft, Refusal> {
    let from = required(form.json, "from")?;
    let to = required(form.json, "to")?;
    let message = required(form.json, "message")?;
    if present(message, "parts").is_none() && message.is_object() {
        return Err(missing("message.parts"));
    }
    let from = phone("from", from)?;
    let to = people(to, &from)?;
    let message = object("message", message)?;
    let occasion = match to.len() {
        1 => Occasion::FirstToOne,
        _ => Occasion::FirstToGroup,
    };
    let parts = parts::check(message.get("parts"), occasion)?;
    let subject = text("message.subject", present(message, "subject"))?;
    let look = look(&[message], &parts)?;
    let need = (to.len() > 1).then_some((Capability::Groups, 501));
    let key = key(form, present(message, "idempotency_key"))?;
    let target = match <[Phone; 1]>::try_from(to) {
        Ok([to]) => Target::Direct { from, to },
        Err(to) => Target::Group {
            from,
            to,
            subject: subject.map(str::to_owned),
        },
    };
    Ok(Draft {
        target,
        parts,
        look,
        key,
        body: form.body,
        need,
        kind: Kind::Message,
    })
}

/// `POST /chats/{id}/messages` (chert §7.3).
pub(super) fn follow_up(form: Form<'_>, chat_id: &str) -> Result<Draft, Refusal> {
    let message = object("message", required(form.json, "message")?)?;
    let parts = parts::check(message.get("parts"), Occasion::FollowUp)?;
    let look = look(&[message, form.json], &parts)?;
    Ok(Draft {
        target: Target::Chat {
            id: chat_id.to_owned(),
        },
        parts,
        look,
        key: key(form, present(message, "idempotency_key"))?,
        body: form.body,
        need: None,
        kind: Kind::Message,
    })
}

/// `POST /send` (chert §7.1).
pub(super) fn send(form: Form<'_>) -> Result<Draft, Refusal> {
    let number = required(form.json, "phone")?;
    let body = required(form.json, "body")?;
    let number = phone("phone", number)?;
    let body = match body.as_str() {
        Some(body) if body.trim().is_empty() => return Err(missing("body")),
        Some(body) if is_too_long(body) => return Err(Refusal::new(code::TEXT_TOO_LONG)),
        Some(body) => body,
        None => return Err(invalid("body", "must be a string")),
    };
    let name = text("name", present(form.json, "name"))?;
    text("external_id", present(form.json, "external_id"))?;
    let line_id = text("phone_line_id", present(form.json, "phone_line_id"))?;
    let media = attachments(present(form.json, "attachments"))?;
    let effect = effect(present(form.json, "effect"))?;
    let has_url = if links::first_url(body).is_some() {
        HasUrl::Yes
    } else {
        HasUrl::No
    };
    Ok(Draft {
        target: Target::Lead(Lead {
            phone: number,
            name: name.map(str::to_owned),
            line_id: line_id.map(str::to_owned),
            has_url,
        }),
        parts: bubbles(body, media),
        look: Look {
            effect,
            grouped: false,
        },
        key: key(form, present(form.json, "idempotency_key"))?,
        body: form.body,
        need: None,
        kind: Kind::Message,
    })
}

/// Blank lines split the body into bubbles; attachments follow (chert §7.1).
fn bubbles(body: &str, media: Vec<MediaRef>) -> Parts {
    let mut bubbles: Vec<String> = Vec::new();
    let mut after_blank = true;
    for line in body.lines() {
        let blank = line.trim().is_empty();
        match bubbles.last_mut() {
            Some(bubble) if !blank && !after_blank => {
                bubble.push('\n');
                bubble.push_str(line);
            }
            Some(_) | None if !blank => bubbles.push(line.to_owned()),
            Some(_) | None => {}
        }
        after_blank = blank;
    }
    let texts = bubbles
        .iter()
        .map(|text| serde_json::json!({ "type": "text", "value": text }));
    let files = media
        .iter()
        .map(|file| serde_json::json!({ "type": "media", "attachment_id": file.attachment_id }));
    let json = Value::Array(texts.chain(files).collect())
        .to_string()
        .into();
    Parts { json, media }
}

fn required<'a>(json: &'a Value, field: &str) -> Result<&'a Value, Refusal> {
    present(json, field).ok_or_else(|| missing(field))
}

fn object<'a>(field: &str, value: &'a Value) -> Result<&'a Value, Refusal> {
    if value.is_object() {
        Ok(value)
    } else {
        Err(invalid(field, "must be an object"))
    }
}

fn text<'a>(field: &str, value: Option<&'a Value>) -> Result<Option<&'a str>, Refusal> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field, "must be a string")),
    }
}

pub(super) fn phone(field: &str, value: &Value) -> Result<Phone, Refusal> {
    let text = value
        .as_str()
        .ok_or_else(|| invalid(field, "must be a string"))?;
    Phone::from_e164(text).map_err(|_| Refusal::new(code::INVALID_PHONE))
}

fn people(to: &Value, from: &Phone) -> Result<Vec<Phone>, Refusal> {
    let to = to
        .as_array()
        .ok_or_else(|| invalid("to", "must be an array"))?;
    if to.is_empty() {
        return Err(missing("to"));
    }
    if to.len() > MAX_GROUP {
        return Err(Refusal::new(code::TOO_MANY_PARTS)
            .status(422)
            .because(format!("At most {MAX_GROUP} recipients")));
    }
    let mut people: Vec<Phone> = Vec::with_capacity(to.len());
    for value in to {
        let person = phone("to", value)?;
        if person == *from || people.contains(&person) {
            return Err(invalid("to", "each recipient once, and not the sender"));
        }
        people.push(person);
    }
    Ok(people)
}

pub(super) fn key(form: Form<'_>, value: Option<&Value>) -> Result<Option<Key>, Refusal> {
    let Some(key) = text("idempotency_key", value)? else {
        return Ok(None);
    };
    if key.is_empty() || key.chars().count() > MAX_KEY_CHARS {
        return Err(invalid("idempotency_key", "1 to 128 characters"));
    }
    // Objects of `serde_json` keep their keys sorted, which is the comparison that the
    // contract asks for.
    let meaning = format!("POST {}\n{}", form.path, form.json);
    Ok(Some(Key {
        text: key.into(),
        meaning: Digest::of(meaning.as_bytes()),
    }))
}

fn effect(effect: Option<&Value>) -> Result<Option<&'static str>, Refusal> {
    let Some(wanted) = text("effect", effect)? else {
        return Ok(None);
    };
    let known = EFFECTS.into_iter().find(|known| *known == wanted);
    known
        .map(Some)
        .ok_or_else(|| Refusal::new(code::UNKNOWN_EFFECT))
}

/// What a message says of its look; `parallel_attachments` may stand in any of the places.
fn look(places: &[&Value], parts: &Parts) -> Result<Look, Refusal> {
    let mut grouped = false;
    for place in places {
        match present(place, "parallel_attachments") {
            None => {}
            Some(Value::Bool(flag)) => grouped |= flag,
            Some(_) => return Err(invalid("parallel_attachments", "must be true or false")),
        }
    }
    let message = places.first().copied().unwrap_or(&Value::Null);
    Ok(Look {
        effect: effect(present(message, "effect"))?,
        // One file is a bubble of its own, whatever was asked for.
        grouped: grouped && parts.media.len() > 1,
    })
}

/// `"<id>"`, `{"id": …}` or `{"attachment_id": …}`; an address is refused here (chert §7.1).
fn attachments(value: Option<&Value>) -> Result<Vec<MediaRef>, Refusal> {
    let entries = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(invalid("attachments", "must be an array")),
    };
    let mut media = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        if present(entry, "url").is_some() {
            return Err(Refusal::new(code::REF_MISMATCH)
                .because("An attachment is named by its id here, not by url")
                .attachment(index));
        }
        if present(entry, "live_photo").is_some_and(|live| !live.is_boolean()) {
            return Err(invalid("live_photo", "must be true or false").attachment(index));
        }
        let id = present(entry, "attachment_id")
            .or_else(|| present(entry, "id"))
            .unwrap_or(entry);
        match id.as_str() {
            Some(id) if !id.is_empty() => media.push(MediaRef {
                index,
                attachment_id: id.to_owned(),
            }),
            Some(_) | None => {
                return Err(invalid("attachments", "an entry needs an id").attachment(index));
            }
        }
    }
    Ok(media)
}
