//! What each route does once its caller was let in. The three that send a message share one
//! path, in which a message is accepted whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Authority;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Chert;
use super::errors::{Refusal, code};
use super::exchange::{Call, Done, Payload};
use super::keys::{Key, Recall};
use super::render::{self, HasMore};
use super::routes::Route;
use super::send_fields::{self, Draft, Form};
use super::slots::Announced;
use super::store::{MessageNo, Origin, Store};
use super::tenants::TenantNo;
use super::{cards, ids, upload};
use crate::domain::digest::Digest;
use crate::sandbox::faults::{Delay, Fired};
use crate::sandbox::host::Waited;
use crate::sandbox::journal::time_text;
use crate::sandbox::memory::CallAct;

/// How many messages a chat's history shows (chert §8.2).
const HISTORY: usize = 200;

impl Call {
    /// Does what the route is for.
    pub(super) async fn act(
        &self,
        payload: Payload,
        fired: Option<Fired>,
    ) -> Result<Done, Refusal> {
        let act = self.to_keep(&payload);
        if let Some(draft) = self.draft(&payload) {
            return self.post(draft?, fired, act).await;
        }
        self.lie(fired.as_ref(), Delay::Before).await?;
        if self.route == Route::Replay {
            // Changes nothing that is kept: whom it told is nobody's memory but theirs.
            let done = self.replay().await?;
            self.lie(fired.as_ref(), Delay::After).await?;
            return Ok(done);
        }
        let done = self.keep(act, || self.serve(&payload), |done| done.as_ref().ok());
        let done = done.await??;
        self.lie(fired.as_ref(), Delay::After).await?;
        Ok(done)
    }

    /// The same at once, when it is done again.
    pub(super) fn act_again(&self, payload: &Payload) -> Result<Done, Refusal> {
        let Some(draft) = self.draft(payload) else {
            return self.serve(payload);
        };
        match self.submit(&draft?, None) {
            Submitted::Done(done) => Ok(done),
            Submitted::Refused(refusal) => Err(refusal),
            Submitted::Held(_) | Submitted::Reserved(..) => Err(Refusal::new(code::INTERNAL)),
        }
    }

    /// The message to send, where the route sends one.
    fn draft(&self, payload: &Payload) -> Option<Result<Draft, Refusal>> {
        let Payload::Json(json) = payload else {
            return None;
        };
        let form = self.form(json);
        let draft = if self.route == Route::Send {
            send_fields::send(form)
        } else if self.route == Route::Chats {
            send_fields::chats(form)
        } else if self.route == Route::Messages {
            send_fields::follow_up(form, &self.id)
        } else if self.route == Route::Locations {
            cards::location(form, self.entry.provider_us)
        } else {
            return None;
        };
        Some(draft)
    }

    fn serve(&self, payload: &Payload) -> Result<Done, Refusal> {
        match (self.route, payload) {
            (Route::History, _) => self.history(),
            (Route::Message, _) => self.message(),
            (Route::Events, _) => self.events(),
            (Route::Event, _) => self.event(),
            (Route::DevInbox, _) => self.dev_inbox(),
            (Route::Subscribe, payload) => self.subscribe(payload),
            (Route::Subscriptions, _) => Ok(self.subscriptions()),
            (Route::Subscription, _) => self.subscription(),
            (Route::ChangeSubscription, payload) => self.change_subscription(payload),
            (Route::Unsubscribe, _) => self.unsubscribe(),
            (Route::Download, _) => self.content(),
            (Route::EventStream, _) => self.stream(),
            (Route::PhoneNumbers, _) => {
                Ok(Done::new(render::phone_numbers(&self.chert.store().lines)))
            }
            (Route::Act(action), payload) => self.perform(action, payload),
            (Route::Attachments, Payload::Json(json)) => self.slot(json),
            (Route::Upload, Payload::File(digest, size)) => upload::finish(self, (*digest, *size)),
            _ => Err(Refusal::new(code::RESOURCE_NOT_FOUND)),
        }
    }

    /// Accepts a message, once for each key.
    async fn post(
        &self,
        draft: Draft,
        fired: Option<Fired>,
        act: Option<CallAct>,
    ) -> Result<Done, Refusal> {
        let fired = fired.as_ref();
        let deadline = tokio::time::Instant::now()
            + Duration::try_from(self.chert.hold).unwrap_or(Duration::ZERO);
        loop {
            let submit = || self.submit(&draft, fired);
            match self.keep(act.clone(), submit, Submitted::done).await? {
                Submitted::Done(done) => {
                    self.lie(fired, Delay::After).await?;
                    return Ok(done);
                }
                Submitted::Refused(refusal) => return Err(refusal),
                Submitted::Held(running) => self.hold(&running, deadline).await?,
                Submitted::Reserved(reservation, epoch) => {
                    self.lie(fired, Delay::Before).await?;
                    let accept = || self.accept(&draft, epoch);
                    let done = self.keep(act, accept, |done| done.as_ref().ok());
                    let done = done.await??;
                    self.lie(fired, Delay::After).await?;
                    drop(reservation);
                    return Ok(done);
                }
            }
        }
    }

    pub(super) fn form<'a>(&'a self, json: &'a Value) -> Form<'a> {
        Form {
            path: &self.entry.path,
            json,
            body: self.entry.body.unwrap_or_else(|| Digest::of(b"")),
        }
    }

    /// Looks at the key, and accepts at once unless the request is to lie first.
    fn submit(&self, draft: &Draft, fired: Option<&Fired>) -> Submitted {
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        match store.recall(self.tenant, draft, now_us) {
            Recall::Taken(number) => Submitted::Done(Done {
                replay: true,
                ..done(&store, number)
            }),
            Recall::Running(running) => Submitted::Held(running),
            Recall::OtherMeaning => Submitted::Refused(
                Refusal::new(code::INVALID_STATE)
                    .because("This idempotency_key was used with another body"),
            ),
            Recall::Free if fired.is_some_and(|fired| fired.fault.delay().is_some()) => {
                let epoch = store.epoch;
                let reservation = draft.key.as_ref().map(|key| Reservation {
                    chert: Arc::clone(&self.chert),
                    tenant: self.tenant,
                    key: key.clone(),
                    epoch,
                    running: store.keys(self.tenant).reserve(key, now_us),
                });
                Submitted::Reserved(reservation, epoch)
            }
            Recall::Free => match store.accept(self.tenant, draft, now_us) {
                Ok(number) => Submitted::Done(done(&store, number)),
                Err(refusal) => Submitted::Refused(self.for_client(refusal)),
            },
        }
    }

    /// Accepts what has lain, unless a reset came in between.
    fn accept(&self, draft: &Draft, epoch: u64) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        if store.epoch != epoch {
            return Err(
                Refusal::new(code::DELIVERY_UNAVAILABLE).because("The sandbox was reset meanwhile")
            );
        }
        let accepted = store.accept(self.tenant, draft, now_us);
        let number = accepted.map_err(|refusal| self.for_client(refusal))?;
        Ok(done(&store, number))
    }

    /// A line has room again at a moment of the provider's; the client waits by its own clock.
    pub(super) fn for_client(&self, refusal: Refusal) -> Refusal {
        let wait = refusal.retry_after;
        let time = &self.chert.host.time;
        Refusal {
            retry_after: wait.map(|seconds| time.client_seconds(seconds)),
            ..refusal
        }
    }

    /// Waits for the request that is using the key (chert §5).
    async fn hold(
        &self,
        running: &CancellationToken,
        deadline: tokio::time::Instant,
    ) -> Result<(), Refusal> {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        match self.chert.host.wait(running, left).await {
            Waited::Released => Ok(()),
            Waited::Expired => Err(Refusal::new(code::INVALID_STATE)
                .because("A request with this idempotency_key is still being handled")
                .after(1)),
            Waited::Stopped => {
                Err(Refusal::new(code::DELIVERY_UNAVAILABLE)
                    .because("The sandbox is shutting down"))
            }
        }
    }

    /// `GET /messages/{id}` (chert §8.1).
    fn message(&self) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let store = self.chert.store();
        let (message, chat) = store
            .message(self.tenant, &self.id)
            .ok_or_else(|| Refusal::new(code::MESSAGE_NOT_FOUND))?;
        let progress = self.chert.receipts.of(message, chat, now_us);
        Ok(Done::new(render::one(message, chat, progress)))
    }

    /// `GET /chats/{id}/messages`: the latest, oldest first (chert §8.2).
    fn history(&self) -> Result<Done, Refusal> {
        let now_us = self.chert.host.now_us();
        let store = self.chert.store();
        let (number, chat) = store
            .chat(self.tenant, &self.id)
            .ok_or_else(|| Refusal::new(code::CHAT_NOT_FOUND))?;
        let sent = chat
            .messages
            .iter()
            .filter_map(|number| store.messages.get(*number))
            .map(|message| {
                let progress = self.chert.receipts.of(message, chat, now_us);
                (message.at_us, render::row(message, chat, progress))
            });
        let received = store
            .inbound_of(number)
            .map(|one| (one.at_us, one.message(chat).to_string()));
        let mut rows: Vec<(i64, String)> = sent.chain(received).collect();
        rows.sort_by_key(|(at_us, _)| *at_us);
        let older = rows.len().saturating_sub(HISTORY);
        let has_more = if older > 0 { HasMore::Yes } else { HasMore::No };
        let latest = rows.into_iter().skip(older).map(|(_, row)| row);
        Ok(Done::new(render::history(latest, has_more)))
    }

    /// `POST /attachments` (chert §10.1).
    fn slot(&self, json: &Value) -> Result<Done, Refusal> {
        let announced = Announced::read(json)?;
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let seed = store.seed();
        let made = store.slots(self.tenant).make(seed, announced, now_us);
        let id = ids::message_text(made.id);
        let named = self
            .host
            .as_deref()
            .filter(|host| host.parse::<Authority>().is_ok());
        let authority = named.unwrap_or(&self.chert.authority);
        let body = json!({
            "attachment_id": id,
            "upload_url": format!("http://{authority}/api/v1/attachments/{id}/upload"),
            "required_headers": {
                "authorization": "Bearer <your-signing-secret>",
                "content-type": made.content_type,
            },
            "expires_at": time_text(made.expires_at_us),
        });
        Ok(Done::new(body.to_string()))
    }
}

/// What a draft came to.
enum Submitted {
    Done(Done),
    Refused(Refusal),
    /// Another request is using the key; ask again once this is cancelled.
    Held(CancellationToken),
    /// The key, if there is one, is taken until the reservation goes; the number tells whether
    /// a reset came in between.
    Reserved(Option<Reservation>, u64),
}

impl Submitted {
    fn done(&self) -> Option<&Done> {
        match self {
            Self::Done(done) => Some(done),
            Self::Refused(_) | Self::Held(_) | Self::Reserved(..) => None,
        }
    }
}

/// The answer for a message that was accepted: the same whenever it is asked for.
pub(super) fn done(store: &Store, number: MessageNo) -> Done {
    store.entry(number).map_or_else(
        || Done::new(String::new()),
        |(message, chat)| Done {
            message_id: Some(message.id),
            status: match message.origin {
                Origin::Location(_) => 202,
                Origin::Chats | Origin::FollowUp | Origin::Contact | Origin::Send { .. } => 200,
            },
            ..Done::new(render::accepted(message, chat, &store.lines))
        },
    )
}

/// A key in use; given back when this goes, however the request ends.
struct Reservation {
    chert: Arc<Chert>,
    tenant: TenantNo,
    key: Key,
    epoch: u64,
    running: CancellationToken,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut store = self.chert.store();
        if store.epoch == self.epoch {
            store.keys(self.tenant).release(&self.key);
        }
        drop(store);
        // Only now, so that whoever waits finds the key released.
        self.running.cancel();
    }
}
