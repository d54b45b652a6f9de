//! `sendoff ledger` as a user meets it: a run that is half done moves and ends there, the old
//! ledger says where it went, and what is wrong is said before anything is closed.

use serde_json::json;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::support::{Ended, On, PostgresDatabase, Process, RUN, Stage, until};

const FILE: &str = "sqlite://sendoff.db";

/// Where the stage's ledger is to go.
enum Target {
    File(String),
    Database(PostgresDatabase),
}

impl Target {
    fn of(on: On) -> Self {
        match on {
            On::Sqlite => Self::File("sqlite://moved.db".to_owned()),
            On::Postgres => Self::Database(PostgresDatabase::default()),
        }
    }

    async fn address(&self) -> String {
        match self {
            Self::File(address) => address.clone(),
            Self::Database(database) => database.url().await,
        }
    }
}

/// The address of the stage's own ledger.
fn address(stage: &Stage) -> String {
    let settings = stage.project.read("sendoff.yaml");
    let line = settings
        .lines()
        .find_map(|line| line.strip_prefix("ledger: "));
    line.unwrap_or(FILE).to_owned()
}

/// Changes the one line.
fn point_to(stage: &Stage, address: &str) {
    let settings = stage.project.read("sendoff.yaml");
    let rest: Vec<&str> = settings
        .lines()
        .filter(|line| !line.starts_with("ledger:"))
        .collect();
    let settings = format!("ledger: {address}\n{}\n", rest.join("\n"));
    stage.project.write("sendoff.yaml", settings);
}

async fn copy(stage: &Stage, from: &str, to: &str) -> Ended {
    stage.project.run(&["ledger", "copy", from, to]).await
}

/// A stage whose run was killed in the middle, answers having been lost on the way.
async fn half_done(on: On, people: usize) -> Stage {
    let stage = Stage::on(on, people, "pace: { rate: 40/s, burst: 1 }", "").await;
    let rules = json!([{ "kind": "drop", "share": 0.3 }]);
    stage.provider.faults(7, &rules).await;
    let mut process: Process = stage.start(&[]);
    until("a third of the people", async || {
        let totals = stage.provider.totals().await;
        (totals.people >= people / 3).then_some(())
    })
    .await;
    assert!(process.kill(), "it was done already: {}", process.err());
    stage
}

async fn proved(stage: &Stage) {
    let ended = stage.project.run(&["verify", RUN]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// The lease of a killed process on a server ends when it was not heard of for long.
async fn until_nobody_sends(stage: &Stage, from: &str) {
    until("the killed process to count as gone", async || {
        let info = stage
            .project
            .run(&["ledger", "info", from, "--format", "json"])
            .await;
        (info.json()["processes"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_half_done_is_finished_in_the_other_database_and_nobody_gets_it_twice() {
    for (on, to) in [(On::Sqlite, On::Postgres), (On::Postgres, On::Sqlite)] {
        let stage = half_done(on, 30).await;
        let (from, target) = (address(&stage), Target::of(to));
        let to = target.address().await;
        until_nobody_sends(&stage, &from).await;
        let copied = copy(&stage, &from, &to).await;
        assert_eq!(copied.code, Some(0), "{copied:?}");
        assert!(copied.out.contains("30 deliveries"), "{copied:?}");
        assert!(copied.err.contains("`ledger:`"), "{copied:?}");
        // The old one sends no more, and says where to.
        for command in [
            &["resume", RUN, "--yes"][..],
            &["run", "campaigns/hello.yaml", "--yes"],
            &["run", "campaigns/hello.yaml", "--sandbox"],
            &["pause", RUN],
            &["work", "--until-idle"],
        ] {
            let before = stage.provider.totals().await.message_posts;
            let ended = stage.project.run(command).await;
            assert_eq!(ended.code, Some(1), "{command:?}: {ended:?}");
            assert!(ended.err.contains("moved to '"), "{command:?}: {ended:?}");
            assert!(
                ended.err.contains("--accept-copy"),
                "{command:?}: {ended:?}"
            );
            assert_eq!(stage.provider.totals().await.message_posts, before);
        }
        let status = stage.project.run(&["status", RUN]).await;
        assert_eq!(status.code, Some(0), "it can be read: {status:?}");
        let info = stage
            .project
            .run(&["ledger", "info", "--format", "json"])
            .await;
        assert_eq!(info.json()["place"], "moved", "{info:?}");
        // The new one goes on without a question.
        point_to(&stage, &to);
        proved(&stage).await;
        let ended = stage.resume().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        stage.assert_everybody_once().await;
        proved(&stage).await;
        let again = copy(&stage, &from, &to).await;
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.out.contains("copied already"), "{again:?}");
        // And so does a new run.
        stage.campaign("second", "");
        let next = ["run", "campaigns/second.yaml", "--yes"];
        let next = stage.project.run(&next).await;
        assert_eq!(next.code, Some(0), "{next:?}");
    }
}

/// A list this long, so that a copy takes long enough to be killed.
const PEOPLE: usize = 9_800;

async fn long_list(stage: &Stage, people: usize) {
    use std::fmt::Write as _;
    let list = (0..people).fold("Phone,First Name\n".to_owned(), |mut list, n| {
        let (area, line) = (201 + n / 100 % 98, n % 100);
        writeln!(list, "+1{area}55501{line:02},Person {n}").unwrap();
        list
    });
    stage.project.write("campaigns/people.csv", list);
    let ended = stage
        .project
        .run(&["run", "campaigns/hello.yaml", "--yes", "--limit", "1"])
        .await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_at_any_moment_goes_on_where_it_was() {
    for (on, to) in [
        (On::Sqlite, On::Postgres),
        (On::Postgres, On::Sqlite),
        (On::Sqlite, On::Sqlite),
    ] {
        let stage = Stage::on(on, 1, "", "").await;
        long_list(&stage, PEOPLE).await;
        let (from, target) = (address(&stage), Target::of(to));
        let to = target.address().await;
        until_nobody_sends(&stage, &from).await;
        let seed = fastrand::u64(..);
        let mut chance = fastrand::Rng::with_seed(seed);
        let args = ["ledger", "copy", from.as_str(), to.as_str()];
        let (mut kills, mut posts) = (0, 1);
        let ended = loop {
            let mut process = stage.project.spawn(&args);
            let patience = std::time::Duration::from_millis(chance.u64(20..400 * (kills + 1)));
            let over = tokio::time::Instant::now() + patience;
            until("the moment to kill it", async || {
                (tokio::time::Instant::now() >= over).then_some(())
            })
            .await;
            if !process.is_running() || !process.kill() {
                break process.end().await;
            }
            kills += 1;
            let resumed = ["resume", RUN, "--yes"];
            let mut settings = stage.project.sendoff(&resumed);
            settings.env("SENDOFF_LEDGER", &to);
            let eager = crate::cli::output(settings);
            if eager.code == Some(0) {
                // Killed between the opening of the new store and the word of it.
                posts = PEOPLE;
                break copy(&stage, &from, &to).await;
            }
        };
        assert_eq!(ended.code, Some(0), "seed {seed}, {kills} kills: {ended:?}");
        assert!(kills > 0, "seed {seed}");
        assert_eq!(
            stage.provider.totals().await.message_posts,
            posts,
            "seed {seed}"
        );
        stage.assert_nobody_twice().await;
        point_to(&stage, &to);
        proved(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_copy_ends_cleanly_and_is_not_sent_from() {
    let stage = Stage::new(1).await;
    long_list(&stage, PEOPLE).await;
    let to = "sqlite://moved.db";
    let process = stage.project.spawn(&["ledger", "copy", FILE, to]);
    until("the new file", async || {
        stage.project.path("moved.db-wal").exists().then_some(())
    })
    .await;
    process.signal("INT");
    let ended = process.end().await;
    // It may have been done just before.
    if ended.code == Some(4) {
        assert!(ended.err.contains("goes on where it was"), "{ended:?}");
        point_to(&stage, to);
        for command in [
            &["resume", RUN, "--yes"][..],
            &["work", "--until-idle"],
            &["status"],
            &["verify", RUN],
        ] {
            let eager = stage.project.run(command).await;
            assert_eq!(eager.code, Some(1), "{eager:?}");
            assert!(eager.err.contains("unfinished copy of '"), "{eager:?}");
        }
        let info = stage.project.run(&["ledger", "info"]).await;
        assert!(info.out.contains("an unfinished copy of '"), "{info:?}");
    }
    let ended = copy(&stage, FILE, to).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    point_to(&stage, to);
    proved(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_being_sent_from_is_not_closed_and_the_process_is_named() {
    for on in [On::Sqlite, On::Postgres] {
        let stage = Stage::on(on, 40, "pace: { rate: 20/s, burst: 1 }", "").await;
        let process = stage.start(&[]);
        until("the first message", async || {
            (stage.provider.totals().await.people > 0).then_some(())
        })
        .await;
        let from = address(&stage);
        let ended = copy(&stage, &from, "sqlite://moved.db").await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.err.contains("by 1 process"), "{ended:?}");
        assert!(ended.err.contains(&process.id()), "{ended:?}");
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        stage.assert_everybody_once().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_is_given_up_is_sent_from_where_it_was() {
    let stage = half_done(On::Sqlite, 24).await;
    let database = PostgresDatabase::default();
    let to = database.url().await;
    let ended = copy(&stage, FILE, &to).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let refused = stage.resume().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let args = ["resume", RUN, "--yes", "--accept-copy"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
    let again = stage.resume().await;
    assert_eq!(again.code, Some(0), "asked once: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_ledger_is_copied_no_further_than_its_proof() {
    let stage = Stage::new(5).await;
    assert_eq!(stage.start(&["--limit", "2"]).end().await.code, Some(4));
    let options = sqlx::sqlite::SqliteConnectOptions::new();
    let options = options.filename(stage.project.path("sendoff.db"));
    let mut connection = options.connect().await.unwrap();
    sqlx::query("UPDATE messages SET timezone = 'Europe/Paris' WHERE row = 3")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let ended = copy(&stage, FILE, "sqlite://moved.db").await;
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.err.contains("is damaged"), "{ended:?}");
    assert!(ended.err.contains("row 3"), "{ended:?}");
    point_to(&stage, "sqlite://moved.db");
    let eager = stage.resume().await;
    assert_eq!(eager.code, Some(1), "{eager:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_said_before_anything_is_closed() {
    let stage = Stage::new(3).await;
    assert_eq!(stage.start(&["--limit", "1"]).end().await.code, Some(4));
    let empty = PostgresDatabase::default();
    let missing = empty.address("postgres@");
    let other = Stage::on(On::Postgres, 1, "", "").await;
    assert_eq!(other.send().await.code, Some(0));
    let used = address(&other);
    let newer = PostgresDatabase::default();
    let migrated = ["ledger", "migrate", &newer.url().await];
    assert_eq!(stage.project.run(&migrated).await.code, Some(0));
    newer
        .run(
            "INSERT INTO sendoff_migrations (version, description, success, checksum,
                execution_time) VALUES (99, 'later', TRUE, '\\x00', 0)",
        )
        .await;
    let newer_url = newer.url().await;
    stage.project.write("letter.txt", "Dear reader");
    for (from, to, code, words) in [
        (
            "sqlite://none.db",
            "sqlite://moved.db",
            1,
            "there is no ledger 'none.db'",
        ),
        ("mysql://x", "sqlite://moved.db", 1, "begins neither with"),
        (FILE, "moved.db", 1, "begins neither with"),
        (FILE, "sqlite://", 1, "names no file"),
        (FILE, FILE, 1, "are the same ledger"),
        (FILE, "sqlite://./sendoff.db", 1, "are the same ledger"),
        (FILE, "sqlite://letter.txt", 5, "not a ledger"),
        (FILE, "sqlite://no/such/folder.db", 5, "does not exist"),
        (FILE, &missing, 1, "no database of that name"),
        (
            FILE,
            "postgres://me:hunter2@127.0.0.1:1/x",
            1,
            "nothing listens there",
        ),
        (FILE, &used, 1, "it has rows of its own"),
        (FILE, &newer_url, 1, "newer version of sendoff (schema 99)"),
    ] {
        let ended = copy(&stage, from, to).await;
        assert_eq!(ended.code, Some(code), "{from} {to}: {ended:?}");
        assert!(ended.err.contains(words), "{from} {to}: {ended:?}");
        assert!(!ended.err.contains("hunter2"), "{ended:?}");
    }
    assert!(!stage.project.path("moved.db").exists());
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "it was never closed: {ended:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_brought_up_to_date_and_looked_at() {
    let stage = Stage::new(4).await;
    let none = stage.project.run(&["ledger", "info"]).await;
    assert_eq!(none.code, Some(1), "{none:?}");
    assert_eq!(stage.start(&["--limit", "3"]).end().await.code, Some(4));
    let done = stage.project.run(&["ledger", "migrate"]).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.out.contains("up to date: schema 1, nothing to do"),
        "{done:?}"
    );
    let info = stage.project.run(&["ledger", "info"]).await;
    for words in [
        "'sendoff.db'",
        "SQLite 3.",
        "1, the newest",
        "at home here",
        "1 running",
    ] {
        assert!(info.out.contains(words), "{words}: {info:?}");
    }
    let json = stage
        .project
        .run(&["ledger", "info", "--format", "json"])
        .await
        .json();
    assert_eq!(
        (
            &json["ledger"],
            &json["kind"],
            &json["place"],
            &json["runs"],
            &json["deliveries"]
        ),
        (
            &json!("sendoff.db"),
            &json!("SQLite"),
            &json!("home"),
            &json!({ "running": 1 }),
            &json!(4)
        )
    );
    assert!(json["bytes"].as_u64() >= json["tables"]["messages"].as_u64());
    // A database with nothing in it is looked at, and left as it is.
    let database = PostgresDatabase::default();
    let url = database.url().await;
    for _ in 0..2 {
        let info = stage.project.run(&["ledger", "info", &url]).await;
        assert_eq!(info.code, Some(0), "{info:?}");
        assert!(info.out.contains("none yet"), "{info:?}");
    }
    let made = stage.project.run(&["ledger", "migrate", &url]).await;
    assert!(made.out.contains("from nothing to schema 1"), "{made:?}");
    let json = stage
        .project
        .run(&["ledger", "info", &url, "--format", "json"])
        .await
        .json();
    assert_eq!(json["kind"], "PostgreSQL");
    assert_eq!(json["schema"], json!({ "applied": 1, "newest": 1 }));
    assert_eq!(
        (&json["runs"], &json["processes"]),
        (&json!({}), &json!([]))
    );
    assert!(!json.to_string().contains("postgres@"));
}
