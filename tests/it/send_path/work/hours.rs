//! Bad hours: a ledger that goes away, a worker that stands still, one that is slow, runs that a
//! worker cannot send for.

use std::time::Duration;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::{frozen, leave, until_said, waiting, worker};
use crate::send_path::books::LEDGER;
use crate::support::{On, Process, RUN, Stage, until};

/// Whoever has said it twice does not wait for half a minute.
const PROMPT: Duration = Duration::from_secs(15);

/// A way to the server that can be taken away, with all who are on it, and put back.
struct Way {
    server: String,
    port: u16,
    open: Option<AbortOnDropHandle<()>>,
}

impl Way {
    async fn to(server: String) -> Self {
        let mut way = Self {
            server,
            port: 0,
            open: None,
        };
        way.put_back().await;
        way
    }

    async fn put_back(&mut self) {
        let listener = until("the port", async || {
            TcpListener::bind(("127.0.0.1", self.port)).await.ok()
        })
        .await;
        self.port = listener.local_addr().unwrap().port();
        let server = self.server.clone();
        self.open = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ways = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let server = server.clone();
                ways.spawn(async move {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let both = tokio::io::copy_bidirectional(&mut client, &mut server);
                        both.await.ok();
                    }
                });
            }
        })));
    }

    fn take_away(&mut self) {
        self.open = None;
    }
}

/// The settings with the ledger at another port.
fn through(stage: &Stage, way: &Way) {
    let settings = stage.project.read("sendoff.yaml");
    let settings = settings.replace(&way.server, &format!("127.0.0.1:{}", way.port));
    stage.project.write("sendoff.yaml", settings);
}

async fn host(stage: &Stage) -> String {
    let url = stage.database.as_ref().unwrap().url().await;
    let (_, rest) = url.split_once('@').unwrap();
    rest.split_once('/').unwrap().0.to_owned()
}

/// A worker whose server goes away while four requests are without an answer; their answers come.
async fn cut_off_with_four_on_the_wire(stage: &Stage) -> (Process, Way) {
    let mut way = Way::to(host(stage).await).await;
    through(stage, &way);
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let process = worker(stage, &[]);
    stage.provider.until_waiting(4).await;
    way.take_away();
    stage.provider.faults(1, &json!([])).await;
    (process, way)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_waited_for_and_what_was_sent_is_recorded() {
    let stage = waiting(On::Postgres, 40, "pace: { concurrency: 4 }").await;
    let (mut process, mut way) = cut_off_with_four_on_the_wire(&stage).await;
    until_said(&mut process, "Waiting for the ledger:").await;
    way.put_back().await;
    until_said(&mut process, "The ledger is back.").await;
    until_said(&mut process, "left hello@once: finished").await;
    let ended = leave(process).await;
    assert_eq!(ended.err.matches("Waiting for").count(), 1, "{ended:?}");
    assert_eq!(ended.err.matches("is back").count(), 1, "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 40, "one was asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_a_server_that_is_away() {
    let stage = waiting(On::Postgres, 20, "pace: { concurrency: 4 }").await;
    let (mut process, mut way) = cut_off_with_four_on_the_wire(&stage).await;
    process.signal("TERM");
    until_said(&mut process, "Leaving:").await;
    process.signal("TERM");
    let begun = tokio::time::Instant::now();
    let ended = process.end().await;
    assert!(begun.elapsed() < PROMPT, "{:?}: {ended:?}", begun.elapsed());
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("sendoff resume hello@once"), "{ended:?}");
    way.put_back().await;
    assert_eq!(stage.resume().await.code, Some(0));
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let stage = waiting(On::Postgres, 5, "").await;
    let mut way = Way::to(host(&stage).await).await;
    through(&stage, &way);
    way.take_away();
    let mut process = worker(&stage, &[]);
    until_said(&mut process, "Waiting: the ledger").await;
    way.put_back().await;
    until_said(&mut process, "left hello@once: finished").await;
    leave(process).await;
    way.take_away();
    // A script is told.
    let ended = worker(&stage, &["--until-idle"]).end().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    // And so is whoever does not want to wait.
    let mut process = worker(&stage, &[]);
    until_said(&mut process, "Waiting: the ledger").await;
    leave(process).await;
    way.put_back().await;
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_another_program_holds_is_waited_for() {
    let stage = waiting(On::Sqlite, 40, "pace: { concurrency: 4 }").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000 }]);
    stage.provider.faults(1, &lie).await;
    let mut process = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    let path = stage.project.path(LEDGER);
    let options = SqliteConnectOptions::new().filename(path);
    let mut other: SqliteConnection = options.connect().await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    stage.provider.faults(1, &json!([])).await;
    until_said(&mut process, "Waiting for the ledger:").await;
    held.rollback().await.unwrap();
    until_said(&mut process, "The ledger is back.").await;
    until_said(&mut process, "left hello@once: finished").await;
    leave(process).await;
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 40, "one was asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_stood_still_past_its_heartbeat_comes_back_without_harm() {
    let stage = waiting(On::Postgres, 60, "pace: { concurrency: 4 }").await;
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000, "times": 4 }]);
    stage.provider.faults(1, &lie).await;
    let first = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    first.signal("STOP");
    stage.provider.faults(1, &json!([])).await;
    let second = worker(&stage, &[]);
    until("the other to do all of it", async || {
        let all = super::accepted(&stage, RUN).await == 60;
        all.then_some(())
    })
    .await;
    first.signal("CONT");
    for one in [first, second] {
        leave(one).await;
    }
    let journal = stage.assert_everybody_once().await;
    // Only what was on the wire was asked for twice.
    assert_eq!(journal.posts().len(), 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_finishes_the_wire_for_long_is_not_taken_for_dead() {
    let stage = waiting(On::Postgres, 30, "pace: { concurrency: 4 }").await;
    // Longer than a process counts as alive that is not heard of.
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 20_000, "times": 4 }]);
    stage.provider.faults(1, &lie).await;
    let first = worker(&stage, &[]);
    stage.provider.until_waiting(4).await;
    let second = worker(&stage, &[]);
    leave(first).await;
    super::until_state(&stage, RUN, "finished").await;
    leave(second).await;
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 30, "one was asked for again");
}

/// The end of the first lease among what is claimed and not begun.
async fn first_end(stage: &Stage) -> Option<i64> {
    let mut ledger = stage.database.as_ref().unwrap().connect().await;
    sqlx::query_scalar(
        "SELECT MIN(lease_until) FROM deliveries
         WHERE state = 'pending' AND lease_owner IS NOT NULL",
    )
    .fetch_one(&mut ledger)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_slow_and_alive_keeps_all_that_it_holds() {
    // The shortest leases there are, about half a minute, and more in hand than is sent in one.
    let gateway = "timeout: 300ms";
    let stage = Stage::on(On::Postgres, 400, "pace: { concurrency: 1 }", gateway).await;
    frozen(&stage, crate::support::CAMPAIGN).await;
    let slow = json!([{ "kind": "slow", "delay_ms": 100 }]);
    stage.provider.faults(1, &slow).await;
    let first = worker(&stage, &[]);
    stage.provider.until_posts(3).await;
    let second = worker(&stage, &[]);
    let claimed = first_end(&stage).await.expect("much is claimed, at once");
    until("the leases to be renewed", async || {
        let end = first_end(&stage).await?;
        (end > claimed + 5_000).then_some(())
    })
    .await;
    // All of them, while there was much to go.
    assert!(super::accepted(&stage, RUN).await < 300);
    stage.provider.faults(1, &json!([])).await;
    super::until_state(&stage, RUN, "finished").await;
    let ended = leave(second).await;
    assert!(ended.err.contains("; 0 sent from here"), "{ended:?}");
    leave(first).await;
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_gateway_is_not_known_is_named_once_and_the_others_go_on() {
    let stage = Stage::on(On::Sqlite, 5, "", "").await;
    let settings = stage.project.read("sendoff.yaml");
    let (_, gateway) = settings.split_once("chert:\n").unwrap();
    let both = format!("{settings}  second:\n{gateway}");
    stage.project.write("sendoff.yaml", both);
    frozen(&stage, crate::support::CAMPAIGN).await;
    stage.campaign("small", "");
    let small = stage.project.read("campaigns/small.yaml");
    let small = small.replace("gateway: chert", "gateway: second");
    stage.project.write("campaigns/small.yaml", small);
    frozen(&stage, "campaigns/small.yaml").await;
    stage.project.write("sendoff.yaml", settings);
    let mut process = worker(&stage, &[]);
    until_said(&mut process, "left hello@once: finished").await;
    // It has looked again since.
    stage.campaign("later", "");
    frozen(&stage, "campaigns/later.yaml").await;
    until_said(&mut process, "left later@once: finished").await;
    let ended = leave(process).await;
    let named = ended.err.matches("leaving small@once alone").count();
    assert_eq!(named, 1, "{ended:?}");
    assert!(ended.err.contains("no gateway 'second'"), "{ended:?}");
    assert!(ended.err.contains("under `gateways`"), "{ended:?}");
    // A script is told that something is open.
    let idle = worker(&stage, &["--until-idle"]).end().await;
    assert_eq!(idle.code, Some(4), "{idle:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_became_another_account_is_not_sent_from() {
    let stage = waiting(On::Sqlite, 5, "").await;
    let settings = stage.project.read("sendoff.yaml");
    let tenant = settings.lines().find(|line| line.contains("tenant:"));
    let other = settings.replace(tenant.unwrap(), "    tenant: somebody-else");
    stage.project.write("sendoff.yaml", other);
    let left = worker(&stage, &["--until-idle"]).end().await;
    assert_eq!(left.code, Some(4), "{left:?}");
    assert!(left.err.contains("leaving hello@once alone"), "{left:?}");
    assert_eq!(stage.provider.totals().await.people, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_not_sent_from_until_a_person_says_so() {
    let stage = waiting(On::Sqlite, 5, "").await;
    std::fs::remove_file(stage.project.path("sendoff.db-place")).unwrap();
    let refused = worker(&stage, &["--until-idle"]).end().await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("--accept-copy"), "{refused:?}");
    assert_eq!(stage.provider.totals().await.people, 1);
    let accepted = worker(&stage, &["--until-idle", "--accept-copy"])
        .end()
        .await;
    assert_eq!(accepted.code, Some(0), "{accepted:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_run_does_not_starve_a_small_one() {
    let stage = waiting(On::Sqlite, 400, "pace: { concurrency: 64 }").await;
    stage.campaign("small", "");
    let small = stage.project.read("campaigns/small.yaml");
    let small = small.replace("people.csv", "few.csv");
    stage.project.write("campaigns/small.yaml", small);
    let few = stage.project.read("campaigns/people.csv");
    let few: Vec<&str> = few.lines().take(11).collect();
    stage.project.write("campaigns/few.csv", few.join("\n"));
    frozen(&stage, "campaigns/small.yaml").await;
    let slow = json!([{ "kind": "slow", "delay_ms": 25 }]);
    stage.provider.faults(1, &slow).await;
    let mut process = worker(&stage, &["--concurrency", "2"]);
    until_said(&mut process, "left small@once: finished").await;
    let sent = super::accepted(&stage, RUN).await;
    assert!(
        sent < 200,
        "{sent} of the large one before ten of the small one"
    );
    leave(process).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_is_nobody_elses() {
    let stage = Stage::new(3).await;
    let rehearsal = ["run", crate::support::CAMPAIGN, "--sandbox", "--limit", "1"];
    let ended = stage.project.run(&rehearsal).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let left = worker(&stage, &["--until-idle"]).end().await;
    assert_eq!(left.code, Some(0), "{left:?}");
    assert!(!left.err.contains("rehearsal"), "{left:?}");
    assert_eq!(stage.provider.totals().await.people, 0);
}
