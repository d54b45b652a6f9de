//! Runs: finding them, changing their state, counting what became of their deliveries.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use sqlx::FromRow;

use super::super::{
    DeliveryId, DeliveryRecord, FailureGroup, Gate, Held, KnownChat, LedgerError, RunFacts,
    RunRecord,
};
use super::claim::Tx;
use super::events;
use super::history;
use super::rows::{DeliveryRow, RunRow, instant, instants, named, number, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::account::AccountId;
use crate::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use crate::domain::history::RunEvent;
use crate::domain::phone::Phone;
use crate::domain::run::{RunId, RunState};

/// Failures that differ are listed up to this many.
const FAILURE_GROUPS: usize = 20;

async fn row(ledger: &SqliteLedger, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
    Ok(sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&ledger.readers)
        .await?)
}

pub(super) async fn existing(ledger: &SqliteLedger, run: &RunId) -> Result<RunRow, LedgerError> {
    row(ledger, run)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))
}

pub(super) async fn find(
    ledger: &SqliteLedger,
    run: &RunId,
) -> Result<Option<RunRecord>, LedgerError> {
    row(ledger, run).await?.map(RunRecord::try_from).transpose()
}

pub(super) async fn account(
    ledger: &SqliteLedger,
    gateway: &str,
) -> Result<Option<AccountId>, LedgerError> {
    let text: Option<String> = sqlx::query_scalar(sql::ACCOUNT)
        .bind(gateway)
        .fetch_optional(&ledger.readers)
        .await?;
    Ok(text.map(|text| AccountId::parse(&text)))
}

pub(super) async fn known(
    ledger: &SqliteLedger,
    gateway: &str,
    phones: &[&Phone],
) -> Result<HashMap<String, KnownChat>, LedgerError> {
    let phones: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
    let rows: Vec<(String, String, String)> = sqlx::query_as(sql::KNOWN_CHATS)
        .bind(gateway)
        .bind(stored(serde_json::to_string(&phones))?)
        .fetch_all(&ledger.readers)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(phone, chat_id, line)| (phone, KnownChat { chat_id, line }))
        .collect())
}

pub(super) async fn messages_to(
    ledger: &SqliteLedger,
    gateway: &str,
    phone: &Phone,
) -> Result<HashSet<String>, LedgerError> {
    let ids: Vec<String> = sqlx::query_scalar(sql::MESSAGES_TO)
        .bind(gateway)
        .bind(phone.expose())
        .fetch_all(&ledger.readers)
        .await?;
    Ok(ids.into_iter().collect())
}

pub(super) async fn all(ledger: &SqliteLedger) -> Result<Vec<(RunRecord, Counts)>, LedgerError> {
    let rows: Vec<RunRow> = sqlx::query_as(sql::RUNS).fetch_all(&ledger.readers).await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        let counts = counts(ledger, &row).await?;
        runs.push((RunRecord::try_from(row)?, counts));
    }
    Ok(runs)
}

async fn counts(ledger: &SqliteLedger, run: &RunRow) -> Result<Counts, LedgerError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(sql::COUNTS)
        .bind(run.first_delivery)
        .bind(run.first_delivery + run.total - 1)
        .fetch_all(&ledger.readers)
        .await?;
    let mut counts = Counts::default();
    for (state, n) in rows {
        counts.add(named(DeliveryState::parse(&state), &state)?, number(n)?);
    }
    Ok(counts)
}

pub(super) async fn next_rehearsal(
    ledger: &SqliteLedger,
    campaign: &str,
) -> Result<u32, LedgerError> {
    let taken: Vec<String> = sqlx::query_scalar(sql::REHEARSALS)
        .bind(campaign)
        .fetch_all(&ledger.readers)
        .await?;
    let highest = taken
        .iter()
        .filter_map(|occurrence| occurrence.strip_prefix("rehearsal-")?.parse::<u32>().ok())
        .max();
    Ok(highest.unwrap_or(0) + 1)
}

pub(super) async fn set_state(
    ledger: &SqliteLedger,
    run: &RunId,
    to: RunState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<RunRecord, LedgerError> {
    let mut tx = ledger.begin().await?;
    let row: Option<RunRow> = sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let record: RunRecord = row
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))?
        .try_into()?;
    if record.state != to && !record.state.may_become(to) {
        return Err(LedgerError::BadTransition {
            run: run.clone(),
            from: record.state,
            to,
        });
    }
    // The first reason stands: whoever comes second changes nothing.
    if record.state != to {
        enter(&mut tx, record.id, to, reason, now).await?;
    }
    if to == RunState::Cancelled {
        sqlx::query(sql::CANCEL_PENDING)
            .bind(record.id)
            .execute(&mut *tx)
            .await?;
        keep_lost(&mut tx, record.id, now).await?;
        sqlx::query(sql::CANCEL_UNANSWERED)
            .bind(record.id)
            .bind(now.as_millisecond())
            .execute(&mut *tx)
            .await?;
    }
    let row: RunRow = sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    row.try_into()
}

/// The new state, and the event that tells of it.
pub(super) async fn enter(
    tx: &mut Tx,
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
    sqlx::query(sql::SET_STATE)
        .bind(to.as_str())
        .bind(reason)
        .bind(now.as_millisecond())
        .bind(run_id)
        .execute(&mut **tx)
        .await?;
    events::note_run(tx, run_id, now, &what).await
}

/// Attempts that are given up without an answer.
async fn keep_lost(tx: &mut Tx, run_id: i64, now: Timestamp) -> Result<(), LedgerError> {
    let rows = sqlx::query_as(sql::UNANSWERED_IN_CANCELLED)
        .bind(run_id)
        .bind(now.as_millisecond())
        .fetch_all(&mut **tx)
        .await?;
    events::keep_lost(tx, rows).await
}

pub(super) async fn finish_if_done(
    ledger: &SqliteLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let id = existing(ledger, run).await?.id;
    let mut tx = ledger.begin().await?;
    let finished = sqlx::query(sql::FINISH)
        .bind(id)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    if finished.rows_affected() > 0 {
        events::note_run(&mut tx, id, now, &RunEvent::Finished).await?;
    }
    // Another process may have been first: what counts is how the run stands.
    let state: String = sqlx::query_scalar(sql::RUN_STATE)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(named(RunState::parse(&state), &state)? == RunState::Finished)
}

#[derive(FromRow)]
struct FactRow {
    state: String,
    reason: Option<String>,
    hold: Option<String>,
    code: Option<i64>,
    text: Option<String>,
    n: i64,
    due_at: i64,
    first_sent_at: Option<i64>,
    last_sent_at: Option<i64>,
}

pub(super) async fn facts(
    ledger: &SqliteLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<RunFacts, LedgerError> {
    let record = existing(ledger, run).await?;
    let rows: Vec<FactRow> = sqlx::query_as(sql::FACTS)
        .bind(record.first_delivery)
        .bind(record.first_delivery + record.total - 1)
        .fetch_all(&ledger.readers)
        .await?;
    let mut facts = RunFacts::default();
    let mut holds: BTreeMap<Option<&'static str>, (Option<Hold>, u64, Timestamp)> = BTreeMap::new();
    for row in rows {
        let n: u64 = number(row.n)?;
        let state = named(DeliveryState::parse(&row.state), &row.state)?;
        facts.counts.add(state, n);
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
    facts.gates = gates(ledger, &record.try_into()?, now).await?;
    facts.outlook = history::outlook(ledger, run).await?;
    Ok(facts)
}

async fn gates(
    ledger: &SqliteLedger,
    run: &RunRecord,
    now: Timestamp,
) -> Result<Vec<Gate>, LedgerError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(sql::OPEN_GATES)
        .bind(&run.gateway)
        .bind(now.as_millisecond())
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter()
        .map(|(line, until, reason)| {
            Ok(Gate {
                gateway: run.gateway.clone(),
                held: if line.is_empty() {
                    Held::Account
                } else {
                    Held::Line(line)
                },
                until: instant(until)?,
                reason,
            })
        })
        .collect()
}

pub(super) async fn deliveries(
    ledger: &SqliteLedger,
    run: &RunId,
    after: Option<DeliveryId>,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let record = existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(sql::DELIVERIES)
        .bind(after.unwrap_or(record.first_delivery - 1))
        .bind(record.first_delivery + record.total - 1)
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}
