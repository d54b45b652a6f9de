//! Freezing a run: one transaction, one pass over the list, nothing left behind if it fails.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;
use sqlx::{Sqlite, Transaction};

use super::super::{Freeze, FreezeFacts, LedgerError, NewDelivery, NewRun, Planned, RunRecord};
use super::events;
use super::rows::{RunRow, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::campaign::FrozenFile;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::history::{self, FrozenRow, FrozenRun, RunEvent};
use crate::domain::message::Media;
use crate::domain::phone::Phone;
use crate::domain::sum::Sum;

/// Inserts by how many rows they take, longest first: every statement is a trip to SQLite's
/// thread and back. The longest takes a whole chunk of a list.
const INSERTS: [(usize, &str); 4] = [
    (512, sql::INSERT_MESSAGES_512),
    (64, sql::INSERT_MESSAGES_64),
    (8, sql::INSERT_MESSAGES_8),
    (1, sql::INSERT_MESSAGE),
];

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
    list_sum: Sum,
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
    if let Some(account) = &run.account {
        sqlx::query(sql::KEEP_ACCOUNT)
            .bind(&run.gateway)
            .bind(account.to_string())
            .execute(&mut *tx)
            .await?;
    }
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
        list_sum: history::list_sum(),
    }))
}

/// A row with its number in the ledger.
struct Numbered {
    id: i64,
    row: NewDelivery,
    content: Option<String>,
    sum: i64,
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

    /// Its checksum; anew when what becomes of the row has changed.
    fn sum(&mut self, run: &str) {
        let (line, skipped) = match &self.row.plan {
            Planned::Send { line, .. } => (line.as_str(), None),
            Planned::Skip { reason, detail } => ("", Some((*reason, detail.as_str()))),
        };
        let frozen = FrozenRow {
            run,
            row: self.row.row,
            step: 0,
            recipient_key: self.kept_key(),
            phone: self.phone(),
            timezone: self.row.timezone.as_deref(),
            content: self.content.as_deref(),
            line,
            skipped,
        };
        self.sum = frozen.sum();
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
            .bind(self.sum)
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
            let mut one = Numbered {
                id: self.next,
                row,
                content,
                sum: 0,
            };
            one.sum(self.run.run.as_str());
            numbered.push(one);
            self.next += 1;
        }
        let mut left = numbered.as_mut_slice();
        for (rows, text) in INSERTS {
            let mut groups = left.chunks_exact_mut(rows);
            for group in &mut groups {
                self.insert_messages(text, group).await?;
            }
            left = groups.into_remainder();
        }
        self.insert_deliveries(&numbered).await?;
        self.whole = true;
        Ok(())
    }

    async fn add_media(&mut self, media: Vec<Media>) -> Result<(), LedgerError> {
        for file in media {
            let sum = history::media_sum(file.sha256, &file.filename, &file.content_type);
            sqlx::query(sql::INSERT_MEDIA)
                .bind(file.sha256.to_string())
                .bind(file.filename)
                .bind(file.content_type)
                .bind(file.bytes.to_vec())
                .bind(sum)
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
        let files = stored(serde_json::to_string(&files))?;
        let list_sum = self.list_sum.finish();
        let frozen = FrozenRun {
            run: self.run.run.as_str(),
            gateway: &self.run.gateway,
            terms: &stored(serde_json::to_string(&self.run.terms))?,
            files: &files,
            first_delivery: self.first,
            total: self.next - self.first,
            created_at: self.run.now.as_millisecond(),
            starts_at: self.run.starts_at.as_millisecond(),
            list_sum,
        };
        let sum = frozen.sum();
        sqlx::query(sql::SEAL_RUN)
            .bind(self.next - self.first)
            .bind(&files)
            .bind(list_sum)
            .bind(sum)
            .bind(self.run_id)
            .execute(&mut *self.tx)
            .await?;
        events::note_run(&mut self.tx, self.run_id, self.run.now, &RunEvent::Started).await?;
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
    async fn insert_messages(
        &mut self,
        text: &'static str,
        group: &mut [Numbered],
    ) -> Result<(), LedgerError> {
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
        let inserted = group
            .iter()
            .fold(sqlx::query(text), |query, one| one.bind(query, self.run_id))
            .execute(&mut *self.tx)
            .await?
            .rows_affected();
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
                one.sum(self.run.run.as_str());
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

    /// Inserts the deliveries of messages that follow each other.
    async fn insert_deliveries(&mut self, all: &[Numbered]) -> Result<(), LedgerError> {
        let mut lines = Vec::with_capacity(all.len());
        let mut skipped = Vec::new();
        for one in all {
            self.list_sum.add(one.sum);
            lines.push(match &one.row.plan {
                Planned::Send { line, .. } => {
                    if !self.lines.contains(line) {
                        self.lines.insert(line.clone());
                    }
                    self.facts.counts.add(DeliveryState::Pending, 1);
                    Some(line.as_str())
                }
                Planned::Skip { reason, detail } => {
                    *self.facts.skipped.entry(*reason).or_default() += 1;
                    self.facts.counts.add(DeliveryState::Skipped, 1);
                    skipped.push((one.id, reason.as_str(), detail.as_str()));
                    None
                }
            });
        }
        let due_at = self.run.starts_at.as_millisecond();
        sqlx::query(sql::INSERT_PENDING)
            .bind(all.first().map(|one| one.id))
            .bind(self.run_id)
            .bind(due_at)
            .bind(stored(serde_json::to_string(&lines))?)
            .execute(&mut *self.tx)
            .await?;
        if !skipped.is_empty() {
            sqlx::query(sql::INSERT_SKIPPED)
                .bind(self.run_id)
                .bind(due_at)
                .bind(stored(serde_json::to_string(&skipped))?)
                .execute(&mut *self.tx)
                .await?;
        }
        Ok(())
    }
}
