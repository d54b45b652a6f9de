//! How problems look: one report each, with the line, a caret and the remedy, and a count at the
//! end. Makes text; printing it is `cli`'s.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError,
    MietteSpanContents, SourceCode, SourceSpan, SpanContents, ThemeCharacters, ThemeStyles,
};

use crate::domain::problem::{Place, Problem, Problems, Severity};

/// Whether reports may carry terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colors,
}

/// Narrower than this, a report is no longer readable; it is then left to the terminal to wrap.
const MIN_WIDTH: usize = 40;
/// What stands left of an excerpt besides the digits of the line number.
const GUTTER: usize = 6;
/// What stands left of a message or a remedy.
const MARGIN: usize = 8;

/// Every problem, errors first, in the order of their places, then how many there are. `width` is
/// the terminal's, in columns. Ends in a line end.
pub fn render(problems: &Problems, paint: Paint, width: usize) -> String {
    let width = width.max(MIN_WIDTH);
    let mut sorted: Vec<&Problem> = problems.iter().collect();
    let files: Vec<&str> = sorted.iter().filter_map(|p| file(p)).collect();
    sorted.sort_by_key(|problem| {
        let file = file(problem).and_then(|name| files.iter().position(|file| *file == name));
        let at = problem
            .place
            .as_ref()
            .map(|place| (place.line, place.column));
        (problem.severity, file, at)
    });
    let handler = handler(paint, width);
    let mut text = String::new();
    for problem in sorted {
        if handler
            .render_report(&mut text, &Report::new(problem, width))
            .is_err()
        {
            // Never lose a problem to its looks.
            text += &clean(&problem.to_string());
            text.push('\n');
        }
        text.push('\n');
    }
    text + &count(problems) + "\n"
}

fn file(problem: &Problem) -> Option<&str> {
    problem.place.as_ref().map(|place| place.file.as_str())
}

fn handler(paint: Paint, width: usize) -> GraphicalReportHandler {
    let characters = ThemeCharacters {
        underline: '^',
        underbar: '^',
        uarrow: '^',
        ..ThemeCharacters::unicode()
    };
    let styles = match paint {
        Paint::Plain => ThemeStyles::none(),
        Paint::Colors => ThemeStyles::ansi(),
    };
    GraphicalReportHandler::new_themed(GraphicalTheme { characters, styles })
        .with_width(width)
        .with_wrap_lines(false)
        .without_syntax_highlighting()
}

fn count(problems: &Problems) -> String {
    let many = |n: usize, noun: &str| match n {
        1 => format!("1 {noun}"),
        n => format!("{n} {noun}s"),
    };
    let (errors, warnings) = (problems.errors(), problems.warnings());
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(many(errors, "problem"));
    }
    if warnings > 0 {
        parts.push(many(warnings, "warning"));
    }
    let mut line = parts.join(" and ");
    if line.is_empty() {
        line.push_str("no problems");
    }
    if problems.hidden() > 0 {
        let hidden = format!(" ({} not shown)", problems.hidden());
        line.push_str(&hidden);
    }
    if errors > 0 {
        line += "; nothing was sent";
    }
    line
}

/// The text without anything that would move the cursor, change colours or reverse the reading
/// order: files come from anywhere.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if (c.is_control() && c != '\t') || turns {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Breaks a text at blanks, never inside `…`: what is to be typed stays in one piece.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    let mut quoted = false;
    for word in text.split_inclusive(|c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    }) {
        let length = word.trim_end().chars().count();
        if column > 0 && column + length > width {
            wrapped.truncate(wrapped.trim_end().len());
            wrapped.push('\n');
            column = 0;
        }
        wrapped.push_str(word);
        column += word.chars().count();
    }
    wrapped
}

/// A problem in the shape that the reporter draws.
#[derive(Debug)]
struct Report<'p> {
    problem: &'p Problem,
    message: String,
    help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// The part of a line that is shown, and where its caret goes.
#[derive(Debug)]
struct Excerpt {
    file: String,
    /// From 0, as the reporter counts.
    line: usize,
    column: usize,
    text: String,
    /// In bytes of `text`.
    caret: (usize, usize),
}

impl<'p> Report<'p> {
    fn new(problem: &'p Problem, width: usize) -> Self {
        Self {
            problem,
            message: wrap(&clean(&problem.message), width - MARGIN),
            help: problem
                .help
                .as_ref()
                .map(|help| wrap(&clean(help), width - MARGIN)),
            excerpt: problem
                .place
                .as_ref()
                .map(|place| Excerpt::new(place, width)),
        }
    }
}

impl Excerpt {
    fn new(place: &Place, width: usize) -> Self {
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let column = number(place.column.max(1)) - 1;
        let room = width
            .saturating_sub(GUTTER + place.line.to_string().len())
            .max(MIN_WIDTH / 2);
        let (text, caret) = match place.excerpt.as_deref() {
            Some(line) => cut(line, column, number(place.width), room),
            None => ("(this line is not shown)".to_owned(), (0, 0)),
        };
        Self {
            file: clean(&place.file),
            line: number(place.line.max(1)) - 1,
            column,
            text,
            caret,
        }
    }
}

/// The part of `line` around a place that fits into `room` characters, and the place in it.
fn cut(line: &str, column: usize, width: usize, room: usize) -> (String, (usize, usize)) {
    let length = line.chars().count();
    let column = column.min(length);
    // A third of the room before the place, the rest from there on; all of it for short lines.
    let first = if length <= room {
        0
    } else {
        column
            .saturating_sub(room / 3)
            .min(length.saturating_sub(room - 1))
    };
    let mut text = String::new();
    if first > 0 {
        text.push('…');
    }
    let (mut start, mut end) = (None, None);
    for (at, c) in line.chars().enumerate().skip(first).take(room) {
        if at == column {
            start = Some(text.len());
        }
        text.push_str(&clean(c.encode_utf8(&mut [0; 4])));
        if at < column.saturating_add(width) {
            end = Some(text.len());
        }
    }
    let start = start.unwrap_or(text.len());
    let length_shown = end.unwrap_or(start).saturating_sub(start);
    if first.saturating_add(room) < length {
        text.push('…');
    }
    if start == text.len() {
        // The reporter draws no caret behind the end of a line.
        text.push(' ');
    }
    (text, (start, length_shown))
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.help.as_ref()?))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt
            .as_ref()
            .map(|excerpt| excerpt as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (start, length) = self.excerpt.as_ref()?.caret;
        let label = self.problem.label.as_deref().unwrap_or("here");
        let span = LabeledSpan::new_primary_with_span(Some(clean(label)), (start, length));
        Some(Box::new(std::iter::once(span)))
    }
}

impl SourceCode for Excerpt {
    /// The one line that there is, whatever is asked for.
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        _lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        Ok(Box::new(MietteSpanContents::new_named(
            self.file.clone(),
            self.text.as_bytes(),
            (0, self.text.len()).into(),
            self.line,
            self.column,
            1,
        )))
    }
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod tests;
