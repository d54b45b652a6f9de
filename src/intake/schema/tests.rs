use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::domain::problem::Problems;
use crate::intake::{campaign_file, message_file, settings_file};

/// The fields of every group in a schema, by where the group stands: `.recipients.columns`,
/// `.parts[text]`, `.gateways.*`.
fn groups(schema: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    walk(schema, schema, String::new(), &mut found);
    found
}

fn walk(root: &Value, schema: &Value, at: String, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = root.pointer(pointer.trim_start_matches('#')).unwrap();
        return walk(root, target, at, found);
    }
    for alternative in ["anyOf", "oneOf"] {
        for schema in schema[alternative].as_array().into_iter().flatten() {
            let tag = |name: &str| schema["properties"][name]["const"].as_str();
            let name = tag("type").or_else(|| tag("kind"));
            let at = name.map_or(at.clone(), |name| format!("{at}[{name}]"));
            walk(root, schema, at, found);
        }
    }
    if schema["items"].is_object() {
        walk(root, &schema["items"], at.clone(), found);
    }
    if schema["additionalProperties"].is_object() {
        walk(
            root,
            &schema["additionalProperties"],
            format!("{at}.*"),
            found,
        );
    }
    if let Some(properties) = schema["properties"].as_object() {
        assert_eq!(schema["additionalProperties"], false, "{at} is open");
        found.insert(at.clone(), properties.keys().cloned().collect());
        for (name, schema) in properties {
            walk(root, schema, format!("{at}.{name}"), found);
        }
    }
}

/// A file that has only an unknown field, in the group that stands there (and what the group
/// around it must say to be read at all).
fn probe(at: &str) -> String {
    let mut value = "{ zzzzzzzzzzzzzzzz: 1 }".to_owned();
    for step in at.rsplit('.').filter(|step| !step.is_empty()) {
        if let Some((name, part)) = step.split_once('[') {
            let part = part.trim_end_matches(']');
            let fields = value.trim_start_matches('{');
            value = if name == "*" {
                format!("{{ own: {{ kind: {part}, {fields} }}")
            } else {
                format!("{{ {name}: [{{ type: {part}, {fields}] }}")
            };
        } else {
            value = format!("{{ {step}: {value} }}");
        }
    }
    value
}

/// The fields that a reader knows where the file has an unknown one: its remedy lists them.
fn known(problems: &Problems, file: &str) -> BTreeSet<String> {
    let help = problems
        .iter()
        .filter_map(|problem| problem.help.as_deref())
        .find_map(|help| help.strip_prefix("the fields are "))
        .unwrap_or_else(|| panic!("no list of fields for:\n{file}{problems:#?}"));
    help.split(", ").map(str::to_owned).collect()
}

fn schema_and_reader_agree(kind: SchemaKind, read: impl Fn(&Path) -> Problems) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.yaml");
    let groups = groups(&schema(kind));
    assert!(groups.len() >= 3, "{groups:?}");
    for (at, fields) in groups {
        let file = probe(&at);
        std::fs::write(&path, &file).unwrap();
        assert_eq!(known(&read(&path), &file), fields, "{at}");
    }
}

#[test]
fn the_schemas_and_the_readers_know_the_same_fields() {
    schema_and_reader_agree(SchemaKind::Campaign, |path| campaign_file::read(path).1);
    schema_and_reader_agree(SchemaKind::Message, |path| message_file::read(path).1);
    schema_and_reader_agree(SchemaKind::Config, |path| settings_file::read(path).1);
}

#[test]
fn the_published_schemas() {
    for (name, kind) in [
        ("campaign", SchemaKind::Campaign),
        ("message", SchemaKind::Message),
        ("config", SchemaKind::Config),
    ] {
        let schema = schema(kind);
        assert_eq!(
            schema["$schema"],
            "https://json-schema.org/draft/2020-12/schema"
        );
        assert!(!schema.to_string().contains("\"null\""), "{name}");
        insta::assert_snapshot!(name, serde_json::to_string_pretty(&schema).unwrap());
    }
}
