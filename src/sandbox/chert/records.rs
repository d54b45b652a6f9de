//! What people received, as the control surface and the tests read it. Changes nothing.

use serde::Serialize;
use serde_json::Value;

use super::{Chert, ids};
use crate::domain::digest::Digest;
use crate::domain::phone::Phone;
use crate::sandbox::journal::{Filter, time_text};

/// A message that was accepted: its people have received it.
#[derive(Debug, Clone, Serialize)]
pub struct MessageRecord {
    /// From 1, in the order of acceptance.
    pub seq: u64,
    pub at: String,
    /// One person, or the members of a group.
    pub to: Vec<String>,
    /// The sender line.
    pub from: Option<String>,
    pub chat_id: String,
    pub message_id: String,
    pub key: Option<String>,
    /// Of the bytes of the request that was accepted.
    pub body_sha256: Digest,
    pub parts: Value,
    /// `sent`, `delivered` or `read`, as of now.
    pub status: &'static str,
}

/// A file that was uploaded to the end. Its bytes are not kept.
#[derive(Debug, Clone, Serialize)]
pub struct FileRecord {
    pub attachment_id: String,
    pub content_type: String,
    pub sha256: Digest,
    pub bytes: u64,
}

/// The part of a message that totals are made of.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Receipt {
    pub(in crate::sandbox) tenant: usize,
    pub(in crate::sandbox) to: Vec<String>,
    pub(in crate::sandbox) from: Option<String>,
    pub(in crate::sandbox) message_id: String,
    pub(in crate::sandbox) key: Option<String>,
}

impl Chert {
    pub(in crate::sandbox) fn messages(&self, filter: &Filter) -> Vec<MessageRecord> {
        let now_us = self.host.now_us();
        let store = self.store();
        (0..store.messages.len())
            .skip(filter.skipped())
            .filter_map(|number| Some((number, store.entry(number)?)))
            .filter(|(_, (_, chat))| {
                let to = chat.people.iter().map(Phone::expose);
                filter.to.is_none() || to.into_iter().any(|to| filter.wants(Some(to)))
            })
            .take(filter.most())
            .map(|(number, (message, chat))| MessageRecord {
                seq: number as u64 + 1,
                at: time_text(message.at_us),
                to: chat.people.iter().map(|p| p.expose().to_owned()).collect(),
                from: store
                    .lines
                    .get(message.line)
                    .map(|line| line.phone.expose().to_owned()),
                chat_id: ids::chat_text(chat.id),
                message_id: ids::message_text(message.id),
                key: message.key.as_deref().map(str::to_owned),
                body_sha256: message.body,
                parts: serde_json::from_str(&message.parts).unwrap_or_default(),
                status: self
                    .receipts
                    .progress((message.id, message.at_us), now_us)
                    .status,
            })
            .collect()
    }

    /// Every message, in few words.
    pub(in crate::sandbox) fn receipts(&self) -> Vec<Receipt> {
        let store = self.store();
        (0..store.messages.len())
            .filter_map(|number| store.entry(number))
            .map(|(message, chat)| Receipt {
                tenant: chat.tenant,
                to: chat.people.iter().map(|p| p.expose().to_owned()).collect(),
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
