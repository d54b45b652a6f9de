//! Schedules from the outside, as system cron fires them. Time is real here: the campaigns' times
//! are chosen around the present so that nothing depends on how long a test takes.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use sendoff::ledger::Ledger as _;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};

use crate::support::{CAMPAIGN, Ended, Stage};

/// The whole minute `minutes` from now, in UTC.
fn minute(minutes: i64) -> Zoned {
    let now = Timestamp::now() + SignedDuration::from_mins(minutes);
    now.to_zoned(TimeZone::UTC)
        .round(
            jiff::ZonedRound::new()
                .smallest(jiff::Unit::Minute)
                .mode(jiff::RoundMode::Trunc),
        )
        .unwrap()
}

/// `cron` lines that fire at this minute of each day.
fn daily(at: &Zoned) -> String {
    format!("\"{} {} * * *\"", at.minute(), at.hour())
}

/// `cron` lines that fire at this minute of each hour.
fn hourly(at: &Zoned) -> String {
    format!("\"{} * * * *\"", at.minute())
}

fn run(at: &Zoned) -> String {
    format!("hello@{}+00:00", at.strftime("%Y-%m-%dT%H:%M"))
}

/// A stage whose campaign has this schedule.
async fn stage(people: usize, cron: &str, more: &str) -> Stage {
    let schedule = format!("schedule: {{ cron: {cron}, timezone: UTC{more} }}");
    Stage::with(people, &schedule, "").await
}

async fn due(stage: &Stage) -> Ended {
    stage.start(&["--due"]).end().await
}

/// As though the schedule had last been looked at so many hours ago.
async fn last_looked_at(stage: &Stage, hours: i64) {
    let path = stage.project.path("sendoff.db");
    let ledger = SqliteLedger::open(&path, Durability::Full).await.unwrap();
    let then = Timestamp::now() - SignedDuration::from_hours(hours);
    ledger.schedule_since("hello", then).await.unwrap();
    ledger.close().await;
}

async fn runs(stage: &Stage) -> Vec<String> {
    let json = stage
        .project
        .run(&["status", "--format", "json"])
        .await
        .json();
    let runs = json["runs"].as_array().unwrap();
    runs.iter()
        .map(|run| run["run"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn an_occurrence_exists_once_however_often_it_is_fired() {
    let at = minute(-2);
    let stage = stage(5, &daily(&at), "").await;
    let all: Vec<_> = (0..3).map(|_| stage.start(&["--due"])).collect();
    for one in all {
        let ended = one.end().await;
        assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}");
    }
    assert_eq!(runs(&stage).await, [run(&at)]);
    let totals = stage.provider.totals().await;
    assert_eq!((totals.people, totals.most_per_person), (5, 1));
    let again = due(&stage).await;
    assert_eq!(again.code, Some(4), "{again:?}");
    assert!(again.err.contains("Nothing is due now."), "{again:?}");
    assert_eq!(runs(&stage).await, [run(&at)]);
    assert_eq!(stage.provider.totals().await.messages, 5);
}

#[tokio::test]
async fn nothing_due_is_four_and_says_when_it_comes() {
    let stage = stage(2, &daily(&minute(120)), "").await;
    let fired = due(&stage).await;
    assert_eq!(fired.code, Some(4), "{fired:?}");
    let idle = stage.start(&["--until-idle"]).end().await;
    assert_eq!(idle.code, Some(4), "{idle:?}");
    assert!(idle.err.contains("next: "), "{idle:?}");
    assert_eq!(stage.provider.totals().await.messages, 0);
}

#[tokio::test]
async fn the_newest_stands_in_for_those_that_were_missed_and_they_are_shown() {
    let at = minute(-3);
    let stage = stage(2, &hourly(&at), "").await;
    last_looked_at(&stage, 3).await;
    let fired = due(&stage).await;
    assert_eq!(fired.code, Some(0), "{fired:?}");
    assert_eq!(runs(&stage).await, [run(&at)]);
    let shown = stage.project.run(&["schedule", CAMPAIGN]).await.out;
    for hours in [1, 2] {
        let missed = run(&(&at - SignedDuration::from_hours(hours)));
        assert!(fired.err.contains(&format!("Missed {missed}")), "{fired:?}");
        assert!(shown.contains(&format!("missed {missed}")), "{shown}");
    }
    assert_eq!(stage.provider.totals().await.messages, 2);
    assert_eq!(due(&stage).await.code, Some(4), "they do not come back");
}

#[tokio::test]
async fn catch_up_all_runs_each_of_them_once() {
    let at = minute(-3);
    let stage = stage(2, &hourly(&at), ", catch_up: all").await;
    last_looked_at(&stage, 3).await;
    let fired = due(&stage).await;
    assert_eq!(fired.code, Some(0), "{fired:?}");
    let before = |hours| run(&(&at - SignedDuration::from_hours(hours)));
    assert_eq!(runs(&stage).await, [before(0), before(1), before(2)]);
    assert_eq!(stage.provider.totals().await.messages, 6);
    assert_eq!(due(&stage).await.code, Some(4));
}

#[tokio::test]
async fn what_is_too_late_is_recorded_and_not_sent() {
    let at = minute(-20);
    let stage = stage(2, &hourly(&at), ", start_by: 10m").await;
    last_looked_at(&stage, 2).await;
    let fired = due(&stage).await;
    assert_eq!(fired.code, Some(4), "{fired:?}");
    assert!(
        fired.err.contains(&format!("Missed {}", run(&at))),
        "{fired:?}"
    );
    assert_eq!(stage.provider.totals().await.messages, 0);
    let shown = stage.project.run(&["schedule", CAMPAIGN]).await.out;
    assert!(shown.contains(&format!("missed {}", run(&at))), "{shown}");
}

#[tokio::test]
async fn while_the_previous_run_is_going_a_new_occurrence_is_missed() {
    let at = minute(-3);
    let stage = stage(3, &daily(&at), "").await;
    last_looked_at(&stage, 3).await;
    let begun = stage
        .start(&["--occurrence", "by-hand", "--limit", "1"])
        .end()
        .await;
    assert_eq!(begun.code, Some(4), "{begun:?}");
    let fired = due(&stage).await;
    assert_eq!(
        fired.code,
        Some(0),
        "it ends the one that was begun: {fired:?}"
    );
    assert!(
        fired.err.contains(&format!("Missed {}", run(&at))),
        "{fired:?}"
    );
    assert_eq!(runs(&stage).await, ["hello@by-hand"]);
    let totals = stage.provider.totals().await;
    assert_eq!((totals.messages, totals.most_per_person), (3, 1));
}

#[tokio::test]
async fn overlap_queue_sends_it_when_the_previous_one_has_ended() {
    let at = minute(-3);
    let stage = stage(3, &daily(&at), ", overlap: queue").await;
    last_looked_at(&stage, 3).await;
    let begun = stage
        .start(&["--occurrence", "by-hand", "--limit", "1"])
        .end()
        .await;
    assert_eq!(begun.code, Some(4), "{begun:?}");
    assert_eq!(due(&stage).await.code, Some(0));
    assert_eq!(runs(&stage).await, [run(&at), "hello@by-hand".to_owned()]);
    assert_eq!(stage.provider.totals().await.messages, 6);
}

#[tokio::test]
async fn now_ignores_the_schedule_and_the_day_has_its_own_occurrence_still() {
    let stage = stage(2, &daily(&minute(120)), "").await;
    let ended = stage.start(&["--now"]).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(stage.provider.totals().await.messages, 2);
    assert_eq!(runs(&stage).await.len(), 1);
    assert_eq!(due(&stage).await.code, Some(4));
}

#[tokio::test]
async fn a_one_off_that_is_still_to_come_is_waited_for_unless_told_otherwise() {
    let at = minute(120).strftime("%Y-%m-%dT%H:%M").to_string();
    let schedule = format!("schedule: {{ at: {at}, timezone: UTC }}");
    let stage = Stage::with(2, &schedule, "").await;
    assert_eq!(due(&stage).await.code, Some(4));
    let waiting = stage.start(&[]);
    crate::support::until("the wait", async || {
        waiting.err().contains("Waiting for").then_some(())
    })
    .await;
    waiting.signal("INT");
    let ended = waiting.end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.err.contains("Ctrl-C leaves; nothing is lost."),
        "{ended:?}"
    );
    assert_eq!(stage.provider.totals().await.messages, 0);
}
