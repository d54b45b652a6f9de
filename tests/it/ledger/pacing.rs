//! Pacing: slots of any number of processes, restarts and clock steps keep every limit. The
//! slots are counted here in windows, without the ledger's own arithmetic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sendoff::domain::pace::Limit;
use sendoff::ledger::{Claim, ClaimRequest, Limits};

use super::bench::{Bench, LINE_A, LINE_B, limit, micros, owner, row};
use super::store::Store;

/// Random walks; each is a run of its own.
const WALKS: u32 = 12;

#[derive(Debug, Clone)]
struct Walk {
    account: Option<(u32, u32)>,
    run: Option<(u32, u32)>,
    line: Option<(u32, u32)>,
    steps: Vec<Step>,
}

/// One claim: by whom, after which step of the clock (backwards too), how many, how far ahead.
#[derive(Debug, Clone)]
struct Step {
    owner: u32,
    clock_ms: i64,
    most: u32,
    ahead_ms: i64,
    reopen: bool,
}

fn walk() -> impl Strategy<Value = Walk> {
    let limit = || prop::option::of((1u32..60, 1u32..6));
    let step = (
        0u32..3,
        prop_oneof![4 => 0i64..400, 1 => -700i64..0, 1 => 2_000i64..9_000],
        1u32..12,
        0i64..1_500,
        prop::bool::weighted(0.15),
    )
        .prop_map(|(owner, clock_ms, most, ahead_ms, reopen)| Step {
            owner,
            clock_ms,
            most,
            ahead_ms,
            reopen,
        });
    let steps = prop::collection::vec(step, 10..30);
    (limit(), limit(), limit(), steps).prop_map(|(account, run, line, steps)| Walk {
        account,
        run,
        line,
        steps,
    })
}

/// No window that begins at a slot holds more than the rate's share of it and one burst.
fn keeps(limit: Option<Limit>, slots: &[i64]) {
    let Some(limit) = limit else { return };
    let mut slots = slots.to_vec();
    slots.sort_unstable();
    for (i, start) in slots.iter().enumerate() {
        for (j, end) in slots.iter().enumerate().skip(i) {
            let share = (end - start) / limit.rate.interval_us();
            let allowed = share + i64::from(limit.burst.get());
            let taken = i64::try_from(j - i + 1).unwrap();
            assert!(
                taken <= allowed,
                "{taken} slots in {} µs: {slots:?}",
                end - start
            );
        }
    }
}

pub(super) async fn slots_never_exceed_any_limit(store: &dyn Store) {
    let mut runner = TestRunner::deterministic();
    for n in 0..WALKS {
        let walk = walk().new_tree(&mut runner).unwrap().current();
        follow(store, n, &walk).await;
    }
}

async fn follow(store: &dyn Store, n: u32, walk: &Walk) {
    let list = (1..=300)
        .map(|n| row(n, if n % 3 == 0 { LINE_B } else { LINE_A }))
        .collect();
    let mut bench = Bench::named(store, &format!("walk-{n}@once"), list).await;
    // Each walk is on an account of its own.
    bench.run.gateway = format!("account-{n}");
    let of = |pair: Option<(u32, u32)>| pair.map(|(n, burst)| limit(&format!("{n}/s"), burst));
    let limits = Limits {
        account: of(walk.account).into(),
        run: of(walk.run),
        line: of(walk.line),
        ..Limits::default()
    };
    let mut claims: Vec<Claim> = Vec::new();
    let mut now_ms = 10_000;
    for step in &walk.steps {
        now_ms += step.clock_ms;
        if step.reopen {
            bench.ledger = store.open().await;
        }
        let who = owner(&format!("owner-{}", step.owner));
        let horizon_ms = now_ms + step.ahead_ms;
        let request = ClaimRequest {
            limits: limits.clone(),
            horizon: super::bench::at(horizon_ms),
            ..bench.ask(&who, now_ms, step.most)
        };
        let claimed = bench.claim(&request).await.claims;
        assert!(claimed.len() <= usize::try_from(step.most).unwrap());
        for claim in &claimed {
            assert!(claim.slot_us >= micros(now_ms));
            assert!(claim.slot_us <= micros(horizon_ms));
        }
        claims.extend(claimed);
    }
    let slots: Vec<i64> = claims.iter().map(|claim| claim.slot_us).collect();
    keeps(limits.account.rate, &slots);
    keeps(limits.run, &slots);
    let mut by_line: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for claim in &claims {
        by_line.entry(&claim.line).or_default().push(claim.slot_us);
    }
    for slots in by_line.values() {
        keeps(limits.line, slots);
    }
}

pub(super) async fn no_slot_lies_past_the_horizon(store: &dyn Store) {
    let bench = Bench::with(store, super::bench::rows(1..=50, LINE_A)).await;
    let request = ClaimRequest {
        limits: Limits {
            account: limit("10/s", 2).into(),
            ..Limits::default()
        },
        ..bench.ask(&bench.me, 0, 50)
    };
    let first = bench.claim(&request).await;
    let slots: Vec<i64> = first
        .claims
        .iter()
        .map(|claim| (claim.slot_us - micros(0)) / 1_000)
        .collect();
    let expected: Vec<i64> = [0].into_iter().chain((0..=10).map(|n| n * 100)).collect();
    assert_eq!(slots, expected);
    // Whoever asks at the same moment finds every slot up to the horizon taken.
    let second = bench.claim(&request).await;
    assert!(second.claims.is_empty());
    // Long before the next slot, so that it is reserved in time; later by one that has slots to
    // come.
    assert_eq!(second.next_at, Some(super::bench::at(350)));
    let sated = ClaimRequest {
        sated: true,
        ..request
    };
    assert_eq!(
        bench.claim(&sated).await.next_at,
        Some(super::bench::at(600))
    );
}

/// Both ask when they are told to, and where both are to ask at once it is always the same one that
/// is quicker.
pub(super) async fn one_that_always_asks_first_leaves_slots_to_another(store: &dyn Store) {
    let bench = Bench::with(store, super::bench::rows(1..=99, LINE_A)).await;
    let both = [owner("quick"), owner("slow")];
    let (mut ask_ms, mut last_us, mut got) = ([0, 0], [i64::MIN; 2], [0, 0]);
    while got[0] + got[1] < 99 {
        let who = usize::from(ask_ms[1] < ask_ms[0]);
        let now_ms = ask_ms[who];
        let request = ClaimRequest {
            limits: Limits {
                account: limit("10/s", 1).into(),
                ..Limits::default()
            },
            sated: last_us[who] > micros(now_ms),
            ..bench.ask(&both[who], now_ms, 99)
        };
        let claimed = bench.claim(&request).await;
        got[who] += claimed.claims.len();
        let last = claimed.claims.iter().map(|claim| claim.slot_us).max();
        last_us[who] = last_us[who].max(last.unwrap_or(i64::MIN));
        // As the engine asks: at once after a claim, else when it is worth it, or after a second.
        ask_ms[who] = match (claimed.claims.is_empty(), claimed.next_at) {
            (false, _) => now_ms + 1,
            (true, next) => next
                .map_or(now_ms, |at| {
                    at.as_millisecond() - super::bench::at(0).as_millisecond()
                })
                .clamp(now_ms + 20, now_ms + 1_000),
        };
    }
    assert!(got[1] >= 33, "{got:?}");
}
