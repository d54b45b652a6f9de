//! The do-not-contact list of a ledger and the answers that wait for a person, as bytes. Reads the
//! list page by page, so that memory stays flat whatever its length; changes nothing of it.

use std::io::Write;

use serde_json::{Value, json};

use super::csv::guarded;
use super::json::instant;
use super::layout::clean;
use super::words::{Calendar, Fine};
use super::{ReportError, View};
use crate::domain::opt_out::Source;
use crate::domain::run::RunId;
use crate::ledger::{Ledger, OptOutEvent, Reply, Said, Suppression};

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    Text,
    Json,
    Csv,
}

/// The columns of the list, in order. New ones are only ever added at the end.
pub const SUPPRESSIONS_HEADER: [&str; 6] = ["phone", "source", "reason", "at", "run", "event_id"];
/// The columns of the answers to review.
pub const REVIEW_HEADER: [&str; 7] = ["id", "phone", "text", "at", "run", "row", "gateway"];

/// People or answers in memory at a time.
const PAGE: u32 = 2_000;

/// Something that is written line by line.
trait Line {
    fn json(&self) -> Value;
    fn cells(&self) -> Vec<String>;
    fn text(&self, calendar: &Calendar<'_>) -> String;
}

impl Line for Suppression {
    fn json(&self) -> Value {
        json!({
            "phone": self.phone.expose(),
            "source": self.source.as_str(),
            "reason": self.reason,
            "at": instant(self.at),
            "run": self.run.as_ref().map(RunId::as_str),
            "event_id": self.event_id,
        })
    }

    fn cells(&self) -> Vec<String> {
        let run = self.run.as_ref().map(|run| run.as_str().to_owned());
        vec![
            self.phone.expose().to_owned(),
            self.source.as_str().to_owned(),
            guarded(&clean(self.reason.as_deref().unwrap_or_default())),
            instant(self.at),
            run.unwrap_or_default(),
            guarded(self.event_id.as_deref().unwrap_or_default()),
        ]
    }

    fn text(&self, calendar: &Calendar<'_>) -> String {
        let reason = clean(self.reason.as_deref().unwrap_or_default());
        let how = match self.source {
            Source::Reply => format!("said {reason}"),
            Source::Operator | Source::Import | Source::Api => reason,
        };
        format!(
            "{:16}  {:8}  {}  {how}",
            self.phone.expose(),
            self.source.as_str(),
            calendar.moment(self.at, Fine::Whole),
        )
    }
}

impl Line for Reply {
    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "phone": self.phone.expose(),
            "text": self.text,
            "at": instant(self.at),
            "run": self.run.as_ref().map(RunId::as_str),
            "row": self.row,
            "gateway": self.gateway,
        })
    }

    fn cells(&self) -> Vec<String> {
        let run = self.run.as_ref().map(|run| run.as_str().to_owned());
        vec![
            self.id.to_string(),
            self.phone.expose().to_owned(),
            guarded(&clean(&self.text)),
            instant(self.at),
            run.unwrap_or_default(),
            self.row.map(|row| row.to_string()).unwrap_or_default(),
            self.gateway.clone(),
        ]
    }

    fn text(&self, calendar: &Calendar<'_>) -> String {
        let run = match (&self.run, self.row) {
            (Some(run), Some(row)) => format!(", row {row} of {run}"),
            (Some(run), None) => format!(", {run}"),
            (None, _) => String::new(),
        };
        format!(
            "{:>6}  {}  {}{run}\n        {}",
            self.id,
            self.phone.masked(),
            calendar.moment(self.at, Fine::Whole),
            clean(&self.text),
        )
    }
}

/// Writes lines in one format as they come.
struct Lines<'a> {
    format: ListFormat,
    view: &'a View,
    out: &'a mut (dyn Write + Send),
    written: u64,
}

impl<'a> Lines<'a> {
    /// `name` is the list's in JSON, `header` that of its columns in CSV.
    fn begin(
        (format, view): (ListFormat, &'a View),
        out: &'a mut (dyn Write + Send),
        name: &str,
        header: &[&str],
    ) -> Result<Self, ReportError> {
        match format {
            ListFormat::Text => {}
            ListFormat::Json => write!(out, "{{\"{name}\": [")?,
            ListFormat::Csv => writeln!(out, "{}", header.join(","))?,
        }
        Ok(Self {
            format,
            view,
            out,
            written: 0,
        })
    }

    fn line(&mut self, line: &impl Line) -> Result<(), ReportError> {
        match self.format {
            ListFormat::Text => {
                let calendar = Calendar {
                    now: self.view.now,
                    timezone: &self.view.timezone,
                };
                writeln!(self.out, "{}", line.text(&calendar).trim_end())?;
            }
            ListFormat::Json => {
                let comma = if self.written > 0 { "," } else { "" };
                write!(self.out, "{comma}\n  {}", line.json())?;
            }
            ListFormat::Csv => {
                let mut cells = ::csv::Writer::from_writer(Vec::new());
                cells
                    .write_record(line.cells())
                    .map_err(std::io::Error::from)?;
                let bytes = cells
                    .into_inner()
                    .map_err(::csv::IntoInnerError::into_error)?;
                self.out.write_all(&bytes)?;
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Says how many there were.
    fn end(self) -> Result<u64, ReportError> {
        if self.format == ListFormat::Json {
            writeln!(self.out, "{}]}}", if self.written > 0 { "\n" } else { "" })?;
        }
        self.out.flush()?;
        Ok(self.written)
    }
}

/// Writes the whole list and says how many are on it; an empty one is no text at all.
pub async fn suppressions(
    ledger: &dyn Ledger,
    format: ListFormat,
    view: &View,
    out: &mut (dyn Write + Send),
) -> Result<u64, ReportError> {
    let mut lines = Lines::begin((format, view), out, "suppressions", &SUPPRESSIONS_HEADER)?;
    let mut after = None;
    loop {
        let page = ledger.suppressions(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.phone.clone());
        for one in &page {
            lines.line(one)?;
        }
    }
    lines.end()
}

/// Writes the answers that wait for a person, oldest first, and says how many there are.
pub async fn reviews(
    ledger: &dyn Ledger,
    format: ListFormat,
    view: &View,
    out: &mut (dyn Write + Send),
) -> Result<u64, ReportError> {
    let mut lines = Lines::begin((format, view), out, "replies", &REVIEW_HEADER)?;
    let mut after = None;
    loop {
        let page = ledger.to_review(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for one in &page {
            lines.line(one)?;
        }
    }
    lines.end()
}

/// What was said, in a sentence of a story.
pub(super) fn told(event: &OptOutEvent) -> String {
    let reason = clean(event.reason.as_deref().unwrap_or_default());
    let because = if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    };
    let to = event
        .run
        .as_ref()
        .map_or_else(String::new, |run| format!(" in answer to {run}"));
    match (event.what, event.source) {
        (Said::Stop, Source::Reply) => {
            format!("They opted out: they wrote “{reason}”{to}. Nothing more is sent to them.")
        }
        (Said::Start, Source::Reply) => {
            format!("They took that back: they wrote “{reason}”{to}.")
        }
        (Said::Stop, Source::Operator) => {
            format!("The operator put them on the ledger's do-not-contact list{because}.")
        }
        (Said::Stop, Source::Import) => {
            format!("An import put them on the ledger's do-not-contact list{because}.")
        }
        (Said::Stop, Source::Api) => {
            format!("Another program put them on the ledger's do-not-contact list{because}.")
        }
        (Said::Start, Source::Operator | Source::Import | Source::Api) => {
            format!("The operator took them off the ledger's do-not-contact list{because}.")
        }
    }
}
