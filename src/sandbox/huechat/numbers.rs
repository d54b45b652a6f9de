//! The numbers of fiction whose last two digits decide what becomes of a message to them (huechat
//! §12). The table only: trials, sending and the happenings do what it says.

use serde::Serialize;

use crate::sandbox::faults::{Answer, Fault};

/// Somebody with a number of the form `+1XXX55501NN`, NN from 01 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Character(u8);

/// A number's last two digits and what becomes of a message to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HueNumber {
    pub ends_in: String,
    pub outcome: &'static str,
}

/// The table, in the same words as `docs/sandbox.md`.
const TABLE: [(u8, &str); 16] = [
    (1, "the window is always open; delivered and read"),
    (2, "delivered, never read"),
    (3, "stays `sent`"),
    (4, "`sent`, then `failed`: 131026, undeliverable"),
    (5, "`sent`, then `failed`: 131049, held back"),
    (6, "500, nothing is sent; once"),
    (7, "500 after it was sent; once"),
    (
        8,
        "sent, then the connection closes without an answer; once",
    ),
    (9, "503 with `Retry-After: 1`, nothing is sent; once"),
    (10, "429 with `Retry-After: 1`, nothing is sent; once"),
    (11, "422 `recipient_not_reachable`"),
    (
        12,
        "replies `Thanks` once it is delivered, which opens the window",
    ),
    (13, "replies `STOP` once it is delivered"),
    (14, "sent, the answer takes 35 s"),
    (15, "502 in HTML, nothing is sent; once"),
    (
        16,
        "every event of the message is told twice and in the wrong order",
    ),
];

/// The whole table.
pub fn hue_numbers() -> Vec<HueNumber> {
    let listed = |(number, outcome): &(u8, &'static str)| HueNumber {
        ends_in: format!("{number:02}"),
        outcome,
    };
    TABLE.iter().map(listed).collect()
}

/// How a message to somebody gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// As by default: delivered, and for some read.
    Usual,
    DeliveredAndRead,
    Delivered,
    StaysSent,
    Fails(&'static str),
}

pub(super) const UNDELIVERABLE: &str = "131026: Message undeliverable";
pub(super) const HELD_BACK: &str = "131049: Held back for engagement";
pub(super) const RE_ENGAGEMENT: &str = "131047: Re-engagement message";

/// Past the time-out that clients usually have, which is 30 s.
const TOO_LONG_MS: u64 = 35_000;

/// Whoever of the table has this number.
pub(super) fn character(phone: &str) -> Option<Character> {
    let digits = phone.strip_prefix("+1")?;
    if digits.len() != 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.get(3..)?.strip_prefix("55501")?.parse().ok()?;
    (1..=16).contains(&number).then_some(Character(number))
}

impl Character {
    pub(super) fn fate(self) -> Fate {
        match self.0 {
            1 => Fate::DeliveredAndRead,
            2 | 12 | 13 => Fate::Delivered,
            3 => Fate::StaysSent,
            4 => Fate::Fails(UNDELIVERABLE),
            5 => Fate::Fails(HELD_BACK),
            _ => Fate::Usual,
        }
    }

    /// What goes wrong with a request that sends to them, and whether only the first time.
    pub(super) fn trouble(self) -> Option<(Fault, Lasts)> {
        let failure = |status, retry_after| Answer {
            code: 3001,
            status: Some(status),
            message: None,
            retryable: None,
            retry_after,
            error: None,
        };
        let once = |fault| Some((fault, Lasts::Once));
        match self.0 {
            6 => once(Fault::Error(failure(500, None))),
            7 => once(Fault::ErrorAfterAccept(failure(500, None))),
            8 => once(Fault::Drop {}),
            9 => once(Fault::Error(failure(503, Some(1)))),
            10 => once(Fault::Throttle { wait: 1 }),
            14 => Some((
                Fault::SlowAfterAccept {
                    delay_ms: TOO_LONG_MS,
                },
                Lasts::ForEver,
            )),
            15 => once(Fault::NonJson { status: 502 }),
            _ => None,
        }
    }

    pub(super) fn is_window_open(self) -> bool {
        self.0 == 1
    }

    pub(super) fn is_reachable(self) -> bool {
        self.0 != 11
    }

    /// What they write once a message is delivered.
    pub(super) fn reply(self) -> Option<&'static str> {
        match self.0 {
            12 => Some("Thanks"),
            13 => Some("STOP"),
            _ => None,
        }
    }

    /// Events about their messages come twice, and the later ones first.
    pub(super) fn muddles_events(self) -> bool {
        self.0 == 16
    }
}

/// For how long a trouble lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    Once,
    ForEver,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_digits_decide_whatever_the_area() {
        for area in ["202", "775", "415"] {
            for listed in hue_numbers() {
                let phone = format!("+1{area}55501{}", listed.ends_in);
                assert!(character(&phone).is_some(), "{phone}");
            }
        }
        for other in [
            "+12025550100",
            "+12025550117",
            "+12025550143",
            "+120255501",
            "+4420255501",
            "+447700900123",
            "+12025550201",
        ] {
            assert_eq!(character(other), None, "{other}");
        }
    }
}
