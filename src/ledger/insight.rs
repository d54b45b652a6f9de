//! What a person who looks after a ledger wants to know of the store itself. Knows nothing of
//! people and messages.

use super::LedgerError;
use super::rows::{named, number};
use crate::domain::run::RunState;

/// A store from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insight {
    pub kind: Kind,
    /// Of the database program.
    pub version: String,
    /// On disk, with everything that belongs to it.
    pub bytes: u64,
    /// On disk by table, each with its indexes; largest first.
    pub tables: Vec<(String, u64)>,
    /// How many are in each state that any is in.
    pub runs: Vec<(RunState, u64)>,
    /// Of all runs.
    pub deliveries: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Which schema a store has; each change of it has the next number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// 0: no ledger was made in it yet.
    pub applied: i64,
    /// What this version of the program works with.
    pub newest: i64,
}

impl Schema {
    pub fn is_newest(self) -> bool {
        self.applied == self.newest
    }
}

/// Counts by state as the store has them, and the deliveries of all.
pub(super) fn by_state(
    rows: Vec<(String, i64, i64)>,
) -> Result<(Vec<(RunState, u64)>, u64), LedgerError> {
    let mut deliveries = 0;
    let mut runs = Vec::new();
    for (state, count, total) in rows {
        runs.push((named(RunState::parse(&state), &state)?, number(count)?));
        deliveries += number::<u64>(total)?;
    }
    Ok((runs, deliveries))
}
