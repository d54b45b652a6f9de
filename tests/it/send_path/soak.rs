//! Hundreds of `kill -9` at random moments, under faults of every kind, one or two processes at a
//! time; then the sandbox's record against the ledger, row by row.
//!
//! Everything follows from one seed, which is printed, except what the machine's scheduler adds.
//! `SENDOFF_SOAK_SEED=N` repeats a soak, `SENDOFF_SOAK_KILLS=N` makes it longer (or shorter):
//!
//! ```text
//! SENDOFF_SOAK_SEED=7 SENDOFF_SOAK_KILLS=5000 cargo t soak --no-capture
//! ```
//!
//! Here alone a test lets time pass: a moment that no event marks is what it is looking for.

use std::time::Duration;

use serde_json::{Value, json};

use super::books::Books;
use super::waits::waits;
use crate::support::{Process, Stage, phone, until};

/// Kills of a soak that is told nothing else.
const KILLS: usize = 200;
/// The seed of a soak that is told none.
const SEED: u64 = 0x5eed;
/// Kills of one run, at the most; the next run then has another list, other faults and pace.
const KILLS_OF_A_RUN: usize = 34;
/// A process that comes to life needs some tens of milliseconds; at this one it is at work.
const LONGEST_DELAY_MS: u64 = 250;

pub(super) fn told(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}='{text}' is no whole number")))
}

/// What a run of the soak came to.
#[derive(Default)]
struct Tally {
    kills: usize,
    runs: usize,
    posts: usize,
    people: usize,
    waits: usize,
    lost: usize,
    late: usize,
    /// The longest that somebody began an attempt after a wait was known, in milliseconds.
    lag_ms: i64,
}

#[expect(clippy::print_stderr, reason = "the seed repeats what has failed")]
#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_kills_and_faults_everybody_gets_it_once() {
    let seed = told("SENDOFF_SOAK_SEED").unwrap_or(SEED);
    let wanted = told("SENDOFF_SOAK_KILLS").map_or(KILLS, |kills| kills.try_into().unwrap());
    let begun = tokio::time::Instant::now();
    let mut tally = Tally::default();
    let mut in_vain = 0;
    while tally.kills < wanted {
        let seed = seed.wrapping_add(tally.runs as u64);
        eprintln!(
            "soak: SENDOFF_SOAK_SEED={seed}, {} of {wanted} kills",
            tally.kills
        );
        let before = tally.kills;
        one_run(seed, wanted - tally.kills, &mut tally).await;
        // One may happen to end before it is killed.
        in_vain = if tally.kills > before { 0 } else { in_vain + 1 };
        assert!(in_vain < 3, "nobody was killed up to seed {seed}");
    }
    eprintln!(
        "soak: {} kills in {} runs within {:.0?}; {} people, {} posts; {} attempts lost, {} late; \
         {} waits kept, learnt by all within {} ms",
        tally.kills,
        tally.runs,
        begun.elapsed(),
        tally.people,
        tally.posts,
        tally.lost,
        tally.late,
        tally.waits,
        tally.lag_ms,
    );
    assert!(tally.kills >= wanted);
    assert!(
        tally.waits > 0,
        "no wait was asked for: the soak is too easy"
    );
}

/// A run under faults, killed over and over, then finished and compared.
async fn one_run(seed: u64, kills: usize, tally: &mut Tally) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let people = chance.usize(80..200);
    let stage = stage(&mut chance, people).await;
    stage.provider.faults(seed, &faults(&mut chance)).await;
    let mut working: Vec<Process> = Vec::new();
    for _ in 0..kills.min(KILLS_OF_A_RUN) {
        working.retain_mut(Process::is_running);
        while working.len() < chance.usize(1..=2) {
            working.push(stage.start(&[]));
        }
        moment(&mut chance, &stage, &mut working).await;
        // Now and then all of them, as when the power fails.
        let victims = if chance.u8(..) < 48 { working.len() } else { 1 };
        let mut killed = 0;
        for mut victim in working.drain(..victims) {
            killed += usize::from(victim.kill());
        }
        tally.kills += killed;
        if killed == 0 {
            // It came to its own end just before.
            break;
        }
    }
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for process in working {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    tally.runs += 1;
    tally.people += people;
    compare(&stage, tally).await;
}

/// A project of any size and pace, with or without pictures.
async fn stage(chance: &mut fastrand::Rng, people: usize) -> Stage {
    let terms = format!(
        "pace: {{ concurrency: {} }}\nretry: {{ attempts: 40, base: 20ms, max: 100ms }}",
        chance.usize(1..=8)
    );
    let stage = Stage::with(people, &terms, "timeout: 400ms").await;
    if chance.bool() {
        let picture = include_bytes!("../../../templates/images/priya.png");
        stage.project.write("templates/priya.png", picture);
        stage.project.write(
            "templates/hello.yaml",
            "parts:\n  - type: media\n    file: priya.png\n  - type: text\n    \
             value: \"Hi {{ first_name }}, your table is ready.\"\n",
        );
    }
    stage
}

/// Faults of every kind: before and after the message was taken, lies, silence and waits.
pub(super) fn faults(chance: &mut fastrand::Rng) -> Value {
    let share = 0.01 + chance.f64() * 0.06;
    let few = share / 3.0;
    json!([
        { "kind": "drop", "share": share },
        { "kind": "drop_before", "share": share },
        { "kind": "half_answer", "share": share },
        { "kind": "error", "code": 3002, "share": share },
        { "kind": "error", "code": 3001, "share": share },
        { "kind": "error", "code": 3002, "retry_after": 1, "share": few, "times": 4 },
        { "kind": "error_after_accept", "code": 3001, "share": share },
        { "kind": "non_json", "share": share },
        { "kind": "non_json_after_accept", "share": share },
        { "kind": "slow_after_accept", "delay_ms": 600, "share": few },
        { "kind": "slow", "delay_ms": 500, "share": few },
        { "kind": "throttle", "wait": 1, "times": 1, "match": { "to": phone(chance.usize(0..80)) } },
        { "kind": "throttle", "wait": 1, "share": few, "times": 2 },
        { "kind": "line_busy", "wait": 1, "share": few, "times": 3 },
        { "kind": "drop", "share": share, "match": { "route": "attachments" } },
        { "kind": "drop", "share": share, "match": { "route": "upload" } },
        { "kind": "slow_after_accept", "delay_ms": 10 },
    ])
}

/// Waits for a random moment: a length of time, some more posts, or as soon as there is a ledger.
async fn moment(chance: &mut fastrand::Rng, stage: &Stage, working: &mut [Process]) {
    if chance.bool() {
        let delay = chance.u64(0..LONGEST_DELAY_MS);
        tokio::time::sleep(Duration::from_millis(delay)).await;
        return;
    }
    let target = stage.provider.totals().await.message_posts + chance.usize(1..12);
    until("posts, or the end of everybody", async || {
        let there = stage.provider.totals().await.message_posts >= target;
        let at_work = working.iter_mut().any(Process::is_running);
        (there || !at_work).then_some(())
    })
    .await;
}

async fn compare(stage: &Stage, tally: &mut Tally) {
    let journal = stage.assert_everybody_once().await;
    let books = Books::of(stage).await;
    books.assert_whole(&journal);
    assert_no_early_retry(&books);
    let waits = waits(&books);
    for wait in &waits {
        tally.lag_ms = tally
            .lag_ms
            .max(wait.assert_kept(&stage.watch, &books, &journal));
    }
    tally.posts += journal.posts().len();
    tally.waits += waits.len();
    let attempts = || books.all_attempts();
    tally.lost += attempts().filter(|one| one.outcome == "lost").count();
    tally.late += attempts().filter(|one| one.late).count();
}

/// Nobody is asked for again before the time that the attempt before has left: whether it is the
/// provider's wait or our own backoff, and whichever process comes next.
pub(super) fn assert_no_early_retry(books: &Books) {
    for attempts in books.attempts.values() {
        for pair in attempts.windows(2) {
            let [before, next] = pair else { continue };
            // A late one was overtaken, a lost one has left no time.
            let due_at = before.due_at.filter(|_| !before.late);
            assert!(
                due_at.is_none_or(|due_at| next.begun_at >= due_at),
                "{pair:?}"
            );
        }
    }
}
