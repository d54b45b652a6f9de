//! What is wrong with the user's input, where, and what to do. Problems are collected, all of
//! them, and shown together; the command line decides how they look.

use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is sent before this is mended.
    Error,
    /// Worth a look; does not stop a run.
    Warning,
}

/// A place in a file, with the line itself, so that a caret can be drawn without the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// Characters to underline; 0 means just the point.
    pub width: u32,
    /// The text of that line, without its end; absent where it must not be shown or is not known.
    pub excerpt: Option<String>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub place: Option<Place>,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What stands at the caret, in a few words.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Problem {
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: None,
            message: message.into(),
            label: None,
            help: None,
        }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{}:{}:{}: ", place.file, place.line, place.column)?;
        }
        f.write_str(&self.message)
    }
}

/// At most this many problems are kept; a list with a million bad rows needs no million lines.
pub const SHOWN: usize = 50;

/// Every problem found so far; those past [`SHOWN`] are only counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    kept: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        match problem.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        let kept_alike = self
            .kept
            .iter()
            .filter(|p| p.severity == problem.severity)
            .count();
        if kept_alike < SHOWN {
            self.kept.push(problem);
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.errors += other.errors;
        self.warnings += other.warnings;
        self.kept.extend(other.kept);
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    pub fn is_empty(&self) -> bool {
        self.errors + self.warnings == 0
    }

    pub fn errors(&self) -> usize {
        self.errors
    }

    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// The kept ones, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.kept.iter()
    }

    /// How many were found but not kept.
    pub fn hidden(&self) -> usize {
        self.errors + self.warnings - self.kept.len()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.push(problem);
        problems
    }
}

/// The nearest of `known` to a word that is not among them, for "did you mean".
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.chars().count().max(word.chars().count()) / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["first_name", "technician", "place_id"];
        assert_eq!(nearest("frist_name", known), Some("first_name"));
        assert_eq!(nearest("technican", known), Some("technician"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn problems_past_the_cap_are_counted() {
        let mut problems = Problems::default();
        for n in 0..SHOWN + 7 {
            problems.push(Problem::error(format!("row {n}")));
        }
        problems.push(Problem::warning("w"));
        assert_eq!(
            (problems.errors(), problems.warnings(), problems.hidden()),
            (SHOWN + 7, 1, 7)
        );
    }
}
