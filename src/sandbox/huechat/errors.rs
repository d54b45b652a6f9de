//! What HueChat answers when it does not do what it was asked (huechat §4): the names, their
//! statuses and the envelope. Decides nothing.

use std::borrow::Cow;

use serde_json::{Value, json};

/// Every name of an error, with its status and its usual words.
#[rustfmt::skip]
pub(super) const ERRORS: &[(Error, u16, &str, &str)] = &[
    (Error::InvalidInput, 400, "invalid_input", "The request is not in order"),
    (Error::Unauthorized, 401, "unauthorized", "Invalid API key"),
    (Error::Forbidden, 403, "forbidden", "The API key does not allow this"),
    (Error::QuotaExceeded, 403, "quota_exceeded", "The month's messages are used up"),
    (Error::NotFound, 404, "not_found", "There is no such resource"),
    (Error::MethodNotAllowed, 405, "method_not_allowed", "This path does not take this method"),
    (Error::Conflict, 409, "conflict", "A contact with this address exists already"),
    (Error::Unprocessable, 422, "unprocessable", "The request cannot be carried out"),
    (Error::OutsideWindow, 422, "outside_messaging_window", "The contact has not written within the last 24 hours; use a template"),
    (Error::TemplateNotFound, 422, "template_not_found", "There is no template of this name"),
    (Error::TemplateNotApproved, 422, "template_not_approved", "The template is not approved"),
    (Error::TemplateParameters, 422, "template_parameters_mismatch", "The parameters are not those of the template"),
    (Error::ChannelNotConnected, 422, "channel_not_connected", "The channel is not connected to this account"),
    (Error::NotReachable, 422, "recipient_not_reachable", "The contact cannot be reached over this channel"),
    (Error::RateLimited, 429, "rate_limited", "Rate limit exceeded"),
    (Error::Internal, 500, "internal_error", "Something went wrong on our side"),
    (Error::BadGateway, 502, "bad_gateway", "The upstream did not answer"),
    (Error::Unavailable, 503, "service_unavailable", "The service is not available now"),
];

/// An error by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Error {
    InvalidInput,
    Unauthorized,
    Forbidden,
    QuotaExceeded,
    NotFound,
    MethodNotAllowed,
    Conflict,
    Unprocessable,
    OutsideWindow,
    TemplateNotFound,
    TemplateNotApproved,
    TemplateParameters,
    ChannelNotConnected,
    NotReachable,
    RateLimited,
    Internal,
    BadGateway,
    Unavailable,
}

impl Error {
    fn row(self) -> (u16, &'static str, &'static str) {
        let row = ERRORS.iter().find(|(error, ..)| *error == self);
        row.map_or((500, "internal_error", ""), |(_, status, name, words)| {
            (*status, *name, *words)
        })
    }

    /// The first one that has this status.
    pub(super) fn of_status(status: u16) -> Option<Self> {
        let row = ERRORS.iter().find(|(_, known, ..)| *known == status);
        row.map(|(error, ..)| *error)
    }
}

/// A request that is not carried out.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) name: Cow<'static, str>,
    message: Cow<'static, str>,
    details: Option<Value>,
    /// Whole seconds, in the header and, with 429, in the body.
    pub(super) retry_after: Option<u32>,
}

impl Refusal {
    pub(super) fn new(error: Error) -> Self {
        let (status, name, words) = error.row();
        Self {
            status,
            name: name.into(),
            message: words.into(),
            details: None,
            retry_after: None,
        }
    }

    pub(super) fn because(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }

    pub(super) fn details(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }

    pub(super) fn after(self, seconds: u32) -> Self {
        let message = format!("Rate limit exceeded. Retry after {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            message: if self.status == 429 {
                message.into()
            } else {
                self.message
            },
            ..self
        }
    }

    /// With another status or name than the usual ones.
    pub(super) fn called(self, status: u16, name: Option<&str>) -> Self {
        Self {
            status,
            name: name.map_or(self.name, |name| name.to_owned().into()),
            ..self
        }
    }

    /// The envelope. That of 429 has neither request id nor time, as in the provider's sample.
    pub(super) fn body(&self, request_id: &str, at: &str) -> String {
        let mut body = json!({
            "error": self.name,
            "message": self.message,
            "code": self.status,
        });
        let mut put = |name: &str, value: Value| {
            if let Some(body) = body.as_object_mut() {
                body.insert(name.to_owned(), value);
            }
        };
        if let Some(details) = &self.details {
            put("details", details.clone());
        }
        if self.status == 429 {
            put("retry_after", json!(self.retry_after.unwrap_or(1)));
        } else {
            put("request_id", json!(request_id));
            put("timestamp", json!(at));
        }
        body.to_string()
    }
}

/// A field that is not in order.
pub(super) fn invalid(field: &str, reason: &str) -> Refusal {
    Refusal::new(Error::InvalidInput)
        .because(format!("{field} {reason}"))
        .details(json!({ "field": field, "reason": reason }))
}

/// A field that is not there.
pub(super) fn missing(field: &str) -> Refusal {
    invalid(field, "is required")
}

/// A field that is in order by itself, but cannot be followed.
pub(super) fn unprocessable(field: &str, reason: &str) -> Refusal {
    Refusal::new(Error::Unprocessable)
        .because(format!("{field} {reason}"))
        .details(json!({ "field": field, "reason": reason }))
}

/// There is nothing of this kind by that name.
pub(super) fn no_such(what: &'static str) -> Refusal {
    Refusal::new(Error::NotFound).because(format!("There is no such {what}"))
}
