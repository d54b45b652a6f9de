//! Which parts of a settings file may be shown, and how a secret's whereabouts are read. Reads no
//! secret.

use std::ops::Range;
use std::path::Path;

use super::{Node, Reader, Source};
use crate::domain::account::SecretSource;
use crate::domain::problem::Problem;
use crate::intake::paths;
use crate::intake::yaml::{Kind, is_word};

/// The ranges that no excerpt may show: every value but those known to be harmless. A field whose
/// name is misspelt may hold anything.
pub(super) fn hidden(source: &Source, root: &Node) -> Vec<Range<usize>> {
    let mut hidden = Vec::new();
    collect(source, root, &mut Vec::new(), &mut hidden);
    hidden
}

fn collect<'t>(
    source: &Source,
    node: &'t Node,
    path: &mut Vec<&'t str>,
    hidden: &mut Vec<Range<usize>>,
) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                path.push(&entry.key);
                // A gateway's name is the user's own; no secret is as short.
                let own = matches!(path.as_slice(), ["gateways", name] if name.len() <= 20);
                if !own && !is_word(&entry.key) {
                    hidden.push(entry.key_range.clone());
                }
                if entry.value.is_null() {
                    // `signing_secret: # abc123`
                    let (_, line) = source.line_at(entry.key_range.start);
                    hidden.push(entry.key_range.end + 1..line.end);
                }
                collect(source, &entry.value, path, hidden);
                path.pop();
            }
        }
        Kind::List(items) => {
            for item in items {
                collect(source, item, path, hidden);
            }
        }
        Kind::Scalar(scalar) if harmless(path, &scalar.text) => {}
        Kind::Scalar(_) | Kind::Broken => {
            // A comment behind a value may be an older value.
            let (_, line) = source.line_at(node.range.end);
            hidden.push(node.range.start..line.end.max(node.range.end));
        }
    }
}

fn harmless(path: &[&str], text: &str) -> bool {
    match path {
        // A user and password stand before an `@` in an address.
        ["ledger"] | ["gateways", _, "base_url"] => {
            text.contains('.') && !text.contains(['@', '?'])
        }
        ["gateways", _, "kind" | "auth" | "plan"] => text.len() <= 12 && !text.contains(' '),
        ["gateways", _, "webhook", "algorithm" | "signed"] => {
            text.len() <= 20 && !text.contains(' ')
        }
        ["gateways", _, "tenant"] => text.len() < 32,
        ["gateways", _, "first_touch" | "plan", _]
        | [
            "gateways",
            _,
            "rate" | "burst" | "timeout" | "idempotency_retention" | "first_touch",
        ] => text.len() <= 12,
        ["gateways", _, "signing_secret" | "api_key", "env"]
        | ["gateways", _, "webhook", "secret", "env"] => is_variable(text),
        ["gateways", _, "signing_secret" | "api_key", "file"]
        | ["gateways", _, "webhook", "secret", "file"] => true,
        _ => false,
    }
}

/// Capital letters, digits and `_`: a name, and not a secret that somebody put in its place.
fn is_variable(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && (1..=128).contains(&text.len())
}

/// `{ env: NAME }` or `{ file: path }`; `usual` is how the variable is mostly called.
pub(super) fn read(reader: &Reader, node: &Node, path: &Path, usual: &str) -> Option<SecretSource> {
    let place = format!(
        "write `{{ env: {usual} }}` for an environment variable, or `{{ file: path }}` for a file"
    );
    match &node.kind {
        Kind::Broken => return None,
        Kind::Scalar(_) | Kind::List(_) => {
            reader.report(
                &node.range,
                Problem::error("a secret must not stand in the settings file")
                    .label("not shown")
                    .help(format!(
                        "{place}; if this file was shared, have the secret changed"
                    )),
            );
            return None;
        }
        Kind::Map(_) => {}
    }
    let mut fields = reader.fields(node, "a secret")?;
    let env = fields.get(reader, "env");
    let file = fields.get(reader, "file");
    let found = match (env, file) {
        (Some(node), None) => variable(reader, node, usual),
        (None, Some(node)) => reader
            .text(node, "the path of a file")
            .map(|named| SecretSource::File(paths::beside(path, named))),
        (None, None) if fields.has("env") || fields.has("file") => None,
        (Some(_), Some(_)) | (None, None) => {
            reader.report(
                fields.range(),
                Problem::error("a secret is kept in one place: 'env' or 'file'")
                    .label("exactly one of them is needed")
                    .help(place),
            );
            None
        }
    };
    fields.finish(reader);
    found
}

fn variable(reader: &Reader, node: &Node, usual: &str) -> Option<SecretSource> {
    let name = reader.text(node, "the name of an environment variable")?;
    if is_variable(name) {
        return Some(SecretSource::Env(name.to_owned()));
    }
    reader.report(
        &node.range,
        Problem::error("the name of an environment variable has capital letters, digits and `_`")
            .label("not such a name; not shown, for it may be the secret itself")
            .help(format!(
                "write the variable's name, such as `{{ env: {usual} }}`"
            )),
    );
    None
}
