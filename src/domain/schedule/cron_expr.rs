//! A cron expression with crontab's meaning: five fields, local wall-clock times. Knows nothing of
//! time zones; croner reads the fields, its own daylight-saving rules are not used.

use cron::parser::{CronParser, Seconds, Year};
use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

/// A five-field cron expression that matches at least one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CronExpr {
    text: String,
    cron: Box<cron::Cron>,
    /// The matching times of a day, in order.
    times: Vec<Time>,
}

/// One of the five fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CronField {
    Minute,
    Hour,
    DayOfMonth,
    Month,
    DayOfWeek,
}

/// Why a text is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadCron {
    /// The field at fault; `None` when it is the whole expression.
    pub field: Option<CronField>,
    /// Where the fault begins, in characters from 0.
    pub column: usize,
    /// How many characters are at fault.
    pub width: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl CronExpr {
    /// Reads a cron expression as crontab does.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        let cron = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build()
            .parse(text)
            .map_err(|_| BadCron {
                field: None,
                column: 0,
                width: text.chars().count(),
                message: "this is not a cron expression".to_owned(),
                help: "write five fields: minute hour day-of-month month day-of-week".to_owned(),
            })?;
        let minutes = clock_values(&cron.pattern.minutes.values());
        let times = clock_values(&cron.pattern.hours.values())
            .into_iter()
            .flat_map(|hour| minutes.iter().map(move |minute| (hour, *minute)))
            .filter_map(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())
            .collect();
        Ok(Self {
            text: text.trim().to_owned(),
            cron: Box::new(cron),
            times,
        })
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
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
