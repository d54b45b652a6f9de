//! Reads the text of a cron expression: five fields, each item checked, every fault named with its
//! field, its place and what to write instead. Does not know which days match.

use super::cron_field::{CronField, FIELDS};

/// Why a text is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {help}")]
pub struct BadCron {
    /// The field at fault; `None` when it is the whole expression.
    pub field: Option<CronField>,
    /// Where the fault begins, in characters from 0.
    pub column: usize,
    /// How many characters are at fault; 0 where something is missing.
    pub width: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// An expression whose every item is right: numbers only, one space between the fields.
pub(super) struct Plain {
    pub(super) text: String,
    /// A field of days begins with `*` but is more than `*`: then both fields of days must match.
    /// crontab(5) means "restricted" that way, and only two restricted fields are alternatives.
    pub(super) both_days: bool,
}

/// A piece of the expression and where it begins, in bytes.
#[derive(Clone, Copy)]
struct Piece<'a> {
    whole: &'a str,
    start: usize,
    text: &'a str,
}

const ORDER: &str = "minute hour day-of-month month day-of-week";

const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Reads the whole expression.
pub(super) fn read(text: &str) -> Result<Plain, BadCron> {
    let pieces = split(text);
    let Some(first) = pieces.first() else {
        return Err(BadCron {
            field: None,
            column: 0,
            width: text.chars().count(),
            message: "the cron expression is empty".to_owned(),
            help: format!("write five fields: {ORDER}"),
        });
    };
    if first.text.starts_with('@') {
        return nickname(&pieces, *first);
    }
    if first.text.contains('=') {
        return Err(first.fault(
            None,
            "a cron expression sets no variables".to_owned(),
            "name the time zone in `timezone:`",
        ));
    }
    count(text, &pieces)?;
    let mut plain = Vec::with_capacity(FIELDS.len());
    for (field, piece) in FIELDS.into_iter().zip(&pieces) {
        plain.push(field.read(*piece)?);
    }
    let both_days = FIELDS.into_iter().zip(&plain).any(|(field, text)| {
        matches!(field, CronField::DayOfMonth | CronField::DayOfWeek)
            && text.starts_with('*')
            && text != "*"
    });
    Ok(Plain {
        text: plain.join(" "),
        both_days,
    })
}

fn split(text: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(|c: char| !c.is_whitespace()) {
        let (_, word) = rest.split_at(begin);
        let end = word.find(char::is_whitespace).unwrap_or(word.len());
        let (word, after) = word.split_at(end);
        pieces.push(Piece {
            whole: text,
            start: text.len() - after.len() - word.len(),
            text: word,
        });
        rest = after;
    }
    pieces
}

fn nickname(pieces: &[Piece<'_>], first: Piece<'_>) -> Result<Plain, BadCron> {
    if let Some(second) = pieces.get(1) {
        return Err(second.fault(
            None,
            format!("nothing may follow {}", first.text),
            "write the nickname alone, or five fields",
        ));
    }
    let known = NICKNAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(first.text));
    if let Some((_, text)) = known {
        return Ok(Plain {
            text: (*text).to_owned(),
            both_days: false,
        });
    }
    let message = if first.text.eq_ignore_ascii_case("@reboot") {
        "@reboot is no time".to_owned()
    } else {
        format!("'{}' is no nickname", first.text)
    };
    Err(first.fault(
        None,
        message,
        "there are @hourly, @daily, @weekly, @monthly and @yearly",
    ))
}

fn count(text: &str, pieces: &[Piece<'_>]) -> Result<(), BadCron> {
    let found = pieces.len();
    let message = format!("a cron expression has five fields, this one has {found}");
    if let Some(extra) = pieces.get(FIELDS.len()) {
        return Err(BadCron {
            width: text.trim_end().chars().count() - extra.column(),
            ..extra.fault(
                None,
                message,
                &format!("write {ORDER}; there are no seconds and no years"),
            )
        });
    }
    match FIELDS.get(found) {
        Some(field) => Err(BadCron {
            field: Some(*field),
            column: text.trim_end().chars().count(),
            width: 0,
            message,
            help: format!("write {ORDER}; the {field} is missing"),
        }),
        None => Ok(()),
    }
}

impl<'a> Piece<'a> {
    fn column(self) -> usize {
        self.whole
            .get(..self.start)
            .map_or(0, |before| before.chars().count())
    }

    fn fault(self, field: Option<CronField>, message: String, help: &str) -> BadCron {
        BadCron {
            field,
            column: self.column(),
            width: self.text.chars().count(),
            message,
            help: help.to_owned(),
        }
    }

    /// The parts between separators, each with its own place.
    fn split(self, separator: char) -> impl Iterator<Item = Piece<'a>> {
        let mut start = self.start;
        self.text.split(separator).map(move |text| {
            let piece = Piece {
                whole: self.whole,
                start,
                text,
            };
            start += text.len() + separator.len_utf8();
            piece
        })
    }

    fn split_once(self, separator: char) -> Option<(Piece<'a>, Piece<'a>)> {
        let (head, tail) = self.text.split_once(separator)?;
        let head = Piece { text: head, ..self };
        let start = self.start + head.text.len() + separator.len_utf8();
        Some((
            head,
            Piece {
                start,
                text: tail,
                ..self
            },
        ))
    }

    fn without_end(self, end: char) -> Option<Piece<'a>> {
        let text = self
            .text
            .strip_suffix([end, end.to_ascii_lowercase()].as_slice())?;
        Some(Piece { text, ..self })
    }
}

impl CronField {
    fn fault(self, piece: Piece<'_>, message: String) -> BadCron {
        piece.fault(Some(self), message, &format!("allowed: {}", self.allowed()))
    }

    /// Checks one field and writes it in numbers.
    fn read(self, piece: Piece<'_>) -> Result<String, BadCron> {
        if piece.text == "*" {
            return Ok("*".to_owned());
        }
        let mut items = Vec::new();
        for item in piece.split(',') {
            if item.text == "*" {
                return Err(item.fault(
                    Some(self),
                    format!("* already means every {self}"),
                    "write * alone, or only the list",
                ));
            }
            items.push(match self.special(item)? {
                Some(special) => special,
                None => self.item(item)?,
            });
        }
        if items.iter().any(|item| item == "L") && items.iter().any(|item| item == "LW") {
            return Err(self.fault(piece, "L and LW cannot stand in one list".to_owned()));
        }
        Ok(items.join(","))
    }

    /// `L`, `LW`, `15W`, `5#2`, `5L`; `None` when the item is none of these.
    fn special(self, item: Piece<'_>) -> Result<Option<String>, BadCron> {
        let upper = item.text.to_ascii_uppercase();
        match self {
            Self::DayOfMonth if upper == "L" || upper == "LW" => Ok(Some(upper)),
            Self::DayOfMonth => item
                .without_end('W')
                .map(|day| Ok(format!("{}W", self.value(day)?)))
                .transpose(),
            Self::DayOfWeek if upper == "L" => Err(item.fault(
                Some(self),
                "L names no weekday here".to_owned(),
                "write FRIL for the last Friday, or L as day of month for the last day",
            )),
            Self::DayOfWeek => {
                if let Some((day, nth)) = item.split_once('#') {
                    let day = self.value(day)? % 7;
                    return match nth.text {
                        "1" | "2" | "3" | "4" | "5" => Ok(Some(format!("{day}#{}", nth.text))),
                        _ => Err(nth.fault(
                            Some(self),
                            "a month has the same weekday four or five times".to_owned(),
                            "write FRI#1 to FRI#5, or FRIL for the last",
                        )),
                    };
                }
                item.without_end('L')
                    .map(|day| Ok(format!("{}#L", self.value(day)? % 7)))
                    .transpose()
            }
            Self::Minute | Self::Hour | Self::Month => Ok(None),
        }
    }

    /// `5`, `1-5`, `*/2`, `1-5/2`.
    fn item(self, item: Piece<'_>) -> Result<String, BadCron> {
        let Some((base, step)) = item.split_once('/') else {
            return self.span(item);
        };
        let (low, high) = self.range();
        let step_text = step.text;
        let every = step_text
            .parse::<u8>()
            .ok()
            .filter(|every| *every >= 1 && step_text.bytes().all(|b| b.is_ascii_digit()));
        let Some(every) = every else {
            return Err(step.fault(
                Some(self),
                format!("'{step_text}' is no step"),
                "write a whole number from 1, such as */15",
            ));
        };
        if every > high - low {
            return Err(step.fault(
                Some(self),
                format!("a step of {every} leaves the field of the {self} ({low} to {high})"),
                "a step starts again with every hour, day, month or year; write the values one by one",
            ));
        }
        match base.text {
            "*" => Ok(format!("*/{every}")),
            text if text.contains('-') => Ok(format!("{}/{every}", self.span(base)?)),
            text => Err(item.fault(
                Some(self),
                "a step needs a range".to_owned(),
                &format!("write {text}-{high}/{every}, or */{every}"),
            )),
        }
    }

    /// `5` or `1-5`.
    fn span(self, item: Piece<'_>) -> Result<String, BadCron> {
        let Some((first, last)) = item.split_once('-') else {
            return self.value(item).map(|value| value.to_string());
        };
        let (from, mut to) = (self.value(first)?, self.value(last)?);
        // A week may end with Sunday: FRI-SUN, FRI-0.
        if self == Self::DayOfWeek && to == 0 && from > 0 {
            to = 7;
        }
        if from <= to {
            return Ok(format!("{from}-{to}"));
        }
        let (low, high) = self.range();
        let (first, last) = (first.text, last.text);
        Err(item.fault(
            Some(self),
            format!("the range {first}-{last} runs backwards"),
            &match self {
                Self::DayOfWeek => format!("write {first}-SUN,MON-{last}"),
                Self::Minute | Self::Hour | Self::DayOfMonth | Self::Month => {
                    format!("write {first}-{high},{low}-{last}")
                }
            },
        ))
    }

    /// A number or a name.
    fn value(self, piece: Piece<'_>) -> Result<u8, BadCron> {
        let text = piece.text;
        let (names, base) = self.names();
        if text.is_empty() {
            return Err(self.fault(piece, format!("a {self} is missing here")));
        }
        if text == "?" {
            return Err(piece.fault(
                Some(self),
                "crontab has no ?".to_owned(),
                "write * for every day",
            ));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let (low, high) = self.range();
            return text
                .parse()
                .ok()
                .filter(|value| (low..=high).contains(value))
                .ok_or_else(|| {
                    self.fault(piece, format!("{text} is no {self} ({low} to {high})"))
                });
        }
        let by_name = |name: &str| {
            names
                .iter()
                .zip(base..)
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
        };
        if let Some((_, value)) = by_name(text) {
            return Ok(value);
        }
        match text.get(..3).and_then(by_name) {
            Some((name, _)) if text.bytes().all(|b| b.is_ascii_alphabetic()) => Err(piece.fault(
                Some(self),
                format!("'{text}' is no {self}"),
                &format!("write {name}"),
            )),
            Some(_) | None => Err(self.fault(piece, format!("'{text}' is no {self}"))),
        }
    }
}
