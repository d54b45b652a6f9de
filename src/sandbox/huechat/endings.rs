//! How a request ends for its client: with an answer, a refusal, a page or a connection that closes,
//! and what a fault makes of it. Decides about no fault; the plan and the trials do.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};

use super::errors::{Error, Refusal};
use super::exchange::Done;
use crate::sandbox::faults::{Answer, Fault};
use crate::sandbox::journal::trace_text;

/// Where `half_answer` closes the connection: within the headers of every answer.
const HALF_ANSWER_BYTES: usize = 48;

/// How a request ends for its client.
#[derive(Debug)]
pub(super) enum Ending {
    Done(Done),
    Refuse(Refusal),
    /// A page instead of JSON, with this status.
    Html(u16),
    /// The connection closes after so many bytes of the answer.
    Cut {
        bytes: usize,
        body: String,
    },
}

impl Ending {
    /// The connection closes without a byte.
    pub(super) const SILENCE: Self = Self::Cut {
        bytes: 0,
        body: String::new(),
    };
}

/// What a fault does before the route acts; `None`: the route acts.
pub(super) fn before(fault: &Fault) -> Option<Ending> {
    let refuse = |error, wait| Some(Ending::Refuse(Refusal::new(error).after(wait)));
    match fault {
        Fault::Throttle { wait } => refuse(Error::RateLimited, *wait),
        Fault::LineBusy { wait } => refuse(Error::Unavailable, *wait),
        Fault::Error(answer) => Some(Ending::Refuse(refusal_of(answer))),
        Fault::NonJson { status } => Some(Ending::Html(*status)),
        Fault::DropBefore {} => Some(Ending::SILENCE),
        Fault::ErrorAfterAccept(_)
        | Fault::Drop {}
        | Fault::HalfAnswer {}
        | Fault::Slow { .. }
        | Fault::SlowAfterAccept { .. }
        | Fault::NonJsonAfterAccept { .. } => None,
    }
}

/// What a fault makes of the answer once the route has acted.
pub(super) fn after(fault: Option<&Fault>, done: Done) -> Ending {
    match fault {
        Some(Fault::ErrorAfterAccept(answer)) => Ending::Refuse(refusal_of(answer)),
        Some(Fault::NonJsonAfterAccept { status }) => Ending::Html(*status),
        Some(Fault::Drop {}) => Ending::SILENCE,
        Some(Fault::HalfAnswer {}) => Ending::Cut {
            bytes: HALF_ANSWER_BYTES,
            body: done.body,
        },
        Some(
            Fault::Throttle { .. }
            | Fault::LineBusy { .. }
            | Fault::Error(_)
            | Fault::DropBefore {}
            | Fault::Slow { .. }
            | Fault::SlowAfterAccept { .. }
            | Fault::NonJson { .. },
        )
        | None => Ending::Done(done),
    }
}

/// A failure that a fault asks for: by its status, 500 where it names none. The code of a plan is
/// Chert's and says nothing here.
fn refusal_of(answer: &Answer) -> Refusal {
    let status = answer.status.unwrap_or(500);
    let usual = Refusal::new(Error::of_status(status).unwrap_or(Error::Internal));
    let mut refusal = usual.called(status, answer.error.as_deref());
    if let Some(message) = &answer.message {
        refusal = refusal.because(message.clone());
    }
    refusal.retry_after = answer.retry_after;
    refusal
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
