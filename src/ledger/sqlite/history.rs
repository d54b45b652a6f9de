//! The history of one person in a run, and an operator's word on what failed or is uncertain.
//! Each word is one transaction with its event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::super::{
    DeliveryId, DeliveryRecord, History, Lease, LedgerError, Outlook, Owner, Resolution, Retry,
    RetryKey, Whom,
};
use super::audit::{self, sound};
use super::claim::Tx;
use super::events::{self, Happened};
use super::rows::{DeliveryRow, RunRow, instant, instants, named, number, stored};
use super::{SqliteLedger, owners, runs, statements as sql};
use crate::domain::delivery::DeliveryState;
use crate::domain::history::DeliveryEvent;
use crate::domain::proof::{KeptAttempt, KeptEvent};
use crate::domain::run::{RunId, RunState};

/// Deliveries that are put back in one step.
const CHUNK: u32 = 2_000;

pub(super) async fn find(
    ledger: &SqliteLedger,
    run: &RunId,
    whom: &Whom,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let last = run.first_delivery + run.total - 1;
    let (key, phone) = match whom {
        Whom::Row(row) => {
            let place = i64::try_from(row.saturating_sub(1)).unwrap_or(i64::MAX);
            let there = *row > 0 && place < run.total;
            return Ok(there
                .then(|| run.first_delivery + place)
                .into_iter()
                .collect());
        }
        Whom::Person { key, phone } => (key, phone),
    };
    let rows: Vec<(DeliveryId, bool)> = sqlx::query_as(sql::FIND)
        .bind(run.id)
        .bind(phone.as_ref().map(crate::domain::phone::Phone::expose))
        .bind(key)
        .bind(run.first_delivery)
        .bind(last)
        .fetch_all(&ledger.readers)
        .await?;
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

pub(super) async fn in_state(
    ledger: &SqliteLedger,
    run: &RunId,
    state: DeliveryState,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(sql::IN_STATE)
        .bind(run.first_delivery)
        .bind(run.first_delivery + run.total - 1)
        .bind(state.as_str())
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}

pub(super) async fn history(
    ledger: &SqliteLedger,
    run: &RunId,
    id: DeliveryId,
) -> Result<History, LedgerError> {
    // One view of all of it.
    let mut tx = ledger.readers.begin().await?;
    let run: RunRow = sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))?;
    let row = sqlx::query(sql::DELIVERY)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    let content: Option<String> = row.try_get("content")?;
    let mut history = History {
        delivery: DeliveryRow::from_row(&row)?.try_into()?,
        message: content
            .map(|text| stored(serde_json::from_str(&text)))
            .transpose()?,
        begun_at: instants(row.try_get("begun_at")?)?,
        attempts: Vec::new(),
        events: Vec::new(),
        run_events: Vec::new(),
        held: lease(&row)?,
        known_from: None,
    };
    for row in between(&mut tx, sql::ATTEMPTS_KEPT, id).await? {
        let kept: KeptAttempt = sound("attempts", audit::attempt(&row))?;
        history.attempts.push(sound("attempts", kept.attempt())?);
    }
    for row in between(&mut tx, sql::EVENTS_KEPT, id).await? {
        let kept: KeptEvent = sound("events", audit::event(&row))?;
        history.events.push(sound("events", kept.event())?);
    }
    let of_run = sqlx::query(sql::EVENTS_OF_RUN_ITSELF)
        .bind(run.id)
        .fetch_all(&mut *tx)
        .await?;
    for row in of_run {
        let kept: KeptEvent = sound("events", audit::event(&row))?;
        history.run_events.push(sound("events", kept.event())?);
    }
    let before: Option<String> = sqlx::query_scalar(sql::KNOWN_FROM)
        .bind(id)
        .fetch_optional(&mut *tx)
        .await?;
    history.known_from = before.map(|run| stored(RunId::parse(&run))).transpose()?;
    Ok(history)
}

async fn between(
    tx: &mut Tx,
    statement: &'static str,
    id: DeliveryId,
) -> Result<Vec<SqliteRow>, LedgerError> {
    Ok(sqlx::query(statement)
        .bind(id)
        .bind(id)
        .fetch_all(&mut **tx)
        .await?)
}

fn lease(row: &SqliteRow) -> Result<Option<Lease>, LedgerError> {
    let owner: Option<String> = row.try_get("lease_owner")?;
    let until: Option<i64> = row.try_get("lease_until")?;
    let gone: Option<bool> = row.try_get("owner_gone")?;
    let (Some(owner), Some(until)) = (owner, until) else {
        return Ok(None);
    };
    let lease = Lease {
        owner: Owner(owner),
        until: instant(until)?,
    };
    Ok((gone != Some(true)).then_some(lease))
}

pub(super) async fn outlook(ledger: &SqliteLedger, run: &RunId) -> Result<Outlook, LedgerError> {
    let run = runs::existing(ledger, run).await?;
    let pending: Option<i64> = sqlx::query_scalar(sql::NEXT_DUE)
        .bind(run.id)
        .fetch_one(&ledger.readers)
        .await?;
    let unanswered: Vec<(String, i64)> = sqlx::query_as(sql::NEXT_UNANSWERED)
        .bind(run.id)
        .fetch_all(&ledger.readers)
        .await?;
    let next = unanswered
        .into_iter()
        .map(|(_, at)| at)
        .chain(pending)
        .min();
    Ok(Outlook {
        present: owners::present(ledger, run.id).await?,
        next_due_at: instants(next)?,
    })
}

pub(super) async fn retry(
    ledger: &SqliteLedger,
    run: &RunId,
    wanted: &Retry,
    now: Timestamp,
) -> Result<Vec<(Option<u32>, u64)>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let row = open_run(&mut tx, run).await?;
    let state = named(RunState::parse(&row.state), &row.state)?;
    if state == RunState::Cancelled {
        return Err(LedgerError::BadTransition {
            run: run.clone(),
            from: state,
            to: RunState::Running,
        });
    }
    let revise = wanted.key == RetryKey::Revised;
    let end = row.first_delivery + row.total - 1;
    let (mut after, last) = match wanted.only {
        Some(id) => (id - 1, id.min(end)),
        None => (row.first_delivery - 1, end),
    };
    after = after.max(row.first_delivery - 1);
    let mut put_back: BTreeMap<Option<i64>, u64> = BTreeMap::new();
    loop {
        let failed: Vec<(DeliveryId, i64, Option<i64>)> = sqlx::query_as(sql::FAILED)
            .bind(after)
            .bind(last)
            .bind(wanted.code)
            .bind(CHUNK)
            .fetch_all(&mut *tx)
            .await?;
        let Some(&(newest, ..)) = failed.last() else {
            break;
        };
        after = newest;
        let mut happened = Vec::with_capacity(failed.len());
        let mut ids = Vec::with_capacity(failed.len());
        for (id, attempt, code) in failed {
            let what = DeliveryEvent::Retried { revise };
            happened.push(Happened::to_delivery(id, number(attempt)?, now, &what)?);
            ids.push(id);
            *put_back.entry(code).or_default() += 1;
        }
        events::note(&mut tx, row.id, &happened).await?;
        sqlx::query(sql::PUT_BACK)
            .bind(stored(serde_json::to_string(&ids))?)
            .bind(now.as_millisecond())
            .bind(revise)
            .execute(&mut *tx)
            .await?;
    }
    if state == RunState::Finished && !put_back.is_empty() {
        runs::enter(&mut tx, row.id, RunState::Running, None, now).await?;
    }
    tx.commit().await?;
    put_back
        .into_iter()
        .map(|(code, n)| Ok((code.map(number).transpose()?, n)))
        .collect()
}

async fn open_run(tx: &mut Tx, run: &RunId) -> Result<RunRow, LedgerError> {
    sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&mut **tx)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))
}

pub(super) async fn resolve(
    ledger: &SqliteLedger,
    run: &RunId,
    id: DeliveryId,
    resolution: Resolution,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let row = open_run(&mut tx, run).await?;
    let state = named(RunState::parse(&row.state), &row.state)?;
    let to = match (resolution, state) {
        (Resolution::Sent, _) => DeliveryState::Sent,
        // Nothing of it is sent any more.
        (Resolution::Unsent, RunState::Cancelled) => DeliveryState::Cancelled,
        (
            Resolution::Unsent,
            RunState::Running | RunState::Paused | RunState::Halted | RunState::Finished,
        ) => DeliveryState::Pending,
    };
    let attempt: Option<i64> = sqlx::query_scalar(sql::RESOLVE)
        .bind(id)
        .bind(row.id)
        .bind(to.as_str())
        .bind(now.as_millisecond())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(attempt) = attempt else {
        return Ok(false);
    };
    let what = DeliveryEvent::Resolved {
        sent: resolution == Resolution::Sent,
    };
    let event = Happened::to_delivery(id, number(attempt)?, now, &what)?;
    events::note(&mut tx, row.id, &[event]).await?;
    if state == RunState::Finished && to == DeliveryState::Pending {
        runs::enter(&mut tx, row.id, RunState::Running, None, now).await?;
    }
    tx.commit().await?;
    Ok(true)
}
