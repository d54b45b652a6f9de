//! What people of the lab are still to do, and what comes of it once it is due. When that is,
//! [`crate::sandbox::agenda`] keeps.

use std::sync::Arc;

use super::inbound::Incoming;
use super::numbers::{self, Reply};
use super::store::{Chat, MessageNo, Store};
use super::{Chert, ids};
use crate::sandbox::{Numbers, agenda};

/// Between two tellings of one event.
const TOLD_AGAIN_US: i64 = 5_000_000;

/// Somebody writes, once it is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Happening {
    /// The message that gave rise to it.
    about: MessageNo,
    /// Which of the replies to that message.
    nth: usize,
    text: &'static str,
}

/// Whoever of the block a chat is with; a group is with nobody in particular.
pub(super) fn partner(chat: &Chat) -> Option<numbers::Character> {
    match chat.people.as_slice() {
        [alone] => numbers::character(alone.expose()),
        _ => None,
    }
}

impl Store {
    /// Arranges what somebody of the block will do about a message that was accepted.
    pub(super) fn arrange(&mut self, number: MessageNo) {
        let Some((message, chat)) = self.entry(number).filter(|_| self.numbers == Numbers::Lab)
        else {
            return;
        };
        let Some(character) = partner(chat) else {
            return;
        };
        let (id, at_us) = (message.id, message.at_us);
        for (nth, reply) in character.replies.iter().enumerate() {
            let draw = ids::derive(
                self.seed(),
                "reply",
                &[&id.to_be_bytes(), &nth.to_be_bytes()],
            );
            let due_us = at_us.saturating_add(after_us(reply, draw));
            for telling in 0..i64::from(reply.told) {
                let happening = Happening {
                    about: number,
                    nth,
                    text: reply.text,
                };
                let told_us = due_us.saturating_add(telling * TOLD_AGAIN_US);
                self.agenda.arrange(told_us, happening);
            }
        }
    }

    /// Lets everything happen that is due by now, in order, each as of its own moment. Says
    /// whether anything did.
    pub(super) fn catch_up(&mut self, now_us: i64) -> bool {
        let mut happened = false;
        while let Some((at_us, happening)) = self.agenda.take(now_us) {
            happened |= self.happen(at_us, happening).is_some();
        }
        happened
    }

    fn happen(&mut self, at_us: i64, happening: Happening) -> Option<usize> {
        let (message, chat) = self.entry(happening.about)?;
        let person = chat.people.first()?;
        let subject = [&message.id.to_be_bytes()[..], &happening.nth.to_be_bytes()];
        let event = ids::derive(self.seed(), "happening", &subject);
        let incoming = Incoming {
            from: person.clone(),
            text: happening.text.to_owned(),
            files: Vec::new(),
            to: None,
            event_id: Some(format!("chert:msg:{}", ids::message_text(event))),
        };
        let tenant = chat.tenant;
        // To the millisecond, as for everybody who writes.
        let at_us = at_us - at_us.rem_euclid(1_000);
        self.receive(tenant, &incoming, at_us).ok()
    }

    /// When the next thing is due.
    pub(super) fn next_due_us(&self) -> Option<i64> {
        self.agenda.next_us()
    }
}

/// How long somebody takes to reply.
fn after_us(reply: &Reply, draw: ids::Id) -> i64 {
    const SECOND_US: i64 = 1_000_000;
    let (first_s, last_s) = reply.after_s;
    let width_us = (last_s - first_s).max(0) * SECOND_US;
    let drawn = draw % ids::Id::try_from(width_us + 1).unwrap_or(1);
    first_s * SECOND_US + i64::try_from(drawn).unwrap_or(0)
}

impl Chert {
    /// Lets happen what falls due, in time for those who wait for it, until the server stops.
    pub(in crate::sandbox) async fn keep_time(self: Arc<Self>) {
        agenda::keep_time(&self.host, &self.arranged, || self.store().next_due_us()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_moment_lies_within_its_bounds() {
        let reply = Reply {
            text: "Thanks",
            after_s: (60, 3_600),
            told: 1,
        };
        for draw in [0, 1, u128::MAX, u128::MAX / 3, 3_540_000_000] {
            let after = after_us(&reply, draw);
            assert!((60_000_000..=3_600_000_000).contains(&after), "{after}");
        }
    }
}
