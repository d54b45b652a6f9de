//! What the provider knows of a message that it took, and when it is worth asking again. A receipt
//! is the provider's word about the recipient's device; it never moves a delivery backwards.

use jiff::{SignedDuration, Timestamp};

use super::delivery::DeliveryState;
use super::outcome::Failure;

/// How the provider says that one message stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Nothing is known yet, or it is said in words that this version does not know.
    UnderWay,
    /// On the device. `None`: without a time.
    Delivered { at: Option<Timestamp> },
    /// Opened.
    Read {
        delivered_at: Option<Timestamp>,
        at: Option<Timestamp>,
    },
    /// Taken, and not delivered for good, for this reason.
    Failed {
        failure: Failure,
        /// Everybody's message of the run would come to the same.
        for_all: bool,
    },
    /// The provider does not know the message.
    Unknown,
}

/// Where a delivery may stand that a receipt moves to `next`. Never backwards: what has arrived has
/// arrived, whatever is said of it later, and only what was sent is moved at all.
pub fn moved_from(next: DeliveryState) -> impl Iterator<Item = DeliveryState> {
    use DeliveryState::{Delivered, Failed, Read, Sent};
    [Sent, Delivered]
        .into_iter()
        .filter(move |now| matches!(next, Delivered | Read | Failed) && now.may_become(next))
}

/// When a message is looked at for the first time after it was sent.
pub const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause between two looks.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(6);
/// After so long there is no confirmation, and nobody looks any more.
pub const DEADLINE: SignedDuration = SignedDuration::from_hours(72);

/// When a message of `sent_at`, which is looked at `now`, is to be looked at again: after half of
/// its age, so that few looks cover three days and an early receipt is seen early. `jitter` (0 to
/// 999) lengthens the pause by up to a tenth, so that those sent together drift apart. `None`:
/// the look at `now` was the last.
pub fn next_look(sent_at: Timestamp, now: Timestamp, jitter: u32) -> Option<Timestamp> {
    let deadline = sent_at.saturating_add(DEADLINE).ok()?;
    if now >= deadline {
        return None;
    }
    let age = now.duration_since(sent_at);
    let pause = (age / 2).clamp(FIRST_LOOK, LONGEST);
    let more = pause.as_millis() * i128::from(jitter.min(999)) / 10_000;
    let more = SignedDuration::from_millis(i64::try_from(more).unwrap_or_default());
    let next = now.saturating_add(pause + more).ok()?;
    // The last look is at the deadline itself.
    Some(next.min(deadline))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    proptest! {
        /// Whatever is answered in whatever order: a message that was sent never counts as not
        /// sent, delivered is followed by read alone, and read and failed by nothing.
        #[test]
        fn no_order_of_answers_leads_backwards(answers in prop::collection::vec(0usize..9, 0..20)) {
            use DeliveryState as S;
            let mut now = S::Sent;
            for answer in answers {
                let next = S::ALL[answer];
                if !moved_from(next).any(|from| from == now) {
                    continue;
                }
                let allowed: &[S] = match now {
                    S::Sent => &[S::Delivered, S::Read, S::Failed],
                    S::Delivered => &[S::Read],
                    S::Pending | S::Sending | S::Read | S::Failed | S::Uncertain | S::Skipped
                    | S::Cancelled => &[],
                };
                prop_assert!(allowed.contains(&next), "{now} to {next}");
                now = next;
            }
        }

        /// Each look is later than the one before by at least the shortest pause, but for the last
        /// one, which is at the deadline; and there are few of them.
        #[test]
        fn looks_go_on_thinning_out_until_the_deadline(
            late in 0i64..100_000_000,
            jitters in prop::collection::vec(0u32..5_000, 1..50),
        ) {
            let (sent, mut now) = (at(0), at(late));
            let mut looks = 1;
            let mut jitters = jitters.iter().cycle();
            while let Some(next) = next_look(sent, now, *jitters.next().unwrap()) {
                let pause = next.duration_since(now);
                prop_assert!(next <= at(0) + DEADLINE);
                prop_assert!(pause >= FIRST_LOOK || next == at(0) + DEADLINE);
                prop_assert!(pause <= LONGEST + LONGEST / 10);
                now = next;
                looks += 1;
            }
            prop_assert_eq!(now, at(0) + DEADLINE);
            prop_assert!(looks < 50, "{} looks", looks);
        }

        /// Also where the clock was set back behind the moment of sending.
        #[test]
        fn a_look_is_always_followed_by_a_later_one_or_none(now in -9_000_000_000i64..9_000_000_000, jitter: u32) {
            if let Some(next) = next_look(at(0), at(now), jitter) {
                prop_assert!(next > at(now));
            } else {
                prop_assert!(at(now) >= at(0) + DEADLINE);
            }
        }
    }
}
