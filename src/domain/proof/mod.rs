//! The proof of a run: its rows, as they are stored, against their checksums and against the
//! history that they tell. Compares only; what the rows are read with is the ledger's.
//!
//! Not covered: leases (`lease_owner`, `lease_until`), which end by themselves; how far the clock
//! was set back since (`aged_ms`), which nothing else tells; and the times of receipts
//! (`delivered_at`, `read_at`), which are the provider's word, but that they are there where the
//! state says so.

mod delivery;
mod kept;
mod run;
mod stands;

use std::fmt;

pub use self::delivery::{Checked, check_delivery};
pub use self::kept::{
    Flaw, KeptAttempt, KeptDelivery, KeptEvent, KeptMedia, KeptMessage, KeptRun, Readable, Rows,
};
pub use self::run::{Frame, RunReplay, check_media, check_run};

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// As in the ledger: `messages`, `deliveries`, …
    pub table: &'static str,
    /// The row of the list that it is about, from 1.
    pub row: Option<u64>,
    /// Their phone, masked.
    pub recipient: Option<String>,
    /// What differs, in words.
    pub what: String,
}

impl Finding {
    /// One that is about no single row of the list.
    pub fn whole(table: &'static str, what: impl Into<String>) -> Self {
        Self {
            table,
            row: None,
            recipient: None,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.row, &self.recipient) {
            (Some(row), Some(who)) => write!(f, "row {row} ({who}), ")?,
            (Some(row), None) => write!(f, "row {row}, ")?,
            (None, _) => {}
        }
        write!(f, "{}: {}", self.table, self.what)
    }
}

/// A value of a row in words; absent ones too. Long ones are cut.
fn shown(value: Option<&str>) -> String {
    const MOST: usize = 60;
    match value {
        None => "absent".to_owned(),
        Some(text) if text.chars().count() > MOST => {
            let head: String = text.chars().take(MOST).collect();
            format!("'{head}…'")
        }
        Some(text) => format!("'{text}'"),
    }
}
