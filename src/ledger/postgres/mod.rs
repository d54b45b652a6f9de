//! The ledger on PostgreSQL: one database for any number of processes on any number of machines.
//!
//! Every change is one transaction that names the state and the attempt it expects, under locks
//! that are taken in one order: who opts out, the run, the gateway's pace, deliveries by number,
//! the caps of the day, then what they bring about. The server's clock decides; see [`clock`]. It
//! may go away at any moment; see [`tx`].

mod audit;
mod claim;
mod clock;
mod connect;
mod contacts;
mod copy;
mod faults;
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
mod translate;
mod tx;
mod write;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgPool;

pub use self::clock::Time;
use self::clock::{Asked, Offset, Shift};
pub(super) use self::faults::fault;
use self::statements as sql;
use self::tx::Tx;
use super::insight::Schema;
use super::rows::stored;
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

/// How long a process that is not heard of counts as alive: a few seconds more than a restart of
/// the server and a slow answer take together.
pub const HEARTBEAT: SignedDuration = SignedDuration::from_secs(15);

/// A ledger in a PostgreSQL database.
#[derive(Debug)]
pub struct PostgresLedger {
    /// Names it to people, without its password.
    place: String,
    pool: PgPool,
    time: Time,
    heartbeat: SignedDuration,
    offset: Offset,
    home: place::Home,
}

impl PostgresLedger {
    /// Opens the ledger at a `postgres://` address and brings its schema up to date. The
    /// password may stand in the address, in `PGPASSWORD` or in the password file.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] when the address, the server or the database will not do,
    /// [`LedgerError::Unreachable`] when nobody answers; neither says the password.
    pub async fn open(url: &str) -> Result<Self, LedgerError> {
        Self::open_with(url, Time::Database, HEARTBEAT).await
    }

    /// The same with another clock, and another time that a silent process counts as alive.
    ///
    /// # Errors
    /// As [`PostgresLedger::open`].
    pub async fn open_with(
        url: &str,
        time: Time,
        heartbeat: SignedDuration,
    ) -> Result<Self, LedgerError> {
        let options = connect::options(url)?;
        let place = connect::place(&options);
        let here = |error| faults::at(&place, error);
        connect::check(&options).await.map_err(here)?;
        let pool = connect::pool(options);
        let ledger = Self {
            place,
            pool,
            time,
            heartbeat,
            offset: Offset::default(),
            home: place::Home::default(),
        };
        ledger
            .again(|| async {
                let acquired = ledger.pool.acquire().await;
                let mut connection = acquired.map_err(|error| fault(&error))?;
                schema::bring_up_to_date(&mut connection).await
            })
            .await?;
        Ok(ledger)
    }

    /// Which schema a database has; only looks.
    ///
    /// # Errors
    /// As [`PostgresLedger::open`].
    pub async fn schema(url: &str) -> Result<Schema, LedgerError> {
        let options = connect::options(url)?;
        let place = connect::place(&options);
        let here = |error| faults::at(&place, error);
        connect::check(&options).await.map_err(here)?;
        let pool = connect::pool(options);
        let mut connection = pool.acquire().await.map_err(|error| here(fault(&error)))?;
        let schema = schema::of(&mut connection).await.map_err(here);
        drop(connection);
        pool.close().await;
        schema
    }

    /// How people call the ledger at an address, without its password.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] when the address cannot be read.
    pub fn name_of(url: &str) -> Result<String, LedgerError> {
        Ok(connect::place(&connect::options(url)?))
    }

    /// Which ledger it is, without its password.
    pub fn place(&self) -> &str {
        &self.place
    }

    #[cfg(test)]
    pub(in crate::ledger) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The time that counts in a transaction; the caller's clock said `caller` when it `asked`.
    async fn now(
        &self,
        tx: &mut Tx,
        caller: Timestamp,
        asked: &Asked,
    ) -> Result<Timestamp, LedgerError> {
        if self.time == Time::Caller {
            return Ok(caller);
        }
        let server_us: i64 = sqlx::query_scalar(sql::CLOCK)
            .fetch_one(tx.connection())
            .await?;
        self.now_is(server_us, caller, asked)
    }

    /// The same where the server's clock was read already.
    fn now_is(
        &self,
        server_us: i64,
        caller: Timestamp,
        asked: &Asked,
    ) -> Result<Timestamp, LedgerError> {
        if self.time == Time::Caller {
            return Ok(caller);
        }
        self.offset.measured(caller, server_us, asked.took());
        stored(Timestamp::from_microsecond(server_us))
    }

    /// From the caller's clock to the one that counts. Before the first measurement, which comes
    /// with the first claim or [`Ledger::enlist`], they are taken for one.
    fn shift(&self) -> Shift {
        match self.time {
            Time::Caller => Shift::default(),
            Time::Database => Shift::by_us(self.offset.us().unwrap_or(0)),
        }
    }
}

#[async_trait]
impl Ledger for PostgresLedger {
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
        runs::set_state(self, run, (to, reason), now).await
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

    async fn beat(&self, owner: &Owner, now: Timestamp) -> Result<(), LedgerError> {
        owners::beat(self, owner, now).await
    }

    fn time(&self, now: Timestamp) -> Timestamp {
        self.shift().to_server(now)
    }

    fn silence(&self) -> Option<SignedDuration> {
        Some(self.heartbeat)
    }

    async fn renew(
        &self,
        owner: &Owner,
        ids: &[DeliveryId],
        until: Timestamp,
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        owners::renew(self, owner, ids, until).await
    }

    async fn bury(&self, now: Timestamp) -> Result<(), LedgerError> {
        owners::bury(self, now).await
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
        files::keep_upload(self, gateway, sha256, (attachment_id, now)).await
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

    /// The server's clock decides, and by how much it differs from the caller's is measured at
    /// each claim.
    async fn follow_clock(&self, _: Now<'_>) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
pub(crate) mod tests;
