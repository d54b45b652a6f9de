//! What people write to a line, and the event log that tells of it (chert §13, §14). An answer is
//! kept with its event at once; nobody is told of it before. STOP is a word like any other here: the
//! sandbox goes on taking messages to whoever said it, so that a missing check is seen (chert §12).

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Value, json};

use super::Chert;
use super::errors::{Refusal, code, invalid};
use super::exchange::{Call, Done};
use super::ids::{self, Id};
use super::lines::Line;
use super::store::{Chat, ChatNo, LineNo, Store};
use super::tenants::TenantNo;
use crate::domain::message::MAX_TEXT_CHARS;
use crate::domain::phone::Phone;
use crate::sandbox::journal::{time_text, trace_text};

/// How many events a page has where the request does not say (chert §14).
const PAGE: usize = 50;
pub(super) const LONGEST_PAGE: usize = 200;
/// What a line receives is told as this.
const RECEIVED: &str = "message.received";

/// What a person wrote.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) id: Id,
    pub(super) tenant: TenantNo,
    pub(super) chat: ChatNo,
    pub(super) line: LineNo,
    pub(super) from: Phone,
    pub(super) text: Box<str>,
    /// The ids of what was sent with it.
    files: Vec<String>,
    pub(super) at_us: i64,
    /// When the tenant marked it as read.
    pub(super) read_at_us: Option<i64>,
    event_id: Box<str>,
    trace: u64,
}

/// A person writes.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub from: Phone,
    /// May be empty where there are files.
    pub text: String,
    /// The ids of files that the sandbox was given to keep.
    pub files: Vec<String>,
    /// The line that is written to; else that of the person's chat, else any.
    pub to: Option<Phone>,
    /// The event's name in place of its own: two with one name are one event told twice.
    pub event_id: Option<String>,
}

/// Why nobody received what a person wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIncoming {
    #[error("`text` is empty without files, or longer than {MAX_TEXT_CHARS} characters")]
    Text,
    #[error("`files` names one that was not given to the sandbox, or that another account has")]
    File,
    #[error("`to` is none of the sandbox's lines")]
    Line,
}

impl Store {
    /// Takes in what a person wrote, in the chat with them, made when there is none.
    pub(super) fn receive(
        &mut self,
        tenant: TenantNo,
        incoming: &Incoming,
        now_us: i64,
    ) -> Result<usize, BadIncoming> {
        let chars = incoming.text.chars().count();
        if chars == 0 && incoming.files.is_empty() || chars > MAX_TEXT_CHARS {
            return Err(BadIncoming::Text);
        }
        let asked = match &incoming.to {
            Some(to) => Some(self.line_of(to).ok_or(BadIncoming::Line)?),
            None => None,
        };
        let known = self.direct(tenant, &incoming.from);
        let usual = known.and_then(|chat| Some(self.chats.get(chat)?.line));
        let line = asked
            .or(usual)
            .or_else(|| self.any_line(&incoming.from))
            .ok_or(BadIncoming::Line)?;
        let files = &incoming.files;
        if !self.pictures.hand_to(tenant, files) {
            return Err(BadIncoming::File);
        }
        let chat = match known {
            Some(chat) => chat,
            None => self.open_direct(tenant, &incoming.from, None, (line, now_us)),
        };
        let nth = self.inbound.len();
        let subject = [incoming.from.expose().as_bytes(), &nth.to_be_bytes()];
        let id = ids::derive(self.seed(), "inbound", &subject);
        let own = || format!("chert:msg:{}", ids::message_text(id));
        let event_id = incoming.event_id.clone().unwrap_or_else(own);
        self.inbound.push(Inbound {
            id,
            tenant,
            chat,
            line,
            from: incoming.from.clone(),
            text: incoming.text.as_str().into(),
            files: files.clone(),
            at_us: now_us,
            read_at_us: None,
            event_id: event_id.into(),
            // From the id, not counted on: the same again when it is read back from a file.
            trace: u64::try_from(id & 0xffff_ffff_ffff).unwrap_or_default(),
        });
        Ok(nth)
    }
}

impl Inbound {
    /// The shape of inbound messages: an upper-case UUID (chert §1).
    pub(super) fn id_text(&self) -> String {
        ids::chat_text(self.id).to_uppercase()
    }

    /// The text first, then the files.
    pub(super) fn parts(&self) -> Vec<Value> {
        let text = Some(&*self.text).filter(|text| !text.is_empty());
        let text = text.map(|text| json!({ "type": "text", "value": text }));
        let files = self.files.iter();
        let files = files.map(|id| json!({ "type": "media", "attachment_id": id }));
        text.into_iter().chain(files).collect()
    }

    /// As `GET /chats/{id}/messages` shows it (chert §8.2).
    pub(super) fn message(&self, chat: &Chat) -> Value {
        let at = time_text(self.at_us);
        json!({
            "id": self.id_text(),
            "chat_id": ids::chat_text(chat.id),
            "parts": self.parts(),
            "status": if self.read_at_us.is_some() { "read" } else { "delivered" },
            "direction": "inbound",
            "created_at": at,
            "delivered_at": at,
            "read_at": self.read_at_us.map(time_text),
            "service": "imessage",
        })
    }

    fn row_id(&self, number: usize) -> String {
        format!("evt_{number:08x}{:08x}", self.id & 0xffff_ffff)
    }

    /// The row of the event log; its payload is what a webhook would get (chert §13).
    pub(super) fn row(&self, number: usize, slug: &str, chat: &Chat, lines: &[Line]) -> Value {
        let at = time_text(self.at_us);
        let handle = |phone: &str, is_me: bool| json!({ "handle": phone, "service": "imessage", "is_me": is_me });
        let line = lines.get(self.line).map(|line| line.phone.expose());
        let line = handle(line.unwrap_or_default(), true);
        let sender = handle(self.from.expose(), false);
        let chat_id = ids::chat_text(chat.id);
        let convo = ids::derive(0, "convo", &[&chat.id.to_be_bytes()]);
        json!({
            "id": self.row_id(number),
            "type": RECEIVED,
            "event_id": &*self.event_id,
            "lead_id": chat_id,
            "convo_id": ids::chat_text(convo),
            "payload": {
                "event": RECEIVED,
                "event_type": RECEIVED,
                "event_id": &*self.event_id,
                "timestamp": at,
                "api_version": "v1",
                "webhook_version": "2026-05-04",
                "trace_id": trace_text(self.trace),
                "partner_id": slug,
                "data": {
                    "chat": {
                        "id": chat_id,
                        "is_group": chat.people.len() > 1,
                        "handles": [line, sender],
                        "owner_handle": line,
                    },
                    "message": {
                        "id": self.id_text(),
                        "direction": "inbound",
                        "sender_handle": sender,
                        "parts": self.parts(),
                        "sent_at": at,
                    },
                },
            },
            "delivery": { "status": "pending", "url": null, "attempts": [], "delivered_at": null },
            "created_at": at,
        })
    }
}

impl Chert {
    /// A person writes to a line of the tenant that they were last written to by, or of the first.
    pub(in crate::sandbox) fn receive(&self, incoming: &Incoming) -> Result<String, BadIncoming> {
        // To the millisecond, as it is shown: `since` cuts where a client sees the cut.
        let now_us = self.host.now_us();
        let at_us = now_us - now_us.rem_euclid(1_000);
        let mut store = self.store();
        let tenant = store.tenant_of(&incoming.from).unwrap_or(0);
        let number = store.receive(tenant, incoming, at_us)?;
        let event = store
            .inbound
            .get(number)
            .map(|one| one.event_id.to_string());
        drop(store);
        self.tell_news();
        Ok(event.unwrap_or_default())
    }
}

/// What is asked of the log (chert §14).
#[derive(Debug)]
struct Wanted {
    kind: Option<String>,
    status: Option<String>,
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
        let status = text("status");
        let known = ["pending", "delivered", "failed", "dev_inbox"];
        if status
            .as_deref()
            .is_some_and(|status| !known.contains(&status))
        {
            return Err(invalid(
                "status",
                "is pending, delivered, failed or dev_inbox",
            ));
        }
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
        self.kind.as_deref().is_none_or(|kind| kind == RECEIVED)
            && self
                .status
                .as_deref()
                .is_none_or(|status| status == "pending")
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

impl Call {
    /// `GET /events`, newest first.
    pub(super) fn events(&self) -> Result<Done, Refusal> {
        let wanted = Wanted::parse(&self.query)?;
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
        Ok(Done::new(body.to_string()))
    }

    /// `GET /events/{id}`.
    pub(super) fn event(&self) -> Result<Done, Refusal> {
        let slug = self.entry.tenant.as_deref().unwrap_or_default();
        let store = self.chert.store();
        let found = number_of(&self.id).and_then(|number| {
            let one = store.inbound.get(number)?;
            let chat = store.chats.get(one.chat)?;
            let ours = one.tenant == self.tenant && one.row_id(number) == self.id;
            ours.then(|| one.row(number, slug, chat, &store.lines))
        });
        let row = found.ok_or_else(|| Refusal::new(code::RESOURCE_NOT_FOUND))?;
        Ok(Done::new(row.to_string()))
    }
}

/// Where the next page begins: behind this row.
fn cursor(row: &Value) -> Option<String> {
    let text = |name: &str| row.get(name)?.as_str();
    Some(format!("{}|{}", text("created_at")?, text("id")?))
}
