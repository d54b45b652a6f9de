//! The building blocks of the providers' `OpenAPI` documents: objects and references as JSON Schema
//! writes them. Knows no provider's fields.

use axum::routing::MethodFilter;
use serde_json::{Map, Value, json};

/// A reference to a form of the document.
pub(in crate::sandbox) fn named(form: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{form}") })
}

/// An object of these fields and no others.
pub(in crate::sandbox) fn object(required: &[&str], fields: Value) -> Value {
    let mut form = request(required, fields);
    if let Some(form) = form.as_object_mut() {
        form.insert("additionalProperties".to_owned(), json!(false));
    }
    form
}

/// An object whose fields are all there.
pub(in crate::sandbox) fn whole(fields: Value) -> Value {
    let names = fields.as_object().into_iter().flat_map(Map::keys);
    let names: Vec<String> = names.cloned().collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    object(&names, fields)
}

/// What a client sends: fields that nobody knows are passed over.
pub(in crate::sandbox) fn request(required: &[&str], fields: Value) -> Value {
    let mut form = json!({ "type": "object", "required": required });
    if let Some(form) = form.as_object_mut() {
        form.insert("properties".to_owned(), fields);
    }
    form
}

pub(in crate::sandbox) fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

pub(in crate::sandbox) fn maybe(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

/// A method as a document names it.
pub(in crate::sandbox) fn method_name(method: MethodFilter) -> Option<&'static str> {
    let names = [
        (MethodFilter::GET, "get"),
        (MethodFilter::POST, "post"),
        (MethodFilter::PUT, "put"),
        (MethodFilter::PATCH, "patch"),
        (MethodFilter::DELETE, "delete"),
    ];
    let found = names.into_iter().find(|(known, _)| *known == method);
    found.map(|(_, name)| name)
}
