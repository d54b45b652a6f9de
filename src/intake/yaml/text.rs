//! A text from a file that can say where each of its characters stands there, through quotes,
//! escapes and folded lines. Does not know what the text means.

use std::ops::Range;
use std::sync::Arc;

use super::source::Source;
use super::tree::{Kind, Node, Style};
use crate::domain::problem::Place;

/// A scalar's value and its way back into the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Unescaped and unfolded: what the file means, not how it is written.
    pub value: String,
    source: Arc<Source>,
    range: Range<usize>,
    style: Style,
}

impl Text {
    pub(crate) fn of(node: &Node, source: &Arc<Source>) -> Option<Self> {
        match &node.kind {
            Kind::Scalar(scalar) => Some(Self {
                value: scalar.text.clone(),
                source: Arc::clone(source),
                range: node.range.clone(),
                style: scalar.style,
            }),
            Kind::List(_) | Kind::Map(_) | Kind::Broken => None,
        }
    }

    /// The whole text; of several lines, the first.
    pub fn place(&self) -> Place {
        self.source.place(&self.range)
    }

    /// Where a position inside the value (line and column from 1, in characters) stands in the
    /// file. A position outside the value is taken to its nearest end.
    pub fn locate(&self, line: u32, column: u32) -> Place {
        let line = usize::try_from(line).unwrap_or(usize::MAX).max(1);
        let column = usize::try_from(column).unwrap_or(usize::MAX).max(1);
        let before: usize = self
            .value
            .split_inclusive('\n')
            .take(line - 1)
            .map(|line| line.chars().count())
            .sum();
        let length = self
            .value
            .split('\n')
            .nth(line - 1)
            .map_or(0, |line| line.chars().count());
        let at = self.range.start + self.offset(before + (column - 1).min(length));
        self.source.place(&(at..at))
    }

    /// The byte, from the start of the scalar in the file, of the value's `target`-th character.
    fn offset(&self, target: usize) -> usize {
        let raw = self.source.slice(&self.range);
        let at = match self.style {
            Style::Literal | Style::Folded => {
                let (_, line) = self.source.line_at(self.range.start);
                let indent = self.range.start.saturating_sub(line.start);
                in_block(raw, &self.value, target, indent)
            }
            Style::Plain | Style::Single | Style::Double => {
                in_flow(raw, &self.value, target, self.style)
            }
        };
        at.min(raw.len())
    }
}

/// Walks a `|` or `>` text: lines stand as they are, but for the indentation and for the line
/// ends that `>` turns into spaces (YAML 1.2 §8.1).
fn in_block(raw: &str, value: &str, target: usize, indent: usize) -> usize {
    let (mut at, mut folded) = (0, 0);
    // The parser's span begins at the first character; empty lines before it are in the value.
    let leading = value.chars().take_while(|c| *c == '\n').count();
    for (n, (from, c)) in value.char_indices().enumerate() {
        if n == target {
            break;
        }
        if n < leading {
            continue;
        }
        if folded > 0 {
            folded -= 1;
            continue;
        }
        let rest = raw.get(at..).unwrap_or_default();
        if !rest.starts_with(['\n', '\r']) {
            at += c.len_utf8();
            continue;
        }
        let tail = value.get(from..).unwrap_or_default();
        let run = tail.bytes().take_while(|b| *b == b'\n').count();
        folded = run.saturating_sub(1);
        let lines = if c == '\n' { run } else { 1 };
        at += next_line_of(rest, lines, indent);
    }
    at
}

/// The bytes of the `breaks` line ends at the start of `rest` (of `>`: one more may stand there)
/// and of the indentation behind them.
fn next_line_of(rest: &str, breaks: usize, indent: usize) -> usize {
    let (mut at, mut seen) = (0, 0);
    loop {
        let tail = rest.get(at..).unwrap_or_default();
        let length = line_end(tail);
        if length == 0 {
            return at;
        }
        at += length;
        seen += 1;
        let tail = rest.get(at..).unwrap_or_default();
        let spaces = tail.bytes().take_while(|b| *b == b' ').count();
        let empty = tail.get(spaces..).is_some_and(|t| line_end(t) > 0);
        at += spaces.min(indent);
        if !empty || (spaces > indent && seen >= breaks) {
            return at;
        }
    }
}

/// Walks a plain or quoted text: a line end is a space, more of them are one line end fewer
/// (YAML 1.2 §6.5), `''` and `\` are escapes.
fn in_flow(raw: &str, value: &str, target: usize, style: Style) -> usize {
    let mut at = usize::from(style != Style::Plain);
    let mut folded = 0;
    for (n, c) in value.chars().enumerate() {
        if folded == 0 {
            let (bytes, made) = fold(raw.get(at..).unwrap_or_default(), style);
            if made > 0 && n == target {
                break;
            }
            at += bytes;
            folded = made;
        }
        if n == target {
            break;
        }
        if folded > 0 {
            folded -= 1;
        } else {
            at += written_length(raw.get(at..).unwrap_or_default(), c, style);
        }
    }
    at
}

/// The line ends and blanks at the start of `rest`: their bytes, and the characters they make.
fn fold(rest: &str, style: Style) -> (usize, usize) {
    let escaped = style == Style::Double && rest.starts_with('\\');
    let body = if escaped {
        rest.get(1..).unwrap_or_default()
    } else {
        rest
    };
    let run = body.bytes().take_while(|b| b" \t\r\n".contains(b)).count();
    let (mut breaks, mut blank) = (0, body.get(..run).unwrap_or_default());
    while !blank.is_empty() {
        let length = line_end(blank);
        breaks += usize::from(length > 0);
        blank = blank.get(length.max(1)..).unwrap_or_default();
    }
    match breaks {
        0 => (0, 0),
        // `\` before the line end joins the lines; empty lines behind it count in full.
        _ if escaped && line_end(body) > 0 => (1 + run, breaks - 1),
        _ if escaped => (0, 0),
        1 => (run, 1),
        _ => (run, breaks - 1),
    }
}

/// How many bytes of the file stand for this character of the value.
fn written_length(rest: &str, c: char, style: Style) -> usize {
    match style {
        Style::Single if rest.starts_with("''") => 2,
        Style::Double if rest.starts_with('\\') => escape_length(rest),
        Style::Plain | Style::Single | Style::Double | Style::Literal | Style::Folded => {
            c.len_utf8()
        }
    }
}

/// YAML 1.2 §5.7; a surrogate pair is written as two `\u`.
fn escape_length(rest: &str) -> usize {
    match rest.chars().nth(1) {
        Some('x') => 4,
        Some('u') => {
            let high = rest
                .get(2..6)
                .and_then(|hex| u32::from_str_radix(hex, 16).ok())
                .is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
            if high { 12 } else { 6 }
        }
        Some('U') => 10,
        Some(c) => 1 + c.len_utf8(),
        None => 1,
    }
}

/// The bytes of the line end that `text` begins with; 0 when there is none.
fn line_end(text: &str) -> usize {
    if text.starts_with("\r\n") {
        2
    } else {
        usize::from(text.starts_with(['\n', '\r']))
    }
}
