//! A part of `type: template`: a message that WhatsApp has approved, by its name, and what is put
//! into it. Whether the account has it, only the account knows.

use std::collections::BTreeMap;

use super::{Fields, Kind, Node, PartBody, Reader, Text, as_text};
use crate::domain::problem::Problem;

/// Longest name in characters (huechat §7.1).
const MAX_NAME: usize = 512;
/// Longest language, such as `en_US`.
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

fn name(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader
        .text(node, "the name of an approved template")?
        .trim();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if text.chars().all(fits) && text.len() <= MAX_NAME {
        return Some(text.to_owned());
    }
    let problem = Problem::error(
        "the name of an approved template has lower-case letters, digits and `_` only, at most 512",
    )
    .label("not such a name");
    reader.report(
        &node.range,
        if text.contains("{{") {
            problem.help("it is the same for everybody; let another campaign send another template")
        } else {
            problem.help("write it as it stands with the provider, such as `order_confirmation`")
        },
    );
    None
}

fn language(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "the code of a language")?.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.chars().all(fits) && text.len() <= MAX_LANGUAGE {
        return Some(text.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error("a template's language is a code such as `en_US`")
            .label("not such a code")
            .help("write it as it stands with the provider, or remove the line"),
    );
    None
}

/// By number or by name; which of both, is the approved template's to say.
fn parameters(reader: &Reader, node: &Node) -> Option<Vec<(String, Text)>> {
    if matches!(node.kind, Kind::List(_)) {
        reader.report(
            &node.range,
            Problem::error("the parameters of a template have names or numbers")
                .label("this is a list")
                .help("write `parameters: { \"1\": \"{{ first_name }}\", \"2\": … }`"),
        );
        return None;
    }
    let fields = reader.fields(node, "'parameters'")?;
    let texts: Vec<Option<(String, Text)>> = fields
        .all()
        .iter()
        .map(|entry| Some((entry.key.trim().to_owned(), as_text(reader, &entry.value)?)))
        .collect();
    let texts: Vec<(String, Text)> = texts.into_iter().collect::<Option<_>>()?;
    let once: BTreeMap<&str, ()> = texts.iter().map(|(key, _)| (key.as_str(), ())).collect();
    // The file itself tells two equal names apart, but not `1` and ` 1`.
    if once.len() < texts.len() || once.contains_key("") {
        reader.report(
            fields.range(),
            Problem::error("each parameter of a template has a name or number of its own")
                .label("not all of them do")
                .help("count them \"1\", \"2\", …, as the approved template does"),
        );
        return None;
    }
    Some(texts)
}
