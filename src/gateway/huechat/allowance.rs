//! What the headers of an answer say about the account's requests (huechat §3). Other users of the
//! same account lower it as well.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, HeaderName};

use super::super::{Allowance, wait};

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// Above this a time is in milliseconds (huechat §15, A17).
const MOST_SECONDS: i64 = 1_000_000_000_000;
/// A window lasts a minute (huechat §3); a time much further away is none.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);

/// The newest word about it.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Option<Told>>);

#[derive(Debug, Clone, Copy)]
struct Told {
    remaining: u32,
    renewed_at: Timestamp,
}

impl Newest {
    /// Takes in what an answer says. Of answers within one window the least counts: they may have
    /// overtaken each other on their way.
    pub(super) fn hear(&self, headers: &HeaderMap, now: Timestamp) {
        let Some(told) = read(headers, now) else {
            return;
        };
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |before: &Told| {
            let apart = before.renewed_at.duration_since(told.renewed_at).abs();
            apart <= SignedDuration::from_secs(2) && before.renewed_at > now
        };
        *newest = Some(match *newest {
            Some(before) if same(&before) => Told {
                remaining: before.remaining.min(told.remaining),
                ..told
            },
            Some(_) | None => told,
        });
    }

    pub(super) fn at(&self, now: Timestamp) -> Option<Allowance> {
        let told = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        let renewed_in = told.renewed_at.duration_since(now);
        renewed_in.is_positive().then_some(Allowance {
            remaining: told.remaining,
            renewed_in,
        })
    }
}

/// Until the account's window ends, by the provider's clock; `None` where none does within
/// `longest`.
pub(super) fn until_reset(
    headers: &HeaderMap,
    now: Timestamp,
    longest: SignedDuration,
) -> Option<SignedDuration> {
    let reset: i64 = text(headers, &RESET)?.parse().ok()?;
    let reset = if reset > MOST_SECONDS {
        Timestamp::from_millisecond(reset).ok()?
    } else {
        Timestamp::from_second(reset).ok()?
    };
    let from = wait::date(headers).unwrap_or(now);
    let left = reset.duration_since(from);
    (left.is_positive() && left <= longest).then_some(left)
}

fn read(headers: &HeaderMap, now: Timestamp) -> Option<Told> {
    let remaining = text(headers, &REMAINING)?.parse().ok()?;
    let renewed_at = now
        .saturating_add(until_reset(headers, now, LONGEST)?)
        .ok()?;
    Some(Told {
        remaining,
        renewed_at,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-06-10T09:15:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn headers(remaining: &str, reset: i64, date: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(REMAINING, remaining.parse().unwrap());
        headers.insert(RESET, reset.to_string().parse().unwrap());
        if let Some(date) = date {
            headers.insert(reqwest::header::DATE, date.parse().unwrap());
        }
        headers
    }

    fn heard(all: &[HeaderMap]) -> Option<(u32, i64)> {
        let newest = Newest::default();
        for headers in all {
            newest.hear(headers, now());
        }
        let told = newest.at(now())?;
        Some((told.remaining, told.renewed_in.as_secs()))
    }

    #[test]
    fn seconds_and_milliseconds_are_both_read_and_the_providers_clock_counts() {
        let reset = now().as_second() + 42;
        assert_eq!(heard(&[headers("7", reset, None)]), Some((7, 42)));
        assert_eq!(heard(&[headers("7", reset * 1_000, None)]), Some((7, 42)));
        let behind = "Wed, 10 Jun 2026 09:14:30 GMT";
        assert_eq!(heard(&[headers("7", reset, Some(behind))]), Some((7, 72)));
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_give_anything_back() {
        let reset = now().as_second() + 42;
        let of = |remaining: &str| headers(remaining, reset, None);
        assert_eq!(heard(&[of("5"), of("7")]), Some((5, 42)));
        let next = headers("99", reset + 60, None);
        assert_eq!(heard(&[of("0"), next]), Some((99, 102)));
    }

    #[test]
    fn what_is_no_window_says_nothing() {
        let at = now().as_second();
        for headers in [
            HeaderMap::new(),
            headers("many", at + 5, None),
            headers("5", at - 5, None),
            headers("5", at + 86_400, None),
            headers("5", i64::MAX, None),
        ] {
            assert_eq!(heard(&[headers]), None);
        }
    }
}
