//! How many requests an account has: a minute's window, a day, and a month's messages (huechat
//! §3). Counts and says what is left; refuses nothing itself.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

const SECOND_US: i64 = 1_000_000;
/// A window is as long, and begins with the first request in it.
const WINDOW_US: i64 = 60 * SECOND_US;

/// What an account has paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HuePlan {
    /// 100 requests a minute, 10,000 a day.
    #[default]
    Free,
    /// 1,000 a minute, 100,000 a day.
    Pro,
    /// Figures of one's own.
    Own { per_minute: u32, per_day: u32 },
    /// No limit, and no headers that tell of one.
    Unlimited,
}

impl HuePlan {
    /// Requests a minute and a day.
    pub fn limits(self) -> Option<(u32, u32)> {
        match self {
            Self::Free => Some((100, 10_000)),
            Self::Pro => Some((1_000, 100_000)),
            Self::Own {
                per_minute,
                per_day,
            } => Some((per_minute, per_day)),
            Self::Unlimited => None,
        }
    }
}

/// What the headers of an answer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Unix seconds.
    pub(super) reset_s: i64,
}

/// Why a request has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Seconds of the machine, whose clock the window goes by.
    Minute(u32),
    /// Seconds of the provider, whose days are counted.
    Day(u32),
}

/// What an account has used.
#[derive(Debug, Default)]
pub(super) struct Budget {
    opened_us: Option<i64>,
    in_window: u32,
    day: Option<Date>,
    today: u32,
    month: Option<(i16, i8)>,
    messages: u32,
}

fn whole_seconds(us: i64) -> i64 {
    us.saturating_add(SECOND_US - 1).div_euclid(SECOND_US)
}

fn date(now_us: i64) -> Date {
    let now = Timestamp::from_microsecond(now_us).unwrap_or_default();
    now.to_zoned(TimeZone::UTC).date()
}

impl Budget {
    /// Counts a request, unless it has to wait. `machine_us` tells the minute, `provider_us` the
    /// day.
    pub(super) fn admit(
        &mut self,
        plan: HuePlan,
        (machine_us, provider_us): (i64, i64),
    ) -> (Option<Left>, Result<(), Wait>) {
        let Some((per_minute, per_day)) = plan.limits() else {
            return (None, Ok(()));
        };
        let opened_us = match self.opened_us {
            // A machine whose clock was set back begins anew.
            Some(opened_us) if (0..WINDOW_US).contains(&(machine_us - opened_us)) => opened_us,
            Some(_) | None => {
                self.in_window = 0;
                machine_us
            }
        };
        let today = date(provider_us);
        if self.day != Some(today) {
            self.day = Some(today);
            self.today = 0;
        }
        let end_us = opened_us.saturating_add(WINDOW_US);
        let admitted = if self.today >= per_day {
            Err(Wait::Day(until_midnight(today, provider_us)))
        } else if self.in_window >= per_minute {
            let seconds = whole_seconds(end_us - machine_us).max(1);
            Err(Wait::Minute(u32::try_from(seconds).unwrap_or(60)))
        } else {
            self.opened_us = Some(opened_us);
            self.in_window += 1;
            self.today += 1;
            Ok(())
        };
        let left = Left {
            limit: per_minute,
            remaining: per_minute.saturating_sub(self.in_window),
            reset_s: whole_seconds(end_us),
        };
        (Some(left), admitted)
    }

    /// Whether the month has room for another message.
    pub(super) fn has_message(&mut self, most: u32, now_us: i64) -> bool {
        let day = date(now_us);
        let month = (day.year(), day.month());
        if self.month != Some(month) {
            self.month = Some(month);
            self.messages = 0;
        }
        self.messages < most
    }

    /// Counts a message that was accepted.
    pub(super) fn count_message(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }
}

fn until_midnight(today: Date, now_us: i64) -> u32 {
    let midnight = today
        .checked_add(1.day())
        .and_then(|tomorrow| tomorrow.to_zoned(TimeZone::UTC));
    // There is no tomorrow only at the end of all time.
    let begins_us = midnight.map_or(Timestamp::MAX, |midnight| midnight.timestamp());
    let left_us = begins_us.as_microsecond().saturating_sub(now_us);
    u32::try_from(whole_seconds(left_us).max(1)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OWN: HuePlan = HuePlan::Own {
        per_minute: 3,
        per_day: 1_000,
    };

    #[test]
    fn a_window_is_opened_by_its_first_request_and_says_its_end_rounded_up() {
        let mut budget = Budget::default();
        let (left, admitted) = budget.admit(OWN, (500_000, 0));
        assert_eq!(admitted, Ok(()));
        let left = left.unwrap();
        assert_eq!((left.limit, left.remaining, left.reset_s), (3, 2, 61));
        let (left, _) = budget.admit(OWN, (60_400_000, 0));
        assert_eq!(left.unwrap().remaining, 1);
        let (left, _) = budget.admit(OWN, (60_500_000, 0));
        assert_eq!((left.unwrap().remaining, left.unwrap().reset_s), (2, 121));
    }

    #[test]
    fn a_day_ends_at_midnight_in_utc_and_says_how_far_that_is() {
        let plan = HuePlan::Own {
            per_minute: 100,
            per_day: 1,
        };
        let noon_us = "2026-06-10T12:00:00Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_microsecond();
        let mut budget = Budget::default();
        assert_eq!(budget.admit(plan, (0, noon_us)).1, Ok(()));
        let (left, refused) = budget.admit(plan, (1, noon_us));
        assert_eq!(refused, Err(Wait::Day(12 * 3_600)));
        assert_eq!(
            left.unwrap().remaining,
            99,
            "the headers tell of the minute"
        );
        let midnight_us = noon_us + 12 * 3_600 * SECOND_US;
        assert_eq!(budget.admit(plan, (2, midnight_us)).1, Ok(()));
    }

    #[test]
    fn a_month_has_its_messages_again_when_the_next_one_begins() {
        let june_us = "2026-06-30T23:59:59Z"
            .parse::<Timestamp>()
            .unwrap()
            .as_microsecond();
        let mut budget = Budget::default();
        assert!(budget.has_message(1, june_us));
        budget.count_message();
        assert!(!budget.has_message(1, june_us));
        assert!(budget.has_message(1, june_us + SECOND_US));
    }

    proptest! {
        #[test]
        fn whoever_waits_as_told_is_let_in_and_no_window_holds_more(
            waits in prop::collection::vec(0i64..40 * SECOND_US, 1..60),
        ) {
            let (mut budget, mut now_us) = (Budget::default(), 0);
            let mut windows: std::collections::BTreeMap<i64, u32> = std::collections::BTreeMap::new();
            for wait in waits {
                now_us += wait;
                if let (_, Err(told)) = budget.admit(OWN, (now_us, now_us)) {
                    let Wait::Minute(seconds) = told else { panic!("the day is long") };
                    now_us += i64::from(seconds) * SECOND_US;
                    prop_assert_eq!(budget.admit(OWN, (now_us, now_us)).1, Ok(()));
                }
                *windows.entry(budget.opened_us.unwrap()).or_default() += 1;
            }
            prop_assert!(windows.values().all(|count| *count <= 3));
            let opened: Vec<_> = windows.into_keys().collect();
            prop_assert!(opened.windows(2).all(|pair| pair[1] - pair[0] >= WINDOW_US));
        }
    }
}
