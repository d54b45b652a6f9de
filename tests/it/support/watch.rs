//! Watches for how long the machine stands still: tests of a rate allow a request to be late by
//! that, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

/// Between two looks. A thread that is woken later than that and a little was kept waiting, and so
/// may every other program have been.
const LOOK: Duration = Duration::from_millis(2);
const LITTLE: Duration = Duration::from_millis(3);
/// A request passes through so many programs, each of which may be kept waiting: who sends it, the
/// ledger's server, the sandbox.
const PROGRAMS: i32 = 3;

/// From its making until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    over: AtomicBool,
    worst_us: AtomicU64,
    lost_us: AtomicU64,
}

impl Watch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of its own, and the time that has really passed"
    )]
    pub(crate) fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let watching = seen.clone();
        thread::spawn(move || {
            while !watching.over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(LOOK);
                let late = begun.elapsed().saturating_sub(LOOK + LITTLE);
                let late = u64::try_from(late.as_micros()).unwrap();
                watching.worst_us.fetch_max(late, Ordering::Relaxed);
                watching.lost_us.fetch_add(late, Ordering::Relaxed);
            }
        });
        Self(seen)
    }

    /// The longest that a request may have been held up by the machine.
    pub(crate) fn worst(&self) -> SignedDuration {
        micros(&self.0.worst_us) * PROGRAMS
    }

    /// All the time that the machine gave to others.
    pub(crate) fn lost(&self) -> SignedDuration {
        micros(&self.0.lost_us) * PROGRAMS
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

fn micros(us: &AtomicU64) -> SignedDuration {
    SignedDuration::from_micros(us.load(Ordering::Relaxed).try_into().unwrap())
}
