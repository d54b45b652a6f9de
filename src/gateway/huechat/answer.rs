//! Decides what an answer of HueChat, or its absence, came to (huechat §4, §13): by the HTTP status
//! first and by the name of the error second, never by the message. There are no keys, so whatever
//! leaves it open whether a message was taken is uncertain.

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

pub(super) use super::super::ending::{harmless, of_the_account, usable};
use super::super::http::{Answer, Lost};
use super::super::{ending, wait, words};
use super::{allowance, platform};
use crate::domain::outcome::{Failure, Outcome, Scope};

/// A wait that nobody states (huechat §3).
const UNSTATED: SignedDuration = SignedDuration::from_secs(60);
/// The longest window that a refusal can be about is a day (huechat §3); what ends later is none.
const LONGEST_REFUSAL: SignedDuration = SignedDuration::from_hours(24);
/// The name of an exchange.
const REQUEST_ID: &str = "x-request-id";

/// The envelope of a refusal, as far as it is there (huechat §4).
#[derive(Debug, Default)]
struct Refusal {
    /// Its name; `None`: the answer is not the provider's.
    error: Option<String>,
    message: Option<String>,
    retry_after: Option<SignedDuration>,
    request_id: Option<String>,
}

/// The outcome of a message that was answered.
pub(super) fn of_send(answer: &Answer, now: Timestamp) -> Outcome {
    if answer.is_success() {
        accepted(answer)
    } else {
        refused(answer, now)
    }
}

/// The outcome of an exchange without a whole answer.
pub(super) fn lost(lost: Lost, now: Timestamp) -> Outcome {
    ending::lost(lost, REQUEST_ID, |headers| {
        Some(stated_wait(headers, None, now))
    })
}

/// Something that is not the provider's has answered, or in words that nobody knows.
pub(super) fn unusable(http: u16, what: &str) -> Outcome {
    Outcome::StopRun {
        failure: Failure {
            http: Some(http),
            text: format!(
                "what answers at `base_url` is not HueChat's API ({what}); check the address"
            ),
            ..Failure::default()
        },
    }
}

#[derive(Deserialize)]
struct Taken {
    id: Option<String>,
    conversation_id: Option<String>,
    status: Option<String>,
    error: Option<Value>,
}

/// A success whose body names the message. Where it does not, something else may have answered (a
/// captive portal, a proxy) or it was damaged on its way: then the conversation has to tell.
fn accepted(answer: &Answer) -> Outcome {
    let taken: Option<Taken> = serde_json::from_slice(&answer.body).ok();
    let Some((id, taken)) = taken.and_then(|taken| Some((usable(taken.id.clone())?, taken))) else {
        return Outcome::Uncertain {
            failure: traced(
                Failure {
                    http: Some(answer.status),
                    text: format!(
                        "HTTP {}, but the answer names no message; whether it was taken is not known",
                        answer.status
                    ),
                    ..Failure::default()
                },
                &answer.headers,
            ),
        };
    };
    if taken.status.as_deref() == Some("failed") {
        let said = taken.error.as_ref().and_then(Value::as_str);
        let mut failure = platform::failure(said);
        failure.http = Some(answer.status);
        return platform::outcome(traced(failure, &answer.headers));
    }
    Outcome::Accepted {
        message_id: Some(id),
        chat_id: usable(taken.conversation_id),
    }
}

/// The outcome of an answer that is no success; of any exchange.
pub(super) fn refused(answer: &Answer, now: Timestamp) -> Outcome {
    let refusal = parse(&answer.body);
    let is_theirs = refusal.error.is_some();
    let name = refusal.error.clone().unwrap_or_default();
    let stated = refusal.retry_after;
    let failure = failure(answer, refusal);
    match answer.status {
        // Those that send the same request elsewhere, unread; what else there is may come of one
        // that was done.
        301 | 302 | 307 | 308 => Outcome::StopRun {
            failure: Failure {
                text: ending::moved(answer.status),
                ..failure
            },
        },
        429 => Outcome::Retry {
            after: Some(stated_wait(&answer.headers, stated, now)),
            scope: Scope::Account,
            failure,
        },
        // With a time to come back at it was not begun; without one nobody says so.
        503 => match wait::retry_after(&answer.headers, || now) {
            Some(after) => Outcome::Retry {
                after: Some(after).max(stated),
                scope: Scope::Account,
                failure,
            },
            None => Outcome::Uncertain { failure },
        },
        401..=403 => Outcome::StopRun { failure },
        // A front end gave up waiting; what it had passed on by then is not known.
        408 => Outcome::Uncertain { failure },
        // A page of something in between says nothing about the message.
        400..=499 if !is_theirs && answer.status != 404 => Outcome::Uncertain { failure },
        400..=499 if concerns_everybody(&name) => Outcome::StopRun { failure },
        400..=499 => Outcome::Permanent { failure },
        _ => Outcome::Uncertain { failure },
    }
}

/// Refusals that the next person's message would meet as well (huechat §4).
fn concerns_everybody(name: &str) -> bool {
    matches!(
        name,
        "channel_not_connected"
            | "template_not_found"
            | "template_not_approved"
            | "template_parameters_mismatch"
            | "quota_exceeded"
    )
}

/// The longest of what is stated; else until the account's window ends; else a minute.
fn stated_wait(
    headers: &HeaderMap,
    in_body: Option<SignedDuration>,
    now: Timestamp,
) -> SignedDuration {
    wait::retry_after(headers, || now)
        .max(in_body)
        .or_else(|| allowance::until_reset(headers, now, LONGEST_REFUSAL))
        .unwrap_or(UNSTATED)
}

fn failure(answer: &Answer, refusal: Refusal) -> Failure {
    let status = answer.status;
    let text = match (refusal.error, refusal.message) {
        (Some(name), Some(message)) => format!("{name}: {message}"),
        (Some(name), None) => name,
        (None, _) => format!("HTTP {status}, and no word of the provider why"),
    };
    let failure = Failure {
        // The provider has names instead of codes; its own `code` repeats the status.
        code: Some(u32::from(status)),
        http: Some(status),
        text,
        trace_id: refusal.request_id,
    };
    traced(failure, &answer.headers)
}

/// Every answer may have its name in a header (huechat §4).
fn traced(failure: Failure, headers: &HeaderMap) -> Failure {
    ending::traced(failure, headers, REQUEST_ID)
}

fn parse(body: &[u8]) -> Refusal {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Refusal::default();
    };
    let text = |name: &str| body.get(name)?.as_str();
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.len() <= 64
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    Refusal {
        error: text("error").filter(is_name).map(str::to_owned),
        message: text("message")
            .map(words::tame)
            .filter(|words| !words.is_empty()),
        retry_after: body.get("retry_after").and_then(wait::in_body),
        request_id: usable(text("request_id").map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Class;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    const NOW: &str = "2026-06-10T09:15:00Z";

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        Answer {
            status,
            headers: headers
                .iter()
                .map(|(name, value)| {
                    (
                        HeaderName::from_static(name),
                        HeaderValue::from_str(value).unwrap(),
                    )
                })
                .collect(),
            body: body.as_bytes().to_vec().into(),
        }
    }

    fn outcome(status: u16, headers: &[(&'static str, &str)], body: &str) -> Outcome {
        of_send(&answer(status, headers, body), NOW.parse().unwrap())
    }

    fn envelope(name: &str) -> String {
        format!(r#"{{"error":"{name}","message":"No","code":1,"request_id":"req_7"}}"#)
    }

    #[test]
    fn a_message_is_accepted_by_its_id_alone() {
        let taken = r#"{"id":"msg_1","conversation_id":"conv_1","status":"sent","more":{}}"#;
        assert_eq!(
            outcome(201, &[], taken),
            Outcome::Accepted {
                message_id: Some("msg_1".to_owned()),
                chat_id: Some("conv_1".to_owned())
            }
        );
        for odd in ["", "<html>", "[]", "{}", r#"{"id":""}"#, r#"{"id":7}"#] {
            let class = outcome(200, &[], odd).class();
            assert_eq!(class, Class::Uncertain, "{odd}");
        }
    }

    #[test]
    fn a_message_that_failed_at_once_was_not_accepted() {
        let failed = |error: &str| {
            outcome(
                201,
                &[],
                &format!(r#"{{"id":"m","conversation_id":"c","status":"failed","error":{error}}}"#),
            )
        };
        let outcome = failed(r#""131026: Message undeliverable""#);
        assert_eq!(outcome.class(), Class::Permanent);
        assert_eq!(outcome.failure().unwrap().code, Some(131_026));
        assert_eq!(failed(r#""132001: gone""#).class(), Class::StopRun);
        assert_eq!(failed("null").class(), Class::Permanent);
    }

    #[test]
    fn only_what_says_so_may_be_sent_again() {
        for (status, headers, body, class) in [
            (429, &[("retry-after", "42")][..], "", Class::Retry),
            (
                429,
                &[],
                r#"{"error":"rate_limited","retry_after":42}"#,
                Class::Retry,
            ),
            (503, &[("retry-after", "1")], "", Class::Retry),
            (503, &[], "", Class::Uncertain),
            (
                503,
                &[],
                r#"{"error":"x","retry_after":42}"#,
                Class::Uncertain,
            ),
            (303, &[("location", "/m/1")], "", Class::Uncertain),
            (304, &[], "", Class::Uncertain),
            (500, &[], "", Class::Uncertain),
            (502, &[], "<html>", Class::Uncertain),
            (504, &[], "", Class::Uncertain),
            (408, &[], "", Class::Uncertain),
            (401, &[], "", Class::StopRun),
            (403, &[], "", Class::StopRun),
            (302, &[], "", Class::StopRun),
            (404, &[], "", Class::Permanent),
            (400, &[], "<html>", Class::Uncertain),
        ] {
            assert_eq!(
                outcome(status, headers, body).class(),
                class,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn a_refusal_of_one_message_is_told_from_one_of_all() {
        for (status, name, class) in [
            (400, "invalid_input", Class::Permanent),
            (404, "not_found", Class::Permanent),
            (409, "conflict", Class::Permanent),
            (422, "unprocessable", Class::Permanent),
            (422, "outside_messaging_window", Class::Permanent),
            (422, "recipient_not_reachable", Class::Permanent),
            (422, "channel_not_connected", Class::StopRun),
            (422, "template_not_found", Class::StopRun),
            (422, "template_not_approved", Class::StopRun),
            (422, "template_parameters_mismatch", Class::StopRun),
            (403, "quota_exceeded", Class::StopRun),
        ] {
            let outcome = outcome(status, &[], &envelope(name));
            assert_eq!(outcome.class(), class, "{name}");
            let failure = outcome.failure().unwrap();
            assert_eq!(failure.text, format!("{name}: No"));
            assert_eq!(failure.trace_id.as_deref(), Some("req_7"));
            assert_eq!(failure.code, Some(u32::from(status)));
        }
    }

    #[test]
    fn the_wait_is_the_providers_to_the_second() {
        let wait = |headers: &[(&'static str, &str)], body: &str| {
            outcome(429, headers, body).asked_wait().unwrap().as_secs()
        };
        assert_eq!(wait(&[("retry-after", "42")], ""), 42);
        assert_eq!(wait(&[("retry-after", "42")], r#"{"retry_after":50}"#), 50);
        assert_eq!(wait(&[], r#"{"retry_after":7}"#), 7);
        let reset = NOW.parse::<Timestamp>().unwrap().as_second() + 17;
        assert_eq!(wait(&[("x-ratelimit-reset", &reset.to_string())], ""), 17);
        assert_eq!(wait(&[], ""), 60);
        assert_eq!(wait(&[("retry-after", "50000")], ""), 50_000);
    }

    proptest! {
        #[test]
        fn any_answer_has_an_outcome_and_no_server_fault_is_ever_repeated_blindly(
            status in 100_u16..600, body: String,
        ) {
            let outcome = outcome(status, &[], &body);
            if (500..600).contains(&status) && status != 503 {
                prop_assert_eq!(outcome.class(), Class::Uncertain);
            }
            if let Some(failure) = outcome.failure() {
                prop_assert!(failure.text.len() < 1_000);
            }
        }
    }
}
