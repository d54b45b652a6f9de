//! The forms of what goes in and out, as JSON Schema (chert §6 to §15). Lengths and lists are
//! those that the field checks use.

use serde_json::{Map, Value, json};

use super::actions::REACTIONS;
use super::events::LONGEST_PAGE;
use super::operations::Asked;
use super::send_fields::{EFFECTS, MAX_GROUP, MAX_KEY_CHARS};
use super::webhooks::{MAX_NAME_CHARS, MOST_EVENTS};
use crate::domain::message::{MAX_MEDIA_BYTES, MAX_PARTS, MAX_TEXT_CHARS, MAX_URL_CHARS};
use crate::sandbox::forms::{maybe, request, text, whole};
pub(super) use crate::sandbox::forms::{named, object};

/// The form of a parameter behind the `?`.
pub(super) fn asked(what: Asked) -> Value {
    match what {
        Asked::Text => json!({ "type": "string" }),
        Asked::Moment => json!({ "type": "string", "format": "date-time" }),
        Asked::Rows => json!({ "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE }),
        Asked::Fate => json!({ "enum": ["pending", "delivered", "failed", "dev_inbox"] }),
    }
}

/// Every form with its name.
pub(super) fn all() -> Value {
    let mut all = Map::new();
    for forms in [
        common(),
        requests(),
        actions(),
        answers(),
        log(),
        webhooks(),
    ] {
        if let Value::Object(forms) = forms {
            all.extend(forms);
        }
    }
    Value::Object(all)
}

/// One of these names at least, each in this form.
fn any_named(names: &[&str], form: &Value) -> Vec<Value> {
    let one = |name: &&str| json!({ "required": [name], "properties": { *name: form } });
    names.iter().map(one).collect()
}

fn common() -> Value {
    let some_name = any_named(
        &["full_name", "given_name", "family_name", "organization"],
        &json!({ "type": "string", "pattern": "[A-Za-z]" }),
    );
    json!({
        "Phone": { "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$", "examples": ["+15555550142"] },
        "Key": { "type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS },
        "Moment": { "type": "string", "format": "date-time", "pattern": "Z$" },
        "Url": { "type": "string", "maxLength": MAX_URL_CHARS, "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^\\s]+$",
            "examples": ["https://bistro.example/menu"] },
        "Effect": { "enum": EFFECTS },
        "Part": { "oneOf": [
            request(&["type", "value"], json!({ "type": { "const": "text" },
                "value": { "type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS } })),
            request(&["type", "attachment_id"], json!({ "type": { "const": "media" }, "attachment_id": text(), "url": { "type": "null" } })),
            request(&["type", "url"], json!({ "type": { "const": "media" }, "url": named("Url"), "attachment_id": { "type": "null" } })),
            request(&["type", "url"], json!({ "type": { "const": "rich_link" }, "url": named("Url"),
                "title": maybe("string"), "summary": maybe("string"),
                "image_url": { "anyOf": [named("Url"), { "type": "null" }] },
                "icon_url": { "anyOf": [named("Url"), { "type": "null" }] } })),
            request(&["type"], json!({ "type": { "const": "link" } })),
        ] },
        "Message": whole(json!({
            "id": text(), "chat_id": text(),
            "parts": { "type": "array", "items": { "anyOf": [named("Part"), named("PlacePart"), named("CardPart")] } },
            "status": { "enum": ["queued", "sent", "delivered", "read", "failed"] },
            "direction": { "enum": ["outbound", "inbound"] },
            "created_at": named("Moment"),
            "delivered_at": { "anyOf": [named("Moment"), { "type": "null" }] },
            "read_at": { "anyOf": [named("Moment"), { "type": "null" }] },
            "service": { "const": "imessage" },
        })),
        "PlacePart": request(&["type", "latitude", "longitude"], json!({ "type": { "const": "location" },
            "latitude": { "type": "number" }, "longitude": { "type": "number" } })),
        "CardPart": request(&["type"], json!({ "type": { "const": "contact" },
            "contact": named("Contact"), "vcard_text": { "type": "string" } })),
        "Chat": whole(json!({
            "id": text(), "display_name": { "type": "string" },
            "handles": { "type": "array", "minItems": 1, "items": whole(json!({
                "service": { "const": "imessage" }, "address": named("Phone") })) },
            "is_group": { "type": "boolean" },
            "service": { "const": "imessage" },
            "health_score": { "type": "integer", "minimum": 0, "maximum": 100 },
            "created_at": named("Moment"),
        })),
        "Contact": { "type": "object",
            "properties": {
                "full_name": maybe("string"), "given_name": maybe("string"),
                "family_name": maybe("string"), "organization": maybe("string"),
                "phones": { "type": ["array", "null"], "items": { "type": "string" } },
                "emails": { "type": ["array", "null"], "items": { "type": "string" } },
            },
            "anyOf": some_name,
        },
    })
}

fn requests() -> Value {
    let message = |more: Value| {
        let mut fields = json!({
            "parts": { "type": "array", "minItems": 1, "maxItems": MAX_PARTS, "items": named("Part") },
            "idempotency_key": named("Key"),
            "effect": named("Effect"),
            "parallel_attachments": { "type": "boolean" },
        });
        if let (Some(fields), Value::Object(more)) = (fields.as_object_mut(), more) {
            fields.extend(more);
        }
        request(&["parts"], fields)
    };
    json!({
        "Registration": request(&["email"], json!({
            "email": { "type": "string", "pattern": "^[a-z0-9.]+@[a-z0-9.]+$", "maxLength": 254 },
            "multi_tenant": { "type": "boolean" } })),
        "Send": request(&["phone", "body"], json!({
            "phone": named("Phone"),
            "body": { "type": "string", "maxLength": MAX_TEXT_CHARS, "pattern": "\\S" },
            "name": { "type": "string" }, "external_id": { "type": "string" },
            "phone_line_id": { "type": "string" }, "effect": named("Effect"),
            "idempotency_key": named("Key"),
            "attachments": { "type": "array", "items": { "anyOf": [
                text(),
                request(&["id"], json!({ "id": text(), "live_photo": { "type": "boolean" } })),
                request(&["attachment_id"], json!({ "attachment_id": text(), "live_photo": { "type": "boolean" } })),
            ] } } })),
        "NewChat": request(&["from", "to", "message"], json!({
            "from": named("Phone"),
            "to": { "type": "array", "minItems": 1, "maxItems": MAX_GROUP, "uniqueItems": true, "items": named("Phone") },
            "message": message(json!({ "subject": { "type": "string" } })) })),
        "FollowUp": request(&["message"], json!({ "message": message(json!({})) })),
        "Attachment": request(&["filename", "content_type", "size_bytes"], json!({
            "filename": { "type": "string", "pattern": "\\S" },
            "content_type": { "type": "string", "pattern": "^(image|video|audio)/[a-z0-9.+-]+$|^application/pdf$|^text/(plain|csv|vcard)$" },
            "size_bytes": { "type": "integer", "minimum": 1, "maximum": MAX_MEDIA_BYTES } })),
    })
}

/// What is done in chats.
fn actions() -> Value {
    let card = json!({ "contact": named("Contact"), "vcard_text": { "type": "string", "pattern": "^BEGIN:VCARD" } });
    let either = |a: &str, b: &str| {
        json!([
            { "required": [a], "properties": { b: { "type": "null" } } },
            { "required": [b], "properties": { a: { "type": "null" } } },
        ])
    };
    let address = any_named(
        &["address", "handle"],
        &json!({ "anyOf": [named("Phone"), { "type": "string", "pattern": "^[a-z0-9.]+@[a-z0-9.]+$" }] }),
    );
    json!({
        "Rename": { "type": "object",
            "properties": {
                "display_name": { "type": "string", "pattern": "\\S" },
                "group_chat_icon": { "type": "string", "pattern": "^https://[^\\s]+$" } },
            "anyOf": [{ "required": ["display_name"] }, { "required": ["group_chat_icon"] }] },
        "Typing": request(&["state"], json!({ "state": { "enum": ["typing", "stopped"] } })),
        "Participant": { "type": "object", "anyOf": address },
        "Card": { "type": "object", "properties": card, "oneOf": either("contact", "vcard_text") },
        "CardTo": { "type": "object", "required": ["to"], "oneOf": either("contact", "vcard_text"),
            "properties": { "to": named("Phone"), "contact": card.get("contact"), "vcard_text": card.get("vcard_text") } },
        "ShareTo": request(&["to"], json!({ "to": named("Phone") })),
        "Location": { "type": "object", "required": ["latitude", "longitude"],
            "oneOf": either("phone", "chat_id"),
            "properties": {
                "phone": { "anyOf": [named("Phone"), { "type": "null" }] },
                "chat_id": maybe("string"),
                "latitude": { "type": "number", "minimum": -90, "maximum": 90 },
                "longitude": { "type": "number", "minimum": -180, "maximum": 180 },
                "label": { "type": "string" }, "address": { "type": "string" },
                "fallback_mode": { "const": "auto" },
                "expires_at": named("Moment"), "idempotency_key": named("Key") } },
        "Reaction": request(&["reaction"], json!({ "reaction": { "enum": REACTIONS } })),
        "Edit": request(&["new_text"], json!({
            "new_text": { "type": "string", "maxLength": MAX_TEXT_CHARS, "pattern": "\\S" },
            "edited_part_index": { "type": "integer", "minimum": 0 } })),
    })
}

fn answers() -> Value {
    let members = json!({ "type": "array", "items": text() });
    json!({
        "Registered": whole(json!({ "tenant_slug": text(), "signing_secret": maybe("string"),
            "endpoints_available": { "type": "array", "items": text() } })),
        "Sent": whole(json!({ "status": { "const": "sent" }, "message_id": text(), "lead_id": text(),
            "lead_created": { "type": "boolean" }, "convo_id": text(), "phone_line_id": text() })),
        "ChatAndMessage": whole(json!({ "chat": named("Chat"), "message": named("Message") })),
        "OneMessage": whole(json!({ "message": named("Message") })),
        "History": whole(json!({ "messages": { "type": "array", "items": named("Message") },
            "has_more": { "type": "boolean" } })),
        "Renamed": whole(json!({ "chat": whole(json!({ "id": text(), "display_name": { "type": "string" },
            "group_chat_icon": maybe("string"), "is_group": { "const": true } })) })),
        "Typed": whole(json!({ "status": { "const": "sent" }, "chat_id": text(),
            "state": { "enum": ["typing", "stopped"] } })),
        "ChatStatus": whole(json!({ "chat_id": text(), "status": { "enum": ["sent", "read", "left", "shared"] } })),
        "Added": whole(json!({ "chat_id": text(), "added": text(), "participants": members })),
        "Removed": whole(json!({ "chat_id": text(), "removed": text(), "participants": members })),
        "Placed": whole(json!({ "message_id": text(), "status": { "const": "queued" },
            "phone_line_id": text(), "delivery": { "const": "queued" },
            "location": whole(json!({ "latitude": { "type": "number" }, "longitude": { "type": "number" },
                "label": maybe("string"), "address": maybe("string"),
                "mode": { "enum": ["balloon", "url"] }, "fallback_mode_requested": maybe("string") })) })),
        "Reacted": whole(json!({ "status": { "const": "sent" }, "message_id": text(),
            "reaction": { "enum": REACTIONS } })),
        "Edited": whole(json!({ "status": { "const": "edited" }, "message_id": text(), "new_text": text(),
            "date_edited": named("Moment"),
            "edit_history": { "type": ["array", "null"], "items": whole(json!({ "text": text(), "date": named("Moment") })) } })),
        "Slot": whole(json!({ "attachment_id": text(), "upload_url": named("Url"),
            "required_headers": whole(json!({ "authorization": text(), "content-type": text() })),
            "expires_at": named("Moment") })),
        "Uploaded": whole(json!({ "attachment_id": text(), "status": { "const": "uploaded" } })),
        "PhoneNumbers": whole(json!({ "phone_numbers": { "type": "array", "items": whole(json!({
            "id": text(), "phone_line_id": text(), "phone_number": named("Phone"),
            "service": { "const": "imessage" }, "is_active": { "type": "boolean" },
            "capabilities": { "type": "array", "items": text() } })) } })),
    })
}

fn log() -> Value {
    let none_or_moment = json!({ "anyOf": [named("Moment"), { "type": "null" }] });
    json!({
        "Events": whole(json!({ "events": { "type": "array", "maxItems": LONGEST_PAGE, "items": named("Event") },
            "next_cursor": maybe("string"), "count": { "type": "integer", "minimum": 0 } })),
        "Event": whole(json!({ "id": text(), "type": text(), "event_id": text(), "lead_id": text(),
            "convo_id": text(), "payload": named("Envelope"),
            "delivery": whole(json!({
                "status": { "enum": ["pending", "delivered", "failed", "dev_inbox"] },
                "url": maybe("string"), "attempts": { "type": "array" }, "delivered_at": none_or_moment })),
            "created_at": named("Moment") })),
        "Envelope": whole(json!({ "event": text(), "event_type": text(), "event_id": text(),
            "timestamp": named("Moment"), "api_version": { "const": "v1" }, "webhook_version": text(),
            "trace_id": text(), "partner_id": text(), "data": { "type": "object" } })),
    })
}

fn webhooks() -> Value {
    let wish = || {
        json!({
            "url": { "type": "string", "pattern": "^https://hooks\\.bistro\\.example(:[1-9][0-9]{0,3})?/[a-z0-9]{0,20}$" },
            "events": { "type": "array", "maxItems": MOST_EVENTS,
                "items": { "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS } },
            "version": { "type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS },
            "is_active": { "type": "boolean" },
        })
    };
    let shown = || {
        json!({ "id": text(), "url": named("Url"), "events": { "type": "array", "items": text() },
            "version": text(), "is_active": { "type": "boolean" }, "created_at": named("Moment") })
    };
    let mut made = shown();
    if let Some(made) = made.as_object_mut() {
        let secret = json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
        made.insert("secret".to_owned(), secret);
    }
    json!({
        "NewSubscription": request(&["url"], wish()),
        "SubscriptionChange": request(&[], wish()),
        "Subscribed": whole(json!({ "subscription": whole(made) })),
        "Subscription": whole(shown()),
        "OneSubscription": whole(json!({ "subscription": named("Subscription") })),
        "Subscriptions": whole(json!({ "subscriptions": { "type": "array", "items": named("Subscription") } })),
        "Unsubscribed": whole(json!({ "id": text(), "deleted": { "const": true } })),
        "Replayed": whole(json!({ "ok": { "const": true }, "event_id": text(),
            "downstream_status": { "type": "integer", "minimum": 200, "maximum": 299 } })),
    })
}
