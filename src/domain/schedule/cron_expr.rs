//! A cron expression with crontab's meaning, as a set of wall-clock times. Knows nothing of time
//! zones: croner decides which days match, its own way through daylight saving is not used.

use std::fmt;

use cron::parser::{CronParser, Seconds, Year};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time, Weekday};
use serde::{Deserialize, Serialize};

use super::cron_field::CronField;
use super::cron_text::{self, BadCron};

/// A five-field cron expression that matches at least one day.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronExpr {
    text: String,
    cron: Box<cron::Cron>,
    /// The matching times of a day, in order.
    times: Vec<Time>,
}

/// Which days of a month a cron expression matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CronDays {
    Every,
    /// Sunday first.
    Weekdays(Vec<Weekday>),
    /// 1 to 31.
    OfMonth(Vec<i8>),
    LastOfMonth,
    /// Anything that takes more than a word.
    Other,
}

/// After 400 years the calendar begins again (146,097 days are whole weeks too): a day that does
/// not come in these never comes.
const CALENDAR_DAYS: usize = 146_097;

impl CronExpr {
    /// Reads a cron expression as crontab(5) does: minute, hour, day of month, month, day of week;
    /// `*`, lists, ranges, steps, names, `@daily` and its kin. When both fields of days are
    /// restricted (do not begin with `*`), either may match. Beyond crontab: `L`, `LW`, `15W`,
    /// `FRI#2`, `FRIL`. No seconds, no years. A date that never comes (31 February) is refused.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        let whole = |message: &str, help: &str| BadCron {
            field: None,
            column: text.chars().take_while(|c| c.is_whitespace()).count(),
            width: text.trim().chars().count(),
            message: message.to_owned(),
            help: help.to_owned(),
        };
        let plain = cron_text::read(text)?;
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(plain.both_days)
            .build()
            .parse(&plain.text)
            .map_err(|_| {
                whole(
                    "this is not a cron expression",
                    "write five fields: minute hour day-of-month month day-of-week",
                )
            })?;
        let minutes = clock_values(&cron.pattern.minutes.values());
        let times = clock_values(&cron.pattern.hours.values())
            .into_iter()
            .flat_map(|hour| minutes.iter().map(move |minute| (hour, *minute)))
            .filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
            .collect();
        let expr = Self {
            text: text.trim().to_owned(),
            cron: Box::new(cron),
            times,
        };
        if expr.comes() {
            Ok(expr)
        } else {
            Err(BadCron {
                field: Some(CronField::DayOfMonth),
                ..whole(
                    "no such day ever comes",
                    "the months named here have no such day; the last day of a month is L",
                )
            })
        }
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The matching times of a matching day, in order.
    pub fn times(&self) -> &[Time] {
        &self.times
    }

    /// The matching months, 1 to 12, in order.
    pub fn months(&self) -> Vec<i8> {
        clock_values(&self.cron.pattern.months.values())
    }

    /// Which days of the matching months match, as far as it can be said in a word.
    pub fn days(&self) -> CronDays {
        let pattern = &self.cron.pattern;
        let text = pattern.as_str().split(' ').nth(2);
        match (pattern.is_dom_wildcard(), pattern.is_dow_wildcard()) {
            (true, true) => CronDays::Every,
            (true, false) if !pattern.days_of_week.has_modifiers() => CronDays::Weekdays(
                clock_values(&pattern.days_of_week.values())
                    .into_iter()
                    .filter_map(|day| Weekday::from_sunday_zero_offset(day).ok())
                    .collect(),
            ),
            (false, true) if text == Some("L") => CronDays::LastOfMonth,
            (false, true) if !pattern.days.has_modifiers() => {
                CronDays::OfMonth(clock_values(&pattern.days.values()))
            }
            (true | false, true | false) => CronDays::Other,
        }
    }

    /// Every matching wall-clock time from the minute of `start` on, in order.
    pub(super) fn times_from(&self, start: DateTime) -> impl Iterator<Item = DateTime> {
        let first = DateTime::from_parts(
            start.date(),
            Time::new(start.hour(), start.minute(), 0, 0).unwrap_or(Time::MIN),
        );
        start
            .date()
            .series(1.day())
            .filter(|date| self.matches_day(*date))
            .flat_map(|date| self.times.iter().map(move |time| date.to_datetime(*time)))
            .skip_while(move |civil| *civil < first)
    }

    fn comes(&self) -> bool {
        jiff::civil::date(2000, 1, 1)
            .series(1.day())
            .take(CALENDAR_DAYS)
            .any(|date| self.matches_day(date))
    }

    fn matches_day(&self, date: Date) -> bool {
        let pattern = &self.cron.pattern;
        let (year, month, day) = (date.year(), date.month(), date.day());
        let weekday = cron::time::Weekday::from_days_from_sunday(
            date.weekday().to_sunday_zero_offset().unsigned_abs().into(),
        );
        let (month, day) = (month.unsigned_abs().into(), day.unsigned_abs().into());
        pattern.month_match(month).unwrap_or(false)
            && pattern
                .day_match(year.into(), month, day, weekday)
                .unwrap_or(false)
    }
}

fn clock_values(values: &[u16]) -> Vec<i8> {
    values
        .iter()
        .filter_map(|value| i8::try_from(*value).ok())
        .collect()
}

impl fmt::Debug for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpr({:?})", self.text)
    }
}

impl fmt::Display for CronExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for CronExpr {
    type Error = BadCron;
    fn try_from(text: String) -> Result<Self, BadCron> {
        Self::parse(&text)
    }
}

impl From<CronExpr> for String {
    fn from(cron: CronExpr) -> Self {
        cron.text
    }
}
