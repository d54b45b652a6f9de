//! What every provider of the sandbox stands on: the clock, the faults, the journal, the trace
//! ids, and the tasks that outlive their connection. Knows no provider.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faults::{Delay, Desk, FaultPlan, Fired, Subject};
use super::journal::{Entry, Journal};
use super::memory::{Memory, StateError};
use super::time::Time;

/// The provider-neutral half of the sandbox.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) time: Time,
    faults: Mutex<Desk>,
    /// Spares the requests of an ordinary run the look at the faults.
    faulty: AtomicBool,
    /// Set once a plan with delays was in force: from then on a request may have to wait.
    patient: AtomicBool,
    journal: Mutex<Journal>,
    traces: AtomicU64,
    pub(super) memory: Memory,
    waiting: AtomicUsize,
    /// The server is to stop.
    pub(super) stop: CancellationToken,
    /// Requests that may wait; they end whether or not their client is still there, as they
    /// would at a real provider.
    pub(super) tasks: TaskTracker,
}

impl Host {
    pub(super) fn new(time: Time) -> Self {
        Self {
            time,
            faults: Mutex::default(),
            faulty: AtomicBool::new(false),
            patient: AtomicBool::new(false),
            journal: Mutex::default(),
            traces: AtomicU64::new(1),
            memory: Memory::default(),
            waiting: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The provider's time, in microseconds since the epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.time.now_us()
    }

    /// The machine's own time, which a client shares: signatures, the `Date` header and the
    /// request rate go by it, so that a real client works at any time of the provider's.
    pub(super) fn machine(&self) -> Timestamp {
        self.time.machine()
    }

    /// [`Host::machine`], in microseconds since the epoch.
    pub(super) fn machine_us(&self) -> i64 {
        self.machine().as_microsecond()
    }

    pub(super) fn next_trace(&self) -> u64 {
        self.traces.fetch_add(1, Ordering::Relaxed)
    }

    /// No trace up to this one is given out again, nor one that a request had of which no act
    /// is known.
    pub(super) fn passed_trace(&self, trace: u64) {
        const APART: u64 = 1 << 20;
        let next = (trace / APART + 1).saturating_mul(APART);
        self.traces.fetch_max(next, Ordering::Relaxed);
    }

    /// An act was done that could not be written down: a sandbox that would forget what it
    /// answers stops.
    pub(super) fn fail_to_keep(&self, error: &StateError) {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, "the state file failed");
        self.memory.fail();
        self.stop.cancel();
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self, entry: Entry) {
        self.journal().push(entry);
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Desk> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a plan in force; requests under a delay of the last one are let go.
    pub(super) fn set_faults(&self, plan: FaultPlan) {
        let mut desk = self.faults();
        desk.set(plan);
        self.faulty.store(!desk.is_idle(), Ordering::Release);
        if desk.may_delay() {
            self.patient.store(true, Ordering::Release);
        }
    }

    pub(super) fn decide(&self, subject: Subject<'_>) -> Option<Fired> {
        if self.faulty.load(Ordering::Acquire) {
            self.faults().decide(subject)
        } else {
            None
        }
    }

    /// Whether a request may have to wait, and so must not hang on its connection.
    pub(super) fn is_patient(&self) -> bool {
        self.patient.load(Ordering::Acquire)
    }

    /// How many requests are waiting now, under a delay or for another one with their key.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Lies for as long as a fault says at this point, or until its plan ends.
    pub(super) async fn lie(&self, fired: Option<&Fired>, delay: Delay) -> Waited {
        let length = match fired.map(|fired| fired.fault.delay()) {
            Some(Some((when, ms))) if when == delay => ms,
            Some(_) | None => return Waited::Expired,
        };
        let never = CancellationToken::new();
        let released = fired.map_or(&never, |fired| &fired.released);
        self.wait(released, Duration::from_millis(length)).await
    }

    /// Waits until `until` is cancelled, `most` has passed or the server stops.
    pub(super) async fn wait(&self, until: &CancellationToken, most: Duration) -> Waited {
        let _counted = Counted::new(&self.waiting);
        tokio::select! {
            // cancel-safe: each branch only waits.
            () = until.cancelled() => Waited::Released,
            () = self.stop.cancelled() => Waited::Stopped,
            () = tokio::time::sleep(most) => Waited::Expired,
        }
    }
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    Released,
    Stopped,
    Expired,
}

/// Counts one waiting request for as long as it lives.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
