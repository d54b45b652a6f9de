//! HueChat as the contract says it behaves (huechat §1 to §12). Its routes and what it remembers;
//! shares no code with the client, so that each side checks the other.

mod accepting;
mod budget;
mod contacts;
mod conversations;
mod courier;
mod endings;
mod errors;
mod events;
mod exchange;
mod fields;
mod happenings;
mod inbound;
mod messages;
mod numbers;
mod openapi;
mod operations;
mod pages;
mod records;
mod redo;
mod routes;
mod schemas;
mod scopes;
mod store;
mod templates;
mod trials;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::sync::{Notify, watch};

pub use budget::HuePlan;
pub use courier::HueDeliveryRecord;
pub use inbound::{BadHueIncoming, HueIncoming};
pub use numbers::{HueNumber, hue_numbers};
pub use records::{HueContactRecord, HueMessageRecord, HueReport};
pub(super) use routes::router;
pub use scopes::{HueKey, HueScope};
pub use templates::{BadTemplates, HueApproval, HueCategory, HueTemplate};

use super::Numbers;
use super::host::Host;
use super::outbound::Outbound;
use crate::domain::channel::Channel;
use store::Store;

/// What becomes of a free message to somebody who has not written within the last 24 hours
/// (huechat §8, §15 A1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HueWindow {
    /// It is accepted, and fails later.
    #[default]
    Async,
    /// It is refused: 422 `outside_messaging_window`.
    Sync,
    /// The window is always open.
    Off,
}

/// How the sandbox's HueChat behaves.
#[derive(Debug, Clone)]
pub struct HueConfig {
    pub plan: HuePlan,
    /// Messages that an account may send in a month; `None`: any number.
    pub monthly_messages: Option<u32>,
    /// Keys that may not do everything; any other test key may.
    pub keys: Vec<HueKey>,
    pub window: HueWindow,
    /// When a message counts as delivered; `None`: never.
    pub delivered_after: Option<SignedDuration>,
    /// When it counts as read, after it was accepted; `None`: never.
    pub read_after: Option<SignedDuration>,
    /// How many of a hundred messages are read.
    pub read_percent: u8,
    /// Whether the numbers of fiction decide what becomes of a message to them.
    pub numbers: Numbers,
    /// The channels of every account.
    pub channels: Vec<Channel>,
    /// The templates of every account.
    pub templates: Vec<HueTemplate>,
    /// Whether a second request with an `Idempotency-Key` gets the first one's answer. Production
    /// is not known to do that.
    pub honour_keys: bool,
    /// Whether there is `GET /message/{id}`, which production is not known to have.
    pub single_messages: bool,
}

impl Default for HueConfig {
    fn default() -> Self {
        Self {
            plan: HuePlan::default(),
            monthly_messages: None,
            keys: Vec::new(),
            window: HueWindow::default(),
            delivered_after: Some(SignedDuration::from_millis(200)),
            read_after: Some(SignedDuration::from_millis(500)),
            read_percent: 50,
            numbers: Numbers::default(),
            channels: Channel::ALL.to_vec(),
            templates: templates::usual(),
            honour_keys: false,
            single_messages: false,
        }
    }
}

/// The provider.
#[derive(Debug)]
pub(super) struct Hue {
    host: Arc<Host>,
    config: HueConfig,
    seed: u64,
    store: Mutex<Store>,
    /// Something may be due before all else.
    arranged: Notify,
    /// Changes whenever there may be somebody to tell of something.
    news: watch::Sender<u64>,
    outbound: Outbound,
}

impl Hue {
    pub(super) fn new(config: HueConfig, seed: u64, host: Arc<Host>, outbound: Outbound) -> Self {
        Self {
            host,
            store: Mutex::new(Store::new(&config, seed)),
            config,
            seed,
            arranged: Notify::new(),
            news: watch::Sender::new(0),
            outbound,
        }
    }

    /// Held for a few microseconds at a time, never across an await. Whatever was due by now has
    /// happened.
    fn store(&self) -> MutexGuard<'_, Store> {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        if store.agenda.next_us().is_some() && store.catch_up(self.host.now_us()) {
            self.tell_news();
        }
        store
    }

    /// Wakes the courier.
    fn tell_news(&self) {
        self.news.send_modify(|news| *news = news.wrapping_add(1));
    }

    /// Whether nothing has been created or received since the start or the last reset.
    pub(super) fn is_untouched(&self) -> bool {
        self.store().contacts.is_empty()
    }

    /// Forgets everything.
    pub(super) fn reset(&self) {
        self.store().reset();
    }
}
