//! Chert as the contract says it behaves (chert §1 to §12, §14, §15). Its routes and what
//! it remembers; shares no code with the client, so that each side checks the other.

mod actions;
mod agenda;
mod album;
mod auth;
mod capacity;
mod cards;
mod courier;
mod deliveries;
mod edits;
mod errors;
mod events;
mod exchange;
mod groups;
mod heard;
mod ids;
mod inbound;
mod keys;
mod lines;
mod numbers;
mod openapi;
mod operations;
mod parts;
mod phones;
mod pictures;
mod place;
mod post;
mod reactions;
mod receipts;
mod records;
mod redo;
mod render;
mod room;
mod routes;
mod schemas;
mod send_fields;
mod slots;
mod store;
mod stream;
mod tenants;
mod trials;
mod upload;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

pub use auth::Strangers;
pub use capacity::Capacity;
pub use heard::InboundRecord;
pub use inbound::{BadIncoming, Incoming};
pub use lines::{Capability, LineChange, LineReport};
pub use numbers::{LabNumber, lab_numbers};
pub(super) use openapi::document;
pub use pictures::BadFile;
pub use reactions::{BadReaction, Reaction};
pub use receipts::ReceiptStyle;
pub(super) use records::Written;
pub use records::{ActionRecord, ChatRecord, FileRecord, MessageRecord};
pub(super) use routes::router;
pub use stream::StreamTiming;
pub use tenants::{Standing, Tenant, TenantKind};

use super::SandboxConfig;
use super::host::Host;
use super::outbound::Outbound;
use crate::domain::pace::Limit;
use auth::Doorman;
use receipts::Receipts;
use store::Store;
use tenants::Tenants;

/// The provider.
#[derive(Debug)]
pub(super) struct Chert {
    host: Arc<Host>,
    doorman: Doorman,
    store: Mutex<Store>,
    /// Changes whenever the event log does; outlives a reset, as the open streams do.
    news: watch::Sender<u64>,
    /// Somebody of the lab may have something to do that is due before all else.
    arranged: Notify,
    stream: StreamTiming,
    outbound: Outbound,
    limit: Option<Limit>,
    receipts: Receipts,
    /// How long a request is held while another with its key is being handled.
    hold: SignedDuration,
    /// Where uploads go when a request does not say by which name it reached the sandbox.
    authority: String,
}

impl Chert {
    pub(super) fn new(config: &SandboxConfig, host: Arc<Host>, authority: String) -> Self {
        Self {
            host,
            doorman: Doorman {
                tenants: RwLock::new(Tenants::new(config.seed, &config.tenants)),
                strangers: config.strangers,
            },
            store: Mutex::new(Store::new(config)),
            news: watch::Sender::new(0),
            arranged: Notify::new(),
            stream: config.stream,
            outbound: Outbound::new(config.webhooks, config.webhook_timeout),
            limit: config.rate,
            receipts: Receipts {
                seed: config.seed,
                style: config.receipts,
                delivered_after: config.delivered_after,
                read_after: config.read_after,
                numbers: config.numbers,
            },
            hold: config.hold,
            authority,
        }
    }

    /// Held for a few microseconds at a time, never across an await. Whatever was due by now has
    /// happened.
    fn store(&self) -> MutexGuard<'_, Store> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.next_due_us().is_some() && store.catch_up(self.host.now_us()) {
            self.tell_news();
        }
        store
    }

    /// Whether nothing has been received or announced since the start or the last reset.
    pub(super) fn is_untouched(&self) -> bool {
        let store = self.store();
        store.chats.is_empty() && store.all_slots().all(slots::Slots::is_empty)
    }

    /// Forgets everything but the tenants and the lines.
    pub(super) fn reset(&self) {
        self.store().reset();
        self.tell_news();
    }

    /// Wakes whoever follows the event log.
    fn tell_news(&self) {
        self.news.send_modify(|news| *news = news.wrapping_add(1));
    }
}
