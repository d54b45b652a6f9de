//! What every provider of the sandbox stands on: the clock, the faults, the journal, the trace
//! ids, and the tasks that outlive their connection. Knows no provider.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faults::{Desk, FaultPlan, Fired, Subject};
use super::journal::{Entry, Journal};

/// Where the sandbox reads the time. Tests step it by hand.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's own time.
    pub fn system() -> Self {
        Self::new(Timestamp::now)
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The provider-neutral half of the sandbox.
#[derive(Debug)]
pub(super) struct Host {
    clock: Clock,
    faults: Mutex<Desk>,
    /// Spares the requests of an ordinary run the look at the faults.
    faulty: AtomicBool,
    /// Set once a plan with delays was in force: from then on a request may have to wait.
    patient: AtomicBool,
    journal: Mutex<Journal>,
    traces: AtomicU64,
    waiting: AtomicUsize,
    /// The server is to stop.
    pub(super) stop: CancellationToken,
    /// Requests that may wait; they end whether or not their client is still there, as they
    /// would at a real provider.
    pub(super) tasks: TaskTracker,
}

impl Host {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            faults: Mutex::default(),
            faulty: AtomicBool::new(false),
            patient: AtomicBool::new(false),
            journal: Mutex::default(),
            traces: AtomicU64::new(1),
            waiting: AtomicUsize::new(0),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Microseconds since the epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    pub(super) fn next_trace(&self) -> u64 {
        self.traces.fetch_add(1, Ordering::Relaxed)
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
