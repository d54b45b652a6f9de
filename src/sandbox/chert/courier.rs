//! Tells subscribers of events: the loop that makes the calls that are due, the signature they
//! carry, and the replay that somebody asks for (chert §13, §14). No answer of the provider waits
//! for it but that of a replay, which is about nothing else.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Chert;
use super::deliveries::Tried;
use super::errors::{Refusal, code};
use super::events::pairs;
use super::exchange::{Call, Done};
use super::ids;
use super::webhooks::Errand;
use crate::domain::digest::hex;
use crate::sandbox::rounds;

/// A call with everything in it.
#[derive(Debug)]
struct Letter {
    errand: Errand,
    /// Of the log that the event stands in; a reset makes another one.
    epoch: u64,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Chert {
    /// Makes the calls that are due, until the sandbox stops; then those on their way are
    /// dropped.
    pub(in crate::sandbox) async fn deliver(self: Arc<Self>) {
        let news = self.news.subscribe();
        rounds::deliver(&self.host, news, |on_the_way| self.set_out(on_the_way)).await;
    }

    /// Starts what is due. Answers when there will be more to start; `None`: nobody can tell yet.
    fn set_out(self: &Arc<Self>, on_the_way: &mut JoinSet<()>) -> Option<i64> {
        let now_us = self.host.now_us();
        while on_the_way.len() < rounds::AT_ONCE {
            let mut store = self.store();
            let epoch = store.epoch;
            let Some(errand) = store.hooks.take(now_us) else {
                return store.hooks.next_us();
            };
            drop(store);
            if let Some(letter) = self.letter(errand, epoch) {
                on_the_way.spawn(Arc::clone(self).call(letter));
            }
        }
        None
    }

    /// Writes out what an errand carries; `None`: a reset took the event away.
    fn letter(&self, errand: Errand, epoch: u64) -> Option<Letter> {
        let (payload, kind, event_id) = {
            let store = self.store();
            let one = store.inbound.get(errand.event)?;
            if store.epoch != epoch {
                return None;
            }
            let chat = store.chats.get(one.chat)?;
            let slug = self.doorman.slug_of(one.tenant);
            let payload = one.payload(&slug, chat, &store.lines);
            (payload, one.kind.name(), one.event_id.to_string())
        };
        let body = payload.to_string();
        let seconds = self.host.machine_us().div_euclid(1_000_000);
        let mac = sign(&errand.secret, seconds, &body)?;
        let headers = vec![
            ("x-webhook-event", kind.to_owned()),
            ("x-webhook-event-id", event_id),
            ("x-webhook-subscription-id", ids::message_text(errand.id)),
            ("x-webhook-timestamp", seconds.to_string()),
            ("x-webhook-signature", format!("t={seconds},v1={mac}")),
            ("x-chert-signature", format!("v1,{seconds},{mac}")),
        ];
        Some(Letter {
            errand,
            epoch,
            headers,
            body,
        })
    }

    async fn post(&self, letter: &mut Letter) -> Tried {
        let (at_us, begun) = (self.host.now_us(), Instant::now());
        let headers = std::mem::take(&mut letter.headers);
        let body = std::mem::take(&mut letter.body);
        let came_to = self.outbound.post(&letter.errand.to, headers, body).await;
        Tried {
            at_us,
            ended_us: self.host.now_us(),
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            came_to,
        }
    }

    /// One try by plan, and the plan for the next one.
    async fn call(self: Arc<Self>, mut letter: Letter) {
        let tried = self.post(&mut letter).await;
        let Letter { errand, epoch, .. } = letter;
        let mut store = self.store();
        if store.epoch != epoch {
            return;
        }
        let store = &mut *store;
        let Some(one) = store.inbound.get_mut(errand.event) else {
            return;
        };
        if let Some(next_us) = one.deliveries.tried(errand.sub, tried)
            && !store.hooks.again(errand.sub, next_us, errand.event)
        {
            one.deliveries.give_up(errand.sub);
        }
        // Only now may the next call to this receiver set out.
        drop(errand.lane);
    }

    /// One try that somebody waits for.
    async fn call_again(&self, mut letter: Letter) -> Tried {
        let tried = self.post(&mut letter).await;
        let Letter { errand, epoch, .. } = letter;
        let mut store = self.store();
        let store = &mut *store;
        let same = store.epoch == epoch;
        if let Some(one) = store.inbound.get_mut(errand.event).filter(|_| same)
            && one
                .deliveries
                .replayed(errand.sub, (errand.id, &errand.url), tried)
        {
            store.hooks.forget(errand.sub, errand.event);
        }
        tried
    }
}

/// Lower-case hex of HMAC-SHA256 over the second and the body; the key is the secret's text.
fn sign(secret: &SecretString, seconds: i64, body: &str) -> Option<String> {
    // HMAC takes keys of every length; the error exists in the type only.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body.as_bytes());
    Some(hex(&mac.finalize().into_bytes()))
}

impl Call {
    /// `POST /events/{id}/replay`: tells of an event once more, at once, and answers what came of it.
    pub(super) async fn replay(&self) -> Result<Done, Refusal> {
        let stopping =
            || Refusal::new(code::DELIVERY_UNAVAILABLE).because("The sandbox is shutting down");
        let letters = self.letters()?;
        let mut worst: Option<Tried> = None;
        let mut reached = None;
        for letter in letters {
            let tried = tokio::select! {
                // The receiver's own time limit ends the call; the sandbox's end drops it, as it
                // does those by plan.
                () = self.chert.host.stop.cancelled() => return Err(stopping()),
                tried = self.chert.call_again(letter) => tried,
            };
            if tried.is_delivered() {
                reached = tried.came_to.ok();
            } else {
                worst.get_or_insert(tried);
            }
        }
        match worst {
            None => {
                let body: Value =
                    json!({ "ok": true, "event_id": self.id, "downstream_status": reached });
                Ok(Done::new(body.to_string()))
            }
            Some(tried) => {
                let refusal = Refusal::new(code::DELIVERY_ERROR);
                Err(match tried.came_to {
                    Ok(status) => refusal
                        .because(format!("The receiver answered {status}"))
                        .downstream(status),
                    Err(why) => refusal.because(why.why()),
                })
            }
        }
    }

    fn letters(&self) -> Result<Vec<Letter>, Refusal> {
        let pairs = pairs(&self.query)?;
        let named = pairs.get("subscription_id").map(String::as_str);
        let store = self.chert.store();
        let epoch = store.epoch;
        let (number, one) = store
            .event(self.tenant, &self.id)
            .ok_or_else(|| Refusal::new(code::RESOURCE_NOT_FOUND))?;
        let about = (self.tenant, one.kind.name());
        let errands = store
            .hooks
            .errands(about, (number, &one.deliveries), named)?;
        drop(store);
        let letters = errands
            .into_iter()
            .filter_map(|errand| self.chert.letter(errand, epoch));
        Ok(letters.collect())
    }
}
