//! Who was taken for dead and comes back: its answers are late, and change nothing. And two that
//! live share a run without sending what the other has.
//!
//! A process is known to be gone by the lock that it held on a file beside the ledger. A test
//! that puts another file in that place makes a living process look dead at once; a lease that
//! ends by time alone has a test of its own.

use std::fs::{self, File};

use serde_json::json;

use super::books::{Attempt, Books, bury_the_killed, is_free, sending};
use super::{assert_armed, by_key};
use crate::support::{CAMPAIGN, On, Process, Stage, until};

/// Makes the one process that is enlisted look dead.
async fn bury_alive(stage: &Stage) {
    if stage.database.is_some() {
        bury_the_killed(stage).await;
        return;
    }
    let files = fs::read_dir(stage.project.path("")).unwrap();
    let lock = files
        .map(|file| file.unwrap().path())
        .find(|path| path.to_string_lossy().contains("-owner-"))
        .expect("it is enlisted");
    fs::remove_file(&lock).unwrap();
    File::create(lock).unwrap();
}

/// Waits until the process stands still.
async fn until_stopped(process: &mut Process) {
    until("the process to stand still", async || {
        assert!(process.is_running(), "{}", process.err());
        process.is_stopped().then_some(())
    })
    .await;
}

/// Starts the run and stops it with so many requests on the wire; they have been accepted, and
/// their answers lie in its buffers.
async fn stopped_with_on_the_wire(stage: &Stage, requests: usize) -> Process {
    let lie = json!([{ "kind": "slow_after_accept", "delay_ms": 60_000, "times": requests }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(requests).await;
    until("it to stand still outside of a change", async || {
        process.signal("STOP");
        until_stopped(&mut process).await;
        let free = is_free(stage).await;
        if !free {
            process.signal("CONT");
        }
        free.then_some(())
    })
    .await;
    stage.provider.faults(1, &json!([])).await;
    process
}

/// Lets the one that was taken over go on to its end, which must be that of the run; what it
/// writes down then must change nothing.
async fn comes_back(stage: &Stage, process: Process) -> Books {
    let before = Books::of(stage).await;
    process.signal("CONT");
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("finished"), "{ended:?}");
    let after = Books::of(stage).await;
    assert_eq!(before.deliveries, after.deliveries, "a late word counted");
    let journal = stage.assert_everybody_once().await;
    after.assert_whole(&journal);
    after
}

fn late(books: &Books) -> Vec<&Attempt> {
    books.all_attempts().filter(|one| one.late).collect()
}

pub(super) async fn an_attempt_that_comes_back_after_a_takeover_is_late_and_changes_nothing(
    on: On,
) {
    let stage = Stage::on(on, 30, "pace: { concurrency: 4 }", "").await;
    let first = stopped_with_on_the_wire(&stage, 4).await;
    let begun = Books::of(&stage).await.in_state("sending").count();
    bury_alive(&stage).await;
    let second = stage.resume().await;
    assert_eq!(second.code, Some(0), "{second:?}");
    let books = comes_back(&stage, first).await;
    let late = late(&books);
    assert_eq!(late.len(), begun);
    assert!(late.iter().all(|one| one.number == 1), "{late:?}");
    let accepted = late.iter().filter(|one| one.outcome == "accepted").count();
    assert!(accepted >= 4, "{late:?}");
}

/// Where a process may stand still while another one takes over all that it has, and what its
/// attempt comes back as, if it had begun one that was not recorded.
const STANDS: [(&str, &[&str]); 6] = [
    ("claim.committed:1", &[]),
    ("slot.waited:1", &[]),
    ("begin.before:1", &[]),
    // Whether it sees in time that the run is finished decides.
    ("begin.committed:1", &["accepted", "not_sent"]),
    ("answer.received:1", &["accepted"]),
    ("record.committed:1", &[]),
];

/// A run to one person by a process that stands still at a point.
async fn stopped_at(on: On, stand: &str) -> (Stage, Process) {
    let at = format!("{stand}:stop");
    let args = ["run", CAMPAIGN, "--yes"];
    until("it to stand still outside of a change", async || {
        let stage = Stage::on(on, 1, "", "").await;
        let variables = [("SENDOFF_CRASH_AT", at.as_str())];
        let mut process = stage.project.spawn_with(&args, &variables);
        until_stopped(&mut process).await;
        is_free(&stage).await.then_some((stage, process))
    })
    .await
}

pub(super) async fn wherever_it_stood_still_one_that_was_taken_over_does_no_harm(on: On) {
    assert_armed();
    for (stand, outcomes) in STANDS {
        let (stage, first) = stopped_at(on, stand).await;
        bury_alive(&stage).await;
        let second = stage.resume().await;
        assert_eq!(second.code, Some(0), "{stand}: {second:?}");
        let books = comes_back(&stage, first).await;
        let late = late(&books);
        let expected = usize::from(!outcomes.is_empty());
        assert_eq!(late.len(), expected, "{stand}: {late:?}");
        for one in late {
            assert!(outcomes.contains(&&*one.outcome), "{stand}: {one:?}");
        }
    }
}

pub(super) async fn one_that_was_stopped_past_its_lease_sends_nothing_more_of_what_it_had(on: On) {
    // The shortest lease there is: about half a minute.
    let stage = Stage::on(on, 40, "pace: { concurrency: 2 }", "timeout: 300ms").await;
    let first = stopped_with_on_the_wire(&stage, 2).await;
    let held = Books::of(&stage).await;
    let begun = held.in_state("sending").count();
    let claimed = |one: &&super::books::Delivery| one.lease_owner.is_some();
    let claims = held.in_state("pending").filter(claimed).count();
    assert!(begun > 2 && claims > 0, "{begun} begun, {claims} claimed");
    // It waits for the leases to end, takes over, and finishes the run.
    let second = stage.resume().await;
    assert_eq!(second.code, Some(0), "{second:?}");
    let books = comes_back(&stage, first).await;
    let late = late(&books);
    // The answers to the two on the wire may or may not count as in time.
    let not_sent = late.iter().filter(|one| one.outcome == "not_sent").count();
    assert_eq!((late.len(), not_sent), (begun, begun - 2), "{late:?}");
    let journal = stage.provider.journal().await;
    let keys = by_key(&journal);
    let twice = keys.values().filter(|posts| posts.len() > 1).count();
    assert_eq!(twice, 2, "only what was on the wire is asked for again");
    assert_eq!(journal.posts().len(), 42);
}

pub(super) async fn two_processes_both_send_and_neither_sends_what_the_other_has(on: On) {
    let stage = Stage::on(on, 1_000, "pace: { rate: 150/s, burst: 10 }", "").await;
    // More than one process takes in hand, and none of it is through before the second has its part.
    let held = json!([{ "kind": "slow", "delay_ms": 20_000 }]);
    stage.provider.faults(1, &held).await;
    let one = stage.start(&[]);
    stage.provider.until_waiting(1).await;
    let other = stage
        .project
        .spawn(&["resume", crate::support::RUN, "--yes"]);
    until("both to have something on the wire", async || {
        (sending(&stage).await.len() == 2).then_some(())
    })
    .await;
    let slow = json!([{ "kind": "slow_after_accept", "delay_ms": 100 }]);
    stage.provider.faults(1, &slow).await;
    for process in [one, other] {
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.posts().len(), 1_000, "each was asked for once");
    let books = Books::of(&stage).await;
    books.assert_whole(&journal);
    // On a machine that stands still an attempt may miss its slot; then it is put back unsent.
    let sent = |one: &&Attempt| one.outcome != "not_sent";
    assert_eq!(books.all_attempts().filter(sent).count(), 1_000);
    assert!(books.all_attempts().all(|one| !one.late));
}
