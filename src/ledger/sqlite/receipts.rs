//! Receipts on SQLite. When a look is due is [`super::super::receipts`]'s.

use jiff::Timestamp;
use serde_json::json;

use super::super::receipts::{self, Confirmed, DueRow, GivenUp, LookRequest, LookTx, Looks};
use super::super::rows::GateRow;
use super::super::{DeliveryId, LedgerError, RunRecord};
use super::shared::{Tx, rows};
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::DeliveryState;

pub(super) async fn looks(
    ledger: &SqliteLedger,
    request: &LookRequest<'_>,
) -> Result<Looks, LedgerError> {
    let mut tx = ledger.begin().await?;
    let looks = receipts::looks(&mut tx, request).await?;
    tx.commit().await?;
    Ok(looks)
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
        .bind(json!(receipts::moved_from(confirmed.state())).to_string())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn give_up(
    ledger: &SqliteLedger,
    run: &RunRecord,
    given_up: &GivenUp,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = receipts::give_up(&mut tx, run, given_up, now).await?;
    tx.commit().await?;
    Ok(done)
}

impl LookTx for Tx<'_> {
    async fn next_look(&mut self, run_id: i64) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::NEXT_LOOK)
            .bind(run_id)
            .fetch_optional(&mut **self)
            .await?)
    }

    async fn account_gate(
        &mut self,
        gateway: &str,
        now: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        let gates: Vec<GateRow> = sqlx::query_as(sql::OPEN_GATES)
            .bind(gateway)
            .bind(now.as_millisecond())
            .fetch_all(&mut **self)
            .await?;
        let whole = gates.into_iter().find(|(line, ..)| line.is_empty());
        Ok(whole.map(|(_, until, ..)| until))
    }

    async fn due_receipts(
        &mut self,
        run_id: i64,
        due_by: Timestamp,
        most: u32,
    ) -> Result<Vec<DueRow>, LedgerError> {
        Ok(sqlx::query_as(sql::RECEIPTS_DUE)
            .bind(run_id)
            .bind(due_by.as_millisecond())
            .bind(most)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn move_looks(&mut self, looks: &[(DeliveryId, i64)]) -> Result<(), LedgerError> {
        sqlx::query(sql::MOVE_LOOKS)
            .bind(rows(looks, |(id, at)| json!([id, at])))
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn fail_later(
        &mut self,
        run_id: i64,
        given_up: &GivenUp,
    ) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::FAIL_LATER)
            .bind(given_up.id)
            .bind(run_id)
            .bind(&given_up.message_id)
            .bind(given_up.failure.code)
            .bind(&given_up.failure.text)
            .bind(json!(receipts::moved_from(DeliveryState::Failed)).to_string())
            .fetch_optional(&mut **self)
            .await?)
    }
}
