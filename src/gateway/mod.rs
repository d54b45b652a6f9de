//! The only outbound HTTP. A [`Gateway`] is a configured provider account; it turns a frozen
//! message into one request, sends it, and says what came of it in the domain's words.
//!
//! It keeps no state about recipients and never decides to try again: that is the engine's.

pub mod chert;

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::SignedDuration;

use crate::domain::digest::Digest;
use crate::domain::key::IdempotencyKey;
use crate::domain::message::{Media, Message};
use crate::domain::outcome::Outcome;
use crate::domain::phone::Phone;

/// A provider account that can send.
#[async_trait]
pub trait Gateway: Debug + Send + Sync {
    /// How long the provider remembers an idempotency key; `None`: it knows no keys, and an
    /// unanswered attempt cannot be repeated.
    fn key_retention(&self) -> Option<SignedDuration>;

    /// The longest that one call may take, connect and answer together.
    fn timeout(&self) -> SignedDuration;

    /// The request for one delivery. Pure: the same envelope always gives the same bytes.
    fn request(&self, envelope: &Envelope<'_>) -> Request;

    /// One HTTP exchange. Ends by itself within [`Gateway::timeout`]; never retried in here.
    async fn send(&self, request: &Request) -> Outcome;

    /// Uploads one file and returns the provider's id for it.
    async fn upload(&self, media: &Media) -> Result<String, Outcome>;

    /// The sender lines of this account; also the cheapest proof that the credentials are good.
    async fn lines(&self) -> Result<Vec<Line>, Outcome>;
}

/// Everything that shapes the request of one delivery.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub to: &'a Phone,
    /// The chat with this person, when this ledger already knows one: a follow-up.
    pub chat_id: Option<&'a str>,
    /// The sender line of a first message.
    pub line: Option<&'a Phone>,
    pub message: &'a Message,
    /// The provider's ids of the files that the message names.
    pub attachments: &'a BTreeMap<Digest, String>,
    pub key: &'a IdempotencyKey,
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
