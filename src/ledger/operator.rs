//! An operator's word: what putting failed deliveries back and settling uncertain ones means for
//! the delivery and its run. How a row is changed is each database's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::events::{self, Happened};
use super::rows::{RunRow, named, number};
use super::runs::{self, RunTx};
use super::{DeliveryId, LedgerError, Resolution, Retry, RetryKey};
use crate::domain::delivery::DeliveryState;
use crate::domain::history::DeliveryEvent;
use crate::domain::run::{RunId, RunState};

/// Deliveries that are put back in one step.
const CHUNK: u32 = 2_000;

/// A failed delivery: its number, attempts begun, and the code that it failed with.
pub(super) type FailedRow = (DeliveryId, i64, Option<i64>);

/// What a transaction of an operator's word can do.
pub(super) trait OperatorTx: RunTx {
    /// The first failed deliveries after one number up to another; with this code where given;
    /// those that the provider had taken before, or the others.
    fn failed(
        &mut self,
        range: (DeliveryId, DeliveryId),
        wanted: (Option<u32>, bool),
        most: u32,
    ) -> impl Future<Output = Result<Vec<FailedRow>, LedgerError>> + Send;

    /// Failed deliveries are pending, due now, with all their tries.
    fn put_back(
        &mut self,
        ids: &[DeliveryId],
        key: RetryKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// An uncertain delivery of the run is settled; its attempts, if it was one. `sent` when its
    /// last attempt was begun; due now, with the same key and body, where it goes elsewhere.
    fn resolve(
        &mut self,
        run_id: i64,
        id: DeliveryId,
        to: DeliveryState,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;
}

async fn held(tx: &mut impl OperatorTx, run: &RunId) -> Result<(RunRow, RunState), LedgerError> {
    let row = tx.hold_run(run).await?;
    let row = row.ok_or_else(|| LedgerError::NoSuchRun(run.clone()))?;
    let state = named(RunState::parse(&row.state), &row.state)?;
    Ok((row, state))
}

/// How many were put back, by code.
pub(super) async fn retry(
    tx: &mut impl OperatorTx,
    run: &RunId,
    wanted: &Retry,
    now: Timestamp,
) -> Result<Vec<(Option<u32>, u64)>, LedgerError> {
    let (row, state) = held(tx, run).await?;
    if state == RunState::Cancelled {
        return Err(LedgerError::BadTransition {
            run: run.clone(),
            from: state,
            to: RunState::Running,
        });
    }
    let (first, end) = (row.first_delivery, row.first_delivery + row.total - 1);
    let (mut after, last) = match wanted.only {
        Some(id) => (id.max(first) - 1, id.min(end)),
        None => (first - 1, end),
    };
    // The key of a message that was taken answers with that message again.
    let key = if wanted.taken {
        RetryKey::Revised
    } else {
        wanted.key
    };
    let revise = key == RetryKey::Revised;
    let mut put_back: BTreeMap<Option<i64>, u64> = BTreeMap::new();
    loop {
        let which = (wanted.code, wanted.taken);
        let failed = tx.failed((after, last), which, CHUNK).await?;
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
        events::note(tx, row.id, happened).await?;
        tx.put_back(&ids, key, now).await?;
    }
    if state == RunState::Finished && !put_back.is_empty() {
        runs::enter(tx, row.id, RunState::Running, None, now).await?;
    }
    put_back
        .into_iter()
        .map(|(code, n)| Ok((code.map(number).transpose()?, n)))
        .collect()
}

/// Whether it was uncertain, and is settled now.
pub(super) async fn resolve(
    tx: &mut impl OperatorTx,
    run: &RunId,
    id: DeliveryId,
    resolution: Resolution,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let (row, state) = held(tx, run).await?;
    let to = match (resolution, state) {
        (Resolution::Sent, _) => DeliveryState::Sent,
        // Nothing of it is sent any more.
        (Resolution::Unsent, RunState::Cancelled) => DeliveryState::Cancelled,
        (
            Resolution::Unsent,
            RunState::Running | RunState::Paused | RunState::Halted | RunState::Finished,
        ) => DeliveryState::Pending,
    };
    let Some(attempt) = tx.resolve(row.id, id, to, now).await? else {
        return Ok(false);
    };
    let what = DeliveryEvent::Resolved {
        sent: resolution == Resolution::Sent,
    };
    let event = Happened::to_delivery(id, number(attempt)?, now, &what)?;
    events::note(tx, row.id, vec![event]).await?;
    if state == RunState::Finished && to == DeliveryState::Pending {
        runs::enter(tx, row.id, RunState::Running, None, now).await?;
    }
    Ok(true)
}
