//! Contacts (huechat §6): creating, finding, changing, deleting and listing them.

use serde_json::{Map, Value, json};

use super::errors::{Error, Refusal, invalid, missing, no_such};
use super::events::Kind;
use super::exchange::{Call, Done};
use super::fields::{Fields, Said};
use super::pages::Asked;
use super::store::{AccountNo, Contact, ContactNo, ContactStatus, Store, id_text};
use crate::domain::channel::Channel;
use crate::sandbox::journal::time_text;

pub(super) const MAX_NAME_CHARS: usize = 100;
pub(super) const MAX_EMAIL_CHARS: usize = 254;
pub(super) const MAX_METADATA_KEYS: usize = 50;
const MAX_METADATA_BYTES: usize = 16 << 10;
/// Whoever can reach the sandbox may fill it; this is where that ends.
const MOST_CONTACTS: usize = 2_000_000;

/// Whether a text is a number in E.164, as this provider reads it.
fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_email(text: &str) -> bool {
    let mut parts = text.split('@');
    let sides = (parts.next(), parts.next(), parts.next());
    let has_space = text.chars().any(char::is_whitespace);
    matches!(sides, (Some(name), Some(host), None) if !name.is_empty() && !host.is_empty())
        && !has_space
}

fn phone(fields: Fields<'_>) -> Result<Said<String>, Refusal> {
    match fields.said_text("phone", 64)? {
        Said::Nothing => Ok(Said::Nothing),
        Said::Null => Ok(Said::Null),
        Said::Value(text) if is_phone(text) => Ok(Said::Value(text.to_owned())),
        Said::Value(_) => Err(Refusal::new(Error::InvalidInput)
            .because("Phone number must be in E.164 format")
            .details(json!({ "field": "phone", "expected": "+ and 7 to 15 digits" }))),
    }
}

fn email(fields: Fields<'_>) -> Result<Said<String>, Refusal> {
    match fields.said_text("email", MAX_EMAIL_CHARS)? {
        Said::Nothing => Ok(Said::Nothing),
        Said::Null => Ok(Said::Null),
        Said::Value(text) if is_email(text) => Ok(Said::Value(text.to_owned())),
        Said::Value(_) => Err(invalid("email", "must be an e-mail address")),
    }
}

fn first_name(fields: Fields<'_>) -> Result<Said<String>, Refusal> {
    match fields.said_text("first_name", MAX_NAME_CHARS)? {
        Said::Nothing => Ok(Said::Nothing),
        Said::Value(text) if !text.trim().is_empty() => Ok(Said::Value(text.to_owned())),
        Said::Null | Said::Value(_) => Err(invalid("first_name", "must not be empty")),
    }
}

fn metadata(fields: Fields<'_>) -> Result<Said<Map<String, Value>>, Refusal> {
    match fields.said("metadata") {
        Said::Nothing => Ok(Said::Nothing),
        Said::Null => Ok(Said::Null),
        Said::Value(Value::Object(all)) => Ok(Said::Value(all.clone())),
        Said::Value(_) => Err(invalid("metadata", "must be an object")),
    }
}

fn fits(metadata: &Map<String, Value>) -> Result<(), Refusal> {
    let bytes = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
    if metadata.len() > MAX_METADATA_KEYS || bytes > MAX_METADATA_BYTES {
        return Err(invalid(
            "metadata",
            "must not have more than 50 keys or 16 KiB",
        ));
    }
    Ok(())
}

/// What a body says about a contact.
#[derive(Debug)]
struct Wish {
    phone: Said<String>,
    email: Said<String>,
    first_name: Said<String>,
    last_name: Said<String>,
    preferred_channel: Said<Channel>,
    metadata: Said<Map<String, Value>>,
    status: Option<ContactStatus>,
}

fn owned(said: Said<&str>) -> Said<String> {
    match said {
        Said::Nothing => Said::Nothing,
        Said::Null => Said::Null,
        Said::Value(text) => Said::Value(text.to_owned()),
    }
}

impl Wish {
    fn read(json: &Value) -> Result<Self, Refusal> {
        let fields = Fields::of(json)?;
        let settable = |text: &str| match text {
            "active" => Some(ContactStatus::Active),
            "inactive" => Some(ContactStatus::Inactive),
            _ => None,
        };
        Ok(Self {
            phone: phone(fields)?,
            email: email(fields)?,
            first_name: first_name(fields)?,
            last_name: owned(fields.said_text("last_name", MAX_NAME_CHARS)?),
            preferred_channel: fields.channel("preferred_channel")?,
            metadata: metadata(fields)?,
            status: fields
                .word("status", settable, "active and inactive")?
                .value(),
        })
    }
}

fn set<T>(place: &mut Option<T>, said: Said<T>) {
    match said {
        Said::Nothing => {}
        Said::Null => *place = None,
        Said::Value(value) => *place = Some(value),
    }
}

/// Another contact has the address already.
fn taken(field: &str) -> Refusal {
    Refusal::new(Error::Conflict)
        .because(format!("A contact with this {field} exists already"))
        .details(json!({ "field": field }))
}

impl Contact {
    pub(super) fn id_text(&self) -> String {
        id_text("cnt_", self.id)
    }

    pub(super) fn full_name(&self) -> String {
        match &self.last_name {
            Some(last) if !last.is_empty() => format!("{} {last}", self.first_name),
            Some(_) | None => self.first_name.clone(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id_text(),
            "phone": self.phone,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "full_name": self.full_name(),
            "preferred_channel": self.preferred_channel.map(Channel::as_str),
            "metadata": self.metadata,
            "status": self.status.name(),
            "created_at": time_text(self.created_us),
            "updated_at": time_text(self.updated_us),
            "last_contacted": self.last_contacted_us.map(time_text),
        })
    }
}

impl Store {
    /// Whether the addresses are free, but for the contact that has them itself.
    fn is_free(
        &self,
        account: AccountNo,
        (phone, email): (Option<&str>, Option<&str>),
        but: Option<ContactNo>,
    ) -> Result<(), Refusal> {
        let Some(ours) = self.accounts.get(account) else {
            return Ok(());
        };
        let by = |known: Option<&ContactNo>| known.is_some_and(|one| Some(*one) != but);
        if phone.is_some_and(|phone| by(ours.by_phone.get(phone))) {
            return Err(taken("phone"));
        }
        if email.is_some_and(|email| by(ours.by_email.get(&email.to_lowercase()))) {
            return Err(taken("email"));
        }
        Ok(())
    }

    fn create(
        &mut self,
        account: AccountNo,
        wish: Wish,
        now_us: i64,
    ) -> Result<ContactNo, Refusal> {
        let Said::Value(first_name) = wish.first_name else {
            return Err(missing("first_name"));
        };
        let (phone, email) = (wish.phone.value(), wish.email.value());
        if phone.is_none() && email.is_none() {
            return Err(invalid("phone", "or email is required"));
        }
        let metadata = wish.metadata.value().unwrap_or_default();
        fits(&metadata)?;
        self.is_free(account, (phone.as_deref(), email.as_deref()), None)?;
        if self.contacts.len() >= MOST_CONTACTS {
            return Err(Refusal::new(Error::Unavailable)
                .because("The sandbox has no room for another contact; reset it"));
        }
        let address = phone.as_deref().or(email.as_deref()).unwrap_or_default();
        let contact = Contact {
            id: self.contact_id(account, address),
            account,
            phone,
            email,
            first_name,
            last_name: wish.last_name.value(),
            preferred_channel: wish.preferred_channel.value(),
            metadata,
            status: wish.status.unwrap_or(ContactStatus::Active),
            created_us: now_us,
            updated_us: now_us,
            last_contacted_us: None,
            conversations: Vec::new(),
            sent: 0,
        };
        Ok(self.add_contact(contact))
    }

    /// What is not said stays; metadata are merged, and a null among them takes one away.
    fn change(&mut self, number: ContactNo, wish: Wish, now_us: i64) -> Result<(), Refusal> {
        let Some(contact) = self.contacts.get(number) else {
            return Err(no_such("contact"));
        };
        let (mut phone, mut email) = (contact.phone.clone(), contact.email.clone());
        set(&mut phone, wish.phone);
        set(&mut email, wish.email);
        if phone.is_none() && email.is_none() {
            return Err(invalid("phone", "or email must stay"));
        }
        let mut merged = contact.metadata.clone();
        match wish.metadata {
            Said::Nothing => {}
            Said::Null => merged.clear(),
            Said::Value(all) => {
                for (key, value) in all {
                    if value.is_null() {
                        merged.remove(&key);
                    } else {
                        merged.insert(key, value);
                    }
                }
            }
        }
        fits(&merged)?;
        let account = contact.account;
        self.is_free(account, (phone.as_deref(), email.as_deref()), Some(number))?;
        self.unindex(number);
        if let Some(contact) = self.contacts.get_mut(number) {
            contact.phone = phone;
            contact.email = email;
            contact.metadata = merged;
            if let Said::Value(first_name) = wish.first_name {
                contact.first_name = first_name;
            }
            set(&mut contact.last_name, wish.last_name);
            set(&mut contact.preferred_channel, wish.preferred_channel);
            contact.status = wish.status.unwrap_or(contact.status);
            contact.updated_us = now_us;
        }
        self.index(number);
        Ok(())
    }
}

impl Call {
    fn contact_in(&self, store: &Store) -> Result<ContactNo, Refusal> {
        let found = store.contact_no(self.account, &self.id);
        found.ok_or_else(|| no_such("contact"))
    }

    fn contact_shown(store: &Store, number: ContactNo, status: u16) -> Result<Done, Refusal> {
        let contact = store
            .contacts
            .get(number)
            .ok_or_else(|| no_such("contact"))?;
        Ok(Done::json(status, &contact.json()))
    }

    pub(super) fn create_contact(&self, json: &Value) -> Result<Done, Refusal> {
        let wish = Wish::read(json)?;
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = store.create(self.account, wish, now_us)?;
        store.tell_of_contact(number, Kind::ContactCreated, now_us);
        Self::contact_shown(&store, number, 201)
    }

    pub(super) fn contact(&self) -> Result<Done, Refusal> {
        let store = self.hue.store();
        let number = self.contact_in(&store)?;
        Self::contact_shown(&store, number, 200)
    }

    pub(super) fn change_contact(&self, json: &Value) -> Result<Done, Refusal> {
        let wish = Wish::read(json)?;
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = self.contact_in(&store)?;
        store.change(number, wish, now_us)?;
        store.tell_of_contact(number, Kind::ContactUpdated, now_us);
        Self::contact_shown(&store, number, 200)
    }

    pub(super) fn delete_contact(&self) -> Result<Done, Refusal> {
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = self.contact_in(&store)?;
        store.unindex(number);
        if let Some(contact) = store.contacts.get_mut(number) {
            contact.status = ContactStatus::Deleted;
            contact.updated_us = now_us;
        }
        store.tell_of_contact(number, Kind::ContactDeleted, now_us);
        Ok(Done::empty())
    }

    pub(super) fn contacts(&self) -> Result<Done, Refusal> {
        let asked = Asked::parse(&self.query)?;
        let page = asked.page()?;
        let read = |text: &str| match text {
            "active" => Some(Some(ContactStatus::Active)),
            "inactive" => Some(Some(ContactStatus::Inactive)),
            "deleted" => Some(Some(ContactStatus::Deleted)),
            "all" => Some(None),
            _ => None,
        };
        let words = "active, inactive, deleted and all";
        let status = asked.word("status", Some(ContactStatus::Active), (read, words))?;
        let read = |text: &str| Channel::parse(text).map(Some);
        let channel = asked.word("channel", None, (read, super::fields::CHANNELS))?;
        let read = |text: &str| SORTS.contains(&text).then(|| text.to_owned());
        let sort = asked.word("sort", SORTS[0].to_owned(), (read, &SORTS.join(", ")))?;
        let search = asked.text("search").map(str::to_lowercase);
        let store = self.hue.store();
        let ours = store.accounts.get(self.account).map(|one| &one.contacts);
        let mut found: Vec<&Contact> = ours
            .into_iter()
            .flatten()
            .filter_map(|number| store.contacts.get(*number))
            .filter(|one| status.is_none_or(|status| one.status == status))
            .filter(|one| channel.is_none_or(|channel| one.preferred_channel == Some(channel)))
            .filter(|one| search.as_deref().is_none_or(|text| one.mentions(text)))
            .collect();
        match sort.as_str() {
            "created_at:asc" => {}
            // Stable: those that were never written to keep the order of their creation.
            "last_contacted:desc" => {
                found.sort_by_key(|one| std::cmp::Reverse(one.last_contacted_us));
            }
            _ => found.reverse(),
        }
        Ok(Done::json(200, &page.of(&found, |one| one.json())))
    }
}

/// The orders of the list of contacts, the usual one first.
pub(super) const SORTS: [&str; 3] = ["created_at:desc", "created_at:asc", "last_contacted:desc"];

impl Contact {
    /// Whether name, number or e-mail has this text, in lower case, in it.
    fn mentions(&self, text: &str) -> bool {
        let has =
            |field: Option<&String>| field.is_some_and(|field| field.to_lowercase().contains(text));
        has(self.phone.as_ref())
            || has(self.email.as_ref())
            || self.full_name().to_lowercase().contains(text)
    }
}
