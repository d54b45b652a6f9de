//! Map pins and contact cards: messages whose one part is no text, file or link (chert §7.4,
//! §11). From their JSON to a [`Draft`]; taking it in is the store's.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::actions::{Action, wanted};
use super::errors::{Refusal, code, invalid, missing};
use super::exchange::{Call, Done};
use super::ids;
use super::lines::Capability;
use super::parts::{Parts, present};
use super::post::done;
use super::send_fields::{self, Draft, Form, HasUrl, Kind, Lead, Look, Target};
use super::store::Chat;
use crate::domain::phone::Phone;

/// How the delivery id of a chat with one person begins; a group's begins with [`GROUP`].
const PERSON: &str = "iMessage;-;";
const GROUP: &str = "iMessage;+;chat";

impl Chat {
    /// What `POST /locations` calls it (chert §7.4); nothing else does.
    pub(super) fn delivery_id(&self) -> String {
        match (&self.group, self.people.first()) {
            (None, Some(person)) => format!("{PERSON}{}", person.expose()),
            (Some(_), _) | (None, None) => format!("{GROUP}{}", ids::message_text(self.id)),
        }
    }
}

fn lead(phone: Phone) -> Target {
    Target::Lead(Lead {
        phone,
        name: None,
        line_id: None,
        has_url: HasUrl::No,
    })
}

fn one(part: &Value) -> Parts {
    Parts {
        json: json!([part]).to_string().into(),
        media: Vec::new(),
    }
}

/// `POST /locations` (chert §7.4).
pub(super) fn location(form: Form<'_>, now_us: i64) -> Result<Draft, Refusal> {
    let json = form.json;
    let target = match (present(json, "phone"), present(json, "chat_id")) {
        (None, None) => return Err(missing("phone or chat_id")),
        (Some(_), Some(_)) => {
            return Err(invalid("phone", "either phone or chat_id, not both"));
        }
        (Some(phone), None) => lead(send_fields::phone("phone", phone)?),
        (None, Some(_)) => delivery_chat(wanted(json, "chat_id")?)?,
    };
    let degrees = |field: &str, most: f64| {
        let value = present(json, field).ok_or_else(|| missing(field))?;
        let good = value.as_f64().is_some_and(|degrees| degrees.abs() <= most);
        good.then(|| value.clone())
            .ok_or_else(|| invalid(field, "must be a number of degrees"))
    };
    let (latitude, longitude) = (degrees("latitude", 90.0)?, degrees("longitude", 180.0)?);
    let text = |field| {
        present(json, field)
            .map(|_| wanted(json, field))
            .transpose()
    };
    let (label, address) = (text("label")?, text("address")?);
    let fallback = text("fallback_mode")?;
    if fallback.is_some_and(|mode| mode != "auto") {
        return Err(invalid("fallback_mode", "must be auto"));
    }
    if let Some(expires) = text("expires_at")? {
        let expires = expires.parse().ok().map(Timestamp::as_microsecond);
        if expires.is_none_or(|expires| expires <= now_us) {
            return Err(invalid(
                "expires_at",
                "must be a moment that is yet to come",
            ));
        }
    }
    let part = json!({
        "type": "location",
        "latitude": latitude,
        "longitude": longitude,
        "label": label,
        "address": address,
        "fallback_mode_requested": fallback,
    });
    // With a fallback a line that cannot pin sends a plain address of the map.
    let need = fallback.is_none().then_some((Capability::Locations, 422));
    Ok(Draft {
        target,
        parts: one(&part),
        look: Look::default(),
        key: send_fields::key(form, present(json, "idempotency_key"))?,
        body: form.body,
        need,
        kind: Kind::Pin,
    })
}

/// The chat that a delivery id names. The id of `POST /chats` is none.
fn delivery_chat(text: &str) -> Result<Target, Refusal> {
    let person = text.strip_prefix(PERSON);
    if let Some(phone) = person.and_then(|number| Phone::from_e164(number).ok()) {
        return Ok(lead(phone));
    }
    let group = text.strip_prefix(GROUP).and_then(ids::parse_message);
    let group = group.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
    Ok(Target::Chat {
        id: ids::chat_text(group),
    })
}

/// The card of a `send-contact`, as a part.
fn card(json: &Value) -> Result<Value, Refusal> {
    match (present(json, "contact"), present(json, "vcard_text")) {
        (None, None) => Err(missing("contact or vcard_text")),
        (Some(_), Some(_)) => Err(invalid("contact", "either contact or vcard_text, not both")),
        (None, Some(_)) => {
            let vcard = wanted(json, "vcard_text")?;
            let begins = vcard.trim_start().get(..11);
            if begins.is_none_or(|begins| !begins.eq_ignore_ascii_case("BEGIN:VCARD")) {
                return Err(invalid("vcard_text", "must be a vCard"));
            }
            Ok(json!({ "type": "contact", "vcard_text": vcard }))
        }
        (Some(contact), None) => {
            check_contact(contact)?;
            Ok(json!({ "type": "contact", "contact": contact }))
        }
    }
}

fn check_contact(contact: &Value) -> Result<(), Refusal> {
    if !contact.is_object() {
        return Err(invalid("contact", "must be an object"));
    }
    let mut named = false;
    for field in ["full_name", "given_name", "family_name", "organization"] {
        if present(contact, field).is_some() {
            named |= !wanted(contact, field)?.trim().is_empty();
        }
    }
    if !named {
        return Err(invalid("contact", "needs a name or an organization"));
    }
    for field in ["phones", "emails"] {
        let list = present(contact, field).map(Value::as_array);
        let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
        if list.is_some_and(|list| !list.is_some_and(texts)) {
            return Err(invalid(field, "must be an array of strings"));
        }
    }
    Ok(())
}

impl Call {
    /// `POST /chats/{id}/send-contact`, or with `to` the first message to a person. Every call
    /// sends a card of its own.
    pub(super) fn send_contact(&self, action: Action, json: &Value) -> Result<Done, Refusal> {
        let target = if action == Action::SendContactTo {
            let to = Phone::from_e164(wanted(json, "to")?);
            lead(to.map_err(|_| invalid("to", "must be a number in E.164"))?)
        } else {
            Target::Chat {
                id: self.id.clone(),
            }
        };
        let draft = Draft {
            target,
            parts: one(&card(json)?),
            look: Look::default(),
            key: None,
            body: self.form(json).body,
            need: Some((Capability::Contacts, 422)),
            kind: Kind::Card,
        };
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let number = store.accept(self.tenant, &draft, now_us);
        let number = number.map_err(|refusal| self.for_client(refusal))?;
        Ok(done(&store, number))
    }
}
