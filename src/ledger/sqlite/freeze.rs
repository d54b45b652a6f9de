//! Freezing a run: one transaction, one pass over the list, nothing left behind if it fails.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::super::{Freeze, FreezeFacts, LedgerError, NewDelivery, NewRun, Planned, RunRecord};
use super::rows::{RunRow, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::campaign::FrozenFile;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::message::Media;
use crate::domain::phone::Phone;

/// Rows of one long insert; more rows a statement bring nothing more.
const LONG: usize = 64;

struct SqliteFreeze {
    tx: Transaction<'static, Sqlite>,
    run: NewRun,
    run_id: i64,
    first: i64,
    next: i64,
    lines: BTreeSet<String>,
    /// A key of this list reads like a phone number of somebody else.
    crossing: bool,
    /// Every row that was given has been written.
    whole: bool,
    facts: FreezeFacts,
}

pub(super) async fn open(
    ledger: &SqliteLedger,
    run: &NewRun,
) -> Result<Box<dyn Freeze>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let exists: Option<i64> = sqlx::query_scalar(sql::RUN_EXISTS)
        .bind(run.run.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    if exists.is_some() {
        return Err(LedgerError::RunExists(run.run.clone()));
    }
    let first: i64 = sqlx::query_scalar(sql::NEXT_DELIVERY)
        .fetch_one(&mut *tx)
        .await?;
    let run_id = sqlx::query(sql::INSERT_RUN)
        .bind(run.run.as_str())
        .bind(run.run.campaign())
        .bind(run.run.occurrence())
        .bind(&run.gateway)
        .bind(stored(serde_json::to_string(&run.terms))?)
        .bind(first)
        .bind(run.now.as_millisecond())
        .bind(run.starts_at.as_millisecond())
        .execute(&mut *tx)
        .await?
        .last_insert_rowid();
    Ok(Box::new(SqliteFreeze {
        tx,
        run: run.clone(),
        run_id,
        first,
        next: first,
        lines: BTreeSet::new(),
        crossing: false,
        whole: true,
        facts: FreezeFacts::default(),
    }))
}

/// A row with its number in the ledger.
struct Numbered {
    id: i64,
    row: NewDelivery,
    content: Option<String>,
}

impl Numbered {
    fn phone(&self) -> Option<&str> {
        self.row.phone.as_ref().map(Phone::expose)
    }

    /// The recipient key as it is kept: not at all where it is the phone.
    fn kept_key(&self) -> Option<&str> {
        let key = self.row.recipient_key.as_deref();
        key.filter(|key| Some(*key) != self.phone())
    }

    fn bind<'q>(&'q self, query: Query<'q>, run_id: i64) -> Query<'q> {
        query
            .bind(self.id)
            .bind(run_id)
            .bind(i64::try_from(self.row.row).unwrap_or(i64::MAX))
            .bind(self.kept_key())
            .bind(self.phone())
            .bind(self.row.timezone.as_deref())
            .bind(self.content.as_deref())
            .bind(self.content.is_some())
    }
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

#[async_trait]
impl Freeze for SqliteFreeze {
    async fn add(&mut self, rows: Vec<NewDelivery>) -> Result<(), LedgerError> {
        self.whole = false;
        let mut numbered = Vec::with_capacity(rows.len());
        for row in rows {
            let content = match &row.plan {
                Planned::Send { message, .. } => Some(stored(serde_json::to_string(message))?),
                Planned::Skip { .. } => None,
            };
            numbered.push(Numbered {
                id: self.next,
                row,
                content,
            });
            self.next += 1;
        }
        for group in numbered.chunks_mut(LONG) {
            self.insert_messages(group).await?;
        }
        for group in numbered.chunks(LONG) {
            self.insert_deliveries(group).await?;
        }
        self.whole = true;
        Ok(())
    }

    async fn add_media(&mut self, media: Vec<Media>) -> Result<(), LedgerError> {
        for file in media {
            sqlx::query(sql::INSERT_MEDIA)
                .bind(file.sha256.to_string())
                .bind(file.filename)
                .bind(file.content_type)
                .bind(file.bytes.to_vec())
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }

    async fn seal(mut self: Box<Self>, files: Vec<FrozenFile>) -> Result<RunRecord, LedgerError> {
        if !self.whole {
            return Err(LedgerError::Fault(
                "rows of the list could not be written".to_owned(),
            ));
        }
        for line in &self.lines {
            sqlx::query(sql::INSERT_RUN_LINE)
                .bind(self.run_id)
                .bind(line)
                .execute(&mut *self.tx)
                .await?;
        }
        sqlx::query(sql::SEAL_RUN)
            .bind(self.next - self.first)
            .bind(stored(serde_json::to_string(&files))?)
            .bind(self.run_id)
            .execute(&mut *self.tx)
            .await?;
        let row: RunRow = sqlx::query_as(sql::RUN)
            .bind(self.run.run.as_str())
            .fetch_one(&mut *self.tx)
            .await?;
        self.tx.commit().await?;
        row.try_into()
    }

    async fn discard(self: Box<Self>) -> Result<FreezeFacts, LedgerError> {
        self.tx.rollback().await?;
        Ok(self.facts)
    }
}

impl SqliteFreeze {
    /// Inserts messages; those that the unique indexes turn away become duplicates.
    async fn insert_messages(&mut self, group: &mut [Numbered]) -> Result<(), LedgerError> {
        // The indexes keep phones and keys apart. A key that reads like a phone may be that of
        // a row whose key is its phone, and only a look at the rows before can tell.
        self.crossing |= group
            .iter()
            .any(|one| one.kept_key().is_some_and(|key| key.starts_with('+')));
        if self.crossing {
            for one in group {
                self.insert_unless_there(one).await?;
            }
            return Ok(());
        }
        let text = if group.len() == LONG {
            sql::INSERT_MESSAGES_64
        } else {
            sql::INSERT_MESSAGE
        };
        let each = if group.len() == LONG { LONG } else { 1 };
        let mut inserted = 0;
        for rows in group.chunks(each) {
            let query = rows
                .iter()
                .fold(sqlx::query(text), |query, one| one.bind(query, self.run_id));
            inserted += query.execute(&mut *self.tx).await?.rows_affected();
        }
        if inserted != group.len() as u64 {
            self.mark_duplicates(group).await?;
        }
        Ok(())
    }

    async fn mark_duplicates(&mut self, group: &mut [Numbered]) -> Result<(), LedgerError> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(());
        };
        let there: Vec<i64> = sqlx::query_scalar(sql::MESSAGES_BETWEEN)
            .bind(first.id)
            .bind(last.id)
            .fetch_all(&mut *self.tx)
            .await?;
        let there: HashSet<i64> = there.into_iter().collect();
        for one in group.iter_mut().filter(|one| !there.contains(&one.id)) {
            self.insert_unless_there(one).await?;
        }
        Ok(())
    }

    /// Inserts one message, as a duplicate where the same person has a row already.
    async fn insert_unless_there(&mut self, one: &mut Numbered) -> Result<(), LedgerError> {
        if one.content.is_some() {
            let first_row: Option<i64> = sqlx::query_scalar(sql::FIRST_ROW_OF)
                .bind(self.run_id)
                .bind(one.phone())
                .bind(one.kept_key().or(one.phone()))
                .fetch_one(&mut *self.tx)
                .await?;
            if let Some(first_row) = first_row {
                one.content = None;
                one.row.plan = Planned::Skip {
                    reason: SkipReason::Duplicate,
                    detail: format!("row {first_row} is the same person"),
                };
            }
        }
        let inserted = one
            .bind(sqlx::query(sql::INSERT_MESSAGE), self.run_id)
            .execute(&mut *self.tx)
            .await?
            .rows_affected();
        if inserted == 0 {
            return Err(LedgerError::Fault(format!(
                "row {} was turned away for no reason",
                one.row.row
            )));
        }
        Ok(())
    }

    async fn insert_deliveries(&mut self, group: &[Numbered]) -> Result<(), LedgerError> {
        let long = group.len() == LONG;
        let text = if long {
            sql::INSERT_DELIVERIES_64
        } else {
            sql::INSERT_DELIVERY
        };
        for rows in group.chunks(if long { LONG } else { 1 }) {
            let mut query = sqlx::query(text);
            for one in rows {
                let (line, state, reason, detail) = match &one.row.plan {
                    Planned::Send { line, .. } => {
                        if !self.lines.contains(line) {
                            self.lines.insert(line.clone());
                        }
                        (line.as_str(), DeliveryState::Pending, None, None)
                    }
                    Planned::Skip { reason, detail } => {
                        *self.facts.skipped.entry(*reason).or_default() += 1;
                        (
                            "",
                            DeliveryState::Skipped,
                            Some(reason.as_str()),
                            Some(detail.as_str()),
                        )
                    }
                };
                self.facts.counts.add(state, 1);
                query = query
                    .bind(one.id)
                    .bind(self.run_id)
                    .bind(line)
                    .bind(state.as_str())
                    .bind(reason)
                    .bind(detail)
                    .bind(self.run.starts_at.as_millisecond());
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}
