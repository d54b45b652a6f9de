//! Hears what people answer while messages go out: whoever says STOP must be known before the next
//! one to them. Reads the provider's log up to now before the first message, and again every few
//! seconds, whatever its stream tells meanwhile (`follow`). What an answer means, and that nobody is written to afterwards, is the ledger's.
//!
//! | crash | leaves |
//! |---|---|
//! | between reading and keeping | what was not kept is read again: the ledger tells from where on |
//! | among several | the same: how far was read is kept after the last of them |
//!
//! Several processes may listen to one gateway, and each hears an answer by its stream and in the
//! log; it is kept once, by its event's name.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::dispatch::WhenIdle;
use super::ears::Ears;
use super::receipts::Looker;
use super::settle::later;
use super::turns::{AccountTurns, kept_back};
use crate::domain::outcome::Outcome;
use crate::gateway::{Replies, Reply};
use crate::ledger::{Arrival, LedgerError, NewReply};

/// Between two tries to read the log before the first message; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who is not to wait leaves when the log could not be read for so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// So many answers are remembered as kept, so that the ledger is not asked about them again each
/// time that they are read again.
const REMEMBERED: usize = 8_192;

/// What the first look came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Everything that was answered until now is in the ledger.
    All,
    /// The provider keeps no log of answers.
    NoLog,
    /// The process is to stop.
    Stopped,
    /// The provider refuses the account.
    Refused { reason: String },
    /// It could not be read, and whoever asks is not to wait for longer.
    NotYet { next_at: Timestamp },
}

/// Listens to one gateway.
#[derive(Debug)]
pub struct Listener {
    pub(super) at: Looker,
    /// The gateway's name in the ledger.
    gateway: String,
    ears: Ears,
    /// The log is to be looked at now: what was said while no stream was open is there alone.
    look_now: Notify,
    memory: Mutex<Memory>,
}

/// What has been heard already.
#[derive(Debug)]
struct Memory {
    /// From when on answers are read next.
    since: Option<Timestamp>,
    /// The newest that are in the ledger, and the order in which they came there.
    kept: HashSet<String>,
    order: VecDeque<String>,
    chance: fastrand::Rng,
}

impl Memory {
    fn keep(&mut self, event_id: &str) {
        if !self.kept.insert(event_id.to_owned()) {
            return;
        }
        self.order.push_back(event_id.to_owned());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.kept.remove(&oldest);
        }
    }
}

impl Listener {
    /// Goes on where the ledger has come to with the gateway of this name.
    pub async fn new(
        at: Looker,
        gateway: &str,
        ears: &Ears,
        seed: u64,
    ) -> Result<Self, LedgerError> {
        let since = at.ledger.answers_read_to(gateway).await?;
        Ok(Self {
            at,
            gateway: gateway.to_owned(),
            ears: ears.clone(),
            look_now: Notify::new(),
            memory: Mutex::new(Memory {
                since,
                kept: HashSet::new(),
                order: VecDeque::new(),
                chance: fastrand::Rng::with_seed(seed),
            }),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look_soon(&self) {
        self.look_now.notify_one();
    }

    /// From when on answers are read.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.memory().since
    }

    /// A length by chance, up to `most`.
    pub(super) fn chance(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.memory().chance.u64(..=most))
    }

    /// Reads the log up to now and keeps what is new; says how many that are. `Err` within: the
    /// provider's word on why it could not be read; then nothing is changed.
    pub async fn once(&self) -> Result<Result<u64, Outcome>, LedgerError> {
        match self.read().await {
            Ok(replies) => Ok(Ok(self.keep(replies.unwrap_or_default()).await?)),
            Err(outcome) => Ok(Err(outcome)),
        }
    }

    /// Reads the log up to now. Nothing may be sent before: somebody in it may have said STOP.
    pub(super) async fn catch_up(
        &self,
        stop: &CancellationToken,
        when_idle: WhenIdle,
    ) -> Result<Heard, LedgerError> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(read) = self.read_until(stop).await else {
                return Ok(Heard::Stopped);
            };
            let outcome = match read {
                Ok(Some(replies)) => {
                    self.keep(replies).await?;
                    return Ok(Heard::All);
                }
                Ok(None) => return Ok(Heard::NoLog),
                Err(Outcome::StopRun { failure }) => {
                    let reason = failure.text;
                    return Ok(Heard::Refused { reason });
                }
                Err(outcome) => outcome,
            };
            let why = outcome.why();
            tracing::warn!(
                why,
                "answers cannot be read, and nothing is sent until they are"
            );
            let wait = asked(&outcome).unwrap_or(pause);
            let held = SignedDuration::try_from(wait).unwrap_or_default();
            if !kept_back(&outcome) {
                // So that whoever asks how the run stands is told why.
                self.at.hold_all(&self.gateway, held, why).await?;
            }
            if when_idle == WhenIdle::Leave && begun.elapsed() + wait > PATIENCE {
                let next_at = later(self.at.clock.now(), held);
                return Ok(Heard::NotYet { next_at });
            }
            if !rest(wait, stop).await {
                return Ok(Heard::Stopped);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Listens until it is told to end: follows the stream, and looks at the log beside it.
    pub(super) async fn listen(self, end: CancellationToken) {
        tokio::join!(self.follow(&end), self.look(&end));
    }

    /// Looks again and again until it is told to end. A look that fails is only late: the sends
    /// themselves meet the same provider.
    async fn look(&self, end: &CancellationToken) {
        let every = self.at.gateway.replies_every();
        loop {
            // Half as much again by chance, so that processes do not look together.
            let pause = every + self.chance(every / 2);
            tokio::select! {
                // cancel-safe: a timer and a token
                goes_on = rest(pause, end) => if !goes_on {
                    return;
                },
                // cancel-safe: a word that was not taken stays
                () = self.look_now.notified() => {}
            }
            let Some(read) = self.read_until(end).await else {
                return;
            };
            match read {
                Ok(Some(replies)) => {
                    if let Err(error) = self.keep(replies).await {
                        tracing::warn!(%error, "answers could not be kept; they are read again");
                    }
                }
                Ok(None) => return,
                Err(outcome) => {
                    tracing::warn!(why = outcome.why(), "answers cannot be read");
                    if let Err(error) = self.at.obey(&self.gateway, &outcome).await {
                        tracing::warn!(%error, "nobody is told of the wait");
                    }
                    if !rest(asked(&outcome).unwrap_or_default(), end).await {
                        return;
                    }
                }
            }
        }
    }

    async fn read(&self) -> Result<Option<Replies>, Outcome> {
        let turns = self.turns();
        self.at.gateway.replies(self.since(), &turns).await
    }

    /// Its place among the requests of this process, which the provider counts together.
    pub(super) fn turns(&self) -> AccountTurns {
        self.at.turns(&self.gateway)
    }

    /// The same, unless it is told to end before: a provider that hangs must not hold up a stop.
    async fn read_until(
        &self,
        end: &CancellationToken,
    ) -> Option<Result<Option<Replies>, Outcome>> {
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = end.cancelled() => None,
            // cancel-safe: what was only read is read again
            read = self.read() => Some(read),
        }
    }

    /// Oldest first; where that breaks off, the rest is read again.
    pub(super) async fn keep(&self, heard: Replies) -> Result<u64, LedgerError> {
        let mut new = 0;
        if heard.unreadable > 0 {
            tracing::warn!(count = heard.unreadable, "answers that cannot be read");
        }
        let (ledger, gateway) = (&self.at.ledger, &self.gateway);
        for reply in heard.replies {
            if self.memory().kept.contains(&reply.event_id) {
                continue;
            }
            let reply = new_reply(gateway, reply);
            let word = self.ears.keeping();
            let kept = ledger.keep_reply(&reply, self.at.clock.now()).await?;
            drop(word);
            self.memory().keep(&reply.event_id);
            new += u64::from(kept.arrival == Arrival::New);
        }
        if let Some(to) = heard.read_to.filter(|to| Some(*to) > self.since()) {
            ledger.keep_answers_read_to(gateway, to).await?;
            self.memory().since = Some(to);
        }
        Ok(new)
    }
}

/// Waits; says whether it is to go on.
pub(super) async fn rest(wait: Duration, end: &CancellationToken) -> bool {
    tokio::select! {
        // cancel-safe: nothing is held while waiting
        () = end.cancelled() => false,
        // cancel-safe: a timer
        () = sleep(wait) => true,
    }
}

pub(super) fn asked(outcome: &Outcome) -> Option<Duration> {
    Duration::try_from(outcome.asked_wait()?).ok()
}

fn new_reply(gateway: &str, reply: Reply) -> NewReply {
    NewReply {
        event_id: reply.event_id,
        gateway: gateway.to_owned(),
        phone: reply.phone,
        channel: reply.channel,
        line: reply.line,
        chat_id: reply.chat_id,
        text: reply.text,
        at: reply.at,
    }
}
