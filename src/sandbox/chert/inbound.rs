//! What people write to a line, and the log that keeps it (chert §13, §14). An answer is kept with
//! its event at once; nobody is told of it before. STOP is a word like any other here: the sandbox
//! goes on taking messages to whoever said it, so that a missing check is seen (chert §12). How an
//! event is shown is [`super::events`]'s to say.

use serde_json::{Value, json};

use super::Chert;
use super::deliveries::Deliveries;
use super::ids::{self, Id};
use super::store::{Chat, ChatNo, LineNo, Store};
use super::tenants::TenantNo;
use crate::domain::message::MAX_TEXT_CHARS;
use crate::domain::phone::Phone;
use crate::sandbox::journal::time_text;

/// The summary that came before `message.received` (chert §13).
pub(super) const LEAD_REPLY: &str = "lead_reply";

/// What an event tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A person wrote.
    Message,
    /// The same, in the old form; told beside it, to whoever asks for it.
    Summary,
    /// A person put a reaction on a message, or took it back.
    Reaction {
        /// The id of the message, as it was given out.
        message: Box<str>,
        name: &'static str,
        change: Change,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Removed,
}

impl Kind {
    /// The event's type, to the letter (chert §13).
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Message => "message.received",
            Self::Summary => LEAD_REPLY,
            Self::Reaction { change, .. } => match change {
                Change::Added => "reaction.added",
                Change::Removed => "reaction.removed",
            },
        }
    }
}

/// What a person did, as the event log keeps it.
#[derive(Debug)]
pub(super) struct Inbound {
    /// Of the message; a summary has that of its own.
    pub(super) id: Id,
    pub(super) kind: Kind,
    pub(super) tenant: TenantNo,
    pub(super) chat: ChatNo,
    pub(super) line: LineNo,
    pub(super) from: Phone,
    pub(super) text: Box<str>,
    /// The ids of what was sent with it.
    pub(super) files: Vec<String>,
    pub(super) at_us: i64,
    /// When the tenant marked it as read.
    pub(super) read_at_us: Option<i64>,
    pub(super) event_id: Box<str>,
    pub(super) trace: u64,
    pub(super) deliveries: Deliveries,
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
    #[error("`tenant` is none that the sandbox knows")]
    Tenant,
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
        let message = Inbound {
            id,
            kind: Kind::Message,
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
            trace: trace_of(id),
            deliveries: Deliveries::default(),
        };
        let summary = self
            .hooks
            .wants_lead_reply(tenant)
            .then(|| message.summary());
        self.log(message);
        if let Some(summary) = summary {
            self.log(summary);
        }
        Ok(nth)
    }

    /// Keeps an event, and plans who is told of it.
    pub(super) fn log(&mut self, mut one: Inbound) {
        let about = (one.tenant, one.kind.name());
        let event = (self.inbound.len(), one.at_us);
        one.deliveries = self.hooks.plan(about, event);
        self.inbound.push(one);
    }
}

impl Inbound {
    /// The shape of inbound messages: an upper-case UUID (chert §1).
    pub(super) fn id_text(&self) -> String {
        ids::chat_text(self.id).to_uppercase()
    }

    /// The same message in the old form.
    fn summary(&self) -> Self {
        Self {
            kind: Kind::Summary,
            event_id: format!("chert:lead:{}", ids::message_text(self.id)).into(),
            from: self.from.clone(),
            text: self.text.clone(),
            files: self.files.clone(),
            deliveries: Deliveries::default(),
            ..*self
        }
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
}

impl Chert {
    /// A person writes to a line of the tenant that is named, else of the one that they were last
    /// written to by, else of the first.
    pub(in crate::sandbox) fn receive(
        &self,
        incoming: &Incoming,
        tenant: Option<&str>,
    ) -> Result<String, BadIncoming> {
        let named = match tenant {
            Some(slug) => Some(self.doorman.no_of(slug).ok_or(BadIncoming::Tenant)?),
            None => None,
        };
        let at = self.moment();
        let mut store = self.store();
        let usual = || store.tenant_of(&incoming.from).unwrap_or(0);
        let tenant = named.unwrap_or_else(usual);
        let number = store.receive(tenant, incoming, at)?;
        let event = store.inbound.get(number);
        let event_id = event.map(|one| one.event_id.to_string());
        drop(store);
        self.tell_news();
        Ok(event_id.unwrap_or_default())
    }

    /// The moment of an event. To the millisecond, as it is shown: `since` cuts where a client
    /// sees the cut.
    pub(super) fn moment(&self) -> i64 {
        let now_us = self.host.now_us();
        now_us - now_us.rem_euclid(1_000)
    }
}

/// The trace of an event.
pub(super) fn trace_of(id: Id) -> u64 {
    u64::try_from(id & 0xffff_ffff_ffff).unwrap_or_default()
}
