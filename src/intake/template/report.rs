//! Tera's errors in our words: what is wrong, where in the template, and whether the template or
//! the row is at fault.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the template engine's list of errors is open-ended"
)]

use tera::{Error, ErrorKind};

use super::meter::{TOO_LARGE, TOO_MANY_ROUNDS};

/// What a template engine's error comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// Lower case, no full stop.
    pub message: String,
    pub at: Option<Spot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The template is wrong for every row.
    Template,
    /// The template names something that is not there.
    Undefined,
    /// The row's values do not fit what the template does with them.
    Data,
    /// The text grows past the limit.
    TooLong,
}

/// A place in a compiled template: line from 1, column from 1, in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub template: String,
    pub line: u32,
    pub column: u32,
    pub width: u32,
}

/// An expression of which the last piece is missing.
pub const EXPRESSION_ENDS: &str = "the expression ends too early";

/// Every fault in an error of compiling; Tera puts several into one text.
pub fn of_compiling(error: &Error) -> Vec<Fault> {
    let fault = |message: &str, at| Fault {
        kind: FaultKind::Template,
        message: plain(message),
        at,
    };
    match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            return vec![fault(report.message(), Some(spot(report)))];
        }
        ErrorKind::CircularInclude { include_chain, .. } => {
            let chain = include_chain.join("' includes '");
            let message = format!("the included files go round in a circle: '{chain}'");
            return vec![fault(&message, None)];
        }
        _ => {}
    }
    let text = error.kind().to_string();
    let reports: Vec<Fault> = text
        .split("error: ")
        .filter_map(|part| {
            let (message, rest) = part.split_once("--> ")?;
            Some(fault(message.trim(), rest.lines().next().and_then(locus)))
        })
        .collect();
    if reports.is_empty() {
        vec![fault(&text, None)]
    } else {
        reports
    }
}

/// `name:line:column`, as it stands in a text of several faults.
fn locus(line: &str) -> Option<Spot> {
    let mut fields = line.rsplitn(3, ':');
    let column = fields.next()?.trim().parse().ok()?;
    let line = fields.next()?.parse().ok()?;
    let template = fields.next()?.to_owned();
    Some(Spot {
        template,
        line,
        column,
        width: 0,
    })
}

/// The fault in an error of rendering.
pub fn of_rendering(error: &Error) -> Fault {
    match error.kind() {
        ErrorKind::RenderingError(report) => {
            let message = report.message();
            if [TOO_MANY_ROUNDS, TOO_LARGE].contains(&message) {
                return Fault {
                    kind: FaultKind::TooLong,
                    message: message.to_owned(),
                    at: Some(spot(report)),
                };
            }
            let undefined = message.contains("not defined") || message.contains("undefined");
            // The list of all names that Tera adds is long and not the nearest.
            let message = message.split(" Available ").next().unwrap_or(message);
            return Fault {
                kind: if undefined {
                    FaultKind::Undefined
                } else {
                    FaultKind::Data
                },
                message: plain(message),
                at: Some(spot(report)),
            };
        }
        ErrorKind::Io(_) => {
            return Fault {
                kind: FaultKind::TooLong,
                message: "the template makes more than 64 KiB of text".to_owned(),
                at: None,
            };
        }
        _ => {}
    }
    Fault {
        kind: FaultKind::Data,
        message: plain(&error.kind().to_string()),
        at: None,
    }
}

fn spot(report: &tera::ReportError) -> Spot {
    let span = report.span();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let width = if span.start_line == span.end_line {
        span.end_col.saturating_sub(span.start_col)
    } else {
        0
    };
    Spot {
        template: report.filename().to_owned(),
        line: number(span.start_line),
        column: number(span.start_col + 1),
        width: number(width),
    }
}

/// In the manner of our messages: plain quotes, no capital, no full stop, no names of Rust types.
fn plain(message: &str) -> String {
    const TYPES: [(&str, &str); 7] = [
        ("'string'", "a text"),
        ("'u64'", "a number"),
        ("'i64'", "a number"),
        ("'f64'", "a number"),
        ("'i128'", "a number"),
        ("'undefined'", "something undefined"),
        ("'bool'", "true or false"),
    ];
    let line = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches('.');
    if line == "Unexpected end of input" {
        return "the template ends too early: a `{{`, `{% if %}` or the like is not closed"
            .to_owned();
    }
    let mut letters = line.chars();
    let first: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_lowercase)
        .collect();
    let mut plain = format!("{first}{}", letters.as_str()).replace('`', "'");
    for (name, word) in TYPES {
        plain = plain.replace(name, word);
    }
    if plain.starts_with("found '%}' but expected") {
        return EXPRESSION_ENDS.to_owned();
    }
    let there = plain
        .strip_prefix("found ")
        .map(|rest| rest.split_once(" but expected "));
    match there {
        Some(Some((found, expected))) => format!("{found} stands where {expected} is expected"),
        Some(None) | None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tera::{Context, Tera};

    #[test]
    fn every_unknown_filter_is_found_with_its_place() {
        let mut tera = Tera::default();
        let error = tera
            .add_raw_template("t", "a {{ b | shout }}\n{{ c | whisper }}")
            .unwrap_err();
        let faults = of_compiling(&error);
        let seen: Vec<_> = faults
            .iter()
            .map(|f| {
                (
                    f.message.as_str(),
                    f.at.as_ref().map(|s| (s.line, s.column)),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("unknown filter 'shout'", Some((1, 10))),
                ("unknown filter 'whisper'", Some((2, 8)))
            ]
        );
    }

    #[test]
    fn a_name_that_is_not_there_differs_from_a_value_that_does_not_fit() {
        let mut tera = Tera::default();
        tera.add_raw_template("t", "{{ nothing }}").unwrap();
        tera.add_raw_template("u", "{{ x | int }}").unwrap();
        let mut context = Context::new();
        context.insert("x", "abc");
        let fault = |name: &str| of_rendering(&tera.render(name, &context).unwrap_err());
        assert_eq!(fault("t").kind, FaultKind::Undefined);
        assert_eq!(fault("t").message, "variable 'nothing' is not defined");
        assert_eq!(fault("u").kind, FaultKind::Data);
    }
}
