//! What HueChat remembers: accounts, their contacts, conversations and messages, and where they
//! are found. Holds no rule of a route.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::HueConfig;
use super::budget::Budget;
use super::courier::Tries;
use super::happenings::Happening;
use super::messages::MessageType;
use super::templates::Template;
use super::trials::Trials;
use super::webhooks::Hooks;
use crate::domain::channel::Channel;
use crate::domain::digest::Digest;
use crate::sandbox::agenda::Agenda;
use crate::sandbox::ids;

pub(super) type AccountNo = usize;
pub(super) type ContactNo = usize;
pub(super) type ConversationNo = usize;
pub(super) type MessageNo = usize;
/// Half of a derived id; all that is written out.
pub(super) type Id = u64;

/// Any key opens an account: that must not be a way to fill the sandbox's memory.
const MOST_ACCOUNTS: usize = 1_000;

/// The state of one key.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) name: Arc<str>,
    pub(super) budget: Budget,
    pub(super) contacts: Vec<ContactNo>,
    pub(super) conversations: Vec<ConversationNo>,
    /// Of those that are not deleted.
    pub(super) by_phone: HashMap<String, ContactNo>,
    /// The same, in lower case.
    pub(super) by_email: HashMap<String, ContactNo>,
    /// By `Idempotency-Key`, where those are honoured.
    pub(super) keys: HashMap<String, (Digest, MessageNo)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContactStatus {
    Active,
    Inactive,
    Deleted,
}

impl ContactStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deleted => "deleted",
        }
    }
}

#[derive(Debug)]
pub(super) struct Contact {
    pub(super) id: Id,
    pub(super) account: AccountNo,
    pub(super) phone: Option<String>,
    pub(super) email: Option<String>,
    pub(super) first_name: String,
    pub(super) last_name: Option<String>,
    pub(super) preferred_channel: Option<Channel>,
    pub(super) metadata: Map<String, Value>,
    pub(super) status: ContactStatus,
    pub(super) created_us: i64,
    pub(super) updated_us: i64,
    pub(super) last_contacted_us: Option<i64>,
    pub(super) conversations: Vec<ConversationNo>,
    /// How many messages were sent to them.
    pub(super) sent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConversationStatus {
    Open,
    Closed,
    Archived,
}

impl ConversationStatus {
    pub(super) const ALL: [Self; 3] = [Self::Open, Self::Closed, Self::Archived];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Archived => "archived",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == text)
    }
}

#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) id: Id,
    pub(super) account: AccountNo,
    pub(super) contact: ContactNo,
    pub(super) channel: Channel,
    pub(super) subject: Option<String>,
    pub(super) status: ConversationStatus,
    pub(super) priority: &'static str,
    pub(super) assigned_to: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) tags: Vec<String>,
    pub(super) unread: u64,
    pub(super) created_us: i64,
    pub(super) updated_us: i64,
    pub(super) messages: Vec<MessageNo>,
}

/// How far a message has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Sent,
    Delivered,
    Read,
    Failed,
}

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentBy {
    User,
    Contact,
}

impl SentBy {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Contact => "contact",
        }
    }
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: Id,
    pub(super) conversation: ConversationNo,
    pub(super) kind: MessageType,
    /// As the person sees it: of a template the text with its parameters.
    pub(super) content: String,
    /// The template's name and what was filled in.
    pub(super) template: Option<(String, BTreeMap<String, String>)>,
    pub(super) subject: Option<String>,
    pub(super) media_url: Option<String>,
    pub(super) sent_by: SentBy,
    pub(super) status: Status,
    pub(super) error: Option<String>,
    pub(super) sent_us: i64,
    pub(super) delivered_us: Option<i64>,
    pub(super) read_us: Option<i64>,
    /// Events about it come twice and the later ones first; over so many microseconds.
    pub(super) muddled_us: Option<i64>,
    /// Of the request that sent it; kept also where it is not honoured.
    pub(super) key: Option<Box<str>>,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Store {
    seed: u64,
    /// Changes with every reset.
    pub(super) epoch: u64,
    pub(super) accounts: Vec<Account>,
    account_names: HashMap<Arc<str>, AccountNo>,
    pub(super) contacts: Vec<Contact>,
    contact_ids: HashMap<Id, ContactNo>,
    pub(super) conversations: Vec<Conversation>,
    conversation_ids: HashMap<Id, ConversationNo>,
    pub(super) messages: Vec<Message>,
    message_ids: HashMap<Id, MessageNo>,
    pub(super) agenda: Agenda<Happening>,
    pub(super) templates: Vec<Template>,
    first_templates: Vec<Template>,
    pub(super) connected: HashSet<Channel>,
    pub(super) trials: Trials,
    pub(super) hooks: Hooks,
    /// Events so far, told or not.
    pub(super) told: u64,
    pub(super) tries: Tries,
}

/// Reads an id with this prefix, to the letter.
pub(super) fn parse_id(prefix: &str, text: &str) -> Option<Id> {
    let digits = text.strip_prefix(prefix)?;
    let id = Id::from_str_radix(digits, 16).ok()?;
    (id_text(prefix, id) == text).then_some(id)
}

pub(super) fn id_text(prefix: &str, id: Id) -> String {
    format!("{prefix}{id:016x}")
}

impl Store {
    pub(super) fn new(config: &HueConfig, seed: u64) -> Self {
        Self {
            seed,
            epoch: 0,
            accounts: Vec::new(),
            account_names: HashMap::new(),
            contacts: Vec::new(),
            contact_ids: HashMap::new(),
            conversations: Vec::new(),
            conversation_ids: HashMap::new(),
            messages: Vec::new(),
            message_ids: HashMap::new(),
            agenda: Agenda::default(),
            templates: config.templates.clone(),
            first_templates: config.templates.clone(),
            connected: config.channels.iter().copied().collect(),
            trials: Trials::default(),
            hooks: Hooks::default(),
            told: 0,
            tries: Tries::default(),
        }
    }

    /// Forgets everything; the templates are those of the start again.
    pub(super) fn reset(&mut self) {
        let fresh = HueConfig {
            templates: std::mem::take(&mut self.first_templates),
            channels: self.connected.drain().collect(),
            ..HueConfig::default()
        };
        let epoch = self.epoch + 1;
        *self = Self::new(&fresh, self.seed);
        self.epoch = epoch;
    }

    pub(super) fn derive(&self, kind: &str, subject: &[&[u8]]) -> Id {
        let whole = ids::derive(self.seed, kind, subject);
        Id::try_from(whole >> 64).unwrap_or(0)
    }

    pub(super) fn account_no(&self, name: &str) -> Option<AccountNo> {
        self.account_names.get(name).copied()
    }

    /// The account of this name, opened where there is none; `None`: there is no room.
    pub(super) fn open_account(&mut self, name: &str) -> Option<AccountNo> {
        if let Some(number) = self.account_no(name) {
            return Some(number);
        }
        if self.accounts.len() >= MOST_ACCOUNTS {
            return None;
        }
        let name: Arc<str> = name.into();
        self.accounts.push(Account {
            name: Arc::clone(&name),
            budget: Budget::default(),
            contacts: Vec::new(),
            conversations: Vec::new(),
            by_phone: HashMap::new(),
            by_email: HashMap::new(),
            keys: HashMap::new(),
        });
        let number = self.accounts.len() - 1;
        self.account_names.insert(name, number);
        Some(number)
    }

    /// A contact of an account by id, number or e-mail; deleted ones are gone.
    pub(super) fn contact_no(&self, account: AccountNo, named: &str) -> Option<ContactNo> {
        let ours = self.accounts.get(account)?;
        let by_id = || self.contact_ids.get(&parse_id("cnt_", named)?).copied();
        let by_email = || ours.by_email.get(&named.to_lowercase()).copied();
        let number = ours
            .by_phone
            .get(named)
            .copied()
            .or_else(by_id)
            .or_else(by_email)?;
        let contact = self.contacts.get(number)?;
        let is_there = contact.account == account && contact.status != ContactStatus::Deleted;
        is_there.then_some(number)
    }

    /// Follows from account and address; whoever has the address of somebody deleted is another
    /// one.
    pub(super) fn contact_id(&self, account: AccountNo, address: &str) -> Id {
        let name = self.accounts.get(account).map_or("", |one| &one.name);
        let subject = [name.as_bytes(), address.as_bytes()];
        let first = self.derive("huechat contact", &subject);
        if self.contact_ids.contains_key(&first) {
            let count = self.contacts.len().to_be_bytes();
            self.derive("huechat contact", &[subject[0], subject[1], &count])
        } else {
            first
        }
    }

    /// Keeps a new contact, whose addresses nobody else has.
    pub(super) fn add_contact(&mut self, contact: Contact) -> ContactNo {
        let number = self.contacts.len();
        self.contact_ids.insert(contact.id, number);
        if let Some(account) = self.accounts.get_mut(contact.account) {
            account.contacts.push(number);
        }
        self.contacts.push(contact);
        self.index(number);
        number
    }

    /// Makes a contact be found by its addresses.
    pub(super) fn index(&mut self, number: ContactNo) {
        let Some(contact) = self.contacts.get(number) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(contact.account) {
            if let Some(phone) = &contact.phone {
                account.by_phone.insert(phone.clone(), number);
            }
            if let Some(email) = &contact.email {
                account.by_email.insert(email.to_lowercase(), number);
            }
        }
    }

    /// Makes it be found by them no longer.
    pub(super) fn unindex(&mut self, number: ContactNo) {
        let Some(contact) = self.contacts.get(number) else {
            return;
        };
        if let Some(account) = self.accounts.get_mut(contact.account) {
            if let Some(phone) = &contact.phone {
                account.by_phone.remove(phone);
            }
            if let Some(email) = &contact.email {
                account.by_email.remove(&email.to_lowercase());
            }
        }
    }

    pub(super) fn conversation_no(&self, account: AccountNo, id: &str) -> Option<ConversationNo> {
        let number = *self.conversation_ids.get(&parse_id("conv_", id)?)?;
        let conversation = self.conversations.get(number)?;
        (conversation.account == account).then_some(number)
    }

    pub(super) fn add_conversation(&mut self, conversation: Conversation) -> ConversationNo {
        let number = self.conversations.len();
        self.conversation_ids.insert(conversation.id, number);
        if let Some(account) = self.accounts.get_mut(conversation.account) {
            account.conversations.push(number);
        }
        if let Some(contact) = self.contacts.get_mut(conversation.contact) {
            contact.conversations.push(number);
        }
        self.conversations.push(conversation);
        number
    }

    /// The newest conversation with a contact over a channel that is `open`, or whatever it is.
    pub(super) fn conversation_with(
        &self,
        contact: ContactNo,
        channel: Channel,
        wanted: Option<ConversationStatus>,
    ) -> Option<ConversationNo> {
        let all = self.contacts.get(contact)?.conversations.iter().rev();
        all.copied().find(|number| {
            let one = self.conversations.get(*number);
            one.is_some_and(|one| {
                one.channel == channel && wanted.is_none_or(|wanted| one.status == wanted)
            })
        })
    }

    pub(super) fn add_message(&mut self, message: Message) -> MessageNo {
        let number = self.messages.len();
        self.message_ids.insert(message.id, number);
        if let Some(conversation) = self.conversations.get_mut(message.conversation) {
            conversation.messages.push(number);
        }
        self.messages.push(message);
        number
    }

    pub(super) fn message_no(&self, account: AccountNo, id: &str) -> Option<MessageNo> {
        let number = *self.message_ids.get(&parse_id("msg_", id)?)?;
        let (_, conversation, _) = self.entry(number)?;
        (conversation.account == account).then_some(number)
    }

    /// A message with its conversation and contact.
    pub(super) fn entry(&self, number: MessageNo) -> Option<(&Message, &Conversation, &Contact)> {
        let message = self.messages.get(number)?;
        let conversation = self.conversations.get(message.conversation)?;
        Some((
            message,
            conversation,
            self.contacts.get(conversation.contact)?,
        ))
    }
}
