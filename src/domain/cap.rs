//! Caps: how many people are newly written to on one day. A pure function from what is used up
//! already and `now` to the room that is left, or to when there is some again. How much is used
//! is kept in the ledger; what may leave within a second is [`super::pace`]'s.

use std::fmt;
use std::num::NonZeroU32;

use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::delivery::Hold;
use super::schedule::zone;

/// So many people on each calendar day of a zone, and a time between two of them.
///
/// What counts is the first attempt of a delivery, when it is begun; whatever is tried again is
/// nobody new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// The first days on which anybody is written to, each with its own number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ramp: Vec<NonZeroU32>,
    /// Every day after those; `None`: as many as there are.
    pub per_day: Option<NonZeroU32>,
    /// Whose midnight ends a day.
    #[serde(with = "zone::name")]
    pub timezone: TimeZone,
    /// From one person to the next, at least.
    #[serde(default, skip_serializing_if = "SignedDuration::is_zero")]
    pub gap: SignedDuration,
}

/// First messages to people a line has not written to, each day (chert §4.2, as published).
pub const FIRST_TOUCHES: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Between two of them (chert §4.2, as published).
pub const FIRST_TOUCH_GAP: SignedDuration = SignedDuration::from_mins(10);
/// A request leaves a moment after its attempt is begun, and not always the same moment: by so
/// much longer is a gap kept, so that the provider never sees a shorter one.
const GAP_MARGIN: SignedDuration = SignedDuration::from_secs(1);

/// A calendar day: days since 1 January 1970.
pub type Day = i32;

/// Whom a cap is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// All runs of a campaign through one gateway.
    Campaign(String),
    /// All first messages from a line of one gateway.
    Line(String),
}

impl Subject {
    /// What a delivery says that has to wait for it.
    pub fn hold(&self) -> Hold {
        match self {
            Self::Campaign(_) => Hold::DailyCap,
            Self::Line(_) => Hold::LineCapacity,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(name) => write!(f, "campaign {name}"),
            Self::Line(line) => write!(f, "line {line}"),
        }
    }
}

/// What the next attempt of a delivery is to its recipient. The number is the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Touch {
    /// An attempt was begun before: nobody new, under no cap.
    Again = 0,
    /// The first of its delivery, to somebody the gateway has a chat with.
    FollowUp = 1,
    /// The first of its delivery, to somebody the gateway has none with.
    First = 2,
}

impl Touch {
    pub const ALL: [Self; 3] = [Self::Again, Self::FollowUp, Self::First];

    pub fn number(self) -> i16 {
        self as i16
    }

    pub fn of_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|touch| i64::from(touch.number()) == number)
    }
}

/// What is used up of a cap on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// People of that day.
    pub taken: u32,
    /// Earlier days on which there was anybody.
    pub days_before: u32,
    /// When the newest attempt that counts was begun, on whatever day.
    pub last_at: Option<Timestamp>,
}

/// Whether somebody new may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// So many, as far as this cap goes.
    Open(u32),
    /// Nobody before then.
    Closed { until: Timestamp },
}

impl Cap {
    /// What Chert publishes for first messages of a line; its day is taken for the UTC one.
    pub fn first_touch() -> Self {
        Self {
            ramp: Vec::new(),
            per_day: Some(FIRST_TOUCHES),
            timezone: TimeZone::UTC,
            gap: FIRST_TOUCH_GAP,
        }
    }

    /// The number of a day, after so many earlier ones with somebody; `None`: no limit.
    pub fn on_day(&self, days_before: u32) -> Option<u32> {
        let place = usize::try_from(days_before).unwrap_or(usize::MAX);
        let ramp = self.ramp.get(place).copied();
        ramp.or(self.per_day).map(NonZeroU32::get)
    }

    pub fn day(&self, at: Timestamp) -> Day {
        day_in(&self.timezone, at)
    }

    /// When the day of `at` is over; always later than `at`.
    pub fn day_ends(&self, at: Timestamp) -> Timestamp {
        end_of_day(&self.timezone, at)
    }

    /// The room at `now`, `used` being what is used up of its day.
    pub fn room(&self, used: Used, now: Timestamp) -> Room {
        let left = self
            .on_day(used.days_before)
            .map_or(u32::MAX, |most| most.saturating_sub(used.taken));
        let gap_ends = used.last_at.and_then(|last| self.gap_ends(last));
        let gap_ends = gap_ends.filter(|ends| *ends > now);
        if left == 0 {
            let until = self.day_ends(now);
            return Room::Closed {
                until: gap_ends.map_or(until, |ends| ends.max(until)),
            };
        }
        match gap_ends {
            Some(until) => Room::Closed { until },
            None if self.gap.is_positive() => Room::Open(1),
            None => Room::Open(left),
        }
    }

    fn gap_ends(&self, last: Timestamp) -> Option<Timestamp> {
        let gap = self.gap.is_positive().then_some(self.gap)?;
        let gap = gap.saturating_add(GAP_MARGIN);
        Some(last.saturating_add(gap).unwrap_or(Timestamp::MAX))
    }

    /// On how many days, the first of them included, `people` are newly written to when there is
    /// always somebody to write to; with a gap, a day has no more room than gaps fit into it.
    pub fn days_for(&self, people: u64, used: Used) -> u64 {
        const DAY: SignedDuration = SignedDuration::from_hours(24);
        let in_gaps = if self.gap.is_positive() {
            let gap = self.gap.saturating_add(GAP_MARGIN).as_millis().max(1);
            u64::try_from(DAY.as_millis() / gap).unwrap_or(0).max(1)
        } else {
            u64::MAX
        };
        let (mut left, mut days, mut nth) = (people, 0u64, used.days_before);
        let mut taken = u64::from(used.taken);
        while left > 0 {
            let Some(most) = self.on_day(nth) else {
                return days + left.div_ceil(in_gaps);
            };
            let most = u64::from(most).min(in_gaps);
            let ramp = usize::try_from(nth).is_ok_and(|nth| nth < self.ramp.len());
            if !ramp && taken == 0 {
                return days + left.div_ceil(most);
            }
            left = left.saturating_sub(most.saturating_sub(taken));
            (days, nth, taken) = (days + 1, nth.saturating_add(1), 0);
        }
        days
    }
}

fn day_in(zone: &TimeZone, at: Timestamp) -> Day {
    let date = zone.to_datetime(at).date();
    let epoch = jiff::civil::date(1970, 1, 1);
    let days = date.duration_since(epoch).as_hours() / 24;
    Day::try_from(days).unwrap_or(Day::MAX)
}

/// The first moment of a later date than that of `at`. Clocks may be set back over midnight: then
/// the later date begins twice, and the first time may be over already.
fn end_of_day(zone: &TimeZone, at: Timestamp) -> Timestamp {
    const DAY: SignedDuration = SignedDuration::from_hours(24);
    let tomorrow = zone.to_datetime(at).date().checked_add(1.day());
    let midnight = tomorrow.ok().map(|date| date.at(0, 0, 0, 0));
    let starts = midnight.map_or([None, None], |midnight| {
        let again = match zone.to_ambiguous_timestamp(midnight).offset() {
            AmbiguousOffset::Fold { after, .. } => after.to_timestamp(midnight).ok(),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => None,
        };
        [zone::instant(zone, midnight), again]
    });
    starts
        .into_iter()
        .flatten()
        .find(|start| *start > at)
        .unwrap_or_else(|| at.saturating_add(DAY).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cap(ramp: &[u32], per_day: u32, zone: &str) -> Cap {
        Cap {
            ramp: ramp.iter().filter_map(|n| NonZeroU32::new(*n)).collect(),
            per_day: NonZeroU32::new(per_day),
            timezone: zone::parse(zone).unwrap(),
            gap: SignedDuration::ZERO,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn used(taken: u32, days_before: u32) -> Used {
        Used {
            taken,
            days_before,
            last_at: None,
        }
    }

    #[test]
    fn a_ramp_has_a_number_for_each_of_its_days_and_then_the_cap_holds() {
        let ramp = cap(&[50, 100, 200], 500, "UTC");
        let numbers: Vec<Option<u32>> = (0..5).map(|day| ramp.on_day(day)).collect();
        assert_eq!(numbers, [50, 100, 200, 500, 500].map(Some));
        assert_eq!(cap(&[50], 0, "UTC").on_day(1), None);
        assert_eq!(ramp.days_for(50, used(0, 0)), 1);
        assert_eq!(ramp.days_for(351, used(0, 0)), 4);
        assert_eq!(ramp.days_for(851, used(0, 0)), 5);
        assert_eq!(ramp.days_for(60, used(40, 0)), 2);
        assert_eq!(cap(&[50], 0, "UTC").days_for(5_000, used(0, 0)), 2);
    }

    #[test]
    fn a_day_ends_at_midnight_of_its_zone_also_when_the_clocks_change() {
        for (zone, now, ends) in [
            ("UTC", "2026-11-20T23:59:59.999Z", "2026-11-21T00:00:00Z"),
            (
                "America/Chicago",
                "2026-11-20T05:59:00Z",
                "2026-11-20T06:00:00Z",
            ),
            // 23 and 25 hours long.
            (
                "America/Chicago",
                "2026-03-08T06:00:00Z",
                "2026-03-09T05:00:00Z",
            ),
            (
                "America/Chicago",
                "2026-11-01T05:00:00Z",
                "2026-11-02T06:00:00Z",
            ),
            // Midnight itself is jumped over.
            (
                "America/Havana",
                "2026-03-07T12:00:00Z",
                "2026-03-08T05:00:00Z",
            ),
            // A day that comes to its end twice.
            (
                "America/St_Johns",
                "2010-11-06T12:00:00Z",
                "2010-11-07T02:30:00Z",
            ),
            (
                "America/St_Johns",
                "2010-11-07T02:31:00Z",
                "2010-11-07T03:30:00Z",
            ),
            // A day that the calendar left out.
            (
                "Pacific/Apia",
                "2011-12-29T12:00:00Z",
                "2011-12-30T10:00:00Z",
            ),
        ] {
            let cap = cap(&[], 5, zone);
            assert_eq!(cap.day_ends(at(now)), at(ends), "{zone} {now}");
            let until = Room::Closed { until: at(ends) };
            assert_eq!(cap.room(used(5, 3), at(now)), until, "{zone} {now}");
        }
    }

    #[test]
    fn a_gap_is_kept_over_midnight_and_leaves_room_for_one() {
        let line = Cap::first_touch();
        let last_at = Some(at("2026-11-20T23:55:00Z"));
        let fresh = Used {
            last_at,
            ..Used::default()
        };
        let until = at("2026-11-21T00:05:01Z");
        assert_eq!(
            line.room(fresh, at("2026-11-21T00:00:00Z")),
            Room::Closed { until }
        );
        assert_eq!(line.room(fresh, until), Room::Open(1));
        let all = Used { taken: 30, ..fresh };
        let tomorrow = at("2026-11-22T00:00:00Z");
        assert_eq!(line.room(all, until), Room::Closed { until: tomorrow });
        assert_eq!(line.days_for(41, Used::default()), 2);
    }

    #[test]
    fn a_cap_reads_back_as_it_was_frozen() {
        for cap in [cap(&[50, 100], 500, "America/Chicago"), Cap::first_touch()] {
            let text = serde_json::to_string(&cap).unwrap();
            assert_eq!(serde_json::from_str::<Cap>(&text).unwrap(), cap, "{text}");
        }
        for touch in Touch::ALL {
            assert_eq!(Touch::of_number(touch.number().into()), Some(touch));
        }
    }

    proptest! {
        /// Nothing between a moment and the end of its day is on a later day, and the end is.
        #[test]
        fn a_day_is_one_piece_of_time(
            zone in prop::sample::select(vec![
                "UTC", "America/Chicago", "Europe/Berlin", "America/St_Johns", "America/Havana",
                "Pacific/Apia", "Asia/Kolkata", "Africa/Cairo", "America/Sao_Paulo",
            ]),
            seconds in 946_684_800i64..2_000_000_000,
            part in 0.0f64..1.0,
        ) {
            let cap = cap(&[], 1, zone);
            let now = Timestamp::from_second(seconds).unwrap();
            let ends = cap.day_ends(now);
            prop_assert!(ends > now && ends.duration_since(now) <= SignedDuration::from_hours(26));
            prop_assert!(cap.day(ends) > cap.day(now));
            #[expect(clippy::cast_possible_truncation, reason = "a part of a day in seconds")]
            let within = (ends.duration_since(now).as_secs_f64() * part) as i64;
            prop_assert!(cap.day(now + SignedDuration::from_secs(within)) == cap.day(now));
        }

        /// However many come and whenever, no day has more than its number.
        #[test]
        fn no_day_has_more_than_its_number(
            ramp in prop::collection::vec(1u32..6, 0..4), per_day in 1u32..6,
            steps in prop::collection::vec(0i64..20 * 3_600, 1..200),
        ) {
            let cap = cap(&ramp, per_day, "America/Chicago");
            let mut now = at("2026-10-25T00:00:00Z");
            let mut days: Vec<(Day, u32)> = Vec::new();
            for step in steps {
                now += SignedDuration::from_secs(step);
                let day = cap.day(now);
                let before = days.iter().filter(|(other, _)| *other < day).count();
                let taken = days.last().filter(|(last, _)| *last == day).map_or(0, |(_, n)| *n);
                match cap.room(used(taken, u32::try_from(before).unwrap()), now) {
                    Room::Open(_) if taken > 0 => days.last_mut().unwrap().1 += 1,
                    Room::Open(_) => days.push((day, 1)),
                    Room::Closed { until } => prop_assert!(until > now),
                }
            }
            for (place, (_, n)) in days.iter().enumerate() {
                let most = ramp.get(place).copied().unwrap_or(per_day);
                prop_assert!(*n <= most);
            }
        }
    }
}
