//! The waits that the provider asks for, once they are in the ledger: kept by every process, also
//! by one that had claimed before it could know. What a single process does about them is
//! `faults`'.

use jiff::SignedDuration;
use serde_json::json;

use super::books::{Attempt, Books, sending};
use crate::support::{Journal, On, RUN, Stage, Watch, until};

/// Between an answer that asks for a wait and its commit, which all other processes learn it by, on
/// a machine of its own. Measured at 15 ms; the rest is for a file that another process holds.
const COMMIT_LAG: SignedDuration = SignedDuration::from_millis(250);
/// The same where all that two processes have in hand goes out at that moment, and the commit has to
/// wait for its turn at the file. Half of the wait that is tested with it.
const CROWDED_LAG: SignedDuration = SignedDuration::from_secs(2);

/// A wait for everybody, or for a line, that the ledger knows of.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) known_at: i64,
    pub(super) over_at: i64,
    /// None: the whole account.
    line: Option<String>,
}

/// The waits that were recorded. One whose process was killed before it could record it is known
/// to nobody, and nobody can keep it.
pub(super) fn waits(books: &Books) -> Vec<Wait> {
    let wait = |attempt: &Attempt| {
        let line = match (attempt.http, attempt.outcome.as_str()) {
            (Some(429), "retry") => None,
            (_, "line_busy") => Some(books.deliveries[&attempt.delivery].line.clone()),
            _ => return None,
        };
        Some(Wait {
            known_at: attempt.ended_at?,
            over_at: attempt.due_at?,
            line,
        })
    };
    books.all_attempts().filter_map(wait).collect()
}

impl Wait {
    /// No attempt was begun, and sent, while the wait was known and not over. An attempt that had
    /// been begun before may have been on its way already, and a request that arrives in between
    /// is judged by when its attempt was begun; what was begun within the commit's lag could not
    /// know. Returns the longest such lag, in milliseconds.
    pub(super) fn assert_kept(&self, watch: &Watch, books: &Books, journal: &Journal) -> i64 {
        self.assert_kept_after(watch.late(COMMIT_LAG), books, journal)
    }

    fn assert_kept_after(&self, most: SignedDuration, books: &Books, journal: &Journal) -> i64 {
        let mut lag = 0;
        let of_phone = |phone: &str| books.deliveries.values().find(|one| one.phone == phone);
        for post in journal.posts() {
            let at = post.at.as_millisecond();
            let delivery = of_phone(post.to.as_deref().unwrap()).unwrap();
            let other_line = self
                .line
                .as_ref()
                .is_some_and(|line| *line != delivery.line);
            if other_line || at <= self.known_at || at >= self.over_at {
                continue;
            }
            let attempts = books.attempts[&delivery.id].iter();
            let attempt = attempts.rev().find(|one| one.begun_at <= at).unwrap();
            let known_for = attempt.begun_at - self.known_at;
            assert!(
                i128::from(known_for) <= most.as_millis(),
                "begun {known_for} ms after the wait was known: {attempt:?} of {delivery:?}, \
                 posted at {}, {self:?}",
                post.at
            );
            lag = lag.max(known_for);
        }
        lag
    }
}

pub(super) async fn a_wait_that_one_process_is_told_holds_what_another_has_claimed(on: On) {
    for busy in ["throttle", "line_busy"] {
        // Slots are claimed a second ahead: both have claims that they have not begun.
        let stage = Stage::on(on, 1_000, "pace: { rate: 150/s, burst: 10 }", "").await;
        let held = json!([{ "kind": "slow", "delay_ms": 60_000 }]);
        stage.provider.faults(1, &held).await;
        let one = stage.start(&[]);
        stage.provider.until_waiting(1).await;
        let other = stage.project.spawn(&["resume", RUN, "--yes"]);
        until("both to have something on the wire", async || {
            (sending(&stage).await.len() == 2).then_some(())
        })
        .await;
        let slow = json!({ "kind": "slow_after_accept", "delay_ms": 50 });
        let wait = json!([{ "kind": busy, "wait": 4, "times": 1 }, slow]);
        stage.provider.faults(1, &wait).await;
        for process in [one, other] {
            let ended = process.end().await;
            assert_eq!(ended.code, Some(0), "{busy}: {ended:?}");
        }
        let journal = stage.assert_everybody_once().await;
        let books = Books::of(&stage).await;
        let waits = waits(&books);
        assert_eq!(waits.len(), 1, "{busy}");
        waits[0].assert_kept_after(CROWDED_LAG, &books, &journal);
        let after = waits[0].over_at;
        let later = |post: &&crate::support::Request| post.at.as_millisecond() >= after;
        let posts = journal.posts();
        assert!(
            posts.into_iter().any(|post| later(&post)),
            "{busy}: nothing was held"
        );
    }
}
