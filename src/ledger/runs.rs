//! Runs: what a change of state means for deliveries, and totals from counted rows. How rows are
//! found is each database's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::events;
use super::rows::{FactRow, RunRow, instant, instants, named, number};
use super::shapes::Lost;
use super::tx::SharedTx;
use super::{DeliveryId, FailureGroup, LedgerError, RunFacts, RunRecord};
use crate::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use crate::domain::history::RunEvent;
use crate::domain::run::{RunId, RunState};

/// Failures that differ are listed up to this many.
const FAILURE_GROUPS: usize = 20;
/// Uncertain deliveries that the facts of a run name.
pub(super) const UNCERTAIN_LISTED: u32 = 10;

/// An attempt without an answer: its delivery, number, revision and when it was begun.
pub(super) type Unanswered = (DeliveryId, i64, i64, i64);

/// What a transaction that changes a run can do.
pub(super) trait RunTx: SharedTx {
    /// The run; nobody else changes its state or begins an attempt of it before the end.
    fn hold_run(
        &mut self,
        run: &RunId,
    ) -> impl Future<Output = Result<Option<RunRow>, LedgerError>> + Send;

    fn set_run_state(
        &mut self,
        run_id: i64,
        to: RunState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn cancel_pending(
        &mut self,
        run_id: i64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Attempts that nobody holds.
    fn unheld(
        &mut self,
        run_id: i64,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Unanswered>, LedgerError>> + Send;

    /// Nobody will ask for them again: only a person can tell whether they went out.
    fn cancel_unheld(
        &mut self,
        run_id: i64,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Whether the run was running and nothing of it open; it is finished now.
    fn finish(
        &mut self,
        run_id: i64,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;
}

async fn held(tx: &mut impl RunTx, run: &RunId) -> Result<RunRecord, LedgerError> {
    let row = tx.hold_run(run).await?;
    row.ok_or_else(|| LedgerError::NoSuchRun(run.clone()))?
        .try_into()
}

pub(super) async fn set_state(
    tx: &mut impl RunTx,
    run: &RunId,
    to: RunState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<RunRecord, LedgerError> {
    let record = held(tx, run).await?;
    let from = record.state;
    if from != to && !from.may_become(to) {
        let run = run.clone();
        return Err(LedgerError::BadTransition { run, from, to });
    }
    // The first reason stands: whoever comes second changes nothing.
    if from != to {
        enter(tx, record.id, to, reason, now).await?;
    }
    if to == RunState::Cancelled {
        tx.cancel_pending(record.id).await?;
        let unanswered = tx.unheld(record.id, now).await?;
        keep_lost(tx, unanswered).await?;
        tx.cancel_unheld(record.id, now).await?;
    }
    held(tx, run).await
}

/// The new state, and the event that tells of it.
pub(super) async fn enter(
    tx: &mut impl RunTx,
    run_id: i64,
    to: RunState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let words = reason.map(str::to_owned);
    let (reason, what) = match to {
        RunState::Running => (None, RunEvent::Resumed),
        RunState::Paused => (reason, RunEvent::Paused { reason: words }),
        RunState::Halted => (reason, RunEvent::Halted { reason: words }),
        RunState::Finished => (None, RunEvent::Finished),
        RunState::Cancelled => (reason, RunEvent::Cancelled { reason: words }),
    };
    tx.set_run_state(run_id, to, reason, now).await?;
    events::note_run(tx, run_id, now, &what).await
}

/// Attempts that are given up without an answer, unless more is known of them.
pub(super) async fn keep_lost(
    tx: &mut impl SharedTx,
    rows: Vec<Unanswered>,
) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut lost = Vec::with_capacity(rows.len());
    for (id, attempt, revision, begun_at) in rows {
        let (attempt, revision) = (number(attempt)?, number(revision)?);
        lost.push(Lost::new(id, attempt, revision, instant(begun_at)?));
    }
    tx.keep_lost(&lost).await
}

/// Whether the run is finished now.
pub(super) async fn finish_if_done(
    tx: &mut impl RunTx,
    run: &RunId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let record = held(tx, run).await?;
    if tx.finish(record.id, now).await? {
        events::note_run(tx, record.id, now, &RunEvent::Finished).await?;
        return Ok(true);
    }
    // Another process may have been first: what counts is how the run stands.
    Ok(record.state == RunState::Finished)
}

/// The number after the highest of the rehearsals' occurrences.
pub(super) fn next_rehearsal(taken: &[String]) -> u32 {
    let highest = taken
        .iter()
        .filter_map(|occurrence| occurrence.strip_prefix("rehearsal-")?.parse::<u32>().ok())
        .max();
    highest.unwrap_or(0) + 1
}

/// By state, with how many of them have no confirmation.
pub(super) fn counts(rows: Vec<(String, i64, i64)>) -> Result<Counts, LedgerError> {
    let mut counts = Counts::default();
    for (state, n, silent) in rows {
        counts.add(named(DeliveryState::parse(&state), &state)?, number(n)?);
        counts.add_no_confirmation(number(silent)?);
    }
    Ok(counts)
}

/// Everything but the gates.
pub(super) fn facts(rows: Vec<FactRow>) -> Result<RunFacts, LedgerError> {
    let mut facts = RunFacts::default();
    let mut holds: BTreeMap<Option<&'static str>, (Option<Hold>, u64, Timestamp)> = BTreeMap::new();
    for row in rows {
        let n: u64 = number(row.n)?;
        let state = named(DeliveryState::parse(&row.state), &row.state)?;
        facts.counts.add(state, n);
        facts.counts.add_no_confirmation(number(row.silent)?);
        if let Some(text) = row.reason {
            *facts
                .skipped
                .entry(named(SkipReason::parse(&text), &text)?)
                .or_default() += n;
        }
        if state == DeliveryState::Pending {
            let hold = row
                .hold
                .map(|text| named(Hold::parse(&text), &text))
                .transpose()?;
            let due_at = instant(row.due_at)?;
            let entry = holds
                .entry(hold.map(Hold::as_str))
                .or_insert((hold, 0, due_at));
            entry.1 += n;
            entry.2 = entry.2.min(due_at);
        }
        if matches!(state, DeliveryState::Failed | DeliveryState::Uncertain) {
            let code = row.code.map(number).transpose()?;
            let text = row.text.unwrap_or_default();
            facts.failures.push(FailureGroup {
                state,
                code,
                text,
                count: n,
            });
        }
        let first = instants(row.first_sent_at)?;
        facts.first_sent_at = facts.first_sent_at.into_iter().chain(first).min();
        facts.last_sent_at = facts.last_sent_at.max(instants(row.last_sent_at)?);
    }
    facts.holds = holds.into_values().collect();
    facts
        .failures
        .sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
    facts.failures.truncate(FAILURE_GROUPS);
    Ok(facts)
}
