//! Receipts on SQLite. When a look is due is [`super::super::receipts`]'s.

use jiff::Timestamp;
use serde_json::json;

use super::super::receipts::{self, Confirmed, DueReceipt, DueRow};
use super::super::{LedgerError, RunRecord};
use super::shared::rows;
use super::{SqliteLedger, statements as sql};

pub(super) async fn due(
    ledger: &SqliteLedger,
    run: &RunRecord,
    now: Timestamp,
    (jitter, most): (u32, u32),
) -> Result<Vec<DueReceipt>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let found: Vec<DueRow> = sqlx::query_as(sql::RECEIPTS_DUE)
        .bind(run.id)
        .bind(now.as_millisecond())
        .bind(most)
        .fetch_all(&mut *tx)
        .await?;
    let looks = receipts::next_looks(&found, now, jitter)?;
    sqlx::query(sql::MOVE_LOOKS)
        .bind(rows(&looks, |(id, at)| json!([id, at])))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(receipts::due(found))
}

pub(super) async fn keep(
    ledger: &SqliteLedger,
    run: &RunRecord,
    confirmed: &Confirmed,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(sql::KEEP_RECEIPT)
        .bind(confirmed.id)
        .bind(run.id)
        .bind(&confirmed.message_id)
        .bind(confirmed.state().as_str())
        .bind(confirmed.delivered_at.map(Timestamp::as_millisecond))
        .bind(confirmed.read_at.map(Timestamp::as_millisecond))
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}
