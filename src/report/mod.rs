//! What became of a run, as bytes: JSON for programs, CSV for spreadsheets, words for people.
//! Reads the ledger and never prints; one file per format.

mod csv;
mod explain;
mod html;
mod json;
mod layout;
mod lines;
mod opt_outs;
mod status;
mod style;
mod text;
mod verify;
mod words;
mod workers;

#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::io::{self, Write};

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use self::csv::{Csv, HEADER as CSV_HEADER, csv};
pub use self::explain::{Told, explain_json, explain_text};
pub use self::html::Html;
pub use self::json::{Json, run_json, runs_json};
pub use self::lines::{LineState, lines_json, lines_of, lines_table};
pub use self::opt_outs::{ListFormat, REVIEW_HEADER, SUPPRESSIONS_HEADER, reviews, suppressions};
pub use self::status::{Glance, status_table};
pub use self::style::{Colour, Style};
pub use self::text::{Text, text};
pub use self::verify::{Hear, Proof, verify};
pub use self::workers::{workers_on, workers_table};
use crate::ledger::{Ledger, LedgerError, RunRecord};

/// Why a report is incomplete.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A broken pipe among them: whoever reads has seen enough.
    #[error("the report cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// The run that is reported on.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub ledger: &'a dyn Ledger,
    pub run: &'a RunRecord,
    /// Tells which waits are still open.
    pub now: Timestamp,
}

/// One way to write a report.
#[async_trait]
pub trait Format: Debug + Send + Sync {
    /// Writes the whole report, ends its last line, and flushes.
    ///
    /// Stopped halfway it has changed nothing: a report only reads.
    async fn write(
        &self,
        subject: Subject<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ReportError>;
}

/// How a person looks at a report.
#[derive(Debug, Clone)]
pub struct View {
    /// Against which "tomorrow" and "in 2 hours" are meant.
    pub now: Timestamp,
    /// Times are shown in this zone.
    pub timezone: TimeZone,
    pub style: Style,
}
