//! Contacts who write: what they may say, and to whom it goes (huechat §12).

use serde_json::Map;

use super::Hue;
use super::events::Kind;
use super::store::{AccountNo, Contact, ContactNo, ContactStatus, Store, id_text};
use crate::domain::channel::Channel;

/// The longest text that somebody writes.
const MAX_TEXT_CHARS: usize = 4_096;

/// Somebody writes over a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HueIncoming {
    /// A number, an e-mail address or a contact's id.
    pub from: String,
    pub channel: Channel,
    pub text: String,
    /// The account, by its `org_` name; `None`: the one that has written to them last, or knows
    /// them, or the first one.
    pub account: Option<String>,
}

/// Why nobody can write so, in words for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHueIncoming {
    #[error("no key has been used yet, so there is no account to write to")]
    NoAccount,
    #[error("there is no account '{0}'")]
    UnknownAccount(String),
    #[error(
        "`from` is a number in E.164 or an e-mail address; over Instagram, or by id, only a \
         contact of the account can write"
    )]
    From,
    #[error("`text` has 1 to {MAX_TEXT_CHARS} characters")]
    Text,
}

impl Store {
    /// The account that a person writes to.
    fn account_for(&self, incoming: &HueIncoming) -> Result<AccountNo, BadHueIncoming> {
        if let Some(name) = &incoming.account {
            let unknown = || BadHueIncoming::UnknownAccount(name.clone());
            return self.account_no(name).ok_or_else(unknown);
        }
        let newest = |account: &AccountNo| {
            let contact = self.contact_no(*account, &incoming.from)?;
            let last = self.contacts.get(contact)?.last_contacted_us;
            Some((last, std::cmp::Reverse(*account)))
        };
        let known = (0..self.accounts.len()).filter_map(|account| newest(&account));
        match known.max() {
            Some((_, std::cmp::Reverse(account))) => Ok(account),
            None if self.accounts.is_empty() => Err(BadHueIncoming::NoAccount),
            None => Ok(0),
        }
    }

    /// The contact who writes; somebody whom nobody knows yet becomes one.
    fn writer(
        &mut self,
        account: AccountNo,
        incoming: &HueIncoming,
        now_us: i64,
    ) -> Result<ContactNo, BadHueIncoming> {
        if let Some(known) = self.contact_no(account, &incoming.from) {
            return Ok(known);
        }
        let from = incoming.from.as_str();
        let digits = from.strip_prefix('+').unwrap_or_default();
        let is_phone =
            (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (phone, email) = match incoming.channel {
            Channel::Whatsapp | Channel::Sms if is_phone => (Some(from.to_owned()), None),
            Channel::Email if from.contains('@') => (None, Some(from.to_owned())),
            Channel::Whatsapp | Channel::Sms | Channel::Email | Channel::Instagram => {
                return Err(BadHueIncoming::From);
            }
        };
        let number = self.add_contact(Contact {
            id: self.contact_id(account, from),
            account,
            phone,
            email,
            first_name: "Unknown".to_owned(),
            last_name: None,
            preferred_channel: None,
            metadata: Map::new(),
            status: ContactStatus::Active,
            created_us: now_us,
            updated_us: now_us,
            last_contacted_us: None,
            conversations: Vec::new(),
            sent: 0,
        });
        self.tell_of_contact(number, Kind::ContactCreated, now_us);
        Ok(number)
    }
}

impl Hue {
    /// Somebody writes; answers the message's id.
    pub(in crate::sandbox) fn receive(
        &self,
        incoming: &HueIncoming,
    ) -> Result<String, BadHueIncoming> {
        let length = incoming.text.chars().count();
        if !(1..=MAX_TEXT_CHARS).contains(&length) {
            return Err(BadHueIncoming::Text);
        }
        let now_us = self.host.now_us();
        let mut store = self.store();
        let account = store.account_for(incoming)?;
        let contact = store.writer(account, incoming, now_us)?;
        let said = (incoming.text.as_str(), now_us);
        let heard = store.hear(contact, incoming.channel, said);
        let message = heard.and_then(|number| store.messages.get(number));
        let id = message.map(|message| id_text("msg_", message.id));
        drop(store);
        self.tell_news();
        id.ok_or(BadHueIncoming::From)
    }
}
