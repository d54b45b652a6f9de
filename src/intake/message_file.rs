//! A message template file: its parts, as texts that still have to be rendered and that know
//! where they stand. Does not know Tera, and opens no media.

mod template;

use std::path::Path;
use std::sync::Arc;

use super::yaml::{Fields, Kind, Node, Reader, Source, parse};
use crate::domain::campaign::FrozenFile;
use crate::domain::problem::{Place, Problem, Problems};

pub use super::yaml::Text;

/// A message template, as written.
#[derive(Debug, Clone)]
pub struct MessageFile {
    /// The path as the user would type it.
    pub name: String,
    pub file: FrozenFile,
    /// At least one.
    pub parts: Vec<PartSource>,
}

impl MessageFile {
    /// The whole file.
    pub fn text(&self) -> &str {
        self.file.text.as_deref().unwrap_or_default()
    }
}

/// One part of a message, as written.
#[derive(Debug, Clone)]
pub struct PartSource {
    pub place: Place,
    /// A Tera expression; the part is left out for whom it is false.
    pub when: Option<Text>,
    pub body: PartBody,
}

/// What a part says; every text is a Tera template.
#[derive(Debug, Clone)]
pub enum PartBody {
    Text {
        value: Text,
        /// Of an e-mail.
        subject: Option<Text>,
    },
    /// One that the provider has approved beforehand: only what is put into it is ours to say.
    Template {
        name: String,
        language: Option<String>,
        /// By the names or numbers that the approved text has for them.
        parameters: Vec<(String, Text)>,
    },
    /// A file, relative to the template's folder.
    Media { file: Text },
    /// Media that the provider fetches.
    MediaUrl { url: Text },
    RichLink {
        url: Text,
        title: Option<Text>,
        summary: Option<Text>,
        image_url: Option<Text>,
        icon_url: Option<Text>,
    },
}

/// Reads a message template, `path` as the user would type it. The message is there exactly when
/// no error was found; that the file cannot be opened is a problem without a place.
pub fn read(path: &Path) -> (Option<MessageFile>, Problems) {
    match Source::open(path) {
        Ok(source) => read_source(source),
        Err(problems) => (None, problems),
    }
}

fn read_source(source: Source) -> (Option<MessageFile>, Problems) {
    let mut problems = Problems::default();
    let root = parse(&source, &mut problems);
    let reader = Reader::new(Arc::new(source), problems);
    let parts = root.and_then(|root| parts(&reader, &root));
    let source = Arc::clone(&reader.source);
    let problems = reader.finish();
    let message = parts
        .filter(|_| !problems.has_errors())
        .map(|parts| MessageFile {
            name: source.name().to_owned(),
            file: source.freeze("message"),
            parts,
        });
    (message, problems)
}

const EXAMPLE: &str = "write each part as `- type: text` with its `value:` below";

fn parts(reader: &Reader, root: &Node) -> Option<Vec<PartSource>> {
    let mut fields = reader.fields(root, "a message template")?;
    let node = fields.require(reader, "parts", "parts:");
    fields.finish(reader);
    let node = node?;
    let items = match &node.kind {
        Kind::List(items) => items,
        Kind::Scalar(_) | Kind::Map(_) => {
            reader.report(
                &node.range,
                Problem::error("'parts' is a list")
                    .label(format!("this is {}", node.describe()))
                    .help(EXAMPLE),
            );
            return None;
        }
        Kind::Broken => return None,
    };
    if items.is_empty() {
        reader.report(
            &node.range,
            Problem::error("the message has no part")
                .label("empty")
                .help(EXAMPLE),
        );
    }
    // Each is read, so that every problem is found, before one that fails makes the whole fail.
    let parts: Vec<_> = items.iter().map(|item| part(reader, item)).collect();
    parts.into_iter().collect()
}

#[derive(Clone, Copy)]
enum PartType {
    Text,
    Media,
    RichLink,
    Template,
}

fn part(reader: &Reader, node: &Node) -> Option<PartSource> {
    let mut fields = reader.fields(node, "a part")?;
    let place = reader.source.place(fields.range());
    let kind = fields
        .require(reader, "type", "type: text")
        .and_then(|node| {
            reader.choice(
                node,
                &[
                    ("text", PartType::Text),
                    ("media", PartType::Media),
                    ("rich_link", PartType::RichLink),
                    ("template", PartType::Template),
                ],
            )
        })?;
    let when = text(reader, &mut fields, "when");
    let body = match kind {
        PartType::Text => {
            let node = fields.require(reader, "value", "value: Hi {{ first_name }}");
            let value = node.and_then(|node| as_text(reader, node));
            let subject = text(reader, &mut fields, "subject");
            value.map(|value| PartBody::Text { value, subject })
        }
        PartType::Media => media(reader, &mut fields),
        PartType::RichLink => rich_link(reader, &mut fields),
        PartType::Template => template::read(reader, &mut fields),
    };
    fields.finish(reader);
    Some(PartSource {
        place,
        when,
        body: body?,
    })
}

fn media(reader: &Reader, fields: &mut Fields<'_>) -> Option<PartBody> {
    let file = text(reader, fields, "file");
    let url = text(reader, fields, "url");
    match (file, url) {
        (Some(file), None) => Some(PartBody::Media { file }),
        (None, Some(url)) => Some(PartBody::MediaUrl { url }),
        (Some(_), Some(_)) => {
            reader.report(
                &fields.key("url"),
                Problem::error("a media part has either 'file' or 'url', not both")
                    .label("there is a `file` too")
                    .help("keep `file` to upload your own, `url` to let the provider fetch it"),
            );
            None
        }
        (None, None) => {
            if !fields.has("file") && !fields.has("url") {
                reader.report(
                    fields.range(),
                    Problem::error("the media part names no media")
                        .label("neither 'file' nor 'url'")
                        .help("add a line such as `file: images/thanks.png`"),
                );
            }
            None
        }
    }
}

fn rich_link(reader: &Reader, fields: &mut Fields<'_>) -> Option<PartBody> {
    let url = fields
        .require(reader, "url", "url: https://example.com/review")
        .and_then(|node| as_text(reader, node));
    let title = text(reader, fields, "title");
    let summary = text(reader, fields, "summary");
    let image_url = text(reader, fields, "image_url");
    let icon_url = text(reader, fields, "icon_url");
    Some(PartBody::RichLink {
        url: url?,
        title,
        summary,
        image_url,
        icon_url,
    })
}

fn text(reader: &Reader, fields: &mut Fields<'_>, name: &'static str) -> Option<Text> {
    let node = fields.get(reader, name)?;
    as_text(reader, node)
}

fn as_text(reader: &Reader, node: &Node) -> Option<Text> {
    reader.text(node, "a text")?;
    Text::of(node, &reader.source)
}

#[cfg(test)]
mod tests;
