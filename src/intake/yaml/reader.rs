//! Takes fields out of a tree and collects what is wrong with them. The fields that were asked
//! for are the fields that exist: whatever else the file says is unknown, and named so.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use jiff::SignedDuration;

use super::source::Source;
use super::tree::{Entry, Kind, Node, is_word};
use crate::domain::duration;
use crate::domain::pace::Rate;
use crate::domain::problem::{Place, Problem, Problems, nearest};

/// One file being read, and its problems so far.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) source: Arc<Source>,
    problems: RefCell<Problems>,
}

impl Reader {
    pub(crate) fn new(source: Arc<Source>, problems: Problems) -> Self {
        Self {
            source,
            problems: RefCell::new(problems),
        }
    }

    pub(crate) fn finish(self) -> Problems {
        self.problems.into_inner()
    }

    /// Adds a problem at a range of bytes.
    pub(crate) fn report(&self, range: &Range<usize>, problem: Problem) {
        self.source
            .report(&mut self.problems.borrow_mut(), range, problem);
    }

    pub(crate) fn report_at(&self, place: Place, problem: Problem) {
        self.problems.borrow_mut().push(problem.at(place));
    }

    /// The value is of the wrong kind.
    pub(crate) fn expected(&self, node: &Node, what: &str) {
        if node.kind != Kind::Broken {
            self.report(
                &node.range,
                Problem::error(format!("{what} is expected here"))
                    .label(format!("this is {}", node.describe())),
            );
        }
    }

    /// The fields of a group; `None`, and a problem, when it is none.
    pub(crate) fn fields<'t>(&self, node: &'t Node, what: &'static str) -> Option<Fields<'t>> {
        match &node.kind {
            Kind::Map(entries) => Some(Fields {
                what,
                range: entries
                    .first()
                    .map_or_else(|| node.range.clone(), |entry| entry.key_range.clone()),
                entries,
                asked: Vec::new(),
                refused: Vec::new(),
            }),
            Kind::Scalar(_) | Kind::List(_) => {
                self.report(
                    &node.range,
                    Problem::error(format!("{what} is a group of fields"))
                        .label(format!("this is {}", node.describe()))
                        .help("write each field as `name: value`, indented below"),
                );
                None
            }
            Kind::Broken => None,
        }
    }

    /// A text of at least one visible character, as the file means it.
    pub(crate) fn text<'t>(&self, node: &'t Node, what: &str) -> Option<&'t str> {
        match &node.kind {
            Kind::Scalar(scalar) if !scalar.is_null() && !scalar.text.trim().is_empty() => {
                Some(&scalar.text)
            }
            Kind::Scalar(_) | Kind::List(_) | Kind::Map(_) | Kind::Broken => {
                self.expected(node, what);
                None
            }
        }
    }

    /// A text that must read as something: what the reading says is wrong becomes the problem.
    pub(crate) fn parsed<T, E: Display>(
        &self,
        node: &Node,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(node, what)?;
        parse(text)
            .inspect_err(|error| {
                self.report(
                    &node.range,
                    Problem::error(error.to_string()).label(format!("not {what}")),
                );
            })
            .ok()
    }

    /// A length of time above zero.
    pub(crate) fn duration(&self, node: &Node) -> Option<SignedDuration> {
        let text = self.text(node, "a length of time")?;
        let problem = match duration::parse(text) {
            Ok(time) if time.is_positive() => return Some(time),
            Ok(_) => Problem::error("a length of time must be longer than zero")
                .help("remove the line to leave it at what is usual"),
            Err(error) => {
                let problem = Problem::error(error.to_string());
                match meant_duration(text) {
                    Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                    None if Rate::parse(text).is_ok() => problem.help("this is a speed"),
                    None => problem,
                }
            }
        };
        self.report(&node.range, problem.label("not a length of time"));
        None
    }

    /// A speed, such as `10/s`.
    pub(crate) fn rate(&self, node: &Node) -> Option<Rate> {
        let text = self.text(node, "a speed")?;
        Rate::parse(text)
            .inspect_err(|error| {
                let problem = Problem::error(error.to_string()).label("not a speed");
                self.report(
                    &node.range,
                    match meant_rate(text) {
                        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                        None if duration::parse(text).is_ok() => {
                            problem.help("this is a length of time")
                        }
                        None => problem,
                    },
                );
            })
            .ok()
    }

    /// A whole number within limits.
    pub(crate) fn whole(&self, node: &Node, from: u32, to: u32) -> Option<u32> {
        let text = self.text(node, "a whole number")?;
        let number = text
            .trim()
            .parse()
            .ok()
            .filter(|number| (from..=to).contains(number));
        if number.is_none() {
            self.report(
                &node.range,
                Problem::error(format!("a whole number from {from} to {to} is expected"))
                    .label("not such a number"),
            );
        }
        number
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, node: &Node, choices: &[(&'static str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let listed = words().collect::<Vec<_>>().join(", ");
        let text = self.text(node, &format!("one of {listed}"))?;
        let chosen = choices.iter().find(|(word, _)| *word == text);
        if chosen.is_none() {
            let problem =
                Problem::error(format!("one of {listed} is expected here")).label("none of these");
            self.report(
                &node.range,
                match nearest(&text.to_lowercase(), words()) {
                    Some(word) => problem.help(format!("did you mean `{word}`?")),
                    None => problem,
                },
            );
        }
        chosen.map(|(_, value)| *value)
    }
}

/// The items of a list; a single value counts as a list of one.
pub(crate) fn items(node: &Node) -> &[Node] {
    match &node.kind {
        Kind::List(items) => items,
        Kind::Scalar(_) | Kind::Map(_) => std::slice::from_ref(node),
        Kind::Broken => &[],
    }
}

/// `90 min`, `5 Minutes` and the like, as they have to be written.
fn meant_duration(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    if text.contains('/') {
        return None;
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = match unit.trim() {
        "milliseconds" | "millis" | "msec" => "ms",
        "sec" | "secs" | "second" | "seconds" | "s" => "s",
        "min" | "mins" | "minute" | "minutes" | "m" => "m",
        "hr" | "hrs" | "hour" | "hours" | "h" => "h",
        "day" | "days" | "d" => "d",
        _ => return None,
    };
    let meant = format!("{number}{unit}");
    duration::parse(&meant).ok().map(|_| meant)
}

/// `10 per second`, `10ps`, `600rpm` and the like, as they have to be written.
fn meant_rate(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_matches(|c: char| c.is_whitespace() || c == '/');
    let unit = unit.trim_start_matches("per").trim_start_matches('p');
    let unit = match unit.trim() {
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" | "rpm" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        "d" | "day" | "days" => "d",
        _ => return None,
    };
    let meant = format!("{number}/{unit}");
    Rate::parse(&meant).ok().map(|_| meant)
}

/// The fields of one group, taken out one by one.
#[derive(Debug)]
pub(crate) struct Fields<'t> {
    what: &'static str,
    range: Range<usize>,
    entries: &'t [Entry],
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    /// Where the group begins: what is missing is reported here.
    pub(crate) fn range(&self) -> &Range<usize> {
        &self.range
    }

    /// The field, if the file has it. A field without a value is a problem, and absent.
    pub(crate) fn get(&mut self, reader: &Reader, name: &'static str) -> Option<&'t Node> {
        let entry = self.find(name)?;
        if entry.value.is_null() {
            reader.report(
                &entry.key_range,
                Problem::error(format!("'{name}' has no value"))
                    .label("nothing behind the colon")
                    .help("write a value, or remove the line"),
            );
            return None;
        }
        Some(&entry.value)
    }

    /// The field; that it is not there is a problem. `example` is a line as it could read.
    pub(crate) fn require(
        &mut self,
        reader: &Reader,
        name: &'static str,
        example: &str,
    ) -> Option<&'t Node> {
        if self.find(name).is_none() {
            reader.report(
                &self.range,
                Problem::error(format!("{} has no '{name}'", self.what))
                    .label(format!("'{name}' is missing here"))
                    .help(format!("add a line such as `{example}`")),
            );
        }
        self.get(reader, name)
    }

    /// Whether the file has the field, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == name)
    }

    /// Where the name of a field stands; the group's place when it is not there.
    pub(crate) fn key(&self, name: &str) -> Range<usize> {
        self.entries
            .iter()
            .find(|entry| entry.key == name)
            .map_or_else(|| self.range.clone(), |entry| entry.key_range.clone())
    }

    /// A field that belongs to the format and that this version cannot honour: it is refused,
    /// for a safety setting that is read and ignored is worse than none.
    pub(crate) fn unsupported(&mut self, reader: &Reader, name: &'static str, instead: &str) {
        let why = format!("this version does not support '{name}' yet");
        self.refuse(reader, name, &why, instead);
    }

    /// A field that somebody may expect and that is deliberately not in the format.
    pub(crate) fn refuse(&mut self, reader: &Reader, name: &'static str, why: &str, instead: &str) {
        self.refused.push(name);
        if let Some(entry) = self.entries.iter().find(|entry| entry.key == name) {
            reader.report(
                &entry.key_range,
                Problem::error(why)
                    .label("cannot be honoured")
                    .help(instead),
            );
        }
    }

    /// Every field as it stands, for groups whose names are the user's own.
    pub(crate) fn all(&self) -> &'t [Entry] {
        self.entries
    }

    fn find(&mut self, name: &'static str) -> Option<&'t Entry> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.entries.iter().find(|entry| entry.key == name)
    }

    /// Names every field that nobody asked for.
    pub(crate) fn finish(self, reader: &Reader) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if self.asked.contains(&key) || self.refused.contains(&key) {
                continue;
            }
            let which = if is_word(key) {
                format!("has no field '{key}'")
            } else {
                "has no such field".to_owned()
            };
            let known = self.asked.iter().copied();
            let folded = key.to_lowercase().replace(['-', ' '], "_");
            let help = match nearest(&folded, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the fields are {}", self.asked.join(", ")),
            };
            reader.report(
                &entry.key_range,
                Problem::error(format!("{} {which}", self.what))
                    .label("unknown field")
                    .help(help),
            );
        }
    }
}
