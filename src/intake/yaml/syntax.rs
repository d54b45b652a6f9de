//! The parser's refusals in words that help: what is wrong, and how it is usually mended. Does
//! not decide what is refused.

use std::ops::Range;

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::source::Source;
use crate::domain::problem::Problem;

/// One problem for the point at which the file stops being YAML.
pub(super) fn explain(source: &Source, error: &ScanError) -> Problem {
    let at = error.marker().byte_offset().unwrap_or_default();
    let range = at..at;
    let (_, line) = source.line_at(at);
    let (message, help) = words(error.kind(), source.slice(&line));
    Problem::error(message).at(source.place(&range)).help(help)
}

pub(super) fn too_deep(source: &Source, range: &Range<usize>) -> Problem {
    Problem::error("lists and groups are nested too deeply")
        .at(source.place(range))
        .help("no file of ours needs more than five levels")
}

fn words(kind: &ErrorKind, line: &str) -> (String, &'static str) {
    use ErrorKind as E;
    if [": {{", ": {%", "- {{", "- {%"]
        .iter()
        .any(|begin| line.contains(begin))
    {
        return (
            "a value that begins with `{{` or `{%` needs quotes".to_owned(),
            "put the whole value in double quotes: \"{{ … }}\"",
        );
    }
    if let E::UnexpectedCharacter { character } = kind {
        let message = format!("a value cannot begin with '{}'", character.escape_default());
        return (message, "put the value in quotes");
    }
    let (message, help) = usual_mistake(kind);
    (message.to_owned(), help)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's refusals are an open set; the rare ones share one sentence"
)]
fn usual_mistake(kind: &ErrorKind) -> (&'static str, &'static str) {
    use ErrorKind as E;
    match kind {
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabAtBlockScalarStart
        | E::TabInIndentation
        | E::TabInPlainScalar => (
            "a tab stands where only spaces may",
            "indent with spaces, two for each level",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "this line has no `name: value`",
            "write a colon and a space behind the field's name",
        ),
        E::MappingValueNotAllowed | E::InvalidColonPlacement | E::InvalidMappingValueWhitespace => {
            (
                "a colon stands where no field can begin",
                "put a value that contains `: ` in quotes; close brackets and quotes of the line above",
            )
        }
        E::ExpectedBlockMappingKey
        | E::InvalidIndentation
        | E::ExpectedBlockSequenceEntry
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidBlockScalarIndent
        | E::MappingKeyNotAllowed => (
            "the indentation does not fit the lines above",
            "fields that belong together begin in the same column",
        ),
        E::UnclosedQuotedScalar
        | E::InvalidQuotedScalarIndent
        | E::DocumentIndicatorInQuotedScalar => (
            "a quoted text is not closed",
            "close the quote; the text may have begun on a line above",
        ),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => (
            "something stands behind the closing quote",
            "put the whole value inside the quotes; a single quote inside single quotes is written ''",
        ),
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidUnicodeEscape
        | E::InvalidLowSurrogate
        | E::InvalidLowSurrogateHexEscape
        | E::MissingLowSurrogate
        | E::UnpairedLowSurrogate => (
            "this backslash begins no escape that YAML knows",
            "write the backslash twice, or use single quotes",
        ),
        E::UnclosedFlowCollection { .. }
        | E::MismatchedFlowCollectionEnd { .. }
        | E::MisplacedFlowCollectionEnd
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofImplicitFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator => (
            "brackets do not match",
            "every [ needs its ], every { its }, with commas between the values",
        ),
        E::RecursionLimitExceeded => (
            "lists and groups are nested too deeply",
            "no file of ours needs more than five levels",
        ),
        _ => (
            "this is not valid YAML",
            "look at the colons, quotes and indentation of this line and the one above",
        ),
    }
}
