//! When a campaign starts: a moment or a cron expression in a time zone, and what becomes of an
//! occurrence that was missed. Does not know the clock; every question brings its own `now`.
//!
//! A schedule is a set of wall-clock times. Each becomes an instant by one rule ([`zone`]): a time
//! that the clocks jump over fires at the first moment after the jump, a time that comes twice
//! fires the first time only. Two times that become the same instant are one occurrence.

mod cron_expr;
mod cron_field;
mod cron_text;
mod due;
pub mod zone;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use cron_expr::{CronDays, CronExpr};
pub use cron_field::CronField;
pub use cron_text::BadCron;
pub use due::{Due, KEPT, LOOK_BACK, MissReason, NO_CATCH_UP_GRACE, OlderMissed};

use super::digest::Digest;
use super::run::ONCE;

/// When a campaign starts, and what happens to an occurrence whose time has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub when: When,
    /// The zone whose clocks the times are read on; stored by its IANA name (see [`zone::parse`]).
    #[serde(with = "zone::name")]
    pub timezone: TimeZone,
    pub catch_up: CatchUp,
    /// An occurrence later than this is recorded as missed, not sent; `None` sets no limit.
    pub start_by: Option<SignedDuration>,
    pub overlap: Overlap,
    /// A run starts up to this long after its time, so that many campaigns do not start at once.
    pub jitter: Option<SignedDuration>,
}

/// A moment, or a repeating pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Once, at this wall-clock time.
    At(DateTime),
    Cron(CronExpr),
}

/// What to do about occurrences whose time passed while nothing was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// The newest one runs, if `start_by` allows; the older ones are missed.
    #[default]
    Latest,
    /// Each one runs for which `start_by` allows it, oldest first, at most [`KEPT`].
    All,
    /// None runs, but for one whose time came less than [`NO_CATCH_UP_GRACE`] ago.
    None,
}

/// What to do when the previous run is still going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// The new occurrence is recorded as missed.
    #[default]
    Skip,
    /// It starts when the previous run has ended, if `start_by` still allows.
    Queue,
}

/// One occurrence of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fire {
    /// The second half of the run's id: [`ONCE`], or the local minute with the offset then in
    /// force, such as `2026-11-20T21:00-06:00`.
    pub occurrence: String,
    /// The instant, jitter not included.
    pub at: Timestamp,
}

impl Schedule {
    /// The next occurrence strictly later than `after`; `None` when there is none.
    pub fn next_after(&self, after: Timestamp) -> Option<Fire> {
        self.instants(after).next().map(|at| self.fire(at))
    }

    /// Every occurrence later than `after` and not later than `until`, in order.
    pub fn fires(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Fire> {
        self.instants(after)
            .take_while(move |at| *at <= until)
            .map(|at| self.fire(at))
    }

    /// The instants later than `after`, each once, in order.
    fn instants(&self, after: Timestamp) -> impl Iterator<Item = Timestamp> {
        let (once, cron) = match &self.when {
            When::At(civil) => (Some(*civil), None),
            When::Cron(cron) => (None, Some(cron)),
        };
        // Instants never go backwards as local times go forwards, so no local time before the one
        // shown at `after` can lead to a later instant.
        let local = self.timezone.to_datetime(after);
        let repeated = cron
            .into_iter()
            .flat_map(move |cron| cron.times_from(local));
        let mut last = after;
        once.into_iter()
            .chain(repeated)
            .map_while(|civil| zone::instant(&self.timezone, civil))
            .filter(move |at| {
                let later = *at > last;
                last = last.max(*at);
                later
            })
    }

    /// When the run of `fire` really starts: its time and a part of `jitter`, the same for the
    /// same `seed` (the run's id) in every process and after every restart.
    pub fn jittered(&self, fire: &Fire, seed: &str) -> Timestamp {
        let span = self.jitter.unwrap_or_default().as_millis();
        let digest = Digest::of(seed.as_bytes());
        let chance = digest
            .bytes()
            .iter()
            .take(8)
            .fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte));
        let shift = u128::try_from(span)
            .ok()
            .and_then(|span| u128::from(chance).checked_rem(span))
            .and_then(|ms| i64::try_from(ms).ok())
            .unwrap_or(0);
        fire.at
            .checked_add(SignedDuration::from_millis(shift))
            .unwrap_or(fire.at)
    }

    fn fire(&self, at: Timestamp) -> Fire {
        let occurrence = match self.when {
            When::At(_) => ONCE.to_owned(),
            When::Cron(_) => {
                let offset = self.timezone.to_offset(at);
                let minute = offset.to_datetime(at).strftime("%Y-%m-%dT%H:%M");
                format!("{minute}{}", offset_text(offset))
            }
        };
        Fire { occurrence, at }
    }
}

/// `-06:00`; seconds only where a zone has them (local mean times of a century ago).
fn offset_text(offset: jiff::tz::Offset) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, rest) = (seconds.abs() / 3_600, seconds.abs() % 3_600);
    match (rest / 60, rest % 60) {
        (minutes, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        (minutes, seconds) => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
