//! The caps of the day: whatever claims, begins, ends and comes back in whichever order, no day
//! has more first attempts than its cap, and none waits that has room. Attempts are counted here
//! by the days on which they were begun, without the ledger's own counters.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::SignedDuration;
use sendoff::domain::cap::{Cap, Subject, Touch, Used};
use sendoff::domain::delivery::{DeliveryState, Hold};
use sendoff::domain::run::RunState;
use sendoff::domain::schedule::zone;
use sendoff::ledger::{
    Admission, Begin, Claim, ClaimRequest, Ledger, Limits, Next, Planned, RunRecord, Write, Written,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::bench::{
    Bench, GATEWAY, LEASE_MS, LINE_A, LINE_B, at, begin_of, chat, freeze, new_run, owner, pending,
    record_of, row, rows, sent,
};
use super::store::Store;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// All tests begin at this time of the UTC day: 14:13:20.
const MORNING: i64 = 14 * HOUR + 13 * 60_000 + 20_000;
/// The first midnight.
const MIDNIGHT: i64 = DAY - MORNING;

fn cap(ramp: &[u32], per_day: u32) -> Cap {
    Cap {
        ramp: ramp.iter().filter_map(|n| NonZeroU32::new(*n)).collect(),
        per_day: NonZeroU32::new(per_day),
        timezone: zone::parse("UTC").unwrap(),
        gap: SignedDuration::ZERO,
    }
}

fn per_day(n: u32) -> Limits {
    Limits {
        day: Some(cap(&[], n)),
        ..Limits::default()
    }
}

fn first_touches(n: u32, gap_minutes: i64) -> Limits {
    Limits {
        first_touch: Some(Cap {
            gap: SignedDuration::from_mins(gap_minutes),
            ..cap(&[], n)
        }),
        ..Limits::default()
    }
}

fn ask<'r>(bench: &'r Bench, limits: &Limits, now_ms: i64) -> ClaimRequest<'r> {
    ClaimRequest {
        limits: limits.clone(),
        ..bench.ask(&bench.me, now_ms, 1_000)
    }
}

fn capped(run: &RunRecord, limits: &Limits, claim: &Claim, now_ms: i64) -> Begin {
    Begin {
        under: limits.under(run, &claim.line, claim.touch()),
        ..begin_of(claim, now_ms)
    }
}

/// Begins all of them in one group.
async fn begin(bench: &Bench, limits: &Limits, claims: &[Claim], now_ms: i64) -> Vec<Written> {
    let group: Vec<Write> = claims
        .iter()
        .map(|claim| Write::Begin(Box::new(capped(&bench.run, limits, claim, now_ms))))
        .collect();
    bench.ledger.write(&bench.me, &group).await.unwrap()
}

/// Claims all there is, and sends it; says which rows.
async fn send(bench: &Bench, limits: &Limits, now_ms: i64) -> Vec<u64> {
    let claims = bench.claim(&ask(bench, limits, now_ms)).await.claims;
    let written = begin(bench, limits, &claims, now_ms).await;
    assert!(
        written.iter().all(|one| *one == Written::Done),
        "{written:?}"
    );
    for claim in &claims {
        bench.record(record_of(claim, now_ms, sent())).await;
    }
    claims.iter().map(|claim| claim.row).collect()
}

fn known(number: u32, line: &str) -> sendoff::ledger::NewDelivery {
    let mut row = row(number, line);
    if let Planned::Send { touch, .. } = &mut row.plan {
        *touch = Touch::FollowUp;
    }
    row
}

pub(super) async fn a_used_up_cap_leaves_the_list_as_it_is(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=9, LINE_A)).await;
    let limits = per_day(4);
    assert_eq!(send(&bench, &limits, 0).await, [1, 2, 3, 4]);
    let claimed = bench.claim(&ask(&bench, &limits, 60_000)).await;
    assert!(claimed.claims.is_empty());
    assert_eq!((claimed.moved, claimed.next_at), (0, Some(at(MIDNIGHT))));
    let row = bench.row(5).await;
    assert_eq!((row.hold, row.due_at), (None, at(0)), "no row was touched");
    assert!(send(&bench, &limits, MIDNIGHT - 1).await.is_empty());
    assert_eq!(send(&bench, &limits, MIDNIGHT).await, [5, 6, 7, 8]);
    let reopened = store.open().await;
    let states = [(Subject::Campaign("spring".to_owned()), cap(&[], 4))];
    let states = reopened.caps(GATEWAY, &states, at(MIDNIGHT)).await.unwrap();
    let used = Used {
        taken: 4,
        days_before: 1,
        last_at: Some(at(MIDNIGHT)),
    };
    assert_eq!(states[0].used, used);
    assert_eq!(send(&bench, &limits, MIDNIGHT + DAY).await, [9]);
    let last = bench.claim(&ask(&bench, &limits, MIDNIGHT + DAY)).await;
    assert_eq!(last.next_at, None);
}

pub(super) async fn a_ramp_counts_the_days_on_which_somebody_was_written_to(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=30, LINE_A)).await;
    let limits = Limits {
        day: Some(cap(&[1, 3], 5)),
        ..Limits::default()
    };
    let mut sizes = Vec::new();
    // Nothing was sent on the second and third day.
    for day in [0, 3, 4, 5] {
        sizes.push(send(&bench, &limits, day * DAY).await.len());
        sizes.push(send(&bench, &limits, day * DAY + HOUR).await.len());
    }
    assert_eq!(sizes, [1, 0, 3, 0, 5, 0, 5, 0]);
}

pub(super) async fn what_was_begun_before_is_under_no_cap(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=6, LINE_A)).await;
    let limits = per_day(3);
    let claims = bench.claim(&ask(&bench, &limits, 0)).await.claims;
    assert_eq!(claims.len(), 3);
    begin(&bench, &limits, &claims, 0).await;
    // One is refused for now, one stays without an answer, one is lost with its process.
    bench
        .record(record_of(&claims[0], 0, pending(100, 1)))
        .await;
    let unanswered = Next::Unanswered {
        again_at: at(200),
        tries: 1,
    };
    bench.record(record_of(&claims[1], 0, unanswered)).await;
    let later = LEASE_MS + 1;
    let again = bench.claim(&ask(&bench, &limits, later)).await;
    let mut found: Vec<u64> = again.claims.iter().map(|claim| claim.row).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3], "nobody new, and nobody left out");
    let written = begin(&bench, &limits, &again.claims, later).await;
    assert_eq!(written, [Written::Done; 3]);
    let cap = [(Subject::Campaign("spring".to_owned()), cap(&[], 3))];
    let states = bench.ledger.caps(GATEWAY, &cap, at(later)).await.unwrap();
    assert_eq!(states[0].used.taken, 3);
}

pub(super) async fn all_runs_of_a_campaign_share_its_cap(store: &dyn Store) {
    let limits = per_day(5);
    let first = Bench::named(store, "spring@one", rows(1..=3, LINE_A)).await;
    let again = freeze(&*first.ledger, &new_run("spring@two"), rows(4..=9, LINE_A)).await;
    let second = Bench {
        ledger: store.open().await,
        run: again,
        me: owner("again"),
    };
    second.ledger.enlist(&second.me, at(0)).await.unwrap();
    let other = Bench::named(store, "summer@one", rows(10..=15, LINE_A)).await;
    assert_eq!(send(&first, &limits, 0).await.len(), 3);
    assert_eq!(send(&second, &limits, 0).await.len(), 2);
    assert_eq!(send(&other, &limits, 0).await.len(), 5);
    assert!(send(&second, &limits, 1).await.is_empty());
    assert_eq!(send(&second, &limits, MIDNIGHT).await.len(), 4);
}

pub(super) async fn who_came_too_late_is_held_until_the_next_day(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=8, LINE_A)).await;
    let limits = per_day(3);
    // Both processes looked before either had begun anything.
    let mine = bench.claim(&ask(&bench, &limits, 0)).await.claims;
    let you = owner("you");
    bench.ledger.enlist(&you, at(0)).await.unwrap();
    let request = ClaimRequest {
        owner: &you,
        ..ask(&bench, &limits, 0)
    };
    let yours = bench.claim(&request).await.claims;
    assert_eq!((mine.len(), yours.len()), (3, 3));
    assert_eq!(
        begin(&bench, &limits, &mine[..2], 5).await,
        [Written::Done; 2]
    );
    let group: Vec<Write> = yours
        .iter()
        .map(|claim| Write::Begin(Box::new(capped(&bench.run, &limits, claim, 6))))
        .collect();
    let written = bench.ledger.write(&you, &group).await.unwrap();
    let until = at(MIDNIGHT);
    let held = Written::Held { until };
    assert_eq!(written, [Written::Done, held, held]);
    assert_eq!(begin(&bench, &limits, &mine[2..], 7).await, [held]);
    // Whoever is not the holder any more gives nothing back.
    assert_eq!(begin(&bench, &limits, &mine[2..], 8).await, [Written::Late]);
    let row = bench.row(5).await;
    let stands = (row.state, row.attempts, row.hold, row.due_at);
    let waits = Some(Hold::DailyCap);
    assert_eq!(stands, (DeliveryState::Pending, 0, waits, until));
    // Those without an answer first; then those that nobody had claimed, then those held.
    assert_eq!(send(&bench, &limits, MIDNIGHT).await, [1, 2, 4, 7, 8, 3]);
}

pub(super) async fn what_could_not_begin_is_not_counted(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=5, LINE_A)).await;
    let limits = per_day(2);
    let claims = bench.claim(&ask(&bench, &limits, 0)).await.claims;
    bench.set_state(RunState::Paused).await;
    let written = begin(&bench, &limits, &claims, 1).await;
    assert_eq!(written, [Written::Late; 2]);
    bench.set_state(RunState::Running).await;
    assert_eq!(send(&bench, &limits, 2).await.len(), 2);
    assert!(send(&bench, &limits, 3).await.is_empty());
}

pub(super) async fn a_lines_first_messages_stand_apart(store: &dyn Store) {
    let mut list = rows(1..=4, LINE_A);
    list.extend(rows(5..=8, LINE_B));
    let bench = Bench::with(store, list).await;
    let limits = first_touches(2, 10);
    assert_eq!(send(&bench, &limits, 0).await, [1, 5], "one of each line");
    let waiting = bench.claim(&ask(&bench, &limits, 1)).await;
    let gap = 10 * 60_000 + 1_000;
    assert_eq!((waiting.claims.len(), waiting.next_at), (0, Some(at(gap))));
    assert!(send(&bench, &limits, gap - 1).await.is_empty());
    // Another campaign has the same lines and the same account.
    let other = Bench::named(store, "summer@once", rows(9..=12, LINE_A)).await;
    assert_eq!(send(&other, &limits, gap).await, [9]);
    assert_eq!(send(&bench, &limits, gap).await, [6]);
    let used_up = bench.claim(&ask(&bench, &limits, 2 * gap)).await;
    assert_eq!(used_up.next_at, Some(at(MIDNIGHT)));
    // A gap goes on over midnight.
    let late = MIDNIGHT + DAY - 60_000;
    assert_eq!(send(&bench, &limits, late).await, [2, 7]);
    assert!(send(&bench, &limits, late + 60_000).await.is_empty());
    assert_eq!(send(&bench, &limits, late + gap).await, [3, 8]);
}

pub(super) async fn known_people_use_no_first_touch(store: &dyn Store) {
    let earlier = Bench::named(store, "winter@once", rows(5..=5, LINE_A)).await;
    let claim = earlier.take_one(0).await;
    earlier.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, sent());
    record.chat = Some(chat(5, "chat-5", LINE_A));
    earlier.record(record).await;
    // Nobody new stands in the way of those who are known; nor of one who has become known.
    let mut list = rows(1..=3, LINE_A);
    list.extend([row(4, LINE_A), known(5, LINE_A), known(6, LINE_A)]);
    let bench = Bench::with(store, list).await;
    let limits = first_touches(1, 10);
    let found = send(&bench, &limits, 10).await;
    assert_eq!(
        found,
        [1, 5],
        "6 was known when it was frozen, and has no chat here"
    );
    assert!(send(&bench, &limits, 20).await.is_empty());
    let other = Bench::named(store, "summer@once", rows(5..=6, LINE_A)).await;
    let claims = other.claim(&ask(&other, &limits, MIDNIGHT)).await.claims;
    assert_eq!(claims.len(), 1, "one first touch a line is all there is");
    assert_eq!(claims[0].touch(), Touch::FollowUp);
    let written = begin(&other, &limits, &claims, MIDNIGHT).await;
    assert_eq!(written, [Written::Done]);
    assert_eq!(
        send(&bench, &limits, MIDNIGHT).await,
        [2],
        "it used none up"
    );
}

pub(super) async fn room_is_left_for_what_is_in_hand(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=9, LINE_A)).await;
    let limits = per_day(4);
    let first = ClaimRequest {
        most: 3,
        ..ask(&bench, &limits, 0)
    };
    let claims = bench.claim(&first).await.claims;
    let again = ClaimRequest {
        in_hand: [(LINE_A.to_owned(), 3)].into(),
        ..ask(&bench, &limits, 1)
    };
    assert_eq!(bench.claim(&again).await.claims.len(), 1);
    let full = ClaimRequest {
        in_hand: [(LINE_A.to_owned(), 4)].into(),
        ..ask(&bench, &limits, 2)
    };
    let nothing = bench.claim(&full).await;
    assert!(nothing.claims.is_empty());
    assert_eq!(
        nothing.next_at,
        Some(at(1_002)),
        "not tomorrow: nothing is used up yet"
    );
    assert_eq!(begin(&bench, &limits, &claims, 3).await, [Written::Done; 3]);
}

pub(super) async fn one_person_alone_waits_for_the_cap(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=3, LINE_A)).await;
    let limits = per_day(1);
    assert_eq!(send(&bench, &limits, 0).await, [1]);
    let phone = super::bench::phone(3);
    let only = ClaimRequest {
        only: Some(&phone),
        ..ask(&bench, &limits, 10)
    };
    assert_eq!(bench.claim(&only).await.moved, 1);
    let row = bench.row(3).await;
    assert_eq!((row.hold, row.due_at), (Some(Hold::DailyCap), at(MIDNIGHT)));
    assert_eq!(bench.claim(&only).await.next_at, Some(at(MIDNIGHT)));
}

pub(super) async fn a_day_is_that_of_its_zone(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=9, LINE_A)).await;
    let mut limits = per_day(2);
    limits.day.as_mut().unwrap().timezone = zone::parse("America/Chicago").unwrap();
    assert_eq!(send(&bench, &limits, 0).await.len(), 2);
    assert!(send(&bench, &limits, MIDNIGHT).await.is_empty());
    // Chicago is five hours behind until the clocks are set back in November.
    assert_eq!(send(&bench, &limits, MIDNIGHT + 5 * HOUR).await.len(), 2);
    let november = MIDNIGHT + 45 * DAY;
    assert!(at(november).to_string().starts_with("2026-11-06T00:00"));
    assert_eq!(send(&bench, &limits, november).await.len(), 2);
    let next = bench.claim(&ask(&bench, &limits, november)).await.next_at;
    assert_eq!(next, Some(at(november + 6 * HOUR)));
}

pub(super) async fn the_outlook_waits_for_the_caps(store: &dyn Store) {
    let mut list = rows(1..=4, LINE_A);
    list.extend(rows(5..=6, LINE_B));
    let bench = Bench::with(store, list).await;
    let limits = first_touches(1, 10);
    send(&bench, &limits, 0).await;
    let outlook = bench.ledger.outlook(&bench.run.run).await.unwrap();
    assert_eq!(outlook.next_due_at, Some(at(MIDNIGHT)));
    let mut limits = limits;
    limits.day = Some(cap(&[], 3));
    assert_eq!(send(&bench, &limits, MIDNIGHT).await.len(), 2);
    let mut facts = bench
        .ledger
        .facts(&bench.run.run, at(MIDNIGHT))
        .await
        .unwrap();
    assert_eq!(facts.outlook.next_due_at, Some(at(MIDNIGHT + DAY)));
    assert!(facts.caps.is_empty(), "the terms of this run have none");
    facts.caps = bench.ledger.caps(GATEWAY, &[], at(0)).await.unwrap();
    assert!(facts.caps.is_empty());
}

const PROCESSES: usize = 4;
const PER_DAY: u32 = 7;
const PER_LINE: u32 = 5;
const ROUNDS: i64 = 40;

/// Claims and begins, ends some at once, lets leases end, gives some back; half a day goes by
/// with each few rounds. Returns when each delivery was begun for the first time, from which line.
async fn work(
    ledger: Arc<dyn Ledger>,
    run: RunRecord,
    n: usize,
    start: Arc<Barrier>,
) -> Vec<(i64, String)> {
    let me = owner(&format!("process-{n}"));
    let limits = Limits {
        day: Some(cap(&[3], PER_DAY)),
        first_touch: Some(cap(&[], PER_LINE)),
        ..Limits::default()
    };
    ledger.enlist(&me, at(0)).await.unwrap();
    start.wait().await;
    let mut first_attempts = Vec::new();
    for round in 0..ROUNDS {
        // Their clocks are not quite the same, and some are over midnight before others.
        let now_ms = round * DAY / 8 + i64::try_from(n).unwrap() * 40;
        let request = ClaimRequest {
            run: &run,
            owner: &me,
            only: None,
            now: at(now_ms),
            lease_until: at(now_ms + 30),
            most: 9,
            horizon: at(now_ms),
            limits: limits.clone(),
            in_hand: BTreeMap::new(),
            sated: false,
        };
        let claims = ledger.claim(&request, &|_| Admission::Now).await.unwrap();
        let claims = claims.claims;
        let group: Vec<Write> = claims
            .iter()
            .filter(|claim| claim.row % 5 != u64::try_from(round % 5).unwrap())
            .map(|claim| Write::Begin(Box::new(capped(&run, &limits, claim, now_ms))))
            .collect();
        tokio::task::yield_now().await;
        let written = ledger.write(&me, &group).await.unwrap();
        let mut records = Vec::new();
        for (write, written) in group.iter().zip(written) {
            let Write::Begin(begin) = write else { continue };
            let claim = claims.iter().find(|claim| claim.id == begin.id).unwrap();
            if written != Written::Done {
                continue;
            }
            if claim.attempt == 0 {
                first_attempts.push((now_ms, claim.line.clone()));
            }
            let next = match claim.row % 4 {
                0 if claim.attempt == 0 => pending(now_ms + 1, 1),
                // Its answer never comes.
                1 if claim.attempt == 0 => continue,
                _ => sent(),
            };
            records.push(Write::Record(Box::new(record_of(claim, now_ms, next))));
        }
        ledger.write(&me, &records).await.unwrap();
    }
    first_attempts
}

pub(super) async fn no_day_has_more_than_its_cap_whoever_sends(store: &dyn Store) {
    let list = (1..=90)
        .map(|n| row(n, if n % 3 == 0 { LINE_A } else { LINE_B }))
        .collect();
    let bench = Bench::with(store, list).await;
    let start = Arc::new(Barrier::new(PROCESSES));
    let mut processes = JoinSet::new();
    for n in 0..PROCESSES {
        let ledger = store.open().await;
        processes.spawn(work(ledger, bench.run.clone(), n, start.clone()));
    }
    let (mut days, mut lines) = (BTreeMap::new(), HashMap::new());
    while let Some(done) = processes.join_next().await {
        for (begun_ms, line) in done.unwrap() {
            let day = (begun_ms + MORNING) / DAY;
            *days.entry(day).or_insert(0u32) += 1;
            *lines.entry((day, line)).or_insert(0u32) += 1;
        }
    }
    let sizes: Vec<u32> = days.values().copied().collect();
    assert!(sizes.iter().all(|n| *n <= PER_DAY), "{days:?}");
    assert!(lines.values().all(|n| *n <= PER_LINE), "{lines:?}");
    // Every day there was more to send than its cap, and it was used up.
    let (rest, whole) = sizes.split_last().unwrap();
    assert!(whole.contains(&PER_DAY) && *rest > 0, "{days:?}");
}
