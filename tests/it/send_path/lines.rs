//! Lines that come and go: their people are held and sent to when the line is back, the others go
//! on, and the first messages of a line are counted whoever sends. The sandbox's record is the
//! oracle; how gates and caps are kept is the ledger's own suite's.

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::campaign::Terms;
use sendoff::domain::phone::Phone;
use sendoff::engine::clock::Clock as _;
use sendoff::engine::dispatch::{Ended, WhenIdle};
use sendoff::ledger::Limits;
use sendoff::sandbox::{Filter, LineChange};
use serde_json::Value;

use super::caps::World;
use crate::support::{LINES, On, RUN, Stage, until};

/// Slow enough that a line can be switched off in the middle.
const PACE: &str = "pace: { rate: 20/s, burst: 1, concurrency: 4 }";

/// Refusals of messages that the sandbox has given.
async fn refused(stage: &Stage) -> usize {
    let journal = stage.provider.journal().await;
    let refused = journal.posts().into_iter();
    refused.filter(|post| post.status == Some(400)).count()
}

async fn status(stage: &Stage) -> Value {
    let status = stage.project.run(&["status", RUN, "--format", "json"]);
    status.await.json()
}

async fn resume_until_idle(stage: &Stage) -> crate::support::Ended {
    let args = ["resume", RUN, "--yes", "--until-idle"];
    stage.project.run(&args).await
}

/// How many of a line's people are in a state.
async fn of_line(stage: &Stage, line: &str, wanted: &str) -> usize {
    let rows = stage.project.rows(RUN).await;
    let here = rows.iter().filter(|row| row.line == line);
    here.filter(|row| row.state == wanted).count()
}

/// The first line is held and says so, and nobody is worse off for it.
async fn assert_held(stage: &Stage, people: usize) {
    let [inactive, other] = LINES;
    assert_eq!(
        of_line(stage, other, "sent").await,
        people / 2,
        "the other line"
    );
    let waiting = of_line(stage, inactive, "pending").await;
    let sent = of_line(stage, inactive, "sent").await;
    // Begun by a process that was killed: asked for again when the line is back.
    let begun = of_line(stage, inactive, "sending").await;
    assert!(waiting > 0, "the line was not inactive");
    assert_eq!(
        sent + waiting + begun,
        people / 2,
        "a refusal cost somebody the message"
    );
    let json = status(stage).await;
    let held = json["holds"].as_array().unwrap();
    assert_eq!(held.len(), 1, "{json}");
    assert_eq!(held[0]["hold"], "line_inactive");
    assert_eq!(held[0]["count"], waiting);
    let line = &json["lines"][0];
    assert_eq!(line["line"], inactive);
    assert_ne!(line["held"]["inactive_since"], Value::Null, "{json}");
    assert_eq!(json["lines"][1]["held"], Value::Null);
    for args in [vec!["status", RUN], vec!["status"]] {
        let text = stage.project.run(&args).await.out;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            format!("Line {inactive} is held since"),
            "Make it active again with the provider".to_owned(),
        ] {
            assert!(text.contains(&words), "{text}");
        }
    }
}

pub(super) async fn the_people_of_a_line_that_goes_inactive_are_held_until_it_is_back(on: On) {
    let stage = Stage::on(on, 80, PACE, "").await;
    let sending = stage.start(&["--until-idle"]);
    stage.provider.until_people(10).await;
    stage.provider.switch_off(LINES[0]).await;
    let ended = sending.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.out.contains("is held since"), "{ended:?}");
    assert_held(&stage, 80).await;
    let refusals = refused(&stage).await;
    assert!(
        (1..=4).contains(&refusals),
        "{refusals}: as many as were on the wire"
    );
    let looks = stage.provider.journal().await.looks_at_lines();
    assert_eq!(looks, 1, "at the start");
    stage.provider.switch_on(LINES[0]).await;
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.looks_at_lines(), 2, "once when the line was held");
    assert_eq!(refused(&stage).await, refusals);
    let lines = stage.project.run(&["status", "--format", "json"]).await;
    assert_eq!(
        lines.json()["lines"],
        Value::Array(Vec::new()),
        "nothing is open"
    );
}

pub(super) async fn a_run_killed_while_a_line_is_inactive_goes_on_without_it(on: On) {
    let stage = Stage::on(on, 60, PACE, "").await;
    let mut sending = stage.start(&[]);
    stage.provider.until_people(6).await;
    stage.provider.switch_off(LINES[0]).await;
    until("the line to be held", async || {
        let held = status(&stage).await["lines"][0]["held"] != Value::Null;
        held.then_some(())
    })
    .await;
    assert!(sending.kill());
    let before = refused(&stage).await;
    // What the killed process had claimed is free when it is known to be gone.
    let mut resumed = 0;
    until("the other line to be done", async || {
        let ended = resume_until_idle(&stage).await;
        resumed += 1;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let held = ended.err.contains("a line that is not active");
        assert!(held, "{ended:?}");
        (of_line(&stage, LINES[1], "sent").await == 30).then_some(())
    })
    .await;
    assert_held(&stage, 60).await;
    let after = refused(&stage).await;
    assert_eq!(after, before, "nobody was tried on the way");
    let looks = stage.provider.journal().await.looks_at_lines();
    assert_eq!(looks, 1 + resumed, "at the start and by each resume");
    stage.provider.switch_on(LINES[0]).await;
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn with_all_lines_inactive_nothing_fails_and_nothing_is_sent(on: On) {
    let stage = Stage::on(on, 12, "pace: { concurrency: 2 }", "").await;
    let ended = stage.start(&["--limit", "2"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for line in LINES {
        stage.provider.switch_off(line).await;
    }
    let ended = stage
        .start(&["--until-idle", "--format", "json"])
        .end()
        .await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let json = ended.json();
    assert_eq!(
        (&json["counts"]["sent"], &json["counts"]["failed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(json["holds"][0]["count"], 10, "{json}");
    let held = json["lines"].as_array().unwrap().iter();
    assert!(held.clone().count() == 2 && held.clone().all(|line| line["held"] != Value::Null));
    stage.provider.switch_on(LINES[1]).await;
    let ended = resume_until_idle(&stage).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert_held(&stage, 12).await;
    stage.provider.switch_on(LINES[0]).await;
    let ended = resume_until_idle(&stage).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn a_line_that_is_inactive_at_the_start_is_refused_with_the_good_ones(on: On) {
    let stage = Stage::on(on, 4, "", "").await;
    stage.provider.switch_off(LINES[0]).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in [
        format!("the line {} is not active now", LINES[0]),
        format!("the lines that can send are {}", LINES[1]),
        "hello.yaml:3:".to_owned(),
    ] {
        assert!(ended.err.contains(&words), "{ended:?}");
    }
    let journal = stage.provider.journal().await;
    assert_eq!(
        (journal.totals.message_posts, journal.looks_at_lines()),
        (0, 1)
    );
    let runs = stage.project.run(&["status", "--format", "json"]).await;
    assert_eq!(runs.json()["runs"], Value::Array(Vec::new()));
    stage.provider.switch_on(LINES[0]).await;
    assert_eq!(stage.send().await.code, Some(0));
    stage.assert_everybody_once().await;
}

/// A gap of hours makes the count known whatever time of the day it is.
pub(super) async fn a_lines_first_messages_are_counted_across_runs_and_restarts_and_follow_ups_are_not(
    on: On,
) {
    let stage = Stage::on(on, 6, "", "").await;
    let settings = stage.project.read("sendoff.yaml");
    let capped = "first_touch: { per_day: 30, gap: 20h }";
    assert!(settings.contains("first_touch: none"), "{settings}");
    let settings = settings.replace("first_touch: none", capped);
    stage.project.write("sendoff.yaml", settings);
    let ended = stage.start(&["--until-idle"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let totals = async || stage.provider.totals().await;
    assert_eq!(totals().await.people, 2, "one for each line");
    assert_eq!(resume_until_idle(&stage).await.code, Some(4));
    assert_eq!(totals().await.people, 2, "a restart makes no room");
    // The next campaign writes to the two as often as it likes, and to nobody else.
    stage.campaign("menu", "");
    let args = ["run", "campaigns/menu.yaml", "--yes", "--until-idle"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let totals = totals().await;
    assert_eq!((totals.people, totals.messages), (2, 4));
    let json = stage
        .project
        .run(&["status", "--format", "json"])
        .await
        .json();
    let lines = json["lines"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "once each, for both runs: {json}");
    for (line, number) in lines.iter().zip(LINES) {
        assert_eq!(line["line"], number);
        assert_eq!(
            (&line["per_day"], &line["gateway"]),
            (&30.into(), &"chert".into())
        );
        let next: Timestamp = line["next_at"].as_str().unwrap().parse().unwrap();
        assert!(
            next > Timestamp::now() + SignedDuration::from_hours(18),
            "{next}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_goes_on_looks_every_five_minutes_and_sends_when_the_line_is_back() {
    let world = World::new().await;
    let line = Phone::from_e164(LINES[0]).unwrap();
    let set = |is_active| {
        let is_active = Some(is_active);
        let change = LineChange {
            is_active,
            ..LineChange::default()
        };
        world.sandbox.change_line(&line, change).unwrap();
    };
    let asked = |path: &str| {
        let requests = world.sandbox.journal(&Filter::default()).requests;
        let of_path = requests.into_iter().filter(|one| one.path.ends_with(path));
        of_path.count()
    };
    set(false);
    let run = world.freeze(40, Terms::default()).await;
    let limits = Limits::default();
    let drive = world.part(&run, &limits, ("one".to_owned(), WhenIdle::Wait));
    let follow = async {
        let people = async |count: usize| {
            until(&format!("{count} people"), async || {
                (world.sandbox.totals().people >= count).then_some(())
            })
            .await;
        };
        let looked = async |count: usize| {
            until(&format!("{count} looks"), async || {
                (asked("/phone-numbers") >= count).then_some(())
            })
            .await;
        };
        people(20).await;
        for look in 1..=2 {
            assert_eq!(asked("/phone-numbers"), look - 1, "none before it is due");
            world
                .clock
                .forward_to(world.clock.now() + SignedDuration::from_mins(6));
            looked(look).await;
            assert_eq!(world.sandbox.totals().people, 20);
        }
        set(true);
        world
            .clock
            .forward_to(world.clock.now() + SignedDuration::from_mins(6));
        people(40).await;
    };
    let (ended, ()) = tokio::join!(drive, follow);
    assert_eq!(ended, Ended::Finished);
    assert_eq!(asked("/phone-numbers"), 3);
    let taken = world.taken(40);
    assert_eq!(taken.values().map(Vec::len).collect::<Vec<_>>(), [20, 20]);
}
