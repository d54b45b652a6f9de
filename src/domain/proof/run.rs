//! A run as a whole: its own row, the numbers of its events, and where they lead.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::kept::{Flaw, KeptEvent, KeptMedia, KeptRun, Readable};
use super::kept::{instant, instants, json, name};
use super::{Finding, shown};
use crate::domain::campaign::{FrozenFile, Terms};
use crate::domain::delivery::Counts;
use crate::domain::digest::Digest;
use crate::domain::history::{DeliveryEvent, FrozenRun, RunEvent, media_sum};
use crate::domain::run::{RunId, RunState};

/// What a run says of all its rows.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// The ledger's number for it.
    pub id: i64,
    pub run: &'a str,
    pub first_delivery: i64,
    pub starts_at: Timestamp,
    pub cancelled: bool,
}

impl Frame<'_> {
    /// The row of the list that a delivery stands for.
    pub fn row_of(&self, id: i64) -> u64 {
        u64::try_from(id.saturating_sub(self.first_delivery).saturating_add(1)).unwrap_or(0)
    }
}

impl KeptRun {
    /// `None` where the row does not say enough to look at its deliveries.
    pub fn frame(&self) -> Option<Frame<'_>> {
        Some(Frame {
            id: self.id,
            run: &self.run,
            first_delivery: self.first_delivery,
            starts_at: instant("starts_at", self.starts_at).ok()?,
            cancelled: self.state == RunState::Cancelled.as_str(),
        })
    }

    fn sum(&self) -> i64 {
        let frozen = FrozenRun {
            run: &self.run,
            gateway: &self.gateway,
            terms: &self.terms,
            files: &self.files,
            first_delivery: self.first_delivery,
            total: self.total,
            created_at: self.created_at,
            starts_at: self.starts_at,
            list_sum: self.list_sum,
        };
        frozen.sum()
    }

    fn readable(&self) -> Readable<()> {
        name("state", RunState::parse(&self.state))?;
        instant("created_at", self.created_at)?;
        instant("starts_at", self.starts_at)?;
        instants("finished_at", self.finished_at)?;
        json::<Terms>("terms", &self.terms)?;
        json::<Vec<FrozenFile>>("files", &self.files)?;
        Ok(())
    }
}

/// A run's row in itself.
pub fn check_run(run: &KeptRun, found: &mut Vec<Finding>) {
    let mut find = |what: String| found.push(Finding::whole("runs", what));
    if run.sum() != run.sum {
        find(format!(
            "the frozen row of '{}' (name, gateway, terms, files, list) does not match its \
             checksum",
            run.run
        ));
    }
    let parts = RunId::parse(&run.run).ok();
    let parts = parts.as_ref().map(|id| (id.campaign(), id.occurrence()));
    if parts != Some((&run.campaign, &run.occurrence)) {
        find(format!(
            "campaign and occurrence of '{}' are others",
            run.run
        ));
    }
    if let Err(flaw) = run.readable() {
        find(flaw.to_string());
    }
}

/// A file that messages name. `name` is the digest by which they do.
pub fn check_media(name: Digest, kept: Option<&Readable<KeptMedia>>) -> Option<Finding> {
    let short: String = name.to_string().chars().take(12).collect();
    let what = match kept {
        None => "is missing",
        Some(Err(flaw)) => &flaw.to_string(),
        Some(Ok(media)) if media.bytes != name => "has other bytes than its SHA-256 says",
        Some(Ok(media)) if media_sum(name, &media.filename, &media.content_type) != media.sum => {
            "has another filename or content_type than was frozen"
        }
        Some(Ok(_)) => return None,
    };
    Some(Finding::whole("media", format!("the file {short}… {what}")))
}

/// Plays the events of a run, in their order.
#[derive(Debug, Default)]
pub struct RunReplay {
    last: u64,
    /// Events of deliveries.
    deliveries: u64,
    state: Option<RunState>,
    reason: Option<String>,
    created_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Something could not be read: where it leads is not known.
    broken: bool,
}

impl RunReplay {
    /// The place of the last event that was played.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Plays the next event.
    pub fn play(&mut self, frame: &Frame<'_>, row: &Readable<KeptEvent>, found: &mut Vec<Finding>) {
        let expected = self.last + 1;
        let row = match row {
            Ok(row) => row,
            Err(flaw) => {
                self.last = expected;
                return self.is_broken(&format!("event {expected}: {flaw}"), found);
            }
        };
        let seq = u64::try_from(row.seq).unwrap_or(0);
        self.last = seq.max(self.last);
        if seq > expected {
            self.is_broken(&missing(expected, seq - 1), found);
        }
        if !row.is_sound() {
            let what = format!("event {} does not match its checksum", row.seq);
            found.push(about(frame, row, what));
            self.broken = true;
            return;
        }
        if row.delivery_id.is_some() {
            self.deliveries += 1;
            if let Err(flaw) = row.event::<DeliveryEvent>() {
                found.push(about(frame, row, format!("event {}: {flaw}", row.seq)));
            }
            return;
        }
        match row.event::<RunEvent>() {
            Ok(event) => self.apply(event.at, event.what),
            Err(flaw) => self.is_broken(&format!("event {}: {flaw}", row.seq), found),
        }
    }

    fn is_broken(&mut self, what: &str, found: &mut Vec<Finding>) {
        found.push(Finding::whole("events", what));
        self.broken = true;
    }

    fn apply(&mut self, at: Timestamp, what: RunEvent) {
        self.reason = None;
        self.finished_at = None;
        self.state = Some(match what {
            RunEvent::Started => {
                self.created_at = Some(at);
                RunState::Running
            }
            RunEvent::Resumed => RunState::Running,
            RunEvent::Paused { reason } => {
                self.reason = reason;
                RunState::Paused
            }
            RunEvent::Halted { reason } => {
                self.reason = reason;
                RunState::Halted
            }
            RunEvent::Finished => {
                self.finished_at = Some(at);
                RunState::Finished
            }
            RunEvent::Cancelled { reason } => {
                self.reason = reason;
                self.finished_at = Some(at);
                RunState::Cancelled
            }
        });
    }

    /// Whether the run's row stands where its events lead. `of_deliveries` is how many events
    /// its deliveries have.
    pub fn end(&self, run: &KeptRun, of_deliveries: u64, found: &mut Vec<Finding>) {
        let counted = u64::try_from(run.events).unwrap_or(0);
        if self.last != counted {
            let what = if self.last < counted {
                missing(self.last + 1, counted)
            } else {
                format!("there are {}, but the run counts {counted}", self.last)
            };
            found.push(Finding::whole("events", what));
            return;
        }
        if self.broken {
            return;
        }
        if self.deliveries != of_deliveries {
            let what = format!(
                "{} are about deliveries, but the deliveries of the list have {of_deliveries}",
                self.deliveries
            );
            found.push(Finding::whole("events", what));
        }
        let ms = |at: Option<Timestamp>| at.map(|at| at.as_millisecond().to_string());
        for (column, is, should) in [
            (
                "state",
                Some(run.state.clone()),
                self.state.map(|state| state.to_string()),
            ),
            ("reason", run.reason.clone(), self.reason.clone()),
            (
                "created_at",
                Some(run.created_at.to_string()),
                ms(self.created_at),
            ),
            (
                "finished_at",
                run.finished_at.map(|at| at.to_string()),
                ms(self.finished_at),
            ),
        ] {
            if is != should {
                let what = format!(
                    "{column} is {}, but the events of the run lead to {}",
                    shown(is.as_deref()),
                    shown(should.as_deref())
                );
                found.push(Finding::whole("runs", what));
            }
        }
    }

    /// Whether the deliveries of the list add up, and to what the run's state allows.
    pub fn counts(run: &KeptRun, counts: &Counts, found: &mut Vec<Finding>) {
        let total = u64::try_from(run.total).unwrap_or(0);
        if counts.total() != total {
            let what = format!(
                "total is {total}, but {} deliveries are in a state that is known",
                counts.total()
            );
            found.push(Finding::whole("runs", what));
        }
        let finished = run.state == RunState::Finished.as_str();
        if finished && counts.open() > 0 {
            let what = format!("it is finished, but {} deliveries are open", counts.open());
            found.push(Finding::whole("runs", what));
        }
    }

    /// The lines that a run sends from, against those of its deliveries.
    pub fn lines(kept: &[Readable<String>], used: &BTreeSet<String>, found: &mut Vec<Finding>) {
        let mut known = BTreeSet::new();
        for line in kept {
            match line {
                Ok(line) => {
                    known.insert(line.clone());
                }
                Err(Flaw { column, what }) => {
                    found.push(Finding::whole("run_lines", format!("{column} {what}")));
                }
            }
        }
        for line in used.difference(&known) {
            let what = format!("the line '{line}' is missing: nothing of it would be sent");
            found.push(Finding::whole("run_lines", what));
        }
        for line in known.difference(used) {
            let what = format!("no delivery has the line '{line}'");
            found.push(Finding::whole("run_lines", what));
        }
    }
}

fn missing(first: u64, last: u64) -> String {
    if first == last {
        format!("event {first} is missing")
    } else {
        format!("events {first} to {last} are missing")
    }
}

/// A finding about an event of a delivery, or of the run.
fn about(frame: &Frame<'_>, row: &KeptEvent, what: String) -> Finding {
    Finding {
        row: row.delivery_id.map(|id| frame.row_of(id)),
        ..Finding::whole("events", what)
    }
}
