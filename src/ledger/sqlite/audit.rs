//! The audit's view of a SQLite file: a read transaction, and rows taken column by column, so
//! that one that cannot be read is a finding and not the end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Transaction, Type};

use super::super::{Audit, DeliveryId, LedgerError};
use super::{SqliteLedger, statements as sql};
use crate::domain::digest::Digest;
use crate::domain::proof::{
    Flaw, KeptAttempt, KeptDelivery, KeptEvent, KeptMedia, KeptMessage, KeptRun, Readable, Rows,
};

struct SqliteAudit {
    tx: Transaction<'static, Sqlite>,
}

pub(super) async fn open(ledger: &SqliteLedger) -> Result<Box<dyn Audit>, LedgerError> {
    let tx = ledger.readers.begin().await?;
    Ok(Box::new(SqliteAudit { tx }))
}

/// A value of a row, unless it is of another kind.
fn take<'r, T>(row: &'r SqliteRow, column: &'static str) -> Readable<T>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(column).map_err(|_| Flaw {
        column,
        what: "is not what it has to be",
    })
}

fn message(row: &SqliteRow) -> Readable<KeptMessage> {
    Ok(KeptMessage {
        run_id: take(row, "run_id")?,
        step: take(row, "step")?,
        row: take(row, "row")?,
        recipient_key: take(row, "recipient_key")?,
        phone: take(row, "phone")?,
        timezone: take(row, "timezone")?,
        content: take(row, "content")?,
        addressed: take(row, "addressed")?,
        sum: take(row, "sum")?,
    })
}

fn delivery(row: &SqliteRow) -> Readable<KeptDelivery> {
    Ok(KeptDelivery {
        run_id: take(row, "run_id")?,
        line: take(row, "line")?,
        state: take(row, "state")?,
        reason: take(row, "reason")?,
        detail: take(row, "detail")?,
        hold: take(row, "hold")?,
        due_at: take(row, "due_at")?,
        lease_owner: take(row, "lease_owner")?,
        attempt: take(row, "attempt")?,
        tries: take(row, "tries")?,
        revision: take(row, "revision")?,
        fixed: take(row, "fixed")?,
        fixed_sum: take(row, "fixed_sum")?,
        first_attempt_at: take(row, "first_attempt_at")?,
        begun_at: take(row, "begun_at")?,
        unanswered_at: take(row, "unanswered_at")?,
        code: take(row, "code")?,
        message_id: take(row, "message_id")?,
        chat_id: take(row, "chat_id")?,
        sent_at: take(row, "sent_at")?,
        delivered_at: take(row, "delivered_at")?,
        read_at: take(row, "read_at")?,
    })
}

pub(super) fn attempt(row: &SqliteRow) -> Readable<KeptAttempt> {
    Ok(KeptAttempt {
        delivery_id: take(row, "delivery_id")?,
        attempt: take(row, "attempt")?,
        revision: take(row, "revision")?,
        begun_at: take(row, "begun_at")?,
        ended_at: take(row, "ended_at")?,
        outcome: take(row, "outcome")?,
        late: take(row, "late")?,
        code: take(row, "code")?,
        http: take(row, "http")?,
        text: take(row, "text")?,
        trace_id: take(row, "trace_id")?,
        state: take(row, "state")?,
        due_at: take(row, "due_at")?,
        hold: take(row, "hold")?,
        tries: take(row, "tries")?,
        anew: take(row, "anew")?,
        message_id: take(row, "message_id")?,
        chat_id: take(row, "chat_id")?,
        sum: take(row, "sum")?,
    })
}

pub(super) fn event(row: &SqliteRow) -> Readable<KeptEvent> {
    Ok(KeptEvent {
        run_id: take(row, "run_id")?,
        seq: take(row, "seq")?,
        delivery_id: take(row, "delivery_id")?,
        attempt: take(row, "attempt")?,
        at: take(row, "at")?,
        what: take(row, "what")?,
        sum: take(row, "sum")?,
    })
}

fn run(row: &SqliteRow) -> Readable<KeptRun> {
    Ok(KeptRun {
        id: take(row, "id")?,
        run: take(row, "run")?,
        campaign: take(row, "campaign")?,
        occurrence: take(row, "occurrence")?,
        gateway: take(row, "gateway")?,
        state: take(row, "state")?,
        reason: take(row, "reason")?,
        terms: take(row, "terms")?,
        files: take(row, "files")?,
        first_delivery: take(row, "first_delivery")?,
        total: take(row, "total")?,
        created_at: take(row, "created_at")?,
        starts_at: take(row, "starts_at")?,
        finished_at: take(row, "finished_at")?,
        list_sum: take(row, "list_sum")?,
        sum: take(row, "sum")?,
        events: take(row, "events")?,
    })
}

fn media(row: &SqliteRow) -> Readable<KeptMedia> {
    let bytes: &[u8] = take(row, "bytes")?;
    Ok(KeptMedia {
        filename: take(row, "filename")?,
        content_type: take(row, "content_type")?,
        bytes: Digest::of(bytes),
        sum: take(row, "sum")?,
    })
}

impl SqliteAudit {
    /// Rows of deliveries from `first` to `last`.
    async fn between(
        &mut self,
        statement: &'static str,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<SqliteRow>, LedgerError> {
        Ok(sqlx::query(statement)
            .bind(first)
            .bind(last)
            .fetch_all(&mut *self.tx)
            .await?)
    }
}

#[async_trait]
impl Audit for SqliteAudit {
    async fn structure(&mut self) -> Result<Vec<String>, LedgerError> {
        let found: Vec<String> = sqlx::query_scalar(sql::STRUCTURE)
            .fetch_all(&mut *self.tx)
            .await?;
        let lines = found.iter().flat_map(|text| text.lines());
        Ok(lines
            .filter(|line| *line != "ok" && !line.starts_with("***"))
            .map(str::to_owned)
            .collect())
    }

    async fn runs(&mut self) -> Result<Vec<Readable<KeptRun>>, LedgerError> {
        let rows = sqlx::query(sql::RUNS_KEPT).fetch_all(&mut *self.tx).await?;
        Ok(rows.iter().map(run).collect())
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
        Ok(rows.iter().map(|row| take(row, "line")).collect())
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
            .bind(most)
            .fetch_all(&mut *self.tx)
            .await?;
        Ok(rows.iter().map(event).collect())
    }

    async fn page(
        &mut self,
        first: DeliveryId,
        last: DeliveryId,
    ) -> Result<Vec<Rows>, LedgerError> {
        let mut all: BTreeMap<DeliveryId, Rows> =
            (first..=last).map(|id| (id, Rows::none(id))).collect();
        for row in self.between(sql::MESSAGES_KEPT, first, last).await? {
            if let Some(rows) = all.get_mut(&row.try_get("id")?) {
                rows.message = Some(message(&row));
            }
        }
        for row in self.between(sql::DELIVERIES_KEPT, first, last).await? {
            if let Some(rows) = all.get_mut(&row.try_get("id")?) {
                rows.delivery = Some(delivery(&row));
            }
        }
        for row in self.between(sql::ATTEMPTS_KEPT, first, last).await? {
            if let Some(rows) = all.get_mut(&row.try_get("delivery_id")?) {
                rows.attempts.push(attempt(&row));
            }
        }
        for row in self.between(sql::EVENTS_KEPT, first, last).await? {
            if let Some(rows) = all.get_mut(&row.try_get("delivery_id")?) {
                rows.events.push(event(&row));
            }
        }
        Ok(all.into_values().collect())
    }

    async fn media(&mut self, sha256: Digest) -> Result<Option<Readable<KeptMedia>>, LedgerError> {
        let row = sqlx::query(sql::MEDIA_KEPT)
            .bind(sha256.to_string())
            .fetch_optional(&mut *self.tx)
            .await?;
        Ok(row.as_ref().map(media))
    }
}

/// A flaw outside of an audit is a damaged ledger.
pub(super) fn sound<T>(table: &str, row: Readable<T>) -> Result<T, LedgerError> {
    row.map_err(|flaw| LedgerError::Damaged(format!("{table}: {flaw}")))
}
