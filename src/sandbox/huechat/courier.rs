//! Tells subscribers of events: writes out what is due, signs it, and notes how each try ended
//! (huechat §10.4 to §10.6). The loop is [`crate::sandbox::rounds`]'.

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use sha2::Sha256;
use tokio::task::JoinSet;

use super::Hue;
use super::webhooks::Errand;
use crate::domain::digest::hex;
use crate::sandbox::journal::time_text;
use crate::sandbox::outbound::NoAnswer;
use crate::sandbox::rounds;

/// Tries that are remembered; the oldest goes for the newest.
const MOST_TRIES: usize = 10_000;

/// One try to tell a webhook of an event.
#[derive(Debug, Clone, Serialize)]
pub struct HueDeliveryRecord {
    pub at: String,
    pub webhook_id: String,
    pub event_id: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub retry_count: u32,
    /// Absent where there was no answer.
    pub status: Option<u16>,
    /// Why there was none.
    pub error: Option<&'static str>,
}

/// The latest tries.
#[derive(Debug, Default)]
pub(super) struct Tries(std::collections::VecDeque<HueDeliveryRecord>);

impl Tries {
    fn note(&mut self, one: HueDeliveryRecord) {
        if self.0.len() >= MOST_TRIES {
            self.0.pop_front();
        }
        self.0.push_back(one);
    }

    pub(super) fn all(&self) -> Vec<HueDeliveryRecord> {
        self.0.iter().cloned().collect()
    }
}

impl Hue {
    /// Makes the calls that are due, until the sandbox stops.
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
            on_the_way.spawn(Arc::clone(self).call(errand, epoch));
        }
        None
    }

    /// One try, and the plan for the next one.
    async fn call(self: Arc<Self>, mut errand: Errand, epoch: u64) {
        let at_us = self.host.now_us();
        let told_us = errand.told_us.unwrap_or_else(|| self.host.machine_us());
        errand.told_us = Some(told_us);
        let body = errand.event.payload(errand.retry, told_us).to_string();
        let Some(mac) = sign(&errand.secret, &body) else {
            return;
        };
        let headers = vec![("x-huechat-signature", format!("sha256={mac}"))];
        let came_to = self.outbound.post(&errand.to, headers, body).await;
        let ended_us = self.host.now_us();
        let mut store = self.store();
        if store.epoch != epoch {
            return;
        }
        store.tries.note(HueDeliveryRecord {
            at: time_text(at_us),
            webhook_id: errand.id.clone(),
            event_id: errand.event.id_text(),
            kind: errand.event.kind.name(),
            retry_count: errand.retry,
            status: came_to.ok(),
            error: came_to.err().map(NoAnswer::why),
        });
        // Any 2xx is success; a call that the sandbox does not make is not tried again.
        if !matches!(came_to, Ok(200..300) | Err(NoAnswer::NotSent(_))) {
            store.hooks.again(&errand, ended_us);
        }
        // Only now may the next call to this receiver set out.
        drop(errand.lane);
    }
}

/// Lower-case hex of HMAC-SHA256 over the body; the key is the secret's whole text.
fn sign(secret: &SecretString, body: &str) -> Option<String> {
    // HMAC takes keys of every length; the error exists in the type only.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(body.as_bytes());
    Some(hex(&mac.finalize().into_bytes()))
}
