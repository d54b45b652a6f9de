//! What people received, as the control surface and the tests read it. Changes nothing.

use serde::Serialize;
use serde_json::Value;

use super::actions::Deed;
use super::store::{Chat, Message};
use super::{Chert, ids};
use crate::domain::digest::Digest;
use crate::domain::phone::Phone;
use crate::sandbox::journal::{Filter, time_text};
use crate::sandbox::received::{Owner, Receipt};

/// A message that was accepted: its people have received it.
#[derive(Debug, Clone, Serialize)]
pub struct MessageRecord {
    /// From 1, in the order of acceptance.
    pub seq: u64,
    pub at: String,
    /// The same moment, in microseconds since the epoch.
    #[serde(skip)]
    pub(in crate::sandbox) at_us: i64,
    /// One person, or the members of a group.
    pub to: Vec<String>,
    /// The sender line.
    pub from: Option<String>,
    pub chat_id: String,
    pub message_id: String,
    pub key: Option<String>,
    /// Of the bytes of the request that was accepted.
    pub body_sha256: Digest,
    /// As people see them now: with the edits.
    pub parts: Value,
    pub effect: Option<&'static str>,
    /// Its files were to be one bubble.
    pub grouped: bool,
    /// `sent`, `delivered` or `read`, as of now.
    pub status: &'static str,
}

/// Something that was done in a chat besides sending, and that had an effect.
#[derive(Debug, Clone, Serialize)]
pub struct ActionRecord {
    /// From 1, in the order in which they were done.
    pub seq: u64,
    pub at: String,
    pub action: &'static str,
    /// Everybody in the chat now.
    pub to: Vec<String>,
    pub chat_id: String,
    /// The message that it is about, if it is about one.
    pub message_id: Option<String>,
    /// What the request said.
    pub detail: Value,
}

/// A chat as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct ChatRecord {
    pub chat_id: String,
    /// What `POST /locations` calls it.
    pub delivery_chat_id: String,
    pub is_group: bool,
    pub display_name: String,
    pub group_chat_icon: Option<String>,
    /// Everybody in it but the line.
    pub participants: Vec<String>,
    /// The line of the next message that names none.
    pub line: Option<String>,
    /// The line has left it.
    pub left: bool,
    pub messages: usize,
}

/// A file that was uploaded to the end. Its bytes are not kept.
#[derive(Debug, Clone, Serialize)]
pub struct FileRecord {
    pub attachment_id: String,
    pub content_type: String,
    pub sha256: Digest,
    pub bytes: u64,
}

/// Everybody whom a message went to.
fn people(message: &Message, chat: &Chat) -> Vec<String> {
    message.people.as_deref().map_or_else(
        || chat.people.iter().map(|p| p.expose().to_owned()).collect(),
        <[String]>::to_vec,
    )
}

/// What somebody wrote, in few words.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Written {
    pub(in crate::sandbox) from: Phone,
    pub(in crate::sandbox) text: Box<str>,
    pub(in crate::sandbox) at_us: i64,
}

impl Chert {
    /// What people wrote, in the order of arrival.
    pub(in crate::sandbox) fn written(&self) -> Vec<Written> {
        let store = self.store();
        let written = store.written().map(|one| Written {
            from: one.from.clone(),
            text: one.text.clone(),
            at_us: one.at_us,
        });
        written.collect()
    }

    pub(in crate::sandbox) fn messages(&self, filter: &Filter) -> Vec<MessageRecord> {
        let now_us = self.host.now_us();
        let store = self.store();
        (0..store.messages.len())
            .skip(filter.skipped())
            .filter_map(|number| Some((number, store.entry(number)?)))
            .filter(|(_, (message, chat))| filter.wants_any(|| people(message, chat)))
            .take(filter.most())
            .map(|(number, (message, chat))| MessageRecord {
                seq: number as u64 + 1,
                at: time_text(message.at_us),
                at_us: message.at_us,
                to: people(message, chat),
                from: store
                    .lines
                    .get(message.line)
                    .map(|line| line.phone.expose().to_owned()),
                chat_id: ids::chat_text(chat.id),
                message_id: ids::message_text(message.id),
                key: message.key.as_deref().map(str::to_owned),
                body_sha256: message.body,
                parts: serde_json::from_str(message.shown()).unwrap_or_default(),
                effect: message.look.effect,
                grouped: message.look.grouped,
                status: self.receipts.of(message, chat, now_us).status,
            })
            .collect()
    }

    /// What was done in chats besides sending.
    pub(in crate::sandbox) fn actions(&self, filter: &Filter) -> Vec<ActionRecord> {
        let store = self.store();
        let deeds = (1..).zip(&store.deeds).skip(filter.skipped());
        let told = deeds.filter_map(|(seq, deed)| Some((seq, deed, store.chats.get(deed.chat)?)));
        told.filter(|(_, _, chat)| filter.wants_any(|| chat.members()))
            .take(filter.most())
            .map(|(seq, deed, chat)| record(seq, deed, chat))
            .collect()
    }

    /// Every chat, in the order in which they were made.
    pub(in crate::sandbox) fn chats(&self, filter: &Filter) -> Vec<ChatRecord> {
        let store = self.store();
        let chats = store.chats.iter().skip(filter.skipped());
        chats
            .filter(|chat| filter.wants_any(|| chat.members()))
            .take(filter.most())
            .map(|chat| ChatRecord {
                chat_id: ids::chat_text(chat.id),
                delivery_chat_id: chat.delivery_id(),
                is_group: chat.group.is_some(),
                display_name: chat.name().to_owned(),
                group_chat_icon: (chat.group.as_ref())
                    .and_then(|group| group.icon.as_deref().map(str::to_owned)),
                participants: chat.members(),
                line: (store.lines.get(chat.line)).map(|line| line.phone.expose().to_owned()),
                left: chat.group.as_ref().is_some_and(|group| group.left),
                messages: chat.messages.len(),
            })
            .collect()
    }

    /// Every message, in few words.
    pub(in crate::sandbox) fn receipts(&self) -> Vec<Receipt> {
        let store = self.store();
        (0..store.messages.len())
            .filter_map(|number| store.entry(number))
            .map(|(message, chat)| Receipt {
                owner: Owner::Tenant(chat.tenant),
                to: people(message, chat),
                from: store
                    .lines
                    .get(message.line)
                    .map(|line| line.phone.expose().to_owned()),
                message_id: ids::message_text(message.id),
                key: message.key.as_deref().map(str::to_owned),
            })
            .collect()
    }

    /// Every finished upload, in the order of their ids.
    pub(in crate::sandbox) fn files(&self) -> Vec<FileRecord> {
        let store = self.store();
        let mut files: Vec<_> = store
            .all_slots()
            .flat_map(super::slots::Slots::files)
            .map(|(id, content_type, sha256, bytes)| FileRecord {
                attachment_id: ids::message_text(id),
                content_type: content_type.to_owned(),
                sha256,
                bytes,
            })
            .collect();
        files.sort_by(|a, b| a.attachment_id.cmp(&b.attachment_id));
        files
    }
}

fn record(seq: u64, deed: &Deed, chat: &Chat) -> ActionRecord {
    ActionRecord {
        seq,
        at: time_text(deed.at_us),
        action: deed.action,
        to: chat.members(),
        chat_id: ids::chat_text(chat.id),
        message_id: deed.message.clone(),
        detail: deed.detail.clone(),
    }
}
