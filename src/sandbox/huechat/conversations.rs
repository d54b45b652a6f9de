//! Conversations (huechat §7.3, §9): listing, finding, changing them, and reading their messages.

use serde_json::{Value, json};

use super::errors::{Refusal, invalid, no_such};
use super::events::Kind;
use super::exchange::{Call, Done};
use super::fields::{CHANNELS, Fields, Said};
use super::pages::Asked;
use super::store::{Conversation, ConversationNo, ConversationStatus, MessageNo, Store, id_text};
use crate::domain::channel::Channel;
use crate::sandbox::journal::time_text;

const PREVIEW_CHARS: usize = 100;
const MAX_SUBJECT_CHARS: usize = 255;
pub(super) const MOST_LABELS: usize = 50;
pub(super) const MAX_LABEL_CHARS: usize = 100;
pub(super) const PRIORITIES: [&str; 3] = ["low", "medium", "high"];
/// The orders of the list, the usual one first.
pub(super) const SORTS: [&str; 2] = ["last_message_at:desc", "created_at:desc"];
/// Nobody is looked up: the sandbox has no users.
const USER: &str = "usr_";

impl Conversation {
    pub(super) fn id_text(&self) -> String {
        id_text("conv_", self.id)
    }
}

impl Store {
    fn last_message(&self, one: &Conversation) -> Option<(i64, &str)> {
        let message = self.messages.get(*one.messages.last()?)?;
        Some((message.sent_us, &message.content))
    }

    /// A conversation as every answer and event shows it.
    pub(super) fn conversation_json(&self, one: &Conversation) -> Value {
        let contact = self.contacts.get(one.contact);
        let last = self.last_message(one);
        let preview = |text: &str| text.chars().take(PREVIEW_CHARS).collect::<String>();
        let contact = contact.map(|contact| {
            json!({
                "id": contact.id_text(),
                "full_name": contact.full_name(),
                "phone": contact.phone,
                "email": contact.email,
            })
        });
        json!({
            "id": one.id_text(),
            "contact_id": contact.as_ref().map(|contact| &contact["id"]),
            "contact": contact,
            "channel": one.channel.as_str(),
            "subject": one.subject,
            "status": one.status.name(),
            "priority": one.priority,
            "assigned_to": one.assigned_to.as_ref().map(|id| json!({ "id": id })),
            "labels": one.labels,
            "tags": one.tags,
            "message_count": one.messages.len(),
            "unread_count": one.unread,
            "created_at": time_text(one.created_us),
            "updated_at": time_text(one.updated_us),
            "last_message_at": last.map(|(at_us, _)| time_text(at_us)),
            "last_message_preview": last.map(|(_, text)| preview(text)),
        })
    }

    /// Whether a text, in lower case, is in the subject or a message.
    fn mentions(&self, one: &Conversation, text: &str) -> bool {
        let has = |field: &str| field.to_lowercase().contains(text);
        one.subject.as_deref().is_some_and(has)
            || one
                .messages
                .iter()
                .filter_map(|number| self.messages.get(*number))
                .any(|message| has(&message.content))
    }
}

/// What a list is to hold.
struct Wanted<'a> {
    status: Option<ConversationStatus>,
    channel: Option<Channel>,
    assigned_to: Option<&'a str>,
    label: Option<&'a str>,
    search: Option<String>,
    contact_id: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(asked: &'a Asked) -> Result<Self, Refusal> {
        let read = |text: &str| match text {
            "all" => Some(None),
            text => ConversationStatus::parse(text).map(Some),
        };
        let words = "open, closed, archived and all";
        let status = asked.word("status", Some(ConversationStatus::Open), (read, words))?;
        let read = |text: &str| Channel::parse(text).map(Some);
        let assigned_to = asked.text("assigned_to");
        if assigned_to.is_some_and(|user| user != "none" && !user.starts_with(USER)) {
            return Err(invalid("assigned_to", "must be a usr_ id or none"));
        }
        Ok(Self {
            status,
            channel: asked.word("channel", None, (read, CHANNELS))?,
            assigned_to,
            label: asked.text("label"),
            search: asked.text("search").map(str::to_lowercase),
            contact_id: asked.text("contact_id"),
        })
    }

    fn covers(&self, store: &Store, one: &Conversation) -> bool {
        let contact = || store.contacts.get(one.contact);
        self.status.is_none_or(|status| one.status == status)
            && self.channel.is_none_or(|channel| one.channel == channel)
            && self.assigned_to.is_none_or(|user| match user {
                "none" => one.assigned_to.is_none(),
                user => one.assigned_to.as_deref() == Some(user),
            })
            && self
                .label
                .is_none_or(|label| one.labels.iter().any(|known| known == label))
            && self
                .contact_id
                .is_none_or(|id| contact().is_some_and(|contact| contact.id_text() == id))
            && self
                .search
                .as_deref()
                .is_none_or(|text| store.mentions(one, text))
    }
}

fn changed<T>(place: &mut Option<T>, said: Said<T>) {
    match said {
        Said::Nothing => {}
        Said::Null => *place = None,
        Said::Value(value) => *place = Some(value),
    }
}

impl Call {
    fn conversation_in(&self, store: &Store) -> Result<ConversationNo, Refusal> {
        let found = store.conversation_no(self.account, &self.id);
        found.ok_or_else(|| no_such("conversation"))
    }

    fn conversation_shown(store: &Store, number: ConversationNo) -> Result<Done, Refusal> {
        let one = store.conversations.get(number);
        let one = one.ok_or_else(|| no_such("conversation"))?;
        Ok(Done::json(200, &store.conversation_json(one)))
    }

    pub(super) fn conversations(&self) -> Result<Done, Refusal> {
        let asked = Asked::parse(&self.query)?;
        let page = asked.page()?;
        let wanted = Wanted::read(&asked)?;
        let read = |text: &str| SORTS.iter().position(|sort| *sort == text);
        let sort = asked.word("sort", 0, (read, &SORTS.join(" and ")))?;
        let store = self.hue.store();
        let ours = store.accounts.get(self.account);
        let mut found: Vec<&Conversation> = ours
            .into_iter()
            .flat_map(|one| &one.conversations)
            .rev()
            .filter_map(|number| store.conversations.get(*number))
            .filter(|one| wanted.covers(&store, one))
            .collect();
        if sort == 0 {
            found.sort_by_key(|one| std::cmp::Reverse(store.last_message(one).map(|(at, _)| at)));
        }
        let page = page.of(&found, |one| store.conversation_json(one));
        Ok(Done::json(200, &page))
    }

    pub(super) fn conversation(&self) -> Result<Done, Refusal> {
        let store = self.hue.store();
        let number = self.conversation_in(&store)?;
        Self::conversation_shown(&store, number)
    }

    /// `PUT /conversation/{id}`: what is left out stays.
    pub(super) fn change_conversation(&self, json: &Value) -> Result<Done, Refusal> {
        let fields = Fields::of(json)?;
        let words = "open, closed and archived";
        let status = fields.word("status", ConversationStatus::parse, words)?;
        let known = |text: &str| PRIORITIES.into_iter().find(|one| *one == text);
        let priority = fields.word("priority", known, "low, medium and high")?;
        let subject = match fields.said_text("subject", MAX_SUBJECT_CHARS)? {
            Said::Nothing => Said::Nothing,
            Said::Null => Said::Null,
            Said::Value(text) => Said::Value(text.to_owned()),
        };
        let bounds = (MOST_LABELS, MAX_LABEL_CHARS);
        let (labels, tags) = (
            fields.texts("labels", bounds)?,
            fields.texts("tags", bounds)?,
        );
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = self.conversation_in(&store)?;
        if let Some(one) = store.conversations.get_mut(number) {
            one.status = status.value().unwrap_or(one.status);
            one.priority = priority.value().unwrap_or(one.priority);
            changed(&mut one.subject, subject);
            one.labels = labels.unwrap_or_else(|| std::mem::take(&mut one.labels));
            one.tags = tags.unwrap_or_else(|| std::mem::take(&mut one.tags));
            one.updated_us = now_us;
        }
        store.tell_of_conversation(number, Kind::ConversationUpdated, now_us);
        Self::conversation_shown(&store, number)
    }

    /// `POST /conversation/{id}/assign`: to a user, or with null to nobody.
    pub(super) fn assign(&self, json: &Value) -> Result<Done, Refusal> {
        let user = match Fields::of(json)?.said_text("user_id", MAX_LABEL_CHARS)? {
            Said::Nothing => return Err(super::errors::missing("user_id")),
            Said::Null => None,
            Said::Value(user) if user.strip_prefix(USER).is_some_and(|id| !id.is_empty()) => {
                Some(user.to_owned())
            }
            Said::Value(_) => return Err(invalid("user_id", "must be a usr_ id or null")),
        };
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = self.conversation_in(&store)?;
        if let Some(one) = store.conversations.get_mut(number) {
            one.assigned_to = user;
            one.updated_us = now_us;
        }
        store.tell_of_conversation(number, Kind::ConversationAssigned, now_us);
        Self::conversation_shown(&store, number)
    }

    /// `POST /conversation/{id}/resolve`: whoever does that has read it.
    pub(super) fn resolve(&self) -> Result<Done, Refusal> {
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = self.conversation_in(&store)?;
        if let Some(one) = store.conversations.get_mut(number) {
            one.status = ConversationStatus::Closed;
            one.unread = 0;
            one.updated_us = now_us;
        }
        store.tell_of_conversation(number, Kind::ConversationResolved, now_us);
        Self::conversation_shown(&store, number)
    }

    /// `GET /conversation/{id}/messages`, newest first.
    pub(super) fn history(&self) -> Result<Done, Refusal> {
        let page = Asked::parse(&self.query)?.page()?;
        let store = self.hue.store();
        let number = self.conversation_in(&store)?;
        let one = store.conversations.get(number);
        let messages: Vec<MessageNo> = one
            .into_iter()
            .flat_map(|one| one.messages.iter().rev().copied())
            .collect();
        let shown = |number: &MessageNo| store.message_json(*number).unwrap_or_default();
        Ok(Done::json(200, &page.of(&messages, shown)))
    }

    /// `GET /message/{id}`, where the sandbox offers it.
    pub(super) fn message(&self) -> Result<Done, Refusal> {
        if !self.hue.config.single_messages {
            return Err(no_such("route"));
        }
        let store = self.hue.store();
        let found = store.message_no(self.account, &self.id);
        let shown = found.and_then(|number| store.message_json(number));
        let shown = shown.ok_or_else(|| no_such("message"))?;
        Ok(Done::json(200, &shown))
    }

    /// `GET /channels`.
    pub(super) fn channels(&self) -> Done {
        let store = self.hue.store();
        let connected = Channel::ALL
            .into_iter()
            .filter(|channel| store.connected.contains(channel));
        let rows: Vec<Value> = connected
            .map(|channel| json!({ "type": channel.as_str(), "status": "connected" }))
            .collect();
        Done::json(200, &json!({ "data": rows }))
    }
}
