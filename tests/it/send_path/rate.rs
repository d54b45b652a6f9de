//! One exact rate, however many processes share it: never above the limit in any window, and used
//! up while there is work. The sandbox's record says when what arrived. That two at one time are
//! told apart, and how a single process keeps its pace, is `pace`'s.
//!
//! A request may arrive late, and the one after it in time: that shortens the window between them
//! by as much as the first was late. [`LATE`] is how much of that is allowed, and besides what the
//! machine was seen to stand still; what a window is above the limit beyond it is a fault. It does
//! not grow with the window, so a rate that is really higher is found by any window that is long
//! enough.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::books::{Books, bury_the_killed, is_free};
use super::waits::waits;
use crate::support::{Journal, LINES, On, Process, Stage, Watch, until};

/// How late a request may be on a machine that never stands still.
const LATE: SignedDuration = SignedDuration::from_millis(150);
/// How late the last one may be where it is asked how much was used.
const LAST_LATE: SignedDuration = SignedDuration::from_millis(60);
/// Slots are reserved this far ahead; those of a process that is killed are lost.
const HORIZON: SignedDuration = SignedDuration::from_secs(1);

/// Of 1,000 places, how many are to be taken while there is work.
const WHOLE: i64 = 990;
/// The same of several processes that take turns at one file: one that has just missed its turn may
/// wait for longer than its slot, and a crowded machine makes it miss many.
const IN_TURNS: i64 = 600;

/// The tests of a rate do not slow each other down.
static TURN: Mutex<()> = Mutex::const_new(());

const STOOD_STILL: Duration = Duration::from_millis(1_500);

/// A limit as the tests reckon with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) per_second: i64,
    pub(super) burst: i64,
}

const ACCOUNT: Limit = Limit {
    per_second: 100,
    burst: 5,
};
const LINE: Limit = Limit {
    per_second: 40,
    burst: 1,
};

impl Limit {
    fn interval_us(self) -> i64 {
        1_000_000 / self.per_second
    }

    /// In no window, however short or long, is there more than the limit allows. Returns the
    /// longest that a request must have been late, for one to be as short as it was.
    pub(super) fn assert_kept(self, watch: &Watch, times: &[Timestamp]) -> SignedDuration {
        self.assert_kept_within(watch.late(LATE), times)
    }

    /// The same with another time that a request may be late.
    pub(super) fn assert_kept_within(
        self,
        allowed: SignedDuration,
        times: &[Timestamp],
    ) -> SignedDuration {
        let at: Vec<i64> = times.iter().map(|at| at.as_microsecond()).collect();
        let mut latest = 0;
        for (i, first) in at.iter().enumerate() {
            for (n, last) in (1..).zip(&at[i..]) {
                let late = (n - self.burst) * self.interval_us() - (last - first);
                assert!(
                    i128::from(late) <= allowed.as_micros(),
                    "{n} within {} ms: {self:?}",
                    (last - first) / 1_000
                );
                latest = late.max(latest);
            }
        }
        SignedDuration::from_micros(latest)
    }

    /// How much of the limit was used from the first to the last, in thousandths.
    fn used(self, times: &[Timestamp]) -> i64 {
        let [first, .., last] = times else {
            panic!("nothing was sent");
        };
        let n = i64::try_from(times.len()).unwrap();
        let took = last.as_microsecond() - first.as_microsecond();
        (n - self.burst) * self.interval_us() * 1_000 / took
    }

    /// While there is work, so many of 1,000 places are taken; the last request may be late, and the
    /// machine busy with something else.
    fn assert_used(self, watch: &Watch, share: i64, times: &[Timestamp]) {
        let n = i64::try_from(times.len()).unwrap();
        let whole = (n - self.burst) * self.interval_us();
        let late = i64::try_from((watch.late(LAST_LATE) + watch.lost()).as_micros()).unwrap();
        let least = whole * share / (whole + late);
        let used = self.used(times);
        assert!(
            used >= least,
            "{used} of 1000 used: {self:?}; of {n}, pauses after each: {:?}",
            pauses(times)
        );
    }
}

/// The longer pauses, in milliseconds, and after how many messages they came.
fn pauses(times: &[Timestamp]) -> Vec<(usize, i128)> {
    let pairs = (1..).zip(times.windows(2));
    let pauses = pairs.map(|(n, pair)| (n, pair[1].duration_since(pair[0]).as_millis()));
    pauses.filter(|(_, ms)| *ms > 100).collect()
}

pub(super) fn times(journal: &Journal) -> Vec<Timestamp> {
    journal.posts().iter().map(|post| post.at).collect()
}

/// The posts of each line.
async fn by_line(stage: &Stage, journal: &Journal) -> HashMap<String, Vec<Timestamp>> {
    let books = Books::of(stage).await;
    let lines: HashMap<&str, &str> = books
        .deliveries
        .values()
        .map(|one| (one.phone.as_str(), one.line.as_str()))
        .collect();
    let mut times: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for post in journal.posts() {
        let line = lines[post.to.as_deref().unwrap()];
        times.entry(line.to_owned()).or_default().push(post.at);
    }
    times
}

async fn finish(workers: Vec<Process>) {
    for worker in workers {
        let ended = worker.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

fn workers(stage: &Stage, many: usize) -> Vec<Process> {
    (0..many).map(|_| stage.worker()).collect()
}

/// The gateway's rate.
async fn at_the_accounts_rate(on: On, people: usize) -> Stage {
    Stage::on(
        on,
        people,
        "pace: { concurrency: 16 }",
        "rate: 100/s\nburst: 5",
    )
    .await
}

/// What several processes are to use.
fn several(on: On) -> i64 {
    match on {
        On::Sqlite => IN_TURNS,
        On::Postgres => WHOLE,
    }
}

async fn one_rate(on: On, processes: usize) {
    let _turn = TURN.lock().await;
    let share = if processes == 1 { WHOLE } else { several(on) };
    let stage = at_the_accounts_rate(on, 500).await;
    finish(workers(&stage, processes)).await;
    let journal = stage.assert_everybody_once().await;
    let times = times(&journal);
    ACCOUNT.assert_kept(&stage.watch, &times);
    ACCOUNT.assert_used(&stage.watch, share, &times);
}

pub(super) async fn one_process_uses_the_whole_rate_and_no_more(on: On) {
    one_rate(on, 1).await;
}

pub(super) async fn four_processes_use_the_whole_rate_and_no_more(on: On) {
    one_rate(on, 4).await;
}

pub(super) async fn four_processes_keep_each_lines_rate_and_use_both(on: On) {
    let _turn = TURN.lock().await;
    let campaign = "pace: { concurrency: 16, per_line: 40/s }";
    let stage = Stage::on(on, 300, campaign, "rate: 100/s\nburst: 5").await;
    finish(workers(&stage, 4)).await;
    let journal = stage.assert_everybody_once().await;
    ACCOUNT.assert_kept(&stage.watch, &times(&journal));
    let lines = by_line(&stage, &journal).await;
    for line in LINES {
        LINE.assert_kept(&stage.watch, &lines[line]);
        LINE.assert_used(&stage.watch, several(on), &lines[line]);
    }
}

/// What the killed had reserved is lost, and no more than that: it goes on at once where they
/// would have ended, without a burst.
pub(super) async fn a_kill_of_all_costs_no_more_than_what_was_reserved(on: On) {
    let _turn = TURN.lock().await;
    let stage = at_the_accounts_rate(on, 600).await;
    let mut killed = workers(&stage, 4);
    stage.provider.until_posts(200).await;
    for worker in &mut killed {
        assert!(worker.kill());
    }
    let at = Timestamp::now();
    bury_the_killed(&stage).await;
    finish(workers(&stage, 4)).await;
    let journal = stage.assert_everybody_once().await;
    let times = times(&journal);
    ACCOUNT.assert_kept(&stage.watch, &times);
    let (before, after): (Vec<_>, Vec<_>) = times.iter().partition(|time| **time <= at);
    ACCOUNT.assert_used(&stage.watch, several(on), &before);
    ACCOUNT.assert_used(&stage.watch, several(on), &after);
    let gap = after[0].duration_since(at);
    // Four programs start meanwhile, on a busy machine.
    let starts = SignedDuration::from_secs(2) + stage.watch.lost();
    assert!(gap < HORIZON + starts, "{gap:#} without a message");
}

/// While they stood still their slots went by; all that they had in hand, sent at once beside what
/// is due now, would be twice the rate.
pub(super) async fn processes_that_stood_still_do_not_make_up_for_it(on: On) {
    let _turn = TURN.lock().await;
    let stage = at_the_accounts_rate(on, 500).await;
    let sending = workers(&stage, 4);
    for posts in [100, 250] {
        stage.provider.until_posts(posts).await;
        until("all to stand still outside of a change", async || {
            for worker in &sending {
                worker.signal("STOP");
            }
            let free = is_free(&stage).await;
            if !free {
                for worker in &sending {
                    worker.signal("CONT");
                }
            }
            free.then_some(())
        })
        .await;
        // Longer than slots are reserved ahead: nothing marks it.
        sleep(STOOD_STILL).await;
        for worker in &sending {
            worker.signal("CONT");
        }
    }
    finish(sending).await;
    let journal = stage.assert_everybody_once().await;
    ACCOUNT.assert_kept(&stage.watch, &times(&journal));
}

pub(super) async fn a_wait_for_all_is_kept_by_all_and_followed_by_no_burst(on: On) {
    let _turn = TURN.lock().await;
    let stage = at_the_accounts_rate(on, 500).await;
    let sending = workers(&stage, 4);
    stage.provider.until_posts(150).await;
    let busy = json!([{ "kind": "throttle", "wait": 2, "times": 1 }]);
    stage.provider.faults(1, &busy).await;
    finish(sending).await;
    let journal = stage.assert_everybody_once().await;
    let times = times(&journal);
    ACCOUNT.assert_kept(&stage.watch, &times);
    let books = Books::of(&stage).await;
    let waits = waits(&books);
    assert_eq!(waits.len(), 1);
    waits[0].assert_kept(&stage.watch, &books, &journal);
    let over_at = Timestamp::from_millisecond(waits[0].over_at).unwrap();
    let (before, after): (Vec<_>, Vec<_>) = times.iter().partition(|time| **time < over_at);
    ACCOUNT.assert_used(&stage.watch, several(on), &after);
    let known_at = Timestamp::from_millisecond(waits[0].known_at).unwrap();
    let before: Vec<_> = before
        .into_iter()
        .filter(|time| *time <= known_at)
        .collect();
    ACCOUNT.assert_used(&stage.watch, several(on), &before);
    let gap = after[0].duration_since(over_at);
    assert!(
        gap < HORIZON + stage.watch.late(LATE),
        "{gap:#} after the wait was over"
    );
}
