//! A message that is accepted, in either direction: its conversation, its record, and what is
//! arranged to happen to it. Refuses nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::HueConfig;
use super::errors::{Refusal, no_such};
use super::events::Kind;
use super::exchange::Done;
use super::happenings::Happening;
use super::messages::MessageType;
use super::numbers::Fate;
use super::store::{
    Contact, ContactNo, Conversation, ConversationNo, ConversationStatus, Message, MessageNo,
    SentBy, Status, Store, id_text,
};
use crate::domain::channel::Channel;
use crate::sandbox::journal::time_text;
use crate::sandbox::time::micros;

/// How long a message takes where somebody's number says that it arrives, and nobody says when.
const USUAL_DELIVERY_US: i64 = 200_000;
const USUAL_READING_US: i64 = 500_000;
/// How long somebody takes to reply to what was delivered.
const REPLY_US: i64 = 100_000;

/// A message that can be sent.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) contact: ContactNo,
    pub(super) channel: Channel,
    pub(super) kind: MessageType,
    pub(super) content: String,
    pub(super) template: Option<(String, BTreeMap<String, String>)>,
    pub(super) subject: Option<String>,
    pub(super) media_url: Option<String>,
    pub(super) fate: Fate,
    /// Events about it come twice and in the wrong order.
    pub(super) order: Order,
    /// What the contact writes once it is delivered.
    pub(super) reply: Option<&'static str>,
    pub(super) key: Option<Box<str>>,
}

/// In which order events about a message are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    AsTheyHappen,
    Muddled,
}

impl Message {
    pub(super) fn id_text(&self) -> String {
        id_text("msg_", self.id)
    }

    pub(super) fn json(&self, conversation: &Conversation, contact: &Contact) -> Value {
        json!({
            "id": self.id_text(),
            "conversation_id": conversation.id_text(),
            "contact_id": contact.id_text(),
            "channel": conversation.channel.as_str(),
            "message_type": self.kind.name(),
            "content": self.content,
            "status": self.status.name(),
            "sent_by": self.sent_by.name(),
            "sent_at": time_text(self.sent_us),
            "delivered_at": self.delivered_us.map(time_text),
            "read_at": self.read_us.map(time_text),
            "error": self.error,
        })
    }
}

/// How long it takes a message to be read, or at least delivered.
fn span_us(config: &HueConfig) -> i64 {
    let last = config.read_after.max(config.delivered_after);
    last.map_or(USUAL_READING_US, micros).max(1)
}

impl Store {
    /// A message as every answer and event shows it.
    pub(super) fn message_json(&self, number: MessageNo) -> Option<Value> {
        let (message, conversation, contact) = self.entry(number)?;
        Some(message.json(conversation, contact))
    }

    /// The answer to a message that was accepted.
    pub(super) fn sent(&self, number: MessageNo) -> Result<Done, Refusal> {
        let message = self.messages.get(number).map(|message| message.id);
        let shown = self.message_json(number);
        let shown = shown.ok_or_else(|| no_such("message"))?;
        Ok(Done {
            message_id: message,
            ..Done::json(201, &shown)
        })
    }

    /// The open conversation with a contact over a channel, or else a new one.
    pub(super) fn conversation_for(
        &mut self,
        contact: ContactNo,
        channel: Channel,
        now_us: i64,
    ) -> Option<ConversationNo> {
        let open = self.conversation_with(contact, channel, Some(ConversationStatus::Open));
        if open.is_some() {
            return open;
        }
        let one = self.contacts.get(contact)?;
        let nth = one.conversations.len();
        let subject = [
            &one.id.to_be_bytes()[..],
            channel.as_str().as_bytes(),
            &nth.to_be_bytes(),
        ];
        let conversation = Conversation {
            id: self.derive("huechat conversation", &subject),
            account: one.account,
            contact,
            channel,
            subject: None,
            status: ConversationStatus::Open,
            priority: "medium",
            assigned_to: None,
            labels: Vec::new(),
            tags: Vec::new(),
            unread: 0,
            created_us: now_us,
            updated_us: now_us,
            messages: Vec::new(),
        };
        let number = self.add_conversation(conversation);
        self.tell_of_conversation(number, Kind::ConversationCreated, now_us);
        Some(number)
    }

    /// Accepts a message, and arranges what becomes of it.
    pub(super) fn accept(
        &mut self,
        config: &HueConfig,
        letter: Letter,
        now_us: i64,
    ) -> Option<MessageNo> {
        let conversation = self.conversation_for(letter.contact, letter.channel, now_us)?;
        let contact = self.contacts.get_mut(letter.contact)?;
        contact.sent += 1;
        contact.last_contacted_us = Some(now_us);
        let subject = (contact.id.to_be_bytes(), contact.sent.to_be_bytes());
        let id = self.derive("huechat message", &[&subject.0, &subject.1]);
        if let Some(one) = self.conversations.get_mut(conversation) {
            one.updated_us = now_us;
            if one.subject.is_none() {
                one.subject.clone_from(&letter.subject);
            }
        }
        let number = self.add_message(Message {
            id,
            conversation,
            kind: letter.kind,
            content: letter.content,
            template: letter.template,
            subject: letter.subject,
            media_url: letter.media_url,
            sent_by: SentBy::User,
            status: Status::Sent,
            error: None,
            sent_us: now_us,
            delivered_us: None,
            read_us: None,
            muddled_us: (letter.order == Order::Muddled).then(|| span_us(config)),
            key: letter.key,
        });
        self.tell_of_message(number, Kind::MessageSent, now_us);
        self.arrange(config, number, (letter.fate, letter.reply));
        Some(number)
    }

    fn arrange(
        &mut self,
        config: &HueConfig,
        number: MessageNo,
        (fate, reply): (Fate, Option<&'static str>),
    ) {
        let Some(message) = self.messages.get(number) else {
            return;
        };
        let (sent_us, id) = (message.sent_us, message.id);
        let drawn = self.derive("huechat read", &[&id.to_be_bytes()]) % 100;
        let delivered = config.delivered_after.map(micros);
        let read = config.read_after.map(micros);
        let certain = |after: Option<i64>, usual| Some(after.unwrap_or(usual));
        let (delivered, read) = match fate {
            Fate::Usual => {
                let is_reader = drawn < u64::from(config.read_percent);
                (delivered, read.filter(|_| is_reader))
            }
            Fate::DeliveredAndRead => (
                certain(delivered, USUAL_DELIVERY_US),
                certain(read, USUAL_READING_US),
            ),
            Fate::Delivered => (certain(delivered, USUAL_DELIVERY_US), None),
            Fate::StaysSent => (None, None),
            Fate::Fails(error) => {
                let after = delivered.unwrap_or(USUAL_DELIVERY_US);
                let happening = Happening::Fails(number, error);
                self.agenda
                    .arrange(sent_us.saturating_add(after), happening);
                return;
            }
        };
        if let Some(after) = delivered {
            let at_us = sent_us.saturating_add(after);
            self.agenda.arrange(at_us, Happening::Delivered(number));
            if let Some(text) = reply {
                let at_us = at_us.saturating_add(REPLY_US);
                self.agenda.arrange(at_us, Happening::Reply(number, text));
            }
        }
        if let Some(after) = read {
            let at_us = sent_us.saturating_add(after);
            self.agenda.arrange(at_us, Happening::Read(number));
        }
    }

    /// A contact writes.
    pub(super) fn hear(
        &mut self,
        contact: ContactNo,
        channel: Channel,
        (text, now_us): (&str, i64),
    ) -> Option<MessageNo> {
        let conversation = self.conversation_for(contact, channel, now_us)?;
        let one = self.conversations.get_mut(conversation)?;
        one.unread += 1;
        one.updated_us = now_us;
        let subject = (one.id.to_be_bytes(), one.messages.len().to_be_bytes());
        let id = self.derive("huechat inbound", &[&subject.0, &subject.1]);
        let number = self.add_message(Message {
            id,
            conversation,
            kind: MessageType::Text,
            content: text.to_owned(),
            template: None,
            subject: None,
            media_url: None,
            sent_by: SentBy::Contact,
            status: Status::Delivered,
            error: None,
            sent_us: now_us,
            delivered_us: Some(now_us),
            read_us: None,
            muddled_us: None,
            key: None,
        });
        self.tell_of_message(number, Kind::MessageReceived, now_us);
        Some(number)
    }
}
