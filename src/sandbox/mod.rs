//! The local providers: a server on this machine that behaves as the contract says, for
//! rehearsals, and as the oracle of the crash tests. Sends nothing anywhere.
//!
//! [`Sandbox`] is the handle: it serves, and tells what was received. `wire` and `host` are
//! the ground, `faults` and `journal` what happens to a request and what is kept of it,
//! `chert` and `huechat` the providers, `control` the surface under `/_sandbox/`, `phones` the page for people, and
//! `guard` keeps strangers from both.

mod agenda;
mod asserting;
mod chert;
mod control;
mod ending;
mod faults;
mod forms;
mod guard;
mod host;
mod huechat;
mod ids;
mod journal;
mod memory;
mod outbound;
mod paste;
mod phones;
mod received;
mod rounds;
mod time;
mod turning;
mod wire;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use asserting::{Assertion, BadAssertion, By, Counted, Lines, Pace, Sameness, Verdict};
pub use chert::{
    ActionRecord, BadFile, BadIncoming, BadReaction, Capability, Capacity, ChatRecord, FileRecord,
    InboundRecord, Incoming, LabNumber, LineChange, LineReport, MessageRecord, Reaction,
    ReceiptStyle, Standing, Strangers, StreamTiming, Tenant, TenantKind, lab_numbers,
};
pub use faults::{
    Answer, BadPlan, Fault, FaultPlan, FaultReport, Match, RouteMatch, Rule, RuleReport,
};
pub use huechat::{
    BadHueIncoming, BadTemplates, HueApproval, HueCategory, HueConfig, HueContactRecord,
    HueDeliveryRecord, HueIncoming, HueKey, HueMessageRecord, HueNumber, HuePlan, HueReport,
    HueScope, HueTemplate, HueWindow, hue_numbers,
};
pub use journal::{Filter, RequestRecord};
pub use memory::{Recalled, StateError};
use outbound::Outbound;
pub use outbound::Reach;
pub use paste::{HuePaste, KEY_VARIABLE, Paste, SECRET_VARIABLE};
pub use received::{JournalReport, Person, ReceivedReport, Totals};
pub use time::Clock;
pub use turning::{BadTurn, ClockReport, Turn};

use crate::domain::account::DEFAULT_RETENTION;
use crate::domain::pace::{Limit, Rate};
use crate::domain::phone::{Phone, PhoneError};
use chert::Chert;
use host::Host;
use huechat::Hue;
use time::Time;
use wire::{Cut, Doorway};

/// Where `sendoff sandbox` listens when it is not told.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:4010";

/// The rate of every tenant where nothing else is said: 10 requests a second, 20 at once
/// (chert §4.1).
pub fn default_rate() -> Limit {
    const PER_SECOND: NonZeroU32 = NonZeroU32::new(10).unwrap();
    const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
    Limit {
        rate: Rate::per_second(PER_SECOND),
        burst: BURST,
    }
}

/// The lines of a sandbox that is told none: the numbers of the shipped examples.
const DEFAULT_LINES: [&str; 2] = ["+15555550100", "+15555550101"];

/// How long open connections may go on once the sandbox is to stop.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// How a sandbox behaves.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// All ids and made-up credentials follow from it.
    pub seed: u64,
    /// Known from the start; empty: [`Tenant::of_seed`] alone.
    pub tenants: Vec<Tenant>,
    pub strangers: Strangers,
    /// The sender lines, all active, of every tenant; empty: two fictional ones.
    pub lines: Vec<Phone>,
    /// Requests per tenant; `None`: unlimited.
    pub rate: Option<Limit>,
    /// When a message counts as delivered; `None`: never.
    pub delivered_after: Option<SignedDuration>,
    /// When it counts as read, after it was accepted; `None`: never.
    pub read_after: Option<SignedDuration>,
    /// Whether the two lengths above hold for all, or every message has its own.
    pub receipts: ReceiptStyle,
    /// Whether the lab's numbers decide what becomes of a message to them.
    pub numbers: Numbers,
    /// The other provider.
    pub huechat: HueConfig,
    /// Whom the sandbox calls to tell of events.
    pub webhooks: Reach,
    /// How long a receiver has to answer, by the machine's clock (chert §13).
    pub webhook_timeout: Duration,
    /// What each line can do a day; `None`: anything.
    pub capacity: Option<Capacity>,
    /// How long an idempotency key is remembered (chert §5).
    pub key_retention: SignedDuration,
    /// How long a request waits for another one with its key (chert §5).
    pub hold: SignedDuration,
    /// How the event stream keeps itself alive, and when it ends (chert §14).
    pub stream: StreamTiming,
    /// The machine's time. The provider's follows it, as far as it is not turned.
    pub clock: Clock,
    /// How many seconds of the provider pass in one of the machine's.
    pub clock_rate: NonZeroU32,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            tenants: Vec::new(),
            strangers: Strangers::default(),
            lines: Vec::new(),
            rate: Some(default_rate()),
            delivered_after: Some(SignedDuration::from_secs(2)),
            read_after: Some(SignedDuration::from_secs(10)),
            receipts: ReceiptStyle::default(),
            numbers: Numbers::default(),
            capacity: None,
            key_retention: DEFAULT_RETENTION,
            hold: SignedDuration::from_secs(30),
            stream: StreamTiming::default(),
            huechat: HueConfig::default(),
            webhooks: Reach::default(),
            webhook_timeout: Duration::from_secs(10),
            clock: Clock::system(),
            clock_rate: NonZeroU32::MIN,
        }
    }
}

/// What the block of the lab's numbers is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Numbers {
    /// People each of whom always behaves in one way; see [`lab_numbers`].
    #[default]
    Lab,
    /// People like any other.
    Plain,
}

/// Sets of choices with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Lines without limits, receipts all alike and within seconds.
    #[default]
    Instant,
    /// The capacity that the contract gives, and receipts as people make them.
    Realistic,
}

impl SandboxConfig {
    /// As a profile has it, and otherwise by default.
    pub fn of(profile: Profile) -> Self {
        match profile {
            Profile::Instant => Self::default(),
            Profile::Realistic => Self {
                receipts: ReceiptStyle::Human,
                capacity: Some(Capacity::default()),
                ..Self::default()
            },
        }
    }
}

/// Why a sandbox cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox cannot tell at which address it listens")]
    Address(#[source] std::io::Error),
    #[error("the sandbox's own line '{0}' is no phone number in E.164")]
    Line(&'static str, #[source] PhoneError),
    #[error("the sandbox stopped, as it could not write its state file")]
    State,
    #[error("the sandbox stopped serving")]
    Serve(#[source] std::io::Error),
}

/// A sandbox: cheap to clone, every clone is the same one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    host: Arc<Host>,
    chert: Arc<Chert>,
    hue: Arc<Hue>,
    /// The tenant that pasted settings are for.
    first: Arc<Tenant>,
    lines: Arc<[Phone]>,
    rate: Option<Limit>,
    seed: u64,
    address: SocketAddr,
}

impl Sandbox {
    /// A sandbox that will be reached at `address`. Nothing is served yet.
    pub fn new(mut config: SandboxConfig, address: SocketAddr) -> Result<Self, SandboxError> {
        if config.lines.is_empty() {
            let line = |text| Phone::from_e164(text).map_err(|e| SandboxError::Line(text, e));
            config.lines = DEFAULT_LINES
                .into_iter()
                .map(line)
                .collect::<Result<_, _>>()?;
        }
        if config.tenants.is_empty() {
            config.tenants.push(Tenant::of_seed(config.seed));
        }
        let host = Arc::new(Host::new(Time::new(
            config.clock.clone(),
            config.clock_rate,
        )));
        let first = config.tenants.first().cloned();
        Ok(Self {
            hue: Arc::new(Hue::new(
                config.huechat.clone(),
                config.seed,
                Arc::clone(&host),
                Outbound::new(config.webhooks, config.webhook_timeout),
            )),
            chert: Arc::new(Chert::new(&config, Arc::clone(&host), address.to_string())),
            host,
            first: Arc::new(first.unwrap_or_else(|| Tenant::of_seed(config.seed))),
            lines: config.lines.into(),
            rate: config.rate,
            seed: config.seed,
            address,
        })
    }

    /// What a client's `base_url` is to be: ends in `/api/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// Where the phones are looked at, in a browser.
    pub fn page_url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Where the control surface is: ends in `/_sandbox`.
    pub fn control_url(&self) -> String {
        format!("http://{}/_sandbox", self.address)
    }

    /// Serves until `shutdown`, then ends open connections within half a second. Requests
    /// that lie under a delay are answered first. Ends this sandbox for good.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), SandboxError> {
        let abort = CancellationToken::new();
        let doorway = Doorway {
            listener,
            abort: abort.clone(),
        };
        let app = chert::router(Arc::clone(&self.chert))
            .merge(huechat::router(Arc::clone(&self.hue)))
            .merge(
                control::router(self.clone())
                    .merge(phones::router(self.clone()))
                    .layer(axum::middleware::from_fn(guard::keep_out_strangers)),
            )
            .into_make_service_with_connect_info::<Cut>();
        let stop = self.host.stop.clone();
        let stopping = async move {
            shutdown.cancelled().await;
            stop.cancel();
        };
        let serving = axum::serve(doorway, app).with_graceful_shutdown(stopping);
        let mut serving = std::pin::pin!(serving.into_future());
        self.host.tasks.spawn(Arc::clone(&self.chert).keep_time());
        self.host.tasks.spawn(Arc::clone(&self.chert).deliver());
        self.host.tasks.spawn(Arc::clone(&self.hue).keep_time());
        self.host.tasks.spawn(Arc::clone(&self.hue).deliver());
        let grace = async {
            self.host.stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let served = tokio::select! {
            // cancel-safe: `serving` is polled again below; the grace only waits.
            served = &mut serving => served,
            () = grace => {
                abort.cancel();
                serving.await
            }
        };
        self.host.tasks.close();
        self.host.tasks.wait().await;
        // What was answered is written; a loss of power from now on does not undo it either.
        let synced = self.host.memory.sync().await;
        if self.host.memory.has_failed() || synced.is_err() {
            return Err(SandboxError::State);
        }
        served.map_err(SandboxError::Serve)
    }

    /// Puts a fault plan in force, in place of the last one; an empty plan ends all faults.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.host.set_faults(plan);
    }

    /// The plan in force, and how often each rule has fired.
    pub fn faults(&self) -> FaultReport {
        self.host.faults().report()
    }

    /// Keeps a file that a person is to send; answers the id by which [`Incoming`] names it.
    pub fn keep_file(&self, content_type: &str, bytes: Bytes) -> Result<String, BadFile> {
        self.chert.keep_file(content_type, bytes)
    }

    /// A person writes to a line: the event log tells of it from now on. Answers the event's name.
    pub fn receive(&self, incoming: &Incoming) -> Result<String, BadIncoming> {
        self.chert.receive(incoming, None)
    }

    /// The same to a line of the tenant of this name.
    pub fn receive_for(&self, tenant: &str, incoming: &Incoming) -> Result<String, BadIncoming> {
        self.chert.receive(incoming, Some(tenant))
    }

    /// A person reacts to a message that they received, or takes it back. Answers the names of the
    /// events that tell of it: two where one reaction takes the place of another.
    pub fn react(&self, reaction: &Reaction) -> Result<Vec<String>, BadReaction> {
        self.chert.react(reaction)
    }

    /// Every sender line, and what it can do now.
    pub fn line_reports(&self) -> Vec<LineReport> {
        self.chert.line_reports()
    }

    /// Changes whether a line is active, or what it can do. `None`: there is no such line.
    pub fn change_line(&self, phone: &Phone, change: LineChange) -> Option<LineReport> {
        self.chert.change_line(phone, change)
    }

    /// A contact writes to a HueChat account. Answers the message's id.
    pub fn hue_receive(&self, incoming: &HueIncoming) -> Result<String, BadHueIncoming> {
        self.hue.receive(incoming)
    }

    /// Forgets chats, messages, contacts, keys, uploads, faults and the journal; tenants stay, and
    /// so do the lines and templates, as they were at first.
    pub fn reset(&self) {
        self.host.set_faults(FaultPlan::default());
        self.chert.reset();
        self.hue.reset();
        self.host.journal().clear();
    }
}

/// Serves a new sandbox on `listener` until `shutdown`.
pub async fn start(
    config: SandboxConfig,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> Result<(), SandboxError> {
    let address = listener.local_addr().map_err(SandboxError::Address)?;
    Sandbox::new(config, address)?
        .serve(listener, shutdown)
        .await
}
