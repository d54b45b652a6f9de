//! Receipts on PostgreSQL. When a look is due is [`super::super::receipts`]'s.

use jiff::Timestamp;

use super::super::receipts::{self, Confirmed, DueRow, GivenUp, LookRequest, LookTx, Looks};
use super::super::rows::GateRow;
use super::super::{DeliveryId, LedgerError, RunRecord};
use super::tx::{Limit, Tx};
use super::{PostgresLedger, statements as sql};
use crate::domain::delivery::DeliveryState;

pub(super) async fn looks(
    ledger: &PostgresLedger,
    request: &LookRequest<'_>,
) -> Result<Looks, LedgerError> {
    let looks = ledger
        .transact_at(Limit::Short, request.now, |mut tx, now| async move {
            let since_due = request.due_by.duration_since(request.now);
            let request = LookRequest {
                now,
                due_by: now.saturating_add(since_due).unwrap_or(now),
                ..request.clone()
            };
            let looks = receipts::looks(&mut tx, &request).await?;
            Ok((tx, looks))
        })
        .await?;
    let shift = ledger.shift();
    Ok(Looks {
        due: looks.due,
        next: looks.next.map(|at| shift.to_caller(at)),
    })
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
                .bind(receipts::moved_from(confirmed.state()))
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected() > 0))
        })
        .await
}

pub(super) async fn give_up(
    ledger: &PostgresLedger,
    run: &RunRecord,
    given_up: &GivenUp,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let done = receipts::give_up(&mut tx, run, given_up, now).await?;
            Ok((tx, done))
        })
        .await
}

impl LookTx for Tx {
    async fn next_look(&mut self, run_id: i64) -> Result<Option<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::NEXT_LOOK)
            .bind(run_id)
            .fetch_optional(self.connection())
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
            .fetch_all(self.connection())
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
            .bind(i64::from(most))
            .fetch_all(self.connection())
            .await?)
    }

    async fn move_looks(&mut self, looks: &[(DeliveryId, i64)]) -> Result<(), LedgerError> {
        let (ids, at): (Vec<i64>, Vec<i64>) = looks.iter().copied().unzip();
        sqlx::query(sql::MOVE_LOOKS)
            .bind(ids)
            .bind(at)
            .execute(self.connection())
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
            .bind(given_up.failure.code.map(i64::from))
            .bind(&given_up.failure.text)
            .bind(receipts::moved_from(DeliveryState::Failed))
            .fetch_optional(self.connection())
            .await?)
    }
}
