//! How much work a text of a message may be: the rounds of its loops, the values that it sets, all
//! that it prints on the way. The template engine counts none of it, so it is given the templates
//! with calls of ours behind their tags. Knows where those stand; does not decide what is rendered.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Write;

use tera::{Kwargs, State, Tera, TeraResult, Value};

use super::render::MAX_OUTPUT;
use super::report::Spot;
use super::scan::{Kind, Scan, Token};

/// Rounds of all loops of one text together; a list in a message has a dozen.
const MAX_ROUNDS: u32 = 20_000;
/// Bytes that one text may put together on the way, in values that are set and then not printed.
const MAX_WORK: usize = 256 * MAX_OUTPUT;
/// Lists inside lists, in a value that is set.
const MAX_DEPTH: usize = 8;

pub(super) const TOO_MANY_ROUNDS: &str =
    "the loops of the template go round more than 20,000 times";
pub(super) const TOO_LARGE: &str = "the template puts together more than 64 KiB of text";

#[derive(Debug, Clone, Copy)]
struct Budget {
    rounds: u32,
    work: usize,
}

thread_local! {
    /// What is left for the text that this thread renders.
    static LEFT: Cell<Budget> = const { Cell::new(Budget { rounds: 0, work: 0 }) };
}

/// To be called before a text is rendered.
pub(super) fn refill() {
    LEFT.set(Budget {
        rounds: MAX_ROUNDS,
        work: MAX_WORK,
    });
}

/// Takes `bytes` out of what may still be put together.
fn work(bytes: usize) -> bool {
    let left = LEFT.get();
    let enough = left.work.checked_sub(bytes);
    LEFT.set(Budget {
        work: enough.unwrap_or(0),
        ..left
    });
    enough.is_some()
}

/// Prints a text as it stands. The engine takes it for its way of escaping, and so hands it all
/// that is printed, also into a value.
pub(super) fn pass(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    if work(text.len()) {
        out.write_all(text.as_bytes())
    } else {
        Err(std::io::ErrorKind::FileTooLarge.into())
    }
}

/// The functions that [`metered`] calls.
pub(super) fn register(tera: &mut Tera) {
    tera.register_function("sendoff_round", round);
    tera.register_function("sendoff_weigh", weigh);
}

/// A round begins, of a loop, an included file or a component with so many bytes.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn round(arguments: Kwargs, _: &State<'_>) -> TeraResult<bool> {
    let bytes = arguments.must_get::<usize>("bytes")?;
    if !work(bytes) {
        return Err(tera::Error::message(TOO_LARGE));
    }
    let left = LEFT.get();
    let Some(rounds) = left.rounds.checked_sub(1) else {
        return Err(tera::Error::message(TOO_MANY_ROUNDS));
    };
    LEFT.set(Budget { rounds, ..left });
    Ok(true)
}

/// A value that was set, as it is. What was captured loses the engine's mark of being safe, for
/// with it it would be printed unseen; a gap that is meant keeps it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature is the template engine's"
)]
fn weigh(arguments: Kwargs, _: &State<'_>) -> TeraResult<Value> {
    let Some(value) = arguments.get::<Value>("value")? else {
        return Ok(Value::undefined());
    };
    let mut room = MAX_OUTPUT;
    if !fits(&value, &mut room, MAX_DEPTH) || !work(MAX_OUTPUT - room) {
        return Err(tera::Error::message(TOO_LARGE));
    }
    Ok(match value.as_str() {
        Some(text) if value.is_safe() && !text.trim().is_empty() => Value::normal_string(text),
        Some(_) | None => value,
    })
}

/// Whether a value is neither larger than `room` nor deeper than `depth`.
fn fits(value: &Value, room: &mut usize, depth: usize) -> bool {
    const EACH: usize = 8;
    let own = value.as_str().map_or(EACH, str::len);
    let (Some(left), Some(deeper)) = (room.checked_sub(own), depth.checked_sub(1)) else {
        return false;
    };
    *room = left;
    if let Some(items) = value.as_array() {
        items.iter().all(|item| fits(item, room, deeper))
    } else if let Some(fields) = value.as_map() {
        fields.values().all(|field| fits(field, room, deeper))
    } else {
        true
    }
}

/// A template as the engine gets it.
#[derive(Debug, Clone)]
pub(super) struct Metered {
    pub(super) source: String,
    added: Vec<Added>,
}

/// What the user did not write.
#[derive(Debug, Clone)]
struct Added {
    /// In the user's text, from 1.
    line: u32,
    column: u32,
    width: u32,
}

impl Metered {
    /// Takes a place in ours to the one in the user's text. A call of ours stands behind the tag
    /// that it was added to, and has no width there.
    pub(super) fn to_written(&self, spot: &mut Spot) {
        let mut before = 0;
        for added in self.added.iter().filter(|added| added.line == spot.line) {
            let here = added.column + before;
            if spot.column < here {
                break;
            }
            if spot.column < here + added.width {
                spot.width = 0;
            }
            before += added.width.min(spot.column - here);
        }
        spot.column -= before;
    }
}

/// The template with a call behind every tag that begins or keeps something.
pub(super) fn metered(source: &str, scan: &Scan) -> Metered {
    let mut made = Metered {
        source: String::with_capacity(source.len() + 256),
        added: Vec::new(),
    };
    let mut copied = 0;
    let mut add = |at: usize, (line, column): (u32, u32), calls: &str| {
        made.source += source.get(copied..at).unwrap_or_default();
        made.source += calls;
        copied = at;
        made.added.push(Added {
            line,
            column,
            width: u32::try_from(calls.len()).unwrap_or(u32::MAX),
        });
    };
    let mut set = Vec::new();
    let bodies = loop_bodies(scan);
    for (n, tag) in scan.tags().into_iter().enumerate() {
        // A text that extends another has to begin with that.
        if n == 0 && !tag.first_is("extends") {
            add(0, (1, 1), &round_of(source.len(), ""));
        }
        let close = tag.close;
        let dash = if close.text.starts_with('-') { "-" } else { "" };
        let behind = (close.line, close.column + close.width());
        let calls = match tag.words.first().map(|word| word.text.as_str()) {
            Some("for") => round_of(
                bodies.get(&close.end).copied().unwrap_or(source.len()),
                dash,
            ),
            Some("component") => {
                let weighed = parameters(tag.words).map(|name| weighed("set", name, dash));
                weighed.collect::<String>() + &round_of(source.len(), dash)
            }
            Some(keyword @ ("set" | "set_global")) => match tag.words {
                [_, name, equals, ..] if equals.text == "=" => weighed(keyword, &name.text, dash),
                [_, name, ..] => {
                    set.push((keyword, name.text.as_str()));
                    continue;
                }
                _ => continue,
            },
            Some("endset") => match set.pop() {
                Some((keyword, name)) => weighed(keyword, name, dash),
                None => continue,
            },
            Some(_) | None => continue,
        };
        add(close.end, behind, &calls);
    }
    made.source += source.get(copied..).unwrap_or_default();
    made
}

/// The bytes between each `for` and its `endfor`, by the byte at which they begin.
fn loop_bodies(scan: &Scan) -> HashMap<usize, usize> {
    let mut bodies = HashMap::new();
    let mut open = Vec::new();
    for tag in scan.tags() {
        if tag.first_is("for") {
            open.push(tag.close.end);
        } else if tag.first_is("endfor")
            && let Some(begin) = open.pop()
        {
            bodies.insert(begin, tag.close.end - begin);
        }
    }
    bodies
}

fn round_of(bytes: usize, dash: &str) -> String {
    format!("{{% if sendoff_round(bytes={bytes}) %}}{{% endif {dash}%}}")
}

fn weighed(keyword: &str, name: &str, dash: &str) -> String {
    format!("{{% {keyword} {name} = sendoff_weigh(value={name}) {dash}%}}")
}

/// The names that a component gives to what it is called with.
fn parameters(tag: &[Token]) -> impl Iterator<Item = &str> {
    tag.windows(2).filter_map(|two| match two {
        [before, name]
            if name.kind == Kind::Word && matches!(before.text.as_str(), "(" | "," | "." | "@") =>
        {
            Some(name.text.as_str())
        }
        _ => None,
    })
}
