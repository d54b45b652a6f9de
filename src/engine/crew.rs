//! A worker: one process that drives every run it is to drive, for as long as it lives. Joins runs
//! when they appear, leaves those that end or are stopped, and goes on with the others. Begins no
//! run itself; which runs it wants, and what each is driven with, is its caller's to say.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::clock::Clock;
use super::dispatch::{Ended, Engine, Session, Share, Shutdown, WhenIdle, dispatch};
use super::ears::Ears;
use super::floor::SHORT_WAIT;
use super::heard::Heard;
use super::leases::Leases;
use super::limiter::Guard;
use super::patient::{Patient, passes};
use super::pulse::Pulse;
use super::settle::later;
use super::tally::Tally;
use crate::domain::run::{RunId, RunState};
use crate::gateway::Gateway;
use crate::ledger::{Ledger, LedgerError, Limits, Owner, RunRecord, Running, Worker};

/// Runs are looked for so often.
const LOOK: Duration = Duration::from_secs(1);
/// After a second signal: enough to write down what is known already.
const GRACE: Duration = Duration::from_secs(2);

/// Who works, and on what.
#[derive(Debug, Clone)]
pub struct Crew {
    pub ledger: Arc<Patient>,
    pub clock: Arc<dyn Clock>,
    pub worker: Worker,
    /// The worker's own name among the owners, while it waits for runs.
    pub owner: Owner,
    pub share: Option<Share>,
    pub when_idle: WhenIdle,
}

/// What a run is driven with.
#[derive(Debug, Clone)]
pub struct Outfit {
    pub gateway: Arc<dyn Gateway>,
    pub limits: Limits,
    pub guard: Guard,
    pub ears: Ears,
    pub owner: Owner,
    pub seed: u64,
}

/// What is new to whoever looks on.
#[derive(Debug, Clone)]
pub enum News {
    Joined {
        run: RunId,
    },
    /// The worker's part in a run has ended.
    Left {
        run: RunId,
        how: Ended,
        /// Messages that were accepted from this worker since it joined.
        sent: u64,
    },
    /// The ledger is waited for.
    Waiting {
        why: String,
    },
    /// It is there again.
    Back,
}

/// Says which runs a worker drives, and hears how it goes.
pub trait Choose: Sync {
    type Error: From<LedgerError>;

    /// Whether the worker is to care for a run at all.
    fn wants(&self, run: &Running) -> bool;

    /// What the run is driven with; `None`: it is to be left alone from now on, and whoever
    /// should know has been told. An error ends the worker.
    fn outfit(
        &self,
        run: &RunRecord,
    ) -> impl Future<Output = Result<Option<Outfit>, Self::Error>> + Send;

    fn tell(&self, news: News);
}

/// Why a worker left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaving {
    /// Nothing is due soon; `open`: in some run something still is.
    Idle { open: bool },
    /// It was told to; in these runs something on the wire was given up.
    Told { given_up: Vec<RunId> },
}

/// Works until it is told to leave or, if it is not to wait, until nothing is due soon.
///
/// A crash at any moment leaves the ledger whole, as with [`dispatch`]: each run has an owner of
/// its own, whose leases end with the process.
pub async fn work<C: Choose>(
    crew: &Crew,
    choose: &C,
    shutdown: &Shutdown,
) -> Result<Leaving, C::Error> {
    let ledger = &crew.ledger;
    ledger.enlist(&crew.owner, crew.clock.now()).await?;
    ledger.attend(&crew.owner, &crew.worker, None).await?;
    let pulse = Pulse {
        ledger: ledger.clone(),
        clock: crew.clock.clone(),
        owner: crew.owner.clone(),
        leases: Arc::new(Leases::default()),
        heard: Arc::new(Heard::new(Instant::now(), None)),
        lease: SHORT_WAIT,
    };
    let alive = CancellationToken::new();
    let pulse = AbortOnDropHandle::new(tokio::spawn(pulse.beat(alive.clone())));
    let mut hands = Hands::new(crew, choose, shutdown);
    let left = hands.work().await;
    let given_up = hands.finish().await;
    alive.cancel();
    let end = async {
        pulse.await.ok();
        ledger.retire(&crew.owner).await
    };
    tokio::select! {
        // cancel-safe: this name holds nothing; the ledger forgets it without being told, too
        ended = end => if let Err(error) = ended {
            tracing::warn!(%error, "the ledger was not told of the end");
        },
        // cancel-safe: a timer
        () = aborted(&shutdown.abort) => {}
    }
    let (left, given_up) = (left?, given_up?);
    Ok(match left {
        Leaving::Told { .. } => Leaving::Told { given_up },
        Leaving::Idle { open } => Leaving::Idle { open },
    })
}

/// How a worker's part in a run ended.
type Part = (RunId, Result<Ended, LedgerError>);

/// What a look at the ledger has found.
struct Seen {
    /// The wanted runs that are running.
    running: HashSet<RunId>,
    join: Vec<(RunRecord, Outfit)>,
    decline: Vec<RunId>,
}

/// The state of one call of [`work`].
struct Hands<'a, C> {
    crew: &'a Crew,
    choose: &'a C,
    shutdown: &'a Shutdown,
    parts: JoinSet<Part>,
    /// The runs that are worked on.
    on: HashMap<RunId, Arc<Tally>>,
    /// Those in which nothing was due, and until when.
    resting: HashMap<RunId, Timestamp>,
    declined: HashSet<RunId>,
    /// Runs that it worked on until somebody stopped them, with something open.
    stopped: HashSet<RunId>,
    /// What was last told of the ledger.
    waiting: bool,
}

impl<'a, C: Choose> Hands<'a, C> {
    fn new(crew: &'a Crew, choose: &'a C, shutdown: &'a Shutdown) -> Self {
        Self {
            crew,
            choose,
            shutdown,
            parts: JoinSet::new(),
            on: HashMap::new(),
            resting: HashMap::new(),
            declined: HashSet::new(),
            stopped: HashSet::new(),
            waiting: false,
        }
    }

    async fn work(&mut self) -> Result<Leaving, C::Error> {
        let told = Leaving::Told {
            given_up: Vec::new(),
        };
        let (crew, choose) = (self.crew, self.choose);
        let mut looking = Box::pin(look(crew, choose, self.not_to_join(), Duration::ZERO));
        loop {
            self.tell_of_ledger();
            tokio::select! {
                biased;
                // cancel-safe: nothing is held while waiting
                () = self.shutdown.stop.cancelled() => return Ok(told),
                // cancel-safe: a part that has ended stays in the set until it is read
                Some(part) = self.parts.join_next() => self.ended(part)?,
                // cancel-safe: goes on where it was
                seen = &mut looking => {
                    if let Some(leaving) = self.take_in(seen?) {
                        return Ok(leaving);
                    }
                    looking.set(look(crew, choose, self.not_to_join(), LOOK));
                }
                // cancel-safe: a timer
                () = sleep(LOOK) => {}
            }
        }
    }

    /// Runs that are not to be joined at the next look.
    fn not_to_join(&self) -> HashSet<RunId> {
        let soon = later(self.crew.clock.now(), SHORT_WAIT);
        let resting = self.resting.iter().filter(|(_, until)| **until > soon);
        let resting = resting.map(|(run, _)| run);
        let runs = self.on.keys().chain(&self.declined).chain(resting);
        runs.cloned().collect()
    }

    /// Joins what is to be joined; says whether it is time to leave.
    fn take_in(&mut self, seen: Seen) -> Option<Leaving> {
        self.resting.retain(|run, _| seen.running.contains(run));
        self.declined.retain(|run| seen.running.contains(run));
        self.declined.extend(seen.decline);
        for (record, outfit) in seen.join {
            self.join(record, outfit);
        }
        let idle = self.crew.when_idle == WhenIdle::Leave && self.parts.is_empty();
        idle.then_some(Leaving::Idle {
            open: !self.stopped.is_empty() || !seen.running.is_empty(),
        })
    }

    fn join(&mut self, record: RunRecord, outfit: Outfit) {
        let crew = self.crew;
        let run = record.run.clone();
        let tally = Arc::new(Tally::default());
        let engine = Engine {
            ledger: crew.ledger.clone(),
            gateway: outfit.gateway,
            clock: crew.clock.clone(),
            run: record,
            limits: outfit.limits,
            guard: outfit.guard,
            ears: outfit.ears,
            tally: tally.clone(),
        };
        let session = Session {
            owner: outfit.owner,
            worker: crew.worker.clone(),
            share: crew.share.clone(),
            limit: None,
            only: None,
            when_idle: crew.when_idle,
            seed: outfit.seed,
        };
        let shutdown = self.shutdown.clone();
        self.resting.remove(&run);
        self.stopped.remove(&run);
        self.on.insert(run.clone(), tally);
        self.choose.tell(News::Joined { run: run.clone() });
        self.parts.spawn(async move {
            let ended = dispatch(&engine, &session, &shutdown).await;
            (run, ended)
        });
    }

    /// A part has ended while the worker goes on.
    fn ended(&mut self, part: Result<Part, JoinError>) -> Result<(), LedgerError> {
        let (run, ended) = part.map_err(|error| died(&error))?;
        let sent = self.sent(&run);
        let how = ended?;
        match &how {
            Ended::Idle { next_at } => {
                self.resting.insert(run.clone(), *next_at);
            }
            Ended::Halted { .. } | Ended::State(RunState::Paused | RunState::Halted) => {
                self.stopped.insert(run.clone());
            }
            Ended::Finished
            | Ended::LimitReached
            | Ended::Interrupted
            | Ended::Aborted
            | Ended::State(RunState::Running | RunState::Finished | RunState::Cancelled) => {}
        }
        self.choose.tell(News::Left { run, how, sent });
        Ok(())
    }

    fn sent(&mut self, run: &RunId) -> u64 {
        let tally = self.on.remove(run);
        tally.map_or(0, |tally| tally.snapshot().sent_here)
    }

    fn tell_of_ledger(&mut self) {
        let trouble = self.crew.ledger.trouble();
        let news = match trouble {
            Some(why) if !self.waiting => News::Waiting { why },
            None if self.waiting => News::Back,
            Some(_) | None => return,
        };
        self.waiting = !self.waiting;
        self.choose.tell(news);
    }

    /// Ends every part; says in which runs something was left on the wire. A fault that ends the
    /// worker is told by whoever met it first.
    async fn finish(&mut self) -> Result<Vec<RunId>, LedgerError> {
        self.shutdown.stop.cancel();
        let mut given_up = Vec::new();
        let mut fault = Ok(());
        let mut aborted = std::pin::pin!(aborted(&self.shutdown.abort));
        loop {
            tokio::select! {
                biased;
                // cancel-safe: a part that has ended stays in the set until it is read
                part = self.parts.join_next() => match part {
                    None => break,
                    Some(part) => fault = fault.and(self.finished(part, &mut given_up)),
                },
                // cancel-safe: goes on where it was; the parts are given up when it is over
                () = &mut aborted => {
                    self.parts.shutdown().await;
                    given_up.extend(self.on.drain().map(|(run, _)| run));
                    break;
                }
                // cancel-safe: a timer
                () = sleep(LOOK) => self.tell_of_ledger(),
            }
        }
        given_up.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        fault.map(|()| given_up)
    }

    fn finished(
        &mut self,
        part: Result<Part, JoinError>,
        given_up: &mut Vec<RunId>,
    ) -> Result<(), LedgerError> {
        let (run, ended) = part.map_err(|error| died(&error))?;
        let sent = self.sent(&run);
        match ended {
            // It was away at the wrong moment: what is not recorded is asked for again.
            Err(error) if passes(&error) => given_up.push(run),
            Err(error) => return Err(error),
            Ok(how) => {
                if how == Ended::Aborted {
                    given_up.push(run.clone());
                }
                self.choose.tell(News::Left { run, how, sent });
            }
        }
        Ok(())
    }
}

async fn aborted(abort: &CancellationToken) {
    abort.cancelled().await;
    sleep(GRACE).await;
}

/// What there is to join, after a wait.
async fn look<C: Choose>(
    crew: &Crew,
    choose: &C,
    not_to_join: HashSet<RunId>,
    wait: Duration,
) -> Result<Seen, C::Error> {
    sleep(wait).await;
    let mut running = crew.ledger.running().await?;
    running.retain(|one| !one.run.is_rehearsal() && choose.wants(one));
    let mut seen = Seen {
        running: running.iter().map(|one| one.run.clone()).collect(),
        join: Vec::new(),
        decline: Vec::new(),
    };
    for Running { run, .. } in running {
        if not_to_join.contains(&run) {
            continue;
        }
        let record = crew.ledger.run(&run).await?;
        // It may have ended since.
        let Some(record) = record.filter(|record| record.state == RunState::Running) else {
            continue;
        };
        match choose.outfit(&record).await? {
            Some(outfit) => seen.join.push((record, outfit)),
            None => seen.decline.push(run),
        }
    }
    Ok(seen)
}

fn died(error: &JoinError) -> LedgerError {
    LedgerError::Fault(format!("the work on a run ended unexpectedly ({error})"))
}
