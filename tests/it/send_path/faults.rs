//! What the provider does wrong, one fault at a time and mixed: nobody gets the message twice,
//! its waits are obeyed, and what cannot be known is never called failed.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::books::Books;
use super::by_key;
use crate::support::{LINES, On, RUN, Request, Row, Stage, phone};

/// Requests that had left before the answer which forbids them had come, on a busy machine.
const UNDER_WAY: SignedDuration = SignedDuration::from_millis(200);
/// Retries that need no patience.
const QUICK: &str = "retry: { attempts: 5, base: 100ms, max: 400ms }\n";

/// The first post that was answered with `status`.
fn refused_at(posts: &[&Request], status: u16) -> Timestamp {
    let post = posts.iter().find(|post| post.status == Some(status));
    post.expect("the fault has fired").at
}

/// When the program had the answer with `status`; requests that were on their way then do not
/// count against it.
async fn learnt_at(stage: &Stage, status: u16) -> Timestamp {
    let books = Books::of(stage).await;
    let refused = books
        .all_attempts()
        .find(|one| one.http == Some(i64::from(status)))
        .expect("it was written down");
    Timestamp::from_millisecond(refused.ended_at.unwrap()).unwrap()
}

fn row_of<'a>(rows: &'a [Row], to: &str) -> &'a Row {
    rows.iter().find(|row| row.phone == to).unwrap()
}

/// Everybody's first try meets the fault; the second one settles it under the same key.
async fn first_tries_meet(on: On, fault: Value) {
    let terms = format!("{QUICK}pace: {{ concurrency: 20 }}");
    let stage = Stage::on(on, 20, &terms, "timeout: 1s").await;
    let mut rule = fault.clone();
    rule["attempts"] = json!(1);
    stage.provider.faults(1, &json!([rule])).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{fault}: {ended:?}");
    let journal = stage.assert_everybody_once().await;
    for (key, posts) in by_key(&journal) {
        assert_eq!(posts.len(), 2, "{fault}: {key}");
    }
    for row in stage.project.rows(RUN).await {
        assert_eq!(row.attempts, 2, "{fault}: {row:?}");
    }
}

pub(super) async fn refused_before_it_was_taken_it_is_tried_again(on: On) {
    for fault in [
        json!({ "kind": "error", "code": 3002 }),
        json!({ "kind": "error", "code": 3001, "retryable": true }),
        json!({ "kind": "drop_before" }),
        json!({ "kind": "non_json", "status": 502 }),
    ] {
        first_tries_meet(on, fault).await;
    }
}

pub(super) async fn taken_but_not_answered_for_it_is_asked_for_again_and_received_once(on: On) {
    for fault in [
        json!({ "kind": "error_after_accept", "code": 3001 }),
        json!({ "kind": "drop" }),
        json!({ "kind": "half_answer" }),
        json!({ "kind": "non_json_after_accept", "status": 502 }),
    ] {
        first_tries_meet(on, fault).await;
    }
}

pub(super) async fn slower_than_the_timeout_it_is_asked_for_again_and_received_once(on: On) {
    for fault in [
        json!({ "kind": "slow_after_accept", "delay_ms": 1_500 }),
        json!({ "kind": "slow", "delay_ms": 1_200 }),
    ] {
        first_tries_meet(on, fault).await;
    }
}

pub(super) async fn a_throttled_account_is_silent_until_the_wait_is_over(on: On) {
    let stage = Stage::on(on, 200, "pace: { concurrency: 8 }", "").await;
    let rules = json!([
        { "kind": "throttle", "wait": 2, "times": 1, "match": { "to": phone(40) } },
        { "kind": "slow", "delay_ms": 10 },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    let posts = journal.posts();
    let over = refused_at(&posts, 429) + SignedDuration::from_secs(2);
    let from = learnt_at(&stage, 429).await;
    let early: Vec<_> = posts
        .iter()
        .filter(|post| post.at > from + UNDER_WAY && post.at < over)
        .collect();
    assert!(
        early.is_empty(),
        "{} posts too early: {early:?}",
        early.len()
    );
    assert!(posts.last().unwrap().at >= over, "nothing was left to hold");
    let rows = stage.project.rows(RUN).await;
    let attempts = row_of(&rows, &phone(40)).attempts;
    assert_eq!(attempts, 2, "it is asked for once more, after the wait");
}

pub(super) async fn a_busy_line_waits_and_the_other_goes_on(on: On) {
    let stage = Stage::on(on, 120, "pace: { concurrency: 8 }", "").await;
    let rules = json!([
        { "kind": "line_busy", "wait": 2, "times": 1 },
        { "kind": "slow", "delay_ms": 90 },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    let posts = journal.posts();
    let over = refused_at(&posts, 503) + SignedDuration::from_secs(2);
    let from = learnt_at(&stage, 503).await;
    let rows = stage.project.rows(RUN).await;
    let early = |line: &str| {
        let of_line = |post: &&&Request| row_of(&rows, post.to.as_deref().unwrap()).line == line;
        let early = |post: &&&Request| post.at > from + UNDER_WAY && post.at < over;
        posts.iter().filter(of_line).filter(early).count()
    };
    let refused = posts.iter().find(|post| post.status == Some(503)).unwrap();
    let busy = row_of(&rows, refused.to.as_deref().unwrap()).line.clone();
    let other = LINES.into_iter().find(|line| *line != busy).unwrap();
    assert_eq!(early(&busy), 0, "the busy line was not left alone");
    assert!(early(other) > 0, "the other line was held too");
}

pub(super) async fn attempts_used_up_end_as_failed_in_the_providers_words(on: On) {
    let terms = "retry: { attempts: 4, base: 200ms, max: 400ms }";
    let stage = Stage::on(on, 12, terms, "").await;
    let rules = json!([{
        "kind": "error", "code": 4001, "retryable": true, "message": "The device turned it away",
        "match": { "to": phone(5) },
    }]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = stage.project.rows(RUN).await;
    let row = row_of(&rows, &phone(5));
    assert_eq!(
        (row.state.as_str(), row.code, row.attempts),
        ("failed", Some(4001), 4)
    );
    assert!(row.reason.contains("The device turned it away"), "{row:?}");
    let others = rows.iter().filter(|row| row.state == "sent").count();
    assert_eq!(others, 11);
    let journal = stage.assert_nobody_twice().await;
    let posts = &by_key(&journal)[&row.idempotency_key];
    // Half to the whole of 200 ms, 400 ms, 400 ms, and the time an exchange takes.
    for (pair, full) in posts.windows(2).zip([200, 400, 400]) {
        let wait = pair[1].at.duration_since(pair[0].at).as_millis();
        assert!(
            (full / 2 - 2..full + 400).contains(&wait),
            "{wait} ms of {full}"
        );
    }
}

pub(super) async fn a_definite_no_is_not_repeated(on: On) {
    let stage = Stage::on(on, 12, "", "").await;
    let rules = json!([{ "kind": "error", "code": 1010, "match": { "to": phone(5) } }]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = stage.project.rows(RUN).await;
    let row = row_of(&rows, &phone(5));
    assert_eq!(
        (row.state.as_str(), row.code, row.attempts),
        ("failed", Some(1010), 1)
    );
    assert!(row.reason.contains("iMessage"), "{row:?}");
    assert_eq!(stage.provider.totals().await.message_posts, 12);
}

pub(super) async fn unanswered_to_the_end_is_uncertain_whether_it_was_taken_or_not(on: On) {
    let terms = "retry: { attempts: 3, base: 50ms, max: 100ms }";
    let stage = Stage::on(on, 12, terms, "").await;
    let rules = json!([
        { "kind": "drop", "match": { "to": phone(3) } },
        { "kind": "drop_before", "match": { "to": phone(5) } },
        { "kind": "error_after_accept", "code": 3001, "match": { "to": phone(7) } },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let rows = stage.project.rows(RUN).await;
    for to in [phone(3), phone(5), phone(7)] {
        let row = row_of(&rows, &to);
        assert_eq!(
            (row.state.as_str(), row.attempts),
            ("uncertain", 3),
            "{row:?}"
        );
    }
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(
        journal.totals.people, 11,
        "all but the one whose request was lost"
    );
}

pub(super) async fn refusals_after_a_lost_answer_do_not_make_it_failed(on: On) {
    let terms = "retry: { attempts: 4, base: 50ms, max: 100ms }";
    let stage = Stage::on(on, 6, terms, "").await;
    let rules = json!([
        { "kind": "drop", "attempts": 1, "match": { "to": phone(2) } },
        { "kind": "error", "code": 3002, "match": { "to": phone(2) } },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(journal.totals.people, 6, "the first try was taken");
    let rows = stage.project.rows(RUN).await;
    let row = row_of(&rows, &phone(2));
    assert_eq!(
        (row.state.as_str(), row.attempts),
        ("uncertain", 4),
        "{row:?}"
    );
}

pub(super) async fn faults_of_all_kinds_at_once_leave_everybody_with_one_message(on: On) {
    let terms = "pace: { concurrency: 16 }\nretry: { attempts: 20, base: 50ms, max: 200ms }";
    let stage = Stage::on(on, 200, terms, "timeout: 1s").await;
    let kinds = [
        json!({ "kind": "throttle", "wait": 1, "times": 2 }),
        json!({ "kind": "line_busy", "wait": 1, "times": 2 }),
        json!({ "kind": "error", "code": 3002 }),
        json!({ "kind": "error_after_accept", "code": 3001 }),
        json!({ "kind": "drop" }),
        json!({ "kind": "drop_before" }),
        json!({ "kind": "half_answer" }),
        json!({ "kind": "non_json" }),
        json!({ "kind": "non_json_after_accept", "status": 500 }),
        json!({ "kind": "slow_after_accept", "delay_ms": 1_200, "times": 6 }),
        json!({ "kind": "slow", "delay_ms": 1_200, "times": 6 }),
    ];
    let rules: Vec<Value> = kinds
        .into_iter()
        .map(|mut rule| {
            rule["share"] = json!(0.06);
            rule
        })
        .collect();
    stage.provider.faults(2_026, &json!(rules)).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn refused_credentials_halt_the_run_and_a_resume_finishes_it(on: On) {
    let stage = Stage::on(on, 60, "pace: { concurrency: 4 }", "").await;
    let rules = json!([
        { "kind": "error", "code": 2004, "status": 401, "match": { "to": phone(20) } },
        { "kind": "slow", "delay_ms": 5 },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.err.contains("refuses"), "{ended:?}");
    let before = stage.provider.totals().await;
    assert!(before.people < 60, "it went on");
    let status = stage
        .project
        .run(&["status", RUN, "--format", "json"])
        .await;
    assert_eq!(status.json()["state"], "halted", "{status:?}");
    let again = stage.send().await;
    assert_eq!(again.code, Some(4), "{again:?}");
    assert_eq!(
        stage.provider.totals().await.message_posts,
        before.message_posts,
        "a halted run sends nothing until it is resumed"
    );
    stage.provider.faults(1, &json!([])).await;
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    stage.assert_everybody_once().await;
}
