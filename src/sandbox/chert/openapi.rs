//! The `OpenAPI` document of the provider: made of the route table, the operations, the error
//! table and the schemas. States no fact of its own about a single route.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::errors::{Refusal, code as c};
use super::operations::{Answer, OPERATIONS, Opens, Operation, Takes};
use super::routes::{ROUTES, Route};
use super::schemas;
use super::send_fields::EFFECTS;
use crate::sandbox::forms::method_name;

/// The whole document. `server` is the address by which the sandbox was reached.
pub(in crate::sandbox) fn document(server: &str) -> Value {
    let mut paths = Map::new();
    for (method, path, route) in ROUTES {
        let described = OPERATIONS.iter().find(|one| one.route == *route);
        if let (Some(described), Some(method)) = (described, method_name(*method)) {
            let item = paths.entry(*path).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.insert(method.into(), operation(described, path));
            }
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Chert Messaging API, as the sandbox answers it",
            "version": "v1",
            "description": "What sendoff's local sandbox takes and answers. It sends nothing anywhere.",
        },
        "servers": [{ "url": server }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer",
                    "description": "The tenant's signing secret." },
                "signature": { "type": "apiKey", "in": "header", "name": "x-chert-signature",
                    "description": "`v1,<unix seconds>,<hex>`: HMAC-SHA256 by the signing secret over the seconds, a dot and the raw body; at most 300 s off." },
                "tenant": { "type": "apiKey", "in": "header", "name": "x-chert-tenant",
                    "description": "The tenant's slug, always with a signature." },
            },
        },
    })
}

fn operation(described: &Operation, path: &str) -> Value {
    let mut whole = json!({
        "operationId": described.name,
        "summary": described.about,
        "responses": responses(described, path),
        "security": match described.opens {
            Opens::Anybody => json!([{}]),
            Opens::Bearer => json!([{ "bearer": [] }]),
            Opens::Tenant => json!([{ "bearer": [] }, { "signature": [], "tenant": [] }]),
        },
    });
    let body = match described.takes {
        Takes::Nothing => None,
        Takes::Json(form) => {
            Some(json!({ "application/json": { "schema": schemas::named(form) } }))
        }
        // As registered; the bytes are anything.
        Takes::File => Some(json!({ "*/*": { "schema": {} } })),
    };
    if let Some(whole) = whole.as_object_mut() {
        let parameters = parameters(described, path);
        if !parameters.is_empty() {
            whole.insert("parameters".into(), parameters.into());
        }
        if let Some(content) = body {
            let body = json!({ "required": true, "content": content });
            whole.insert("requestBody".into(), body);
        }
    }
    whole
}

fn parameters(described: &Operation, path: &str) -> Vec<Value> {
    let named = path
        .split('/')
        .filter_map(|piece| piece.strip_prefix('{')?.strip_suffix('}'));
    let in_path = named.map(|name| {
        json!({ "name": name, "in": "path", "required": true,
            "schema": { "type": "string", "minLength": 1 } })
    });
    let in_query = described.asks.iter().map(|(name, what)| {
        json!({ "name": name, "in": "query", "required": false, "schema": schemas::asked(*what) })
    });
    in_path.chain(in_query).collect()
}

/// Every code that an operation can give, by status.
pub(super) fn refusals(described: &Operation, path: &str) -> BTreeMap<u16, BTreeSet<u16>> {
    let mut all: Vec<(u16, u16)> = described.other.to_vec();
    let mut usual = described.codes.to_vec();
    // Any request: shutting down, and what a fault plan asks for most.
    usual.extend([c::INTERNAL, c::DELIVERY_UNAVAILABLE]);
    if described.opens != Opens::Anybody {
        usual.extend([
            c::RATE_LIMITED,
            c::AUTH_MISSING,
            c::INVALID_AUTH,
            c::TENANT_NOT_FOUND,
            c::FORBIDDEN,
            c::ACCOUNT_LIMIT,
        ]);
    }
    if described.opens == Opens::Tenant {
        usual.push(c::AUTH_TIMESTAMP_SKEW);
    }
    if !matches!(described.takes, Takes::File) {
        all.push((c::INVALID_FIELD, 413));
    }
    if matches!(described.takes, Takes::Json(_)) {
        usual.extend([c::INVALID_JSON, c::INVALID_FIELD]);
    }
    // A path with an id that is empty or has a slash in it leads nowhere.
    if path.contains('{') {
        usual.push(c::RESOURCE_NOT_FOUND);
    }
    all.extend(
        usual
            .into_iter()
            .map(|code| (code, Refusal::new(code).status)),
    );
    let mut by_status: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for (code, status) in all {
        by_status.entry(status).or_default().insert(code);
    }
    by_status
}

fn responses(described: &Operation, path: &str) -> Value {
    let trace = json!({ "required": true, "schema": { "type": "string", "minLength": 1 } });
    let mut all = Map::new();
    let (status, content) = match described.answer {
        Answer::Json(status, form) => {
            let schema = schemas::named(form);
            (status, json!({ "application/json": { "schema": schema } }))
        }
        Answer::File => (200, json!({ "*/*": { "schema": {} } })),
        Answer::Events => {
            let text = json!({ "schema": { "type": "string" } });
            (200, json!({ "text/event-stream": text }))
        }
    };
    let done =
        json!({ "description": "Done", "headers": { "X-Trace-ID": trace }, "content": content });
    all.insert(status.to_string(), done);
    for (status, codes) in refusals(described, path) {
        let words: Vec<String> = codes
            .iter()
            .map(|code| format!("{code}: {}", Refusal::new(*code).message))
            .collect();
        let mut headers = json!({ "X-Trace-ID": trace });
        if let Some(headers) = headers.as_object_mut().filter(|_| status == 429) {
            let seconds =
                json!({ "required": true, "schema": { "type": "integer", "minimum": 1 } });
            headers.insert("Retry-After".into(), seconds);
        }
        let schema = refusal(described.route, status, &codes);
        all.insert(
            status.to_string(),
            json!({
                "description": words.join("; "),
                "headers": headers,
                "content": { "application/json": { "schema": schema } },
            }),
        );
    }
    Value::Object(all)
}

/// The shapes of [`super::errors::Shape`], with the codes that there can be.
fn refusal(route: Route, status: u16, codes: &BTreeSet<u16>) -> Value {
    let mut fields = json!({
        "code": { "enum": codes },
        "message": { "type": "string", "minLength": 1 },
        "retryable": { "type": "boolean" },
        "retry_after": { "type": "integer", "minimum": 1 },
        "attachment_index": { "type": "integer", "minimum": 0 },
        "allowed_effects": { "type": "array", "items": { "enum": EFFECTS } },
    });
    let mut put = |name: &str, schema: Value| {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(name.into(), schema);
        }
    };
    if route == Route::Send {
        put("status", json!({ "const": "failed" }));
        put("error", json!({ "type": "string", "minLength": 1 }));
        return schemas::object(&["status", "code", "message", "error", "retryable"], fields);
    }
    if route == Route::Replay {
        put("ok", json!({ "const": false }));
        put("error", json!({ "type": "string", "minLength": 1 }));
        put("downstream_status", json!({ "type": ["integer", "null"] }));
        put("trace_id", json!({ "type": "string", "minLength": 1 }));
        let all = [
            "ok",
            "error",
            "downstream_status",
            "code",
            "message",
            "retryable",
            "trace_id",
        ];
        return schemas::object(&all, fields);
    }
    put("status", json!({ "const": status }));
    let error = schemas::object(&["status", "code", "message", "retryable"], fields);
    let trace = json!({ "type": "string", "minLength": 1 });
    schemas::object(
        &["success", "error", "trace_id"],
        json!({ "success": { "const": false }, "error": error, "trace_id": trace }),
    )
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
        assert_eq!(OPERATIONS.len(), ROUTES.len());
        let names: HashSet<_> = OPERATIONS.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), OPERATIONS.len());
    }

    #[test]
    fn what_is_said_to_take_json_is_what_is_read_as_json() {
        for described in OPERATIONS {
            let said = matches!(described.takes, Takes::Json(_));
            assert_eq!(said, described.route.takes_json(), "{}", described.name);
        }
    }

    #[test]
    fn every_form_that_is_named_is_in_the_document_and_every_other_is_used() {
        let document = document("http://127.0.0.1:1");
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
