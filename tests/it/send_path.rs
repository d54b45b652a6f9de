//! The send path as a promise: the real program against a sandbox in another process, killed,
//! stopped, throttled and lied to. The sandbox's record is the oracle; what the program says of
//! itself is only compared with it.

mod books;
mod caps;
mod control;
mod crash;
mod crash_points;
mod faults;
mod fencing;
mod keys;
mod once;
mod pace;
mod soak;
mod stop;
mod uploads;
mod waits;

use std::collections::HashMap;

use crate::support::{Journal, Request};

/// The posts of each key, in the order of their arrival.
fn by_key(journal: &Journal) -> HashMap<String, Vec<&Request>> {
    let mut keys: HashMap<String, Vec<&Request>> = HashMap::new();
    for post in journal.posts() {
        let key = post.key.clone().unwrap_or_default();
        keys.entry(key).or_default().push(post);
    }
    keys
}

/// Nothing can be killed at a crash point that is not there; and a test that kills nobody must
/// not pass.
#[expect(
    clippy::assertions_on_constants,
    reason = "the build decides it, the test must say it"
)]
fn assert_armed() {
    assert!(
        cfg!(feature = "crash-points"),
        "the program was built without crash points: run the tests with `--all-features`, or \
         with `--features crash-points`"
    );
}
