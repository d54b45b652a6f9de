//! How many people a line may write to for the first time, and how fast (chert §4.2, §17.21).
//! Counts, and says until when a line is saturated; refuses nothing itself.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::store::LineNo;
use crate::domain::phone::Phone;
use crate::sandbox::time::micros;

/// What every line of every tenant can do.
#[derive(Debug, Clone)]
pub struct Capacity {
    /// First touches a day; 0: none ever.
    pub per_day: u32,
    /// Between two first touches.
    pub gap: SignedDuration,
    /// Where its day begins at midnight.
    pub zone: TimeZone,
}

impl Default for Capacity {
    /// The numbers that the contract gives: 30 a day, 10 minutes apart, days in UTC.
    fn default() -> Self {
        Self {
            per_day: 30,
            gap: SignedDuration::from_mins(10),
            zone: TimeZone::UTC,
        }
    }
}

/// The first touches of one tenant: whom it has written to, and what that took of its lines.
/// Stays empty while lines have no limits.
#[derive(Debug, Default)]
pub(super) struct Touches {
    known: HashSet<Phone>,
    lines: HashMap<LineNo, Used>,
}

impl Touches {
    /// Whether a message to these people is a first touch: somebody of them has never had one
    /// from this tenant (chert §4.2). A group counts as one.
    pub(super) fn is_first(&self, people: &[Phone]) -> bool {
        people.iter().any(|person| !self.known.contains(person))
    }

    /// When a line may next touch somebody new; `now_us` itself if it may now.
    pub(super) fn next_us(&self, capacity: &Capacity, line: LineNo, now_us: i64) -> i64 {
        self.lines.get(&line).map_or_else(
            || Used::default().next_us(capacity, now_us),
            |used| used.next_us(capacity, now_us),
        )
    }

    /// Counts a message that was accepted.
    pub(super) fn count(
        &mut self,
        capacity: &Capacity,
        people: &[Phone],
        line: LineNo,
        now_us: i64,
    ) {
        if self.is_first(people) {
            self.known.extend(people.iter().cloned());
            self.lines.entry(line).or_default().count(capacity, now_us);
        }
    }
}

/// What one line has done for one tenant.
#[derive(Debug, Clone, Default)]
struct Used {
    day: Option<Date>,
    today: u32,
    last_us: Option<i64>,
}

impl Used {
    /// When the next first touch may be; `now_us` itself if it may be now.
    fn next_us(&self, capacity: &Capacity, now_us: i64) -> i64 {
        let gap_us = micros(capacity.gap);
        let after_gap = self
            .last_us
            .map_or(now_us, |last| last.saturating_add(gap_us).max(now_us));
        let (day, tomorrow_us) = day_of(capacity, now_us);
        let spent = if self.day == Some(day) { self.today } else { 0 };
        if spent >= capacity.per_day {
            after_gap.max(tomorrow_us)
        } else {
            after_gap
        }
    }

    /// Counts a first touch.
    fn count(&mut self, capacity: &Capacity, now_us: i64) {
        let (day, _) = day_of(capacity, now_us);
        if self.day != Some(day) {
            self.day = Some(day);
            self.today = 0;
        }
        self.today = self.today.saturating_add(1);
        self.last_us = Some(now_us);
    }
}

/// The day that a moment belongs to, and when the next one begins.
fn day_of(capacity: &Capacity, now_us: i64) -> (Date, i64) {
    let now = Timestamp::from_microsecond(now_us).unwrap_or_default();
    let day = now.to_zoned(capacity.zone.clone()).date();
    let tomorrow = day
        .tomorrow()
        .and_then(|tomorrow| tomorrow.to_zoned(capacity.zone.clone()));
    // There is no tomorrow only at the end of all time.
    let begins = tomorrow.map_or(Timestamp::MAX, |midnight| midnight.timestamp());
    (day, begins.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE_US: i64 = 60_000_000;
    const DAY_US: i64 = 24 * 60 * MINUTE_US;

    fn capacity(per_day: u32, zone: &str) -> Capacity {
        Capacity {
            per_day,
            gap: SignedDuration::from_mins(10),
            zone: TimeZone::get(zone).unwrap(),
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_its_zone() {
        let chicago = capacity(1, "America/Chicago");
        let noon_us = "2026-06-10T12:00:00-05:00"
            .parse::<Timestamp>()
            .unwrap()
            .as_microsecond();
        let mut used = Used::default();
        used.count(&chicago, noon_us);
        let next = Timestamp::from_microsecond(used.next_us(&chicago, noon_us)).unwrap();
        assert_eq!(next.to_string(), "2026-06-11T05:00:00Z");
    }

    #[test]
    fn the_gap_holds_across_midnight() {
        let utc = capacity(30, "UTC");
        let mut used = Used::default();
        used.count(&utc, DAY_US - MINUTE_US);
        assert_eq!(used.next_us(&utc, DAY_US), DAY_US + 9 * MINUTE_US);
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_in_then_and_not_before(
            per_day in 1u32..5,
            waits in prop::collection::vec(0i64..DAY_US, 1..40),
        ) {
            let capacity = capacity(per_day, "America/New_York");
            let (mut used, mut now_us) = (Used::default(), 0);
            let mut touches: Vec<i64> = Vec::new();
            for wait in waits {
                now_us += wait;
                let next = used.next_us(&capacity, now_us);
                prop_assert_eq!(used.next_us(&capacity, next), next);
                if next > now_us {
                    prop_assert!(used.next_us(&capacity, next - 1) > next - 1);
                }
                now_us = next;
                used.count(&capacity, now_us);
                touches.push(now_us);
            }
            for pair in touches.windows(2) {
                prop_assert!(pair[1] - pair[0] >= 10 * MINUTE_US);
            }
            for touch in &touches {
                let (day, _) = day_of(&capacity, *touch);
                let same = touches.iter().filter(|other| day_of(&capacity, **other).0 == day);
                prop_assert!(same.count() <= per_day as usize);
            }
        }
    }
}
