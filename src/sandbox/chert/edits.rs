//! Edits of messages that were sent (chert §11). The message itself stays as it was accepted,
//! so that a repeated request gets its first answer.

use serde_json::{Value, json};

use super::actions::Deed;
use super::errors::{Refusal, code, invalid};
use super::exchange::{Call, Done};
use super::ids;
use super::lines::Capability;
use super::parts::{is_too_long, present};
use super::store::Message;
use crate::sandbox::journal::time_text;

/// An edit may come this long after its message (chert §11).
const WINDOW_US: i64 = 15 * 60 * 1_000_000;

/// What a message says since it was edited.
#[derive(Debug)]
pub(super) struct Edited {
    /// All parts, as a JSON array.
    parts: Box<str>,
    /// Every new text with its moment, oldest first.
    history: Vec<(String, i64)>,
}

impl Message {
    /// The parts as the person sees them now.
    pub(super) fn shown(&self) -> &str {
        self.edited
            .as_ref()
            .map_or(&self.parts, |edited| &edited.parts)
    }

    /// Puts a new text in place of a part's, and tells the edits before it.
    fn edit(&mut self, index: usize, text: &str, now_us: i64) -> Result<Value, Refusal> {
        let mut parts: Value = serde_json::from_str(self.shown()).unwrap_or_default();
        let part = parts.get_mut(index).and_then(Value::as_object_mut);
        let part = part.ok_or_else(|| invalid("edited_part_index", "there is no such part"))?;
        if part.get("type").and_then(Value::as_str) != Some("text") {
            return Err(cannot("Only text can be edited"));
        }
        part.insert("value".into(), text.into());
        let mut history = self.edited.take().map_or_else(Vec::new, |was| was.history);
        let before: Vec<Value> = history
            .iter()
            .map(|(text, at_us)| json!({ "text": text, "date": time_text(*at_us) }))
            .collect();
        history.push((text.to_owned(), now_us));
        self.edited = Some(Box::new(Edited {
            parts: parts.to_string().into(),
            history,
        }));
        Ok(if before.is_empty() {
            Value::Null
        } else {
            before.into()
        })
    }
}

/// 4001 as it is here: no retry can succeed (chert §17.2).
fn cannot(why: &'static str) -> Refusal {
    Refusal {
        retryable: false,
        ..Refusal::new(code::DELIVERY_FAILED).because(why)
    }
}

impl Call {
    /// `POST /messages/{id}/edit`: a text that was sent, within its first minutes.
    pub(super) fn edit(&self, json: &Value) -> Result<Done, Refusal> {
        let text = present(json, "new_text").and_then(Value::as_str);
        let text = text
            .filter(|text| !text.trim().is_empty())
            .ok_or_else(|| invalid("new_text", "must be a string that is not empty"))?;
        if is_too_long(text) {
            return Err(Refusal::new(code::TEXT_TOO_LONG));
        }
        let index = match present(json, "edited_part_index") {
            None => 0,
            Some(index) => index
                .as_u64()
                .and_then(|index| usize::try_from(index).ok())
                .ok_or_else(|| invalid("edited_part_index", "must be a whole number"))?,
        };
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let not_found = || Refusal::new(code::MESSAGE_NOT_FOUND);
        let spot = store.spot(self.tenant, &self.id).ok_or_else(not_found)?;
        let number = spot
            .sent
            .ok_or_else(|| cannot("Only what was sent can be edited"))?;
        store.takes_part(spot.chat, Some((Capability::Edit, 501)))?;
        let message = store.messages.get_mut(number).ok_or_else(not_found)?;
        if now_us.saturating_sub(message.at_us) > WINDOW_US {
            return Err(cannot("The time for editing has passed"));
        }
        let history = message.edit(index, text, now_us)?;
        let id = ids::message_text(message.id);
        store.note(Deed {
            message: Some(id.clone()),
            detail: json!({ "new_text": text, "edited_part_index": index }),
            ..Deed::new("edit", spot.chat, now_us)
        });
        let body = json!({
            "status": "edited",
            "message_id": id,
            "new_text": text,
            "date_edited": time_text(now_us),
            "edit_history": history,
        });
        Ok(Done::new(body.to_string()))
    }
}
