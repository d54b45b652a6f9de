//! Where a message goes: to which chat, made when there is none, and by which line (chert §4.3,
//! §7). Refuses what chat or line do not allow; does not take the message in.

use super::errors::{Refusal, code};
use super::ids;
use super::lines::{Capability, Need};
use super::send_fields::{Draft, HasUrl, Kind, Lead, Target};
use super::store::{Chat, ChatNo, LeadCreated, LineNo, Origin, Pinned, Store};
use super::tenants::TenantNo;
use crate::domain::phone::Phone;

/// Chat, line, and the form of the answer.
type Place = (ChatNo, LineNo, Origin);

/// What the chat's line must be able to do, and when it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) need: Option<Need>,
    pub(super) now_us: i64,
}

impl Store {
    /// The chat that a message belongs to, made when there is none, and its line.
    pub(super) fn place(
        &mut self,
        tenant: TenantNo,
        draft: &Draft,
        now_us: i64,
    ) -> Result<Place, Refusal> {
        let terms = Terms {
            need: draft.need,
            now_us,
        };
        let (chat, line, origin) = match &draft.target {
            Target::Direct { from, to } => self.place_direct(tenant, (from, to), terms)?,
            Target::Group { from, to, subject } => {
                let line = self.line_of(from);
                let line = line.ok_or_else(|| not_ours().status(403))?;
                self.allows(tenant, to, line, terms)?;
                let chat = self.open_group(tenant, to, subject.as_deref(), (line, now_us));
                (chat, line, Origin::Chats)
            }
            Target::Chat { id } => {
                let found = self.chat(tenant, id);
                let (number, chat) = found.ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
                chat.is_joined()?;
                let (people, line) = (chat.phones(), chat.line);
                self.allows(tenant, &people, line, terms)?;
                (number, line, Origin::FollowUp)
            }
            Target::Lead(lead) => self.place_lead(tenant, lead, terms)?,
        };
        let origin = match draft.kind {
            Kind::Message => origin,
            Kind::Card => Origin::Contact,
            Kind::Pin if self.is_able(line, Capability::Locations) => {
                Origin::Location(Pinned::Balloon)
            }
            Kind::Pin => Origin::Location(Pinned::Url),
        };
        Ok((chat, line, origin))
    }

    /// Whether the line can do what is asked, takes part, and has room for these people.
    fn allows(
        &mut self,
        tenant: TenantNo,
        people: &[Phone],
        line: LineNo,
        terms: Terms,
    ) -> Result<(), Refusal> {
        self.able(line, terms.need)?;
        self.room(tenant, people, line, terms.now_us)
    }

    fn place_direct(
        &mut self,
        tenant: TenantNo,
        (from, to): (&Phone, &Phone),
        terms: Terms,
    ) -> Result<Place, Refusal> {
        let line = self.line_of(from).ok_or_else(not_ours)?;
        self.allows(tenant, std::slice::from_ref(to), line, terms)?;
        let chat = match self.direct(tenant, to) {
            Some(chat) => chat,
            None => self.open_direct(tenant, to, None, (line, terms.now_us)),
        };
        Ok((chat, line, Origin::Chats))
    }

    /// `/send` finds the person's chat, or makes a lead; the line is the one named, else the
    /// pinned one, else any (chert §4.3, §7.1).
    fn place_lead(
        &mut self,
        tenant: TenantNo,
        lead: &Lead,
        terms: Terms,
    ) -> Result<Place, Refusal> {
        let known = self.direct(tenant, &lead.phone);
        let pinned = known.and_then(|chat| Some(self.chats.get(chat)?.line));
        let line = match &lead.line_id {
            Some(id) => Some(self.line_by_id(id).ok_or_else(not_ours)?),
            None => pinned,
        };
        if known.is_none() && lead.has_url == HasUrl::Yes {
            return Err(Refusal::new(code::FIRST_MESSAGE_URL));
        }
        let line = if let Some(line) = line {
            self.allows(tenant, std::slice::from_ref(&lead.phone), line, terms)?;
            line
        } else {
            self.line_for(tenant, &lead.phone, terms)?
        };
        let (chat, lead_created) = if let Some(chat) = known {
            (chat, LeadCreated::No)
        } else {
            let name = lead.name.as_deref();
            let chat = self.open_direct(tenant, &lead.phone, name, (line, terms.now_us));
            (chat, LeadCreated::Yes)
        };
        Ok((chat, line, Origin::Send { lead_created }))
    }

    pub(super) fn open_direct(
        &mut self,
        tenant: TenantNo,
        to: &Phone,
        name: Option<&str>,
        (line, at_us): (LineNo, i64),
    ) -> ChatNo {
        let subject = [&tenant.to_be_bytes()[..], to.expose().as_bytes()];
        let chat = self.open(Chat {
            id: ids::derive(self.seed(), "chat", &subject),
            tenant,
            people: vec![to.clone()],
            display_name: name.unwrap_or(to.expose()).into(),
            at_us,
            line,
            messages: Vec::new(),
            group: None,
        });
        self.know(tenant, to, chat);
        chat
    }

    /// A group is always a new one: its identity is not its members (chert §7.2).
    fn open_group(
        &mut self,
        tenant: TenantNo,
        to: &[Phone],
        subject: Option<&str>,
        (line, at_us): (LineNo, i64),
    ) -> ChatNo {
        let nth = self.chats.len().to_be_bytes();
        self.open(Chat {
            id: ids::derive(self.seed(), "group", &[&tenant.to_be_bytes(), &nth]),
            tenant,
            people: to.to_vec(),
            display_name: subject.unwrap_or_default().into(),
            at_us,
            line,
            messages: Vec::new(),
            group: Some(Box::default()),
        })
    }
}

fn not_ours() -> Refusal {
    Refusal::new(code::PHONE_NOT_ASSIGNED)
}
