//! The only outbound HTTP. A [`Gateway`] is a configured provider account; it turns a frozen
//! message into one request, sends it, and says what came of it in the domain's words.
//!
//! It keeps no state about recipients and never decides to try again: that is the engine's.

pub mod chert;
mod http;
pub mod huechat;
mod outage;
mod recall;
mod sse;
mod wait;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::message::{Media, Message};
use crate::domain::outcome::Outcome;
use crate::domain::phone::Phone;
use crate::domain::receipt::Receipt;

/// A provider account that can send.
#[async_trait]
pub trait Gateway: Debug + Send + Sync {
    /// How long the provider remembers an idempotency key; `None`: it knows no keys, and an
    /// unanswered attempt cannot be repeated.
    fn key_retention(&self) -> Option<SignedDuration>;

    /// The longest that one [`Gateway::send`] may take, connect and answer together. An upload
    /// is two exchanges and gets more, by the size of the file.
    fn timeout(&self) -> SignedDuration;

    /// The request for one delivery. Pure: the same envelope always gives the same bytes.
    fn request(&self, envelope: &Envelope<'_>) -> Request;

    /// One HTTP exchange. Ends by itself within [`Gateway::timeout`]; never retried in here,
    /// but for one signature that the provider refused because of this machine's clock.
    async fn send(&self, request: &Request) -> Outcome;

    /// [`Gateway::send`], unless `recall` holds when the request's first byte is to leave: a
    /// connection may have been waited for by then. `None`: nothing of it has left.
    async fn send_unless(&self, request: &Request, recall: &Recall) -> Option<Outcome> {
        if recall.holds() {
            None
        } else {
            Some(self.send(request).await)
        }
    }

    /// Uploads one file and returns the provider's id for it. No message leaves, so what went
    /// wrong is `Retry`, `LineBusy`, `Permanent` or `StopRun`.
    async fn upload(&self, media: &Media) -> Result<String, Outcome>;

    /// Looks for a message among those of its chat, for an attempt that is without an answer.
    /// `None` is no proof that it was not sent. What went wrong is `Retry`, `LineBusy`,
    /// `Permanent` or `StopRun`.
    async fn find(&self, sought: &Sought<'_>) -> Result<Option<String>, Outcome>;

    /// How a message that was accepted stands now. What went wrong is `Retry`, `LineBusy`,
    /// `Permanent` or `StopRun`; a message that is not known is an answer.
    async fn state(&self, message_id: &str) -> Result<Receipt, Outcome>;

    /// The sender lines of this account; also the cheapest proof that the credentials are good.
    /// What went wrong is `Retry`, `LineBusy` or `StopRun`.
    async fn lines(&self) -> Result<Vec<Line>, Outcome>;

    /// Everything that people answered after `since`, oldest first; all that is known where it is
    /// `None`. No answer at all: this provider keeps no log of them. What went wrong is `Retry`,
    /// `LineBusy` or `StopRun`; then nothing may be concluded.
    async fn replies(&self, since: Option<Timestamp>) -> Result<Option<Replies>, Outcome>;

    /// Opens a stream of what people answer: everything after `since`, then as it is said; only
    /// what comes where it is `None`. No stream: this provider has none. What went wrong is
    /// `Retry`, `LineBusy` or `StopRun`. May be given up at any moment.
    async fn stream(&self, _since: Option<Timestamp>) -> Result<Option<Box<dyn Telling>>, Outcome> {
        Ok(None)
    }
}

/// Whether a request is to stay here after all. Asked once, at the last moment; must not wait.
#[derive(Clone)]
pub struct Recall(Arc<dyn Fn() -> bool + Send + Sync>);

impl Recall {
    pub fn new(holds: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(holds))
    }

    pub fn holds(&self) -> bool {
        (self.0)()
    }
}

impl Debug for Recall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recall")
    }
}

/// An open stream of answers.
#[async_trait]
pub trait Telling: Debug + Send {
    /// Waits for what is told next, and ends by itself when the provider is silent for longer than
    /// a living one is. Cancel-safe: what was not returned comes the next time.
    async fn next(&mut self) -> Told;
}

/// What a stream tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Reply(Box<Reply>),
    /// An event that cannot be read.
    Unreadable,
    /// The provider ends the stream as it said it would; it is to be opened again.
    Closed,
    /// It broke, for this reason: nothing more comes.
    Broken(&'static str),
}

/// Where a gateway reads the time of its signatures and of waits that are given as a date.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why a gateway cannot be made of an account. Found before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    #[error("`base_url` '{url}' cannot be used: {why}")]
    BaseUrl { url: String, why: &'static str },
    #[error("`auth: hmac` needs the account's `tenant`; add it, or use `auth: bearer`")]
    NoTenant,
    #[error("`tenant` has a character that a request header cannot carry")]
    BadTenant,
    #[error("the signing secret is empty or has a character that a request header cannot carry")]
    BadSecret,
    #[error("`timeout` must be longer than zero")]
    BadTimeout,
    /// The certificates of this machine are missing or unreadable.
    #[error("secure connections cannot be set up on this machine; are its CA certificates there?")]
    NoTls,
}

/// Everything that shapes the request of one delivery.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub to: &'a Address,
    /// The chat with this person, when this ledger already knows one: a follow-up.
    pub chat_id: Option<&'a str>,
    /// The sender line of a first message.
    pub line: Option<&'a Phone>,
    pub message: &'a Message,
    /// The provider's ids of the files that the message names.
    pub attachments: &'a BTreeMap<Digest, String>,
    pub key: &'a IdempotencyKey,
}

/// A message that may have been sent.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    pub chat_id: &'a str,
    pub message: &'a Message,
    /// Not older than this: when its first attempt was begun.
    pub since: Timestamp,
    /// Messages that are known to be others.
    pub others: &'a HashSet<String>,
}

/// One request, ready for the wire except for what must be fresh on each try (the signature).
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Below the gateway's base URL; begins with `/`.
    pub path: String,
    pub body: Bytes,
}

impl Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({}, {} bytes)", self.path, self.body.len())
    }
}

/// A sender line of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub id: String,
    pub phone: Phone,
    /// May take part in messaging now.
    pub active: bool,
}

/// What people answered.
#[derive(Debug, Clone, Default)]
pub struct Replies {
    pub replies: Vec<Reply>,
    /// Events that could not be read.
    pub unreadable: u64,
}

/// One answer. Its words are the person's, and go into the ledger alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// The provider's name for it, the same however often it is told.
    pub event_id: String,
    pub phone: Address,
    /// The way by which it came; `None` where the provider has only one.
    pub channel: Option<Channel>,
    /// The line that it came to; empty where that is not told.
    pub line: String,
    pub chat_id: Option<String>,
    pub text: String,
    /// When it was written, by the provider's clock.
    pub at: Timestamp,
}

impl Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.event_id, self.text.len())
    }
}
