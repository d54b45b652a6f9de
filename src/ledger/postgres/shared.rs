//! What every writing transaction does, on PostgreSQL. Rows go to a statement as one array for
//! each column, so a statement takes any number of them in one round trip.

use super::super::LedgerError;
use super::super::events::EventRow;
use super::super::shapes::{HeldBack, Lost};
use super::super::tx::SharedTx;
use super::statements as sql;
use super::tx::Tx;

/// One column of rows.
pub(super) fn column<'r, Row, T>(rows: &'r [Row], of: impl Fn(&'r Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

impl SharedTx for Tx {
    async fn count_events(&mut self, run_id: i64, more: i64) -> Result<i64, LedgerError> {
        Ok(sqlx::query_scalar(sql::COUNT_EVENTS)
            .bind(run_id)
            .bind(more)
            .fetch_one(self.connection())
            .await?)
    }

    async fn insert_events(&mut self, run_id: i64, rows: &[EventRow]) -> Result<(), LedgerError> {
        sqlx::query(sql::INSERT_EVENTS)
            .bind(run_id)
            .bind(column(rows, |one| one.seq))
            .bind(column(rows, |one| one.delivery))
            .bind(column(rows, |one| i64::from(one.attempt)))
            .bind(column(rows, |one| one.at))
            .bind(column(rows, |one| one.what.as_str()))
            .bind(column(rows, |one| one.sum))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn keep_lost(&mut self, lost: &[Lost]) -> Result<(), LedgerError> {
        bind_lost(sqlx::query(sql::KEEP_LOST), lost)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn hold_back(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        sqlx::query(sql::HOLD_BACK)
            .bind(column(held, |one| one.id))
            .bind(column(held, |one| one.until))
            .bind(column(held, |one| one.hold.as_str()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn hold_doubts(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        sqlx::query(sql::HOLD_DOUBT)
            .bind(column(held, |one| one.id))
            .bind(column(held, |one| one.until))
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

pub(super) fn bind_lost<'q>(query: Query<'q>, lost: &'q [Lost]) -> Query<'q> {
    query
        .bind(column(lost, |one| one.id))
        .bind(column(lost, |one| i64::from(one.attempt)))
        .bind(column(lost, |one| i64::from(one.revision)))
        .bind(column(lost, |one| one.begun_at))
        .bind(column(lost, |one| one.sum))
}
