//! The history of one person in a run, and an operator's word on what failed or is uncertain,
//! on PostgreSQL. What the word means is [`super::super::operator`]'s.

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::postgres::{PgConnection, PgRow};

use super::super::caps;
use super::super::kept::Told;
use super::super::operator::{self, FailedRow, OperatorTx};
use super::super::rows::{DeliveryRow, RunRow, instants};
use super::super::{
    DeliveryId, DeliveryRecord, History, LedgerError, Outlook, Resolution, Retry, RetryKey,
    RunRecord, Whom,
};
use super::tx::{Limit, Tx};
use super::{PostgresLedger, owners, runs, statements as sql};
use crate::domain::address::Address;
use crate::domain::delivery::DeliveryState;
use crate::domain::run::RunId;

pub(super) async fn find(
    ledger: &PostgresLedger,
    run: &RunId,
    whom: &Whom,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let run = &runs::existing(ledger, run).await?;
    let (key, phone) = match whom {
        Whom::Row(row) => return Ok(run.delivery_of(*row).into_iter().collect()),
        Whom::Person { key, phone } => (key, phone),
    };
    let rows: Vec<(DeliveryId, bool)> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::FIND)
                .bind(run.id)
                .bind(phone.as_ref().map(Address::expose))
                .bind(key)
                .bind(run.first_delivery)
                .bind(run.first_delivery + run.total - 1)
                .fetch_all(&pool)
                .await
        })
        .await?;
    Ok(rows.into_iter().map(|(id, _)| id).collect())
}

pub(super) async fn in_state(
    ledger: &PostgresLedger,
    run: &RunId,
    state: DeliveryState,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let run = &runs::existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::IN_STATE)
                .bind(run.first_delivery)
                .bind(run.first_delivery + run.total - 1)
                .bind(state.as_str())
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}

pub(super) async fn history(
    ledger: &PostgresLedger,
    run: &RunId,
    id: DeliveryId,
) -> Result<History, LedgerError> {
    let run = &runs::existing(ledger, run).await?;
    let now = ledger.heard_of_at().await?;
    let told = ledger
        .read(|pool| async move {
            // One view of all of it.
            let mut tx = pool.begin().await?;
            sqlx::query(sql::ONE_MOMENT).execute(&mut *tx).await?;
            told(&mut tx, run, (id, now)).await
        })
        .await?;
    let delivery = DeliveryRow::from_row(&told.delivery)?.try_into()?;
    told.history(delivery)
}

async fn told(
    tx: &mut PgConnection,
    run: &RunRow,
    (id, now): (DeliveryId, i64),
) -> Result<Told<PgRow>, sqlx::Error> {
    Ok(Told {
        delivery: sqlx::query(sql::DELIVERY)
            .bind(id)
            .bind(now)
            .fetch_one(&mut *tx)
            .await?,
        attempts: between(tx, sql::ATTEMPTS_KEPT, id).await?,
        events: between(tx, sql::EVENTS_KEPT, id).await?,
        run_events: sqlx::query(sql::EVENTS_OF_RUN_ITSELF)
            .bind(run.id)
            .fetch_all(&mut *tx)
            .await?,
        known_from: sqlx::query_scalar(sql::KNOWN_FROM)
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?,
    })
}

async fn between(
    tx: &mut PgConnection,
    statement: &'static str,
    id: DeliveryId,
) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::query(statement).bind(id).bind(id).fetch_all(tx).await
}

type Due = Vec<(String, i64, i64)>;
type ByName = Vec<(String, i64)>;

pub(super) async fn outlook(ledger: &PostgresLedger, run: &RunId) -> Result<Outlook, LedgerError> {
    let run = &RunRecord::try_from(runs::existing(ledger, run).await?)?;
    let now = ledger.heard_of_at().await?;
    let (due, until, unanswered): (Due, ByName, ByName) = ledger
        .read(|pool| async move {
            let due = sqlx::query_as(sql::NEXT_DUE).bind(run.id);
            let until = sqlx::query_as(sql::CAPS_UNTIL).bind(&run.gateway);
            let unanswered = sqlx::query_as(sql::NEXT_UNANSWERED).bind(run.id).bind(now);
            Ok((
                due.fetch_all(&pool).await?,
                until.fetch_all(&pool).await?,
                unanswered.fetch_all(&pool).await?,
            ))
        })
        .await?;
    let pending = caps::next_due(run, due, &until.into_iter().collect())?;
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
    ledger: &PostgresLedger,
    run: &RunId,
    wanted: &Retry,
    now: Timestamp,
) -> Result<Vec<(Option<u32>, u64)>, LedgerError> {
    ledger
        .transact_at(Limit::Long, now, |mut tx, now| async move {
            let put_back = operator::retry(&mut tx, run, wanted, now).await?;
            Ok((tx, put_back))
        })
        .await
}

pub(super) async fn resolve(
    ledger: &PostgresLedger,
    run: &RunId,
    id: DeliveryId,
    resolution: Resolution,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let done = operator::resolve(&mut tx, run, id, resolution, now).await?;
            Ok((tx, done))
        })
        .await
}

impl OperatorTx for Tx {
    async fn failed(
        &mut self,
        (after, last): (DeliveryId, DeliveryId),
        (code, taken): (Option<u32>, bool),
        most: u32,
    ) -> Result<Vec<FailedRow>, LedgerError> {
        Ok(sqlx::query_as(sql::FAILED)
            .bind(after)
            .bind(last)
            .bind(code.map(i64::from))
            .bind(i64::from(most))
            .bind(taken)
            .fetch_all(self.connection())
            .await?)
    }

    async fn put_back(
        &mut self,
        ids: &[DeliveryId],
        key: RetryKey,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        sqlx::query(sql::PUT_BACK)
            .bind(ids)
            .bind(now.as_millisecond())
            .bind(key == RetryKey::Revised)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn resolve(
        &mut self,
        run_id: i64,
        id: DeliveryId,
        to: DeliveryState,
        now: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RESOLVE)
            .bind(id)
            .bind(run_id)
            .bind(to.as_str())
            .bind(now.as_millisecond())
            .fetch_optional(self.connection())
            .await?)
    }
}
