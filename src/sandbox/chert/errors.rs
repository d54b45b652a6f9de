//! Why Chert refuses a request, and the two shapes in which it says so (chert §3). Does not
//! decide when to refuse.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::send_fields::EFFECTS;

/// The codes that the sandbox gives by itself (chert §3.2). Faults may use any other.
pub(super) mod code {
    pub(in crate::sandbox) const MISSING_FIELD: u16 = 1001;
    pub(in crate::sandbox) const INVALID_FIELD: u16 = 1002;
    pub(in crate::sandbox) const INVALID_PHONE: u16 = 1003;
    pub(in crate::sandbox) const INVALID_JSON: u16 = 1004;
    pub(in crate::sandbox) const FIRST_MESSAGE_URL: u16 = 1005;
    pub(in crate::sandbox) const TOO_MANY_PARTS: u16 = 1006;
    pub(in crate::sandbox) const RATE_LIMITED: u16 = 1007;
    pub(in crate::sandbox) const CONSECUTIVE_TEXT: u16 = 1008;
    pub(in crate::sandbox) const TEXT_TOO_LONG: u16 = 1009;
    pub(in crate::sandbox) const REF_MISMATCH: u16 = 1011;
    pub(in crate::sandbox) const INVALID_STATE: u16 = 1012;
    pub(in crate::sandbox) const TENANT_NOT_FOUND: u16 = 2001;
    pub(in crate::sandbox) const CHAT_NOT_FOUND: u16 = 2002;
    pub(in crate::sandbox) const MESSAGE_NOT_FOUND: u16 = 2003;
    pub(in crate::sandbox) const INVALID_AUTH: u16 = 2004;
    pub(in crate::sandbox) const FORBIDDEN: u16 = 2005;
    pub(in crate::sandbox) const PHONE_NOT_ASSIGNED: u16 = 2006;
    pub(in crate::sandbox) const ACCOUNT_LIMIT: u16 = 2008;
    pub(in crate::sandbox) const RESOURCE_NOT_FOUND: u16 = 2011;
    pub(in crate::sandbox) const AUTH_MISSING: u16 = 2012;
    pub(in crate::sandbox) const AUTH_TIMESTAMP_SKEW: u16 = 2013;
    pub(in crate::sandbox) const INTERNAL: u16 = 3001;
    pub(in crate::sandbox) const DELIVERY_UNAVAILABLE: u16 = 3002;
    pub(in crate::sandbox) const DELIVERY_FAILED: u16 = 4001;
    pub(in crate::sandbox) const DELIVERY_ERROR: u16 = 3004;
    pub(in crate::sandbox) const LINES_SATURATED: u16 = 4002;
    pub(in crate::sandbox) const UNKNOWN_EFFECT: u16 = 4098;
    pub(in crate::sandbox) const NOT_SUPPORTED: u16 = 4099;
    pub(in crate::sandbox) const ATTACHMENT_NOT_FOUND: u16 = 5001;
    pub(in crate::sandbox) const ATTACHMENT_TOO_LARGE: u16 = 5002;
    pub(in crate::sandbox) const UNSUPPORTED_MIME: u16 = 5003;
    pub(in crate::sandbox) const ATTACHMENT_NOT_UPLOADED: u16 = 5004;
}

/// Code, HTTP status and usual message; the retryable ones are [`RETRYABLE`] (chert §3.2).
const TABLE: [(u16, u16, &str); 38] = [
    (1001, 400, "Missing required field"),
    (1002, 400, "Invalid field"),
    (1003, 400, "Invalid phone number"),
    (1004, 400, "Request body is not valid JSON"),
    (1005, 400, "First message must not contain a URL"),
    (1006, 400, "Too many parts"),
    (1007, 429, "Rate limit exceeded"),
    (1008, 400, "Consecutive text parts must be merged"),
    (1009, 400, "Text is too long"),
    (1010, 400, "Unsupported service"),
    (1011, 409, "Attachment reference mismatch"),
    (1012, 409, "Invalid state"),
    (1013, 409, "No usable phone number"),
    (2001, 404, "Tenant not found"),
    (2002, 404, "Chat not found"),
    (2003, 404, "Message not found"),
    (2004, 401, "Invalid credentials"),
    (2005, 403, "Forbidden"),
    (
        2006,
        400,
        "Phone number is not assigned to this organization",
    ),
    (2007, 403, "Email not verified"),
    (2008, 402, "Account limit reached"),
    (2010, 403, "Integration not connected"),
    (2011, 404, "Resource not found"),
    (2012, 401, "Missing credentials"),
    (
        2013,
        401,
        "Signature timestamp is outside the allowed window",
    ),
    (2014, 400, "OAuth state invalid"),
    (3001, 500, "Internal error"),
    (3002, 503, "Delivery unavailable"),
    (3003, 500, "Provider not configured"),
    (3004, 502, "Delivery service error"),
    (4001, 502, "Delivery failed"),
    (4002, 503, "All lines are at capacity for this recipient"),
    (4098, 400, "Unknown effect"),
    (4099, 422, "Not supported"),
    (5001, 404, "Attachment not found"),
    (5002, 400, "Attachment too large"),
    (5003, 400, "Unsupported media type"),
    (5004, 400, "Attachment not uploaded"),
];

/// The codes that are retryable unless a route says otherwise (chert §3.2).
const RETRYABLE: [u16; 6] = [1007, 3001, 3002, 3004, 4001, 4002];

/// A request that is refused, with everything that its answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Refusal {
    pub(in crate::sandbox) code: u16,
    pub(in crate::sandbox) status: u16,
    pub(in crate::sandbox) retryable: bool,
    pub(in crate::sandbox) message: Cow<'static, str>,
    /// Whole seconds, at least 1.
    pub(in crate::sandbox) retry_after: Option<u32>,
    /// Which entry of the attachments it is about, from 0.
    pub(in crate::sandbox) attachment_index: Option<usize>,
    /// What the receiver of a replayed event answered.
    pub(in crate::sandbox) downstream: Option<u16>,
}

/// How a route words its failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `{ success, error: { … }, trace_id }` (chert §3.1).
    Envelope,
    /// `POST /send`: everything at top level, no `trace_id` (chert §3.1, §17.8).
    Flat,
    /// A replay: at top level too, with what the receiver answered (chert §14).
    Replay,
}

impl Refusal {
    /// With the status, retryability and message that the code has by default. A code that the
    /// contract does not list is a permanent 400.
    pub(in crate::sandbox) fn new(code: u16) -> Self {
        let (_, status, message) = TABLE
            .iter()
            .find(|(known, ..)| *known == code)
            .copied()
            .unwrap_or((code, 400, "Refused"));
        Self {
            code,
            status,
            retryable: RETRYABLE.contains(&code),
            message: message.into(),
            retry_after: None,
            attachment_index: None,
            downstream: None,
        }
    }

    #[must_use]
    pub(super) fn because(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    #[must_use]
    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    #[must_use]
    pub(super) fn attachment(mut self, index: usize) -> Self {
        self.attachment_index = Some(index);
        self
    }

    #[must_use]
    pub(super) fn downstream(mut self, status: u16) -> Self {
        self.downstream = Some(status);
        self
    }

    /// Retryable after `seconds`.
    #[must_use]
    pub(super) fn after(mut self, seconds: u32) -> Self {
        self.retryable = true;
        self.retry_after = Some(seconds);
        self
    }

    /// The answer's body.
    pub(super) fn body(&self, shape: Shape, trace: &str) -> String {
        let mut detail = Map::new();
        detail.insert("code".into(), json!(self.code));
        detail.insert("message".into(), json!(self.message));
        detail.insert("retryable".into(), json!(self.retryable));
        if let Some(seconds) = self.retry_after {
            detail.insert("retry_after".into(), json!(seconds));
        }
        if let Some(index) = self.attachment_index {
            detail.insert("attachment_index".into(), json!(index));
        }
        if self.code == code::UNKNOWN_EFFECT {
            detail.insert("allowed_effects".into(), json!(EFFECTS));
        }
        match shape {
            Shape::Envelope => {
                detail.insert("status".into(), json!(self.status));
                json!({ "success": false, "error": detail, "trace_id": trace }).to_string()
            }
            Shape::Replay => {
                detail.insert("ok".into(), json!(false));
                detail.insert("error".into(), json!(self.message));
                detail.insert("downstream_status".into(), json!(self.downstream));
                detail.insert("trace_id".into(), json!(trace));
                Value::Object(detail).to_string()
            }
            Shape::Flat => {
                detail.insert("status".into(), json!("failed"));
                detail.insert("error".into(), json!(self.message));
                Value::Object(detail).to_string()
            }
        }
    }
}

/// A required field is absent.
pub(super) fn missing(field: &str) -> Refusal {
    Refusal::new(code::MISSING_FIELD).because(format!("Missing required field: {field}"))
}

/// A field has a value that cannot be used.
pub(super) fn invalid(field: &str, why: &str) -> Refusal {
    Refusal::new(code::INVALID_FIELD).because(format!("Invalid field {field}: {why}"))
}
