//! A story as JSON: one documented shape (`docs/explain.md`) that only ever grows.

use serde_json::{Value, json};

use super::super::json::instant;
use super::Told;
use super::scenes::scenes;
use crate::domain::address::Address;
use crate::domain::delivery::{DeliveryState, Hold, SkipReason};

/// The story as one object.
pub fn explain_json(told: &Told<'_>) -> Value {
    let delivery = told.delivery();
    let (answer, because) = told.answer();
    let story: Vec<Value> = scenes(told)
        .into_iter()
        .map(|scene| {
            let mut fields = scene.more;
            fields.insert("at".to_owned(), json!(instant(scene.at)));
            fields.insert("kind".to_owned(), json!(scene.kind));
            fields.insert("text".to_owned(), json!(scene.text));
            Value::Object(fields)
        })
        .collect();
    let next: Vec<Value> = told
        .next()
        .into_iter()
        .map(|advice| json!({ "text": advice.text, "command": advice.command }))
        .collect();
    let others: Vec<Value> = told
        .others
        .iter()
        .map(|other| {
            json!({
                "row": other.row,
                "state": other.state.as_str(),
                "reason": other.reason.map(SkipReason::as_str),
            })
        })
        .collect();
    let due_at = Some(delivery.due_at).filter(|_| delivery.state == DeliveryState::Pending);
    json!({
        "run": told.run.run.as_str(),
        "row": delivery.row,
        "recipient": delivery.recipient_key,
        "phone": delivery.phone.as_ref().map(Address::expose),
        "line": delivery.line,
        "answer": answer.as_str(),
        "because": because,
        "state": delivery.state.as_str(),
        "reason": delivery.reason.map(SkipReason::as_str),
        "hold": delivery.hold.map(Hold::as_str),
        "detail": delivery.detail,
        "code": delivery.code,
        "attempts": delivery.attempts,
        "idempotency_key": told.key(delivery.revision).map(|key| key.to_string()),
        "message_id": delivery.message_id,
        "chat_id": delivery.chat_id,
        "due_at": due_at.map(instant),
        "sent_at": delivery.sent_at.map(instant),
        "delivered_at": delivery.delivered_at.map(instant),
        "read_at": delivery.read_at.map(instant),
        "story": story,
        "next": next,
        "others": others,
    })
}
