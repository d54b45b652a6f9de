//! What an account has done and whom it has reached, as the control surface and the tests read it.
//! Changes nothing, but for the templates that the control surface puts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Hue;
use super::courier::HueDeliveryRecord;
use super::scopes;
use super::store::{Contact, Message, SentBy, Store};
use super::templates::{self, BadTemplates, HueTemplate};
use crate::domain::channel::Channel;
use crate::sandbox::Sandbox;
use crate::sandbox::journal::{Filter, time_text};
use crate::sandbox::received::{Owner, Receipt};

/// A message, in either direction.
#[derive(Debug, Clone, Serialize)]
pub struct HueMessageRecord {
    /// From 1, in the order of acceptance, over both directions.
    pub seq: u64,
    pub message_id: String,
    /// The account, by its `org_` name.
    pub account: String,
    pub conversation_id: String,
    pub contact_id: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub channel: &'static str,
    pub message_type: &'static str,
    /// Of a template the text with its parameters.
    pub content: String,
    pub template: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub subject: Option<String>,
    pub media_url: Option<String>,
    /// `user`: the account wrote; `contact`: the contact did.
    pub sent_by: &'static str,
    pub status: &'static str,
    pub error: Option<String>,
    pub sent_at: String,
    /// The same moment, in microseconds since the epoch.
    #[serde(skip)]
    pub(in crate::sandbox) sent_us: i64,
    pub delivered_at: Option<String>,
    pub read_at: Option<String>,
    /// The `Idempotency-Key` of its request, whether or not the sandbox heeds it.
    pub key: Option<String>,
    /// Where it went, or came from.
    #[serde(skip)]
    pub(in crate::sandbox) address: String,
}

/// Where a message over this channel goes to, or comes from.
fn address(contact: &Contact, channel: Channel) -> String {
    let (phone, email) = (contact.phone.as_ref(), contact.email.as_ref());
    let found = match channel {
        Channel::Email => email,
        Channel::Whatsapp | Channel::Sms | Channel::Instagram => phone.or(email),
    };
    found.cloned().unwrap_or_else(|| contact.id_text())
}

/// A contact.
#[derive(Debug, Clone, Serialize)]
pub struct HueContactRecord {
    pub contact_id: String,
    pub account: String,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub first_name: String,
    pub last_name: Option<String>,
    pub metadata: serde_json::Value,
    pub status: &'static str,
    /// Messages that were sent to them.
    pub sent: u64,
}

/// What HueChat was asked, and what it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HueReport {
    /// Requests by method and route, whatever came of them.
    pub requests: BTreeMap<String, usize>,
    /// Answers by status; `none` where the connection was closed instead.
    pub answers: BTreeMap<String, usize>,
    /// Answers by name of the error.
    pub refusals: BTreeMap<String, usize>,
    pub accounts: usize,
    /// That are not deleted.
    pub contacts: usize,
    pub conversations: usize,
    /// Messages that were accepted from the accounts.
    pub sent: usize,
    /// Messages that contacts wrote.
    pub received: usize,
}

fn record(store: &Store, number: usize) -> Option<HueMessageRecord> {
    let (message, conversation, contact) = store.entry(number)?;
    let account = store.accounts.get(conversation.account)?;
    let (template, parameters) = message.template.clone().unzip();
    Some(HueMessageRecord {
        seq: number as u64 + 1,
        message_id: message.id_text(),
        account: account.name.to_string(),
        conversation_id: conversation.id_text(),
        contact_id: contact.id_text(),
        phone: contact.phone.clone(),
        email: contact.email.clone(),
        channel: conversation.channel.as_str(),
        message_type: message.kind.name(),
        content: message.content.clone(),
        template,
        parameters: parameters.unwrap_or_default(),
        subject: message.subject.clone(),
        media_url: message.media_url.clone(),
        sent_by: message.sent_by.name(),
        status: message.status.name(),
        error: message.error.clone(),
        sent_at: time_text(message.sent_us),
        sent_us: message.sent_us,
        delivered_at: message.delivered_us.map(time_text),
        read_at: message.read_us.map(time_text),
        key: message.key.as_deref().map(str::to_owned),
        address: address(contact, conversation.channel),
    })
}

impl Hue {
    /// The messages that the filter leaves: by the contact's number or e-mail.
    fn messages(
        &self,
        filter: &Filter,
        wanted: impl Fn(&Message) -> bool,
    ) -> Vec<HueMessageRecord> {
        let store = self.store();
        (0..store.messages.len())
            .skip(filter.skipped())
            .filter(|number| store.messages.get(*number).is_some_and(&wanted))
            .filter_map(|number| record(&store, number))
            .filter(|one| {
                filter.to.is_none()
                    || filter.wants(one.phone.as_deref())
                    || filter.wants(one.email.as_deref())
            })
            .take(filter.most())
            .collect()
    }

    pub(in crate::sandbox) fn sent(&self, filter: &Filter) -> Vec<HueMessageRecord> {
        self.messages(filter, |message| message.sent_by == SentBy::User)
    }

    pub(in crate::sandbox) fn heard(&self, filter: &Filter) -> Vec<HueMessageRecord> {
        self.messages(filter, |message| message.sent_by == SentBy::Contact)
    }

    /// Every message that an account sent, in few words.
    pub(in crate::sandbox) fn receipts(&self) -> Vec<Receipt> {
        let store = self.store();
        let all = (0..store.messages.len()).filter_map(|number| store.entry(number));
        let sent = all.filter(|(message, ..)| message.sent_by == SentBy::User);
        sent.map(|(message, conversation, contact)| Receipt {
            owner: Owner::Account(conversation.account),
            to: vec![address(contact, conversation.channel)],
            from: None,
            message_id: message.id_text(),
            key: message.key.as_deref().map(str::to_owned),
        })
        .collect()
    }

    pub(in crate::sandbox) fn contact_records(&self) -> Vec<HueContactRecord> {
        let store = self.store();
        let contacts = store.contacts.iter().map(|one| HueContactRecord {
            contact_id: one.id_text(),
            account: store
                .accounts
                .get(one.account)
                .map(|account| account.name.to_string())
                .unwrap_or_default(),
            phone: one.phone.clone(),
            email: one.email.clone(),
            first_name: one.first_name.clone(),
            last_name: one.last_name.clone(),
            metadata: one.metadata.clone().into(),
            status: one.status.name(),
            sent: one.sent,
        });
        contacts.collect()
    }

    fn count(&self, report: &mut HueReport) {
        let store = self.store();
        report.accounts = store.accounts.len();
        let deleted = super::store::ContactStatus::Deleted;
        let contacts = store.contacts.iter();
        report.contacts = contacts.filter(|one| one.status != deleted).count();
        report.conversations = store.conversations.len();
        let messages = store.messages.iter();
        report.sent = messages.filter(|one| one.sent_by == SentBy::User).count();
        report.received = store.messages.len() - report.sent;
    }
}

impl Sandbox {
    /// What a HueChat client's `base_url` is to be: ends in `/v2`.
    pub fn huechat_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// The name of the account that a key opens, as records and events tell it.
    pub fn hue_account(&self, key: &str) -> String {
        scopes::account_of(self.seed, key)
    }

    /// The messages that accounts have sent, in the order of acceptance.
    pub fn hue_messages(&self) -> Vec<HueMessageRecord> {
        self.hue.sent(&Filter::default())
    }

    /// What contacts wrote, in the order of arrival.
    pub fn hue_heard(&self) -> Vec<HueMessageRecord> {
        self.hue.heard(&Filter::default())
    }

    /// Every contact that there ever was, the deleted ones too.
    pub fn hue_contacts(&self) -> Vec<HueContactRecord> {
        self.hue.contact_records()
    }

    /// The sums.
    pub fn hue_report(&self) -> HueReport {
        let mut report = HueReport::default();
        // On a line of its own: the sums below take another lock.
        let asked = self.host.journal().asked_under("/v2");
        for (route, status, error) in asked {
            *report.requests.entry(route).or_default() += 1;
            let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            *report.answers.entry(status).or_default() += 1;
            if let Some(error) = error {
                *report.refusals.entry(error).or_default() += 1;
            }
        }
        self.hue.count(&mut report);
        report
    }

    /// How subscribers were told of events: the latest tries.
    pub fn hue_deliveries(&self) -> Vec<HueDeliveryRecord> {
        self.hue.store().tries.all()
    }

    /// The templates, as they are now.
    pub fn hue_templates(&self) -> Vec<HueTemplate> {
        self.hue.store().templates.clone()
    }

    /// Puts other templates in place of those that there are, for every account, until a reset.
    pub fn put_hue_templates(&self, all: Vec<HueTemplate>) -> Result<(), BadTemplates> {
        templates::check(&all)?;
        self.hue.store().templates = all;
        Ok(())
    }
}
