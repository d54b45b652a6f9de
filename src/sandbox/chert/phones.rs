//! The phones of the people who were written to, as the sandbox's page shows them. Only looks:
//! what a person answers comes in as [`super::Incoming`].

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::inbound::Inbound;
use super::receipts::Progress;
use super::store::{Chat, ChatNo, Message, Store};
use super::{Chert, ids};
use crate::domain::opt_out::{self, Heard};
use crate::domain::phone::Phone;
use crate::sandbox::journal::time_text;

/// Of a longer list or conversation the newest are shown.
const MOST_PHONES: usize = 200;
const MOST_BUBBLES: usize = 200;
/// Characters of the last message in the list.
const GLANCE: usize = 80;

/// The phones, the one with the newest message first.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct PhoneList {
    /// Another one when anything has come in or gone out since.
    version: String,
    now: String,
    /// How many there are; the list may be shorter.
    people: usize,
    phones: Vec<Glance>,
}

#[derive(Debug, Serialize)]
struct Glance {
    phone: String,
    at: String,
    text: String,
    opted_out: bool,
}

/// One phone: what its owner sees.
#[derive(Debug, Serialize)]
pub(in crate::sandbox) struct PhoneView {
    now: String,
    phone: String,
    opted_out: bool,
    /// Older ones are not shown.
    left_out: usize,
    bubbles: Vec<Value>,
}

/// The newest thing of a chat, and what of it stands in the list.
#[derive(Clone, Copy)]
struct Newest<'a> {
    at_us: i64,
    what: What<'a>,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Got(&'a Message),
    Wrote(&'a Inbound),
}

impl Newest<'_> {
    fn words(&self) -> String {
        let text = match self.what {
            What::Wrote(inbound) => inbound.text.to_string(),
            What::Got(message) => {
                let parts: Value = serde_json::from_str(message.shown()).unwrap_or_default();
                let parts = parts.as_array();
                let words = parts.into_iter().flatten().map(|part| {
                    let text = |field| part.get(field).and_then(Value::as_str);
                    match text("type") {
                        Some("text") => text("value").unwrap_or_default().to_owned(),
                        Some("rich_link") => {
                            text("title").or(text("url")).unwrap_or("a link").to_owned()
                        }
                        Some("media") => "a picture".to_owned(),
                        Some(other) => other.replace('_', " "),
                        None => String::new(),
                    }
                });
                words.collect::<Vec<_>>().join(" · ")
            }
        };
        text.chars().take(GLANCE).collect()
    }
}

impl Store {
    /// Changes with everything that the phones show but receipts, which follow from time.
    fn version(&self) -> String {
        format!(
            "{}.{}.{}.{}",
            self.epoch,
            self.messages.len(),
            self.inbound.len(),
            self.deeds.len()
        )
    }

    /// By chat, what its people have written last.
    fn last_words(&self) -> HashMap<ChatNo, &Inbound> {
        let inbound = self.written();
        inbound.map(|inbound| (inbound.chat, inbound)).collect()
    }

    fn newest<'a>(&'a self, chat: &Chat, wrote: Option<&&'a Inbound>) -> Option<Newest<'a>> {
        let got = chat.messages.last().and_then(|n| self.messages.get(*n));
        let got = got.map(|message| Newest {
            at_us: message.at_us,
            what: What::Got(message),
        });
        let wrote = wrote.map(|inbound| Newest {
            at_us: inbound.at_us,
            what: What::Wrote(inbound),
        });
        // Of two at one moment, the answer came after what it answers.
        match (got, wrote) {
            (Some(got), Some(wrote)) if got.at_us > wrote.at_us => Some(got),
            (_, Some(wrote)) => Some(wrote),
            (got, None) => got,
        }
    }
}

/// Who of those who wrote this has opted out by it: the last that said either.
fn opted_out<'a>(words: impl Iterator<Item = &'a Inbound>) -> HashSet<&'a str> {
    let mut out = HashSet::new();
    for inbound in words {
        let who = inbound.from.expose();
        match opt_out::hear(&inbound.text) {
            Heard::Stop => out.insert(who),
            Heard::Start => out.remove(who),
            Heard::Review | Heard::Nothing => false,
        };
    }
    out
}

impl Chert {
    /// Nothing when it is still that `version`. `search`: digits of the number.
    pub(in crate::sandbox) fn phones(&self, version: &str, search: &str) -> Option<PhoneList> {
        let now_us = self.host.now_us();
        let store = self.store();
        let current = store.version();
        if current == version {
            return None;
        }
        let digits: String = search.chars().filter(char::is_ascii_digit).collect();
        let last_words = store.last_words();
        let mut newest: HashMap<String, Newest<'_>> = HashMap::new();
        for (number, chat) in store.chats.iter().enumerate() {
            let Some(of_chat) = store.newest(chat, last_words.get(&number)) else {
                continue;
            };
            for phone in chat.members() {
                let before = newest.get(&phone).map(|before| before.at_us);
                if before.is_none_or(|before| before < of_chat.at_us) {
                    newest.insert(phone, of_chat);
                }
            }
        }
        let people = newest.len();
        let mut found: Vec<_> = newest.into_iter().collect();
        found.retain(|(phone, _)| phone.contains(&digits));
        found.sort_by(|(a, one), (b, other)| other.at_us.cmp(&one.at_us).then_with(|| a.cmp(b)));
        found.truncate(MOST_PHONES);
        let opted_out = opted_out(store.written());
        let phones = found.into_iter().map(|(phone, newest)| Glance {
            opted_out: opted_out.contains(phone.as_str()),
            at: time_text(newest.at_us),
            text: newest.words(),
            phone,
        });
        Some(PhoneList {
            version: current,
            now: time_text(now_us),
            people,
            phones: phones.collect(),
        })
    }

    /// What the owner of a phone sees, oldest first.
    pub(in crate::sandbox) fn phone(&self, phone: &Phone) -> PhoneView {
        let now_us = self.host.now_us();
        let store = self.store();
        let mut bubbles: Vec<(i64, usize, Value)> = Vec::new();
        for (number, chat) in store.chats.iter().enumerate() {
            if !chat.members().iter().any(|one| one == phone.expose()) {
                continue;
            }
            let group = chat.group.is_some().then(|| chat.name());
            for n in &chat.messages {
                let Some(message) = store.messages.get(*n) else {
                    continue;
                };
                let progress = self.receipts.of(message, chat, now_us);
                let line = store.lines.get(message.line);
                let line = line.map(|line| line.phone.expose());
                let bubble = got((message, chat), progress, (line, group));
                bubbles.push((message.at_us, bubbles.len(), bubble));
            }
            for inbound in store.inbound_of(number) {
                let line = store.lines.get(inbound.line);
                let line = line.map(|line| line.phone.expose());
                let bubble = wrote(inbound, chat, phone, (line, group));
                bubbles.push((inbound.at_us, bubbles.len(), bubble));
            }
        }
        bubbles.sort_by_key(|(at_us, place, _)| (*at_us, *place));
        let left_out = bubbles.len().saturating_sub(MOST_BUBBLES);
        PhoneView {
            now: time_text(now_us),
            phone: phone.expose().to_owned(),
            opted_out: !opted_out(store.written().filter(|one| one.from == *phone)).is_empty(),
            left_out,
            bubbles: bubbles
                .into_iter()
                .skip(left_out)
                .map(|(_, _, bubble)| bubble)
                .collect(),
        }
    }

    /// A picture that is still kept, with its type: one that was uploaded, or that a person sent.
    pub(in crate::sandbox) fn picture(&self, tenant: usize, id: &str) -> Option<(String, Bytes)> {
        let store = self.store();
        if let Some(print) = store.album.of(tenant, id) {
            return Some((print.content_type.clone(), print.bytes.clone()));
        }
        store.pictures.shown(tenant, id)
    }
}

/// Where in the conversation something stands: the line, and the group's name.
type Where<'a> = (Option<&'a str>, Option<&'a str>);

fn got((message, chat): (&Message, &Chat), progress: Progress, (line, group): Where<'_>) -> Value {
    json!({
        "mine": false,
        "id": ids::message_text(message.id),
        "at": time_text(message.at_us),
        "line": line,
        "group": group,
        "tenant": chat.tenant,
        "parts": serde_json::from_str::<Value>(message.shown()).unwrap_or_default(),
        "effect": message.look.effect,
        "edited": message.edited.is_some(),
        "status": progress.status,
        "delivered_at": progress.delivered_at_us.map(time_text),
        "read_at": progress.read_at_us.map(time_text),
    })
}

fn wrote(inbound: &Inbound, chat: &Chat, owner: &Phone, (line, group): Where<'_>) -> Value {
    json!({
        "mine": inbound.from == *owner,
        "id": inbound.id_text(),
        "at": time_text(inbound.at_us),
        "from": inbound.from.expose(),
        "line": line,
        "group": group,
        "tenant": chat.tenant,
        "parts": inbound.parts(),
    })
}
