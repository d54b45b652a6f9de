//! The ledger as it lies on the disk, for what no report shows: attempts one by one, leases,
//! waits. Reads a copy, so that looking at what a killed process left does not mend it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, FromRow};

use crate::support::{Journal, PostgresDatabase, Project, Stage};

/// The ledger of every stage.
pub(super) const LEDGER: &str = "sendoff.db";

const DELIVERIES: &str = "
    SELECT d.id, m.phone, d.line,
        CASE WHEN d.state IN ('delivered', 'read') THEN 'sent' ELSE d.state END AS state, CAST(d.attempt AS BIGINT) AS attempt, d.due_at,
        d.lease_owner, d.lease_until, d.message_id
    FROM deliveries d JOIN messages m ON m.id = d.id";
const ATTEMPTS: &str = "
    SELECT delivery_id, CAST(attempt AS BIGINT) AS attempt, begun_at, ended_at, outcome, late,
        CAST(http AS BIGINT) AS http, due_at
    FROM attempts
    ORDER BY delivery_id, attempt";
const EVENTS: &str = "SELECT what FROM events WHERE delivery_id IS NOT NULL";
const SENDING: &str = "
    SELECT DISTINCT lease_owner FROM deliveries
    WHERE state = 'sending' AND lease_owner IS NOT NULL";

const PUT_OFF: &str = "
    SELECT COUNT(*) FROM deliveries
    WHERE state = 'sending' AND lease_owner IS NULL AND lease_until > $1";
const BEGUN: &str = "SELECT COUNT(*) FROM deliveries WHERE state = 'sending'";

/// A row of `deliveries`, with its person.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct Delivery {
    pub(super) id: i64,
    pub(super) phone: String,
    pub(super) line: String,
    pub(super) state: String,
    /// Attempts begun.
    #[sqlx(try_from = "i64")]
    pub(super) attempt: u32,
    pub(super) due_at: i64,
    pub(super) lease_owner: Option<String>,
    pub(super) lease_until: Option<i64>,
    pub(super) message_id: Option<String>,
}

/// A row of `attempts`.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct Attempt {
    #[sqlx(rename = "delivery_id")]
    pub(super) delivery: i64,
    /// From 1.
    #[sqlx(rename = "attempt", try_from = "i64")]
    pub(super) number: u32,
    pub(super) begun_at: i64,
    /// None: the process ended before it knew.
    pub(super) ended_at: Option<i64>,
    pub(super) outcome: String,
    pub(super) late: bool,
    pub(super) http: Option<i64>,
    /// When the delivery is due again.
    pub(super) due_at: Option<i64>,
}

/// What the ledger holds, as far as these tests look at it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) deliveries: BTreeMap<i64, Delivery>,
    /// By delivery, in order.
    pub(super) attempts: BTreeMap<i64, Vec<Attempt>>,
    /// How often each kind of thing has happened to a delivery besides its attempts.
    pub(super) events: BTreeMap<String, usize>,
}

/// By how many milliseconds the clock of the ledger's server may have been taken wrongly: it is
/// asked over a connection, on a machine that is busy.
const MEASURED: i64 = 25;

impl Books {
    /// The ledger of a stage at which nobody works now. Empty where there is none, or no run.
    pub(super) async fn of(stage: &Stage) -> Self {
        Self::at(&stage.project, stage.database.as_ref()).await
    }

    /// The same of any project whose ledger is at its usual place, or in a database.
    pub(super) async fn at(project: &Project, database: Option<&PostgresDatabase>) -> Self {
        if let Some(database) = database {
            let mut ledger = database.connect().await;
            let deliveries = sqlx::query_as(DELIVERIES).fetch_all(&mut ledger).await;
            let attempts = sqlx::query_as(ATTEMPTS).fetch_all(&mut ledger).await;
            let events: Result<Vec<String>, _> =
                sqlx::query_scalar(EVENTS).fetch_all(&mut ledger).await;
            return Self::new(deliveries.unwrap(), attempts.unwrap(), &events.unwrap());
        }
        let copy = tempfile::tempdir().unwrap();
        let path = copy.path().join(LEDGER);
        for end in ["", "-wal"] {
            let from = project.path(format!("{LEDGER}{end}"));
            if from.exists() {
                fs::copy(from, copy.path().join(format!("{LEDGER}{end}"))).unwrap();
            }
        }
        if path.exists() {
            Self::read(&path).await
        } else {
            Self::default()
        }
    }

    async fn read(path: &Path) -> Self {
        let mut ledger = open(path, Access::Whole).await;
        let tables = sqlx::query("SELECT 1 FROM sqlite_schema WHERE name = 'attempts'");
        if tables.fetch_optional(&mut ledger).await.unwrap().is_none() {
            return Self::default();
        }
        let deliveries = sqlx::query_as(DELIVERIES).fetch_all(&mut ledger).await;
        let attempts = sqlx::query_as(ATTEMPTS).fetch_all(&mut ledger).await;
        let events: Result<Vec<String>, _> =
            sqlx::query_scalar(EVENTS).fetch_all(&mut ledger).await;
        Self::new(deliveries.unwrap(), attempts.unwrap(), &events.unwrap())
    }

    fn new(deliveries: Vec<Delivery>, rows: Vec<Attempt>, told: &[String]) -> Self {
        let mut attempts: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
        for row in rows {
            attempts.entry(row.delivery).or_default().push(row);
        }
        Self {
            deliveries: deliveries.into_iter().map(|one| (one.id, one)).collect(),
            attempts,
            events: count(told),
        }
    }

    pub(super) fn in_state<'a>(&'a self, state: &'a str) -> impl Iterator<Item = &'a Delivery> {
        self.deliveries
            .values()
            .filter(move |one| one.state == state)
    }

    /// Every attempt of everybody.
    pub(super) fn all_attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.values().flatten()
    }

    /// The story is whole: every attempt that was begun is written down, in order, and no
    /// request has left without one that had been begun before.
    pub(super) fn assert_whole(&self, journal: &Journal) {
        let mut posts: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
        for post in journal.posts() {
            let to = post.to.as_deref().unwrap();
            posts.entry(to).or_default().push(post.at);
        }
        for delivery in self.deliveries.values() {
            let attempts = &self.attempts[&delivery.id];
            let numbers: Vec<u32> = attempts.iter().map(|one| one.number).collect();
            let begun: Vec<u32> = (1..=delivery.attempt).collect();
            assert_eq!(numbers, begun, "{delivery:?}");
            let posts = posts.get(&*delivery.phone).map_or(&[][..], Vec::as_slice);
            for (number, at) in (1..).zip(posts) {
                let before = |one: &&Attempt| one.begun_at <= at.as_millisecond() + MEASURED;
                let begun = attempts.iter().filter(before).count();
                assert!(begun >= number, "sent before it was begun: {delivery:?}");
            }
        }
    }
}

fn count(told: &[String]) -> BTreeMap<String, usize> {
    let mut events = BTreeMap::new();
    for what in told {
        let what: serde_json::Value = serde_json::from_str(what).unwrap();
        let name = what["event"].as_str().unwrap().to_owned();
        *events.entry(name).or_default() += 1;
    }
    events
}

/// Who has attempts on their way at this moment.
pub(super) async fn sending(stage: &Stage) -> Vec<String> {
    let owners = sqlx::query_scalar(SENDING);
    if let Some(database) = &stage.database {
        return owners
            .fetch_all(&mut database.connect().await)
            .await
            .unwrap();
    }
    let mut ledger = open(&stage.project.path(LEDGER), Access::Look).await;
    let owners = sqlx::query_scalar(SENDING);
    owners.fetch_all(&mut ledger).await.unwrap()
}

/// How many attempts in doubt are left alone until some time after this one, in milliseconds since
/// the epoch; in a ledger beside which processes work.
pub(super) async fn put_off(
    file: &Path,
    database: Option<&PostgresDatabase>,
    beyond_ms: i64,
) -> i64 {
    if let Some(database) = database {
        let count = sqlx::query_scalar(PUT_OFF).bind(beyond_ms);
        return count
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    }
    let mut ledger = open(file, Access::Look).await;
    let count = sqlx::query_scalar(PUT_OFF).bind(beyond_ms);
    // Whoever opens a file after a kill locks it for as long as it mends it.
    count.fetch_one(&mut ledger).await.unwrap_or(0)
}

/// How many attempts are begun and have no outcome at this moment.
pub(super) async fn begun(stage: &Stage) -> i64 {
    let begun = sqlx::query_scalar(BEGUN);
    if let Some(database) = &stage.database {
        return begun
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    }
    let mut ledger = open(&stage.project.path(LEDGER), Access::Look).await;
    let begun = sqlx::query_scalar(BEGUN);
    begun.fetch_one(&mut ledger).await.unwrap()
}

/// Whether nobody is in the middle of a change. A process that is stopped there keeps all others
/// from a file until it goes on, and from a server for a while; what this is about is elsewhere.
pub(super) async fn is_free(stage: &Stage) -> bool {
    if let Some(database) = &stage.database {
        let changes = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND backend_type = 'client backend' AND state <> 'idle'",
        );
        let mut connection = database.connect().await;
        let changes: i64 = changes.fetch_one(&mut connection).await.unwrap();
        return changes == 0;
    }
    let mut ledger = open(&stage.project.path(LEDGER), Access::Whole).await;
    let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut ledger).await;
    begun.is_ok()
}

/// The processes that have announced themselves and are not known to be gone.
pub(super) async fn processes(stage: &Stage) -> usize {
    if let Some(database) = &stage.database {
        let living = sqlx::query_scalar("SELECT COUNT(*) FROM owners WHERE NOT gone");
        let mut connection = database.connect().await;
        let living: i64 = living.fetch_one(&mut connection).await.unwrap();
        return living.try_into().unwrap();
    }
    let files = fs::read_dir(stage.project.path("")).unwrap();
    let names = files.map(|file| file.unwrap().file_name());
    names
        .filter(|name| name.to_string_lossy().contains("-owner-"))
        .count()
}

/// Lets the time pass after which a process that was killed counts as gone. Beside a file it is
/// known at once, by its lock; on a server it has to be silent for a while, which has tests of its
/// own.
pub(super) async fn bury_the_killed(stage: &Stage) {
    if let Some(database) = &stage.database {
        database.run("UPDATE owners SET alive_until = 0").await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Beside processes that work on it.
    Look,
    Whole,
}

async fn open(path: &Path, access: Access) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(Duration::ZERO)
        .read_only(access == Access::Look);
    SqliteConnection::connect_with(&options).await.unwrap()
}
