//! Watches how crowded the machine is, and for how long it stands still: tests of a rate allow a
//! request to be late by that, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::SignedDuration;

/// Between two looks. A thread that is woken later than that and a little was kept waiting, and so
/// may every other program have been.
const LOOK: Duration = Duration::from_millis(2);
const LITTLE: Duration = Duration::from_millis(3);
/// Looks at the crowd that are counted together: about half a second.
const TOGETHER: u64 = 200;
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
    /// The most that wanted to run for each that can, over half a second; in thousandths.
    crowd: AtomicU64,
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
            let places = thread::available_parallelism().map_or(1, |n| n.get() as u64);
            let (mut looks, mut wanting) = (0, 0);
            while !watching.over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(LOOK);
                let late = begun.elapsed().saturating_sub(LOOK + LITTLE);
                let late = u64::try_from(late.as_micros()).unwrap();
                watching.worst_us.fetch_max(late, Ordering::Relaxed);
                watching.lost_us.fetch_add(late, Ordering::Relaxed);
                (looks, wanting) = (looks + 1, wanting + runnable());
                if looks == TOGETHER {
                    let each = wanting * 1_000 / (places * looks);
                    watching.crowd.fetch_max(each, Ordering::Relaxed);
                    (looks, wanting) = (0, 0);
                }
            }
        });
        Self(seen)
    }

    /// The longest that a request may be late, that would be late by `alone` at the most on a machine
    /// of its own: it waits in turn with everything else that wants to run.
    pub(crate) fn late(&self, alone: SignedDuration) -> SignedDuration {
        let crowd = self.0.crowd.load(Ordering::Relaxed).clamp(1_000, 8_000);
        alone * i32::try_from(crowd).unwrap() / 1_000 + micros(&self.0.worst_us) * PROGRAMS
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

/// How many programs want to run at this moment; 0 where the system does not tell.
fn runnable() -> u64 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split_whitespace().nth(3);
    let running = running.and_then(|text| text.split('/').next()?.parse().ok());
    running.unwrap_or(0)
}

fn micros(us: &AtomicU64) -> SignedDuration {
    SignedDuration::from_micros(us.load(Ordering::Relaxed).try_into().unwrap())
}
