//! What is done in a chat besides sending (chert §11): which actions there are, the record of
//! those that had an effect, and the small ones. Groups, edits and cards have files of their own.

use serde_json::{Value, json};

use super::errors::{Refusal, code, invalid, missing};
use super::exchange::{Call, Done, Payload};
use super::ids;
use super::inbound::Kind;
use super::lines::{Capability, Need};
use super::parts::present;
use super::store::{ChatNo, MessageNo, Store};
use super::tenants::TenantNo;
use crate::domain::phone::Phone;
use crate::sandbox::faults::RouteMatch;

pub(super) const REACTIONS: [&str; 6] =
    ["love", "like", "dislike", "laugh", "emphasize", "question"];

/// The chat actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Typing,
    MarkRead,
    React,
    Edit,
    Rename,
    AddParticipant,
    RemoveParticipant,
    Leave,
    SendContact,
    /// The same as the first message to a person.
    SendContactTo,
    ShareInfo,
    /// The same to a person whose chat is not named.
    ShareInfoTo,
}

/// What the id in an action's path is that of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Chat,
    Message,
    /// There is none.
    Nobody,
}

impl Action {
    /// The names by which a fault rule may mean it, its own first.
    pub(super) fn names(self) -> &'static [RouteMatch] {
        use RouteMatch as M;
        match self {
            Self::Typing => &[M::Typing, M::Any],
            Self::MarkRead => &[M::MarkRead, M::Any],
            Self::React => &[M::React, M::Any],
            Self::Edit => &[M::Edit, M::Any],
            Self::Rename => &[M::Rename, M::Any],
            Self::AddParticipant | Self::RemoveParticipant => &[M::Participants, M::Any],
            Self::Leave => &[M::Leave, M::Any],
            Self::SendContact | Self::SendContactTo => &[M::SendContact, M::Posts, M::Any],
            Self::ShareInfo | Self::ShareInfoTo => &[M::ShareContactInfo, M::Any],
        }
    }

    /// Whether its request has a JSON body; a body that it does not have is not looked at.
    pub(super) fn has_body(self) -> bool {
        match self {
            Self::Typing
            | Self::React
            | Self::Edit
            | Self::Rename
            | Self::AddParticipant
            | Self::SendContact
            | Self::SendContactTo
            | Self::ShareInfoTo => true,
            Self::MarkRead | Self::RemoveParticipant | Self::Leave | Self::ShareInfo => false,
        }
    }

    pub(super) fn about(self) -> About {
        match self {
            Self::React | Self::Edit => About::Message,
            Self::SendContactTo | Self::ShareInfoTo => About::Nobody,
            Self::Typing
            | Self::MarkRead
            | Self::Rename
            | Self::AddParticipant
            | Self::RemoveParticipant
            | Self::Leave
            | Self::SendContact
            | Self::ShareInfo => About::Chat,
        }
    }
}

/// An action that had an effect.
#[derive(Debug)]
pub(super) struct Deed {
    pub(super) action: &'static str,
    pub(super) chat: ChatNo,
    pub(super) at_us: i64,
    /// The id of the message that it is about, as it was given out.
    pub(super) message: Option<String>,
    /// What the request said.
    pub(super) detail: Value,
}

impl Deed {
    pub(super) fn new(action: &'static str, chat: ChatNo, at_us: i64) -> Self {
        Self {
            action,
            chat,
            at_us,
            message: None,
            detail: Value::Null,
        }
    }
}

/// Where a message is that an id names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) chat: ChatNo,
    /// Absent for a message that a person wrote.
    pub(super) sent: Option<MessageNo>,
}

impl Store {
    pub(super) fn note(&mut self, deed: Deed) {
        self.deeds.push(deed);
    }

    /// A message of this tenant, whoever wrote it.
    pub(super) fn spot(&self, tenant: TenantNo, id: &str) -> Option<Spot> {
        if let Some(number) = self.message_number(tenant, id) {
            let chat = self.messages.get(number)?.chat;
            return Some(Spot {
                chat,
                sent: Some(number),
            });
        }
        let received = ids::parse_chat(&id.to_lowercase())?;
        let mut inbound = self.inbound.iter();
        let one = inbound.find(|one| one.id == received && one.tenant == tenant)?;
        // Ids go back as they came: in capitals (chert §1).
        if one.id_text() != id {
            return None;
        }
        Some(Spot {
            chat: one.chat,
            sent: None,
        })
    }

    /// Whether something can be done in a chat: its line can do it, is in it, and takes part.
    pub(super) fn takes_part(&self, chat: ChatNo, need: Option<Need>) -> Result<(), Refusal> {
        let chat = self.chats.get(chat);
        let chat = chat.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
        self.able(chat.line, need)?;
        chat.is_joined()?;
        self.acts(chat.line)
    }
}

/// A field that must be there, as text.
pub(super) fn wanted<'a>(json: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    let value = present(json, field).ok_or_else(|| missing(field))?;
    value
        .as_str()
        .ok_or_else(|| invalid(field, "must be a string"))
}

impl Call {
    /// Does what the action is for.
    pub(super) fn perform(&self, action: Action, payload: &Payload) -> Result<Done, Refusal> {
        let nothing = Value::Null;
        let json = match payload {
            Payload::Json(json) => json,
            Payload::Empty | Payload::File(..) => &nothing,
        };
        match action {
            Action::Typing => self.typing(json),
            Action::MarkRead => self.mark_read(),
            Action::React => self.react(json),
            Action::Edit => self.edit(json),
            Action::Rename => self.rename(json),
            Action::AddParticipant => self.add_participant(json),
            Action::RemoveParticipant => self.remove_participant(),
            Action::Leave => self.leave(),
            Action::SendContact | Action::SendContactTo => self.send_contact(action, json),
            Action::ShareInfo => self.share_info(),
            Action::ShareInfoTo => self.share_info_to(json),
        }
    }

    /// The chat in the path.
    fn chat_in(&self, store: &Store) -> Result<ChatNo, Refusal> {
        let found = store.chat(self.tenant, &self.id);
        let (number, _) = found.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
        Ok(number)
    }

    /// `POST /chats/{id}/typing`.
    fn typing(&self, json: &Value) -> Result<Done, Refusal> {
        let state = wanted(json, "state")?;
        if !["typing", "stopped"].contains(&state) {
            return Err(invalid("state", "must be typing or stopped"));
        }
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.chat_in(&store)?;
        store.takes_part(chat, Some((Capability::Typing, 422)))?;
        store.note(Deed {
            detail: json!({ "state": state }),
            ..Deed::new("typing", chat, now_us)
        });
        let body = json!({ "status": "sent", "chat_id": self.id, "state": state });
        Ok(Done::new(body.to_string()))
    }

    /// `POST /chats/{id}/mark-read`: what people wrote in it counts as read from now on.
    fn mark_read(&self) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.chat_in(&store)?;
        let left = store.chats.get(chat).map(super::store::Chat::is_joined);
        if left.is_some_and(|joined| joined.is_err()) {
            return Err(invalid("chat", "has nobody to tell").status(422));
        }
        store.takes_part(chat, Some((Capability::MarkRead, 501)))?;
        let mut unread = false;
        let received = store.inbound.iter_mut();
        let in_it = received.filter(|one| one.chat == chat && one.kind == Kind::Message);
        for one in in_it.filter(|one| one.read_at_us.is_none()) {
            one.read_at_us = Some(now_us);
            unread = true;
        }
        if unread {
            store.note(Deed::new("mark_read", chat, now_us));
        }
        let body = json!({ "chat_id": self.id, "status": "read" });
        Ok(Done::new(body.to_string()))
    }

    /// `POST /messages/{id}/react`: every call is a tapback of its own.
    fn react(&self, json: &Value) -> Result<Done, Refusal> {
        let wanted = present(json, "reaction").and_then(Value::as_str);
        let reaction = REACTIONS.into_iter().find(|name| Some(*name) == wanted);
        let names = "must be love, like, dislike, laugh, emphasize or question";
        let reaction = reaction.ok_or_else(|| invalid("reaction", names))?;
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let spot = store.spot(self.tenant, &self.id);
        let spot = spot.ok_or_else(|| Refusal::new(code::MESSAGE_NOT_FOUND))?;
        store.takes_part(spot.chat, None)?;
        store.note(Deed {
            message: Some(self.id.clone()),
            detail: json!({ "reaction": reaction }),
            ..Deed::new("react", spot.chat, now_us)
        });
        let body = json!({ "status": "sent", "message_id": self.id, "reaction": reaction });
        Ok(Done::new(body.to_string()))
    }

    /// `POST /chats/{id}/share-contact-info`.
    fn share_info(&self) -> Result<Done, Refusal> {
        let mut store = self.chert.store();
        let chat = self.chat_in(&store)?;
        self.share_in(&mut store, chat)
    }

    /// `POST /chats/share-contact-info`, to a person who has a chat.
    fn share_info_to(&self, json: &Value) -> Result<Done, Refusal> {
        let to = present(json, "to").and_then(Value::as_str);
        let to = to.and_then(|to| Phone::from_e164(to).ok());
        let to = to.ok_or_else(|| invalid("to", "must be a number in E.164"))?;
        let mut store = self.chert.store();
        let chat = store.direct(self.tenant, &to);
        let chat = chat.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
        self.share_in(&mut store, chat)
    }

    fn share_in(&self, store: &mut Store, chat: ChatNo) -> Result<Done, Refusal> {
        store.takes_part(chat, Some((Capability::Contacts, 501)))?;
        store.note(Deed::new(
            "share_contact_info",
            chat,
            self.chert.host.now_us(),
        ));
        let id = store.chats.get(chat).map(|chat| ids::chat_text(chat.id));
        let body = json!({ "chat_id": id, "status": "shared" });
        Ok(Done::new(body.to_string()))
    }
}
