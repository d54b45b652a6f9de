//! The lab's numbers: people of one block of fictional numbers, each of whom always behaves in
//! the same way. The table only: trials, receipts and the agenda do what it says.

use serde::Serialize;

use crate::sandbox::faults::{Answer, Fault};

/// The block: these digits and two more. No shipped list uses it.
const BLOCK: &str = "+177555501";

/// How a message to somebody gets on, in seconds of the provider from its acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) delivered: Option<i64>,
    pub(super) read: Option<i64>,
    pub(super) failed: Option<i64>,
}

/// What goes wrong with a request that sends to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) fault: Fault,
    pub(super) lasts: Lasts,
}

/// For how long a trouble lasts, for each idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasts {
    /// For the first so many tries.
    Tries(u32),
    /// For so many seconds of the provider from the first try.
    Seconds(u32),
    ForEver,
}

/// What somebody writes of their own accord when a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: &'static str,
    /// Seconds of the provider from the acceptance of the message: from the first to the
    /// second, drawn from the seed.
    pub(super) after_s: (i64, i64),
    /// How often the event is told, 5 seconds apart.
    pub(super) told: u32,
}

/// Somebody of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Character {
    /// The last two digits.
    number: u8,
    outcome: &'static str,
    pub(super) fate: Fate,
    pub(super) trouble: Option<Trouble>,
    pub(super) replies: Vec<Reply>,
}

/// A number of the block and what becomes of a message to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabNumber {
    pub number: String,
    pub outcome: &'static str,
}

/// The whole block, in the order of its numbers.
pub fn lab_numbers() -> Vec<LabNumber> {
    let listed = |one: Character| LabNumber {
        number: format!("{BLOCK}{:02}", one.number),
        outcome: one.outcome,
    };
    table().into_iter().map(listed).collect()
}

/// Whether a number is of the block, whoever has it.
pub(super) fn is_lab(phone: &str) -> bool {
    phone.starts_with(BLOCK)
}

/// Whoever of the block has this number.
pub(super) fn character(phone: &str) -> Option<Character> {
    let digits = phone.strip_prefix(BLOCK)?;
    let number: u8 = digits.parse().ok().filter(|_| digits.len() == 2)?;
    table().into_iter().find(|one| one.number == number)
}

/// A message arrives after 2 s and is read after 10 s, as by default.
const USUAL: Fate = fate(Some(2), Some(10));

const fn fate(delivered: Option<i64>, read: Option<i64>) -> Fate {
    Fate {
        delivered,
        read,
        failed: None,
    }
}

const fn fails(failed: i64) -> Fate {
    Fate {
        failed: Some(failed),
        ..fate(None, None)
    }
}

const fn says(text: &'static str, after_s: i64) -> Reply {
    Reply {
        text,
        after_s: (after_s, after_s),
        told: 1,
    }
}

const fn twice(reply: Reply) -> Reply {
    Reply { told: 2, ..reply }
}

const fn sometime(text: &'static str, from_s: i64, to_s: i64) -> Reply {
    Reply {
        after_s: (from_s, to_s),
        ..says(text, from_s)
    }
}

fn gets(number: u8, outcome: &'static str, fate: Fate) -> Character {
    Character {
        number,
        outcome,
        fate,
        trouble: None,
        replies: Vec::new(),
    }
}

fn writes<const N: usize>(number: u8, outcome: &'static str, replies: [Reply; N]) -> Character {
    Character {
        replies: replies.into(),
        ..gets(number, outcome, USUAL)
    }
}

fn troubled(number: u8, outcome: &'static str, fault: Fault, lasts: Lasts) -> Character {
    Character {
        trouble: Some(Trouble { fault, lasts }),
        ..gets(number, outcome, USUAL)
    }
}

fn code(code: u16) -> Answer {
    Answer {
        code,
        status: None,
        message: None,
        retryable: None,
        retry_after: None,
        error: None,
    }
}

/// The table; `docs/sandbox.md` shows it, in the same words.
fn table() -> Vec<Character> {
    const HOUR_S: i64 = 3_600;
    let mut table = vec![
        gets(0, "delivered after 2 s, read after 10 s", USUAL),
        gets(1, "delivered after 2 s, never read", fate(Some(2), None)),
        gets(2, "never delivered: stays `sent`", fate(None, None)),
        gets(3, "accepted, `failed` after 5 s", fails(5)),
        gets(4, "accepted, `failed` after 2 h", fails(2 * HOUR_S)),
        gets(
            5,
            "delivered after 6 h, read a minute later",
            fate(Some(6 * HOUR_S), Some(6 * HOUR_S + 60)),
        ),
        gets(
            6,
            "delivered after 2 s, read after 3 days",
            fate(Some(2), Some(72 * HOUR_S)),
        ),
    ];
    table.extend(talkers());
    table.extend(refusals());
    table.extend(losses());
    table
}

/// Who answers.
fn talkers() -> [Character; 8] {
    const HOUR_S: i64 = 3_600;
    [
        writes(10, "replies `Thanks` after 15 s", [says("Thanks", 15)]),
        writes(11, "says `STOP` at once, after 3 s", [says("STOP", 3)]),
        writes(12, "says `STOP` after an hour", [says("STOP", HOUR_S)]),
        writes(
            13,
            "says `please stop texting me` after 15 s",
            [says("please stop texting me", 15)],
        ),
        writes(
            14,
            "says `STOP` after 15 s and `START` after an hour",
            [says("STOP", 15), says("START", HOUR_S)],
        ),
        writes(
            15,
            "replies `Thanks` after 15 s; the event is told twice",
            [twice(says("Thanks", 15))],
        ),
        writes(
            16,
            "replies `Who is this?` after 15 s, says `STOP` after 20 s",
            [says("Who is this?", 15), says("STOP", 20)],
        ),
        writes(
            17,
            "replies `Sounds good` after a minute to an hour, drawn from the seed",
            [sometime("Sounds good", 60, HOUR_S)],
        ),
    ]
}

/// Whose requests are refused.
fn refusals() -> [Character; 10] {
    let unreachable = Fault::Error(Answer {
        message: Some("The recipient cannot be reached by iMessage".to_owned()),
        retryable: Some(false),
        ..code(4001)
    });
    let lying = Fault::Error(Answer {
        retryable: Some(false),
        ..code(3001)
    });
    let (once, ever) = (Lasts::Tries(1), Lasts::ForEver);
    [
        troubled(20, "4001 once", Fault::Error(code(4001)), once),
        troubled(21, "4001 for ever", Fault::Error(code(4001)), ever),
        troubled(22, "4001 for ever, not retryable", unreachable, ever),
        troubled(23, "4002 once, for 1 s", Fault::LineBusy { wait: 1 }, once),
        troubled(
            24,
            "4002 for 4 h from the first try",
            Fault::LineBusy { wait: 1 },
            Lasts::Seconds(4 * 3_600),
        ),
        troubled(
            25,
            "429 once: 1007, for 1 s",
            Fault::Throttle { wait: 1 },
            once,
        ),
        troubled(26, "500 once: 3001", Fault::Error(code(3001)), once),
        troubled(
            27,
            "500 three times: 3001",
            Fault::Error(code(3001)),
            Lasts::Tries(3),
        ),
        troubled(28, "500 for ever: 3001", Fault::Error(code(3001)), ever),
        troubled(29, "3001 once, said not to be retryable", lying, once),
    ]
}

/// Whose answers get lost or come to something else.
fn losses() -> [Character; 10] {
    /// Past the time-out that clients usually have, which is 30 s.
    const TOO_LONG_MS: u64 = 35_000;
    let (once, ever) = (Lasts::Tries(1), Lasts::ForEver);
    [
        troubled(
            30,
            "accepted, then the connection closes without an answer; once",
            Fault::Drop {},
            once,
        ),
        troubled(
            31,
            "the connection closes, nothing is accepted; once",
            Fault::DropBefore {},
            once,
        ),
        troubled(
            32,
            "500 after it was accepted: 3001; once",
            Fault::ErrorAfterAccept(code(3001)),
            once,
        ),
        troubled(
            33,
            "accepted, then the connection closes within the answer; once",
            Fault::HalfAnswer {},
            once,
        ),
        troubled(
            34,
            "502 in HTML, nothing is accepted; once",
            Fault::NonJson { status: 502 },
            once,
        ),
        troubled(
            35,
            "502 in HTML after it was accepted; once",
            Fault::NonJsonAfterAccept { status: 502 },
            once,
        ),
        troubled(
            36,
            "accepted, the answer takes 35 s; once",
            Fault::SlowAfterAccept {
                delay_ms: TOO_LONG_MS,
            },
            once,
        ),
        troubled(
            37,
            "accepted only after 35 s; once",
            Fault::Slow {
                delay_ms: TOO_LONG_MS,
            },
            once,
        ),
        troubled(
            38,
            "accepted, the answer takes 3 s, every time",
            Fault::SlowAfterAccept { delay_ms: 3_000 },
            ever,
        ),
        troubled(
            39,
            "accepted, then the connection closes without an answer; every time",
            Fault::Drop {},
            ever,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::phone::Phone;

    #[test]
    fn every_number_of_the_block_is_a_phone_number_and_stands_once() {
        let mut seen = std::collections::HashSet::new();
        for listed in lab_numbers() {
            Phone::from_e164(&listed.number).unwrap();
            assert_eq!(character(&listed.number).unwrap().outcome, listed.outcome);
            assert!(seen.insert(listed.number));
        }
        for other in [
            "+17755550199",
            "+177555501001",
            "+17755550",
            "+1775555011",
            "+12025550111",
        ] {
            assert_eq!(character(other), None, "{other}");
        }
    }

    #[test]
    fn nobody_replies_to_what_has_not_come() {
        for one in table() {
            for reply in one.replies {
                assert!(one.fate.delivered.unwrap() <= reply.after_s.0);
                assert!(reply.after_s.0 <= reply.after_s.1);
            }
        }
    }
}
