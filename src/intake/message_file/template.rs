//! A part of `type: template`: which approved text, and what is put into it. Whether the provider
//! knows it is asked before a run; its words are not known here.

use super::{PartBody, Text, as_text};
use crate::domain::problem::Problem;
use crate::intake::yaml::{Fields, Kind, Node, Reader};

/// Longest name of an approved template (huechat §7.1).
const MAX_NAME: usize = 512;
/// Longest name of a language: `en_US`, `zh_Hant_TW`.
const MAX_LANGUAGE: usize = 16;

pub(super) fn read(reader: &Reader, fields: &mut Fields<'_>) -> Option<PartBody> {
    let name = fields
        .require(reader, "name", "name: order_confirmation")
        .and_then(|node| name(reader, node));
    let language = match fields.get(reader, "language") {
        Some(node) => language(reader, node).map(Some),
        None => Some(None),
    };
    let parameters = match fields.get(reader, "parameters") {
        Some(node) => parameters(reader, node),
        None => Some(Vec::new()),
    };
    Some(PartBody::Template {
        name: name?,
        language: language?,
        parameters: parameters?,
    })
}

/// The same for everybody: what may be sent is looked up before anything is.
fn name(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader
        .text(node, "the name of an approved template")?
        .trim();
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.len() <= MAX_NAME && text.chars().all(word) {
        return Some(text.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error(
            "the name of an approved template has lower-case letters, digits and `_` only",
        )
        .label("not such a name")
        .help("write it as the provider lists it, such as `order_confirmation`"),
    );
    None
}

fn language(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "the name of a language")?.trim();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.len() <= MAX_LANGUAGE && text.chars().all(word) {
        return Some(text.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error("this is no name of a language")
            .label("not such a name")
            .help("write it as the template has it, such as `en_US`; mostly it can be left out"),
    );
    None
}

fn parameters(reader: &Reader, node: &Node) -> Option<Vec<(String, Text)>> {
    if matches!(&node.kind, Kind::List(_)) {
        reader.report(
            &node.range,
            Problem::error("the parameters of a template have numbers")
                .label("this is a list")
                .help("write `parameters: { \"1\": \"{{ first_name }}\", \"2\": … }`"),
        );
        return None;
    }
    let group = reader.fields(node, "'parameters'")?;
    let read = |(key, value): (&String, &Node)| Some((key.clone(), as_text(reader, value)?));
    let all: Vec<Option<_>> = group
        .all()
        .iter()
        .map(|entry| read((&entry.key, &entry.value)))
        .collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use crate::intake::message_file::{PartBody, read_source};
    use crate::intake::yaml::Source;

    #[test]
    fn what_is_no_template_says_why_at_its_line() {
        for (fields, words) in [
            ("", "a part has no 'name'"),
            ("name: Order-1", "the name of an approved template"),
            ("name: \"{{ x }}\"", "the name of an approved template"),
            (
                "name: x, language: \"en US\"",
                "this is no name of a language",
            ),
            (
                "name: x, parameters: [a]",
                "the parameters of a template have numbers",
            ),
            ("name: x, value: y", "a part has no field 'value'"),
        ] {
            let text = format!("parts:\n  - {{ type: template, {fields} }}\n");
            let (message, problems) = read_source(Source::new("m.yaml".to_owned(), text));
            assert!(message.is_none(), "{fields}");
            let said: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
            assert!(said.len() == 1 && said[0].starts_with(words), "{said:?}");
            assert!(
                problems
                    .iter()
                    .all(|p| p.place.as_ref().is_some_and(|at| at.line == 2))
            );
        }
        let text = "parts:\n  - { type: template, name: a_1, parameters: { 1: \"{{ x }}\" } }\n";
        let (message, problems) = read_source(Source::new("m.yaml".to_owned(), text.to_owned()));
        assert!(problems.is_empty(), "{problems:?}");
        let part = message.unwrap().parts.remove(0);
        assert!(matches!(
            part.body,
            PartBody::Template { name, language: None, parameters }
                if name == "a_1" && parameters[0].0 == "1" && parameters[0].1.value == "{{ x }}"
        ));
    }
}
