//! A frozen run and short words for what is done with it. Checks nothing by itself.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::address::Address;
use sendoff::domain::campaign::Terms;
use sendoff::domain::cap::Touch;
use sendoff::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use sendoff::domain::digest::Digest;
use sendoff::domain::message::{Message, Part};
use sendoff::domain::outcome::{Class, Failure};
use sendoff::domain::pace::{Limit, Rate};
use sendoff::domain::run::{RunId, RunState};
use sendoff::ledger::{
    Admission, Begin, Claim, ClaimRequest, Claimed, DeliveryRecord, Fixed, Gate, Held, Ledger,
    Limits, NewChat, NewDelivery, NewRun, Next, Owner, Planned, Record, Release, RunRecord, Settle,
    Verdict, Write, Written,
};

use super::store::Store;

pub(super) const GATEWAY: &str = "chert";
pub(super) const LINE_A: &str = "+15555550100";
pub(super) const LINE_B: &str = "+15555550101";
/// How long a claim of [`Bench::ask`] holds.
pub(super) const LEASE_MS: i64 = 60_000;

/// A time in milliseconds after the beginning of all tests.
pub(super) fn at(ms: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap() + SignedDuration::from_millis(ms)
}

pub(super) fn micros(ms: i64) -> i64 {
    at(ms).as_microsecond()
}

/// The `n`-th fictional person.
pub(super) fn phone(n: u32) -> Address {
    Address::stored(&format!("+1{}55501{:02}", 200 + n / 100, n % 100)).unwrap()
}

pub(super) fn owner(name: &str) -> Owner {
    Owner(name.to_owned())
}

pub(super) fn run_id(text: &str) -> RunId {
    RunId::parse(text).unwrap()
}

pub(super) fn new_run(run: &str) -> NewRun {
    NewRun {
        run: run_id(run),
        gateway: GATEWAY.to_owned(),
        account: None,
        terms: Terms::default(),
        now: at(0),
        starts_at: at(0),
    }
}

pub(super) fn message(text: &str) -> Message {
    Message::of(vec![Part::Text {
        value: text.to_owned(),
        subject: None,
    }])
}

/// A row for the person of the same number, whose key is the phone.
pub(super) fn row(number: u32, line: &str) -> NewDelivery {
    NewDelivery {
        row: u64::from(number),
        recipient_key: None,
        phone: Some(phone(number)),
        timezone: None,
        plan: Planned::Send {
            message: message(&format!("Hello {number}")),
            line: line.to_owned(),
            touch: Touch::First,
        },
    }
}

pub(super) fn rows(numbers: std::ops::RangeInclusive<u32>, line: &str) -> Vec<NewDelivery> {
    numbers.map(|number| row(number, line)).collect()
}

pub(super) fn skipped(number: u32, reason: SkipReason) -> NewDelivery {
    NewDelivery {
        plan: Planned::Skip {
            reason,
            detail: "not this one".to_owned(),
        },
        ..row(number, "")
    }
}

/// A limit such as `10/s` with a burst.
pub(super) fn limit(rate: &str, burst: u32) -> Limit {
    Limit {
        rate: Rate::parse(rate).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

pub(super) fn failure(text: &str) -> Failure {
    Failure {
        code: Some(5000),
        http: Some(503),
        text: text.to_owned(),
        trace_id: Some("t-1".to_owned()),
    }
}

pub(super) fn fixed(text: &str) -> Fixed {
    Fixed {
        contact_id: None,
        chat_id: None,
        attachments: [(Digest::of(b"a picture"), "att-1".to_owned())].into(),
        body_sha256: Digest::of(text.as_bytes()),
    }
}

pub(super) fn sent() -> Next {
    Next::Sent {
        message_id: Some("msg-1".to_owned()),
        chat_id: Some("chat-1".to_owned()),
    }
}

pub(super) fn pending(due_ms: i64, tries: u32) -> Next {
    Next::Pending {
        due_at: at(due_ms),
        hold: Hold::Retry,
        tries,
        anew: false,
    }
}

pub(super) fn gate(line: Option<&str>, until_ms: i64) -> Gate {
    Gate {
        gateway: GATEWAY.to_owned(),
        held: line.map_or(Held::Account, |line| Held::Line(line.to_owned())),
        until: at(until_ms),
        inactive_since: None,
        reason: "slow down".to_owned(),
    }
}

pub(super) fn chat(person: u32, chat_id: &str, line: &str) -> NewChat {
    NewChat {
        gateway: GATEWAY.to_owned(),
        phone: phone(person),
        chat_id: chat_id.to_owned(),
        line: line.to_owned(),
    }
}

/// The beginning of the attempt that a claim is for.
pub(super) fn begin_of(claim: &Claim, now_ms: i64) -> Begin {
    Begin {
        id: claim.id,
        expected_attempt: claim.attempt,
        revision: claim.revision,
        fixed: fixed("body"),
        at: at(now_ms),
        lease_until: at(now_ms + LEASE_MS),
        unanswered: claim.begun_at.filter(|_| claim.unanswered_since.is_some()),
        under: Vec::new(),
    }
}

/// The outcome of the attempt that followed a claim.
pub(super) fn record_of(claim: &Claim, now_ms: i64, next: Next) -> Record {
    let (class, failure) = match next {
        Next::Sent { .. } => (Class::Accepted, None),
        Next::Pending { .. } => (Class::Retry, Some(failure("later"))),
        Next::Unanswered { .. } | Next::Uncertain => (Class::Uncertain, Some(failure("no answer"))),
        Next::Failed => (Class::Permanent, Some(failure("refused"))),
    };
    Record {
        id: claim.id,
        attempt: claim.attempt + 1,
        begun_at: at(now_ms),
        ended_at: at(now_ms + 5),
        revision: claim.revision,
        class,
        failure,
        next,
        chat: None,
        gate: None,
    }
}

/// The end of the doubt about the attempt that a claim found without an answer.
pub(super) fn settle_of(claim: &Claim, now_ms: i64, verdict: Verdict) -> Settle {
    Settle {
        id: claim.id,
        attempt: claim.attempt,
        revision: claim.revision,
        begun_at: claim.begun_at.unwrap_or(at(now_ms)),
        at: at(now_ms),
        verdict,
        chat: None,
    }
}

pub(super) fn found() -> Verdict {
    Verdict::Found {
        message_id: "msg-found".to_owned(),
        chat_id: Some("chat-1".to_owned()),
    }
}

pub(super) fn uncertain() -> Verdict {
    Verdict::Uncertain {
        why: "nobody can tell".to_owned(),
    }
}

pub(super) fn release_of(claim: &Claim, next: Option<Next>) -> Release {
    Release {
        id: claim.id,
        attempt: claim.attempt,
        at: at(0),
        failure: next.as_ref().map(|_| failure("not now")),
        next,
        gate: None,
    }
}

/// A run on a ledger, and one process that works on it.
pub(super) struct Bench {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) run: RunRecord,
    pub(super) me: Owner,
}

impl Bench {
    pub(super) async fn with(store: &dyn Store, rows: Vec<NewDelivery>) -> Self {
        Self::named(store, "spring@once", rows).await
    }

    pub(super) async fn named(store: &dyn Store, run: &str, rows: Vec<NewDelivery>) -> Self {
        let ledger = store.open().await;
        let run = freeze(&*ledger, &new_run(run), rows).await;
        let me = owner(&format!("me-{}", run.run.campaign()));
        ledger.enlist(&me, at(0)).await.unwrap();
        Self { ledger, run, me }
    }

    /// A claim that asks for `most`, one second ahead, without limits.
    pub(super) fn ask<'r>(&'r self, owner: &'r Owner, now_ms: i64, most: u32) -> ClaimRequest<'r> {
        ClaimRequest {
            run: &self.run,
            owner,
            only: None,
            now: at(now_ms),
            lease_until: at(now_ms + LEASE_MS),
            most,
            horizon: at(now_ms + 1_000),
            limits: Limits::default(),
            in_hand: BTreeMap::new(),
            sated: false,
        }
    }

    pub(super) async fn claim(&self, request: &ClaimRequest<'_>) -> Claimed {
        self.ledger
            .claim(request, &|_| Admission::Now)
            .await
            .unwrap()
    }

    /// Claims as the process itself.
    pub(super) async fn take(&self, now_ms: i64, most: u32) -> Vec<Claim> {
        self.claim(&self.ask(&self.me, now_ms, most)).await.claims
    }

    /// Claims as somebody else.
    pub(super) async fn take_as(&self, who: &Owner, now_ms: i64) -> Vec<Claim> {
        self.claim(&self.ask(who, now_ms, 1_000)).await.claims
    }

    pub(super) async fn take_one(&self, now_ms: i64) -> Claim {
        let claims = self.take(now_ms, 1).await;
        claims.into_iter().next().expect("something is due")
    }

    pub(super) async fn write_as(&self, who: &Owner, write: Write) -> Written {
        self.ledger.write(who, &[write]).await.unwrap()[0]
    }

    pub(super) async fn begin(&self, claim: &Claim, now_ms: i64) -> Written {
        let begin = Write::Begin(Box::new(begin_of(claim, now_ms)));
        self.write_as(&self.me, begin).await
    }

    pub(super) async fn record(&self, record: Record) -> Written {
        self.write_as(&self.me, Write::Record(Box::new(record)))
            .await
    }

    pub(super) async fn release(&self, release: Release) -> Written {
        self.write_as(&self.me, Write::Release(Box::new(release)))
            .await
    }

    /// Claims, begins and records one delivery.
    pub(super) async fn settle_one(&self, now_ms: i64, next: Next) {
        let claim = self.take_one(now_ms).await;
        self.settle(&claim, now_ms, next).await;
    }

    /// Begins and records a claimed delivery.
    pub(super) async fn settle(&self, claim: &Claim, now_ms: i64, next: Next) {
        assert_eq!(self.begin(claim, now_ms).await, Written::Done);
        let recorded = self.record(record_of(claim, now_ms, next)).await;
        assert_eq!(recorded, Written::Done);
    }

    pub(super) async fn all(&self) -> Vec<DeliveryRecord> {
        self.ledger
            .deliveries(&self.run.run, None, 100_000)
            .await
            .unwrap()
    }

    pub(super) async fn row(&self, number: u64) -> DeliveryRecord {
        let all = self.all().await;
        all.into_iter()
            .find(|delivery| delivery.row == number)
            .expect("the row exists")
    }

    pub(super) async fn states(&self) -> Vec<DeliveryState> {
        self.all().await.into_iter().map(|row| row.state).collect()
    }

    pub(super) async fn counts(&self) -> Counts {
        let facts = self.ledger.facts(&self.run.run, at(0)).await.unwrap();
        facts.counts
    }

    pub(super) async fn set_state(&self, to: RunState) {
        self.ledger
            .set_state(&self.run.run, to, None, at(0))
            .await
            .unwrap();
    }
}

/// Freezes a run with these rows.
pub(super) async fn freeze(ledger: &dyn Ledger, run: &NewRun, rows: Vec<NewDelivery>) -> RunRecord {
    let mut freeze = ledger.freeze(run).await.unwrap();
    freeze.add(rows).await.unwrap();
    freeze.seal(Vec::new()).await.unwrap()
}
