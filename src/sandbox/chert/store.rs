//! Chats, messages and idempotency keys: what the provider remembers. One [`Store::accept`]
//! takes a message or refuses it, whole; nothing in here waits, locks or reads a clock.

use std::collections::HashMap;
use std::sync::Arc;

use super::actions::Deed;
use super::agenda::Happening;
use super::album::Album;
use super::capacity::{Capacity, Touches};
use super::edits::Edited;
use super::errors::Refusal;
use super::groups::Group;
use super::ids::{self, Id};
use super::inbound::{Inbound, Kind};
use super::keys::{Keys, Recall};
use super::lines::Line;
use super::pictures::Pictures;
use super::reactions::Reactions;
use super::send_fields::{Draft, Look};
use super::slots::Slots;
use super::tenants::TenantNo;
use super::trials::Trials;
use super::webhooks::Hooks;
use crate::domain::digest::Digest;
use crate::domain::pace::Limit;
use crate::domain::phone::Phone;
use crate::sandbox::agenda::Agenda;
use crate::sandbox::time::micros;
use crate::sandbox::{Numbers, SandboxConfig};

pub(super) type LineNo = usize;
pub(super) type ChatNo = usize;
pub(super) type MessageNo = usize;

/// A conversation with one person or a group.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) id: Id,
    pub(super) tenant: TenantNo,
    /// Whom it began with.
    pub(super) people: Vec<Phone>,
    /// What it was called at first.
    pub(super) display_name: Box<str>,
    pub(super) at_us: i64,
    /// The line of the next message that names none (chert §4.3).
    pub(super) line: LineNo,
    pub(super) messages: Vec<MessageNo>,
    /// What became of it, where it is a group.
    pub(super) group: Option<Box<Group>>,
}

/// By which route a message came in; its answer has that route's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Chats,
    FollowUp,
    /// `/locations`, and what the place is shown as.
    Location(Pinned),
    /// The `send-contact` of a chat or of a person.
    Contact,
    /// `/send`, and whether it made the lead.
    Send {
        lead_created: LeadCreated,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pinned {
    Balloon,
    /// As an address of the map, by a line that cannot do better.
    Url,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeadCreated {
    Yes,
    No,
}

/// A message that people received. With its chat, its key and the record of its request it
/// comes to about 1.4 kB (measured with three parts); only a reset gives that back.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: Id,
    pub(super) chat: ChatNo,
    pub(super) line: LineNo,
    pub(super) origin: Origin,
    /// The parts as a JSON array, as they were accepted.
    pub(super) parts: Box<str>,
    pub(super) look: Look,
    pub(super) edited: Option<Box<Edited>>,
    /// Everybody it went to, where those are no longer whom the chat began with.
    pub(super) people: Option<Box<[String]>>,
    pub(super) key: Option<Arc<str>>,
    /// Of the request's bytes.
    pub(super) body: Digest,
    pub(super) at_us: i64,
}

/// One tenant's side of the store.
#[derive(Debug, Default)]
pub(super) struct Account {
    direct: HashMap<Phone, ChatNo>,
    keys: Keys,
    slots: Slots,
    pub(super) touches: Touches,
    /// The rate limit's stored arrival time.
    tat_us: Option<i64>,
}

/// Everything that a reset forgets.
#[derive(Debug)]
pub(super) struct Store {
    seed: u64,
    retention_us: i64,
    /// What a line can do; `None`: anything.
    pub(super) capacity: Option<Capacity>,
    /// How many resets came before.
    pub(super) epoch: u64,
    pub(super) lines: Vec<Line>,
    accounts: Vec<Account>,
    pub(super) chats: Vec<Chat>,
    chat_ids: HashMap<Id, ChatNo>,
    pub(super) messages: Vec<Message>,
    message_ids: HashMap<Id, MessageNo>,
    /// What lines have received; the event log tells of it.
    pub(super) inbound: Vec<Inbound>,
    /// Who is told of it.
    pub(super) hooks: Hooks,
    /// The reactions that stand.
    pub(super) reactions: Reactions,
    /// What was done in chats besides sending.
    pub(super) deeds: Vec<Deed>,
    pub(super) pictures: Pictures,
    /// Whether the lab's numbers are people of their own.
    pub(super) numbers: Numbers,
    pub(super) trials: Trials,
    pub(super) agenda: Agenda<Happening>,
    pub(super) album: Album,
}

impl Store {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        let line = |phone: &Phone| Line::new(config.seed, phone);
        Self {
            capacity: config.capacity.clone(),
            lines: config.lines.iter().map(line).collect(),
            ..Self::empty(config.seed, micros(config.key_retention), config.numbers)
        }
    }

    /// One that remembers nothing, and has no lines.
    fn empty(seed: u64, retention_us: i64, numbers: Numbers) -> Self {
        Self {
            seed,
            retention_us,
            capacity: None,
            epoch: 0,
            lines: Vec::new(),
            numbers,
            accounts: Vec::new(),
            chats: Vec::new(),
            chat_ids: HashMap::new(),
            messages: Vec::new(),
            message_ids: HashMap::new(),
            inbound: Vec::new(),
            hooks: Hooks::default(),
            reactions: Reactions::default(),
            deeds: Vec::new(),
            pictures: Pictures::default(),
            trials: Trials::default(),
            agenda: Agenda::default(),
            album: Album::default(),
        }
    }

    pub(super) fn account(&mut self, tenant: TenantNo) -> &mut Account {
        if self.accounts.len() <= tenant {
            self.accounts.resize_with(tenant + 1, Account::default);
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "the list was made long enough just above"
        )]
        &mut self.accounts[tenant]
    }

    pub(super) fn slots(&mut self, tenant: TenantNo) -> &mut Slots {
        &mut self.account(tenant).slots
    }

    pub(super) fn all_slots(&self) -> impl Iterator<Item = &Slots> {
        self.accounts.iter().map(|account| &account.slots)
    }

    /// Forgets everything but the lines, which become what they were at first.
    pub(super) fn reset(&mut self) {
        *self = Self {
            capacity: self.capacity.take(),
            epoch: self.epoch + 1,
            lines: std::mem::take(&mut self.lines),
            ..Self::empty(self.seed, self.retention_us, self.numbers)
        };
        self.lines.iter_mut().for_each(Line::restore);
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Takes one request out of the tenant's bucket, or says in how many whole seconds there
    /// will be one (chert §4.1).
    pub(super) fn admit(
        &mut self,
        tenant: TenantNo,
        limit: &Limit,
        now_us: i64,
    ) -> Result<(), u32> {
        let account = self.account(tenant);
        let slot = limit.slot_us(account.tat_us, now_us);
        if slot <= now_us {
            account.tat_us = Some(limit.after_us(account.tat_us, slot));
            return Ok(());
        }
        let seconds = (slot - now_us).saturating_add(999_999) / 1_000_000;
        Err(u32::try_from(seconds).unwrap_or(u32::MAX).max(1))
    }

    /// What the key of a draft says, before anything else is looked at (chert §5).
    pub(super) fn recall(&mut self, tenant: TenantNo, draft: &Draft, now_us: i64) -> Recall {
        let retention_us = self.retention_us;
        draft.key.as_ref().map_or(Recall::Free, |key| {
            self.keys(tenant).recall(key, now_us, retention_us)
        })
    }

    pub(super) fn keys(&mut self, tenant: TenantNo) -> &mut Keys {
        &mut self.account(tenant).keys
    }

    /// Accepts a message, or says why not. The key must have been looked at already.
    pub(super) fn accept(
        &mut self,
        tenant: TenantNo,
        draft: &Draft,
        now_us: i64,
    ) -> Result<MessageNo, Refusal> {
        self.account(tenant)
            .slots
            .check(&draft.parts.media, now_us)?;
        let (chat, line, origin) = self.place(tenant, draft, now_us)?;
        let group = self.chats.get(chat);
        let people = group.and_then(|group| group.changed_members());
        let number = self.messages.len();
        let key = draft.key.as_ref();
        let message = Message {
            id: self.message_id(tenant, key.map(|key| &*key.text)),
            chat,
            line,
            origin,
            parts: draft.parts.json.clone(),
            look: draft.look,
            edited: None,
            people: people.map(Into::into),
            key: key.map(|key| Arc::clone(&key.text)),
            body: draft.body,
            at_us: now_us,
        };
        self.message_ids.insert(message.id, number);
        self.messages.push(message);
        if let Some(chat) = self.chats.get_mut(chat) {
            chat.messages.push(number);
            chat.line = line;
        }
        self.count_touch(tenant, chat, now_us);
        if let Some(key) = key {
            self.keys(tenant).settle(key, now_us, number);
        }
        self.arrange(number);
        Ok(number)
    }

    /// The chat of a tenant with this person alone.
    pub(super) fn direct(&self, tenant: TenantNo, person: &Phone) -> Option<ChatNo> {
        self.accounts.get(tenant)?.direct.get(person).copied()
    }

    /// What was received in a chat, in the order of arrival.
    pub(super) fn inbound_of(&self, chat: ChatNo) -> impl Iterator<Item = &Inbound> {
        self.written().filter(move |one| one.chat == chat)
    }

    /// What people wrote, in the order of arrival; not the other events.
    pub(super) fn written(&self) -> impl Iterator<Item = &Inbound> {
        let inbound = self.inbound.iter();
        inbound.filter(|one| one.kind == Kind::Message)
    }

    /// The tenant whose message to this person is the newest.
    pub(super) fn tenant_of(&self, person: &Phone) -> Option<TenantNo> {
        (0..self.accounts.len())
            .filter_map(|tenant| {
                let chat = self.chats.get(self.direct(tenant, person)?)?;
                Some((chat.messages.last().copied(), tenant))
            })
            .max()
            .map(|(_, tenant)| tenant)
    }

    pub(super) fn line_of(&self, phone: &Phone) -> Option<LineNo> {
        self.lines.iter().position(|line| line.phone == *phone)
    }

    pub(super) fn line_by_id(&self, id: &str) -> Option<LineNo> {
        self.lines.iter().position(|line| line.id == *id)
    }

    /// The line of somebody whom nobody has written to: spread over the lines by the person.
    pub(super) fn any_line(&self, phone: &Phone) -> Option<LineNo> {
        let id = ids::derive(self.seed, "pin", &[phone.expose().as_bytes()]);
        let count = Id::try_from(self.lines.len()).ok()?;
        LineNo::try_from(id.checked_rem(count)?).ok()
    }

    /// Remembers a chat as that with one person.
    pub(super) fn know(&mut self, tenant: TenantNo, person: &Phone, chat: ChatNo) {
        self.account(tenant).direct.insert(person.clone(), chat);
    }

    pub(super) fn open(&mut self, chat: Chat) -> ChatNo {
        let number = self.chats.len();
        self.chat_ids.insert(chat.id, number);
        self.chats.push(chat);
        number
    }

    /// Follows from tenant and key where there is one; a key that is used again after its
    /// retention gets another id.
    fn message_id(&self, tenant: TenantNo, key: Option<&str>) -> Id {
        let count = self.messages.len().to_be_bytes();
        let tenant = tenant.to_be_bytes();
        let first = match key {
            Some(key) => ids::derive(self.seed, "message", &[&tenant, key.as_bytes()]),
            None => ids::derive(self.seed, "message", &[&tenant, b"", &count]),
        };
        if self.message_ids.contains_key(&first) {
            ids::derive(self.seed, "again", &[&first.to_be_bytes(), &count])
        } else {
            first
        }
    }

    /// A chat of this tenant by its id.
    pub(super) fn chat(&self, tenant: TenantNo, id: &str) -> Option<(ChatNo, &Chat)> {
        let number = *self.chat_ids.get(&ids::parse_chat(id)?)?;
        let chat = self.chats.get(number)?;
        (chat.tenant == tenant).then_some((number, chat))
    }

    /// A message and its chat by number.
    pub(super) fn entry(&self, number: MessageNo) -> Option<(&Message, &Chat)> {
        let message = self.messages.get(number)?;
        Some((message, self.chats.get(message.chat)?))
    }

    /// The number of a message that any tenant sent, by its id.
    pub(super) fn number_of(&self, id: &str) -> Option<MessageNo> {
        self.message_ids.get(&ids::parse_message(id)?).copied()
    }

    /// The number of a message that this tenant sent, by its id.
    pub(super) fn message_number(&self, tenant: TenantNo, id: &str) -> Option<MessageNo> {
        let number = self.number_of(id)?;
        let (_, chat) = self.entry(number)?;
        (chat.tenant == tenant).then_some(number)
    }

    /// A message that this tenant sent, by its id.
    pub(super) fn message(&self, tenant: TenantNo, id: &str) -> Option<(&Message, &Chat)> {
        self.entry(self.message_number(tenant, id)?)
    }
}
