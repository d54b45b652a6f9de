//! The `OpenAPI` document of the provider: made of the route table, the operations, the error
//! table and the schemas. States no fact of its own about a single route.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::Hue;
use super::errors::{ERRORS, Error};
use super::operations::{OPERATIONS, Operation};
use super::routes::{ROUTES, Route};
use super::schemas;
use crate::sandbox::forms::{method_name, named, object};

impl Hue {
    /// The whole document. `server` is the address by which the sandbox was reached.
    pub(in crate::sandbox) fn document(&self, server: &str) -> Value {
        document(server, |route| {
            route != Route::Message || self.config.single_messages
        })
    }
}

/// Of the routes that are offered.
fn document(server: &str, is_offered: impl Fn(Route) -> bool) -> Value {
    let mut paths = Map::new();
    for (method, path, route) in ROUTES {
        if !is_offered(*route) {
            continue;
        }
        let described = OPERATIONS.iter().find(|one| one.route == *route);
        if let (Some(described), Some(method)) = (described, method_name(*method)) {
            let item = paths.entry(*path).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.insert(method.into(), operation(described, path, method));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "HueChat API, as the sandbox answers it",
            "version": "2.0.0",
            "description": "What sendoff's local sandbox takes and answers. It sends nothing anywhere.",
        },
        "servers": [{ "url": server }],
        "paths": paths,
        "security": [{ "key": [] }, { "bearer": [] }],
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "key": { "type": "apiKey", "in": "header", "name": "X-API-Key",
                    "description": "Any key that begins with `sk_test_`; each one opens an account of its own." },
                "bearer": { "type": "http", "scheme": "bearer", "description": "The same key." },
            },
        },
    })
}

fn operation(described: &Operation, path: &str, method: &str) -> Value {
    // PATCH means the same as PUT here, and must have another name.
    let alias = if method == "patch" { "ByPatch" } else { "" };
    let mut whole = json!({
        "operationId": format!("{}{alias}", described.name),
        "summary": described.about,
        "responses": responses(described, path),
    });
    if let Some(whole) = whole.as_object_mut() {
        let parameters = parameters(described, path);
        if !parameters.is_empty() {
            whole.insert("parameters".into(), parameters.into());
        }
        if let Some(form) = described.takes {
            let content = json!({ "application/json": { "schema": named(form) } });
            let body = json!({ "required": true, "content": content });
            whole.insert("requestBody".into(), body);
        }
    }
    whole
}

fn parameters(described: &Operation, path: &str) -> Vec<Value> {
    let in_path = path.contains("{id}").then(|| {
        json!({ "name": "id", "in": "path", "required": true,
            "schema": { "type": "string", "minLength": 1 } })
    });
    let in_query = described.asks.iter().map(|(name, what)| {
        json!({ "name": name, "in": "query", "required": false, "schema": schemas::asked(*what) })
    });
    in_path.into_iter().chain(in_query).collect()
}

/// Every error that an operation can give, by status.
fn refusals(described: &Operation, path: &str) -> BTreeMap<u16, BTreeSet<Error>> {
    let mut all = described.errors.to_vec();
    // Any request: its key, its limits, a body that is too long, and what a fault plan asks for.
    all.extend([
        Error::InvalidInput,
        Error::Unauthorized,
        Error::Forbidden,
        Error::RateLimited,
        Error::Internal,
        Error::Unavailable,
    ]);
    // A path with an id that is empty or has a slash in it leads elsewhere.
    if path.contains('{') {
        all.extend([Error::NotFound, Error::MethodNotAllowed]);
    }
    let mut by_status: BTreeMap<u16, BTreeSet<Error>> = BTreeMap::new();
    for (error, status, ..) in ERRORS.iter().filter(|(error, ..)| all.contains(error)) {
        by_status.entry(*status).or_default().insert(*error);
    }
    by_status
}

fn headers(status: u16) -> Value {
    let number = |least: i64| json!({ "schema": { "type": "integer", "minimum": least } });
    let mut headers = json!({
        "X-Request-Id": { "required": true, "schema": { "type": "string", "pattern": "^req_" } },
    });
    if let Some(headers) = headers.as_object_mut() {
        if status == 429 {
            let seconds =
                json!({ "required": true, "schema": { "type": "integer", "minimum": 1 } });
            headers.insert("Retry-After".into(), seconds);
        }
        // Whose key is not known has no limits.
        if status != 401 {
            for (name, least) in [
                ("X-RateLimit-Limit", 1),
                ("X-RateLimit-Remaining", 0),
                ("X-RateLimit-Reset", 0),
            ] {
                headers.insert(name.into(), number(least));
            }
        }
    }
    headers
}

fn responses(described: &Operation, path: &str) -> Value {
    let mut all = Map::new();
    let (status, form) = described.answer;
    let mut done = json!({ "description": "Done", "headers": headers(status) });
    if let (Some(done), Some(form)) = (done.as_object_mut(), form) {
        let content = json!({ "application/json": { "schema": named(form) } });
        done.insert("content".into(), content);
    }
    all.insert(status.to_string(), done);
    for (status, errors) in refusals(described, path) {
        let rows = ERRORS.iter().filter(|(error, ..)| errors.contains(error));
        let words: Vec<String> = rows
            .clone()
            .map(|(_, _, name, words)| format!("{name}: {words}"))
            .collect();
        let names: Vec<&str> = rows.map(|(_, _, name, _)| *name).collect();
        let schema = envelope(status, &names);
        all.insert(
            status.to_string(),
            json!({
                "description": words.join("; "),
                "headers": headers(status),
                "content": { "application/json": { "schema": schema } },
            }),
        );
    }
    Value::Object(all)
}

/// The envelope with the names that there can be.
fn envelope(status: u16, names: &[&str]) -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    let mut fields = json!({
        "error": { "enum": names },
        "message": text,
        "code": { "const": status },
        "details": { "type": "object" },
    });
    let mut required = vec!["error", "message", "code"];
    let mut put = |name: &'static str, form: Value| {
        required.push(name);
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.into(), form);
        }
    };
    if status == 429 {
        put("retry_after", json!({ "type": "integer", "minimum": 1 }));
    } else {
        put(
            "request_id",
            json!({ "type": "string", "pattern": "^req_" }),
        );
        put("timestamp", named("Moment"));
    }
    object(&required, fields)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_of_the_table_has_exactly_one_description() {
        for (_, path, route) in ROUTES {
            let described = OPERATIONS.iter().filter(|one| one.route == *route);
            assert_eq!(described.count(), 1, "{path}");
        }
        for described in OPERATIONS {
            let rows = ROUTES
                .iter()
                .filter(|(.., route)| *route == described.route);
            assert!(rows.count() >= 1, "{}", described.name);
        }
    }

    #[test]
    fn what_is_said_to_take_json_is_what_is_read_as_json() {
        for described in OPERATIONS {
            let said = described.takes.is_some();
            assert_eq!(said, described.route.takes_json(), "{}", described.name);
        }
    }

    #[test]
    fn every_operation_has_a_name_of_its_own() {
        let document = document("http://127.0.0.1:1", |_| true);
        let items = document["paths"].as_object().unwrap().values();
        let names: Vec<_> = items
            .flat_map(|item| item.as_object().unwrap().values())
            .map(|operation| operation["operationId"].to_string())
            .collect();
        assert_eq!(names.len(), ROUTES.len());
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }

    #[test]
    fn every_form_that_is_named_is_in_the_document_and_every_other_is_used() {
        let document = document("http://127.0.0.1:1", |_| true);
        let text = document.to_string();
        let mut named = HashSet::new();
        for piece in text.split("#/components/schemas/").skip(1) {
            named.insert(piece.split('"').next().unwrap().to_owned());
        }
        let known = document["components"]["schemas"].as_object().unwrap();
        let known: HashSet<_> = known.keys().cloned().collect();
        assert_eq!(named, known);
    }
}
