//! Waits that the provider asked for, learnt after a claim: whom they hold, and that they burn no
//! attempt.

use sendoff::domain::delivery::{DeliveryState, Hold};
use sendoff::ledger::{Begin, Claim, Gate, Held, Look, Next, Write, Written};

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, LINE_B, at, begin_of, gate, owner, pending, record_of, row,
    rows,
};
use super::store::Store;

fn begin(begin: Begin) -> Write {
    Write::Begin(Box::new(begin))
}

pub(super) async fn an_attempt_does_not_begin_at_a_closed_gate(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let claims = bench.take(0, 3).await;
    // Another process learns of the wait after the claim.
    let mut first = record_of(&claims[0], 0, pending(9_000, 0));
    first.gate = Some(gate(None, 9_000));
    bench.begin(&claims[0], 0).await;
    bench.record(first).await;
    let written = bench
        .write_as(&bench.me, begin(begin_of(&claims[1], 5)))
        .await;
    assert_eq!(written, Written::Held { until: at(9_000) });
    let row = bench.row(2).await;
    let stands = (row.state, row.attempts, row.hold, row.due_at);
    let held = Some(Hold::Throttled);
    assert_eq!(stands, (DeliveryState::Pending, 0, held, at(9_000)));
    // It is anybody's when the gate opens.
    let other = bench.take_as(&owner("other"), 9_000).await;
    assert_eq!(
        other.iter().map(|claim| claim.row).collect::<Vec<_>>(),
        [1, 2]
    );
}

pub(super) async fn a_gate_holds_a_doubt_without_ending_it(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let doubt = bench.take_one(LEASE_MS).await;
    let mut late = record_of(&claim, 0, pending(1, 0));
    late.attempt = 7;
    late.gate = Some(gate(Some(LINE_A), LEASE_MS + 9_000));
    assert_eq!(bench.record(late).await, Written::Late);
    let written = bench
        .write_as(&bench.me, begin(begin_of(&doubt, LEASE_MS)))
        .await;
    let until = at(LEASE_MS + 9_000);
    assert_eq!(written, Written::Held { until });
    assert_eq!(bench.row(1).await.state, DeliveryState::Sending);
    assert!(bench.take(LEASE_MS + 8_999, 1).await.is_empty());
    let again = bench.take_one(LEASE_MS + 9_000).await;
    assert_eq!(again.unanswered_since, Some(at(0)));
}

pub(super) async fn a_recipients_gate_holds_that_person_in_every_run(store: &dyn Store) {
    let spring = Bench::named(store, "spring@once", rows(1..=2, LINE_A)).await;
    let claim = spring.take_one(0).await;
    spring.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, pending(5_000, 0));
    record.gate = Some(Gate {
        held: Held::Recipient(claim.phone.clone()),
        ..gate(None, 5_000)
    });
    spring.record(record).await;
    let summer = Bench::named(store, "summer@once", rows(1..=2, LINE_A)).await;
    let request = summer.ask(&summer.me, 10, 5);
    let claimed = summer.claim(&request).await;
    let rows: Vec<u64> = claimed.claims.iter().map(|claim| claim.row).collect();
    assert_eq!((rows, claimed.moved), (vec![2], 1), "the others go on");
    let row = summer.row(1).await;
    assert_eq!((row.hold, row.due_at), (Some(Hold::Retry), at(5_000)));
    assert_eq!(summer.take(5_000, 1).await[0].row, 1);
}

/// Line A, which takes no part in messaging since `ms`, to be looked at at `look_ms`.
fn inactive(ms: i64, look_ms: i64) -> Gate {
    Gate {
        inactive_since: Some(at(ms)),
        reason: "not active".to_owned(),
        ..gate(Some(LINE_A), look_ms)
    }
}

/// Three people of line A and two of line B, and the first of A refused because A is inactive.
async fn with_an_inactive_line(store: &dyn Store) -> Bench {
    let people = rows(1..=3, LINE_A).into_iter().chain(rows(4..=5, LINE_B));
    let bench = Bench::with(store, people.collect()).await;
    let request = bench.ask(&bench.me, 0, 1);
    let claims = bench.claim(&request).await.claims;
    bench.begin(&claims[0], 0).await;
    let held = Next::Pending {
        due_at: at(300_000),
        hold: Hold::LineInactive,
        tries: 0,
        anew: false,
    };
    let mut record = record_of(&claims[0], 10, held);
    record.gate = Some(inactive(10, 300_000));
    assert_eq!(bench.record(record).await, Written::Done);
    bench
}

fn numbers(claims: &[Claim]) -> Vec<u64> {
    let mut rows: Vec<u64> = claims.iter().map(|claim| claim.row).collect();
    rows.sort_unstable();
    rows
}

pub(super) async fn an_inactive_line_is_held_past_its_wait_until_it_is_let_go(store: &dyn Store) {
    let bench = with_an_inactive_line(store).await;
    assert_eq!(
        numbers(&bench.take(20, 5).await),
        [4, 5],
        "the other line goes on"
    );
    let request = bench.ask(&bench.me, 400_000, 5);
    let claimed = bench.claim(&request).await;
    let of_b = |claim: &Claim| claim.line == LINE_B;
    assert!(claimed.claims.iter().all(of_b), "no time lets it go");
    assert_eq!(claimed.gates, [inactive(10, 300_000)]);
    assert_eq!(
        claimed.next_at,
        Some(at(401_000)),
        "somebody is to look now"
    );
    // A look puts the next one off, and it stays known since when and why.
    let nothing_new = Gate {
        reason: String::new(),
        ..inactive(400_000, 700_000)
    };
    bench.ledger.hold(&nothing_new, at(400_000)).await.unwrap();
    let gates = bench.ledger.gates(GATEWAY, at(400_001)).await.unwrap();
    assert_eq!(gates, [inactive(10, 700_000)]);
    // A wait of the line itself does not make it forgotten either.
    let wait = gate(Some(LINE_A), 800_000);
    bench.ledger.hold(&wait, at(400_002)).await.unwrap();
    let gates = bench.ledger.gates(GATEWAY, at(400_003)).await.unwrap();
    assert_eq!(
        (gates[0].inactive_since, gates[0].until),
        (Some(at(10)), at(800_000))
    );
    bench
        .ledger
        .line_is_back(GATEWAY, LINE_B, at(900_000))
        .await
        .unwrap();
    assert!(
        bench
            .take(900_000, 5)
            .await
            .iter()
            .all(|claim| claim.line == LINE_B)
    );
    bench
        .ledger
        .line_is_back(GATEWAY, LINE_A, at(900_001))
        .await
        .unwrap();
    assert_eq!(bench.ledger.gates(GATEWAY, at(900_001)).await.unwrap(), []);
    let back = bench.take_as(&owner("other"), 900_001).await;
    let of_a: Vec<_> = back
        .into_iter()
        .filter(|claim| claim.line == LINE_A)
        .collect();
    assert_eq!(numbers(&of_a), [1, 2, 3]);
}

pub(super) async fn the_look_at_an_inactive_line_is_one_processes_at_a_time(store: &dyn Store) {
    let bench = with_an_inactive_line(store).await;
    let look = async |which, now_ms, until_ms| {
        let taken = bench
            .ledger
            .take_look(GATEWAY, which, at(now_ms), at(until_ms));
        taken.await.unwrap()
    };
    assert_eq!(look(Look::Due, 299_999, 340_000).await, [""; 0]);
    assert_eq!(look(Look::Due, 300_000, 345_000).await, [LINE_A]);
    assert_eq!(
        look(Look::Due, 300_001, 345_001).await,
        [""; 0],
        "another one looks"
    );
    // Its process was killed.
    assert_eq!(look(Look::Due, 345_000, 390_000).await, [LINE_A]);
    assert_eq!(
        look(Look::All, 345_001, 390_001).await,
        [LINE_A],
        "a process starts"
    );
    bench
        .ledger
        .line_is_back(GATEWAY, LINE_A, at(400_000))
        .await
        .unwrap();
    assert_eq!(look(Look::All, 500_000, 600_000).await, [""; 0]);
    let wait = gate(Some(LINE_A), 700_000);
    bench.ledger.hold(&wait, at(500_000)).await.unwrap();
    assert_eq!(
        look(Look::All, 800_000, 900_000).await,
        [""; 0],
        "a wait ends by itself"
    );
}

pub(super) async fn a_line_that_is_back_early_is_sent_from_at_once(store: &dyn Store) {
    let bench = with_an_inactive_line(store).await;
    bench
        .ledger
        .line_is_back(GATEWAY, LINE_A, at(1_000))
        .await
        .unwrap();
    let row = bench.row(1).await;
    assert_eq!((row.due_at, row.attempts), (at(1_000), 1));
    assert_eq!(numbers(&bench.take(1_000, 5).await), [1, 2, 3, 4, 5]);
}

pub(super) async fn whoever_waits_for_an_inactive_line_is_counted_as_held(store: &dyn Store) {
    let bench = with_an_inactive_line(store).await;
    let other = Bench::named(store, "summer@once", vec![row(9, LINE_B)]).await;
    let facts = bench.ledger.facts(&bench.run.run, at(20)).await.unwrap();
    assert_eq!(facts.lines, [LINE_A, LINE_B]);
    assert_eq!(facts.held_up, [(LINE_A.to_owned(), 3)].into());
    let held = (Some(Hold::LineInactive), 3, at(300_000));
    assert_eq!(facts.holds, [(None, 2, at(0)), held]);
    let facts = bench.ledger.facts(&other.run.run, at(20)).await.unwrap();
    assert!(facts.held_up.is_empty(), "nobody of that run waits for it");
    assert_eq!(facts.holds, [(None, 1, at(0))]);
}
