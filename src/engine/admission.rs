//! Whether a delivery may leave at a moment, by the campaign's own word: asked at the claim, and
//! again before the request leaves, since the wire may be slow and a window may close meanwhile.

use jiff::Timestamp;

use crate::domain::campaign::Terms;
use crate::domain::delivery::{Hold, SkipReason};
use crate::domain::schedule::zone;
use crate::ledger::{Admission, Candidate};

/// What the domain says of a due delivery: what has begun must be settled; what is past its
/// time is skipped; what is outside the window waits.
pub(super) fn admit(terms: &Terms, starts_at: Timestamp, candidate: Candidate<'_>) -> Admission {
    let now = candidate.now;
    let expired = terms
        .expires
        .is_some_and(|kept| now.duration_since(starts_at) >= kept);
    if candidate.begun {
        Admission::Now
    } else if expired {
        Admission::Skip(SkipReason::Expired)
    } else if candidate.window_until.is_some_and(|until| until <= now) {
        Admission::Skip(SkipReason::WindowClosed)
    } else if let Some(window) = &terms.window {
        let zone = candidate.timezone.and_then(zone::find);
        match window.next_open(now, zone.as_ref(), candidate.phone) {
            Ok(open) if open <= now => Admission::Now,
            Ok(until) => Admission::Hold {
                until,
                hold: Hold::Window,
            },
            Err(_) => Admission::Skip(SkipReason::NoWindow),
        }
    } else {
        Admission::Now
    }
}
