//! A real `kill -9` in every crash window of the send path, one by one: the program ends itself
//! at a named point (`src/crash_points.rs`), and what it leaves behind and what the next one
//! makes of it is compared with the sandbox's record.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::assert_armed;
use super::books::{Books, bury_the_killed};
use crate::support::{CAMPAIGN, Ended, KILL, On, RUN, Stage};

/// A crash window, and what a run to one person comes to that is killed in it.
struct Window {
    /// The point, and at which arrival (from 1).
    at: (&'static str, u32),
    /// What becomes of the first try.
    fault: Option<&'static str>,
    left: Left,
    /// Attempts begun, and requests made, when the run is over.
    end: (u32, usize),
}

/// What the kill leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    /// The delivery's state and the attempts begun; none where there is no run.
    delivery: Option<(&'static str, u32)>,
    /// Requests that have carried the message.
    posts: usize,
    /// Messages that the person has.
    received: usize,
}

const fn left(delivery: Option<(&'static str, u32)>, posts: usize, received: usize) -> Left {
    Left {
        delivery,
        posts,
        received,
    }
}

const fn window(
    at: (&'static str, u32),
    fault: Option<&'static str>,
    left: Left,
    end: (u32, usize),
) -> Window {
    Window {
        at,
        fault,
        left,
        end,
    }
}

const REFUSED: Option<&str> = Some(r#"{ "kind": "error", "code": 3002 }"#);
const REFUSED_THOUGH_TAKEN: Option<&str> = Some(r#"{ "kind": "error_after_accept" }"#);
const UNANSWERED: Option<&str> = Some(r#"{ "kind": "drop" }"#);
const THROTTLED: Option<&str> = Some(r#"{ "kind": "throttle", "wait": 1 }"#);
const MEDIA_LOST: Option<&str> = Some(r#"{ "kind": "error", "code": 5001 }"#);
const LINE_BUSY: Option<&str> = Some(r#"{ "kind": "line_busy", "wait": 1 }"#);

const NO_RUN: Option<(&str, u32)> = None;
const UNTOUCHED: Option<(&str, u32)> = Some(("pending", 0));
const BACK: Option<(&str, u32)> = Some(("pending", 1));
const BEGUN: Option<(&str, u32)> = Some(("sending", 1));
const SENT: Option<(&str, u32)> = Some(("sent", 1));

/// Every window there is. The first group is the second writer's commit: begin, then record.
const WINDOWS: &[Window] = &[
    window(("freeze.before_seal", 1), None, left(NO_RUN, 0, 0), (1, 1)),
    window(("freeze.sealed", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("claim.before", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("claim.committed", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("slot.waited", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("upload.done", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("upload.kept", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("begin.before", 1), None, left(UNTOUCHED, 0, 0), (1, 1)),
    window(("group.committed", 1), None, left(BEGUN, 0, 0), (2, 1)),
    window(("begin.committed", 1), None, left(BEGUN, 0, 0), (2, 1)),
    window(("answer.received", 1), None, left(BEGUN, 1, 1), (2, 2)),
    window(("answer.received", 1), REFUSED, left(BEGUN, 1, 0), (2, 2)),
    window(
        ("answer.received", 1),
        REFUSED_THOUGH_TAKEN,
        left(BEGUN, 1, 1),
        (2, 2),
    ),
    window(
        ("answer.received", 1),
        UNANSWERED,
        left(BEGUN, 1, 1),
        (2, 2),
    ),
    window(("answer.received", 1), THROTTLED, left(BEGUN, 1, 0), (2, 2)),
    window(("group.committed", 2), None, left(SENT, 1, 1), (1, 1)),
    window(("record.committed", 1), None, left(SENT, 1, 1), (1, 1)),
    window(("record.committed", 1), REFUSED, left(BACK, 1, 0), (2, 2)),
    window(
        ("record.committed", 1),
        REFUSED_THOUGH_TAKEN,
        left(BEGUN, 1, 1),
        (2, 2),
    ),
    window(
        ("record.committed", 1),
        UNANSWERED,
        left(BEGUN, 1, 1),
        (2, 2),
    ),
    window(("record.committed", 1), THROTTLED, left(BACK, 1, 0), (2, 2)),
    window(("record.committed", 1), LINE_BUSY, left(BACK, 1, 0), (2, 2)),
    // Under a new key.
    window(
        ("record.committed", 1),
        MEDIA_LOST,
        left(BACK, 1, 0),
        (2, 2),
    ),
    // The second try's, with the wait or doubt of the first in the ledger.
    window(
        ("begin.committed", 2),
        REFUSED,
        left(Some(("sending", 2)), 1, 0),
        (3, 2),
    ),
    window(
        ("answer.received", 2),
        UNANSWERED,
        left(Some(("sending", 2)), 2, 1),
        (3, 3),
    ),
    window(
        ("record.committed", 2),
        UNANSWERED,
        left(Some(("sent", 2)), 2, 1),
        (2, 2),
    ),
    window(("finish.before", 1), None, left(SENT, 1, 1), (1, 1)),
    window(("finish.committed", 1), None, left(SENT, 1, 1), (1, 1)),
    window(("retire.before", 1), None, left(SENT, 1, 1), (1, 1)),
];

/// The windows that a run to many people is killed in over and over, and at which arrival.
const CROWDED: &[(&str, u32)] = &[
    ("claim.committed", 1),
    ("slot.waited", 7),
    ("upload.done", 1),
    ("begin.before", 7),
    ("group.committed", 2),
    ("begin.committed", 7),
    ("answer.received", 5),
    ("record.committed", 5),
];

/// A campaign to `people` people with a picture, so that there are uploads.
async fn stage(on: On, people: usize) -> Stage {
    assert_armed();
    let terms = "pace: { concurrency: 4 }\nretry: { attempts: 5, base: 100ms, max: 400ms }";
    let stage = Stage::on(on, people, terms, "").await;
    let picture = include_bytes!("../../../templates/images/priya.png");
    stage.project.write("templates/priya.png", picture);
    stage.project.write(
        "templates/hello.yaml",
        "parts:\n  - type: media\n    file: priya.png\n  - type: text\n    \
         value: Your table is ready.\n",
    );
    stage
}

/// `sendoff run`, killed at a point.
async fn die(stage: &Stage, (point, arrival): (&str, u32)) -> Ended {
    let at = format!("{point}:{arrival}");
    let args = ["run", CAMPAIGN, "--yes"];
    let process = stage
        .project
        .spawn_with(&args, &[("SENDOFF_CRASH_AT", &at)]);
    let ended = process.end().await;
    bury_the_killed(stage).await;
    ended
}

/// The waits that the ledger holds for a delivery, in milliseconds since the epoch.
fn not_before(books: &Books) -> Option<i64> {
    let delivery = books.deliveries.values().next()?;
    match (delivery.state.as_str(), &delivery.lease_owner) {
        ("pending", _) => Some(delivery.due_at),
        ("sending", None) => delivery.lease_until,
        _ => None,
    }
}

async fn killed_in(on: On, window: &Window) {
    let name = format!("{:?} {:?}", window.at, window.fault);
    let stage = stage(on, 1).await;
    if let Some(fault) = window.fault {
        let mut rule: Value = serde_json::from_str(fault).unwrap();
        rule["times"] = json!(1);
        stage.provider.faults(1, &json!([rule])).await;
    }
    let dead = die(&stage, window.at).await;
    assert_eq!(dead.signal, Some(KILL), "{name}: {dead:?}");
    let books = Books::of(&stage).await;
    let delivery = books.deliveries.values().next();
    let totals = stage.provider.totals().await;
    assert_eq!(
        delivery.map(|one| (one.state.as_str(), one.attempt)),
        window.left.delivery,
        "{name}"
    );
    assert_eq!(totals.message_posts, window.left.posts, "{name}");
    assert_eq!(totals.messages, window.left.received, "{name}");
    let ended = if delivery.is_some() {
        stage.resume().await
    } else {
        let no_run = stage.resume().await;
        assert_eq!(no_run.code, Some(1), "{name}: {no_run:?}");
        stage.send().await
    };
    assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
    let journal = stage.assert_everybody_once().await;
    let after = Books::of(&stage).await;
    after.assert_whole(&journal);
    let attempts = after.deliveries.values().next().unwrap().attempt;
    assert_eq!((attempts, journal.posts().len()), window.end, "{name}");
    if let (Some(at), Some(next)) = (not_before(&books), journal.posts().get(window.left.posts)) {
        let early = SignedDuration::from_millis(at - next.at.as_millisecond());
        assert!(!early.is_positive(), "{name}: asked {early:#} too early");
    }
    // One file, and one more where the first upload was not known, or not there any more.
    let again = window.at.0 == "upload.done" || window.fault == MEDIA_LOST;
    let uploads = if again { 2 } else { 1 };
    let slots = |path: &str| path.ends_with("/attachments");
    let slots = journal.requests.iter().filter(|one| slots(&one.path));
    assert_eq!(slots.count(), uploads, "{name}");
}

pub(super) async fn a_kill_in_any_window_leaves_what_is_said_of_it_and_resume_mends_it(on: On) {
    for window in WINDOWS {
        killed_in(on, window).await;
    }
}

/// Attempts begun so far, and whether the last of them is still without an outcome.
fn begun(books: &Books) -> Vec<(u32, bool)> {
    let one = |delivery: &super::books::Delivery| (delivery.attempt, delivery.state != "sent");
    books.deliveries.values().map(one).collect()
}

pub(super) async fn a_crowd_killed_three_times_in_the_same_window_gets_it_once_each(on: On) {
    for &at in CROWDED {
        let stage = stage(on, 40).await;
        let slow = json!([{ "kind": "slow_after_accept", "delay_ms": 10 }]);
        stage.provider.faults(1, &slow).await;
        for death in 1..=3 {
            let dead = die(&stage, at).await;
            // Whoever died had the last of it in hand, or the picture was kept.
            if death > 1 && dead.code == Some(0) {
                break;
            }
            assert_eq!(dead.signal, Some(KILL), "{at:?}, death {death}: {dead:?}");
        }
        let before = Books::of(&stage).await;
        let ended = stage.resume().await;
        assert_eq!(ended.code, Some(0), "{at:?}: {ended:?}");
        let journal = stage.assert_everybody_once().await;
        let after = Books::of(&stage).await;
        after.assert_whole(&journal);
        // Whoever has no outcome yet is asked for once more, and nobody else.
        for ((before, open), (after, _)) in begun(&before).into_iter().zip(begun(&after)) {
            assert_eq!(after, before + u32::from(open), "{at:?}");
        }
        let burnt = begun(&before).iter().any(|(attempts, _)| *attempts > 0);
        let early = ["claim", "slot", "upload"];
        if early.iter().any(|point| at.0.starts_with(point)) {
            assert!(!burnt, "{at:?}: an attempt was counted that was not begun");
        }
    }
}

/// The points that the program has, by its source.
fn points(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(points(&path));
        } else {
            let source = fs::read_to_string(path).unwrap_or_default();
            let calls = source.split("crash_points::reach(\"").skip(1);
            found.extend(calls.map(|rest| rest.split('"').next().unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn every_crash_point_has_its_kill() {
    let points = points(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let killed: BTreeSet<String> = WINDOWS
        .iter()
        .map(|window| window.at.0)
        .chain(super::hooks::POINTS)
        .chain(super::hue::crash_points::POINTS)
        .map(str::to_owned)
        .collect();
    assert_eq!(points, killed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_point_that_cannot_be_meant_is_refused() {
    let stage = stage(On::Sqlite, 1).await;
    for text in [
        "begin.committed:x",
        "begin.committed:0",
        "a:1:later",
        "a:1:stop:1",
    ] {
        let variables = [("SENDOFF_CRASH_AT", text)];
        let args = ["run", CAMPAIGN, "--yes"];
        let ended = stage.project.spawn_with(&args, &variables).end().await;
        assert_eq!(ended.code, None, "{ended:?}");
        assert!(ended.err.contains("is no crash point"), "{ended:?}");
    }
    assert_eq!(stage.provider.totals().await.message_posts, 0, "{RUN}");
}
