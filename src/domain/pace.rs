//! Pace: how fast messages may leave. A pure function from a stored state and `now` to a slot.
//!
//! The state of a limit is one number, its theoretical arrival time (the generic cell rate
//! algorithm, ITU-T I.371 annex A). It is stored in the ledger, so a restart and a second
//! process keep the same rate, and a pause never earns a burst larger than the configured one.

use std::fmt;
use std::num::NonZeroU32;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Messages per time: `10/s`, `30/m`, `500/h`, `1000/d`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: NonZeroU32,
    period: Period,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

impl Period {
    const ALL: [(Self, &'static str, u32); 4] = [
        (Self::Second, "s", 1),
        (Self::Minute, "m", 60),
        (Self::Hour, "h", 3_600),
        (Self::Day, "d", 86_400),
    ];

    fn row(self) -> (&'static str, u32) {
        Self::ALL
            .iter()
            .find(|(period, ..)| *period == self)
            .map_or(("s", 1), |(_, unit, seconds)| (*unit, *seconds))
    }
}

/// Why a text is not a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    #[error("a rate is a count and a unit of time, such as 10/s, 30/m, 500/h or 1000/d")]
    Shape,
    #[error("the unit of time is missing; write {0}/s for {0} a second or {0}/m for {0} a minute")]
    NoUnit(u32),
    #[error("a rate of nothing sends nothing; leave the line out to lift the limit")]
    Zero,
}

impl Rate {
    pub fn per_second(count: NonZeroU32) -> Self {
        Self {
            count,
            period: Period::Second,
        }
    }

    pub fn per_minute(count: NonZeroU32) -> Self {
        Self {
            count,
            period: Period::Minute,
        }
    }

    pub fn parse(text: &str) -> Result<Self, BadRate> {
        let text = text.trim();
        if let Ok(count) = text.parse() {
            return Err(BadRate::NoUnit(count));
        }
        let (count, unit) = text.split_once('/').ok_or(BadRate::Shape)?;
        let count: u32 = count.trim().parse().map_err(|_| BadRate::Shape)?;
        let unit = unit.trim();
        let period = Period::ALL
            .iter()
            .find(|(_, name, _)| {
                *name == unit
                    || matches!(
                        (*name, unit),
                        ("s", "sec" | "second")
                            | ("m", "min" | "minute")
                            | ("h", "hour")
                            | ("d", "day")
                    )
            })
            .map(|(period, ..)| *period)
            .ok_or(BadRate::Shape)?;
        Ok(Self {
            count: NonZeroU32::new(count).ok_or(BadRate::Zero)?,
            period,
        })
    }

    /// The time between two messages at this rate, in whole microseconds, rounded up so that
    /// rounding never exceeds the rate.
    pub fn interval_us(self) -> i64 {
        let (_, seconds) = self.period.row();
        (i64::from(seconds) * 1_000_000 + i64::from(self.count.get()) - 1)
            / i64::from(self.count.get())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.row().0)
    }
}

impl fmt::Debug for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Rate {
    type Error = BadRate;
    fn try_from(text: String) -> Result<Self, BadRate> {
        Self::parse(&text)
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> Self {
        rate.to_string()
    }
}

/// A rate and how many messages may leave at once after a quiet time (at least 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub rate: Rate,
    pub burst: NonZeroU32,
}

impl Limit {
    /// A limit without any burst: messages stand apart by the full interval.
    pub fn steady(rate: Rate) -> Self {
        Self {
            rate,
            burst: NonZeroU32::MIN,
        }
    }

    /// The earliest slot at or after `now_us`, given the stored arrival time (`None`: never
    /// used), in microseconds since the epoch.
    pub fn slot_us(&self, tat_us: Option<i64>, now_us: i64) -> i64 {
        let tolerance = self.rate.interval_us() * i64::from(self.burst.get() - 1);
        tat_us.map_or(now_us, |tat| now_us.max(tat - tolerance))
    }

    /// The arrival time to store once `slot_us` is taken.
    pub fn after_us(&self, tat_us: Option<i64>, slot_us: i64) -> i64 {
        tat_us.map_or(slot_us, |tat| tat.max(slot_us)) + self.rate.interval_us()
    }
}

/// So many requests on each UTC day.
///
/// Its state is one number as well, so that it is kept and reserved like an arrival time: the
/// beginning of the day that was counted last, and as many microseconds more as requests were
/// counted on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayLimit(pub NonZeroU32);

const DAY_US: i64 = 86_400_000_000;

impl DayLimit {
    fn day_of(at_us: i64) -> i64 {
        at_us.div_euclid(DAY_US) * DAY_US
    }

    fn slot_us(self, state: Option<i64>, now_us: i64) -> i64 {
        let today = Self::day_of(now_us);
        match state {
            // What was counted on a day further ahead than slots are reserved was counted before
            // the clock was set back.
            Some(state) if state >= today && state < today + 2 * DAY_US => {
                let day = Self::day_of(state);
                let full = state - day >= i64::from(self.0.get());
                let first = if full { day + DAY_US } else { day };
                first.max(now_us)
            }
            Some(_) | None => now_us,
        }
    }

    fn after_us(state: Option<i64>, slot_us: i64) -> i64 {
        let day = Self::day_of(slot_us);
        match state {
            Some(state) if state >= day && state < day + DAY_US => state + 1,
            Some(_) | None => day + 1,
        }
    }
}

/// What a limit is kept by: a rate, or a count of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meter {
    Rate(Limit),
    Day(DayLimit),
}

impl Meter {
    /// The earliest slot at or after `now_us`, given what is stored (`None`: never used), in
    /// microseconds since the epoch.
    pub fn slot_us(&self, state: Option<i64>, now_us: i64) -> i64 {
        match self {
            Self::Rate(limit) => limit.slot_us(state, now_us),
            Self::Day(limit) => limit.slot_us(state, now_us),
        }
    }

    /// What to store once `slot_us` is taken.
    pub fn after_us(&self, state: Option<i64>, slot_us: i64) -> i64 {
        match self {
            Self::Rate(limit) => limit.after_us(state, slot_us),
            Self::Day(_) => DayLimit::after_us(state, slot_us),
        }
    }
}

/// The speed limits of one run, as the campaign asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// All lines together; the gateway's own rate holds besides.
    pub rate: Option<Rate>,
    pub burst: Option<NonZeroU32>,
    /// Requests on the wire at the same time.
    pub concurrency: NonZeroU32,
    /// Each sender line by itself.
    pub per_line: Option<Rate>,
}

/// Requests on the wire at the same time where the campaign says nothing.
pub const DEFAULT_CONCURRENCY: NonZeroU32 = NonZeroU32::new(16).unwrap();

impl Default for Pace {
    fn default() -> Self {
        Self {
            rate: None,
            burst: None,
            concurrency: DEFAULT_CONCURRENCY,
            per_line: None,
        }
    }
}

impl Pace {
    /// All lines of the run together.
    pub fn run(&self) -> Option<Limit> {
        let burst = self.burst.unwrap_or(NonZeroU32::MIN);
        self.rate.map(|rate| Limit { rate, burst })
    }

    /// Each line by itself, without bursts.
    pub fn line(&self) -> Option<Limit> {
        self.per_line.map(Limit::steady)
    }
}

/// A time from the clock in the microseconds that slots are reckoned in.
pub fn micros(at: jiff::Timestamp) -> i64 {
    at.as_microsecond()
}

/// Slots are reserved no further ahead than this.
pub const HORIZON: SignedDuration = SignedDuration::from_secs(1);

/// How long from `now_us` until `slot_us`; zero when it has passed. Never longer than a slot can
/// be ahead: what seems further was reserved before the clock was set back.
pub fn until(slot_us: i64, now_us: i64) -> SignedDuration {
    SignedDuration::from_micros((slot_us - now_us).max(0)).min(HORIZON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(count: u32, burst: u32) -> Limit {
        Limit {
            rate: Rate::per_second(NonZeroU32::new(count).unwrap()),
            burst: NonZeroU32::new(burst).unwrap(),
        }
    }

    #[test]
    fn a_rate_reads_as_written_and_a_bare_number_asks_for_its_unit() {
        for text in ["10/s", "30/m", "500/h", "1000/d"] {
            assert_eq!(Rate::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Rate::parse("10"), Err(BadRate::NoUnit(10)));
        assert_eq!(Rate::parse("0/s"), Err(BadRate::Zero));
        assert_eq!(Rate::parse("10/x"), Err(BadRate::Shape));
    }

    #[test]
    fn a_slot_is_never_waited_for_longer_than_it_can_be_ahead() {
        let ms = SignedDuration::from_millis;
        for (slot_ms, wait) in [
            (-5, ms(0)),
            (0, ms(0)),
            (250, ms(250)),
            (5 * 3_600_000, ms(1_000)),
        ] {
            assert_eq!(until(slot_ms * 1_000, 0), wait);
        }
    }

    proptest! {
        /// However requests are spread, no UTC day gets more than its number, and none waits while
        /// its day has room.
        #[test]
        fn no_day_gets_more_than_its_number(
            per_day in 1u32..20,
            pauses in prop::collection::vec(0i64..30_000_000_000, 1..200),
        ) {
            let meter = Meter::Day(DayLimit(NonZeroU32::new(per_day).unwrap()));
            let (mut now, mut state) = (1_000_000_000_000i64, None);
            let mut days = std::collections::BTreeMap::new();
            for pause in pauses {
                now += pause;
                let slot = meter.slot_us(state, now);
                let used = *days.get(&(now / DAY_US)).unwrap_or(&0);
                prop_assert!(slot >= now);
                prop_assert_eq!(slot == now, used < per_day, "slot {}, now {}", slot, now);
                state = Some(meter.after_us(state, slot));
                now = slot;
                let taken = days.entry(slot / DAY_US).or_insert(0);
                *taken += 1;
                prop_assert!(*taken <= per_day);
            }
        }

        /// Whatever the pauses and restarts, no window holds more than rate × window + burst.
        #[test]
        fn never_more_than_the_limit_in_any_window(
            count in 1u32..200, burst in 1u32..20,
            pauses in prop::collection::vec(0i64..3_000_000, 1..200),
        ) {
            let limit = limit(count, burst);
            let (mut now, mut tat, mut slots) = (1_000_000_000i64, None, Vec::new());
            for pause in pauses {
                now += pause;
                let slot = limit.slot_us(tat, now);
                prop_assert!(slot >= now);
                tat = Some(limit.after_us(tat, slot));
                now = slot;
                slots.push(slot);
            }
            for (i, start) in slots.iter().enumerate() {
                for (j, end) in slots.iter().enumerate().skip(i) {
                    let allowed = (end - start) / limit.rate.interval_us() + i64::from(burst);
                    prop_assert!(i64::try_from(j - i + 1).unwrap() <= allowed);
                }
            }
        }

        /// With work waiting at all times, the full rate is used.
        #[test]
        fn a_busy_sender_uses_the_whole_rate(count in 1u32..500, burst in 1u32..20) {
            let limit = limit(count, burst);
            let (mut tat, n) = (None, 300i64);
            let mut last = 0;
            for _ in 0..n {
                last = limit.slot_us(tat, 0);
                tat = Some(limit.after_us(tat, last));
            }
            prop_assert_eq!(last, limit.rate.interval_us() * (n - i64::from(burst)).max(0));
        }
    }
}
