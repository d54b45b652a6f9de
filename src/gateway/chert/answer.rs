//! Decides what an answer of Chert, or its absence, came to (chert §3). The one place that reads
//! codes and HTTP statuses: `retryable` and `retry_after` decide *whether*, the code names only
//! *what for*. One parser takes the enveloped and the flat shape, and anything else.

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

pub(super) use super::super::ending::{harmless, of_the_account, usable};
use super::super::http::{Answer, Lost};
use super::super::{ending, wait, words};
use super::codes;
use crate::domain::outcome::{Failure, Outcome, Scope};

const TRACE_ID: &str = "x-trace-id";

/// What went wrong, in the provider's own terms.
#[derive(Debug, Default)]
struct Refusal {
    code: Option<u32>,
    retryable: Option<bool>,
    retry_after: Option<SignedDuration>,
    message: Option<String>,
    trace_id: Option<String>,
}

/// The outcome of a send that was answered.
pub(super) fn of_send(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Outcome {
    if answer.is_success() {
        accepted(answer, now)
    } else {
        refused(answer, now)
    }
}

/// The outcome of an exchange without a whole answer.
pub(super) fn lost(lost: Lost, now: impl FnOnce() -> Timestamp) -> Outcome {
    ending::lost(lost, TRACE_ID, |headers| wait::retry_after(headers, now))
}

/// Whether the refusal is code 2013 (chert §3.2).
pub(super) fn blames_the_clock(answer: &Answer) -> bool {
    parse(&answer.body).is_some_and(|refusal| refusal.code == Some(codes::CLOCK))
}

/// The part of a success that is needed; the usual shapes are read without building a tree.
#[derive(Deserialize)]
struct Taken<'a> {
    message: Option<MessageIds>,
    chat: Option<ChatId>,
    message_id: Option<String>,
    lead_id: Option<String>,
    success: Option<bool>,
    status: Option<&'a str>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct MessageIds {
    id: Option<String>,
    chat_id: Option<String>,
}

#[derive(Deserialize)]
struct ChatId {
    id: Option<String>,
}

/// A success whose body says so. Where it cannot be read, something other than Chert may have
/// answered (a captive portal, a proxy), or the body was damaged on its way: then nothing is sure,
/// and the repeat under the same key returns the original answer with its ids (chert §5).
fn accepted(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Outcome {
    if let Ok(read) = serde_json::from_slice::<Taken<'_>>(&answer.body)
        && read.success != Some(false)
        && read.status != Some("failed")
        && read.error.is_none()
    {
        let (id, chat_of_message) = read.message.map_or((None, None), |m| (m.id, m.chat_id));
        let message_id = usable(id).or(usable(read.message_id));
        let chat_id = usable(read.chat.and_then(|chat| chat.id))
            .or(usable(chat_of_message))
            .or(usable(read.lead_id));
        if message_id.is_some() {
            return Outcome::Accepted {
                message_id,
                chat_id,
            };
        }
    }
    accepted_in_another_shape(answer, now)
}

fn accepted_in_another_shape(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Outcome {
    // No body is what 204 promises.
    if answer.status == 204 && answer.body.is_empty() {
        return Outcome::Accepted {
            message_id: None,
            chat_id: None,
        };
    }
    let Ok(Value::Object(fields)) = serde_json::from_slice(&answer.body) else {
        let text = format!(
            "HTTP {}, but the answer is not Chert's; whether the message was taken is not known",
            answer.status
        );
        return Outcome::Uncertain {
            failure: failure(answer, Refusal::default(), text),
        };
    };
    let fields = Value::Object(fields);
    if says_failed(&fields) {
        return refused(answer, now);
    }
    let first = |paths: &[&str]| paths.iter().find_map(|path| id(fields.pointer(path)?));
    Outcome::Accepted {
        message_id: first(&["/message/id", "/message/message_id", "/message_id"]),
        chat_id: first(&["/chat/id", "/message/chat_id", "/chat_id", "/lead_id"]),
    }
}

fn says_failed(fields: &Value) -> bool {
    fields.get("success") == Some(&Value::Bool(false))
        || fields.get("status").and_then(Value::as_str) == Some("failed")
        || fields.get("error").is_some_and(|error| !error.is_null())
}

/// An id that is a number is as good as one that is a text.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => usable(Some(text.clone())),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The outcome of an answer that is no success; of any exchange, not only of a send.
pub(super) fn refused(answer: &Answer, now: impl FnOnce() -> Timestamp) -> Outcome {
    let waits = |from_body: Option<SignedDuration>| {
        // The larger of the two; `None` is smaller than any wait.
        from_body.max(wait::retry_after(&answer.headers, now))
    };
    if (300..400).contains(&answer.status) {
        return Outcome::StopRun {
            failure: failure(answer, Refusal::default(), ending::moved(answer.status)),
        };
    }
    let Some(refusal) = parse(&answer.body) else {
        let text = codes::of_status(answer.status);
        let failure = failure(answer, Refusal::default(), text);
        return by_status(answer.status, failure, || waits(None));
    };
    let (code, retryable, asked) = (refusal.code, refusal.retryable, refusal.retry_after);
    let text = codes::describe(code, refusal.message.as_deref(), answer.status);
    let failure = failure(answer, refusal, text);
    match retryable {
        Some(true) => retry(code, answer.status, waits(asked), failure),
        None if asked.is_some() => retry(code, answer.status, waits(asked), failure),
        Some(false) | None if codes::is_media_lost(code) => Outcome::MediaLost { failure },
        Some(false) | None if code == Some(codes::LINE_NOT_OURS) => {
            Outcome::LineInactive { failure }
        }
        Some(false) | None if codes::stops_the_run(code, answer.status) => {
            Outcome::StopRun { failure }
        }
        Some(false) => Outcome::Permanent { failure },
        None => by_status(answer.status, failure, || waits(None)),
    }
}

fn retry(code: Option<u32>, http: u16, after: Option<SignedDuration>, failure: Failure) -> Outcome {
    match after {
        Some(after) if code == Some(codes::LINES_BUSY) => Outcome::LineBusy { after, failure },
        // Tried again all the same, but never called failed or cancelled.
        None if codes::leaves_doubt(code, http) => Outcome::Uncertain { failure },
        _ => Outcome::Retry {
            after,
            scope: if http == 429 || code == Some(codes::RATE_LIMITED) {
                Scope::Account
            } else {
                Scope::Recipient
            },
            failure,
        },
    }
}

/// Where no word of the provider says whether to try again (chert §3.3).
fn by_status(
    status: u16,
    failure: Failure,
    waits: impl FnOnce() -> Option<SignedDuration>,
) -> Outcome {
    match status {
        429 => Outcome::Retry {
            after: waits(),
            scope: Scope::Account,
            failure,
        },
        401..=403 => Outcome::StopRun { failure },
        // A front end gave up waiting; what it had passed on by then is not known.
        408 => Outcome::Uncertain { failure },
        400..=499 => Outcome::Permanent { failure },
        _ => Outcome::Uncertain { failure },
    }
}

fn failure(answer: &Answer, refusal: Refusal, text: String) -> Failure {
    let failure = Failure {
        code: refusal.code,
        http: Some(answer.status),
        text,
        trace_id: refusal.trace_id,
    };
    traced(failure, &answer.headers)
}

/// Every answer carries its trace in a header; an envelope repeats it (chert §1).
fn traced(failure: Failure, headers: &HeaderMap) -> Failure {
    ending::traced(failure, headers, TRACE_ID)
}

/// Reads each field at the top level first, then under `error` (chert §3.1). None when the body
/// is no JSON object or nothing in it is a refusal's.
fn parse(body: &[u8]) -> Option<Refusal> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let top = body.as_object()?;
    let inner = top.get("error").and_then(Value::as_object);
    let field = |name: &'static str| {
        [Some(top), inner]
            .into_iter()
            .flatten()
            .filter_map(move |fields| fields.get(name))
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let refusal = Refusal {
        code: field("code").find_map(code),
        retryable: field("retryable").find_map(yes_or_no),
        retry_after: field("retry_after").filter_map(wait::in_body).max(),
        message: field("message")
            .find_map(text)
            .or_else(|| text(top.get("error")?))
            .map(|message| words::tame(&message)),
        trace_id: usable(field("trace_id").find_map(text)),
    };
    let told = refusal.code.is_some() || refusal.retryable.is_some();
    (told || refusal.retry_after.is_some()).then_some(refusal)
}

fn code(value: &Value) -> Option<u32> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => match number.as_u64() {
            Some(code) => u32::try_from(code).ok(),
            None => format!("{:.0}", number.as_f64()?).parse().ok(),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn yes_or_no(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(answer) => Some(*answer),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::String(_) | Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
