//! The rules for message parts (chert §6). Does not know whether an attachment exists; the
//! store does.

use serde_json::Value;

use super::errors::{Refusal, code, invalid, missing};
use crate::domain::links;
use crate::domain::message::{MAX_PARTS, MAX_TEXT_CHARS, MAX_URL_CHARS};

/// What the parts are sent as; the first message of a chat may hold less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion {
    FirstToOne,
    FirstToGroup,
    FollowUp,
}

/// Parts that keep the rules.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The parts as a JSON array, as they were sent.
    pub(super) json: Box<str>,
    /// The uploaded files they name.
    pub(super) media: Vec<MediaRef>,
}

/// A reference to an uploaded file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MediaRef {
    /// Its place among the media of the message, from 0.
    pub(super) index: usize,
    pub(super) attachment_id: String,
}

/// Checks `message.parts`.
pub(super) fn check(parts: Option<&Value>, occasion: Occasion) -> Result<Parts, Refusal> {
    let parts = match parts {
        None | Some(Value::Null) => return Err(missing("message.parts")),
        Some(Value::Array(parts)) if parts.is_empty() => return Err(missing("message.parts")),
        Some(Value::Array(parts)) => parts,
        Some(_) => return Err(invalid("message.parts", "must be an array")),
    };
    if parts.len() > MAX_PARTS {
        return Err(Refusal::new(code::TOO_MANY_PARTS)
            .because(format!("A message has at most {MAX_PARTS} parts")));
    }
    let mut kinds = Vec::with_capacity(parts.len());
    let mut media = Vec::new();
    let mut media_seen = 0;
    for part in parts {
        let kind = Kind::of(part)?;
        if kind == Kind::Media {
            media.extend(media_ref(part, media_seen)?);
            media_seen += 1;
        } else {
            kind.check(part)?;
        }
        kinds.push(kind);
    }
    if kinds
        .windows(2)
        .any(|pair| pair == [Kind::Text, Kind::Text])
    {
        return Err(Refusal::new(code::CONSECUTIVE_TEXT));
    }
    check_lengths(parts)?;
    check_occasion(parts, &kinds, occasion)?;
    let json = serde_json::to_string(parts).unwrap_or_default().into();
    Ok(Parts { json, media })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Media,
    RichLink,
    /// The legacy form; its fields are not documented.
    Link,
}

impl Kind {
    fn of(part: &Value) -> Result<Self, Refusal> {
        match part.get("type").and_then(Value::as_str) {
            Some("text") => Ok(Self::Text),
            Some("media") => Ok(Self::Media),
            Some("rich_link") => Ok(Self::RichLink),
            Some("link") => Ok(Self::Link),
            Some(_) | None => Err(invalid(
                "message.parts",
                "type must be text, media or rich_link",
            )),
        }
    }

    fn check(self, part: &Value) -> Result<(), Refusal> {
        match self {
            Self::Text => match part.get("value").and_then(Value::as_str) {
                Some(value) if !value.is_empty() => Ok(()),
                Some(_) | None => Err(invalid("message.parts", "a text part needs a value")),
            },
            Self::RichLink => {
                web_address(part.get("url"))?;
                for field in ["image_url", "icon_url"] {
                    if let Some(url) = present(part, field) {
                        web_address(Some(url))?;
                    }
                }
                for field in ["title", "summary"] {
                    if present(part, field).is_some_and(|value| !value.is_string()) {
                        return Err(invalid("message.parts", "rich_link texts must be strings"));
                    }
                }
                Ok(())
            }
            Self::Media | Self::Link => Ok(()),
        }
    }
}

/// A field that is there and not null.
pub(super) fn present<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

fn web_address(url: Option<&Value>) -> Result<(), Refusal> {
    let good = url.and_then(Value::as_str).is_some_and(|url| {
        url.split_once("://").is_some_and(|(scheme, rest)| {
            (scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http"))
                && !rest.is_empty()
        }) && url.chars().count() <= MAX_URL_CHARS
            && !url.contains(char::is_whitespace)
    });
    if good {
        Ok(())
    } else {
        Err(invalid(
            "message.parts",
            "url must be an http(s) address of at most 2048 characters",
        ))
    }
}

/// The uploaded file that a media part names; none when it names an address.
fn media_ref(part: &Value, index: usize) -> Result<Option<MediaRef>, Refusal> {
    match (present(part, "attachment_id"), present(part, "url")) {
        (Some(_), Some(_)) => Err(Refusal::new(code::REF_MISMATCH)
            .because("A media part has either attachment_id or url")
            .attachment(index)),
        (Some(Value::String(id)), None) if !id.is_empty() => Ok(Some(MediaRef {
            index,
            attachment_id: id.clone(),
        })),
        (None, Some(url)) => web_address(Some(url))
            .map(|()| None)
            .map_err(|refusal| refusal.attachment(index)),
        (Some(_) | None, None) => {
            Err(invalid("message.parts", "a media part needs attachment_id").attachment(index))
        }
    }
}

fn texts(parts: &[Value]) -> impl Iterator<Item = &str> {
    parts
        .iter()
        .filter(|part| part.get("type").and_then(Value::as_str) == Some("text"))
        .filter_map(|part| part.get("value")?.as_str())
}

fn check_lengths(parts: &[Value]) -> Result<(), Refusal> {
    if texts(parts).any(is_too_long) {
        return Err(Refusal::new(code::TEXT_TOO_LONG));
    }
    Ok(())
}

/// Over the limit in characters; counting only where the bytes do not settle it.
pub(super) fn is_too_long(text: &str) -> bool {
    text.len() > MAX_TEXT_CHARS && text.chars().count() > MAX_TEXT_CHARS
}

/// The first-message rules (chert §6).
fn check_occasion(parts: &[Value], kinds: &[Kind], occasion: Occasion) -> Result<(), Refusal> {
    match occasion {
        Occasion::FollowUp => return Ok(()),
        Occasion::FirstToOne => {}
        Occasion::FirstToGroup => {
            let barred = |kind: &Kind| matches!(kind, Kind::Media | Kind::RichLink);
            if kinds.iter().any(barred) {
                return Err(Refusal::new(code::NOT_SUPPORTED)
                    .status(501)
                    .because("The first message to a group is text only"));
            }
        }
    }
    if kinds.contains(&Kind::Link) || texts(parts).any(|text| links::first_url(text).is_some()) {
        return Err(Refusal::new(code::FIRST_MESSAGE_URL));
    }
    Ok(())
}
