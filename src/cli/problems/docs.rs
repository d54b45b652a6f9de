//! The format pages under `docs/`: their examples are accepted, and their tables have every field.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::domain::problem::Problems;
use crate::intake::schema::{SchemaKind, schema};
use crate::intake::{campaign_file, message_file, settings_file};

/// The first YAML block of a page.
fn example(page: &str) -> &str {
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0
}

fn fields(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(properties) = schema["properties"].as_object() {
        found.extend(properties.keys().cloned());
    }
    match schema {
        Value::Object(fields_of) => fields_of.values().for_each(|part| fields(part, found)),
        Value::Array(parts) => parts.iter().for_each(|part| fields(part, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn page_is_true(page: &str, kind: SchemaKind, read: impl FnOnce(&Path) -> Problems) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    std::fs::write(&path, example(page)).unwrap();
    let problems = read(&path);
    assert!(problems.is_empty(), "{problems:?}");
    let mut known = BTreeSet::new();
    fields(&schema(kind), &mut known);
    for field in known {
        assert!(
            page.contains(&format!("`{field}`")),
            "'{field}' is not told"
        );
    }
}

#[test]
fn the_pages_tell_every_field_and_their_examples_are_accepted() {
    let (campaign, message, settings) = (
        include_str!("../../../docs/campaign.md"),
        include_str!("../../../docs/message.md"),
        include_str!("../../../docs/settings.md"),
    );
    page_is_true(campaign, SchemaKind::Campaign, |path| {
        campaign_file::read(path).1
    });
    page_is_true(message, SchemaKind::Message, |path| {
        message_file::read(path).1
    });
    page_is_true(settings, SchemaKind::Config, |path| {
        settings_file::read(path).1
    });
}
