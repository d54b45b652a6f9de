//! The provider's own time: it follows the machine's, and can run faster, stand still or be
//! stepped. Knows nothing of what happens in it.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Where the sandbox reads the machine's time. Tests step it by hand.
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

/// Whether the provider's clock goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gait {
    Running,
    Stopped,
}

/// How the provider's clock goes from one moment of the machine's on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    /// The machine's time, in microseconds, at which this course began.
    pub(super) machine_us: i64,
    /// The provider's time at that moment.
    pub(super) provider_us: i64,
    /// Seconds of the provider to one of the machine's, while it runs.
    pub(super) rate: NonZeroU32,
    pub(super) gait: Gait,
}

impl Course {
    /// The provider's time when the machine's is `machine_us`. Never before the course began:
    /// a machine's clock that is set back must not undo what has happened.
    fn at(&self, machine_us: i64) -> i64 {
        if self.gait == Gait::Stopped {
            return self.provider_us;
        }
        let passed = i128::from(machine_us) - i128::from(self.machine_us);
        let passed = passed * i128::from(self.rate.get());
        // At rate 1 a clock that was never turned is the machine's own, wherever that goes.
        let now = i128::from(self.provider_us) + passed;
        let latest = Timestamp::MAX.as_microsecond();
        i64::try_from(now).unwrap_or(latest).min(latest)
    }
}

/// The provider's clock. Lengths that bind a client and its connection (the age of a
/// signature, the request rate, time-outs, delays of faults) stay on the machine's: a client
/// has no other.
#[derive(Debug)]
pub(super) struct Time {
    machine: Clock,
    /// Where the machine's time stands while one act is done; [`FLOWING`] otherwise.
    pinned_us: AtomicI64,
    course: Mutex<Course>,
    /// Changes with every turn, for whoever waits for a moment.
    turns: watch::Sender<u64>,
}

/// No moment at which time is held.
const FLOWING: i64 = i64::MIN;

/// Both clocks stand while this lives. Whoever asks meanwhile gets that moment, too.
#[derive(Debug)]
pub(super) struct Pin<'a> {
    time: &'a Time,
    at_us: i64,
}

impl Pin<'_> {
    pub(super) fn at_us(&self) -> i64 {
        self.at_us
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        self.time.pinned_us.store(FLOWING, Ordering::Release);
    }
}

impl Time {
    pub(super) fn new(machine: Clock, rate: NonZeroU32) -> Self {
        let now_us = machine.now().as_microsecond();
        Self {
            machine,
            pinned_us: AtomicI64::new(FLOWING),
            course: Mutex::new(Course {
                machine_us: now_us,
                provider_us: now_us,
                rate,
                gait: Gait::Running,
            }),
            turns: watch::Sender::new(0),
        }
    }

    pub(super) fn machine(&self) -> Timestamp {
        match self.pinned_us.load(Ordering::Acquire) {
            FLOWING => self.machine.now(),
            pinned_us => Timestamp::from_microsecond(pinned_us).unwrap_or_default(),
        }
    }

    /// Holds both clocks at a moment of the machine's, until the pin goes.
    pub(super) fn pin(&self, at_us: i64) -> Pin<'_> {
        self.pinned_us.store(at_us, Ordering::Release);
        Pin { time: self, at_us }
    }

    /// Holds both clocks where they are.
    pub(super) fn pin_now(&self) -> Pin<'_> {
        self.pin(self.machine.now().as_microsecond())
    }

    pub(super) fn course(&self) -> Course {
        *self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider's time, in microseconds since the epoch.
    pub(super) fn now_us(&self) -> i64 {
        self.course().at(self.machine().as_microsecond())
    }

    /// Changes the course from now on.
    pub(super) fn turn(&self, change: impl FnOnce(&mut Course)) {
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let machine_us = self.machine().as_microsecond();
        course.provider_us = course.at(machine_us);
        course.machine_us = machine_us;
        change(&mut course);
        let latest = Timestamp::MAX.as_microsecond();
        course.provider_us = course.provider_us.min(latest);
        drop(course);
        self.turns
            .send_modify(|turns| *turns = turns.wrapping_add(1));
    }

    /// Tells of every turn from now on.
    pub(super) fn turned(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// How long of the machine's time until the provider's is `provider_us`; `None` while the
    /// clock stands still before it.
    pub(super) fn until(&self, provider_us: i64) -> Option<Duration> {
        let course = self.course();
        let left = provider_us.saturating_sub(course.at(self.machine().as_microsecond()));
        let left = u64::try_from(left).unwrap_or(0);
        match course.gait {
            Gait::Running => Some(Duration::from_micros(
                left.div_ceil(u64::from(course.rate.get())),
            )),
            Gait::Stopped => (left == 0).then_some(Duration::ZERO),
        }
    }

    /// Waits until the provider's time is `provider_us` by the course that it has now; for ever
    /// where nothing is to come, or the clock stands still before it.
    pub(super) async fn reach(&self, provider_us: Option<i64>) {
        // A clock that is moved by hand may stand before the moment for a while.
        const LEAST: Duration = Duration::from_millis(1);
        match provider_us.and_then(|provider_us| self.until(provider_us)) {
            Some(wait) => tokio::time::sleep(wait.max(LEAST)).await,
            None => std::future::pending().await,
        }
    }

    /// So many whole seconds of the provider in whole seconds of a client, rounded up. While
    /// the clock stands still they are the provider's: nobody can tell when it will go on.
    pub(super) fn client_seconds(&self, seconds: u32) -> u32 {
        let course = self.course();
        match course.gait {
            Gait::Running => seconds.div_ceil(course.rate.get()),
            Gait::Stopped => seconds,
        }
    }
}

/// A length in microseconds, as far as the type reaches.
pub(super) fn micros(length: SignedDuration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    const HOUR_US: i64 = 3_600_000_000;

    fn hand() -> (Arc<AtomicI64>, Time) {
        let hand = Arc::new(AtomicI64::new(0));
        let read = Arc::clone(&hand);
        let clock =
            Clock::new(move || Timestamp::from_microsecond(read.load(Ordering::SeqCst)).unwrap());
        (hand, Time::new(clock, NonZeroU32::MIN))
    }

    #[test]
    fn a_clock_that_was_not_turned_is_the_machines() {
        let (hand, time) = hand();
        hand.store(5 * HOUR_US, Ordering::SeqCst);
        assert_eq!(time.now_us(), 5 * HOUR_US);
    }

    #[test]
    fn a_change_of_rate_begins_where_the_clock_stands() {
        let (hand, time) = hand();
        hand.store(HOUR_US, Ordering::SeqCst);
        time.turn(|course| course.rate = NonZeroU32::new(60).unwrap());
        assert_eq!(time.now_us(), HOUR_US);
        hand.store(2 * HOUR_US, Ordering::SeqCst);
        assert_eq!(time.now_us(), 61 * HOUR_US);
        time.turn(|course| course.gait = Gait::Stopped);
        hand.store(9 * HOUR_US, Ordering::SeqCst);
        assert_eq!(time.now_us(), 61 * HOUR_US);
        time.turn(|course| course.provider_us += HOUR_US);
        assert_eq!(time.now_us(), 62 * HOUR_US);
    }

    #[test]
    fn the_clock_ends_at_the_last_moment_that_can_be_written() {
        let (hand, time) = hand();
        time.turn(|course| course.rate = NonZeroU32::MAX);
        hand.store(30_000 * 24 * HOUR_US, Ordering::SeqCst);
        assert_eq!(time.now_us(), Timestamp::MAX.as_microsecond());
    }

    #[test]
    fn a_moment_of_the_provider_is_as_far_away_as_its_clock_goes() {
        let (_hand, time) = hand();
        assert_eq!(time.until(HOUR_US), Some(Duration::from_hours(1)));
        assert_eq!(time.until(-HOUR_US), Some(Duration::ZERO));
        time.turn(|course| course.rate = NonZeroU32::new(60).unwrap());
        assert_eq!(time.until(HOUR_US), Some(Duration::from_mins(1)));
        time.turn(|course| course.gait = Gait::Stopped);
        assert_eq!(time.until(HOUR_US), None);
        assert_eq!(time.until(0), Some(Duration::ZERO));
    }

    #[test]
    fn a_wait_in_the_providers_seconds_is_shorter_for_a_client_of_a_fast_clock() {
        let (_hand, time) = hand();
        assert_eq!(time.client_seconds(600), 600);
        time.turn(|course| course.rate = NonZeroU32::new(60).unwrap());
        assert_eq!(time.client_seconds(600), 10);
        assert_eq!(time.client_seconds(601), 11);
        time.turn(|course| course.gait = Gait::Stopped);
        assert_eq!(time.client_seconds(600), 600);
    }
}
