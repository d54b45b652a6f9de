//! Asks the provider how sent messages stand, once for each whose look is due, and keeps what it
//! says. When a look is due, and whether the account's rate has room for it beside the messages,
//! is the ledger's to say; nothing is sent here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::limiter::Guard;
use super::settle::later;
use super::turns::{AccountTurns, kept_back};
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::history::RunEvent;
use crate::domain::outcome::Outcome;
use crate::domain::receipt::Receipt;
use crate::domain::run::RunState;
use crate::gateway::{Asked, Gateway, Turns as _};
use crate::ledger::{
    Confirmed, DeliveryId, DueReceipt, Gate, GivenUp, Held, Ledger, LedgerError, LookRequest,
    Looks, NextLook, RunRecord,
};

/// Looks that are on the wire at once, and how many are taken from the ledger in one step: what a
/// crash makes wait for its next look.
const AT_ONCE: u32 = 16;
/// The ledger is asked at least so often whether anything is due: messages go out meanwhile.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// After an answer that asks for a pause without saying for how long, and after a ledger that
/// could not be asked.
const PAUSE: Duration = Duration::from_secs(15);
/// Who looks once lets messages go first for so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where receipts come from and where they go.
#[derive(Debug, Clone)]
pub struct Looker {
    pub ledger: Arc<dyn Ledger>,
    pub gateway: Arc<dyn Gateway>,
    pub clock: Arc<dyn Clock>,
    /// The account's rate in this process.
    pub guard: Guard,
}

/// What looks at a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages that were asked about.
    pub looked: u64,
    /// Newly known to be on the device, not opened yet.
    pub delivered: u64,
    /// Newly known to be opened.
    pub read: u64,
    /// Taken, and newly known to be given up by the provider.
    pub failed: u64,
    /// The provider knows no such message.
    pub unknown: u64,
    /// No answer about this message alone; it is looked at again.
    pub unanswered: u64,
    /// The provider refuses or wants a pause, in its words: the rest was left for later.
    pub stopped: Option<String>,
    /// When the next look is due; `None`: all is known that will ever be, or nothing was asked.
    pub next_at: Option<Timestamp>,
}

/// Why looking came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Of every message all is known that will ever be.
    AllKnown,
    /// It was told to end.
    Ended,
}

impl Looker {
    /// Looks at every message of the run that is due now. `jitter` is chance, 0 to 999.
    ///
    /// # Errors
    /// The ledger's; what was kept by then stays.
    pub async fn look(&self, run: &RunRecord, jitter: u32) -> Result<Seen, LedgerError> {
        // One moment for all: what falls due meanwhile is for the next time.
        let due_by = self.clock.now();
        let mut waiting_since = Instant::now();
        let mut seen = Seen::default();
        while seen.stopped.is_none() {
            let looks = self.looks(run, due_by, jitter).await?;
            if !looks.due.is_empty() {
                self.ask(run, looks.due, &mut seen).await?;
                waiting_since = Instant::now();
                continue;
            }
            match looks.next {
                NextLook::Never | NextLook::Due(_) => break,
                NextLook::Room(at) if waiting_since.elapsed() < PATIENCE => {
                    sleep(self.until(at).min(LONGEST_REST)).await;
                }
                NextLook::Room(_) => {
                    let why = "messages go out meanwhile and need the account's whole rate";
                    seen.stopped = Some(why.to_owned());
                }
                NextLook::Gate(until) => {
                    let wait = self.until(until).as_secs().saturating_add(1);
                    let why = format!("the account has to wait for {wait} s more");
                    seen.stopped = Some(why);
                }
            }
        }
        Ok(seen)
    }

    /// Looks whenever something is due and the rate has room, until it is told to end, or until
    /// all is known where `Unless::AllKnown`. What was seen so far is told to `told`. A ledger or
    /// a provider that is away makes it only late.
    pub(super) async fn watch(
        &self,
        run: &RunRecord,
        unless: Unless,
        seed: u64,
        (told, end): (&watch::Sender<Seen>, &CancellationToken),
    ) -> Watched {
        let mut chance = fastrand::Rng::with_seed(seed);
        loop {
            let looking = self.step(run, chance.u32(..1_000), (unless, told));
            let step = tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => return Watched::Ended,
                // cancel-safe: what was asked and not kept is looked at again
                step = looking => step,
            };
            let wait = match step {
                Ok(None) if unless == Unless::AllKnown => return Watched::AllKnown,
                Ok(wait) => wait.unwrap_or(LONGEST_REST),
                Err(error) => {
                    tracing::warn!(%error, "receipts cannot be kept now; they are looked for again");
                    PAUSE
                }
            };
            tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => return Watched::Ended,
                // cancel-safe: a timer
                () = sleep(wait) => {}
            }
        }
    }

    /// One round; how long until the next is worth it, where there is one.
    async fn step(
        &self,
        run: &RunRecord,
        jitter: u32,
        (unless, seen): (Unless, &watch::Sender<Seen>),
    ) -> Result<Option<Duration>, LedgerError> {
        let late = match unless {
            Unless::AllKnown => SignedDuration::ZERO,
            Unless::Never => self.gateway.looks_later_by(),
        };
        let due_by = later(self.clock.now(), -late);
        let looks = self.looks(run, due_by, jitter).await?;
        let mut pause = None;
        if !looks.due.is_empty() {
            let mut more = Seen::default();
            let asked = self.ask(run, looks.due, &mut more).await;
            if let Some(why) = &more.stopped {
                tracing::warn!(why, "receipts have to wait");
                pause = Some(PAUSE);
            }
            seen.send_modify(|all| all.add(&more));
            asked?;
        }
        let next_at = match looks.next {
            NextLook::Never => None,
            NextLook::Due(at) => Some(later(at, late)),
            NextLook::Room(at) | NextLook::Gate(at) => Some(at),
        };
        seen.send_modify(|all| all.next_at = next_at);
        Ok(next_at.map(|at| pause.unwrap_or_else(|| self.until(at).min(LONGEST_REST))))
    }

    async fn looks(
        &self,
        run: &RunRecord,
        due_by: Timestamp,
        jitter: u32,
    ) -> Result<Looks, LedgerError> {
        let request = LookRequest {
            run,
            now: self.clock.now(),
            due_by,
            jitter,
            most: AT_ONCE,
            account: *self.guard.limits(),
        };
        self.ledger.looks(&request).await
    }

    pub(super) fn turns(&self, gateway: &str) -> AccountTurns {
        AccountTurns {
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            gateway: gateway.to_owned(),
            guard: self.guard.clone(),
            stop: CancellationToken::new(),
        }
    }

    fn until(&self, at: Timestamp) -> Duration {
        let wait = at.duration_since(self.clock.now());
        Duration::try_from(wait).unwrap_or_default()
    }

    async fn ask(
        &self,
        run: &RunRecord,
        due: Vec<DueReceipt>,
        seen: &mut Seen,
    ) -> Result<(), LedgerError> {
        let mut asked = JoinSet::new();
        for one in due {
            let (gateway, turns) = (self.gateway.clone(), self.turns(&run.gateway));
            asked.spawn(async move {
                turns.ready().await;
                let about = Asked {
                    message_id: &one.message_id,
                    chat_id: one.chat_id.as_deref(),
                };
                let answer = gateway.state(&about, &turns).await;
                (one, answer)
            });
        }
        while let Some(ended) = asked.join_next().await {
            let (one, answer) = ended.map_err(|error| LedgerError::Fault(error.to_string()))?;
            seen.looked += 1;
            self.keep(run, one, answer, seen).await?;
        }
        Ok(())
    }

    async fn keep(
        &self,
        run: &RunRecord,
        one: DueReceipt,
        answer: Result<Receipt, Outcome>,
        seen: &mut Seen,
    ) -> Result<(), LedgerError> {
        match answer {
            Ok(Receipt::Unknown) => seen.unknown += 1,
            Ok(receipt) => {
                let about = (one.id, one.message_id);
                let kept = keep(&*self.ledger, run, about, receipt, self.clock.now()).await?;
                match kept {
                    Some(Kept::Delivered) => seen.delivered += 1,
                    Some(Kept::Read) => seen.read += 1,
                    Some(Kept::Failed) => seen.failed += 1,
                    None => {}
                }
            }
            Err(Outcome::Permanent { .. }) => seen.unanswered += 1,
            Err(outcome) => {
                seen.stopped.get_or_insert_with(|| outcome.why().to_owned());
                seen.unanswered += 1;
                self.obey(&run.gateway, &outcome).await?;
            }
        }
        Ok(())
    }

    /// A wait that the provider asks for holds for messages as well: it counts all requests of
    /// the account together.
    pub(super) async fn obey(&self, gateway: &str, outcome: &Outcome) -> Result<(), LedgerError> {
        match outcome.asked_wait().filter(|_| !kept_back(outcome)) {
            Some(wait) => self.hold_all(gateway, wait, outcome.why()).await,
            None => Ok(()),
        }
    }

    /// Closes the gate of a whole account for so long.
    pub(super) async fn hold_all(
        &self,
        gateway: &str,
        wait: SignedDuration,
        why: &str,
    ) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let gate = Gate {
            gateway: gateway.to_owned(),
            held: Held::Account,
            until: later(now, wait),
            inactive_since: None,
            reason: why.to_owned(),
        };
        self.ledger.hold(&gate, now).await
    }
}

/// What a receipt has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Delivered,
    Read,
    Failed,
}

/// Keeps what the provider says of one message, whoever told it. `None`: nothing that was not
/// known, or nothing that leads forward. A time that is not told is now.
///
/// # Errors
/// The ledger's.
pub async fn keep(
    ledger: &dyn Ledger,
    run: &RunRecord,
    (id, message_id): (DeliveryId, String),
    receipt: Receipt,
    now: Timestamp,
) -> Result<Option<Kept>, LedgerError> {
    let (kept, delivered_at, read_at) = match receipt {
        Receipt::UnderWay | Receipt::Unknown => return Ok(None),
        Receipt::Failed { failure, for_all } => {
            let reason = failure.text.clone();
            let given_up = GivenUp {
                id,
                message_id,
                failure,
            };
            let is_news = ledger.keep_failure(run, &given_up, now).await?;
            if is_news && for_all && !was_mended_since(ledger, run, id).await? {
                halt(ledger, run, &reason, now).await?;
            }
            return Ok(is_news.then_some(Kept::Failed));
        }
        Receipt::Delivered { at } => (Kept::Delivered, Some(at.unwrap_or(now)), None),
        Receipt::Read { delivered_at, at } => (Kept::Read, delivered_at, Some(at.unwrap_or(now))),
    };
    let confirmed = Confirmed {
        id,
        message_id,
        delivered_at,
        read_at,
    };
    let is_news = ledger.keep_receipt(run, &confirmed).await?;
    Ok(is_news.then_some(kept))
}

/// Whether somebody let the run go on after this message was begun: what was wrong with it then is
/// known to them, and is told of many messages, one after the other.
async fn was_mended_since(
    ledger: &dyn Ledger,
    run: &RunRecord,
    id: DeliveryId,
) -> Result<bool, LedgerError> {
    let history = ledger.history(&run.run, id).await?;
    let resumed = history.run_events.iter();
    let resumed = resumed.filter(|event| event.what == RunEvent::Resumed);
    let resumed_at = resumed.map(|event| event.at).max();
    Ok(resumed_at > history.begun_at)
}

/// The next person's message would fail as well. A run that is over, or stands still already, stays
/// as it is.
async fn halt(
    ledger: &dyn Ledger,
    run: &RunRecord,
    reason: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let halted = ledger.set_state(&run.run, RunState::Halted, Some(reason), now);
    match halted.await {
        Ok(_) | Err(LedgerError::BadTransition { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether looking ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unless {
    AllKnown,
    /// More is being sent.
    Never,
}

impl Seen {
    fn add(&mut self, more: &Self) {
        self.looked += more.looked;
        self.delivered += more.delivered;
        self.read += more.read;
        self.failed += more.failed;
        self.unknown += more.unknown;
        self.unanswered += more.unanswered;
        self.stopped.clone_from(&more.stopped);
    }
}

/// What a run with these counts may still be told of.
pub fn may_get_receipts(counts: &Counts) -> bool {
    counts.of(DeliveryState::Sent) + counts.of(DeliveryState::Delivered) > 0
}
