//! How fast: never faster than the limits, by the sandbox's clock, also across a restart and
//! with two processes; and not much slower.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::books::bury_the_killed;
use crate::support::{Journal, LINES, On, RUN, Stage};

/// Posts that may arrive early because the one before them was late on its way.
const LATE: i64 = 3;

/// The same at a rate, where the machine stands still besides.
fn late(stage: &Stage, per_second: i64) -> usize {
    let alone = SignedDuration::from_millis(LATE * 1_000 / per_second);
    let late = stage.watch.late(alone).as_millis() * i128::from(per_second) / 1_000;
    usize::try_from(late).unwrap()
}

/// The most posts of `times` within any second, its start wherever the count is highest.
fn busiest_second(times: &[jiff::Timestamp]) -> usize {
    let second = SignedDuration::from_secs(1);
    let within = |first: &jiff::Timestamp| {
        let end = *first + second;
        times.iter().filter(|at| *at >= first && **at < end).count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

fn times(journal: &Journal) -> Vec<jiff::Timestamp> {
    journal.posts().iter().map(|post| post.at).collect()
}

/// While the machine had time for it.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn per_second(stage: &Stage, times: &[jiff::Timestamp]) -> f64 {
    let took = times[times.len() - 1].duration_since(times[0]);
    let took = took.as_secs_f64() - stage.watch.lost().as_secs_f64();
    (times.len() - 1) as f64 / took.max(0.001)
}

pub(super) async fn a_rate_is_kept_in_every_second_and_used_up(on: On) {
    let stage = Stage::on(on, 150, "pace: { rate: 50/s, burst: 5 }", "").await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    let times = times(&journal);
    let most = busiest_second(&times);
    assert!(most <= 50 + 5 + late(&stage, 50), "{most} within a second");
    let used = per_second(&stage, &times);
    assert!(used >= 45.0, "only {used:.1} a second");
}

pub(super) async fn a_gateways_rate_holds_across_kills_and_processes(on: On) {
    let stage = Stage::on(on, 150, "", "rate: 50/s\nburst: 5").await;
    for posts in [20, 50, 70] {
        let mut process = stage.start(&[]);
        stage.provider.until_posts(posts).await;
        process.kill();
        bury_the_killed(&stage).await;
    }
    let (one, other) = (stage.start(&[]), stage.start(&[]));
    for process in [one, other] {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let journal = stage.assert_everybody_once().await;
    let most = busiest_second(&times(&journal));
    assert!(most <= 50 + 5 + late(&stage, 50), "{most} within a second");
}

pub(super) async fn each_line_keeps_its_own_rate_and_both_are_used(on: On) {
    let stage = Stage::on(on, 60, "pace: { per_line: 20/s }", "").await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    let rows = stage.project.rows(RUN).await;
    let lines: HashMap<_, _> = rows.iter().map(|row| (&row.phone, &row.line)).collect();
    for line in LINES {
        let of_line: Vec<_> = journal
            .posts()
            .into_iter()
            .filter(|post| lines[post.to.as_ref().unwrap()] == line)
            .map(|post| post.at)
            .collect();
        assert_eq!(of_line.len(), 30, "the lines take turns");
        let most = busiest_second(&of_line);
        assert!(
            most <= 20 + 1 + late(&stage, 20),
            "{most} within a second on one line"
        );
        let used = per_second(&stage, &of_line);
        assert!(used >= 18.0, "only {used:.1} a second on one line");
    }
}
