//! How far a message has come, worked out from its age: no timer runs, and no message is ever
//! behind. Writes nothing down.

use jiff::SignedDuration;

use super::agenda;
use super::ids::{self, Id};
use super::numbers::Fate;
use super::store::{Chat, Message};
use crate::sandbox::Numbers;
use crate::sandbox::time::micros;

/// When messages count as delivered and as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiptStyle {
    /// All alike, after the two lengths that the configuration gives.
    #[default]
    Even,
    /// Each after lengths of its own, as with real people: seconds to hours, some never.
    Human,
}

/// The rule for every message of a sandbox.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipts {
    pub(super) seed: u64,
    pub(super) style: ReceiptStyle,
    /// After the message was accepted; `None`: never.
    pub(super) delivered_after: Option<SignedDuration>,
    pub(super) read_after: Option<SignedDuration>,
    pub(super) numbers: Numbers,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) status: &'static str,
    pub(super) delivered_at_us: Option<i64>,
    pub(super) read_at_us: Option<i64>,
}

impl Progress {
    /// As every message begins, and as the answer to a repeated request says for ever.
    pub(super) const SENT: Self = Self {
        status: "sent",
        delivered_at_us: None,
        read_at_us: None,
    };

    /// The same, or what has become of it meanwhile. What was not delivered is not read, whatever
    /// its age.
    fn or_later(self, (delivered, read): Lengths, at_us: i64, now_us: i64) -> Self {
        let passed = |after_us: Option<i64>| {
            let moment = at_us.saturating_add(after_us?);
            (moment <= now_us).then_some(moment)
        };
        let delivered_at_us = passed(delivered);
        let read_at_us = delivered_at_us.and_then(|delivered| Some(passed(read)?.max(delivered)));
        let status = match (delivered_at_us, read_at_us) {
            (_, Some(_)) => "read",
            (Some(_), None) => "delivered",
            (None, None) => self.status,
        };
        Self {
            status,
            delivered_at_us,
            read_at_us,
        }
    }
}

/// How long after its acceptance a message arrives and is opened.
type Lengths = (Option<i64>, Option<i64>);

impl Fate {
    fn progress(&self, at_us: i64, now_us: i64) -> Progress {
        const SECOND_US: i64 = 1_000_000;
        let after = |seconds: Option<i64>| seconds.map(|seconds| seconds * SECOND_US);
        let failed = after(self.failed).is_some_and(|after| at_us.saturating_add(after) <= now_us);
        let lengths = (after(self.delivered), after(self.read));
        Progress {
            status: if failed { "failed" } else { "sent" },
            ..Progress::SENT
        }
        .or_later(lengths, at_us, now_us)
    }
}

impl Receipts {
    /// How far a message has come: a number of the lab decides for itself.
    pub(super) fn of(&self, message: &Message, chat: &Chat, now_us: i64) -> Progress {
        let lab = match self.numbers {
            Numbers::Lab => agenda::partner(chat),
            Numbers::Plain => None,
        };
        match lab {
            Some(character) => character.fate.progress(message.at_us, now_us),
            None => self.progress((message.id, message.at_us), now_us),
        }
    }

    fn progress(&self, (id, at_us): (Id, i64), now_us: i64) -> Progress {
        Progress::SENT.or_later(self.lengths(id), at_us, now_us)
    }

    fn lengths(&self, id: Id) -> Lengths {
        match self.style {
            ReceiptStyle::Even => (
                self.delivered_after.map(micros),
                self.read_after.map(micros),
            ),
            ReceiptStyle::Human => human(ids::derive(self.seed, "receipt", &[&id.to_be_bytes()])),
        }
    }
}

/// Made-up, not measured: most phones take a few seconds and are looked at within the hour; of
/// 64 messages one never arrives, two wait for a phone that is off, and 16 are never opened or
/// opened by people who do not share receipts.
fn human(draw: Id) -> Lengths {
    const SECOND_US: i64 = 1_000_000;
    const OPENED_S: [i64; 6] = [20, 90, 300, 900, 3_600, 14_400];
    let mut rest = draw;
    let mut below = |limit: Id| {
        let drawn = rest % limit;
        rest /= limit;
        i64::try_from(drawn).unwrap_or(0)
    };
    let delivered_s = match below(64) {
        0 => return (None, None),
        1 | 2 => 3_600 + below(8 * 3_600),
        _ => 1 + below(6),
    };
    let unopened = below(4) == 0;
    let stage = usize::try_from(below(6)).unwrap_or(0);
    let after_s = OPENED_S.get(stage).copied().unwrap_or(60);
    // Up to half as long again, so that no two phones are in step.
    let after_s = after_s + after_s * below(1_000) / 2_000;
    let read = (!unopened).then_some((delivered_s + after_s) * SECOND_US);
    (Some(delivered_s * SECOND_US), read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts(style: ReceiptStyle) -> Receipts {
        Receipts {
            seed: 7,
            style,
            delivered_after: Some(SignedDuration::from_secs(1)),
            read_after: Some(SignedDuration::from_secs(3)),
            numbers: Numbers::Plain,
        }
    }

    #[test]
    fn a_message_goes_from_sent_to_delivered_to_read_and_keeps_its_moments() {
        let receipts = receipts(ReceiptStyle::Even);
        let at = |now_us| receipts.progress((1, 0), now_us);
        assert_eq!(at(999_999), Progress::SENT);
        assert_eq!(at(1_000_000).status, "delivered");
        assert_eq!(at(3_000_000).status, "read");
        assert_eq!(at(9_000_000).delivered_at_us, Some(1_000_000));
        assert_eq!(at(9_000_000).read_at_us, Some(3_000_000));
    }

    #[test]
    fn what_is_never_delivered_is_never_read() {
        let receipts = Receipts {
            delivered_after: None,
            read_after: Some(SignedDuration::ZERO),
            ..receipts(ReceiptStyle::Even)
        };
        let late = receipts.progress((1, 0), i64::MAX);
        assert_eq!(late, Progress::SENT);
    }

    #[test]
    fn human_receipts_never_go_backwards_and_some_never_come() {
        let receipts = receipts(ReceiptStyle::Human);
        let mut counts = [0; 3];
        for id in 0..2_000 {
            let mut last = 0;
            for hour in 0..30 {
                let now_us = hour * 3_600_000_000;
                let status = receipts.progress((id, 0), now_us).status;
                let place = ["sent", "delivered", "read"]
                    .iter()
                    .position(|known| *known == status)
                    .unwrap();
                assert!(place >= last, "message {id}: from {last} to {place}");
                last = place;
            }
            counts[last] += 1;
        }
        let [sent, delivered, read] = counts;
        assert!((10..60).contains(&sent), "{sent} never arrived");
        assert!((400..600).contains(&delivered), "{delivered} unread");
        assert!(read > 1_300, "{read} read");
    }
}
