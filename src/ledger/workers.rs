//! Who works on the ledger: processes by their names, and what each holds. Types, and how rows
//! become them; who counts as gone is each database's to say.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;

use super::rows::{instant, number, stored};
use super::{LedgerError, Owner};
use crate::domain::run::RunId;

/// A process that claims, however many runs it works on. Not used by any other that lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Worker(pub String);

/// No host is called by more than that many characters here.
const LONGEST_HOST: usize = 63;

impl Worker {
    /// `HOST:PROCESS:MARK`. The mark tells apart what has host and number in common: containers,
    /// or a process and one before it.
    pub fn new(host: &str, process: u32, mark: u16) -> Self {
        let host: String = host
            .chars()
            .take(LONGEST_HOST)
            .map(|c| match c {
                c if c.is_ascii_alphanumeric() => c,
                '.' | '_' => c,
                _ => '-',
            })
            .collect();
        let host = if host.is_empty() { "unknown" } else { &host };
        Self(format!("{host}:{process}:{mark:04x}"))
    }

    /// `process 4711 on web-2`
    pub fn in_words(&self) -> String {
        let mut parts = self.0.rsplitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(process), Some(host)) => format!("process {process} on {host}"),
            _ => format!("worker {}", self.0),
        }
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A run that is `running`, as one who looks for work needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub run: RunId,
    pub gateway: String,
}

/// A worker that is not known to be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    pub worker: Worker,
    pub since: Timestamp,
    /// How long ago it last said that it lives, by the ledger's clock; about a second at most
    /// for one that is well. `None`: it is not known.
    pub silent: Option<SignedDuration>,
    /// The runs that it works on; none for one that waits for runs.
    pub holds: Vec<Holding>,
}

impl AtWork {
    /// All that it holds.
    pub fn leased(&self) -> u64 {
        self.holds.iter().map(|one| one.leased).sum()
    }

    /// What of it is on the wire.
    pub fn on_wire(&self) -> u64 {
        self.holds.iter().map(|one| one.on_wire).sum()
    }

    /// The worker as far as it has to do with one run; `None` where it has nothing.
    pub fn on(&self, run: &RunId) -> Option<Self> {
        let of_run = self.holds.iter().filter(|one| one.run == *run);
        let holds: Vec<Holding> = of_run.cloned().collect();
        (!holds.is_empty()).then(|| Self {
            holds,
            ..self.clone()
        })
    }
}

/// What a worker holds of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub run: RunId,
    /// Deliveries that nobody else may send now.
    pub leased: u64,
    /// Those among them that are begun and without an answer.
    pub on_wire: u64,
}

#[derive(FromRow)]
pub(super) struct RunningRow {
    run: String,
    gateway: String,
}

impl TryFrom<RunningRow> for Running {
    type Error = LedgerError;
    fn try_from(row: RunningRow) -> Result<Self, LedgerError> {
        Ok(Self {
            run: stored(RunId::parse(&row.run))?,
            gateway: row.gateway,
        })
    }
}

/// The process behind an owner. One that came back after it was forgotten has not said it again.
pub(super) fn worker(name: Option<String>, owner: &Owner) -> Worker {
    Worker(name.unwrap_or_else(|| owner.0.clone()))
}

/// An owner that is not known to be gone.
#[derive(FromRow)]
pub(super) struct OwnerRow {
    pub(super) owner: String,
    worker: Option<String>,
    enlisted_at: i64,
    run_id: Option<i64>,
    run: Option<String>,
    pub(super) silent_ms: Option<i64>,
}

/// Leases of a run: the owner, the state, how many.
pub(super) type HeldRow = (String, String, i64);

/// The runs that somebody works on, each once.
pub(super) fn runs_of(owners: &[OwnerRow]) -> Vec<i64> {
    let mut runs: Vec<i64> = owners.iter().filter_map(|one| one.run_id).collect();
    runs.sort_unstable();
    runs.dedup();
    runs
}

/// Owners by the workers they belong to, in the order in which these came.
pub(super) fn at_work(owners: Vec<OwnerRow>, held: &[HeldRow]) -> Result<Vec<AtWork>, LedgerError> {
    let mut by_owner: HashMap<&str, (u64, u64)> = HashMap::new();
    for (owner, state, n) in held {
        let n: u64 = number(*n)?;
        let (leased, on_wire) = by_owner.entry(owner).or_default();
        *leased += n;
        if state == "sending" {
            *on_wire += n;
        }
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut workers: Vec<AtWork> = Vec::new();
    for row in owners {
        let owner = Owner(row.owner);
        let worker = worker(row.worker, &owner);
        let place = *places.entry(worker.0.clone()).or_insert(workers.len());
        let since = instant(row.enlisted_at)?;
        let silent = row.silent_ms.map(SignedDuration::from_millis);
        if place == workers.len() {
            workers.push(AtWork {
                worker,
                since,
                silent,
                holds: Vec::new(),
            });
        }
        let Some(one) = workers.get_mut(place) else {
            continue;
        };
        one.since = one.since.min(since);
        one.silent = [one.silent, silent].into_iter().flatten().min();
        if let Some(run) = row.run {
            let (leased, on_wire) = by_owner.get(owner.0.as_str()).copied().unwrap_or_default();
            let run = stored(RunId::parse(&run))?;
            // One that has come back to a run has left nothing to its name of before.
            match one.holds.iter_mut().find(|other| other.run == run) {
                Some(same) => {
                    same.leased += leased;
                    same.on_wire += on_wire;
                }
                None => one.holds.push(Holding {
                    run,
                    leased,
                    on_wire,
                }),
            }
        }
    }
    Ok(workers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(owner: &str, worker: Option<&str>, run: Option<(i64, &str)>) -> OwnerRow {
        OwnerRow {
            owner: owner.to_owned(),
            worker: worker.map(str::to_owned),
            enlisted_at: 1_000,
            run_id: run.map(|(id, _)| id),
            run: run.map(|(_, name)| name.to_owned()),
            silent_ms: Some(400),
        }
    }

    #[test]
    fn a_worker_is_told_once_with_all_its_runs() {
        let one = Some("web-2:12:0f3a");
        let owners = vec![
            row("a", one, None),
            row("b", one, Some((1, "hello@once"))),
            row("x", None, Some((1, "hello@once"))),
            row("c", one, Some((2, "spring@once"))),
        ];
        assert_eq!(runs_of(&owners), [1, 2]);
        let held = [
            ("b", "pending", 5),
            ("b", "sending", 2),
            ("c", "pending", 1),
        ];
        let held = held.map(|(owner, state, n)| (owner.to_owned(), state.to_owned(), n));
        let workers = at_work(owners, &held).unwrap();
        let names: Vec<&str> = workers.iter().map(|one| one.worker.0.as_str()).collect();
        assert_eq!(names, ["web-2:12:0f3a", "x"]);
        let holds = [workers[0].leased(), workers[0].on_wire()];
        assert_eq!((workers[0].holds.len(), holds), (2, [8, 2]));
        assert_eq!(workers[1].leased(), 0);
        let hello = RunId::parse("hello@once").unwrap();
        assert_eq!(workers[0].on(&hello).unwrap().leased(), 7);
        assert_eq!(workers[1].on(&RunId::parse("other@once").unwrap()), None);
    }

    #[test]
    fn a_name_can_be_read_whatever_the_host_is_called() {
        let words = |host: &str| Worker::new(host, 4711, 0xf3a).in_words();
        assert_eq!(Worker::new("web-2", 4711, 0xf3a).0, "web-2:4711:0f3a");
        assert_eq!(words("web-2"), "process 4711 on web-2");
        assert_eq!(words("a b:c/d"), "process 4711 on a-b-c-d");
        assert_eq!(words(""), "process 4711 on unknown");
        assert_eq!(Worker("0f3a-812".to_owned()).in_words(), "worker 0f3a-812");
    }
}
