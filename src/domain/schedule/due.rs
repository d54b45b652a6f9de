//! What is due now: which occurrences run and which were missed, with the reason. Does not start
//! or record anything.

use std::collections::VecDeque;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::{CatchUp, Fire, Schedule, When, zone};
use crate::domain::duration;

/// With `catch_up: none`, an occurrence still runs this long after its time: enough for a system
/// cron line every five minutes, and for a timer that is a minute late.
pub const NO_CATCH_UP_GRACE: SignedDuration = SignedDuration::from_mins(5);

/// The newest occurrences that are told one by one; older ones are only counted.
pub const KEPT: usize = 100;

/// Occurrences older than this are not even counted.
pub const LOOK_BACK: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What is to happen now with the occurrences whose time has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// To start now, oldest first.
    pub run: Vec<Fire>,
    /// To record as missed, oldest first.
    pub missed: Vec<(Fire, MissReason)>,
    /// Missed as well, too many to tell one by one.
    pub older: Option<OlderMissed>,
}

/// Missed occurrences before the newest [`KEPT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlderMissed {
    pub count: u64,
    pub first: Fire,
    pub last: Fire,
}

/// Why an occurrence was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissReason {
    /// Its time came longer ago than `start_by` allows.
    TooLate { start_by: SignedDuration },
    /// A newer occurrence, this one, stands in for it: but for `catch_up: all`, only the newest runs.
    Superseded { by: String },
    /// `catch_up: none`.
    NoCatchUp,
    /// `overlap: skip`, and this occurrence was still going. Only who knows the runs can say so;
    /// [`Schedule::due`] never does.
    Overlap { previous: String },
}

impl MissReason {
    /// One word for tables and JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLate { .. } => "too_late",
            Self::Superseded { .. } => "superseded",
            Self::NoCatchUp => "no_catch_up",
            Self::Overlap { .. } => "overlap",
        }
    }
}

impl fmt::Display for MissReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLate { start_by } => write!(
                f,
                "too late: it could not start within {} (start_by)",
                duration::format(*start_by)
            ),
            Self::Superseded { by } => {
                write!(f, "the newer occurrence {by} stands in for it")
            }
            Self::NoCatchUp => f.write_str("nothing was running at its time (catch_up: none)"),
            Self::Overlap { previous } => {
                write!(f, "the run of {previous} was still going (overlap: skip)")
            }
        }
    }
}

impl Schedule {
    /// What is due at `now`, after everything up to and including `since` was handled.
    ///
    /// Bounded: nothing before `now` - [`LOOK_BACK`] is considered, at most [`KEPT`] occurrences
    /// are told one by one.
    pub fn due(&self, since: Timestamp, now: Timestamp) -> Due {
        let since = match self.when {
            When::At(_) => since,
            When::Cron(_) => since.max(now.checked_sub(LOOK_BACK).unwrap_or(since)),
        };
        let mut newest = VecDeque::with_capacity(KEPT + 1);
        let mut older: Option<(u64, Timestamp, Timestamp)> = None;
        for at in self.instants(since).take_while(|at| *at <= now) {
            newest.push_back(at);
            if newest.len() > KEPT
                && let Some(at) = newest.pop_front()
            {
                older = Some(older.map_or((1, at, at), |(n, first, _)| (n + 1, first, at)));
            }
        }
        let newest: Vec<Fire> = newest.into_iter().map(|at| self.fire(at)).collect();
        let stand_in = newest.last().map(|fire| fire.occurrence.clone());
        let mut due = Due {
            older: older.map(|(count, first, last)| OlderMissed {
                count,
                first: self.fire(first),
                last: self.fire(last),
            }),
            ..Due::default()
        };
        for fire in newest {
            match self.verdict(&fire, now, stand_in.as_deref()) {
                None => due.run.push(fire),
                Some(reason) => due.missed.push((fire, reason)),
            }
        }
        due
    }

    /// The `since` for a schedule that was never looked at before: so that a one-off counts even
    /// when its time has passed, and an occurrence whose time has just come is not lost because
    /// the first look was a second late. Reaches back by `start_by` where it is set, else (and
    /// with `catch_up: none`) by [`NO_CATCH_UP_GRACE`], and no further than the newest occurrence.
    pub fn first_since(&self, now: Timestamp) -> Timestamp {
        let reach = match (&self.when, self.catch_up) {
            (When::At(civil), _) => {
                let before = zone::instant(&self.timezone, *civil)
                    .and_then(|at| at.checked_sub(SignedDuration::from_millis(1)).ok());
                return before.map_or(now, |before| before.min(now));
            }
            (When::Cron(_), CatchUp::None) => NO_CATCH_UP_GRACE,
            (When::Cron(_), CatchUp::Latest | CatchUp::All) => {
                self.start_by.unwrap_or(NO_CATCH_UP_GRACE)
            }
        };
        let mut since = now.checked_sub(reach).unwrap_or(now);
        let mut last = since;
        for at in self.instants(since).take_while(|at| *at <= now) {
            (since, last) = (last, at);
        }
        since
    }

    /// Why `fire` does not run at `now`; `None` when it does.
    fn verdict(&self, fire: &Fire, now: Timestamp, newest: Option<&str>) -> Option<MissReason> {
        let late = now.duration_since(fire.at);
        if let Some(start_by) = self.start_by.filter(|limit| late > *limit) {
            return Some(MissReason::TooLate { start_by });
        }
        match self.catch_up {
            CatchUp::All => None,
            CatchUp::None if late > NO_CATCH_UP_GRACE => Some(MissReason::NoCatchUp),
            CatchUp::Latest | CatchUp::None => newest
                .filter(|newest| *newest != fire.occurrence)
                .map(|by| MissReason::Superseded { by: by.to_owned() }),
        }
    }
}
