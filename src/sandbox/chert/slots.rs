//! Upload slots and what became of them (chert §10). Keeps the digest and the size of a file,
//! not its bytes: a rehearsal must not fill the memory with pictures.

use std::collections::HashMap;

use serde_json::Value;

use super::errors::{Refusal, code, invalid, missing};
use super::ids::{self, Id};
use super::parts::{MediaRef, present};
use crate::domain::digest::Digest;
use crate::domain::message::MAX_MEDIA_BYTES;

/// A slot that nothing was put into lapses after 15 minutes (chert §10.1).
pub(super) const SLOT_LIFE_US: i64 = 15 * 60 * 1_000_000;

/// What a client announces.
#[derive(Debug)]
pub(super) struct Announced {
    filename: String,
    pub(super) content_type: String,
    size: u64,
}

impl Announced {
    /// Checks the fields of `POST /attachments`.
    pub(super) fn read(json: &Value) -> Result<Self, Refusal> {
        let field = |name| present(json, name).ok_or_else(|| missing(name));
        let (filename, content_type) = (field("filename")?, field("content_type")?);
        let size = field("size_bytes")?;
        let text = |name, value: &Value| match value.as_str() {
            Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
            Some(_) | None => Err(invalid(name, "must be a string that is not empty")),
        };
        let announced = Self {
            filename: text("filename", filename)?,
            content_type: text("content_type", content_type)?,
            size: size
                .as_u64()
                .filter(|size| *size > 0)
                .ok_or_else(|| invalid("size_bytes", "must be a whole number above 0"))?,
        };
        if announced.size > MAX_MEDIA_BYTES {
            return Err(Refusal::new(code::ATTACHMENT_TOO_LARGE));
        }
        if !is_accepted(&announced.content_type) {
            return Err(Refusal::new(code::UNSUPPORTED_MIME));
        }
        Ok(announced)
    }
}

/// The types that the sandbox takes (chert §10.3).
fn is_accepted(content_type: &str) -> bool {
    const EXACT: [&str; 12] = [
        "application/pdf",
        "application/zip",
        "application/rtf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "text/plain",
        "text/csv",
        "text/vcard",
    ];
    let essence = essence(content_type);
    EXACT.contains(&essence.as_str())
        || ["image/", "video/", "audio/"].iter().any(|kind| {
            essence
                .strip_prefix(kind)
                .is_some_and(|sub| !sub.is_empty())
        })
}

/// A media type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

#[derive(Debug)]
struct Slot {
    announced: Announced,
    expires_at_us: i64,
    /// Digest and size once the bytes are there.
    file: Option<(Digest, u64)>,
}

/// The slots of one tenant.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: HashMap<Id, Slot>,
    made: u64,
}

/// A slot that was just made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: Id,
    pub(super) content_type: String,
    pub(super) expires_at_us: i64,
}

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn make(&mut self, seed: u64, announced: Announced, now_us: i64) -> Made {
        self.made += 1;
        let subject = [announced.filename.as_bytes(), &self.made.to_be_bytes()];
        let made = Made {
            id: ids::derive(seed, "attachment", &subject),
            content_type: announced.content_type.clone(),
            expires_at_us: now_us.saturating_add(SLOT_LIFE_US),
        };
        self.slots.insert(
            made.id,
            Slot {
                announced,
                expires_at_us: made.expires_at_us,
                file: None,
            },
        );
        made
    }

    /// Whether an upload may begin, and how many bytes it may have (chert §10.2).
    pub(super) fn open(
        &self,
        id: &str,
        content_type: Option<&str>,
        now_us: i64,
    ) -> Result<u64, Refusal> {
        let slot = ids::parse_message(id)
            .and_then(|id| self.slots.get(&id))
            .ok_or_else(|| Refusal::new(code::ATTACHMENT_NOT_FOUND))?;
        if slot.file.is_some() {
            return Err(Refusal::new(code::INVALID_STATE)
                .because("This attachment has been uploaded already"));
        }
        if slot.expires_at_us <= now_us {
            return Err(
                Refusal::new(code::ATTACHMENT_NOT_FOUND).because("The upload slot has expired")
            );
        }
        if content_type.map(essence) != Some(essence(&slot.announced.content_type)) {
            return Err(Refusal::new(code::UNSUPPORTED_MIME)
                .because("The content type is not the registered one"));
        }
        Ok(slot.announced.size)
    }

    /// Closes a slot over the bytes that came in; the first upload to end wins.
    pub(super) fn fill(&mut self, id: &str, file: (Digest, u64)) -> Result<Id, Refusal> {
        let found =
            ids::parse_message(id).and_then(|id| self.slots.get_mut(&id).map(|slot| (id, slot)));
        match found {
            None => Err(Refusal::new(code::ATTACHMENT_NOT_FOUND)),
            Some((_, slot)) if slot.file.is_some() => Err(Refusal::new(code::INVALID_STATE)),
            Some((id, slot)) => {
                slot.file = Some(file);
                Ok(id)
            }
        }
    }

    /// Whether every file that a message names is there (chert §10.3).
    pub(super) fn check(&self, media: &[MediaRef], now_us: i64) -> Result<(), Refusal> {
        for file in media {
            let slot = ids::parse_message(&file.attachment_id).and_then(|id| self.slots.get(&id));
            let refused = match slot {
                None => code::ATTACHMENT_NOT_FOUND,
                Some(slot) if slot.file.is_some() => continue,
                Some(slot) if slot.expires_at_us <= now_us => code::ATTACHMENT_NOT_FOUND,
                Some(_) => code::ATTACHMENT_NOT_UPLOADED,
            };
            return Err(Refusal::new(refused).attachment(file.index));
        }
        Ok(())
    }

    /// Every finished upload: id, media type, digest and size.
    pub(super) fn files(&self) -> impl Iterator<Item = (Id, &str, Digest, u64)> {
        self.slots.iter().filter_map(|(id, slot)| {
            let (digest, size) = slot.file?;
            Some((*id, slot.announced.content_type.as_str(), digest, size))
        })
    }
}
