//! The forms of what goes in and out, as JSON Schema (huechat §5 to §10). Lengths and lists are
//! those that the field checks use.

use serde_json::{Value, json};

use super::contacts::{MAX_EMAIL_CHARS, MAX_METADATA_KEYS, MAX_NAME_CHARS};
use super::conversations::{MAX_LABEL_CHARS, MOST_LABELS, PRIORITIES};
use super::events::Kind;
use super::messages::{LONGEST_CONTENT, MAX_FILENAME_CHARS, MAX_SUBJECT_CHARS, MessageType};
use super::operations::Asked;
use super::pages::LONGEST_PAGE;
use super::templates::MAX_TEMPLATE_NAME;
use super::webhooks::MOST_EVENTS;
use crate::domain::channel::Channel;
use crate::sandbox::forms::{maybe, named, request, text, whole};

/// The form of a parameter behind the `?`.
pub(super) fn asked(what: Asked) -> Value {
    match what {
        Asked::Text => json!({ "type": "string" }),
        Asked::Limit => json!({ "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE }),
        Asked::Offset => json!({ "type": "integer", "minimum": 0 }),
        Asked::Word(words) => json!({ "enum": words }),
    }
}

/// Every form with its name.
pub(super) fn all() -> Value {
    let mut all = serde_json::Map::new();
    for forms in [words(), contacts(), messages(), conversations(), webhooks()] {
        if let Value::Object(forms) = forms {
            all.extend(forms);
        }
    }
    Value::Object(all)
}

fn or_null(form: &Value) -> Value {
    json!({ "anyOf": [form, { "type": "null" }] })
}

fn list(form: &str) -> Value {
    whole(json!({
        "data": { "type": "array", "items": named(form), "maxItems": LONGEST_PAGE },
        "pagination": named("Pagination"),
    }))
}

fn words() -> Value {
    json!({
        "Moment": { "type": "string", "format": "date-time", "pattern": "Z$" },
        "Channel": { "enum": Channel::ALL.map(Channel::as_str) },
        "Phone": { "type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$", "examples": ["+15555550142"] },
        "Email": { "type": "string", "maxLength": MAX_EMAIL_CHARS, "pattern": "^[a-z0-9.]+@[a-z0-9]+\\.example$",
            "examples": ["dana@bistro.example"] },
        "Pagination": whole(json!({
            "limit": { "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE },
            "offset": { "type": "integer", "minimum": 0 },
            "total": { "type": "integer", "minimum": 0 },
            "has_more": { "type": "boolean" },
        })),
    })
}

fn contacts() -> Value {
    let name = json!({ "type": "string", "pattern": "[A-Za-z]", "maxLength": MAX_NAME_CHARS });
    let last = json!({ "type": ["string", "null"], "maxLength": MAX_NAME_CHARS });
    let metadata = json!({ "type": ["object", "null"], "maxProperties": MAX_METADATA_KEYS,
        "additionalProperties": { "type": ["string", "integer", "boolean"], "maxLength": 100 } });
    let fields = json!({
        "phone": or_null(&named("Phone")), "email": or_null(&named("Email")), "first_name": name,
        "last_name": last, "preferred_channel": or_null(&named("Channel")), "metadata": metadata,
    });
    let mut change = fields.clone();
    if let Some(change) = change.as_object_mut() {
        // Somebody's only address cannot be taken away: no update names one here.
        change.insert("phone".into(), named("Phone"));
        change.insert("email".into(), named("Email"));
        change.insert("status".into(), json!({ "enum": ["active", "inactive"] }));
    }
    let mut created = request(&["first_name"], fields);
    if let Some(created) = created.as_object_mut() {
        let one = |field: &str, form: &str| json!({ "required": [field], "properties": { field: named(form) } });
        created.insert(
            "anyOf".into(),
            json!([one("phone", "Phone"), one("email", "Email")]),
        );
    }
    json!({
        "NewContact": created,
        "ContactChange": request(&[], change),
        "Contact": whole(json!({
            "id": text(), "phone": maybe("string"), "email": maybe("string"), "first_name": text(),
            "last_name": maybe("string"), "full_name": text(),
            "preferred_channel": or_null(&named("Channel")), "metadata": { "type": "object" },
            "status": { "enum": ["active", "inactive", "deleted"] },
            "created_at": named("Moment"), "updated_at": named("Moment"),
            "last_contacted": or_null(&named("Moment")),
        })),
        "ContactList": list("Contact"),
    })
}

fn messages() -> Value {
    let content = json!({ "type": "string", "pattern": "[A-Za-z]", "maxLength": 1_000 });
    let kind = |kind: MessageType| json!({ "const": kind.name() });
    let media = json!({ "type": "string", "pattern": "^https://[a-z]+\\.example/[a-z]+$" });
    let subject = json!({ "type": ["string", "null"], "maxLength": MAX_SUBJECT_CHARS });
    let filename = json!({ "type": ["string", "null"], "maxLength": MAX_FILENAME_CHARS });
    let caption = json!({ "type": ["string", "null"], "maxLength": 1_000 });
    json!({
        "NewMessage": { "oneOf": [
            request(&["channel", "message_type", "content"], json!({ "channel": named("Channel"),
                "message_type": kind(MessageType::Text), "content": content, "subject": subject })),
            request(&["channel", "message_type", "template_name"], json!({ "channel": { "const": "whatsapp" },
                "message_type": kind(MessageType::Template),
                "template_name": { "type": "string", "pattern": "^[a-z0-9_]+$", "maxLength": MAX_TEMPLATE_NAME,
                    "examples": ["welcome"] },
                "template_language": { "type": ["string", "null"], "maxLength": 16 },
                "template_parameters": { "type": ["object", "null"], "additionalProperties": { "type": "string" },
                    "examples": [{ "1": "Dana" }] } })),
            request(&["channel", "message_type", "media_url"], json!({ "channel": { "enum": ["whatsapp", "email"] },
                "message_type": { "enum": ["image", "document"] }, "media_url": media, "content": caption,
                "filename": filename, "subject": subject })),
        ] },
        "Message": whole(json!({
            "id": text(), "conversation_id": text(), "contact_id": text(), "channel": named("Channel"),
            "message_type": { "enum": MessageType::ALL.map(MessageType::name) },
            "content": { "type": "string", "maxLength": LONGEST_CONTENT },
            "status": { "enum": ["sent", "delivered", "read", "failed"] },
            "sent_by": { "enum": ["user", "contact", "system"] },
            "sent_at": named("Moment"), "delivered_at": or_null(&named("Moment")),
            "read_at": or_null(&named("Moment")), "error": maybe("string"),
        })),
        "MessageList": list("Message"),
        "Template": whole(json!({
            "name": text(), "language": text(), "body": text(),
            "category": { "enum": ["marketing", "utility", "authentication"] },
            "status": { "enum": ["approved", "pending", "rejected", "paused", "disabled"] },
            "parameter_count": { "type": "integer", "minimum": 0 },
        })),
        "TemplateList": list("Template"),
        "ChannelList": whole(json!({ "data": { "type": "array", "items": whole(json!({
            "type": named("Channel"), "status": { "const": "connected" } })) } })),
    })
}

fn conversations() -> Value {
    let label = json!({ "type": "string", "minLength": 1, "maxLength": MAX_LABEL_CHARS });
    let labels = json!({ "type": ["array", "null"], "maxItems": MOST_LABELS, "items": label });
    let status = json!({ "enum": ["open", "closed", "archived"] });
    let priority = json!({ "enum": PRIORITIES });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let count = json!({ "type": "integer", "minimum": 0 });
    json!({
        "ConversationChange": request(&[], json!({ "status": status, "priority": priority,
            "subject": { "type": ["string", "null"], "maxLength": MAX_SUBJECT_CHARS },
            "labels": labels, "tags": labels })),
        "Assignment": request(&["user_id"], json!({ "user_id":
            or_null(&json!({ "type": "string", "pattern": "^usr_[a-z0-9]+$", "maxLength": MAX_LABEL_CHARS })) })),
        "Conversation": whole(json!({
            "id": text(), "contact_id": text(), "channel": named("Channel"),
            "contact": whole(json!({ "id": text(), "full_name": text(), "phone": maybe("string"), "email": maybe("string") })),
            "subject": maybe("string"), "status": status, "priority": priority,
            "assigned_to": or_null(&whole(json!({ "id": text() }))), "labels": texts, "tags": texts,
            "message_count": count, "unread_count": count,
            "created_at": named("Moment"), "updated_at": named("Moment"),
            "last_message_at": or_null(&named("Moment")), "last_message_preview": maybe("string"),
        })),
        "ConversationList": list("Conversation"),
    })
}

fn webhooks() -> Value {
    let names = Kind::ALL.map(Kind::name);
    let events = json!({ "type": "array", "minItems": 1, "maxItems": MOST_EVENTS, "items": { "enum": names } });
    let policy = json!({ "enum": ["exponential", "linear"] });
    let url = json!({ "type": "string", "pattern": "^https://[a-z]+\\.example/[a-z]*$" });
    let wish =
        json!({ "url": url, "events": events, "active": maybe("boolean"), "retry_policy": policy });
    let shown = json!({
        "id": text(), "url": text(), "events": events, "active": { "type": "boolean" },
        "retry_policy": policy, "created_at": named("Moment"), "updated_at": named("Moment"),
    });
    let mut made = shown.clone();
    if let Some(made) = made.as_object_mut() {
        made.insert(
            "signing_secret".into(),
            json!({ "type": "string", "pattern": "^whsec_" }),
        );
    }
    json!({
        "NewWebhook": request(&["url", "events"], wish.clone()),
        "WebhookChange": request(&[], wish),
        "Webhook": whole(shown),
        "NewWebhookMade": whole(made),
        "WebhookList": list("Webhook"),
    })
}
