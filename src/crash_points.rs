//! Named points at which a test can make the process end, so that it stands in every crash
//! window of the send path, and how much later it is for the one that comes after. Only a build
//! with the feature `crash-points` has them; in any other, reaching a point is nothing at all, and
//! the time is the machine's. Decides nothing about what a crash leaves behind.

#[cfg(not(feature = "crash-points"))]
use jiff::Timestamp;

#[cfg(feature = "crash-points")]
pub(crate) use armed::reach;
#[cfg(feature = "crash-points")]
pub(crate) use later::seen;

/// The machine's time: this build knows no other.
#[cfg(not(feature = "crash-points"))]
pub(crate) fn seen(now: Timestamp) -> Timestamp {
    now
}

/// Does nothing: this build has no crash points.
#[cfg(not(feature = "crash-points"))]
pub(crate) fn reach(_point: &'static str) -> std::future::Ready<()> {
    std::future::ready(())
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::io::Write as _;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// `POINT`, `POINT:N` for its N-th arrival (from 1), `POINT:N:stop` to be stopped there
    /// instead of killed.
    const VARIABLE: &str = "SENDOFF_CRASH_AT";
    /// A signal to the process may be taken by another of its threads: the one that sent it
    /// waits for far longer than that takes.
    const TAKEN: Duration = Duration::from_millis(50);

    struct Order {
        point: String,
        arrival: u64,
        ending: Ending,
    }

    enum Ending {
        /// `kill -9`.
        Kill,
        /// `kill -STOP`: goes on when it is told to.
        Stop,
    }

    static ORDER: LazyLock<Option<Order>> = LazyLock::new(order);
    static ARRIVALS: AtomicU64 = AtomicU64::new(0);

    /// Ends or stops the process if it was told to at this arrival at this point.
    pub(crate) async fn reach(point: &'static str) {
        let Some(order) = ORDER.as_ref().filter(|order| order.point == point) else {
            return;
        };
        if ARRIVALS.fetch_add(1, Ordering::SeqCst) + 1 != order.arrival {
            return;
        }
        match order.ending {
            Ending::Kill => kill(),
            Ending::Stop => {
                stop();
                tokio::time::sleep(TAKEN).await;
            }
        }
    }

    fn order() -> Option<Order> {
        let text = std::env::var(VARIABLE).ok()?;
        let order = parse(&text);
        if order.is_none() {
            // A test that believes in a crash which cannot happen must not pass.
            writeln!(std::io::stderr(), "{VARIABLE}='{text}' is no crash point").ok();
            std::process::abort();
        }
        order
    }

    fn parse(text: &str) -> Option<Order> {
        let mut words = text.split(':');
        let order = Order {
            point: words.next()?.to_owned(),
            arrival: words.next().map_or(Ok(1), str::parse).ok()?,
            ending: match words.next() {
                None => Ending::Kill,
                Some("stop") => Ending::Stop,
                Some(_) => return None,
            },
        };
        (order.arrival > 0 && words.next().is_none()).then_some(order)
    }

    fn kill() -> ! {
        #[cfg(unix)]
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .ok();
        std::process::abort()
    }

    fn stop() {
        #[cfg(unix)]
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
            .ok();
    }
}

#[cfg(feature = "crash-points")]
mod later {
    use std::io::Write as _;
    use std::sync::LazyLock;

    use jiff::{SignedDuration, Timestamp};

    /// By how many milliseconds the process is to be started later than it is. Nothing lives
    /// through such a step: a clock that went on faster would end leases before the requests that
    /// they guard.
    const VARIABLE: &str = "SENDOFF_CLOCK_AHEAD";

    static AHEAD: LazyLock<SignedDuration> = LazyLock::new(ahead);

    /// The time as this process sees it, when it is `now` for the machine.
    pub(crate) fn seen(now: Timestamp) -> Timestamp {
        now.saturating_add(*AHEAD).unwrap_or(now)
    }

    fn ahead() -> SignedDuration {
        let Ok(text) = std::env::var(VARIABLE) else {
            return SignedDuration::ZERO;
        };
        let Ok(ms) = text.parse::<u32>() else {
            // A test that believes in time which has not passed must not pass.
            writeln!(
                std::io::stderr(),
                "{VARIABLE}='{text}' is no time in milliseconds"
            )
            .ok();
            std::process::abort();
        };
        SignedDuration::from_millis(ms.into())
    }
}
