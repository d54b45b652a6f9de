//! Chert: iMessage. Ties body, signature, wire and answer together; the rules of each are in the
//! files beside this one. Keeps nothing between calls but connections and the clock difference.

mod answer;
mod body;
mod codes;
mod find;
mod lines;
mod replies;
mod sign;
mod state;
mod stream;
mod upload;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;
use tokio::time::Instant;

pub use self::body::request;
use self::sign::Signer;
use super::http::{self, Answer, Lost, Wire};
use super::recall::Hand;
use super::{
    Asked, Envelope, Gateway, GatewayError, Line, Now, Recall, Replies, Request, Sighting, Sought,
    Telling, Turns,
};
use crate::domain::account::ChertAccount;
use crate::domain::message::Media;
use crate::domain::outcome::Outcome;
use crate::domain::receipt::Receipt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One Chert account. `Debug` shows neither the secret nor anything made of it.
#[derive(Debug)]
pub struct Chert {
    base: Url,
    /// `base` and `/chats`, where nearly every request goes.
    chats: Url,
    signer: Signer,
    wire: Wire,
    timeout: SignedDuration,
    retention: SignedDuration,
}

impl Chert {
    /// A gateway for `account`, whose secret has been read already. Does not connect.
    ///
    /// # Errors
    /// When the account cannot work as it stands; see [`GatewayError`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the secret is handed over, so that the caller keeps no copy of it"
    )]
    pub fn new(
        account: ChertAccount,
        secret: SecretString,
        now: Now,
    ) -> Result<Self, GatewayError> {
        let mut base = http::base_url(&account.base_url)?;
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        let timeout = Duration::try_from(account.timeout)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or(GatewayError::BadTimeout)?;
        let signer = Signer::new(&account, &secret, now)?;
        let mut chats = base.clone();
        chats.set_path(&format!("{path}{}", body::CHATS));
        Ok(Self {
            wire: Wire::new(&base, timeout)?,
            base,
            chats,
            signer,
            timeout: account.timeout,
            retention: account.idempotency_retention,
        })
    }

    fn url(&self, path: &str) -> Url {
        if path == body::CHATS {
            return self.chats.clone();
        }
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// One exchange under this account's credentials, and a second one, within the same time,
    /// when the first was refused for the clock alone (code 2013, chert §3.3).
    async fn call(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Lost> {
        self.ask(method, (path, &[]), body).await
    }

    /// Reads something; `Err`: what became of that where the answer is no success.
    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Outcome> {
        let now = || self.signer.now();
        let called = self.ask(Method::GET, (path, query), Bytes::new());
        let answer = called.await.map_err(|lost| answer::lost(lost, now))?;
        if answer.is_success() {
            Ok(answer)
        } else {
            Err(answer::refused(&answer, now))
        }
    }

    async fn of_send(&self, exchange: impl Future<Output = Result<Answer, Lost>>) -> Outcome {
        match exchange.await {
            Ok(answer) => answer::of_send(&answer, || self.signer.now()),
            Err(lost) => answer::lost(lost, || self.signer.now()),
        }
    }

    /// [`Chert::call`] with a query, which is not signed (chert §2).
    async fn ask(
        &self,
        method: Method,
        place: (&str, &[(&str, String)]),
        body: Bytes,
    ) -> Result<Answer, Lost> {
        self.ask_by(method, place, body, None).await
    }

    /// The same, where the body may be kept back at the last moment.
    async fn ask_by(
        &self,
        method: Method,
        place: (&str, &[(&str, String)]),
        body: Bytes,
        hand: Option<&Hand>,
    ) -> Result<Answer, Lost> {
        let begun = Instant::now();
        let give = |request: &mut reqwest::Request| {
            if let Some(hand) = hand {
                *request.body_mut() = Some(hand.give(body.clone()));
            }
        };
        let mut request = self.signed(&method, place, body.clone());
        give(&mut request);
        let answer = self.wire.exchange(request).await?;
        if answer.is_success()
            || !answer::blames_the_clock(&answer)
            || !self.signer.learn_clock(&answer.headers)
        {
            return Ok(answer);
        }
        let left = self.wire.timeout().saturating_sub(begun.elapsed());
        let mut request = self.signed(&method, place, body.clone());
        give(&mut request);
        *request.timeout_mut() = Some(left);
        self.wire.exchange(request).await
    }

    fn signed(
        &self,
        method: &Method,
        (path, query): (&str, &[(&str, String)]),
        body: Bytes,
    ) -> reqwest::Request {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = reqwest::Request::new(method.clone(), url);
        self.signer.sign(request.headers_mut(), &body);
        if method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, JSON);
            *request.body_mut() = Some(body.into());
        }
        request
    }
}

#[async_trait]
impl Gateway for Chert {
    fn key_retention(&self) -> Option<SignedDuration> {
        Some(self.retention)
    }

    fn timeout(&self) -> SignedDuration {
        self.timeout
    }

    fn request(&self, envelope: &Envelope<'_>) -> Request {
        request(envelope)
    }

    async fn send(&self, request: &Request) -> Outcome {
        self.of_send(self.call(Method::POST, &request.path, request.body.clone()))
            .await
    }

    async fn send_unless(&self, request: &Request, recall: &Recall) -> Option<Outcome> {
        let place = (&*request.path, [].as_slice());
        let hand = Hand::new(recall);
        let exchange = self.ask_by(Method::POST, place, request.body.clone(), Some(&hand));
        let outcome = self.of_send(exchange).await;
        (!hand.has_kept_back()).then_some(outcome)
    }

    async fn upload(&self, media: &Media) -> Result<String, Outcome> {
        self.upload_file(media).await.map_err(answer::harmless)
    }

    async fn find(&self, sought: &Sought<'_>, _turns: &dyn Turns) -> Result<Sighting, Outcome> {
        self.find_in_chat(sought).await.map_err(answer::harmless)
    }

    async fn state(&self, asked: &Asked<'_>, _turns: &dyn Turns) -> Result<Receipt, Outcome> {
        self.state_of(asked.message_id)
            .await
            .map_err(answer::harmless)
    }

    async fn lines(&self) -> Result<Vec<Line>, Outcome> {
        self.list_lines().await.map_err(answer::harmless)
    }

    async fn replies(
        &self,
        since: Option<Timestamp>,
        turns: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome> {
        turns.ready().await;
        self.read_replies(since).await.map_err(answer::harmless)
    }

    async fn stream(
        &self,
        since: Option<Timestamp>,
        turns: &dyn Turns,
    ) -> Result<Option<Box<dyn Telling>>, Outcome> {
        turns.ready().await;
        self.open_stream(since).await.map_err(answer::harmless)
    }
}
