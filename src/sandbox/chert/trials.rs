//! How often the requests for the lab's numbers were tried, and what goes wrong with the next
//! one. Knows no clock and carries nothing out; the exchange does.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::numbers::{self, Lasts};
use crate::domain::digest::Digest;
use crate::sandbox::faults::{Fault, Fired, RouteMatch, Subject};

#[derive(Debug)]
struct Tried {
    tries: u32,
    first_us: i64,
}

/// The tries of every key, for the numbers of the block alone; grows with the keys sent there.
#[derive(Debug, Default)]
pub(super) struct Trials {
    tried: HashMap<Digest, Tried>,
    released: CancellationToken,
}

impl Trials {
    /// Decides about one request for a number of the block; each call counts as a try of its key.
    pub(super) fn decide(&mut self, subject: Subject<'_>, now_us: i64) -> Option<Fired> {
        if !subject.routes.contains(&RouteMatch::Posts) {
            return None;
        }
        let trouble = numbers::character(subject.to?)?.trouble?;
        let name = subject
            .key
            .map_or(subject.request, |key| Digest::of(key.as_bytes()));
        let tried = self.tried.entry(name).or_insert(Tried {
            tries: 0,
            first_us: now_us,
        });
        tried.tries = tried.tries.saturating_add(1);
        let fault = match trouble.lasts {
            Lasts::ForEver => trouble.fault,
            Lasts::Tries(most) if tried.tries <= most => trouble.fault,
            Lasts::Seconds(length) => {
                let end_us = tried.first_us + i64::from(length) * 1_000_000;
                let left_s = (end_us - now_us).saturating_add(999_999) / 1_000_000;
                let wait = u32::try_from(left_s).ok().filter(|wait| *wait > 0)?;
                Fault::LineBusy { wait }
            }
            Lasts::Tries(_) => return None,
        };
        Some(Fired {
            fault,
            released: self.released.clone(),
        })
    }
}

impl Drop for Trials {
    /// A reset lets go of every request that lies under a delay.
    fn drop(&mut self) {
        self.released.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    fn subject<'a>(to: &'a str, key: &'a str) -> Subject<'a> {
        Subject {
            routes: &[RouteMatch::Chats, RouteMatch::Posts, RouteMatch::Any],
            to: Some(to),
            key: Some(key),
            request: Digest::of(b""),
        }
    }

    fn name(trials: &mut Trials, to: &str, key: &str) -> Option<&'static str> {
        let fired = trials.decide(subject(to, key), 0);
        fired.map(|fired| fired.fault.name())
    }

    #[test]
    fn a_trouble_that_comes_once_comes_once_for_each_key() {
        let mut trials = Trials::default();
        let fates = ["a", "a", "b", "a", "b"].map(|key| name(&mut trials, "+17755550130", key));
        assert_eq!(fates, [Some("drop"), None, Some("drop"), None, None]);
        let thrice = [(); 4].map(|()| name(&mut trials, "+17755550127", "c").is_some());
        assert_eq!(thrice, [true, true, true, false]);
        assert_eq!(name(&mut trials, "+12025550143", "d"), None);
    }

    #[test]
    fn a_trouble_of_hours_ends_by_the_clock_and_says_when() {
        let mut trials = Trials::default();
        let mut wait = |now_us| {
            trials
                .decide(subject("+17755550124", "a"), now_us)
                .map(|fired| fired.fault)
        };
        assert_eq!(wait(0), Some(Fault::LineBusy { wait: 14_400 }));
        assert_eq!(wait(HOUR_US), Some(Fault::LineBusy { wait: 10_800 }));
        assert_eq!(wait(4 * HOUR_US - 1), Some(Fault::LineBusy { wait: 1 }));
        assert_eq!(wait(4 * HOUR_US), None);
    }
}
