//! What subscribers can be told of (huechat §10.3, §10.4), and what an event carries. Tells nobody;
//! [`super::courier`] does.

use std::sync::Arc;

use serde_json::{Value, json};

use super::store::{AccountNo, ContactNo, ConversationNo, Id, MessageNo, Store, id_text};
use crate::sandbox::journal::time_text;

/// A kind of event by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    MessageReceived,
    MessageSent,
    MessageDelivered,
    MessageRead,
    ConversationCreated,
    ConversationUpdated,
    ConversationResolved,
    ConversationAssigned,
    ContactCreated,
    ContactUpdated,
    ContactDeleted,
}

impl Kind {
    pub(super) const ALL: [Self; 11] = [
        Self::MessageReceived,
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::ConversationCreated,
        Self::ConversationUpdated,
        Self::ConversationResolved,
        Self::ConversationAssigned,
        Self::ContactCreated,
        Self::ContactUpdated,
        Self::ContactDeleted,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::ConversationCreated => "conversation.created",
            Self::ConversationUpdated => "conversation.updated",
            Self::ConversationResolved => "conversation.resolved",
            Self::ConversationAssigned => "conversation.assigned",
            Self::ContactCreated => "contact.created",
            Self::ContactUpdated => "contact.updated",
            Self::ContactDeleted => "contact.deleted",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text)
    }
}

/// Something that happened, as it stood then. Lives as long as somebody is to be told of it.
#[derive(Debug)]
pub(super) struct Event {
    id: Id,
    pub(super) kind: Kind,
    account: Arc<str>,
    data: Value,
}

impl Event {
    pub(super) fn id_text(&self) -> String {
        id_text("evt_", self.id)
    }

    /// The envelope. Its time is by the clock that the receiver has, too: the machine's.
    pub(super) fn payload(&self, retry: u32, machine_us: i64) -> Value {
        json!({
            "id": self.id_text(),
            "type": self.kind.name(),
            "timestamp": time_text(machine_us),
            "retry_count": retry,
            "data": self.data,
            "organization_id": &*self.account,
        })
    }
}

impl Store {
    pub(super) fn tell_of_message(&mut self, number: MessageNo, kind: Kind, at_us: i64) {
        let Some((message, conversation, contact)) = self.entry(number) else {
            return;
        };
        let account = conversation.account;
        if !self.hooks.are_wanted(account, kind) {
            return;
        }
        let times: &[i64] = match message.muddled_us {
            // The later an event, the earlier it is told, and each one twice.
            Some(span_us) => {
                const APART_US: i64 = 10_000;
                let passed_us = at_us.saturating_sub(message.sent_us).min(span_us);
                let due_us = at_us.saturating_add(2 * (span_us - passed_us));
                &[due_us, due_us.saturating_add(APART_US)]
            }
            None => &[at_us],
        };
        let data = message.json(conversation, contact);
        self.tell((account, kind), data, times);
    }

    pub(super) fn tell_of_contact(&mut self, number: ContactNo, kind: Kind, at_us: i64) {
        let contact = self.contacts.get(number);
        let Some((account, data)) = contact.map(|one| (one.account, one.json())) else {
            return;
        };
        self.tell((account, kind), data, &[at_us]);
    }

    pub(super) fn tell_of_conversation(&mut self, number: ConversationNo, kind: Kind, at_us: i64) {
        let one = self.conversations.get(number);
        let Some((account, data)) = one.map(|one| (one.account, self.conversation_json(one)))
        else {
            return;
        };
        self.tell((account, kind), data, &[at_us]);
    }

    /// Plans to tell whoever wants to know, at these moments of the provider's clock.
    fn tell(&mut self, (account, kind): (AccountNo, Kind), data: Value, at: &[i64]) {
        self.told += 1;
        if !self.hooks.are_wanted(account, kind) {
            return;
        }
        let Some(name) = self.accounts.get(account).map(|one| Arc::clone(&one.name)) else {
            return;
        };
        let event = Arc::new(Event {
            id: self.derive("huechat event", &[&self.told.to_be_bytes()]),
            kind,
            account: name,
            data,
        });
        for at_us in at {
            self.hooks.plan(account, &event, *at_us);
        }
    }
}
