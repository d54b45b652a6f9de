//! What becomes of messages as time goes on: delivered, read, failed, answered. When that is,
//! [`crate::sandbox::agenda`] keeps.

use std::sync::Arc;

use super::Hue;
use super::events::Kind;
use super::store::{MessageNo, Status, Store};
use crate::sandbox::agenda;

/// Something that will happen to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    Delivered(MessageNo),
    Read(MessageNo),
    Fails(MessageNo, &'static str),
    /// The contact answers it.
    Reply(MessageNo, &'static str),
}

impl Store {
    /// Lets everything happen that is due by now, in order, each as of its own moment. Says
    /// whether anything did.
    pub(super) fn catch_up(&mut self, now_us: i64) -> bool {
        let mut happened = false;
        while let Some((at_us, happening)) = self.agenda.take(now_us) {
            happened |= self.happen(at_us, happening).is_some();
        }
        happened
    }

    fn happen(&mut self, at_us: i64, happening: Happening) -> Option<()> {
        match happening {
            Happening::Delivered(number) => self.advance(number, Status::Delivered, at_us),
            Happening::Read(number) => self.advance(number, Status::Read, at_us),
            Happening::Fails(number, error) => {
                let message = self.messages.get_mut(number)?;
                message.status = Status::Failed;
                message.error = Some(error.to_owned());
                Some(())
            }
            Happening::Reply(number, text) => {
                let (_, conversation, _) = self.entry(number)?;
                let (contact, channel) = (conversation.contact, conversation.channel);
                self.hear(contact, channel, (text, at_us)).map(drop)
            }
        }
    }

    /// Moves a status on, never back (huechat §7.2).
    fn advance(&mut self, number: MessageNo, to: Status, at_us: i64) -> Option<()> {
        let message = self.messages.get_mut(number)?;
        if message.status >= to {
            return None;
        }
        message.status = to;
        message.delivered_us.get_or_insert(at_us);
        let kind = if to == Status::Read {
            message.read_us = Some(at_us);
            Kind::MessageRead
        } else {
            Kind::MessageDelivered
        };
        self.tell_of_message(number, kind, at_us);
        Some(())
    }
}

impl Hue {
    /// Lets happen what falls due, in time for those who wait for it, until the server stops.
    pub(in crate::sandbox) async fn keep_time(self: Arc<Self>) {
        let look = || self.store().agenda.next_us();
        agenda::keep_time(&self.host, &self.arranged, look).await;
    }
}
