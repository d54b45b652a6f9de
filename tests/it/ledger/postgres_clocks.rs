//! Callers whose clocks are wrong, on a ledger where the server's clock decides; and processes
//! that fall silent.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::DeliveryState;
use sendoff::ledger::postgres::{HEARTBEAT, PostgresLedger, Time};
use sendoff::ledger::{
    Admission, Claim, ClaimRequest, Claimed, Gate, Ledger, Limits, Owner, RunRecord, Write, Written,
};
use tokio::time::timeout;

use super::bench::{LINE_A, begin_of, freeze, gate, limit, new_run, owner, record_of, rows, sent};
use super::cluster::PostgresDatabase;
use super::proving::assert_proved;

/// No test waits for longer.
const LONGEST: Duration = Duration::from_mins(1);
/// What the time between two calls, and an error of the measurement, may come to here.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
const LEASE: SignedDuration = SignedDuration::from_mins(1);

/// A process whose clock is ahead of the true time.
struct Machine {
    ledger: Arc<dyn Ledger>,
    me: Owner,
    ahead: SignedDuration,
}

impl Machine {
    async fn new(database: &PostgresDatabase, ahead_hours: i64, heartbeat: SignedDuration) -> Self {
        let url = database.url().await;
        let ledger = PostgresLedger::open_with(&url, Time::Database, heartbeat).await;
        let machine = Self {
            ledger: Arc::new(ledger.unwrap()),
            me: owner(&format!("ahead-{ahead_hours}")),
            ahead: SignedDuration::from_hours(ahead_hours),
        };
        let now = machine.now();
        machine.ledger.enlist(&machine.me, now).await.unwrap();
        machine
    }

    fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }

    async fn freeze(&mut self, many: u32) -> RunRecord {
        let now = self.now();
        let new = sendoff::ledger::NewRun {
            now,
            starts_at: now,
            ..new_run("spring@once")
        };
        freeze(&*self.ledger, &new, rows(1..=many, LINE_A)).await
    }

    async fn claim(&self, run: &RunRecord, most: u32, limits: Limits) -> Claimed {
        let now = self.now();
        let request = ClaimRequest {
            run,
            owner: &self.me,
            only: None,
            now,
            lease_until: now + LEASE,
            most,
            horizon: now + SignedDuration::from_secs(1),
            limits,
            in_hand: std::collections::BTreeMap::new(),
            sated: false,
        };
        self.ledger
            .claim(&request, &|_| Admission::Now)
            .await
            .unwrap()
    }

    async fn take(&self, run: &RunRecord, most: u32) -> Vec<Claim> {
        self.claim(run, most, Limits::default()).await.claims
    }

    async fn begin(&self, claim: &Claim) -> Written {
        let mut begin = begin_of(claim, 0);
        begin.at = self.now();
        begin.lease_until = self.now() + LEASE;
        self.write(Write::Begin(Box::new(begin))).await
    }

    async fn write(&self, write: Write) -> Written {
        let written = self.ledger.write(&self.me, &[write]).await.unwrap();
        written[0]
    }

    /// A time of this machine's as everybody else would tell it.
    fn truly(&self, at: Timestamp) -> Timestamp {
        at - self.ahead
    }

    fn close_to_now(&self, at: Timestamp) -> bool {
        at.duration_since(self.now()).abs() < TOLERANCE
    }
}

#[tokio::test]
async fn wrong_clocks_end_no_lease_early_and_hold_none_for_longer() {
    let database = PostgresDatabase::default();
    let mut fast = Machine::new(&database, 3, HEARTBEAT).await;
    let slow = Machine::new(&database, -3, HEARTBEAT).await;
    let run = fast.freeze(4).await;
    // What a fast clock calls now is not hours away for the others.
    assert!(run.starts_at <= Timestamp::now() + TOLERANCE);
    let of_slow = slow.take(&run, 2).await;
    assert_eq!(of_slow.len(), 2);
    let of_fast = fast.take(&run, 9).await;
    assert_eq!(of_fast.len(), 2, "the slow one's leases hold");
    assert!(slow.take(&run, 9).await.is_empty(), "and the fast one's");
    let next = slow.claim(&run, 9, Limits::default()).await.next_at;
    let in_a_minute = next.unwrap() - LEASE;
    assert!(slow.close_to_now(in_a_minute), "{next:?} by its own clock");
    for (machine, claim) in [(&slow, &of_slow[0]), (&fast, &of_fast[0])] {
        assert_eq!(machine.begin(claim).await, Written::Done);
    }
    let kept: Vec<(i64, i64)> =
        sqlx::query_as("SELECT begun_at, lease_until FROM deliveries WHERE state = 'sending'")
            .fetch_all(&mut database.connect().await)
            .await
            .unwrap();
    assert_eq!(kept.len(), 2);
    for (begun_at, lease_until) in kept {
        let begun_at = Timestamp::from_millisecond(begun_at).unwrap();
        assert!(begun_at.duration_since(Timestamp::now()).abs() < TOLERANCE);
        assert_eq!(lease_until - begun_at.as_millisecond(), 60_000);
    }
}

#[tokio::test]
async fn machines_with_wrong_clocks_keep_one_rate() {
    let database = PostgresDatabase::default();
    let mut fast = Machine::new(&database, 5, HEARTBEAT).await;
    let slow = Machine::new(&database, -7, HEARTBEAT).await;
    let run = fast.freeze(40).await;
    let limits = Limits {
        account: limit("10/s", 1).into(),
        ..Limits::default()
    };
    let mut slots = Vec::new();
    for n in 0..12 {
        let machine = [&fast, &slow][n % 2];
        for claim in machine.claim(&run, 3, limits.clone()).await.claims {
            let leaves_at = Timestamp::from_microsecond(claim.slot_us).unwrap();
            assert!(
                machine.close_to_now(leaves_at),
                "{leaves_at} by its own clock"
            );
            slots.push(machine.truly(leaves_at));
        }
    }
    slots.sort_unstable();
    assert!(slots.len() >= 10, "a second's worth: {}", slots.len());
    // A tenth of a second apart, but for what the two measurements of the clock differ by.
    for pair in slots.windows(2) {
        let apart = pair[1].duration_since(pair[0]);
        assert!(apart > SignedDuration::from_millis(50), "{apart:#}");
    }
    let whole = slots[slots.len() - 1].duration_since(slots[0]).as_millis();
    let tenths = i128::try_from(slots.len() - 1).unwrap();
    assert!(whole > 100 * tenths - 50, "{whole} ms for {tenths}");
}

#[tokio::test]
async fn a_gate_opens_for_all_at_the_same_time() {
    let database = PostgresDatabase::default();
    let mut fast = Machine::new(&database, 2, HEARTBEAT).await;
    let slow = Machine::new(&database, -2, HEARTBEAT).await;
    let run = fast.freeze(3).await;
    let of_slow = slow.take(&run, 1).await;
    let of_fast = fast.take(&run, 1).await;
    assert_eq!(fast.begin(&of_fast[0]).await, Written::Done);
    let mut record = record_of(&of_fast[0], 0, sent());
    (record.begun_at, record.ended_at) = (fast.now(), fast.now());
    record.gate = Some(Gate {
        until: fast.now() + LEASE,
        ..gate(None, 0)
    });
    let written = fast.write(Write::Record(Box::new(record))).await;
    assert_eq!(written, Written::Done);
    let Written::Held { until } = slow.begin(&of_slow[0]).await else {
        panic!("the gate is closed");
    };
    assert!(slow.close_to_now(until - LEASE), "{until} by its own clock");
    let deliveries = slow.ledger.deliveries(&run.run, None, 9).await.unwrap();
    assert_eq!(deliveries[0].state, DeliveryState::Pending);
    let sent_at = deliveries[1].sent_at.unwrap();
    assert!(sent_at.duration_since(Timestamp::now()).abs() < TOLERANCE);
}

/// A process that was cut off: its leases go to others, and it does no harm when it comes back.
#[tokio::test]
async fn a_process_that_falls_silent_loses_its_leases_and_finds_it_so() {
    let database = PostgresDatabase::default();
    let heartbeat = SignedDuration::from_secs(2);
    let mut silent = Machine::new(&database, 0, heartbeat).await;
    let other = Machine::new(&database, 1, HEARTBEAT).await;
    let run = silent.freeze(2).await;
    let claims = silent.take(&run, 2).await;
    assert_eq!(silent.begin(&claims[0]).await, Written::Done);
    silent.ledger.beat(&silent.me, silent.now()).await.unwrap();
    assert!(other.take(&run, 2).await.is_empty(), "it lives");
    let taken = timeout(LONGEST, async {
        loop {
            let claims = other.take(&run, 2).await;
            if !claims.is_empty() {
                return claims;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(taken.len(), 2, "at the same moment");
    let doubt = taken.iter().find(|claim| claim.id == claims[0].id).unwrap();
    assert!(doubt.unanswered_since.is_some());
    // It is back.
    silent.ledger.beat(&silent.me, silent.now()).await.unwrap();
    assert_eq!(silent.begin(&claims[1]).await, Written::Late);
    for claim in &taken {
        assert_eq!(other.begin(claim).await, Written::Done);
    }
    let mut late = record_of(&claims[0], 0, sent());
    (late.begun_at, late.ended_at) = (silent.now(), silent.now());
    let late = silent.write(Write::Record(Box::new(late))).await;
    assert_eq!(late, Written::Late);
    // The attempt was begun when the ledger says, whatever it says of it.
    assert_proved(&*other.ledger, &run.run).await;
}
