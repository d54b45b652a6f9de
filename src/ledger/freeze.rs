//! Freezing a run: one transaction, one pass over the list, nothing left behind if it fails.
//! Who is whose duplicate and what is summed; how rows are inserted is each database's.

use std::collections::{BTreeSet, HashSet};

use async_trait::async_trait;

use super::events;
use super::rows::{RunRow, stored};
use super::tx::SharedTx;
use super::{Freeze, FreezeFacts, LedgerError, NewDelivery, NewRun, Planned, RunRecord};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::campaign::FrozenFile;
use crate::domain::cap::Touch;
use crate::domain::delivery::{DeliveryState, SkipReason};
use crate::domain::history::{self, FrozenRow, FrozenRun, RunEvent};
use crate::domain::message::Media;
use crate::domain::sum::Sum;

/// What a transaction that freezes a run can do.
pub(super) trait FreezeTx: SharedTx + Sized {
    /// Inserts messages that follow each other, but for those that the unique indexes turn
    /// away; says whether all went in.
    fn insert_messages(
        &mut self,
        run_id: i64,
        rows: &[FrozenMessage],
    ) -> impl Future<Output = Result<bool, LedgerError>> + Send;

    fn messages_between(
        &mut self,
        first: i64,
        last: i64,
    ) -> impl Future<Output = Result<Vec<i64>, LedgerError>> + Send;

    /// The first row of the run for this person.
    fn first_row_of(
        &mut self,
        run_id: i64,
        phone: Option<&str>,
        key: Option<&str>,
    ) -> impl Future<Output = Result<Option<i64>, LedgerError>> + Send;

    /// Inserts the deliveries of messages that follow each other.
    fn insert_deliveries(
        &mut self,
        run_id: i64,
        due_at: i64,
        rows: &[FrozenMessage],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn insert_media(
        &mut self,
        file: &Media,
        sum: i64,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn insert_lines(
        &mut self,
        run_id: i64,
        lines: &BTreeSet<String>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Kept with the first run of a gateway's name.
    fn keep_account(
        &mut self,
        gateway: &str,
        account: &AccountId,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn seal_run(
        &mut self,
        run_id: i64,
        sealed: &Sealed<'_>,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn sealed_run(
        &mut self,
        run: &NewRun,
    ) -> impl Future<Output = Result<RunRow, LedgerError>> + Send;

    fn commit(self) -> impl Future<Output = Result<(), LedgerError>> + Send;

    fn rollback(self) -> impl Future<Output = Result<(), LedgerError>> + Send;
}

/// What is known of a run only when its list has come to its end.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    pub(super) total: i64,
    /// As JSON.
    pub(super) files: &'a str,
    pub(super) list_sum: i64,
    pub(super) sum: i64,
}

/// A row with its number in the ledger.
#[derive(Debug)]
pub(super) struct FrozenMessage {
    pub(super) id: i64,
    row: NewDelivery,
    content: Option<String>,
    pub(super) sum: i64,
}

impl FrozenMessage {
    fn new(id: i64, row: NewDelivery, run: &str) -> Result<Self, LedgerError> {
        let content = match &row.plan {
            Planned::Send { message, .. } => Some(stored(serde_json::to_string(message))?),
            Planned::Skip { .. } => None,
        };
        let mut one = Self {
            id,
            row,
            content,
            sum: 0,
        };
        one.add_up(run);
        Ok(one)
    }

    pub(super) fn row(&self) -> i64 {
        i64::try_from(self.row.row).unwrap_or(i64::MAX)
    }

    pub(super) fn phone(&self) -> Option<&str> {
        self.row.phone.as_ref().map(Address::expose)
    }

    /// The recipient key as it is kept: not at all where it is the phone.
    pub(super) fn kept_key(&self) -> Option<&str> {
        let key = self.row.recipient_key.as_deref();
        key.filter(|key| Some(*key) != self.phone())
    }

    pub(super) fn timezone(&self) -> Option<&str> {
        self.row.timezone.as_deref()
    }

    /// The message as JSON; none for a row that is skipped.
    pub(super) fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// The line that it is to leave from; none for a row that is skipped.
    pub(super) fn line(&self) -> Option<&str> {
        match &self.row.plan {
            Planned::Send { line, .. } => Some(line),
            Planned::Skip { .. } => None,
        }
    }

    /// What it will be to its recipient; none for a row that is skipped.
    pub(super) fn touch(&self) -> Option<Touch> {
        match &self.row.plan {
            Planned::Send { touch, .. } => Some(*touch),
            Planned::Skip { .. } => None,
        }
    }

    /// Why it is skipped, where it is.
    pub(super) fn skipped(&self) -> Option<(SkipReason, &str)> {
        match &self.row.plan {
            Planned::Send { .. } => None,
            Planned::Skip { reason, detail } => Some((*reason, detail)),
        }
    }

    /// Its checksum; anew when what becomes of the row has changed.
    fn add_up(&mut self, run: &str) {
        let frozen = FrozenRow {
            run,
            row: self.row.row,
            step: 0,
            recipient_key: self.kept_key(),
            phone: self.phone(),
            timezone: self.timezone(),
            content: self.content(),
            line: self.line().unwrap_or(""),
            skipped: self.skipped(),
        };
        self.sum = frozen.sum();
    }

    fn make_duplicate(&mut self, first_row: i64, run: &str) {
        self.content = None;
        self.row.plan = Planned::Skip {
            reason: SkipReason::Duplicate,
            detail: format!("row {first_row} is the same person"),
        };
        self.add_up(run);
    }
}

/// A run on its way into a ledger.
#[derive(Debug)]
pub(super) struct Freezing<T> {
    tx: T,
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

impl<T: FreezeTx> Freezing<T> {
    /// The run is in the ledger under `run_id`; `first` will be its first delivery.
    pub(super) fn new(tx: T, run: NewRun, run_id: i64, first: i64) -> Self {
        Self {
            tx,
            run,
            run_id,
            first,
            next: first,
            lines: BTreeSet::new(),
            crossing: false,
            whole: true,
            facts: FreezeFacts::default(),
            list_sum: history::list_sum(),
        }
    }

    /// Inserts messages; those that the unique indexes turn away become duplicates.
    async fn insert_messages(&mut self, rows: &mut [FrozenMessage]) -> Result<(), LedgerError> {
        // The indexes keep phones and keys apart. A key that reads like a phone may be that of
        // a row whose key is its phone, and only a look at the rows before can tell.
        self.crossing |= rows
            .iter()
            .any(|one| one.kept_key().is_some_and(|key| key.starts_with('+')));
        if self.crossing {
            for one in rows {
                self.insert_unless_there(one).await?;
            }
            return Ok(());
        }
        if !self.tx.insert_messages(self.run_id, rows).await? {
            self.mark_duplicates(rows).await?;
        }
        Ok(())
    }

    async fn mark_duplicates(&mut self, rows: &mut [FrozenMessage]) -> Result<(), LedgerError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(());
        };
        let there = self.tx.messages_between(first.id, last.id).await?;
        let there: HashSet<i64> = there.into_iter().collect();
        for one in rows.iter_mut().filter(|one| !there.contains(&one.id)) {
            self.insert_unless_there(one).await?;
        }
        Ok(())
    }

    /// Inserts one message, as a duplicate where the same person has a row already.
    async fn insert_unless_there(&mut self, one: &mut FrozenMessage) -> Result<(), LedgerError> {
        if one.content.is_some() {
            let (phone, key) = (one.phone(), one.kept_key().or(one.phone()));
            if let Some(first) = self.tx.first_row_of(self.run_id, phone, key).await? {
                one.make_duplicate(first, self.run.run.as_str());
            }
        }
        let row = std::slice::from_ref(one);
        if self.tx.insert_messages(self.run_id, row).await? {
            return Ok(());
        }
        Err(LedgerError::Fault(format!(
            "row {} was turned away for no reason",
            one.row.row
        )))
    }

    fn count(&mut self, rows: &[FrozenMessage]) {
        for one in rows {
            self.list_sum.add(one.sum);
            if let Some((reason, _)) = one.skipped() {
                *self.facts.skipped.entry(reason).or_default() += 1;
                self.facts.counts.add(DeliveryState::Skipped, 1);
            }
            if let Some(line) = one.line() {
                if !self.lines.contains(line) {
                    self.lines.insert(line.to_owned());
                }
                self.facts.counts.add(DeliveryState::Pending, 1);
                if one.touch() == Some(Touch::First) {
                    let first = self.facts.first_touches.entry(line.to_owned());
                    *first.or_default() += 1;
                }
            }
        }
    }
}

#[async_trait]
impl<T: FreezeTx> Freeze for Freezing<T> {
    async fn add(&mut self, rows: Vec<NewDelivery>) -> Result<(), LedgerError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.whole = false;
        let mut numbered = Vec::with_capacity(rows.len());
        for (id, row) in (self.next..).zip(rows) {
            numbered.push(FrozenMessage::new(id, row, self.run.run.as_str())?);
        }
        self.next += i64::try_from(numbered.len()).unwrap_or(i64::MAX);
        self.insert_messages(&mut numbered).await?;
        self.count(&numbered);
        let due_at = self.run.starts_at.as_millisecond();
        self.tx
            .insert_deliveries(self.run_id, due_at, &numbered)
            .await?;
        self.whole = true;
        Ok(())
    }

    async fn add_media(&mut self, media: Vec<Media>) -> Result<(), LedgerError> {
        for file in &media {
            let sum = history::media_sum(file.sha256, &file.filename, &file.content_type);
            self.tx.insert_media(file, sum).await?;
        }
        Ok(())
    }

    async fn seal(mut self: Box<Self>, files: Vec<FrozenFile>) -> Result<RunRecord, LedgerError> {
        if !self.whole {
            return Err(LedgerError::Fault(
                "rows of the list could not be written".to_owned(),
            ));
        }
        self.tx.insert_lines(self.run_id, &self.lines).await?;
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
        let sealed = Sealed {
            total: frozen.total,
            files: &files,
            list_sum,
            sum: frozen.sum(),
        };
        self.tx.seal_run(self.run_id, &sealed).await?;
        if let Some(account) = &self.run.account {
            self.tx.keep_account(&self.run.gateway, account).await?;
        }
        events::note_run(&mut self.tx, self.run_id, self.run.now, &RunEvent::Started).await?;
        let row = self.tx.sealed_run(&self.run).await?;
        self.tx.commit().await?;
        row.try_into()
    }

    async fn discard(self: Box<Self>) -> Result<FreezeFacts, LedgerError> {
        self.tx.rollback().await?;
        Ok(self.facts)
    }
}
