//! The ledger on SQLite: one file, one writer connection, a pool of readers.
//!
//! WAL and `synchronous=FULL`: what was committed survives `kill -9` and power loss.

mod audit;
mod claim;
mod clock;
mod contacts;
mod copy;
mod files;
mod freeze;
mod gates;
mod history;
mod inbox;
mod opt_out;
mod owners;
mod place;
mod receipts;
mod runs;
mod schedules;
mod schema;
mod shared;
mod statements;
mod write;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use self::statements as sql;
use super::insight::Schema;
use super::{
    AccountLimits, Admit, AtWork, Audit, CapState, ClaimRequest, Claimed, Confirmed, Copied,
    DeliveryId, DeliveryRecord, Freeze, Gate, GivenUp, History, KeptEvent, KeptReply, KnownChat,
    Ledger, LedgerError, Lifted, Lifting, Look, LookRequest, Looks, Missed, NewEvent, NewReply,
    NewRun, NewSuppression, Now, OptOutEvent, Outlook, Owner, Reply, ReplyId, Resolution, Retry,
    RunFacts, RunRecord, Running, Suppressing, Suppression, Turn, Whom, Worker, Write, Written,
};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::cap::{Cap, Subject};
use crate::domain::channel::Channel;
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::digest::Digest;
use crate::domain::message::Media;
use crate::domain::run::{RunId, RunState};

/// How long a connection waits for another program's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Readers beside the writer.
const READERS: u32 = 3;
/// Page cache of the writer in KiB; enough for the unique index of a long list. Readers go through
/// a list in order, or look for a few rows: what SQLite gives them by itself will do.
const CACHE_KIB: &str = "-12000";
/// Rows that a reader's thread may be ahead; each wait for it costs more than reading a row.
const ROWS_AHEAD: usize = 500;

/// What a crash may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed.
    Full,
    /// Everything: for a throw-away ledger.
    None,
}

/// A ledger in a SQLite file.
#[derive(Debug)]
pub struct SqliteLedger {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    locks: owners::Locks,
    home: place::Home,
}

impl SqliteLedger {
    /// Opens the file, creates it if it is not there, and brings its schema up to date. A file
    /// that is no ledger is left as it is.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, LedgerError> {
        schema::may_be_changed(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .synchronous(match durability {
                Durability::Full => SqliteSynchronous::Full,
                Durability::None => SqliteSynchronous::Off,
            })
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(
                options
                    .clone()
                    .pragma("cache_size", CACHE_KIB)
                    .row_buffer_size(ROWS_AHEAD),
            )
            .await
            .map_err(|error| schema::opening(path, &error))?;
        schema::bring_up_to_date(&writer, path).await?;
        let readers = SqlitePoolOptions::new()
            .test_before_acquire(false)
            .max_connections(READERS)
            .connect_lazy_with(
                options
                    .create_if_missing(false)
                    .read_only(true)
                    .row_buffer_size(ROWS_AHEAD),
            );
        Ok(Self {
            // Another process may know the file by another name; both must find the same locks.
            path: path.canonicalize().unwrap_or_else(|_| path.into()),
            writer,
            readers,
            locks: owners::Locks::default(),
            home: place::Home::default(),
        })
    }

    /// Which schema a file has; only looks.
    ///
    /// # Errors
    /// As [`SqliteLedger::open`].
    pub async fn schema(path: &Path) -> Result<Schema, LedgerError> {
        schema::of(path).await
    }

    /// Where the file is, links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A write transaction, unless the ledger is closed for a move.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, LedgerError> {
        let mut tx = self.lock().await?;
        match copy::closed(&mut tx).await?.refusal() {
            None => Ok(tx),
            Some(refusal) => Err(refusal),
        }
    }

    /// A transaction that holds the write lock from its first moment, also where the ledger is
    /// closed.
    async fn lock(&self) -> Result<Transaction<'static, Sqlite>, LedgerError> {
        match self.writer.begin_with(sql::BEGIN_IMMEDIATE).await {
            // Some faults, such as a full disk, end a transaction by themselves, and the connection
            // goes on counting it as open: it is of no more use.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await.ok();
                Ok(self.writer.begin_with(sql::BEGIN_IMMEDIATE).await?)
            }
            answer => Ok(answer?),
        }
    }
}

/// The primary result code of SQLite (its extended codes carry it in the low byte).
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Result codes: <https://www.sqlite.org/rescode.html>
pub(super) fn fault(error: &sqlx::Error) -> LedgerError {
    match primary_code(error) {
        Some(5 | 6) => LedgerError::Locked,
        Some(13) => LedgerError::DiskFull,
        Some(11 | 26) => LedgerError::Damaged("its file is not as it was written".into()),
        Some(8) => LedgerError::Fault(schema::READ_ONLY.into()),
        Some(10) => LedgerError::Fault("the disk answers with an error".into()),
        Some(14) => LedgerError::Fault(
            "its file cannot be opened any more; is its folder still there, and may this program \
             have more files open?"
                .into(),
        ),
        Some(_) | None => unnamed(error),
    }
}

fn unnamed(error: &sqlx::Error) -> LedgerError {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        // A long freeze of this very process holds the writer.
        LedgerError::Locked
    } else if matches!(error, sqlx::Error::PoolClosed) {
        LedgerError::Fault("it is closed already".into())
    } else if matches!(error, sqlx::Error::RowNotFound) {
        LedgerError::Damaged("a row of it is missing".into())
    } else if let Some(inner) = error.as_database_error() {
        LedgerError::Fault(inner.message().to_owned())
    } else {
        LedgerError::Fault(error.to_string())
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn freeze(&self, run: &NewRun) -> Result<Box<dyn Freeze>, LedgerError> {
        freeze::open(self, run).await
    }

    async fn account(&self, gateway: &str) -> Result<Option<AccountId>, LedgerError> {
        runs::account(self, gateway).await
    }

    async fn known(
        &self,
        gateway: &str,
        phones: &[&Address],
    ) -> Result<HashMap<String, KnownChat>, LedgerError> {
        runs::known(self, gateway, phones).await
    }

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, LedgerError> {
        runs::find(self, run).await
    }

    async fn runs(&self) -> Result<Vec<(RunRecord, Counts)>, LedgerError> {
        runs::all(self).await
    }

    async fn running(&self) -> Result<Vec<Running>, LedgerError> {
        runs::running(self).await
    }

    async fn next_rehearsal(&self, campaign: &str) -> Result<u32, LedgerError> {
        runs::next_rehearsal(self, campaign).await
    }

    async fn set_state(
        &self,
        run: &RunId,
        to: RunState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<RunRecord, LedgerError> {
        runs::set_state(self, run, to, reason, now).await
    }

    async fn finish_if_done(&self, run: &RunId, now: Timestamp) -> Result<bool, LedgerError> {
        runs::finish_if_done(self, run, now).await
    }

    async fn facts(&self, run: &RunId, now: Timestamp) -> Result<RunFacts, LedgerError> {
        runs::facts(self, run, now).await
    }

    async fn caps(
        &self,
        gateway: &str,
        caps: &[(Subject, Cap)],
        now: Timestamp,
    ) -> Result<Vec<CapState>, LedgerError> {
        runs::caps(self, gateway, caps, now).await
    }

    async fn deliveries(
        &self,
        run: &RunId,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<DeliveryRecord>, LedgerError> {
        runs::deliveries(self, run, after, most).await
    }

    async fn audit(&self) -> Result<Box<dyn Audit>, LedgerError> {
        audit::open(self).await
    }

    async fn find(&self, run: &RunId, whom: &Whom) -> Result<Vec<DeliveryId>, LedgerError> {
        history::find(self, run, whom).await
    }

    async fn history(&self, run: &RunId, id: DeliveryId) -> Result<History, LedgerError> {
        history::history(self, run, id).await
    }

    async fn in_state(
        &self,
        run: &RunId,
        state: DeliveryState,
        most: u32,
    ) -> Result<Vec<DeliveryRecord>, LedgerError> {
        history::in_state(self, run, state, most).await
    }

    async fn outlook(&self, run: &RunId) -> Result<Outlook, LedgerError> {
        history::outlook(self, run).await
    }

    async fn workers(&self, now: Timestamp) -> Result<Vec<AtWork>, LedgerError> {
        owners::workers(self, now).await
    }

    async fn retry(
        &self,
        run: &RunId,
        wanted: &Retry,
        now: Timestamp,
    ) -> Result<Vec<(Option<u32>, u64)>, LedgerError> {
        history::retry(self, run, wanted, now).await
    }

    async fn resolve(
        &self,
        run: &RunId,
        id: DeliveryId,
        resolution: Resolution,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        history::resolve(self, run, id, resolution, now).await
    }

    async fn attend(
        &self,
        owner: &Owner,
        worker: &Worker,
        run: Option<&RunRecord>,
    ) -> Result<(), LedgerError> {
        owners::attend(self, owner, worker, run.map(|run| run.id)).await
    }

    async fn enlist(&self, owner: &Owner, now: Timestamp) -> Result<(), LedgerError> {
        owners::enlist(self, owner, now).await
    }

    async fn retire(&self, owner: &Owner) -> Result<(), LedgerError> {
        owners::retire(self, owner).await
    }

    /// Its lock says that it lives, and the lock's file when it last said so.
    async fn beat(&self, owner: &Owner, now: Timestamp) -> Result<(), LedgerError> {
        self.locks.touch(owner, now);
        Ok(())
    }

    fn time(&self, now: Timestamp) -> Timestamp {
        now
    }

    /// Its lock tells.
    fn silence(&self) -> Option<SignedDuration> {
        None
    }

    async fn renew(
        &self,
        owner: &Owner,
        ids: &[DeliveryId],
        until: Timestamp,
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        owners::renew(self, owner, ids, until).await
    }

    async fn bury(&self, _: Timestamp) -> Result<(), LedgerError> {
        owners::bury(self).await
    }

    async fn claim(
        &self,
        request: &ClaimRequest<'_>,
        admit: Admit<'_>,
    ) -> Result<Claimed, LedgerError> {
        claim::claim(self, request, admit).await
    }

    async fn write(&self, owner: &Owner, group: &[Write]) -> Result<Vec<Written>, LedgerError> {
        write::write(self, owner, group).await
    }

    async fn hold(&self, gate: &Gate, now: Timestamp) -> Result<(), LedgerError> {
        gates::hold(self, gate, now).await
    }

    async fn take_look(
        &self,
        gateway: &str,
        look: Look,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<String>, LedgerError> {
        gates::take_look(self, gateway, (look, now), until).await
    }

    async fn line_is_back(
        &self,
        gateway: &str,
        line: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        gates::line_is_back(self, gateway, line, now).await
    }

    async fn gates(&self, gateway: &str, now: Timestamp) -> Result<Vec<Gate>, LedgerError> {
        gates::open(self, gateway, now).await
    }

    async fn messages_to(
        &self,
        gateway: &str,
        phone: &Address,
    ) -> Result<HashSet<String>, LedgerError> {
        runs::messages_to(self, gateway, phone).await
    }

    async fn suppress(
        &self,
        people: &[NewSuppression],
        now: Timestamp,
    ) -> Result<Vec<Suppressing>, LedgerError> {
        opt_out::suppress(self, people, now).await
    }

    async fn lift(
        &self,
        phone: &Address,
        lifting: &Lifting,
        now: Timestamp,
    ) -> Result<Lifted, LedgerError> {
        opt_out::lift(self, phone, lifting, now).await
    }

    async fn suppressed(
        &self,
        gateway: &str,
        phones: &[&Address],
    ) -> Result<HashMap<String, Suppression>, LedgerError> {
        opt_out::suppressed(self, gateway, phones).await
    }

    async fn suppressions(
        &self,
        after: Option<&Address>,
        most: u32,
    ) -> Result<Vec<Suppression>, LedgerError> {
        opt_out::suppressions(self, after, most).await
    }

    async fn opt_outs_of(&self, phone: &Address) -> Result<Vec<OptOutEvent>, LedgerError> {
        opt_out::opt_outs_of(self, phone).await
    }

    async fn keep_reply(&self, reply: &NewReply, now: Timestamp) -> Result<KeptReply, LedgerError> {
        opt_out::keep_reply(self, reply, now).await
    }

    async fn answers_read_to(&self, gateway: &str) -> Result<Option<Timestamp>, LedgerError> {
        opt_out::answers_read_to(self, gateway).await
    }

    async fn keep_answers_read_to(&self, gateway: &str, to: Timestamp) -> Result<(), LedgerError> {
        opt_out::keep_answers_read_to(self, gateway, to).await
    }

    async fn last_replies(
        &self,
        gateway: &str,
        channel: Channel,
        phones: &[&Address],
    ) -> Result<HashMap<String, Timestamp>, LedgerError> {
        opt_out::last_replies(self, gateway, channel, phones).await
    }

    async fn to_review(
        &self,
        after: Option<ReplyId>,
        most: u32,
    ) -> Result<Vec<Reply>, LedgerError> {
        opt_out::to_review(self, after, most).await
    }

    async fn reviewed(&self, reply: ReplyId, now: Timestamp) -> Result<bool, LedgerError> {
        opt_out::reviewed(self, reply, now).await
    }

    async fn keep_event(&self, event: &NewEvent<'_>, now: Timestamp) -> Result<bool, LedgerError> {
        inbox::keep(self, event, now).await
    }

    async fn waiting_events(
        &self,
        gateway: &str,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<KeptEvent>, LedgerError> {
        inbox::waiting(self, gateway, now, most).await
    }

    async fn events_left(&self, gateway: &str) -> Result<u64, LedgerError> {
        inbox::left(self, gateway).await
    }

    async fn event_handled(
        &self,
        gateway: &str,
        event_id: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        inbox::handled(self, (gateway, event_id), note, now).await
    }

    async fn put_off_event(
        &self,
        gateway: &str,
        event_id: &str,
        until: Timestamp,
    ) -> Result<(), LedgerError> {
        inbox::put_off(self, (gateway, event_id), until).await
    }

    async fn forget_events(&self, before: Timestamp) -> Result<u64, LedgerError> {
        inbox::forget(self, before).await
    }

    async fn delivery_of(
        &self,
        gateway: &str,
        message_id: &str,
    ) -> Result<Option<(RunId, DeliveryId)>, LedgerError> {
        inbox::delivery_of(self, gateway, message_id).await
    }

    async fn media(&self, sha256: Digest) -> Result<Option<Media>, LedgerError> {
        files::media(self, sha256).await
    }

    async fn take_turn(
        &self,
        gateway: &str,
        account: &AccountLimits,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Turn, LedgerError> {
        contacts::take_turn(self, (gateway, account), (now, until)).await
    }

    async fn contact(&self, gateway: &str, to: &Address) -> Result<Option<String>, LedgerError> {
        contacts::contact(self, gateway, to).await
    }

    async fn keep_contact(
        &self,
        gateway: &str,
        to: &Address,
        contact_id: &str,
    ) -> Result<(), LedgerError> {
        contacts::keep(self, gateway, to, contact_id).await
    }

    async fn forget_contact(&self, gateway: &str, contact_id: &str) -> Result<(), LedgerError> {
        contacts::forget(self, gateway, contact_id).await
    }

    async fn whose_contact(
        &self,
        gateway: &str,
        contact_id: &str,
    ) -> Result<Vec<Address>, LedgerError> {
        contacts::whose(self, gateway, contact_id).await
    }

    async fn upload(&self, gateway: &str, sha256: Digest) -> Result<Option<String>, LedgerError> {
        files::upload(self, gateway, sha256).await
    }

    async fn keep_upload(
        &self,
        gateway: &str,
        sha256: Digest,
        attachment_id: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        files::keep_upload(self, gateway, sha256, attachment_id, now).await
    }

    async fn forget_uploads(
        &self,
        gateway: &str,
        attachment_ids: &[String],
    ) -> Result<(), LedgerError> {
        files::forget_uploads(self, gateway, attachment_ids).await
    }

    async fn schedule_since(
        &self,
        campaign: &str,
        now: Timestamp,
    ) -> Result<Timestamp, LedgerError> {
        schedules::since(self, campaign, now).await
    }

    async fn handled(
        &self,
        campaign: &str,
        until: Timestamp,
        missed: &[Missed],
    ) -> Result<(), LedgerError> {
        schedules::handled(self, campaign, until, missed).await
    }

    async fn missed(&self, campaign: &str, most: u32) -> Result<Vec<Missed>, LedgerError> {
        schedules::missed(self, campaign, most).await
    }

    async fn looks(&self, request: &LookRequest<'_>) -> Result<Looks, LedgerError> {
        receipts::looks(self, request).await
    }

    async fn keep_failure(
        &self,
        run: &RunRecord,
        given_up: &GivenUp,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        receipts::give_up(self, run, given_up, now).await
    }

    async fn keep_receipt(
        &self,
        run: &RunRecord,
        confirmed: &Confirmed,
    ) -> Result<bool, LedgerError> {
        receipts::keep(self, run, confirmed).await
    }

    async fn take_place(&self) -> Result<Option<Copied>, LedgerError> {
        place::take(self).await
    }

    async fn accept_copy(&self, now: Timestamp) -> Result<(), LedgerError> {
        place::accept(self, now).await
    }

    async fn follow_clock(&self, now: Now<'_>) -> Result<(), LedgerError> {
        clock::follow(self, now).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_ledger_that_another_program_holds_is_locked_and_still_readable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let other = SqliteLedger::open(&path, Durability::None).await.unwrap();
        let ledger = SqliteLedger::open(&path, Durability::None).await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 20")
            .execute(&ledger.writer)
            .await
            .unwrap();
        let held = other.begin().await.unwrap();
        let run = RunId::parse("spring@once").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let state = ledger.set_state(&run, RunState::Paused, None, now).await;
        assert!(matches!(state, Err(LedgerError::Locked)), "{state:?}");
        let owner = Owner("me".to_owned());
        let enlisted = ledger.enlist(&owner, now).await;
        assert!(matches!(enlisted, Err(LedgerError::Locked)), "{enlisted:?}");
        assert!(ledger.runs().await.unwrap().is_empty());
        held.rollback().await.unwrap();
        // What failed left no lock behind.
        ledger.enlist(&owner, now).await.unwrap();
        ledger.close().await;
        let closed = ledger.set_state(&run, RunState::Paused, None, now).await;
        assert!(matches!(closed, Err(LedgerError::Fault(_))), "{closed:?}");
    }
}
