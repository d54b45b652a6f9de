//! Several processes at the same moment.

use std::collections::HashMap;
use std::sync::Arc;

use sendoff::domain::delivery::DeliveryState;
use sendoff::ledger::{
    Admission, ClaimRequest, Ledger, LedgerError, Limits, Next, RunRecord, Write, Written,
};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::bench::{
    Bench, LEASE_MS, LINE_A, LINE_B, at, begin_of, freeze, new_run, owner, pending, record_of, row,
    rows, sent,
};
use super::store::Store;

const PROCESSES: usize = 4;
const ROWS: u32 = 120;

/// Claims and begins until nothing is due; every third delivery fails for now and is taken up
/// again later. Returns each attempt that was begun.
async fn work(
    ledger: Arc<dyn Ledger>,
    run: RunRecord,
    name: String,
    start: Arc<Barrier>,
) -> Vec<(i64, u32)> {
    let me = owner(&name);
    ledger.enlist(&me, at(0)).await.unwrap();
    start.wait().await;
    let mut begun = Vec::new();
    for round in 0..60 {
        // Leases are short enough to end while others still hold them.
        let now_ms = round * 40;
        let request = ClaimRequest {
            run: &run,
            owner: &me,
            only: None,
            now: at(now_ms),
            lease_until: at(now_ms + 30),
            most: 9,
            horizon: at(now_ms),
            limits: Limits::default(),
            in_hand: std::collections::BTreeMap::new(),
            sated: false,
        };
        let claims = ledger.claim(&request, &|_| Admission::Now).await.unwrap();
        let group: Vec<Write> = claims
            .claims
            .iter()
            .map(|claim| Write::Begin(Box::new(begin_of(claim, now_ms))))
            .collect();
        tokio::task::yield_now().await;
        let written = ledger.write(&me, &group).await.unwrap();
        let mut records = Vec::new();
        for (claim, written) in claims.claims.iter().zip(written) {
            if written == Written::Done {
                begun.push((claim.id, claim.attempt + 1));
                let next = if claim.row % 3 == 0 && claim.attempt == 0 {
                    pending(now_ms + 1, 1)
                } else {
                    sent()
                };
                records.push(Write::Record(Box::new(record_of(claim, now_ms, next))));
            }
        }
        let written = ledger.write(&me, &records).await.unwrap();
        assert!(written.iter().all(|written| *written == Written::Done));
    }
    begun
}

pub(super) async fn each_attempt_is_begun_by_exactly_one(store: &dyn Store) {
    let list = (1..=ROWS)
        .map(|n| row(n, if n % 2 == 0 { LINE_A } else { LINE_B }))
        .collect();
    let bench = Bench::with(store, list).await;
    let start = Arc::new(Barrier::new(PROCESSES));
    let mut processes = JoinSet::new();
    for n in 0..PROCESSES {
        // Two of them share a handle, as two runs in one process do.
        let ledger = if n == 0 {
            bench.ledger.clone()
        } else {
            store.open().await
        };
        let name = format!("process-{n}");
        processes.spawn(work(ledger, bench.run.clone(), name, start.clone()));
    }
    let mut begun: HashMap<(i64, u32), u32> = HashMap::new();
    while let Some(done) = processes.join_next().await {
        for attempt in done.unwrap() {
            *begun.entry(attempt).or_default() += 1;
        }
    }
    let twice: Vec<_> = begun.iter().filter(|(_, n)| **n != 1).collect();
    assert!(twice.is_empty(), "begun more than once: {twice:?}");
    assert_eq!(bench.states().await, vec![DeliveryState::Sent; 120]);
    assert_eq!(begun.len(), 160, "each once, every third twice");
}

pub(super) async fn a_run_is_frozen_by_exactly_one(store: &dyn Store) {
    drop(store.open().await);
    let start = Arc::new(Barrier::new(PROCESSES));
    let mut processes = JoinSet::new();
    for _ in 0..PROCESSES {
        let (ledger, start) = (store.open().await, start.clone());
        processes.spawn(async move {
            start.wait().await;
            let mut draft = ledger.freeze(&new_run("spring@once")).await?;
            draft.add(rows(1..=30, LINE_A)).await?;
            draft.seal(Vec::new()).await
        });
    }
    let mut frozen = 0;
    while let Some(done) = processes.join_next().await {
        match done.unwrap() {
            Ok(run) => {
                assert_eq!(run.total, 30);
                frozen += 1;
            }
            Err(error) => assert!(matches!(error, LedgerError::RunExists(_)), "{error}"),
        }
    }
    assert_eq!(frozen, 1);
    let ledger = store.open().await;
    assert_eq!(ledger.runs().await.unwrap().len(), 1);
}

pub(super) async fn a_fresh_ledger_is_opened_by_many_at_once(store: &dyn Store) {
    // Two entries of a crontab at the same minute, on a new machine.
    let opening = (0..8).map(|_| store.open());
    let ledgers = futures_util::future::join_all(opening).await;
    for (n, ledger) in ledgers.iter().enumerate() {
        let name = format!("spring@{n}");
        freeze(&**ledger, &new_run(&name), rows(1..=2, LINE_A)).await;
    }
    assert_eq!(ledgers[0].runs().await.unwrap().len(), 8);
    let settled = Bench::named(store, "last@once", rows(1..=1, LINE_A)).await;
    settled.settle_one(LEASE_MS, Next::Failed).await;
}
