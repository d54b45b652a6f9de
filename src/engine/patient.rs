//! A ledger that is waited for: while it cannot be reached, or another program holds it, nothing
//! fails and nothing is lost, it only takes longer. For a process that is to outlive its ledger's
//! bad hours. Decides nothing about any other fault.
//!
//! What was on the wire meanwhile is recorded when the ledger is back. If others have taken it over
//! by then, that record is late and changes nothing, as for everybody who was away.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::dispatch::Shutdown;
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::cap::{Cap, Subject};
use crate::domain::channel::Channel;
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::digest::Digest;
use crate::domain::message::Media;
use crate::domain::run::{RunId, RunState};
use crate::ledger::{
    AccountLimits, Admit, AtWork, Audit, CapState, ClaimRequest, Claimed, Confirmed, Copied,
    DeliveryId, DeliveryRecord, Freeze, Gate, GivenUp, History, KeptEvent, KeptReply, KnownChat,
    Ledger, LedgerError, Lifted, Lifting, Look, LookRequest, Looks, Missed, NewEvent, NewReply,
    NewRun, NewSuppression, Now, OptOutEvent, Outlook, Owner, Reply, ReplyId, Resolution, Retry,
    RunFacts, RunRecord, Running, Suppressing, Suppression, Turn, Whom, Worker, Write, Written,
};

/// Between two tries; doubled up to [`LONGEST_PAUSE`]. Each try may have waited for itself.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// An answer that takes longer is as good as none for whoever looks on.
const SILENCE: Duration = Duration::from_secs(5);

/// Another ledger, and patience with it.
#[derive(Debug)]
pub struct Patient {
    inner: std::sync::Arc<dyn Ledger>,
    shutdown: Shutdown,
    trouble: Mutex<Trouble>,
}

/// What is waited for, and by how many.
#[derive(Debug, Default)]
struct Trouble {
    waiting: usize,
    why: String,
}

/// One that waits.
struct Waiting<'a>(&'a Patient);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.trouble_now().waiting -= 1;
    }
}

/// Whether a fault passes by itself.
pub fn passes(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Unreachable { .. } | LedgerError::Locked)
}

impl Patient {
    /// Once `shutdown` stops, a fault is a fault again; what has been sent is recorded
    /// with patience until `shutdown` aborts.
    pub fn new(inner: std::sync::Arc<dyn Ledger>, shutdown: Shutdown) -> Self {
        Self {
            inner,
            shutdown,
            trouble: Mutex::default(),
        }
    }

    /// Why somebody waits for the ledger now; `None`: nobody does.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble_now();
        (trouble.waiting > 0).then(|| trouble.why.clone())
    }

    fn trouble_now(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, why: String) -> Waiting<'_> {
        let mut trouble = self.trouble_now();
        trouble.waiting += 1;
        trouble.why = why;
        Waiting(self)
    }

    async fn patiently<T, Call, Answer>(
        &self,
        end: &CancellationToken,
        call: Call,
    ) -> Result<T, LedgerError>
    where
        Call: Fn() -> Answer + Send + Sync,
        Answer: Future<Output = Result<T, LedgerError>> + Send,
        T: Send,
    {
        let mut pause = FIRST_PAUSE;
        let mut waiting: Option<Waiting<'_>> = None;
        loop {
            let mut answer = std::pin::pin!(call());
            let answered = if let Ok(answered) = timeout(SILENCE, &mut answer).await {
                answered
            } else {
                let why = || self.wait_for("it does not answer".to_owned());
                waiting.get_or_insert_with(why);
                answer.await
            };
            let error = match answered {
                Err(error) if passes(&error) && !end.is_cancelled() => error,
                answer => return answer,
            };
            tracing::warn!(%error, "waiting for the ledger");
            // The newest reason is told.
            waiting = Some(self.wait_for(error.to_string()));
            tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => {}
                // cancel-safe: a timer
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Every call with patience until a token of the shutdown says that it is enough.
macro_rules! patiently {
    ($($token:ident $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Ledger for Patient {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, LedgerError> {
                self.patiently(&self.shutdown.$token, || self.inner.$name($($arg),*)).await
            })*

            fn time(&self, now: Timestamp) -> Timestamp {
                self.inner.time(now)
            }

            fn silence(&self) -> Option<SignedDuration> {
                self.inner.silence()
            }

            async fn close(&self) {
                self.inner.close().await;
            }
        }
    };
}

patiently! {
    stop freeze(run: &NewRun) -> Box<dyn Freeze>;
    stop account(gateway: &str) -> Option<AccountId>;
    stop known(gateway: &str, phones: &[&Address]) -> HashMap<String, KnownChat>;
    stop run(run: &RunId) -> Option<RunRecord>;
    stop runs() -> Vec<(RunRecord, Counts)>;
    stop running() -> Vec<Running>;
    stop next_rehearsal(campaign: &str) -> u32;
    stop set_state(run: &RunId, to: RunState, reason: Option<&str>, now: Timestamp) -> RunRecord;
    stop finish_if_done(run: &RunId, now: Timestamp) -> bool;
    stop facts(run: &RunId, now: Timestamp) -> RunFacts;
    stop caps(gateway: &str, caps: &[(Subject, Cap)], now: Timestamp) -> Vec<CapState>;
    stop deliveries(run: &RunId, after: Option<DeliveryId>, most: u32) -> Vec<DeliveryRecord>;
    stop audit() -> Box<dyn Audit>;
    stop find(run: &RunId, whom: &Whom) -> Vec<DeliveryId>;
    stop history(run: &RunId, id: DeliveryId) -> History;
    stop in_state(run: &RunId, state: DeliveryState, most: u32) -> Vec<DeliveryRecord>;
    stop outlook(run: &RunId) -> Outlook;
    stop workers(now: Timestamp) -> Vec<AtWork>;
    stop retry(run: &RunId, wanted: &Retry, now: Timestamp) -> Vec<(Option<u32>, u64)>;
    stop resolve(run: &RunId, id: DeliveryId, as_what: Resolution, now: Timestamp) -> bool;
    stop attend(owner: &Owner, worker: &Worker, run: Option<&RunRecord>) -> ();
    stop enlist(owner: &Owner, now: Timestamp) -> ();
    stop retire(owner: &Owner) -> ();
    abort beat(owner: &Owner, now: Timestamp) -> ();
    abort renew(owner: &Owner, ids: &[DeliveryId], until: Timestamp) -> Vec<DeliveryId>;
    stop bury(now: Timestamp) -> ();
    stop claim(request: &ClaimRequest<'_>, admit: Admit<'_>) -> Claimed;
    abort write(owner: &Owner, group: &[Write]) -> Vec<Written>;
    stop take_turn(gateway: &str, account: &AccountLimits, now: Timestamp, until: Timestamp) -> Turn;
    stop contact(gateway: &str, to: &Address) -> Option<String>;
    stop keep_contact(gateway: &str, to: &Address, contact_id: &str) -> ();
    stop forget_contact(gateway: &str, contact_id: &str) -> ();
    stop whose_contact(gateway: &str, contact_id: &str) -> Vec<Address>;
    stop hold(gate: &Gate, now: Timestamp) -> ();
    stop take_look(gateway: &str, look: Look, now: Timestamp, until: Timestamp) -> Vec<String>;
    stop line_is_back(gateway: &str, line: &str, now: Timestamp) -> ();
    stop gates(gateway: &str, now: Timestamp) -> Vec<Gate>;
    stop messages_to(gateway: &str, phone: &Address) -> HashSet<String>;
    stop looks(request: &LookRequest<'_>) -> Looks;
    abort keep_failure(run: &RunRecord, given_up: &GivenUp, now: Timestamp) -> bool;
    abort keep_receipt(run: &RunRecord, confirmed: &Confirmed) -> bool;
    stop suppress(people: &[NewSuppression], now: Timestamp) -> Vec<Suppressing>;
    stop lift(phone: &Address, lifting: &Lifting, now: Timestamp) -> Lifted;
    stop suppressed(gateway: &str, phones: &[&Address]) -> HashMap<String, Suppression>;
    stop suppressions(after: Option<&Address>, most: u32) -> Vec<Suppression>;
    stop opt_outs_of(phone: &Address) -> Vec<OptOutEvent>;
    abort keep_reply(reply: &NewReply, now: Timestamp) -> KeptReply;
    stop answers_read_to(gateway: &str) -> Option<Timestamp>;
    stop keep_answers_read_to(gateway: &str, to: Timestamp) -> ();
    stop last_replies(gateway: &str, channel: Channel, phones: &[&Address]) -> HashMap<String, Timestamp>;
    stop to_review(after: Option<ReplyId>, most: u32) -> Vec<Reply>;
    stop reviewed(reply: ReplyId, now: Timestamp) -> bool;
    stop keep_event(event: &NewEvent<'_>, now: Timestamp) -> bool;
    stop waiting_events(gateway: &str, now: Timestamp, most: u32) -> Vec<KeptEvent>;
    stop events_left(gateway: &str) -> u64;
    stop event_handled(gateway: &str, event_id: &str, note: &str, now: Timestamp) -> bool;
    stop put_off_event(gateway: &str, event_id: &str, until: Timestamp) -> ();
    stop forget_events(before: Timestamp) -> u64;
    stop delivery_of(gateway: &str, message_id: &str) -> Option<(RunId, DeliveryId)>;
    stop media(sha256: Digest) -> Option<Media>;
    stop upload(gateway: &str, sha256: Digest) -> Option<String>;
    stop keep_upload(gateway: &str, sha256: Digest, id: &str, now: Timestamp) -> ();
    stop forget_uploads(gateway: &str, attachment_ids: &[String]) -> ();
    stop schedule_since(campaign: &str, now: Timestamp) -> Timestamp;
    stop handled(campaign: &str, until: Timestamp, missed: &[Missed]) -> ();
    stop missed(campaign: &str, most: u32) -> Vec<Missed>;
    stop take_place() -> Option<Copied>;
    stop accept_copy(now: Timestamp) -> ();
    stop follow_clock(now: Now<'_>) -> ();
}
