//! Reactions of people to what a line sent (chert §13): one of each person on each message, put on
//! or taken back, and the events that tell of it. What a line puts on a message is an action.

use std::collections::HashMap;

use super::actions::REACTIONS;
use super::deliveries::Deliveries;
use super::inbound::{Change, Inbound, Kind, trace_of};
use super::store::{MessageNo, Store};
use super::{Chert, ids};
use crate::domain::phone::Phone;

/// A person reacts to a message.
#[derive(Debug, Clone)]
pub struct Reaction {
    pub from: Phone,
    /// The id of a message that the person received, as it was given out.
    pub message_id: String,
    /// One of the six names of the API; `None`: takes back what is there.
    pub name: Option<String>,
}

/// Why nobody is told of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReaction {
    #[error("`message_id` is none of a message that this person received")]
    Message,
    #[error("`reaction` is love, like, dislike, laugh, emphasize or question")]
    Name,
    #[error("this person has put no reaction on the message that could be taken back")]
    Nothing,
}

/// The reactions that stand.
#[derive(Debug, Default)]
pub(super) struct Reactions(HashMap<(MessageNo, Phone), &'static str>);

impl Store {
    /// Takes in a reaction; the names of the events that tell of it. Another one takes the place
    /// of the first, which is told as two events.
    fn react(&mut self, reaction: &Reaction, now_us: i64) -> Result<Vec<String>, BadReaction> {
        let number = self
            .received_by(&reaction.from, &reaction.message_id)
            .ok_or(BadReaction::Message)?;
        let name = match &reaction.name {
            None => None,
            Some(wanted) => {
                let known = REACTIONS.into_iter().find(|name| name == wanted);
                Some(known.ok_or(BadReaction::Name)?)
            }
        };
        let place = (number, reaction.from.clone());
        let before = self.reactions.0.remove(&place);
        if name.is_none() && before.is_none() {
            return Err(BadReaction::Nothing);
        }
        if let Some(name) = name {
            self.reactions.0.insert(place, name);
        }
        let removed = before.map(|name| (name, Change::Removed));
        let added = name.map(|name| (name, Change::Added));
        let mut events = Vec::new();
        for (name, change) in removed.into_iter().chain(added) {
            events.extend(self.tell_reaction(number, reaction, (name, change), now_us));
        }
        Ok(events)
    }

    /// A message of whatever tenant, if this person has received it.
    fn received_by(&self, person: &Phone, id: &str) -> Option<MessageNo> {
        let number = self.number_of(id)?;
        let (message, chat) = self.entry(number)?;
        let received = match &message.people {
            Some(people) => people.iter().any(|one| one == person.expose()),
            None => chat.people.contains(person),
        };
        received.then_some(number)
    }

    fn tell_reaction(
        &mut self,
        number: MessageNo,
        reaction: &Reaction,
        (name, change): (&'static str, Change),
        at_us: i64,
    ) -> Option<String> {
        let nth = self.inbound.len().to_be_bytes();
        let subject = [reaction.from.expose().as_bytes(), &nth];
        let id = ids::derive(self.seed(), "reaction", &subject);
        let event_id = format!("chert:rxn:{}", ids::message_text(id));
        let (message, chat) = self.entry(number)?;
        let one = Inbound {
            id,
            kind: Kind::Reaction {
                message: reaction.message_id.as_str().into(),
                name,
                change,
            },
            tenant: chat.tenant,
            chat: message.chat,
            line: message.line,
            from: reaction.from.clone(),
            text: "".into(),
            files: Vec::new(),
            at_us,
            read_at_us: None,
            event_id: event_id.as_str().into(),
            trace: trace_of(id),
            deliveries: Deliveries::default(),
        };
        self.log(one);
        Some(event_id)
    }
}

impl Chert {
    /// A person reacts to a message; the names of the events that tell of it.
    pub(in crate::sandbox) fn react(
        &self,
        reaction: &Reaction,
    ) -> Result<Vec<String>, BadReaction> {
        let at = self.moment();
        let events = self.store().react(reaction, at)?;
        self.tell_news();
        Ok(events)
    }
}
