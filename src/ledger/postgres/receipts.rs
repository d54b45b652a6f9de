//! Receipts on PostgreSQL. When a look is due is [`super::super::receipts`]'s.

use jiff::Timestamp;

use super::super::receipts::{self, Confirmed, DueReceipt, DueRow};
use super::super::{LedgerError, RunRecord};
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};

pub(super) async fn due(
    ledger: &PostgresLedger,
    run: &RunRecord,
    now: Timestamp,
    (jitter, most): (u32, u32),
) -> Result<Vec<DueReceipt>, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let found: Vec<DueRow> = sqlx::query_as(sql::RECEIPTS_DUE)
                .bind(run.id)
                .bind(now.as_millisecond())
                .bind(i64::from(most))
                .fetch_all(tx.connection())
                .await?;
            let looks = receipts::next_looks(&found, now, jitter)?;
            let (ids, at): (Vec<i64>, Vec<i64>) = looks.into_iter().unzip();
            sqlx::query(sql::MOVE_LOOKS)
                .bind(ids)
                .bind(at)
                .execute(tx.connection())
                .await?;
            Ok((tx, receipts::due(found)))
        })
        .await
}

pub(super) async fn keep(
    ledger: &PostgresLedger,
    run: &RunRecord,
    confirmed: &Confirmed,
) -> Result<bool, LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            let done = sqlx::query(sql::KEEP_RECEIPT)
                .bind(confirmed.id)
                .bind(run.id)
                .bind(&confirmed.message_id)
                .bind(confirmed.state().as_str())
                .bind(confirmed.delivered_at.map(Timestamp::as_millisecond))
                .bind(confirmed.read_at.map(Timestamp::as_millisecond))
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected() > 0))
        })
        .await
}
