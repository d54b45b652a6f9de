//! The only outbound HTTP. A [`Gateway`] is a configured provider account; it turns a frozen
//! message into one request, sends it, and says what came of it in the domain's words.
//!
//! It keeps no state about recipients and never decides to try again: that is the engine's.

pub mod chert;
mod ending;
mod http;
pub mod huechat;
mod outage;
mod recall;
mod segment;
mod sse;
mod wait;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::domain::address::Address;
use crate::domain::channel::Channel;
use crate::domain::contact::Contact;
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

    /// Whether people are made known to the provider before anything is sent to them; see
    /// [`Gateway::contact`].
    fn needs_contacts(&self) -> bool {
        false
    }

    /// The provider's id of a person: of the contact that there is, or of a new one. May be asked
    /// again without harm. `None`: this provider writes to addresses themselves. What went wrong
    /// is `Retry`, `Permanent` or `StopRun`. The first request is the caller's to pace; each
    /// further one waits for its turn.
    async fn contact(
        &self,
        _to: &Address,
        _contact: &Contact,
        _turns: &dyn Turns,
    ) -> Result<Option<String>, Outcome> {
        Ok(None)
    }

    /// How long a message that was taken without an answer needs until it is seen among the others.
    fn shown_after(&self) -> SignedDuration {
        SignedDuration::from_secs(5)
    }

    /// Whether a message can be looked for where no chat with the person is known yet.
    fn finds_chats(&self) -> bool {
        false
    }

    /// Looks for a message among those of its chat, for an attempt that is without an answer. What
    /// went wrong is `Retry`, `LineBusy`, `Permanent` or `StopRun`. Every request waits for its
    /// turn.
    async fn find(&self, sought: &Sought<'_>, turns: &dyn Turns) -> Result<Sighting, Outcome>;

    /// How a message that was accepted stands now. What went wrong is `Retry`, `LineBusy`,
    /// `Permanent` or `StopRun`; a message that is not known is an answer. The first request is
    /// the caller's to pace; each further one waits for its turn.
    async fn state(&self, asked: &Asked<'_>, turns: &dyn Turns) -> Result<Receipt, Outcome>;

    /// How much later than usual messages are looked at while others are sent: where a look costs
    /// as much as a message, and most is told without asking.
    fn looks_later_by(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// What is left of the account's requests, by the newest answer that said so.
    fn allowance(&self) -> Option<Allowance> {
        None
    }

    /// The approved templates of the account, and those that are not approved; `None`: this
    /// provider has none. What went wrong is `Retry` or `StopRun`.
    async fn templates(&self, _turns: &dyn Turns) -> Result<Option<Vec<Template>>, Outcome> {
        Ok(None)
    }

    /// The sender lines of this account; also the cheapest proof that the credentials are good.
    /// What went wrong is `Retry`, `LineBusy` or `StopRun`.
    async fn lines(&self) -> Result<Vec<Line>, Outcome>;

    /// Everything that people answered after `since`, oldest first; where it is `None`, all that is
    /// to be known before anybody is written to. No answer at all: this provider keeps no log of them. What went wrong is `Retry`,
    /// `LineBusy` or `StopRun`; then nothing may be concluded. Where the account counts every
    /// request, each waits for its turn.
    async fn replies(
        &self,
        since: Option<Timestamp>,
        turns: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome>;

    /// How long to leave between two looks at what people answered.
    fn replies_every(&self) -> Duration {
        Duration::from_secs(4)
    }

    /// Opens a stream of what people answer: everything after `since`, then as it is said; only
    /// what comes where it is `None`. No stream: this provider has none. What went wrong is
    /// `Retry`, `LineBusy` or `StopRun`. May be given up at any moment.
    async fn stream(
        &self,
        _since: Option<Timestamp>,
        _turns: &dyn Turns,
    ) -> Result<Option<Box<dyn Telling>>, Outcome> {
        Ok(None)
    }
}

/// Lets the requests of one account wait for each other, so that all of them keep its rate.
#[async_trait]
pub trait Turns: Debug + Send + Sync {
    /// Returns when one more request may leave. Where that is too far away to be waited for, or
    /// nothing is to leave any more, what became of the request instead: `Retry` with the wait.
    async fn next(&self) -> Result<(), Outcome>;

    /// Waits behind the requests of this process alone: for one that has been counted already, or
    /// that no stored rate counts.
    async fn ready(&self);
}

/// For accounts whose requests need not wait.
#[derive(Debug, Clone, Copy)]
pub struct AtOnce;

#[async_trait]
impl Turns for AtOnce {
    async fn next(&self) -> Result<(), Outcome> {
        Ok(())
    }

    async fn ready(&self) {}
}

/// Where a message stands that was accepted.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub message_id: &'a str,
    pub chat_id: Option<&'a str>,
}

/// What looking for a message has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    Found {
        message_id: String,
        chat_id: Option<String>,
    },
    /// Every message that it could be was seen, and it is not among them: it was not sent.
    Absent,
    /// Neither is proved.
    Unclear { why: &'static str },
}

/// How many requests the account may make until the provider counts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub remaining: u32,
    /// Until it counts anew, from now on.
    pub renewed_in: SignedDuration,
}

/// A message that the provider has to approve before it is sent, as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub name: String,
    pub language: Option<String>,
    pub approved: bool,
    /// Its standing in the provider's word.
    pub status: String,
    /// Its words with `{{1}}` and the like in them, where they are told.
    pub body: Option<String>,
    /// How many values it takes, where that can be told.
    pub parameters: Option<usize>,
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
    #[error(
        "the API key is one for {key}, and '{host}' is {place}; use the key and the `base_url` that \
         belong together"
    )]
    OtherKey {
        key: &'static str,
        host: String,
        place: &'static str,
    },
    #[error("the API key is empty or has a character that a request header cannot carry")]
    BadKey,
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
    /// Who the person is to the provider, where that has contacts; see [`Gateway::contact`].
    pub contact_id: Option<&'a str>,
    /// The way to the person, where the account has several.
    pub channel: Option<Channel>,
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
    pub chat_id: Option<&'a str>,
    /// As in the [`Envelope`].
    pub contact_id: Option<&'a str>,
    pub channel: Option<Channel>,
    pub message: &'a Message,
    /// Not older than this: when its first attempt was begun.
    pub since: Timestamp,
    /// The same clock, now.
    pub now: Timestamp,
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
        // A path may have an address in it.
        write!(f, "Request({} bytes)", self.body.len())
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
    /// Where the next reading begins, in the provider's time: whatever was written before is in
    /// here, or was read earlier. `None`: as before.
    pub read_to: Option<Timestamp>,
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
