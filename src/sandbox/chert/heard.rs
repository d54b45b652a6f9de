//! What lines have received, as the control surface and the tests read it. Changes nothing.

use serde::Serialize;

use super::inbound::Kind;
use super::{Chert, ids};
use crate::sandbox::journal::{Filter, time_text};

/// A message that a person wrote to a line, or a reaction of theirs.
#[derive(Debug, Clone, Serialize)]
pub struct InboundRecord {
    /// From 1, in the order of arrival; counts the events of all kinds.
    pub seq: u64,
    pub at: String,
    /// The type of the event that tells of it.
    pub event: &'static str,
    pub event_id: String,
    pub tenant: String,
    pub from: String,
    /// The line.
    pub to: Option<String>,
    pub chat_id: String,
    /// Its own id; of a reaction, that of the message which it is on.
    pub message_id: String,
    pub text: String,
    pub attachment_ids: Vec<String>,
    /// The name of the reaction.
    pub reaction: Option<&'static str>,
    /// `pending`, `delivered`, `failed` or `dev_inbox`, as the event log says.
    pub delivery: &'static str,
}

impl Chert {
    /// What people wrote and how they reacted. A summary in the old form is no message of its own.
    pub(in crate::sandbox) fn heard(&self, filter: &Filter) -> Vec<InboundRecord> {
        let store = self.store();
        let all = (1..).zip(&store.inbound).skip(filter.skipped());
        all.filter(|(_, one)| one.kind != Kind::Summary && filter.wants(Some(one.from.expose())))
            .take(filter.most())
            .filter_map(|(seq, one)| {
                let (message_id, reaction) = match &one.kind {
                    Kind::Message | Kind::Summary => (one.id_text(), None),
                    Kind::Reaction { message, name, .. } => (message.to_string(), Some(*name)),
                };
                let line = store.lines.get(one.line);
                Some(InboundRecord {
                    seq,
                    at: time_text(one.at_us),
                    event: one.kind.name(),
                    event_id: one.event_id.to_string(),
                    tenant: self.doorman.slug_of(one.tenant).to_string(),
                    from: one.from.expose().to_owned(),
                    to: line.map(|line| line.phone.expose().to_owned()),
                    chat_id: ids::chat_text(store.chats.get(one.chat)?.id),
                    message_id,
                    text: one.text.to_string(),
                    attachment_ids: one.files.clone(),
                    reaction,
                    delivery: one.deliveries.status().name(),
                })
            })
            .collect()
    }
}
