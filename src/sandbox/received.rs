//! The sums over what was received: per person, per line, and in all. The oracle of the crash
//! tests: `repeated_keys` above 0 means that someone got a message twice.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sandbox;
use super::chert::{ActionRecord, ChatRecord, FileRecord, InboundRecord, MessageRecord};
use super::huechat::HueMessageRecord;
use super::journal::{Filter, RequestRecord};

/// Everything, or what a filter leaves of it.
#[derive(Debug, Clone, Serialize)]
pub struct JournalReport {
    pub requests: Vec<RequestRecord>,
    pub messages: Vec<MessageRecord>,
    /// What was done in chats besides sending.
    pub actions: Vec<ActionRecord>,
    pub files: Vec<FileRecord>,
    /// What people wrote to a line, and how they reacted.
    pub inbound: Vec<InboundRecord>,
    /// What was sent over HueChat.
    pub hue_messages: Vec<HueMessageRecord>,
    /// What contacts of HueChat wrote.
    pub hue_inbound: Vec<HueMessageRecord>,
    pub totals: Totals,
}

/// One person and what they received.
#[derive(Debug, Clone, Serialize)]
pub struct Person {
    pub to: String,
    pub count: usize,
    /// In the order of arrival; null for a message without a key.
    pub keys: Vec<Option<String>>,
    pub message_ids: Vec<String>,
}

/// Whose message it is: keys are a matter between a provider and one of these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Of Chert.
    Tenant(usize),
    /// Of HueChat.
    Account(usize),
}

/// The part of a message that totals are made of.
#[derive(Debug, Clone)]
pub(super) struct Receipt {
    pub(super) owner: Owner,
    pub(super) to: Vec<String>,
    /// The sender line, where there is one.
    pub(super) from: Option<String>,
    pub(super) message_id: String,
    pub(super) key: Option<String>,
}

/// Who received what.
#[derive(Debug, Clone, Serialize)]
pub struct ReceivedReport {
    pub people: Vec<Person>,
    pub totals: Totals,
}

/// Sums over everything since the start or the last reset, whatever the filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Requests answered or dropped, of every route.
    pub requests: usize,
    /// Posts of a message among them, whatever came of them.
    pub message_posts: usize,
    /// Messages accepted.
    pub messages: usize,
    /// People who received at least one.
    pub people: usize,
    /// The most messages that one person received.
    pub most_per_person: usize,
    /// Keys under which more than one message was accepted; 0 while idempotency holds.
    pub repeated_keys: usize,
    /// Messages by sender line.
    pub lines: BTreeMap<String, usize>,
    pub files: usize,
    /// The most message posts that arrived within any one second.
    pub busiest_second: usize,
    /// Requests that are waiting now: under a delay, or for another one with their key.
    pub waiting: usize,
}

impl Sandbox {
    /// What was asked, what was accepted, what was uploaded.
    pub fn journal(&self, filter: &Filter) -> JournalReport {
        // On a line of its own: the sums below take the same lock.
        let requests = self.host.journal().records(filter);
        JournalReport {
            requests,
            messages: self.chert.messages(filter),
            actions: self.chert.actions(filter),
            files: self.chert.files(),
            inbound: self.chert.heard(filter),
            hue_messages: self.hue.sent(filter),
            hue_inbound: self.hue.heard(filter),
            totals: self.totals(),
        }
    }

    /// The chats, as they are now.
    pub fn chats(&self, filter: &Filter) -> Vec<ChatRecord> {
        self.chert.chats(filter)
    }

    /// What both providers accepted.
    fn receipts(&self) -> Vec<Receipt> {
        let mut receipts = self.chert.receipts();
        receipts.extend(self.hue.receipts());
        receipts
    }

    /// Who received what, by number or e-mail. Only `to` and `limit` of the filter count.
    pub fn received(&self, filter: &Filter) -> ReceivedReport {
        let mut people: BTreeMap<String, Person> = BTreeMap::new();
        for receipt in self.receipts() {
            for to in &receipt.to {
                if !filter.wants(Some(to)) {
                    continue;
                }
                let person = people.entry(to.clone()).or_insert_with(|| Person {
                    to: to.clone(),
                    count: 0,
                    keys: Vec::new(),
                    message_ids: Vec::new(),
                });
                person.count += 1;
                person.keys.push(receipt.key.clone());
                person.message_ids.push(receipt.message_id.clone());
            }
        }
        ReceivedReport {
            people: people.into_values().take(filter.most()).collect(),
            totals: self.totals(),
        }
    }

    /// The sums alone.
    pub fn totals(&self) -> Totals {
        let receipts = self.receipts();
        let (requests, message_posts, busiest_second) = {
            let journal = self.host.journal();
            (
                journal.len(),
                journal.post_count(),
                journal.busiest_second(),
            )
        };
        Totals {
            requests,
            message_posts,
            busiest_second,
            files: self.chert.files().len(),
            waiting: self.host.waiting(),
            ..sums(&receipts)
        }
    }
}

fn sums(receipts: &[Receipt]) -> Totals {
    let mut people: BTreeMap<&str, usize> = BTreeMap::new();
    let mut keys: BTreeMap<(&Owner, &str), usize> = BTreeMap::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for receipt in receipts {
        for to in &receipt.to {
            *people.entry(to).or_default() += 1;
        }
        if let Some(key) = &receipt.key {
            *keys.entry((&receipt.owner, key)).or_default() += 1;
        }
        if let Some(line) = &receipt.from {
            *lines.entry(line.clone()).or_default() += 1;
        }
    }
    Totals {
        messages: receipts.len(),
        people: people.len(),
        most_per_person: people.values().copied().max().unwrap_or(0),
        repeated_keys: keys.values().filter(|count| **count > 1).count(),
        lines,
        ..Totals::default()
    }
}
