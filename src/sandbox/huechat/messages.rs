//! Sending to a contact (huechat §7.1, §8): what a body must be, and whether this account can send
//! this to this contact now. Accepting it is [`super::accepting`]'s.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::accepting::{Letter, Order};
use super::errors::{Error, Refusal, invalid, missing, no_such, unprocessable};
use super::exchange::{Call, Done};
use super::fields::{Fields, Said};
use super::numbers::{self, Character, Fate, RE_ENGAGEMENT};
use super::store::{Contact, ContactNo, ContactStatus, SentBy, Store};
use super::{HueConfig, HueWindow, templates};
use crate::domain::channel::Channel;
use crate::sandbox::Numbers;

/// How long a contact's message keeps the window open.
const WINDOW_US: i64 = 24 * 3_600 * 1_000_000;
const MAX_URL_CHARS: usize = 2_048;
pub(super) const MAX_FILENAME_CHARS: usize = 240;
pub(super) const MAX_SUBJECT_CHARS: usize = 255;
const MAX_LANGUAGE_CHARS: usize = 16;
/// The most that any channel takes.
pub(super) const LONGEST_CONTENT: usize = 100_000;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageType {
    Text,
    Template,
    Image,
    Document,
}

impl MessageType {
    pub(super) const ALL: [Self; 4] = [Self::Text, Self::Template, Self::Image, Self::Document];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Template => "template",
            Self::Image => "image",
            Self::Document => "document",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == text)
    }

    fn goes_over(self, channel: Channel) -> bool {
        match self {
            Self::Text => true,
            Self::Template => channel == Channel::Whatsapp,
            Self::Image => channel != Channel::Sms,
            Self::Document => matches!(channel, Channel::Whatsapp | Channel::Email),
        }
    }
}

/// The most characters that a channel carries.
pub(super) fn longest(channel: Channel) -> usize {
    match channel {
        Channel::Whatsapp => 4_096,
        Channel::Sms => 1_600,
        Channel::Instagram => 1_000,
        Channel::Email => LONGEST_CONTENT,
    }
}

/// A message as it was asked for.
#[derive(Debug)]
struct Wish<'a> {
    channel: Channel,
    kind: MessageType,
    content: Option<&'a str>,
    template: Option<(&'a str, Option<&'a str>, BTreeMap<String, String>)>,
    media_url: Option<&'a str>,
    subject: Option<&'a str>,
}

fn needed<T>(name: &str, said: Said<T>) -> Result<T, Refusal> {
    said.value().ok_or_else(|| missing(name))
}

fn parameters(fields: Fields<'_>) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = || invalid("template_parameters", "must be an object of strings");
    match fields.value("template_parameters") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(all)) => all
            .iter()
            .map(|(name, value)| {
                let value = value.as_str().ok_or_else(wrong)?;
                Ok((name.clone(), value.to_owned()))
            })
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn media(fields: Fields<'_>, kind: MessageType) -> Result<Option<&str>, Refusal> {
    let url = fields.text("media_url", MAX_URL_CHARS)?;
    if !matches!(kind, MessageType::Image | MessageType::Document) {
        return Ok(None);
    }
    let url = url.ok_or_else(|| missing("media_url"))?;
    let rest = url.strip_prefix("https://").unwrap_or_default();
    if rest.is_empty() || url.chars().any(char::is_whitespace) {
        return Err(invalid("media_url", "must be an HTTPS address"));
    }
    Ok(Some(url))
}

impl<'a> Wish<'a> {
    fn read(json: &'a Value) -> Result<Self, Refusal> {
        let fields = Fields::of(json)?;
        let channel = needed("channel", fields.channel("channel")?)?;
        let words = "text, template, image and document";
        let kind = fields.word("message_type", MessageType::parse, words)?;
        let kind = needed("message_type", kind)?;
        let content = match kind {
            MessageType::Text => Some(fields.needed("content", longest(channel))?),
            MessageType::Template => None,
            MessageType::Image | MessageType::Document => {
                fields.text("content", longest(channel))?
            }
        };
        let template = if kind == MessageType::Template {
            let name = fields.needed("template_name", templates::MAX_TEMPLATE_NAME)?;
            if !templates::is_name(name) {
                let reason = "must be lower-case letters, digits and _";
                return Err(invalid("template_name", reason));
            }
            let language = fields.text("template_language", MAX_LANGUAGE_CHARS)?;
            Some((name, language, parameters(fields)?))
        } else {
            None
        };
        fields.text("filename", MAX_FILENAME_CHARS)?;
        let subject = fields.text("subject", MAX_SUBJECT_CHARS)?;
        Ok(Self {
            channel,
            kind,
            content,
            template,
            media_url: media(fields, kind)?,
            subject: subject.filter(|_| channel == Channel::Email),
        })
    }

    fn needs_window(&self) -> bool {
        match self.channel {
            Channel::Whatsapp => self.kind != MessageType::Template,
            Channel::Instagram => true,
            Channel::Sms | Channel::Email => false,
        }
    }
}

/// Who of the table a message over this channel goes to.
fn character(contact: &Contact, channel: Channel) -> Option<Character> {
    match channel {
        Channel::Whatsapp | Channel::Sms => numbers::character(contact.phone.as_deref()?),
        Channel::Email | Channel::Instagram => None,
    }
}

impl Store {
    /// Whether a contact can be written to over a channel at all.
    fn is_reachable(&self, number: ContactNo, channel: Channel) -> Result<(), Refusal> {
        let refused = |why| Err(Refusal::new(Error::NotReachable).because(why));
        let Some(contact) = self.contacts.get(number) else {
            return Err(no_such("contact"));
        };
        if contact.status != ContactStatus::Active {
            return refused("The contact is not active");
        }
        match channel {
            Channel::Whatsapp | Channel::Sms if contact.phone.is_none() => {
                refused("The contact has no phone number")
            }
            Channel::Email if contact.email.is_none() => {
                refused("The contact has no e-mail address")
            }
            Channel::Instagram if self.conversation_with(number, channel, None).is_none() => {
                refused("On Instagram a contact is only answered in a conversation that they began")
            }
            Channel::Whatsapp | Channel::Sms | Channel::Email | Channel::Instagram => Ok(()),
        }
    }

    /// Whether the contact has written over this channel within the last 24 hours.
    fn is_window_open(&self, number: ContactNo, channel: Channel, now_us: i64) -> bool {
        let Some(contact) = self.contacts.get(number) else {
            return false;
        };
        let conversations = contact.conversations.iter();
        let heard = conversations
            .filter_map(|number| self.conversations.get(*number))
            .filter(|one| one.channel == channel)
            .flat_map(|one| &one.messages)
            .filter_map(|number| self.messages.get(*number))
            .filter(|one| one.sent_by == SentBy::Contact)
            .map(|one| one.sent_us)
            .max();
        heard.is_some_and(|heard_us| now_us.saturating_sub(heard_us) < WINDOW_US)
    }
}

impl Store {
    /// The message as it can be sent to this contact now.
    fn letter(
        &self,
        config: &HueConfig,
        (contact, wish): (ContactNo, Wish<'_>),
        now_us: i64,
    ) -> Result<Letter, Refusal> {
        if !self.connected.contains(&wish.channel) {
            return Err(Refusal::new(Error::ChannelNotConnected)
                .details(json!({ "field": "channel", "received": wish.channel.as_str() })));
        }
        if !wish.kind.goes_over(wish.channel) {
            let reason = format!("does not go over {}", wish.channel.as_str());
            return Err(unprocessable("message_type", &reason));
        }
        self.is_reachable(contact, wish.channel)?;
        let character = match config.numbers {
            Numbers::Lab => self
                .contacts
                .get(contact)
                .and_then(|contact| character(contact, wish.channel)),
            Numbers::Plain => None,
        };
        if character.is_some_and(|one| !one.is_reachable()) {
            return Err(Refusal::new(Error::NotReachable));
        }
        let content = match &wish.template {
            Some((name, language, given)) => {
                templates::usable(&self.templates, name, *language)?.fill(given)?
            }
            None => wish.content.unwrap_or_default().to_owned(),
        };
        let is_open = !wish.needs_window()
            || config.window == HueWindow::Off
            || character.is_some_and(Character::is_window_open)
            || self.is_window_open(contact, wish.channel, now_us);
        if !is_open && config.window == HueWindow::Sync {
            return Err(Refusal::new(Error::OutsideWindow));
        }
        let template = wish.template;
        Ok(Letter {
            contact,
            channel: wish.channel,
            kind: wish.kind,
            content,
            template: template.map(|(name, _, given)| (name.to_owned(), given)),
            subject: wish.subject.map(str::to_owned),
            media_url: wish.media_url.map(str::to_owned),
            fate: if is_open {
                character.map_or(Fate::Usual, Character::fate)
            } else {
                Fate::Fails(RE_ENGAGEMENT)
            },
            reply: character.and_then(Character::reply).filter(|_| is_open),
            order: if character.is_some_and(Character::muddles_events) {
                Order::Muddled
            } else {
                Order::AsTheyHappen
            },
            key: None,
        })
    }
}

impl Call {
    /// `POST /contact/{id}/message`.
    pub(super) fn send(&self, json: &Value) -> Result<Done, Refusal> {
        let wish = Wish::read(json)?;
        let now_us = self.now_us();
        let config = &self.hue.config;
        let mut store = self.hue.store();
        let number = store.contact_no(self.account, &self.id);
        let number = number.ok_or_else(|| no_such("contact"))?;
        if let Some(done) = self.earlier(&store)? {
            return Ok(done);
        }
        let letter = store.letter(config, (number, wish), now_us)?;
        let month = config.monthly_messages;
        let account = store.accounts.get_mut(self.account);
        if let (Some(month), Some(account)) = (month, account)
            && !account.budget.has_message(month, now_us)
        {
            return Err(Refusal::new(Error::QuotaExceeded));
        }
        let letter = Letter {
            key: self.entry.key.as_deref().map(Into::into),
            ..letter
        };
        let accepted = store.accept(config, letter, now_us);
        let message = accepted.ok_or_else(|| no_such("contact"))?;
        self.remember(&mut store, message);
        store.sent(message)
    }

    /// The message that this key has sent before, where keys are honoured.
    fn earlier(&self, store: &Store) -> Result<Option<Done>, Refusal> {
        if !self.hue.config.honour_keys {
            return Ok(None);
        }
        let Some(key) = self.entry.key.as_deref() else {
            return Ok(None);
        };
        let account = store.accounts.get(self.account);
        let Some((request, message)) = account.and_then(|one| one.keys.get(key)) else {
            return Ok(None);
        };
        if *request != self.request() {
            return Err(Refusal::new(Error::Conflict)
                .because("This idempotency key was used with another request")
                .details(json!({ "field": "Idempotency-Key" })));
        }
        let done = store.sent(*message)?;
        Ok(Some(Done {
            replay: true,
            ..done
        }))
    }

    fn remember(&self, store: &mut Store, message: usize) {
        let request = self.request();
        if let Some(account) = store.accounts.get_mut(self.account) {
            account.budget.count_message();
            if let Some(key) = self
                .entry
                .key
                .as_deref()
                .filter(|_| self.hue.config.honour_keys)
            {
                account.keys.insert(key.to_owned(), (request, message));
            }
        }
    }
}
