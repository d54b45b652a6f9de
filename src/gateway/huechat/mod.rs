//! HueChat: WhatsApp, SMS, e-mail and Instagram. Ties key, body, wire and answer together; the
//! rules of each are in the files beside this one. Keeps nothing between calls but connections,
//! what is left of the account's requests, how far the provider's clock is from ours, and how long
//! conversations are.

mod allowance;
mod answer;
mod body;
mod contacts;
mod discreet;
pub mod events;
mod key;
mod messages;
mod pages;
mod platform;
mod replies;
mod sighting;
pub mod signature;
mod talks;
mod templates;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use secrecy::SecretString;

use self::allowance::Newest;
pub use self::body::request;
use self::talks::Talks;
use super::http::{self, Answer, Lost, Wire};
use super::recall::Hand;
use super::{
    Allowance, Asked, Envelope, Gateway, GatewayError, Line, Now, Recall, Replies, Request,
    Sighting, Sought, Template, Turns, wait,
};
use crate::domain::account::HueChatAccount;
use crate::domain::address::Address;
use crate::domain::contact::Contact;
use crate::domain::message::Media;
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::receipt::Receipt;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// A message that was taken without an answer is seen by then, or was not taken (huechat §13).
const SHOWN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// One HueChat account. `Debug` does not show the key.
pub struct HueChat {
    base: Url,
    key: HeaderValue,
    wire: Wire,
    timeout: SignedDuration,
    now: Now,
    allowance: Newest,
    /// By how much the provider's clock is behind ours, in milliseconds; 0: not at all.
    behind_ms: AtomicI64,
    talks: Talks,
    /// Whether the provider tells of answers by itself, so that reading them is a safety net.
    is_told: bool,
}

impl std::fmt::Debug for HueChat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HueChat({})", http::host_of(&self.base))
    }
}

impl HueChat {
    /// A gateway for `account`, whose key has been read already. Does not connect.
    ///
    /// # Errors
    /// When the account cannot work as it stands: above all, when the key is not one for this
    /// address; see [`GatewayError`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the key is handed over, so that the caller keeps no copy of it"
    )]
    pub fn new(
        account: &HueChatAccount,
        key: SecretString,
        now: Now,
    ) -> Result<Self, GatewayError> {
        let base = http::base_url(&account.base_url)?;
        let timeout = Duration::try_from(account.timeout)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or(GatewayError::BadTimeout)?;
        Ok(Self {
            key: key::header(&base, &key)?,
            wire: Wire::new(&base, timeout)?,
            base,
            timeout: account.timeout,
            now,
            allowance: Newest::default(),
            behind_ms: AtomicI64::new(0),
            talks: Talks::default(),
            is_told: account.webhook.is_some(),
        })
    }

    fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// By how much the provider's clock is behind ours, at most.
    fn behind(&self) -> SignedDuration {
        SignedDuration::from_millis(self.behind_ms.load(Ordering::Relaxed))
    }

    /// One exchange; whatever the answer is, what it says about the account is kept.
    async fn exchange(
        &self,
        method: Method,
        (path, query): (&str, &[(&str, String)]),
        body: Bytes,
        hand: Option<&Hand>,
    ) -> Result<Answer, Lost> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = reqwest::Request::new(method.clone(), url);
        request.headers_mut().insert(API_KEY, self.key.clone());
        if method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, JSON);
            *request.body_mut() = Some(match hand {
                Some(hand) => hand.give(body),
                None => body.into(),
            });
        }
        let exchanged = self.wire.exchange(request).await;
        let headers = match &exchanged {
            Ok(answer) => Some(&answer.headers),
            Err(Lost::Cut { headers, .. }) => Some(headers),
            Err(Lost::NotSent { .. } | Lost::Unanswered(_)) => None,
        };
        if let Some(headers) = headers {
            let now = self.now();
            self.allowance.hear(headers, now);
            if let Some(theirs) = wait::date(headers) {
                let behind = now.duration_since(theirs).as_millis();
                let behind = i64::try_from(behind).unwrap_or(0).max(0);
                self.behind_ms.store(behind, Ordering::Relaxed);
            }
        }
        exchanged
    }

    /// The same outside of a send: no answer is something that can be asked for again.
    async fn ask(
        &self,
        method: Method,
        place: (&str, &[(&str, String)]),
        body: Bytes,
    ) -> Result<Answer, Outcome> {
        let exchanged = self.exchange(method, place, body, None).await;
        exchanged.map_err(|lost| answer::harmless(answer::lost(lost, self.now())))
    }

    /// An answer that is a success; otherwise what became of what was `asked`.
    fn success(&self, answer: Answer, asked: &[u8]) -> Result<Answer, Outcome> {
        if answer.is_success() {
            Ok(answer)
        } else {
            let refused = answer::refused(&answer, self.now());
            Err(answer::harmless(self.discreet(refused, asked)))
        }
    }

    /// What became of a request, in words that repeat neither the key nor the request.
    fn discreet(&self, outcome: Outcome, asked: &[u8]) -> Outcome {
        let Some(failure) = outcome.failure() else {
            return outcome;
        };
        let mut failure = failure.clone();
        let mut hidden = discreet::words_in(asked);
        hidden.extend(self.key.to_str().map(str::to_owned));
        discreet::hide(&mut failure, &hidden);
        outcome.with_failure(failure)
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Outcome> {
        let answer = self.ask(Method::GET, (path, query), Bytes::new()).await?;
        self.success(answer, &[])
    }

    async fn post_message(&self, request: &Request, hand: Option<&Hand>) -> Outcome {
        let place = (&*request.path, [].as_slice());
        let exchange = self.exchange(Method::POST, place, request.body.clone(), hand);
        let outcome = match exchange.await {
            Ok(answer) => answer::of_send(&answer, self.now()),
            Err(lost) => answer::lost(lost, self.now()),
        };
        if let Outcome::Accepted {
            chat_id: Some(id), ..
        } = &outcome
        {
            self.talks.sent(id);
        }
        self.discreet(outcome, &request.body)
    }
}

#[async_trait]
impl Gateway for HueChat {
    fn key_retention(&self) -> Option<SignedDuration> {
        None
    }

    fn timeout(&self) -> SignedDuration {
        self.timeout
    }

    fn request(&self, envelope: &Envelope<'_>) -> Request {
        request(envelope)
    }

    async fn send(&self, request: &Request) -> Outcome {
        self.post_message(request, None).await
    }

    async fn send_unless(&self, request: &Request, recall: &Recall) -> Option<Outcome> {
        let hand = Hand::new(recall);
        let outcome = self.post_message(request, Some(&hand)).await;
        (!hand.has_kept_back()).then_some(outcome)
    }

    async fn upload(&self, _media: &Media) -> Result<String, Outcome> {
        Err(Outcome::Permanent {
            failure: Failure {
                text: "HueChat takes no files, only addresses that it can fetch them from"
                    .to_owned(),
                ..Failure::default()
            },
        })
    }

    fn needs_contacts(&self) -> bool {
        true
    }

    async fn contact(
        &self,
        to: &Address,
        contact: &Contact,
        turns: &dyn Turns,
    ) -> Result<Option<String>, Outcome> {
        self.contact_of(to, contact, turns).await.map(Some)
    }

    fn shown_after(&self) -> SignedDuration {
        SHOWN_AFTER
    }

    fn finds_chats(&self) -> bool {
        true
    }

    async fn find(&self, sought: &Sought<'_>, turns: &dyn Turns) -> Result<Sighting, Outcome> {
        self.sight(sought, turns).await
    }

    async fn state(&self, asked: &Asked<'_>, turns: &dyn Turns) -> Result<Receipt, Outcome> {
        self.standing(asked, turns).await
    }

    /// Failures alone are not told, and they are in no hurry.
    fn looks_later_by(&self) -> SignedDuration {
        if self.is_told {
            SignedDuration::from_mins(30)
        } else {
            SignedDuration::from_mins(10)
        }
    }

    fn allowance(&self) -> Option<Allowance> {
        self.allowance.at(self.now())
    }

    async fn templates(&self, turns: &dyn Turns) -> Result<Option<Vec<Template>>, Outcome> {
        self.list_templates(turns).await.map(Some)
    }

    /// It has no lines; that the key is good is proved by the smallest page that there is.
    async fn lines(&self) -> Result<Vec<Line>, Outcome> {
        let one = [("limit", "1".to_owned())];
        let asked = self.get(body::CONTACTS, &one).await;
        asked.map_err(answer::of_the_account)?;
        Ok(Vec::new())
    }

    /// Each look is a request of the account's, or several.
    fn replies_every(&self) -> Duration {
        if self.is_told {
            Duration::from_mins(15)
        } else {
            Duration::from_mins(1)
        }
    }

    async fn replies(
        &self,
        since: Option<Timestamp>,
        turns: &dyn Turns,
    ) -> Result<Option<Replies>, Outcome> {
        self.read_replies(since, turns).await.map(Some)
    }
}
