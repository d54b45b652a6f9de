//! The audit's view of a PostgreSQL database: one read transaction. What a row must hold
//! is [`super::super::kept`]'s.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row, Transaction, Type};

use super::super::kept::{self, Page, Take};
use super::super::{Audit, DeliveryId, LedgerError};
use super::{PostgresLedger, statements as sql};
use crate::domain::digest::Digest;
use crate::domain::proof::{KeptEvent, KeptMedia, KeptRun, Readable, Rows};

struct PostgresAudit {
    tx: Transaction<'static, Postgres>,
}

pub(super) async fn open(ledger: &PostgresLedger) -> Result<Box<dyn Audit>, LedgerError> {
    let mut tx = ledger.pool.begin().await?;
    for statement in [sql::ONE_MOMENT, sql::PROOF_LIMITS] {
        sqlx::query(statement).execute(&mut *tx).await?;
    }
    Ok(Box::new(PostgresAudit { tx }))
}

impl<T> Take<T> for PgRow
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    fn take(&self, column: &'static str) -> Readable<T> {
        self.try_get(column).map_err(|_| kept::flaw(column))
    }
}

impl PostgresAudit {
    /// Rows of deliveries from `first` to `last`.
    async fn between(
        &mut self,
        statement: &'static str,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<PgRow>, LedgerError> {
        Ok(sqlx::query(statement)
            .bind(first)
            .bind(last)
            .fetch_all(&mut *self.tx)
            .await?)
    }
}

#[async_trait]
impl Audit for PostgresAudit {
    async fn structure(&mut self) -> Result<Vec<String>, LedgerError> {
        Ok(sqlx::query_scalar(sql::STRUCTURE)
            .fetch_all(&mut *self.tx)
            .await?)
    }

    async fn runs(&mut self) -> Result<Vec<Readable<KeptRun>>, LedgerError> {
        let rows = sqlx::query(sql::RUNS_KEPT).fetch_all(&mut *self.tx).await?;
        Ok(rows.iter().map(kept::run).collect())
    }

    async fn orphans(&mut self) -> Result<Vec<i64>, LedgerError> {
        Ok(sqlx::query_scalar(sql::ORPHANS)
            .fetch_all(&mut *self.tx)
            .await?)
    }

    async fn lines(&mut self, run_id: i64) -> Result<Vec<Readable<String>>, LedgerError> {
        let rows = sqlx::query(sql::RUN_LINES)
            .bind(run_id)
            .fetch_all(&mut *self.tx)
            .await?;
        Ok(rows.iter().map(|row| row.take("line")).collect())
    }

    async fn strays(&mut self, run: &KeptRun) -> Result<Vec<DeliveryId>, LedgerError> {
        Ok(sqlx::query_scalar(sql::STRAYS)
            .bind(run.id)
            .bind(run.first_delivery)
            .bind(run.first_delivery.saturating_add(run.total))
            .fetch_all(&mut *self.tx)
            .await?)
    }

    async fn events(
        &mut self,
        run_id: i64,
        after: u64,
        most: u32,
    ) -> Result<Vec<Readable<KeptEvent>>, LedgerError> {
        let rows = sqlx::query(sql::EVENTS_OF_RUN)
            .bind(run_id)
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .bind(i64::from(most))
            .fetch_all(&mut *self.tx)
            .await?;
        Ok(rows.iter().map(kept::event).collect())
    }

    async fn page(
        &mut self,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<Rows>, LedgerError> {
        let page = Page {
            messages: self.between(sql::MESSAGES_KEPT, first, last).await?,
            deliveries: self.between(sql::DELIVERIES_KEPT, first, last).await?,
            attempts: self.between(sql::ATTEMPTS_KEPT, first, last).await?,
            events: self.between(sql::EVENTS_KEPT, first, last).await?,
        };
        page.rows(first, last)
    }

    async fn media(&mut self, sha256: Digest) -> Result<Option<Readable<KeptMedia>>, LedgerError> {
        let row = sqlx::query(sql::MEDIA_KEPT)
            .bind(sha256.to_string())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.as_ref().map(kept::media))
    }
}
