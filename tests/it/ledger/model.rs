//! Random walks through the send path beside a model of a few lines. The model knows states,
//! attempts and holders; it does not know how anything is stored.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sendoff::domain::delivery::{DeliveryState, Hold, SkipReason};
use sendoff::domain::run::RunState;
use sendoff::ledger::{
    Admission, Candidate, Claim, Next, Resolution, Retry, RetryKey, Verdict, Write, Written,
};

use super::bench::{
    Bench, LEASE_MS, LINE_A, LINE_B, at, begin_of, found, owner, record_of, release_of, row,
    settle_of, skipped, uncertain,
};
use super::proving::assert_proved;
use super::store::Store;
use super::walks::{OWNERS, Step, step};

const WALKS: u32 = 24;
const ROWS: u32 = 8;
/// Steps from one proof of the whole run to the next.
const PROVED_EVERY: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Modelled {
    state: DeliveryState,
    attempt: u32,
    revision: u32,
    due_ms: i64,
    /// Who holds it, and until when; without a holder it may still not be asked for before.
    holder: Option<usize>,
    until_ms: i64,
}

impl Modelled {
    /// Nobody takes an attempt without an answer up again in a cancelled run.
    fn left_in(&mut self, run: RunState) {
        if run == RunState::Cancelled && self.state == DeliveryState::Sending {
            self.state = DeliveryState::Uncertain;
        }
    }
}

struct Walker {
    bench: Bench,
    now_ms: i64,
    run: RunState,
    rows: BTreeMap<i64, Modelled>,
    /// Every claim ever handed out, with its owner and its sequence number as an owner.
    claims: Vec<(usize, Claim)>,
    /// Owners get a new name when they retire.
    names: [u32; OWNERS],
    /// When each attempt was begun, by delivery and number.
    begun: BTreeMap<(i64, u32), i64>,
    /// Attempts whose outcome is known.
    recorded: BTreeSet<(i64, u32)>,
}

impl Walker {
    async fn new(store: &dyn Store, n: u32) -> Self {
        let mut list: Vec<_> = (1..=ROWS)
            .map(|n| row(n, if n % 2 == 0 { LINE_A } else { LINE_B }))
            .collect();
        list.push(skipped(ROWS + 1, SkipReason::Filtered));
        let bench = Bench::named(store, &format!("walk-{n}@once"), list).await;
        let rows = bench
            .all()
            .await
            .into_iter()
            .map(|row| {
                let modelled = Modelled {
                    state: row.state,
                    attempt: 0,
                    revision: 0,
                    due_ms: 0,
                    holder: None,
                    until_ms: 0,
                };
                (row.id, modelled)
            })
            .collect();
        let walker = Self {
            bench,
            now_ms: 0,
            run: RunState::Running,
            rows,
            claims: Vec::new(),
            names: [0; OWNERS],
            begun: BTreeMap::new(),
            recorded: BTreeSet::new(),
        };
        for n in 0..OWNERS {
            let name = walker.name(n);
            walker.bench.ledger.enlist(&name, at(0)).await.unwrap();
        }
        walker
    }

    fn name(&self, n: usize) -> sendoff::ledger::Owner {
        let run = self.bench.run.run.campaign();
        owner(&format!("{run}-{n}-{}", self.names[n]))
    }

    /// Whether the model would hand it out now.
    fn is_free(&self, id: i64) -> bool {
        let row = &self.rows[&id];
        let due = match row.state {
            DeliveryState::Pending => row.due_ms <= self.now_ms,
            DeliveryState::Sending => true,
            DeliveryState::Sent
            | DeliveryState::Delivered
            | DeliveryState::Read
            | DeliveryState::Failed
            | DeliveryState::Uncertain
            | DeliveryState::Skipped
            | DeliveryState::Cancelled => false,
        };
        due && row.until_ms <= self.now_ms
    }

    async fn claim(&mut self, n: usize, most: u32, admission: Admission) {
        let name = self.name(n);
        let request = self.bench.ask(&name, self.now_ms, most);
        let admit = |candidate: Candidate<'_>| {
            if candidate.begun {
                Admission::Now
            } else {
                admission
            }
        };
        let claimed = self.bench.ledger.claim(&request, &admit).await.unwrap();
        assert_eq!(claimed.state, self.run);
        let free: Vec<i64> = self
            .rows
            .keys()
            .copied()
            .filter(|id| self.is_free(*id))
            .collect();
        if self.run != RunState::Running {
            assert!(claimed.claims.is_empty());
            return;
        }
        if admission == Admission::Now {
            let most = usize::try_from(most).unwrap();
            assert_eq!(claimed.claims.len(), free.len().min(most));
        }
        for claim in claimed.claims {
            assert!(free.contains(&claim.id), "it was held or not due");
            let row = self.rows.get_mut(&claim.id).unwrap();
            assert_eq!((claim.attempt, claim.revision), (row.attempt, row.revision));
            let begun = row.state == DeliveryState::Sending;
            assert_eq!(claim.unanswered_since.is_some(), begun);
            row.holder = Some(n);
            row.until_ms = self.now_ms + LEASE_MS;
            self.claims.push((n, claim));
        }
        self.moved(admission, claimed.moved).await;
    }

    /// Takes over what admission moved: the model has no order, so it looks which ones.
    async fn moved(&mut self, admission: Admission, moved: u64) {
        let mut seen = 0;
        for record in self.bench.all().await {
            let free = self.is_free(record.id);
            let row = self.rows.get_mut(&record.id).unwrap();
            match admission {
                Admission::Now => {}
                Admission::Hold { until, .. } => {
                    if free && record.due_at == until && row.state == DeliveryState::Pending {
                        row.due_ms = until.as_millisecond() - at(0).as_millisecond();
                        row.holder = None;
                        seen += 1;
                    }
                }
                Admission::Skip(_) => {
                    if record.state == DeliveryState::Skipped && row.state != record.state {
                        assert!(free);
                        row.state = record.state;
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(moved, seen);
    }

    async fn begin(&mut self, (n, claim): (usize, Claim)) {
        let write = Write::Begin(Box::new(begin_of(&claim, self.now_ms)));
        let written = self.bench.write_as(&self.name(n), write).await;
        let row = self.rows.get_mut(&claim.id).unwrap();
        let mine = row.holder == Some(n)
            && row.attempt == claim.attempt
            && matches!(row.state, DeliveryState::Pending | DeliveryState::Sending);
        let begins = mine && self.run == RunState::Running;
        assert_eq!(written == Written::Done, begins);
        if begins {
            self.begun
                .insert((claim.id, claim.attempt + 1), self.now_ms);
            row.state = DeliveryState::Sending;
            row.attempt += 1;
            row.revision = claim.revision;
            row.until_ms = self.now_ms + LEASE_MS;
        } else if mine {
            row.holder = None;
            row.until_ms = self.now_ms;
            row.left_in(self.run);
        }
    }

    async fn record(&mut self, (n, claim): (usize, Claim), choice: usize) {
        let due_ms = self.now_ms + 700;
        let next = [
            Next::Sent {
                message_id: None,
                chat_id: None,
            },
            Next::Pending {
                due_at: at(due_ms),
                hold: Hold::Retry,
                tries: 1,
                anew: false,
            },
            Next::Pending {
                due_at: at(due_ms),
                hold: Hold::Retry,
                tries: 1,
                anew: true,
            },
            Next::Unanswered {
                again_at: at(due_ms),
                tries: 1,
            },
            Next::Failed,
            Next::Uncertain,
        ][choice]
            .clone();
        let anew = choice == 2;
        let begun = self.begun.get(&(claim.id, claim.attempt + 1));
        let begun_ms = begun.copied().unwrap_or(self.now_ms);
        let write = Write::Record(Box::new(record_of(&claim, begun_ms, next.clone())));
        let written = self.bench.write_as(&self.name(n), write).await;
        let cancelled = self.run == RunState::Cancelled;
        let row = self.rows.get_mut(&claim.id).unwrap();
        let attempt = claim.attempt + 1;
        let new = attempt <= row.attempt && self.recorded.insert((claim.id, attempt));
        let counts = new && row.state == DeliveryState::Sending && row.attempt == attempt;
        assert_eq!(written == Written::Done, counts);
        if !counts {
            return;
        }
        row.holder = None;
        row.until_ms = 0;
        row.state = if cancelled && matches!(next, Next::Pending { .. }) {
            DeliveryState::Cancelled
        } else if cancelled && matches!(next, Next::Unanswered { .. }) {
            DeliveryState::Uncertain
        } else {
            next.state()
        };
        match next {
            Next::Pending { .. } => {
                row.due_ms = due_ms;
                row.revision += u32::from(anew);
            }
            Next::Unanswered { .. } if !cancelled => row.until_ms = due_ms,
            Next::Unanswered { .. } | Next::Sent { .. } | Next::Failed | Next::Uncertain => {}
        }
    }

    async fn release(&mut self, (n, claim): (usize, Claim), choice: usize) {
        let due_ms = self.now_ms + 300;
        let next = [
            None,
            Some(super::bench::pending(due_ms, 1)),
            Some(Next::Failed),
            Some(Next::Unanswered {
                again_at: at(due_ms),
                tries: 1,
            }),
        ][choice]
            .clone();
        let write = Write::Release(Box::new(release_of(&claim, next.clone())));
        let written = self.bench.write_as(&self.name(n), write).await;
        let row = self.rows.get_mut(&claim.id).unwrap();
        let pending = row.state == DeliveryState::Pending;
        // Without an answer it can only be given back as it was, or to be looked at later.
        let doubt = row.state == DeliveryState::Sending && matches!(choice, 0 | 3);
        let mine = row.holder == Some(n)
            && row.attempt == claim.attempt
            && (pending && choice != 3 || doubt);
        assert_eq!(written == Written::Done, mine);
        if mine && doubt {
            row.holder = None;
            row.until_ms = if choice == 3 { due_ms } else { 0 };
            row.left_in(self.run);
        } else if mine {
            row.holder = None;
            row.until_ms = 0;
            if let Some(next) = next {
                row.state = next.state();
                if row.state == DeliveryState::Pending {
                    row.due_ms = due_ms;
                }
            }
        }
    }

    /// The doubt about an attempt ends: found in its chat, or left to a person.
    async fn settle(&mut self, (n, claim): (usize, Claim), verdict: Verdict) {
        let to = verdict.state();
        let write = Write::Settle(Box::new(settle_of(&claim, self.now_ms, verdict)));
        let written = self.bench.write_as(&self.name(n), write).await;
        let row = self.rows.get_mut(&claim.id).unwrap();
        let mine = row.holder == Some(n)
            && row.attempt == claim.attempt
            && row.state == DeliveryState::Sending;
        assert_eq!(written == Written::Done, mine);
        if mine {
            row.holder = None;
            row.until_ms = 0;
            row.state = to;
        }
    }

    async fn retire(&mut self, n: usize) {
        let name = self.name(n);
        self.bench.ledger.retire(&name).await.unwrap();
        for row in self.rows.values_mut() {
            if row.holder == Some(n) {
                row.holder = None;
                row.until_ms = 0;
            }
        }
        self.claims.retain(|(owner, _)| *owner != n);
        self.names[n] += 1;
        let name = self.name(n);
        self.bench
            .ledger
            .enlist(&name, at(self.now_ms))
            .await
            .unwrap();
    }

    async fn set_state(&mut self, to: RunState) {
        let run = &self.bench.run.run;
        let changed = self
            .bench
            .ledger
            .set_state(run, to, None, at(self.now_ms))
            .await;
        let allowed = self.run == to || self.run.may_become(to);
        assert_eq!(changed.is_ok(), allowed);
        if allowed {
            self.run = to;
        }
        if allowed && to == RunState::Cancelled {
            for row in self.rows.values_mut() {
                let on_the_wire = row.holder.is_some() && row.until_ms > self.now_ms;
                if row.state == DeliveryState::Pending {
                    row.state = DeliveryState::Cancelled;
                } else if row.state == DeliveryState::Sending && !on_the_wire {
                    row.state = DeliveryState::Uncertain;
                }
            }
        }
    }

    async fn retry(&mut self, key: RetryKey) {
        let wanted = Retry {
            code: None,
            only: None,
            taken: false,
            key,
        };
        let run = &self.bench.run.run;
        let now = at(self.now_ms);
        let done = self.bench.ledger.retry(run, &wanted, now).await;
        if self.run == RunState::Cancelled {
            assert!(done.is_err());
            return;
        }
        let mut put_back = 0;
        for row in self.rows.values_mut() {
            if row.state == DeliveryState::Failed {
                row.state = DeliveryState::Pending;
                row.revision += u32::from(key == RetryKey::Revised);
                row.due_ms = self.now_ms;
                put_back += 1;
            }
        }
        let told: u64 = done.unwrap().into_iter().map(|(_, n)| n).sum();
        assert_eq!(told, put_back);
        if put_back > 0 && self.run == RunState::Finished {
            self.run = RunState::Running;
        }
    }

    async fn resolve(&mut self, which: usize, by: Resolution) {
        let (&id, row) = self.rows.iter_mut().nth(which % 8).unwrap();
        let run = &self.bench.run.run;
        let now = at(self.now_ms);
        let done = self.bench.ledger.resolve(run, id, by, now).await;
        assert_eq!(done.unwrap(), row.state == DeliveryState::Uncertain);
        if row.state != DeliveryState::Uncertain {
            return;
        }
        row.state = match (by, self.run) {
            (Resolution::Sent, _) => DeliveryState::Sent,
            (Resolution::Unsent, RunState::Cancelled) => DeliveryState::Cancelled,
            (Resolution::Unsent, _) => DeliveryState::Pending,
        };
        row.due_ms = self.now_ms;
        row.holder = None;
        row.until_ms = 0;
        if row.state == DeliveryState::Pending && self.run == RunState::Finished {
            self.run = RunState::Running;
        }
    }

    async fn finish(&mut self) {
        let run = &self.bench.run.run;
        let done = self.bench.ledger.finish_if_done(run, at(self.now_ms)).await;
        let open = self.rows.values().any(|row| !row.state.is_settled());
        if self.run == RunState::Running && !open {
            self.run = RunState::Finished;
        }
        assert_eq!(done.unwrap(), self.run == RunState::Finished);
    }

    async fn go(&mut self, step: Step) {
        let pick = |n: usize, claims: &[(usize, Claim)]| {
            let index = n.checked_rem(claims.len())?;
            // The newest are the likeliest to be of use.
            claims.iter().rev().nth(index.min(n % 5)).cloned()
        };
        match step {
            Step::Claim { owner, most } => self.claim(owner, most, Admission::Now).await,
            Step::Admit { owner, skip } => {
                let hold = Admission::Hold {
                    until: at(self.now_ms + 400),
                    hold: Hold::Window,
                };
                let skip = skip.then_some(Admission::Skip(SkipReason::Expired));
                self.claim(owner, 1, skip.unwrap_or(hold)).await;
            }
            Step::Begin { claim } => {
                if let Some(claim) = pick(claim, &self.claims) {
                    self.begin(claim).await;
                }
            }
            Step::Record { claim, next } => {
                if let Some(claim) = pick(claim, &self.claims) {
                    self.record(claim, next).await;
                }
            }
            Step::Release { claim, next } => {
                if let Some(claim) = pick(claim, &self.claims) {
                    self.release(claim, next).await;
                }
            }
            Step::Settle { claim, found } => {
                if let Some(claim) = pick(claim, &self.claims) {
                    self.settle(claim, if found { self::found() } else { uncertain() })
                        .await;
                }
            }
            Step::Wait { ms } => self.now_ms += ms,
            Step::Retire { owner } => self.retire(owner).await,
            Step::Pause => self.set_state(RunState::Paused).await,
            Step::Resume => {
                if self.run != RunState::Finished {
                    self.set_state(RunState::Running).await;
                }
            }
            Step::Cancel => self.set_state(RunState::Cancelled).await,
            Step::Finish => self.finish().await,
            Step::Retry { key } => self.retry(key).await,
            Step::Resolve { which, by } => self.resolve(which, by).await,
        }
    }

    /// The ledger and the model agree, and nothing went where the state machine has no edge.
    async fn compare(&self, before: &BTreeMap<i64, Modelled>) {
        let records = self.bench.all().await;
        assert_eq!(records.len(), self.rows.len());
        for record in &records {
            let row = &self.rows[&record.id];
            let kept = (record.state, record.attempts, record.revision);
            assert_eq!(kept, (row.state, row.attempt, row.revision));
            let was = &before[&record.id];
            assert!(record.attempts >= was.attempt);
            let moved = was.state != record.state;
            // On the wire or in doubt, and then for nobody to take up again.
            let by_two = record.state == DeliveryState::Cancelled
                && matches!(was.state, DeliveryState::Sending | DeliveryState::Uncertain);
            assert!(!moved || by_two || was.state.may_become(record.state));
        }
        let counts = self.bench.counts().await;
        assert_eq!(counts.total(), u64::from(ROWS) + 1);
        for (state, n) in counts.iter() {
            let modelled = self.rows.values().filter(|row| row.state == state).count();
            assert_eq!(n, modelled as u64);
        }
    }
}

pub(super) async fn every_walk_agrees_with_the_model(store: &dyn Store) {
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 60..120);
    for n in 0..WALKS {
        let mut walker = Walker::new(store, n).await;
        let walk = steps.new_tree(&mut runner).unwrap().current();
        let last = walk.len() - 1;
        for (at, step) in walk.into_iter().enumerate() {
            let before = walker.rows.clone();
            walker.go(step).await;
            walker.compare(&before).await;
            if at % PROVED_EVERY == 0 || at == last {
                assert_proved(&*walker.bench.ledger, &walker.bench.run.run).await;
            }
        }
    }
}
