//! The durable store, and the only SQL. What is committed here is the truth about a run; every
//! state change names the state and attempt it expects, so that a late or second worker changes
//! nothing. Knows no provider and no clock: `now` is always an argument.
//!
//! A crash at any instant leaves a whole transaction or none. What that means for one delivery
//! is said at each call.

mod arrivals;
mod audit;
mod budget;
mod caps;
mod changes;
mod claim;
pub mod copy;
mod events;
mod faults;
mod freeze;
mod gates;
mod history;
mod inbox;
pub mod insight;
mod kept;
mod operator;
mod opt_out;
pub mod postgres;
mod receipts;
mod rows;
mod runs;
mod shapes;
pub mod sqlite;
mod tx;
mod workers;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;
use std::path::PathBuf;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::audit::Audit;
pub use self::changes::{Begin, NewChat, Next, Record, Release, Settle, Verdict, Write, Written};
pub use self::gates::{Gate, Held, Look};
pub use self::history::{
    Attendance, History, Lease, Outlook, Present, Resolution, Retry, RetryKey, Whom,
};
pub use self::inbox::{KEPT_FOR, KeptEvent, NewEvent};
pub use self::opt_out::{
    Answers, Arrival, Asked, KeptReply, Lifted, Lifting, NewReply, NewSuppression, OptOutEvent,
    Reply, ReplyId, Said, Suppressing, Suppression,
};
pub use self::receipts::{Confirmed, DueReceipt, GivenUp, LookRequest, Looks, NextLook};
pub use self::workers::{AtWork, Holding, Running, Worker};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::campaign::{FrozenFile, Terms};
use crate::domain::cap::{Cap, Room, Subject, Touch, Used};
use crate::domain::channel::Channel;
use crate::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use crate::domain::digest::Digest;
use crate::domain::message::{Media, Message};
use crate::domain::pace::{DayLimit, Limit};
use crate::domain::run::{RunId, RunState};

/// What went wrong with the ledger, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("there is no ledger '{}'", .0.display())]
    Missing(PathBuf),
    #[error("the ledger '{}' cannot be opened: {reason}", path.display())]
    Unopenable { path: PathBuf, reason: String },
    #[error("the ledger was written by a newer version of sendoff (schema {0}); use that version")]
    Newer(i64),
    #[error("another program holds the ledger locked; it was not released in time")]
    Locked,
    /// A ledger on a server that does not let us in; `place` names it without its password.
    #[error("the ledger on {place} cannot be used: {reason}")]
    Refused { place: String, reason: String },
    /// A server that does not answer, or that went away and did not come back in time. What was
    /// being written is there as a whole or not at all.
    #[error("the ledger on {place} cannot be reached: {reason}")]
    Unreachable { place: String, reason: String },
    /// It was copied to another store and is closed since.
    #[error("the ledger was moved to {to}; it is not sent from any more")]
    Moved { to: String, at: Timestamp },
    /// A copy that was not carried to its end.
    #[error("the ledger is an unfinished copy of {from}")]
    Unfinished { from: String },
    #[error("the disk is full; nothing that was recorded is lost, free some space and resume")]
    DiskFull,
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    #[error("the run '{0}' exists already")]
    RunExists(RunId),
    #[error("there is no run '{0}'")]
    NoSuchRun(RunId),
    #[error("the run '{run}' is {from}, so it cannot become {to}")]
    BadTransition {
        run: RunId,
        from: RunState,
        to: RunState,
    },
    /// The store answered in a way that this version does not expect.
    #[error("the ledger failed: {0}")]
    Fault(String),
}

/// A delivery's number in the ledger.
pub type DeliveryId = i64;

/// A process that claims deliveries of a run; its leases end with it. A [`Worker`] on several runs
/// is one for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(pub String);

/// A run about to be frozen.
#[derive(Debug, Clone)]
pub struct NewRun {
    pub run: RunId,
    /// Whose chats, uploads and pace it uses; a rehearsal has a gateway of its own.
    pub gateway: String,
    /// The account behind the gateway's name, kept with the first run; `None` where there is
    /// none to be told from another.
    pub account: Option<AccountId>,
    pub terms: Terms,
    pub now: Timestamp,
    /// Nothing is due before.
    pub starts_at: Timestamp,
}

/// A row on its way into the ledger.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The record's number in the list, from 1; rows arrive in order and without gaps.
    pub row: u64,
    pub recipient_key: Option<String>,
    pub phone: Option<Address>,
    pub timezone: Option<String>,
    pub plan: Planned,
}

/// What is to become of a new row.
#[derive(Debug, Clone)]
pub enum Planned {
    /// `line` is the channel where the account has channels instead of numbers.
    Send {
        message: Message,
        line: String,
        /// Whether the gateway has a chat with the person; never [`Touch::Again`].
        touch: Touch,
    },
    Skip {
        reason: SkipReason,
        detail: String,
    },
}

/// Somebody this gateway has written to before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownChat {
    pub chat_id: String,
    /// The number that wrote there; where the account has channels instead, that.
    pub line: String,
}

impl KnownChat {
    /// Whether a message from `line` goes into it: a person has one chat, whichever number writes,
    /// but one for each channel.
    pub fn is_by(&self, line: &str) -> bool {
        let by_number = |line: &str| Channel::parse(line).is_none();
        self.line == line || (by_number(&self.line) && by_number(line))
    }
}

/// A run being frozen: one transaction. Dropped before [`Freeze::seal`], it leaves nothing.
#[async_trait]
pub trait Freeze: Send {
    /// Adds rows. A second row for the same phone or recipient key becomes
    /// `skipped: duplicate` and names the first.
    async fn add(&mut self, rows: Vec<NewDelivery>) -> Result<(), LedgerError>;

    /// Adds files that messages name; one already there is left as it is.
    async fn add_media(&mut self, media: Vec<Media>) -> Result<(), LedgerError>;

    /// Commits the run as `running`.
    async fn seal(self: Box<Self>, files: Vec<FrozenFile>) -> Result<RunRecord, LedgerError>;

    /// What the run would be, without keeping it; for `check`.
    async fn discard(self: Box<Self>) -> Result<FreezeFacts, LedgerError>;
}

/// Totals of a frozen list.
#[derive(Debug, Clone, Default)]
pub struct FreezeFacts {
    pub counts: Counts,
    pub skipped: BTreeMap<SkipReason, u64>,
    /// People the gateway has no chat with, by the line that is to write to them.
    pub first_touches: BTreeMap<String, u64>,
}

/// A run as the ledger holds it.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The ledger's number for it.
    pub id: i64,
    pub run: RunId,
    pub gateway: String,
    pub state: RunState,
    /// Why it is `halted` or `paused`.
    pub reason: Option<String>,
    pub terms: Terms,
    pub files: Vec<FrozenFile>,
    pub total: u64,
    pub created_at: Timestamp,
    pub starts_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// What every request of an account is under, whatever it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountLimits {
    pub rate: Option<Limit>,
    pub per_day: Option<DayLimit>,
}

/// A rate alone.
impl From<Option<Limit>> for AccountLimits {
    fn from(rate: Option<Limit>) -> Self {
        Self {
            rate,
            per_day: None,
        }
    }
}

impl From<Limit> for AccountLimits {
    fn from(rate: Limit) -> Self {
        Some(rate).into()
    }
}

/// When a request may leave that is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Then, and the slot is taken.
    At { slot_us: i64 },
    /// None that is near enough to be taken; worth asking again then.
    NotBefore(Timestamp),
}

/// The limits that a claim reserves slots under, and the caps that hold from day to day.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Every request through the gateway.
    pub account: AccountLimits,
    /// This run alone.
    pub run: Option<Limit>,
    /// Each line by itself.
    pub line: Option<Limit>,
    /// People newly written to by all runs of the campaign.
    pub day: Option<Cap>,
    /// People whom the gateway has no chat with, each line by itself.
    pub first_touch: Option<Cap>,
}

impl Limits {
    /// The caps that an attempt is under which is a `touch` from `line`.
    pub fn under(&self, run: &RunRecord, line: &str, touch: Touch) -> Vec<Under> {
        let day = self.day.as_ref().filter(|_| touch != Touch::Again);
        let first = self.first_touch.as_ref().filter(|_| touch == Touch::First);
        let day = day.map(|cap| (cap, Subject::Campaign(run.run.campaign().to_owned())));
        let first = first.map(|cap| (cap, Subject::Line(line.to_owned())));
        day.into_iter()
            .chain(first)
            .map(|(cap, subject)| Under {
                gateway: run.gateway.clone(),
                subject,
                cap: cap.clone(),
            })
            .collect()
    }
}

/// A cap that counts an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Under {
    pub gateway: String,
    pub subject: Subject,
    pub cap: Cap,
}

impl Under {
    fn key(&self) -> caps::Key {
        (self.gateway.clone(), self.subject.to_string())
    }
}

/// What a claim asks for.
#[derive(Debug, Clone)]
pub struct ClaimRequest<'a> {
    pub run: &'a RunRecord,
    pub owner: &'a Owner,
    /// This person's delivery alone.
    pub only: Option<&'a Address>,
    pub now: Timestamp,
    /// When the claim expires by itself.
    pub lease_until: Timestamp,
    /// Not more deliveries than this.
    pub most: u32,
    /// No slot later than this, so that a stop never leaves much reserved.
    pub horizon: Timestamp,
    pub limits: Limits,
    /// By line, deliveries of earlier claims that the caps may not have counted yet: room is left
    /// for them.
    pub in_hand: BTreeMap<String, u32>,
    /// Slots of earlier claims are still to come. One that has none asks sooner, so that whoever
    /// asks first does not get every slot of a rate that several processes share.
    pub sated: bool,
}

impl ClaimRequest<'_> {
    /// Until when those are due that stand as they were frozen: `now`, unless the run was made
    /// later than that. Then the clock has been set back since, and what was to go at once still
    /// is.
    fn frozen_due(&self) -> Timestamp {
        let (run, now) = (self.run, self.now);
        if run.created_at > now && run.starts_at <= run.created_at {
            now.max(run.starts_at)
        } else {
            now
        }
    }
}

/// What the domain says of a due delivery at the moment of the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Now,
    /// Not before; uses up no attempt.
    Hold {
        until: Timestamp,
        hold: Hold,
    },
    Skip(SkipReason),
}

/// What the domain may look at when it admits a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub phone: &'a Address,
    pub timezone: Option<&'a str>,
    /// An earlier attempt is without an outcome: the delivery must be settled, not held back.
    pub begun: bool,
    /// The message may only go to somebody who has written within a day, and this day ends then;
    /// [`Timestamp::MIN`]: nothing is known of them. `None`: it may go to anybody.
    pub window_until: Option<Timestamp>,
    /// The time that counts, which need not be the caller's: a shared ledger has its own clock.
    pub now: Timestamp,
}

/// Decides on a due delivery. Called inside the claim's transaction: pure and quick.
pub type Admit<'a> = &'a (dyn for<'b> Fn(Candidate<'b>) -> Admission + Send + Sync);

/// A delivery that this process holds until its lease ends.
#[derive(Debug, Clone)]
#[must_use]
pub struct Claim {
    pub id: DeliveryId,
    pub row: u64,
    pub recipient_key: String,
    pub phone: Address,
    pub timezone: Option<String>,
    pub line: String,
    pub message: Message,
    /// Attempts begun so far; the fence for [`Begin`].
    pub attempt: u32,
    /// Tries that count against the campaign's `attempts`.
    pub tries: u32,
    pub revision: u32,
    pub first_attempt_at: Option<Timestamp>,
    /// What an earlier attempt fixed: the same bytes must go out again.
    pub fixed: Option<Fixed>,
    /// The chat this ledger knows with that person on this gateway.
    pub chat: Option<KnownChat>,
    /// When the last attempt was begun.
    pub begun_at: Option<Timestamp>,
    /// Set when an earlier attempt is without an answer: when the first such one was begun. The
    /// provider may know its key from then on.
    pub unanswered_since: Option<Timestamp>,
    /// The reserved slot, in microseconds since the epoch.
    pub slot_us: i64,
    /// As in [`Candidate::window_until`].
    pub window_until: Option<Timestamp>,
}

impl Claim {
    /// What its next attempt is to the recipient, as far as is known.
    pub fn touch(&self) -> Touch {
        match (self.attempt, &self.chat) {
            (0, None) => Touch::First,
            (0, Some(_)) => Touch::FollowUp,
            _ => Touch::Again,
        }
    }

    /// The chat with that person: of the last attempt, or one that is known by now.
    pub fn known_chat(&self) -> Option<&str> {
        let fixed = self
            .fixed
            .as_ref()
            .and_then(|fixed| fixed.chat_id.as_deref());
        let kept = self.chat.as_ref().filter(|chat| chat.is_by(&self.line));
        fixed.or(kept.map(|chat| chat.chat_id.as_str()))
    }
}

/// What shapes the request besides the frozen message; fixed at the first attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// The chat of a follow-up; `None` for a first message.
    pub chat_id: Option<String>,
    /// Who the person was to a provider that has contacts. One that is made anew later has another
    /// name, and other conversations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub contact_id: Option<String>,
    /// The provider's ids of the files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub attachments: BTreeMap<Digest, String>,
    pub body_sha256: Digest,
}

/// The answer to a claim.
#[derive(Debug)]
pub struct Claimed {
    pub claims: Vec<Claim>,
    /// The run's state in the same transaction; nothing is claimed unless it is `running`.
    pub state: RunState,
    /// When it is worth asking again: the next due time, gate or lease. `None`: nothing is open.
    pub next_at: Option<Timestamp>,
    /// Deliveries moved by [`Admit`] to a later time or out of the run.
    pub moved: u64,
    /// Open waits of the account and of lines, by whichever process they were learnt.
    pub gates: Vec<Gate>,
}

/// A delivery as reports show it.
#[derive(Debug, Clone)]
pub struct DeliveryRecord {
    pub id: DeliveryId,
    pub row: u64,
    pub recipient_key: Option<String>,
    pub phone: Option<Address>,
    pub line: String,
    pub step: u32,
    pub revision: u32,
    pub state: DeliveryState,
    pub reason: Option<SkipReason>,
    /// The reason, error or hold in one sentence.
    pub detail: Option<String>,
    pub hold: Option<Hold>,
    pub due_at: Timestamp,
    pub code: Option<u32>,
    pub attempts: u32,
    pub message_id: Option<String>,
    pub chat_id: Option<String>,
    pub sent_at: Option<Timestamp>,
    pub delivered_at: Option<Timestamp>,
    pub read_at: Option<Timestamp>,
    /// It was sent, and looked at until the deadline without a word that it arrived.
    pub no_confirmation: bool,
}

/// Totals of a run for `status`, `report` and the summary.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    pub counts: Counts,
    pub skipped: BTreeMap<SkipReason, u64>,
    /// Failed and uncertain deliveries by provider code and text, most frequent first.
    pub failures: Vec<FailureGroup>,
    /// Why pending deliveries wait, with the earliest time they are due.
    pub holds: Vec<(Option<Hold>, u64, Timestamp)>,
    /// Waits asked for by the provider that are still open.
    pub gates: Vec<Gate>,
    /// The lines that the run sends from, by number.
    pub lines: Vec<String>,
    /// How many wait for a line that takes no part in messaging.
    pub held_up: BTreeMap<String, u64>,
    pub first_sent_at: Option<Timestamp>,
    pub last_sent_at: Option<Timestamp>,
    pub outlook: Outlook,
    /// The caps that hold for the run, and how much of each is used.
    pub caps: Vec<CapState>,
    /// The first of the uncertain deliveries, which wait for a person.
    pub uncertain: Vec<DeliveryRecord>,
    pub answers: Answers,
}

/// How a cap stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapState {
    pub subject: Subject,
    pub cap: Cap,
    pub used: Used,
    /// At the moment it was looked at.
    pub room: Room,
}

/// Failures that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureGroup {
    pub state: DeliveryState,
    pub code: Option<u32>,
    pub text: String,
    pub count: u64,
}

/// An occurrence that was due and is not to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    pub run: RunId,
    pub due_at: Timestamp,
    pub reason: String,
}

/// What the clock shows at the moment it is asked.
pub type Now<'a> = &'a (dyn Fn() -> Timestamp + Send + Sync);

/// A store that may not be the one that messages were last sent from: it has been put back from
/// a backup, copied or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Its name, for people.
    pub store: String,
    /// When the newest attempt that it knows of was begun.
    pub known_until: Option<Timestamp>,
    pub sign: Sign,
}

/// What gives a copy away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// More has been sent from here than it knows of; until when.
    Behind { sent_until: Option<Timestamp> },
    /// It has been sent from, and nothing here says that it was from here.
    NoNote,
    /// It was sent from here, and this is not the original.
    OtherFile,
    /// Another ledger was sent from here.
    OtherLedger,
    /// It was sent from in another database.
    OtherDatabase,
    /// It was closed for a move to another store.
    Moved { to: String, at: Timestamp },
}

/// The store. One trait for every database; no method says how it is done.
#[async_trait]
pub trait Ledger: Debug + Send + Sync {
    // Runs

    /// Opens the transaction that freezes a run; [`LedgerError::RunExists`] if there is one.
    async fn freeze(&self, run: &NewRun) -> Result<Box<dyn Freeze>, LedgerError>;

    /// The account that a gateway's name stands for in this ledger.
    async fn account(&self, gateway: &str) -> Result<Option<AccountId>, LedgerError>;

    /// Which of these people a gateway has written to before.
    async fn known(
        &self,
        gateway: &str,
        phones: &[&Address],
    ) -> Result<HashMap<String, KnownChat>, LedgerError>;

    async fn run(&self, run: &RunId) -> Result<Option<RunRecord>, LedgerError>;

    /// Every run, newest first, with its counts.
    async fn runs(&self) -> Result<Vec<(RunRecord, Counts)>, LedgerError>;

    /// The runs that are `running`, oldest first. Costs what these are, not what ever was: it is
    /// asked about once a second.
    async fn running(&self) -> Result<Vec<Running>, LedgerError>;

    /// The number for the next rehearsal of a campaign.
    async fn next_rehearsal(&self, campaign: &str) -> Result<u32, LedgerError>;

    /// Changes the state where the state machine has that edge. Cancelling also cancels every
    /// delivery that is not sent and not on the wire; one without an answer, that nobody holds,
    /// becomes `uncertain`. What is on the wire is recorded as it ends, and not tried again.
    async fn set_state(
        &self,
        run: &RunId,
        to: RunState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<RunRecord, LedgerError>;

    /// Marks a running run `finished` if nothing of it is open; says whether it is now.
    async fn finish_if_done(&self, run: &RunId, now: Timestamp) -> Result<bool, LedgerError>;

    async fn facts(&self, run: &RunId, now: Timestamp) -> Result<RunFacts, LedgerError>;

    /// How much of a gateway's caps is used, on the day of each that it is `now`; in their order.
    async fn caps(
        &self,
        gateway: &str,
        caps: &[(Subject, Cap)],
        now: Timestamp,
    ) -> Result<Vec<CapState>, LedgerError>;

    /// Deliveries of a run in the order of the list, from the one after `after` on.
    async fn deliveries(
        &self,
        run: &RunId,
        after: Option<DeliveryId>,
        most: u32,
    ) -> Result<Vec<DeliveryRecord>, LedgerError>;

    // What has happened

    /// Opens a view of everything at this moment, for a proof.
    async fn audit(&self) -> Result<Box<dyn Audit>, LedgerError>;

    /// The deliveries of a person, by the list; those that are to be written to come before
    /// rows that were left out. None: the person is not in the run.
    async fn find(&self, run: &RunId, whom: &Whom) -> Result<Vec<DeliveryId>, LedgerError>;

    /// Everything that is kept of one delivery of the run.
    async fn history(&self, run: &RunId, id: DeliveryId) -> Result<History, LedgerError>;

    /// The first deliveries of the list in a state.
    async fn in_state(
        &self,
        run: &RunId,
        state: DeliveryState,
        most: u32,
    ) -> Result<Vec<DeliveryRecord>, LedgerError>;

    /// Who works on a run, and when something of it is due. Only looks.
    async fn outlook(&self, run: &RunId) -> Result<Outlook, LedgerError>;

    /// The workers that are not known to be gone, and what each holds. Only looks; goes through
    /// all that is open of their runs.
    async fn workers(&self, now: Timestamp) -> Result<Vec<AtWork>, LedgerError>;

    // An operator's word

    /// Puts failed deliveries back to `pending`, due now, with all their tries; says how many by
    /// code. A finished run is running again. [`LedgerError::BadTransition`] for a cancelled one.
    async fn retry(
        &self,
        run: &RunId,
        wanted: &Retry,
        now: Timestamp,
    ) -> Result<Vec<(Option<u32>, u64)>, LedgerError>;

    /// Settles an uncertain delivery: `sent` when its last attempt was begun, or back to
    /// `pending`, due now, with the same key and body; a finished run is running again then, and
    /// in a cancelled one it is cancelled. False: it is not uncertain, and nothing has changed.
    async fn resolve(
        &self,
        run: &RunId,
        id: DeliveryId,
        resolution: Resolution,
        now: Timestamp,
    ) -> Result<bool, LedgerError>;

    // The send path

    /// Says which process an enlisted owner belongs to, and which run it works on; `None`: it
    /// waits for runs.
    async fn attend(
        &self,
        owner: &Owner,
        worker: &Worker,
        run: Option<&RunRecord>,
    ) -> Result<(), LedgerError>;

    /// Announces a process. Its leases count as expired from the moment it is gone.
    async fn enlist(&self, owner: &Owner, now: Timestamp) -> Result<(), LedgerError>;

    /// Leaves: all leases of the owner end.
    async fn retire(&self, owner: &Owner) -> Result<(), LedgerError>;

    /// Says that an announced process lives. A process that is not heard of for long counts as
    /// gone where the ledger has no other way to tell; to be called about once a second.
    async fn beat(&self, owner: &Owner, now: Timestamp) -> Result<(), LedgerError>;

    /// What the clock that decides shows when the caller's shows `now`: the same, unless a server's
    /// decides.
    fn time(&self, now: Timestamp) -> Timestamp;

    /// How long after it was last heard of a process may count as gone, and lose its leases to
    /// others before they end; `None`: never while it lives.
    fn silence(&self) -> Option<SignedDuration>;

    /// Prolongs those leases of the owner that nobody has taken over, and says which they are;
    /// none is made shorter. One that is being changed at this moment may be left out.
    async fn renew(
        &self,
        owner: &Owner,
        ids: &[DeliveryId],
        until: Timestamp,
    ) -> Result<Vec<DeliveryId>, LedgerError>;

    /// Ends the leases of processes that are known to be gone.
    async fn bury(&self, now: Timestamp) -> Result<(), LedgerError>;

    async fn claim(
        &self,
        request: &ClaimRequest<'_>,
        admit: Admit<'_>,
    ) -> Result<Claimed, LedgerError>;

    /// Commits a group of changes in one transaction, in order; one answer for each.
    async fn write(&self, owner: &Owner, group: &[Write]) -> Result<Vec<Written>, LedgerError>;

    /// Takes a slot for a request that is no message, under the limits of the account that messages
    /// keep as well, and not while the whole account has to wait. None that is later than `until`:
    /// where that is over already, nothing is taken, and the answer tells when the next one is.
    async fn take_turn(
        &self,
        gateway: &str,
        account: &AccountLimits,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Turn, LedgerError>;

    /// Keeps a wait that concerns no delivery alone; only ever extended.
    async fn hold(&self, gate: &Gate, now: Timestamp) -> Result<(), LedgerError>;

    /// Takes over the look at lines that take no part in messaging, and says which: nobody else's
    /// look at them is due before `until`. A crash leaves them held until somebody's look.
    async fn take_look(
        &self,
        gateway: &str,
        look: Look,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<String>, LedgerError>;

    /// A line takes part in messaging again: whoever was held for it is due now, in every run.
    async fn line_is_back(
        &self,
        gateway: &str,
        line: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError>;

    /// The open gates of a gateway that hold everybody or a line, by line.
    async fn gates(&self, gateway: &str, now: Timestamp) -> Result<Vec<Gate>, LedgerError>;

    /// The provider's ids of messages to this person that deliveries of the gateway are known to
    /// have become.
    async fn messages_to(
        &self,
        gateway: &str,
        phone: &Address,
    ) -> Result<HashSet<String>, LedgerError>;

    // Receipts

    /// The messages of the run whose look is due, the longest due first, as many as the account's
    /// rate has slots free for at this moment. Slots and next looks are set in the same
    /// transaction: no two processes look at one, and with what they send they keep one rate.
    /// Costs what is due, not what was sent.
    async fn looks(&self, request: &LookRequest<'_>) -> Result<Looks, LedgerError>;

    /// Keeps that a message arrived, or was opened. False, and nothing is changed, where the
    /// delivery does not stand with this message or is that far already: never backwards.
    async fn keep_receipt(
        &self,
        run: &RunRecord,
        confirmed: &Confirmed,
    ) -> Result<bool, LedgerError>;

    /// Keeps that a message failed after it was taken, in the delivery and in its history. False,
    /// and nothing is changed, where the delivery does not stand as sent with this message: what
    /// has arrived has arrived.
    async fn keep_failure(
        &self,
        run: &RunRecord,
        given_up: &GivenUp,
        now: Timestamp,
    ) -> Result<bool, LedgerError>;

    // People who opted out

    /// Puts people on the ledger's do-not-contact list, in one transaction; one answer for each.
    /// From its commit on no attempt to them is begun, on any gateway and by any process. Whoever
    /// is listed already stays as they are; an operator's own word stands beside a person's.
    async fn suppress(
        &self,
        people: &[NewSuppression],
        now: Timestamp,
    ) -> Result<Vec<Suppressing>, LedgerError>;

    /// Takes a person off the list; not what the person said, unless the person asks for it.
    async fn lift(
        &self,
        phone: &Address,
        lifting: &Lifting,
        now: Timestamp,
    ) -> Result<Lifted, LedgerError>;

    /// Which of these people are not to be written to by a gateway, by phone.
    async fn suppressed(
        &self,
        gateway: &str,
        phones: &[&Address],
    ) -> Result<HashMap<String, Suppression>, LedgerError>;

    /// The list, by phone, from the one after `after` on; what was said in rehearsals left out.
    async fn suppressions(
        &self,
        after: Option<&Address>,
        most: u32,
    ) -> Result<Vec<Suppression>, LedgerError>;

    /// Everything that was said about a person, in the order in which it became known.
    async fn opt_outs_of(&self, phone: &Address) -> Result<Vec<OptOutEvent>, LedgerError>;

    /// Keeps an answer and obeys it, in one transaction: STOP puts the person on the list, START
    /// takes that back, the newest by its own time counts. In any order, late, for people of no
    /// run; an answer that is known by its gateway and name changes nothing.
    async fn keep_reply(&self, reply: &NewReply, now: Timestamp) -> Result<KeptReply, LedgerError>;

    /// Up to when everything that people answered a gateway was read and kept, by the provider's
    /// clock; `None`: it was never read to the end. What a webhook or a stream told of says nothing
    /// about what came before it.
    async fn answers_read_to(&self, gateway: &str) -> Result<Option<Timestamp>, LedgerError>;

    /// Remembers that; it never goes back.
    async fn keep_answers_read_to(&self, gateway: &str, to: Timestamp) -> Result<(), LedgerError>;

    /// When each of these people last wrote to the gateway over this channel, by address; whoever
    /// never did, as far as this ledger has heard, is not among them.
    async fn last_replies(
        &self,
        gateway: &str,
        channel: Channel,
        phones: &[&Address],
    ) -> Result<HashMap<String, Timestamp>, LedgerError>;

    /// Answers that wait for a person to judge them, oldest first, from the one after `after` on.
    async fn to_review(&self, after: Option<ReplyId>, most: u32)
    -> Result<Vec<Reply>, LedgerError>;

    /// A person has judged an answer and lets it be. False: it does not wait for that.
    async fn reviewed(&self, reply: ReplyId, now: Timestamp) -> Result<bool, LedgerError>;

    // Events

    /// Keeps something that the provider told by itself, as it came; only then is the provider to
    /// be told that it has arrived. False: an event of this name is kept already.
    async fn keep_event(&self, event: &NewEvent<'_>, now: Timestamp) -> Result<bool, LedgerError>;

    /// Events of a gateway that are to be handled now, the longest due first. A crash leaves an
    /// event among them until it is handled, so handling it twice must do no harm.
    async fn waiting_events(
        &self,
        gateway: &str,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<KeptEvent>, LedgerError>;

    /// How many events of a gateway are not handled yet, due or not.
    async fn events_left(&self, gateway: &str) -> Result<u64, LedgerError>;

    /// An event is handled, and this became of it. False: it was before.
    async fn event_handled(
        &self,
        gateway: &str,
        event_id: &str,
        note: &str,
        now: Timestamp,
    ) -> Result<bool, LedgerError>;

    /// An event cannot be handled yet; not before `until`.
    async fn put_off_event(
        &self,
        gateway: &str,
        event_id: &str,
        until: Timestamp,
    ) -> Result<(), LedgerError>;

    /// Takes out the events that were handled before then, people's words with them; says how
    /// many. One of them that is told again counts as new, and changes nothing all the same.
    async fn forget_events(&self, before: Timestamp) -> Result<u64, LedgerError>;

    /// The delivery that became this message, where the gateway has channels in the place of
    /// lines.
    async fn delivery_of(
        &self,
        gateway: &str,
        message_id: &str,
    ) -> Result<Option<(RunId, DeliveryId)>, LedgerError>;

    // Files

    async fn media(&self, sha256: Digest) -> Result<Option<Media>, LedgerError>;

    /// The provider's id of a file that this gateway has uploaded.
    async fn upload(&self, gateway: &str, sha256: Digest) -> Result<Option<String>, LedgerError>;

    async fn keep_upload(
        &self,
        gateway: &str,
        sha256: Digest,
        attachment_id: &str,
        now: Timestamp,
    ) -> Result<(), LedgerError>;

    /// Forgets uploads that the provider no longer has.
    async fn forget_uploads(
        &self,
        gateway: &str,
        attachment_ids: &[String],
    ) -> Result<(), LedgerError>;

    // Contacts

    /// The provider's id of a person, where this ledger knows one.
    async fn contact(&self, gateway: &str, to: &Address) -> Result<Option<String>, LedgerError>;

    /// Remembers it, in place of one that was known.
    async fn keep_contact(
        &self,
        gateway: &str,
        to: &Address,
        contact_id: &str,
    ) -> Result<(), LedgerError>;

    /// Forgets a contact that the provider does not know any more; another one in its place stays.
    async fn forget_contact(&self, gateway: &str, contact_id: &str) -> Result<(), LedgerError>;

    /// Whose contact this is: a phone and an e-mail address, where it was written to by both.
    async fn whose_contact(
        &self,
        gateway: &str,
        contact_id: &str,
    ) -> Result<Vec<Address>, LedgerError>;

    // Schedules

    /// When a schedule was first seen by this ledger, or its newest handled occurrence: what
    /// counts as missed begins there.
    async fn schedule_since(
        &self,
        campaign: &str,
        now: Timestamp,
    ) -> Result<Timestamp, LedgerError>;

    /// Records occurrences that will not be sent and moves the schedule's beginning on.
    async fn handled(
        &self,
        campaign: &str,
        until: Timestamp,
        missed: &[Missed],
    ) -> Result<(), LedgerError>;

    /// Occurrences of a campaign that were not sent, newest first.
    async fn missed(&self, campaign: &str, most: u32) -> Result<Vec<Missed>, LedgerError>;

    // The place

    /// Makes sure, before anything is sent, that this is the store that has sent before; one that
    /// never has settles where it is. From then on every group of attempts that this handle
    /// begins leaves a mark, by which an older copy will be known.
    async fn take_place(&self) -> Result<Option<Copied>, LedgerError>;

    /// Makes the store at home where it is, on the word of a person, and notes that it was.
    async fn accept_copy(&self, now: Timestamp) -> Result<(), LedgerError>;

    /// Sets stored waits back when the clock was: none is hours longer for it, and none that the
    /// provider asked for ends before its time. Asked at the start and about once a second; the
    /// clock is read when the store is ready to compare.
    async fn follow_clock(&self, now: Now<'_>) -> Result<(), LedgerError>;

    /// Lets go of the store. What was committed is kept without it; it only leaves less behind.
    async fn close(&self);
}
