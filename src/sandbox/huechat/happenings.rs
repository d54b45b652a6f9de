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
                if message.status != Status::Sent {
                    return None;
                }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::HueConfig;
    use super::super::accepting::{Letter, Order};
    use super::super::messages::MessageType;
    use super::super::numbers::{Fate, UNDELIVERABLE};
    use super::super::store::{Contact, ContactStatus};
    use super::*;
    use crate::domain::channel::Channel;

    /// A store with one message that nothing is arranged for.
    fn store() -> (Store, MessageNo) {
        let config = HueConfig::default();
        let mut store = Store::new(&config, 7);
        let account = store.open_account("org_1").unwrap();
        let contact = store.add_contact(Contact {
            id: 1,
            account,
            phone: Some("+447700900123".to_owned()),
            email: None,
            first_name: "Pat".to_owned(),
            last_name: None,
            preferred_channel: None,
            metadata: serde_json::Map::new(),
            status: ContactStatus::Active,
            created_us: 0,
            updated_us: 0,
            last_contacted_us: None,
            conversations: Vec::new(),
            sent: 0,
        });
        let letter = Letter {
            contact,
            channel: Channel::Whatsapp,
            kind: MessageType::Text,
            content: "Hello".to_owned(),
            template: None,
            subject: None,
            media_url: None,
            fate: Fate::StaysSent,
            order: Order::AsTheyHappen,
            reply: None,
            key: None,
        };
        let number = store.accept(&config, letter, 0).unwrap();
        (store, number)
    }

    proptest! {
        #[test]
        fn a_status_never_goes_back_and_nothing_fails_that_has_arrived(
            steps in prop::collection::vec(0usize..3, 0..12),
        ) {
            let (mut store, number) = store();
            for (at_us, step) in (1..).zip(steps) {
                let before = store.messages[number].status;
                let all = [
                    Happening::Delivered(number),
                    Happening::Read(number),
                    Happening::Fails(number, UNDELIVERABLE),
                ];
                store.happen(at_us, all[step]);
                let message = &store.messages[number];
                prop_assert!(message.status >= before);
                let is_failed = message.status == Status::Failed;
                prop_assert!(!is_failed || matches!(before, Status::Sent | Status::Failed));
                prop_assert_eq!(is_failed, message.error.is_some());
                prop_assert_eq!(message.status == Status::Read, message.read_us.is_some());
                prop_assert!(message.read_us.is_none() || message.delivered_us <= message.read_us);
            }
        }
    }
}
