//! Every class, from answers written by hand after the contract. No wire.

use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
    Answer {
        status,
        headers: headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(super) fn now() -> Timestamp {
    "2026-06-10T09:15:00Z".parse().unwrap()
}

pub(super) fn of(status: u16, body: &str) -> Outcome {
    of_send(&answer(status, &[], body), now)
}

/// `class`, then the wait in seconds and the scope where there are some.
fn short(outcome: &Outcome) -> String {
    let secs = |wait: &SignedDuration| wait.as_secs().to_string();
    match outcome {
        Outcome::Retry { after, scope, .. } => {
            let after = after.as_ref().map_or("-".to_owned(), secs);
            format!("retry {scope:?} {after}")
        }
        Outcome::LineBusy { after, .. } => format!("line_busy {}", secs(after)),
        Outcome::Accepted {
            message_id,
            chat_id,
        } => {
            let or_none = |id: &Option<String>| id.clone().unwrap_or("-".to_owned());
            format!("accepted {} {}", or_none(message_id), or_none(chat_id))
        }
        Outcome::Permanent { .. }
        | Outcome::Uncertain { .. }
        | Outcome::StopRun { .. }
        | Outcome::LineInactive { .. }
        | Outcome::MediaLost { .. } => outcome.class().as_str().to_owned(),
    }
}

/// The envelope of chert §3.1.
pub(super) fn enveloped(http: u16, code: u32, rest: &str) -> String {
    format!(
        r#"{{"success":false,"error":{{"status":{http},"code":{code},"message":"m",{rest}}},"trace_id":"5f0c"}}"#
    )
}

/// The flat shape of `/send`.
fn flat(code: u32, rest: &str) -> String {
    format!(r#"{{"status":"failed","code":{code},"message":"m","error":"m",{rest}}}"#)
}

#[test]
fn a_success_gives_its_ids_wherever_they_stand() {
    for (body, expected) in [
        (
            r#"{"chat":{"id":"c","x":[]},"message":{"id":"m","chat_id":"c2","parts":[]}}"#,
            "accepted m c",
        ),
        (
            r#"{"message":{"id":"m","chat_id":"c","delivered_at":null}}"#,
            "accepted m c",
        ),
        (
            r#"{"status":"sent","message_id":"m","lead_id":"l","convo_id":"v"}"#,
            "accepted m l",
        ),
        (r#"{"message":{"id":77,"chat_id":"c"}}"#, "accepted 77 c"),
        (
            r#"{"message":"taken","chat":{"id":"c"},"message_id":"m"}"#,
            "accepted m c",
        ),
        (r#"{"message":null,"chat":null}"#, "accepted - -"),
        (r#"{"message":{"id":""}}"#, "accepted - -"),
        (
            r#"{"message":{"id":"m"},"message":{"id":"n"}}"#,
            "accepted n -",
        ),
        ("{}", "accepted - -"),
    ] {
        for status in [200, 201, 202, 299] {
            assert_eq!(short(&of(status, body)), expected, "{status} {body}");
        }
    }
    assert_eq!(short(&of(204, "")), "accepted - -");
}

#[test]
fn a_success_that_cannot_be_read_is_uncertain() {
    for body in [
        "",
        "OK",
        "<html>log in</html>",
        "[1]",
        "null",
        "\"m\"",
        r#"{"message":{"id":"#,
    ] {
        assert_eq!(short(&of(200, body)), "uncertain", "{body}");
    }
    let bytes = answer(200, &[], "");
    let bytes = Answer {
        body: Bytes::from_static(&[0xff, 0xfe, 0]),
        ..bytes
    };
    assert_eq!(short(&of_send(&bytes, now)), "uncertain");
}

#[test]
fn a_refusal_under_a_success_status_is_a_refusal() {
    let refusal = enveloped(400, 1003, r#""retryable":false"#);
    assert_eq!(short(&of(200, &refusal)), "permanent");
    assert_eq!(
        short(&of(200, &flat(4001, r#""retryable":true"#))),
        "retry Recipient -"
    );
    assert_eq!(short(&of(200, r#"{"success":false}"#)), "uncertain");
    for failed in [
        r#""status":"failed""#,
        r#""success":false"#,
        r#""error":{}"#,
    ] {
        let body = format!(r#"{{"message_id":"m","retryable":false,{failed}}}"#);
        assert_eq!(short(&of(200, &body)), "permanent", "{body}");
    }
    let fine = r#"{"message_id":"m","status":"sent","error":null}"#;
    assert_eq!(short(&of(200, fine)), "accepted m -");
}

#[test]
fn retryable_decides_in_both_shapes() {
    for (http, code, rest, expected) in [
        (400, 1003, r#""retryable":false"#, "permanent"),
        (400, 1003, r#""retryable":true"#, "retry Recipient -"),
        (500, 3001, r#""retryable":true"#, "uncertain"),
        (502, 3004, r#""retryable":true"#, "uncertain"),
        (503, 3002, r#""retryable":true"#, "retry Recipient -"),
        (500, 3001, r#""retryable":false"#, "permanent"),
        (502, 4001, r#""retryable":true"#, "retry Recipient -"),
        (
            502,
            4001,
            r#""retryable":true,"retry_after":9"#,
            "retry Recipient 9",
        ),
        (
            429,
            1007,
            r#""retryable":true,"retry_after":3"#,
            "retry Account 3",
        ),
        (
            400,
            1007,
            r#""retryable":true,"retry_after":3"#,
            "retry Account 3",
        ),
        (429, 9999, r#""retryable":true"#, "retry Account -"),
        (429, 1007, r#""retryable":false"#, "permanent"),
        (
            503,
            4002,
            r#""retryable":true,"retry_after":86400"#,
            "line_busy 86400",
        ),
        (503, 4002, r#""retryable":true"#, "retry Recipient -"),
        (
            401,
            2004,
            r#""retryable":true,"retry_after":5"#,
            "retry Recipient 5",
        ),
        (404, 5001, r#""retryable":true"#, "retry Recipient -"),
        (404, 5001, r#""retryable":false"#, "media_lost"),
        (
            400,
            5004,
            r#""retryable":false,"attachment_index":0"#,
            "media_lost",
        ),
        (400, 5002, r#""retryable":false"#, "permanent"),
        (400, 5003, r#""retryable":false"#, "permanent"),
        (409, 1012, r#""retryable":false"#, "permanent"),
        (404, 2002, r#""retryable":false"#, "permanent"),
        (
            503,
            777_777,
            r#""retryable":true,"new":{"a":[1]}"#,
            "retry Recipient -",
        ),
    ] {
        for body in [enveloped(http, code, rest), flat(code, rest)] {
            assert_eq!(short(&of(http, &body)), expected, "{http} {body}");
        }
    }
}

#[test]
fn a_refusal_of_the_account_stops_the_run() {
    for (http, code) in [
        (404, 2001),
        (401, 2004),
        (403, 2005),
        (403, 2007),
        (402, 2008),
        (401, 2012),
        (401, 2013),
        (500, 3003),
        (401, 2999),
        (402, 2999),
        (403, 2999),
    ] {
        let body = enveloped(http, code, r#""retryable":false"#);
        assert_eq!(short(&of(http, &body)), "stop_run", "{code}");
    }
    for http in [400, 403] {
        let body = enveloped(http, 2006, r#""retryable":false"#);
        let silent = enveloped(http, 2006, r#""status":false"#);
        for body in [body, silent] {
            let of_line = short(&of(http, &body));
            assert_eq!(
                of_line, "line_inactive",
                "a line that is not ours, or not now"
            );
        }
    }
    for http in 300..400 {
        assert_eq!(short(&of(http, "")), "stop_run", "{http}");
    }
}

#[test]
fn without_a_word_the_status_decides() {
    for (http, expected) in [
        (400, "permanent"),
        (401, "stop_run"),
        (402, "stop_run"),
        (403, "stop_run"),
        (404, "permanent"),
        (408, "uncertain"),
        (418, "permanent"),
        (429, "retry Account -"),
        (500, "uncertain"),
        (502, "uncertain"),
        (503, "uncertain"),
        (599, "uncertain"),
        (999, "uncertain"),
    ] {
        for body in [
            "",
            "<html>502</html>",
            "{}",
            "[]",
            r#"{"detail":"x"}"#,
            r#"{"error":"x"}"#,
        ] {
            assert_eq!(short(&of(http, body)), expected, "{http} {body}");
        }
    }
    assert_eq!(short(&of(500, r#"{"code":3001}"#)), "uncertain");
    assert_eq!(short(&of(400, r#"{"code":1003}"#)), "permanent");
}

#[test]
fn the_larger_of_two_waits_holds() {
    let wait = |header: &str, body: &str| {
        let pairs: &[_] = if header.is_empty() {
            &[]
        } else {
            &[("retry-after", header)]
        };
        short(&of_send(&answer(429, pairs, body), now))
    };
    let five = r#"{"error":{"retryable":true,"retry_after":5}}"#;
    assert_eq!(wait("3", five), "retry Account 5");
    assert_eq!(wait("8", five), "retry Account 8");
    assert_eq!(
        wait("Wed, 10 Jun 2026 09:16:00 GMT", five),
        "retry Account 60"
    );
    assert_eq!(wait("never", five), "retry Account 5");
    assert_eq!(wait("8", "slow down"), "retry Account 8");
    assert_eq!(wait("", five), "retry Account 5");
    assert_eq!(
        wait("", r#"{"retryable":true,"retry_after":0}"#),
        "retry Account -"
    );
    assert_eq!(
        wait(
            "",
            r#"{"retry_after":2,"retryable":true,"error":{"retry_after":7}}"#
        ),
        "retry Account 7"
    );
    let busy = flat(4002, r#""retryable":true"#);
    let answer = answer(503, &[("retry-after", "61")], &busy);
    assert_eq!(short(&of_send(&answer, now)), "line_busy 61");
}

#[test]
fn wrong_types_are_read_as_far_as_they_go() {
    for (body, expected) in [
        (
            r#"{"code":"4002","retryable":"true","retry_after":"30"}"#,
            "line_busy 30",
        ),
        (
            r#"{"code":4002.0,"retryable":true,"retry_after":29.2}"#,
            "line_busy 30",
        ),
        (
            r#"{"code":null,"error":{"code":4002,"retryable":true,"retry_after":30}}"#,
            "line_busy 30",
        ),
        (r#"{"code":[1],"retryable":false}"#, "permanent"),
        (r#"{"code":-1,"retryable":false}"#, "permanent"),
        (r#"{"code":1e99,"retryable":true}"#, "retry Recipient -"),
        (
            r#"{"error":{"retryable":1,"retry_after":4}}"#,
            "retry Recipient 4",
        ),
        (
            r#"{"error":[{"code":1}],"retryable":true,"message":{}}"#,
            "retry Recipient -",
        ),
        (r#"{"retryable":"perhaps","code":{}}"#, "uncertain"),
    ] {
        assert_eq!(short(&of(503, body)), expected, "{body}");
    }
}

#[test]
fn a_failure_says_what_for_a_person_and_what_for_support() {
    let body = enveloped(
        400,
        1002,
        r#""message":"to: 'Hi Dana' +12025550143","retryable":false"#,
    );
    let outcome = of(400, &body);
    let failure = outcome.failure().unwrap();
    assert_eq!((failure.code, failure.http), (Some(1002), Some(400)));
    assert_eq!(failure.trace_id.as_deref(), Some("5f0c"));
    assert_eq!(
        failure.text,
        "a field has a value that Chert does not take (Chert says: to: … …)"
    );
    let outcome = of_send(&answer(503, &[("x-trace-id", "t-9")], "busy"), now);
    assert_eq!(outcome.failure().unwrap().trace_id.as_deref(), Some("t-9"));
    let odd = of(
        400,
        r#"{"code":4242,"message":"no such moon","retryable":false}"#,
    );
    assert_eq!(
        odd.failure().unwrap().text,
        "Chert refused it: no such moon"
    );
}

#[test]
fn what_is_lost_before_the_wire_was_not_sent() {
    let failure = Failure::default;
    let cut = |status| Lost::Cut {
        status,
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("retry-after"),
            HeaderValue::from_static("30"),
        )]),
        failure: failure(),
    };
    let not_sent = Lost::NotSent {
        failure: failure(),
        wait: std::time::Duration::from_secs(2),
    };
    assert_eq!(short(&lost(not_sent, now)), "retry Account 2");
    assert_eq!(short(&lost(Lost::Unanswered(failure()), now)), "uncertain");
    assert_eq!(short(&lost(cut(200), now)), "uncertain");
    assert_eq!(short(&lost(cut(400), now)), "uncertain");
    assert_eq!(short(&lost(cut(429), now)), "retry Account 30");
    assert_eq!(short(&harmless(lost(cut(200), now))), "retry Recipient -");
}
