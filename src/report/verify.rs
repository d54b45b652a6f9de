//! `verify`: reads a run once from beginning to end, as it stands at one moment, and hands every
//! row to the proof. Memory does not grow with the list. What fits and what does not is
//! [`crate::domain::proof`]'s to say.

use std::collections::{BTreeSet, HashSet};

use crate::domain::delivery::Counts;
use crate::domain::digest::Digest;
use crate::domain::history::list_sum;
use crate::domain::proof::{
    Finding, Frame, KeptRun, Rows, RunReplay, check_delivery, check_media, check_run,
};
use crate::domain::run::RunId;
use crate::domain::sum::Sum;
use crate::ledger::{Audit, DeliveryId, Ledger, LedgerError};

/// Deliveries, or events, in memory at a time.
const PAGE: u32 = 500;
/// Files that are remembered as looked at; past that some may be looked at twice.
const FILES: usize = 10_000;

/// What a proof has gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Proof {
    pub rows: u64,
    pub attempts: u64,
    /// Of the run and of its deliveries.
    pub events: u64,
    pub files: u64,
    /// Over the checksums of all frozen rows.
    pub list_sum: i64,
    /// What did not fit; 0: the run is proved.
    pub findings: u64,
}

/// Told of each finding as it is made.
pub type Hear<'a> = &'a mut (dyn FnMut(&Finding) + Send);

/// Proves a run; [`LedgerError::NoSuchRun`] where there is none and nothing says that there was.
/// Changes nothing. Processes that work on the run meanwhile are not in the way.
pub async fn verify(
    ledger: &dyn Ledger,
    run: &RunId,
    hear: Hear<'_>,
) -> Result<Proof, LedgerError> {
    let mut prover = Prover {
        audit: ledger.audit().await?,
        hear,
        proof: Proof::default(),
        seen: HashSet::new(),
    };
    prover.structure().await?;
    match prover.find(run).await? {
        Some(kept) => prover.run(&kept).await?,
        None if prover.proof.findings == 0 => return Err(LedgerError::NoSuchRun(run.clone())),
        None => {}
    }
    Ok(prover.proof)
}

struct Prover<'a> {
    audit: Box<dyn Audit>,
    hear: Hear<'a>,
    proof: Proof,
    /// Files that were looked at.
    seen: HashSet<Digest>,
}

/// What the rows of a list add up to.
struct Sums {
    list: Sum,
    /// Every row had a checksum to add.
    whole: bool,
    counts: Counts,
    /// Events of deliveries.
    events: u64,
    lines: BTreeSet<String>,
}

impl Prover<'_> {
    fn hear_all(&mut self, found: &mut Vec<Finding>) {
        for finding in found.drain(..) {
            self.proof.findings += 1;
            (self.hear)(&finding);
        }
    }

    fn hear_one(&mut self, table: &'static str, what: impl Into<String>) {
        self.hear_all(&mut vec![Finding::whole(table, what)]);
    }

    /// A part that cannot be read for damage is a finding; any other fault ends the proof.
    fn or_damaged<T>(
        &mut self,
        table: &'static str,
        read: Result<T, LedgerError>,
    ) -> Result<Option<T>, LedgerError> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(LedgerError::Damaged(why)) => {
                self.hear_one(table, format!("cannot be read: {why}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn structure(&mut self) -> Result<(), LedgerError> {
        let found = self.audit.structure().await;
        for what in self.or_damaged("file", found)?.unwrap_or_default() {
            self.hear_one("file", what);
        }
        Ok(())
    }

    /// The run's row. Where it is not found, every row of a run is looked at: one of them may
    /// have been it.
    async fn find(&mut self, run: &RunId) -> Result<Option<KeptRun>, LedgerError> {
        let runs = self.audit.runs().await;
        let runs = self.or_damaged("runs", runs)?.unwrap_or_default();
        let named = |kept: &&KeptRun| kept.run == run.as_str();
        if let Some(kept) = runs.iter().filter_map(|row| row.as_ref().ok()).find(named) {
            return Ok(Some(kept.clone()));
        }
        let mut found = Vec::new();
        for row in &runs {
            match row {
                Ok(kept) => check_run(kept, &mut found),
                Err(flaw) => found.push(Finding::whole("runs", flaw.to_string())),
            }
        }
        for id in self.audit.orphans().await? {
            let what = format!("the row of run number {id} is missing; its deliveries are there");
            found.push(Finding::whole("runs", what));
        }
        self.hear_all(&mut found);
        Ok(None)
    }

    async fn run(&mut self, run: &KeptRun) -> Result<(), LedgerError> {
        let mut found = Vec::new();
        check_run(run, &mut found);
        let sound = found.is_empty();
        self.hear_all(&mut found);
        let Some(frame) = run.frame().filter(|_| sound) else {
            let what = "its deliveries were not looked at: the row that says which they are is \
                        not as it was written";
            self.hear_one("runs", what);
            return Ok(());
        };
        let replay = self.events(&frame).await?;
        let sums = self.list(run, &frame).await?;
        self.proof.events = replay.last();
        self.proof.rows = u64::try_from(run.total).unwrap_or(0);
        self.proof.list_sum = run.list_sum;
        replay.end(run, sums.events, &mut found);
        RunReplay::counts(run, &sums.counts, &mut found);
        let lines = self.audit.lines(run.id).await;
        let lines = self.or_damaged("run_lines", lines)?.unwrap_or_default();
        RunReplay::lines(&lines, &sums.lines, &mut found);
        if sums.whole && sums.list.finish() != run.list_sum {
            let what = "the checksums of the list's rows do not add up to that of the list";
            found.push(Finding::whole("runs", what));
        }
        let strays = self.audit.strays(run).await;
        for id in self.or_damaged("deliveries", strays)?.unwrap_or_default() {
            let what = format!("number {id} is no row of the list and would be sent with it");
            found.push(Finding::whole("deliveries", what));
        }
        self.hear_all(&mut found);
        Ok(())
    }

    async fn events(&mut self, frame: &Frame<'_>) -> Result<RunReplay, LedgerError> {
        let mut replay = RunReplay::default();
        let mut found = Vec::new();
        loop {
            let page = self.audit.events(frame.id, replay.last(), PAGE).await;
            let page = self.or_damaged("events", page)?.unwrap_or_default();
            if page.is_empty() {
                return Ok(replay);
            }
            for row in &page {
                replay.play(frame, row, &mut found);
            }
            self.hear_all(&mut found);
        }
    }

    async fn list(&mut self, run: &KeptRun, frame: &Frame<'_>) -> Result<Sums, LedgerError> {
        let mut sums = Sums {
            list: list_sum(),
            whole: true,
            counts: Counts::default(),
            events: 0,
            lines: BTreeSet::new(),
        };
        let end = run.first_delivery.saturating_add(run.total);
        let mut first = run.first_delivery;
        while first < end {
            let last = (end - 1).min(first.saturating_add(i64::from(PAGE) - 1));
            for rows in self.page(first, last).await? {
                self.row(frame, &rows, &mut sums).await?;
            }
            first = last + 1;
        }
        Ok(sums)
    }

    /// What is kept of these deliveries; of a page that cannot be read, what can be.
    async fn page(
        &mut self,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<Rows>, LedgerError> {
        match self.audit.page(first, last).await {
            Err(LedgerError::Damaged(_)) => {}
            page => return page,
        }
        let mut rows = Vec::new();
        for id in first..=last {
            match self.audit.page(id, id).await {
                Ok(page) => rows.extend(page),
                // Nothing is there, as far as anybody can see.
                Err(LedgerError::Damaged(_)) => rows.push(Rows::none(id)),
                Err(error) => return Err(error),
            }
        }
        Ok(rows)
    }

    async fn row(
        &mut self,
        frame: &Frame<'_>,
        rows: &Rows,
        sums: &mut Sums,
    ) -> Result<(), LedgerError> {
        let mut found = Vec::new();
        let checked = check_delivery(frame, rows, &mut found);
        self.hear_all(&mut found);
        match checked.sum {
            Some(sum) => sums.list.add(sum),
            None => sums.whole = false,
        }
        if let Some(state) = checked.state {
            sums.counts.add(state, 1);
        }
        self.proof.attempts += checked.attempts;
        sums.events += checked.events;
        if let Some(line) = checked.line
            && !sums.lines.contains(&line)
        {
            sums.lines.insert(line);
        }
        for sha256 in checked.files {
            self.file(sha256).await?;
        }
        Ok(())
    }

    async fn file(&mut self, sha256: Digest) -> Result<(), LedgerError> {
        if self.seen.contains(&sha256) {
            return Ok(());
        }
        if self.seen.len() >= FILES {
            self.seen.clear();
        }
        self.seen.insert(sha256);
        self.proof.files += 1;
        let kept = self.audit.media(sha256).await;
        if let Some(kept) = self.or_damaged("media", kept)?
            && let Some(finding) = check_media(sha256, kept.as_ref())
        {
            self.hear_all(&mut vec![finding]);
        }
        Ok(())
    }
}
