//! A provider whose lists are written by hand: conversations and their messages, served page by
//! page after huechat §5, in as many ways as a server may get that wrong. Asserts nothing.

use std::collections::BTreeMap;
use std::sync::Mutex;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::now;
use crate::gateway::server::{Received, Reply, Server, reply};

/// What a page says of the pages behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tells {
    /// `has_more` and `total`, as it is.
    All,
    /// Nothing at all.
    Nothing,
    MoreAlone,
    TotalAlone,
    /// That there is nothing more, always, next to a true total.
    NeverMore,
    /// That there is more, always.
    AlwaysMore,
}

/// What changes before a request is answered; the number counts all requests, from 0.
type Change = Box<dyn FnMut(usize, &mut Lists) + Send>;

pub(crate) struct Lists {
    pub(crate) conversations: Vec<Value>,
    /// Under the names of their conversations.
    pub(crate) messages: BTreeMap<String, Vec<Value>>,
    /// The most rows that a page has, whatever is asked for.
    pub(crate) page: usize,
    pub(crate) tells: Tells,
    /// Of every answer.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) change: Option<Change>,
}

impl Lists {
    /// One open conversation with Dana, with these messages.
    pub(crate) fn of(messages: Vec<Value>) -> Self {
        Self {
            conversations: vec![conversation("conv_1", "cnt_5f", 60)],
            messages: BTreeMap::from([("conv_1".to_owned(), messages)]),
            page: 100,
            tells: Tells::All,
            headers: Vec::new(),
            change: None,
        }
    }

    pub(crate) fn with_change(self, change: impl FnMut(usize, &mut Self) + Send + 'static) -> Self {
        Self {
            change: Some(Box::new(change)),
            ..self
        }
    }

    pub(crate) fn serve(self) -> Server {
        let lists = Mutex::new((self, 0));
        Server::answering(move |request| {
            let (lists, asked) = &mut *lists.lock().unwrap();
            *asked += 1;
            lists.answer(*asked - 1, request)
        })
    }

    fn answer(&mut self, asked: usize, request: &Received) -> Reply {
        if let Some(mut change) = self.change.take() {
            change(asked, self);
            self.change = self.change.take().or(Some(change));
        }
        let target = request.line().split(' ').nth(1).unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = match path.split('/').collect::<Vec<_>>()[..] {
            ["", "v2", "conversations"] => Some(self.listed(&self.conversations, query)),
            ["", "v2", "conversation", id, "messages"] => {
                let messages = self.messages.get(id);
                messages.map(|messages| self.listed(messages, query))
            }
            ["", "v2", "conversation", id] => {
                let found = self.conversations.iter().find(|one| one["id"] == id);
                found.map(Value::to_string)
            }
            _ => panic!("{target}"),
        };
        let headers = self.headers.iter();
        let headers: Vec<(&str, &str)> = headers.map(|(name, value)| (*name, &**value)).collect();
        match body {
            Some(body) => reply(200, &headers, &body),
            None => reply(404, &headers, &super::refusal(404, "not_found")),
        }
    }

    fn listed(&self, rows: &[Value], query: &str) -> String {
        let number = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(found, _)| *found == name).unwrap();
            value.parse::<usize>().unwrap()
        };
        let (offset, limit) = (number("offset"), number("limit").min(self.page));
        let shown: Vec<&Value> = rows.iter().skip(offset).take(limit).collect();
        let more = offset + shown.len() < rows.len();
        let pagination = match self.tells {
            Tells::All => {
                json!({ "limit": limit, "offset": offset, "total": rows.len(), "has_more": more })
            }
            Tells::Nothing => Value::Null,
            Tells::MoreAlone => json!({ "has_more": more }),
            Tells::TotalAlone => json!({ "total": rows.len() }),
            Tells::NeverMore => json!({ "total": rows.len(), "has_more": false }),
            Tells::AlwaysMore => json!({ "has_more": true }),
        };
        json!({ "data": shown, "pagination": pagination }).to_string()
    }
}

/// So many seconds after the attempt was begun.
pub(crate) fn at(seconds: i64) -> String {
    (now() + SignedDuration::from_secs(seconds)).to_string()
}

/// A text of ours, in the shape of huechat §7.3.
pub(crate) fn text(id: &str, content: &str, seconds: i64) -> Value {
    json!({ "id": id, "conversation_id": "conv_1", "contact_id": "cnt_5f", "channel": "whatsapp",
        "message_type": "text", "content": content, "status": "sent", "sent_by": "user",
        "sent_at": at(seconds), "delivered_at": null, "read_at": null })
}

/// The text that is looked for.
pub(crate) fn ours(id: &str, seconds: i64) -> Value {
    text(id, "Hi Dana, your parcel is here", seconds)
}

/// What the person said: never the message.
pub(crate) fn noise(number: usize, seconds: i64) -> Value {
    let mut said = text(
        &format!("msg_n{number}"),
        &format!("Notice {number}: nothing"),
        seconds,
    );
    said["sent_by"] = "contact".into();
    said
}

/// An open conversation over WhatsApp, in the shape of huechat §9.1.
pub(crate) fn conversation(id: &str, contact: &str, seconds: i64) -> Value {
    json!({ "id": id, "contact_id": contact, "channel": "whatsapp", "status": "open",
        "contact": { "id": contact, "full_name": "Dana Kim", "phone": "+12025550143" },
        "unread_count": 0, "created_at": at(-900), "last_message_at": at(seconds) })
}
