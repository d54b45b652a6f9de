//! Groups after they were made: name, icon and members (chert §11). A chat keeps its first name
//! and members beside these, for the answer to a repeated request.

use serde_json::{Value, json};

use super::actions::{Deed, wanted};
use super::errors::{Refusal, code, invalid, missing};
use super::exchange::{Call, Done};
use super::lines::Capability;
use super::parts::present;
use super::send_fields::MAX_GROUP;
use super::store::{Chat, ChatNo, Store};
use crate::domain::phone::Phone;

/// The fewest members of a group, its line among them (chert §11).
const FEWEST: usize = 3;

/// What became of a group since it was made.
#[derive(Debug, Default)]
pub(super) struct Group {
    name: Option<Box<str>>,
    pub(super) icon: Option<Box<str>>,
    /// Numbers and e-mail addresses; absent while they are those that it was made with.
    members: Option<Vec<String>>,
    /// The line has left it.
    pub(super) left: bool,
}

impl Chat {
    /// As it is called now.
    pub(super) fn name(&self) -> &str {
        let renamed = self.group.as_ref().and_then(|group| group.name.as_deref());
        renamed.unwrap_or(&self.display_name)
    }

    /// Everybody in it now but the line.
    pub(super) fn members(&self) -> Vec<String> {
        self.changed_members().map_or_else(
            || self.people.iter().map(|p| p.expose().to_owned()).collect(),
            <[String]>::to_vec,
        )
    }

    /// Everybody in it now, where those are no longer whom it began with.
    pub(super) fn changed_members(&self) -> Option<&[String]> {
        self.group.as_ref()?.members.as_deref()
    }

    /// Those of them who have a number.
    pub(super) fn phones(&self) -> Vec<Phone> {
        self.changed_members().map_or_else(
            || self.people.clone(),
            |members| {
                let phones = members.iter().filter_map(|one| Phone::from_e164(one).ok());
                phones.collect()
            },
        )
    }

    /// Refused once the line has left the group.
    pub(super) fn is_joined(&self) -> Result<(), Refusal> {
        if self.group.as_ref().is_some_and(|group| group.left) {
            return Err(Refusal::new(code::INVALID_STATE).because("The line has left this group"));
        }
        Ok(())
    }
}

impl Store {
    fn group_mut(&mut self, chat: ChatNo) -> Result<&mut Group, Refusal> {
        let group = self
            .chats
            .get_mut(chat)
            .and_then(|chat| chat.group.as_mut());
        let direct = || Refusal::new(code::TOO_MANY_PARTS).because("This is not a group chat");
        group.map(|group| &mut **group).ok_or_else(direct)
    }
}

impl Call {
    /// The group in the path, if its line may change groups; `status` is that of a line that
    /// cannot.
    fn group(&self, store: &mut Store, status: u16) -> Result<ChatNo, Refusal> {
        let found = store.chat(self.tenant, &self.id);
        let (number, _) = found.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
        store.group_mut(number)?;
        store.takes_part(number, Some((Capability::Groups, status)))?;
        Ok(number)
    }

    /// `PUT /chats/{id}`: name and icon of a group.
    pub(super) fn rename(&self, json: &Value) -> Result<Done, Refusal> {
        let (name, icon) = ("display_name", "group_chat_icon");
        let text = |field| {
            present(json, field)
                .map(|_| wanted(json, field))
                .transpose()
        };
        let (new_name, new_icon) = (text(name)?.map(str::trim), text(icon)?);
        if new_name.is_none() && new_icon.is_none() {
            return Err(missing(name));
        }
        if new_name == Some("") {
            return Err(invalid(name, "must not be empty"));
        }
        if new_icon.is_some_and(|url| !is_https(url)) {
            return Err(invalid(icon, "must be an https address"));
        }
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.group(&mut store, 501)?;
        let group = store.group_mut(chat)?;
        if let Some(new) = new_name {
            group.name = Some(new.into());
        }
        if let Some(new) = new_icon {
            group.icon = Some(new.into());
        }
        let icon = group.icon.clone();
        let shown = store.chats.get(chat).map(|chat| chat.name().to_owned());
        store.note(Deed {
            detail: json!({ "display_name": shown, "group_chat_icon": icon }),
            ..Deed::new("rename", chat, now_us)
        });
        let body = json!({ "chat": {
            "id": self.id,
            "display_name": shown,
            "group_chat_icon": icon,
            "is_group": true,
        } });
        Ok(Done::new(body.to_string()))
    }

    /// `POST /chats/{id}/participants`; somebody who is in it already changes nothing.
    pub(super) fn add_participant(&self, json: &Value) -> Result<Done, Refusal> {
        let field = match present(json, "address") {
            None if present(json, "handle").is_some() => "handle",
            Some(_) | None => "address",
        };
        let address = wanted(json, field)?;
        let email =
            matches!(address.split_once('@'), Some((a, b)) if !a.is_empty() && !b.is_empty());
        if !email && Phone::from_e164(address).is_err() {
            return Err(invalid(
                field,
                "must be a number in E.164 or an e-mail address",
            ));
        }
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.group(&mut store, 422)?;
        let mut members = store.members(chat);
        if !members.iter().any(|member| member == address) && !store.is_line(chat, address) {
            if members.len() >= MAX_GROUP {
                return Err(Refusal::new(code::TOO_MANY_PARTS)
                    .status(422)
                    .because(format!("At most {MAX_GROUP} recipients")));
            }
            members.push(address.to_owned());
            store.group_mut(chat)?.members = Some(members.clone());
            store.note(Deed {
                detail: json!({ "address": address }),
                ..Deed::new("add_participant", chat, now_us)
            });
        }
        let body = json!({ "chat_id": self.id, "added": address, "participants": members });
        Ok(Done::new(body.to_string()))
    }

    /// `DELETE /chats/{id}/participants/{address}`. The line counts as a member.
    pub(super) fn remove_participant(&self) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.group(&mut store, 422)?;
        let mut members = store.members(chat);
        let place = members.iter().position(|member| *member == self.member);
        let place = place.ok_or_else(|| {
            Refusal::new(code::MISSING_FIELD).because("This address is not in the group")
        })?;
        members.remove(place);
        if members.len() + 1 < FEWEST {
            return Err(invalid("address", "a group keeps at least 3 members"));
        }
        store.group_mut(chat)?.members = Some(members.clone());
        store.note(Deed {
            detail: json!({ "address": self.member }),
            ..Deed::new("remove_participant", chat, now_us)
        });
        let body = json!({ "chat_id": self.id, "removed": self.member, "participants": members });
        Ok(Done::new(body.to_string()))
    }

    /// `POST /chats/{id}/leave`: enough others have to stay.
    pub(super) fn leave(&self) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let chat = self.group(&mut store, 501)?;
        if store.members(chat).len() < FEWEST {
            return Err(invalid("chat", "a group of at least 4 members can be left"));
        }
        store.group_mut(chat)?.left = true;
        store.note(Deed::new("leave", chat, now_us));
        let body = json!({ "chat_id": self.id, "status": "left" });
        Ok(Done::new(body.to_string()))
    }
}

impl Store {
    fn members(&self, chat: ChatNo) -> Vec<String> {
        self.chats.get(chat).map(Chat::members).unwrap_or_default()
    }

    /// Whether an address is the chat's own line.
    fn is_line(&self, chat: ChatNo, address: &str) -> bool {
        let line = self
            .chats
            .get(chat)
            .and_then(|chat| self.lines.get(chat.line));
        line.is_some_and(|line| line.phone.expose() == address)
    }
}

fn is_https(url: &str) -> bool {
    let rest = url.strip_prefix("https://");
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
}
