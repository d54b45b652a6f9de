//! How a request of HueChat ends for its client: the words of its refusals, and its answers.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};

use super::errors::{Error, Refusal};
use super::exchange::Done;
use crate::sandbox::ending::{self, Worded};
use crate::sandbox::faults::Answer;
use crate::sandbox::journal::trace_text;

pub(super) type Ending = ending::Ending<Done, Refusal>;

impl Worded for Refusal {
    fn throttled(wait: u32) -> Self {
        Self::new(Error::RateLimited).after(wait)
    }

    fn busy(wait: u32) -> Self {
        Self::new(Error::Unavailable).after(wait)
    }

    /// By its status, 500 where it names none. The code of a plan is Chert's and says nothing here.
    fn asked_for(answer: &Answer) -> Self {
        let status = answer.status.unwrap_or(500);
        let usual = Self::new(Error::of_status(status).unwrap_or(Error::Internal));
        let mut refusal = usual.called(status, answer.error.as_deref());
        if let Some(message) = &answer.message {
            refusal = refusal.because(message.clone());
        }
        refusal.retry_after = answer.retry_after;
        refusal
    }
}

/// The value of `X-Request-Id`.
pub(super) fn request_id(trace: u64) -> String {
    format!("req_{}", trace_text(trace))
}

pub(super) fn respond(status: u16, id: &str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert("x-request-id", id);
    }
    response
}
