//! The event log as it is read (chert §14), and the form of an event in it and at a webhook (chert
//! §13). What an event tells of is [`super::inbound`]'s to say, what became of it
//! [`super::deliveries`]'.

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Value, json};

use super::deliveries::Status;
use super::errors::{Refusal, code, invalid};
use super::exchange::{Call, Done};
use super::ids;
use super::inbound::{Inbound, Kind};
use super::lines::Line;
use super::store::{Chat, Store};
use super::tenants::TenantNo;
use super::webhooks::EventNo;
use crate::sandbox::journal::{time_text, trace_text};

/// How many events a page has where the request does not say (chert §14).
const PAGE: usize = 50;
pub(super) const LONGEST_PAGE: usize = 200;

impl Inbound {
    fn row_id(&self, number: EventNo) -> String {
        format!("evt_{number:08x}{:08x}", self.id & 0xffff_ffff)
    }

    /// The row of the event log; its payload is what a webhook gets (chert §13).
    pub(super) fn row(&self, number: EventNo, slug: &str, chat: &Chat, lines: &[Line]) -> Value {
        let convo = ids::derive(0, "convo", &[&chat.id.to_be_bytes()]);
        json!({
            "id": self.row_id(number),
            "type": self.kind.name(),
            "event_id": &*self.event_id,
            "lead_id": ids::chat_text(chat.id),
            "convo_id": ids::chat_text(convo),
            "payload": self.payload(slug, chat, lines),
            "delivery": self.deliveries.json(),
            "created_at": time_text(self.at_us),
        })
    }

    /// The envelope. The same bytes whenever it is asked for, so that a receiver that is told
    /// twice is told the same.
    pub(super) fn payload(&self, slug: &str, chat: &Chat, lines: &[Line]) -> Value {
        let handle = |phone: &str, is_me: bool| json!({ "handle": phone, "service": "imessage", "is_me": is_me });
        let at = time_text(self.at_us);
        let kind = self.kind.name();
        let line = lines.get(self.line);
        let owner = line.map(|line| line.phone.expose()).unwrap_or_default();
        let sender = handle(self.from.expose(), false);
        let mut data = json!({
            "chat": {
                "id": ids::chat_text(chat.id),
                "is_group": chat.people.len() > 1,
                "handles": [handle(owner, true), sender],
                "owner_handle": handle(owner, true),
            },
        });
        let told = match &self.kind {
            Kind::Message | Kind::Summary => json!({
                "message": {
                    "id": self.id_text(),
                    "direction": "inbound",
                    "sender_handle": sender,
                    "parts": self.parts(),
                    "sent_at": at,
                },
            }),
            Kind::Reaction { message, name, .. } => json!({
                "message": { "id": message },
                "reaction": { "type": name, "sender_handle": sender, "at": at },
            }),
        };
        let mut payload = json!({
            "event": kind,
            "event_type": kind,
            "event_id": &*self.event_id,
            "timestamp": at,
            "api_version": "v1",
            "webhook_version": "2026-05-04",
            "trace_id": trace_text(self.trace),
            "partner_id": slug,
        });
        let legacy = json!({
            "from": self.from.expose(),
            "to": owner,
            "text": &*self.text,
            "message_guid": self.id_text(),
            "line_id": line.map(|line| &*line.id),
        });
        add(&mut data, told);
        add(&mut payload, json!({ "data": data }));
        if self.kind == Kind::Summary {
            add(&mut payload, legacy);
        }
        payload
    }
}

/// Puts the fields of one object behind those of another.
fn add(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

/// What is asked of the log (chert §14).
#[derive(Debug)]
struct Wanted {
    kind: Option<String>,
    status: Option<Status>,
    lead_id: Option<String>,
    /// Later than this, in microseconds.
    since_us: Option<i64>,
    limit: usize,
    /// Events with a lower number than this.
    before: usize,
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let pairs = pairs(query)?;
        let text = |name: &str| pairs.get(name).cloned();
        let status = match text("status") {
            None => None,
            Some(name) => {
                let mut known = Status::ALL.into_iter();
                let found = known.find(|status| status.name() == name);
                Some(found.ok_or_else(|| {
                    invalid("status", "is pending, delivered, failed or dev_inbox")
                })?)
            }
        };
        let since_us = since_us(&pairs)?;
        let limit = match text("limit") {
            None => PAGE,
            Some(limit) => {
                let limit = limit.parse().ok();
                limit
                    .filter(|limit| (1..=LONGEST_PAGE).contains(limit))
                    .ok_or_else(|| invalid("limit", "must be from 1 to 200"))?
            }
        };
        let before = match text("cursor") {
            None => usize::MAX,
            Some(cursor) => {
                number_of(&cursor).ok_or_else(|| invalid("cursor", "is none that was given out"))?
            }
        };
        Ok(Self {
            kind: text("type"),
            status,
            lead_id: text("lead_id"),
            since_us,
            limit,
            before,
        })
    }

    fn wants(&self, one: &Inbound, chat: &Chat) -> bool {
        self.kind
            .as_deref()
            .is_none_or(|kind| kind == one.kind.name())
            && self
                .status
                .is_none_or(|status| status == one.deliveries.status())
            && self.since_us.is_none_or(|since| one.at_us > since)
            && (self.lead_id.as_deref()).is_none_or(|lead| lead == ids::chat_text(chat.id))
    }
}

/// What stands behind the `?`.
pub(super) fn pairs(query: &str) -> Result<HashMap<String, String>, Refusal> {
    let uri = format!("/?{query}").parse::<Uri>().ok();
    let pairs = uri.and_then(|uri| Query::<HashMap<String, String>>::try_from_uri(&uri).ok());
    let Query(pairs) = pairs.ok_or_else(|| invalid("query", "cannot be read"))?;
    Ok(pairs)
}

/// Events that were kept later than this are asked for, in microseconds; `None`: the request does
/// not say.
pub(super) fn since_us(pairs: &HashMap<String, String>) -> Result<Option<i64>, Refusal> {
    let Some(since) = pairs.get("since") else {
        return Ok(None);
    };
    let since = since.parse::<jiff::Timestamp>();
    let since = since.map_err(|_| invalid("since", "must be a time in ISO 8601"))?;
    Ok(Some(since.as_microsecond()))
}

/// The event that a cursor or an event's id names.
fn number_of(text: &str) -> Option<usize> {
    let id = text.rsplit('|').next()?.strip_prefix("evt_")?;
    usize::from_str_radix(id.get(..8)?, 16).ok()
}

impl Store {
    /// An event of this tenant by its id.
    pub(super) fn event(&self, tenant: TenantNo, id: &str) -> Option<(EventNo, &Inbound)> {
        let number = number_of(id)?;
        let one = self.inbound.get(number)?;
        (one.tenant == tenant && one.row_id(number) == id).then_some((number, one))
    }
}

impl Call {
    /// `GET /events`, newest first.
    pub(super) fn events(&self) -> Result<Done, Refusal> {
        Ok(self.page(&Wanted::parse(&self.query)?))
    }

    /// `GET /dev-inbox`: the events that were only to be kept.
    pub(super) fn dev_inbox(&self) -> Result<Done, Refusal> {
        let wanted = Wanted::parse(&self.query)?;
        Ok(self.page(&Wanted {
            status: Some(Status::DevInbox),
            ..wanted
        }))
    }

    fn page(&self, wanted: &Wanted) -> Done {
        let slug = self.entry.tenant.as_deref().unwrap_or_default();
        let store = self.chert.store();
        let mut rows = Vec::new();
        let mut next = None;
        for (number, one) in store.inbound.iter().enumerate().rev() {
            let Some(chat) = store
                .chats
                .get(one.chat)
                .filter(|_| one.tenant == self.tenant)
            else {
                continue;
            };
            if number >= wanted.before || !wanted.wants(one, chat) {
                continue;
            }
            if rows.len() == wanted.limit {
                // There is more: the page ends at the last one that it holds.
                next = rows.last().and_then(cursor);
                break;
            }
            rows.push(one.row(number, slug, chat, &store.lines));
        }
        let count = rows.len();
        let body = json!({ "events": rows, "next_cursor": next, "count": count });
        Done::new(body.to_string())
    }

    /// `GET /events/{id}`.
    pub(super) fn event(&self) -> Result<Done, Refusal> {
        let slug = self.entry.tenant.as_deref().unwrap_or_default();
        let store = self.chert.store();
        let found = store.event(self.tenant, &self.id);
        let row = found.and_then(|(number, one)| {
            let chat = store.chats.get(one.chat)?;
            Some(one.row(number, slug, chat, &store.lines))
        });
        let row = row.ok_or_else(|| Refusal::new(code::RESOURCE_NOT_FOUND))?;
        Ok(Done::new(row.to_string()))
    }
}

/// Where the next page begins: behind this row.
fn cursor(row: &Value) -> Option<String> {
    let text = |name: &str| row.get(name)?.as_str();
    Some(format!("{}|{}", text("created_at")?, text("id")?))
}
