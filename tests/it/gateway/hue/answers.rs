//! What each answer to a message means (huechat §4, §13): what became of it, for whom a wait is,
//! and how long it is.

use proptest::prelude::*;
use proptest::sample::select;
use sendoff::domain::outcome::{Outcome, Scope};

use super::{TAKEN, gist, outcome_of, refusal};
use crate::gateway::server::{Then, raw, reply};

const ACCOUNT: Option<Scope> = Some(Scope::Account);
const DATE: (&str, &str) = ("date", "Wed, 10 Jun 2026 09:15:00 GMT");

#[tokio::test]
async fn a_refusal_for_the_rate_stops_the_account_for_as_long_as_is_said() {
    let body = r#"{"error":"rate_limited","message":"slow down","code":429,"retry_after":42}"#;
    let reset = |offset: i64| ("x-ratelimit-reset", (1_781_082_900 + offset).to_string());
    for (headers, body, wait) in [
        (vec![("retry-after", "42".to_owned())], "", 42),
        (vec![("Retry-After", "50".to_owned())], body, 50),
        (vec![("retry-after", "7".to_owned())], body, 42),
        (vec![], body, 42),
        (vec![], r#"{"retry_after":"9"}"#, 9),
        (vec![], r#"{"retry_after":1.2}"#, 2),
        (
            vec![("retry-after", "Wed, 10 Jun 2026 09:16:30 GMT".to_owned())],
            "",
            90,
        ),
        // By the provider's own clock, which is an hour ahead.
        (
            vec![
                ("date", "Wed, 10 Jun 2026 10:15:00 GMT".to_owned()),
                ("retry-after", "Wed, 10 Jun 2026 10:15:10 GMT".to_owned()),
            ],
            "",
            10,
        ),
        (vec![reset(17)], "", 17),
        // A stated wait goes before the end of the window.
        (vec![reset(17), ("retry-after", "3".to_owned())], "", 3),
        (vec![reset(17), ("retry-after", "0".to_owned())], "", 17),
        // Until the day ends.
        (vec![reset(53_100)], "", 53_100),
        (vec![("retry-after", "53100".to_owned())], "", 53_100),
        (vec![("retry-after", "soon".to_owned())], "<html>", 60),
        (vec![], "", 60),
    ] {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let outcome = outcome_of(vec![reply(429, &headers, body)]).await;
        assert_eq!(
            gist(&outcome),
            ("retry", ACCOUNT, Some(wait)),
            "{headers:?} {body}"
        );
    }
}

#[tokio::test]
async fn maintenance_is_tried_again_only_when_it_says_when() {
    let body = r#"{"error":"service_unavailable","message":"later","code":503,"retry_after":9}"#;
    for (headers, body, expected) in [
        (vec![("retry-after", "5")], "", ("retry", ACCOUNT, Some(5))),
        (
            vec![("retry-after", "5")],
            body,
            ("retry", ACCOUNT, Some(9)),
        ),
        (
            vec![DATE, ("retry-after", "Wed, 10 Jun 2026 09:15:45 GMT")],
            "<html>",
            ("retry", ACCOUNT, Some(45)),
        ),
        (vec![], "", ("uncertain", None, None)),
        (vec![], body, ("uncertain", None, None)),
        (vec![("retry-after", "0")], "", ("uncertain", None, None)),
        (vec![("retry-after", "soon")], "", ("uncertain", None, None)),
        (
            vec![("x-ratelimit-reset", "1781082917")],
            body,
            ("uncertain", None, None),
        ),
    ] {
        let outcome = outcome_of(vec![reply(503, &headers, body)]).await;
        assert_eq!(gist(&outcome), expected, "{headers:?} {body}");
    }
}

#[tokio::test]
async fn a_fault_of_the_server_leaves_it_open() {
    let wait = [("retry-after", "5")];
    for status in [500, 501, 502, 504, 505, 520, 599] {
        for body in [
            "",
            "<html>Bad gateway</html>",
            &refusal(status, "internal_error"),
            TAKEN,
        ] {
            for headers in [&[][..], &wait] {
                let outcome = outcome_of(vec![reply(status, headers, body)]).await;
                assert_eq!(gist(&outcome), ("uncertain", None, None), "{status} {body}");
                assert_eq!(outcome.failure().unwrap().http, Some(status));
            }
        }
    }
}

#[tokio::test]
async fn each_named_refusal_is_for_one_person_or_for_all() {
    for (status, name, class) in [
        (400, "invalid_input", "permanent"),
        (404, "not_found", "permanent"),
        (405, "method_not_allowed", "permanent"),
        (409, "conflict", "permanent"),
        (422, "unprocessable", "permanent"),
        (422, "outside_messaging_window", "permanent"),
        (422, "recipient_not_reachable", "permanent"),
        (422, "something_new", "permanent"),
        (422, "template_not_found", "stop_run"),
        (422, "template_not_approved", "stop_run"),
        (422, "template_parameters_mismatch", "stop_run"),
        (422, "channel_not_connected", "stop_run"),
        (401, "unauthorized", "stop_run"),
        (403, "forbidden", "stop_run"),
        (403, "quota_exceeded", "stop_run"),
        (402, "payment_required", "stop_run"),
        (408, "timeout", "uncertain"),
    ] {
        let body = refusal(status, name);
        let outcome = outcome_of(vec![reply(status, &[("x-request-id", "req_h")], &body)]).await;
        assert_eq!(gist(&outcome), (class, None, None), "{name}");
        let failure = outcome.failure().unwrap();
        assert_eq!(
            (failure.http, failure.code),
            (Some(status), Some(status.into()))
        );
        assert_eq!(failure.text, format!("{name}: No"));
        assert_eq!(failure.trace_id.as_deref(), Some("req_9Zt41c"));
    }
}

#[tokio::test]
async fn the_status_decides_where_the_words_are_somebody_elses() {
    for (status, class) in [
        (400, "uncertain"),
        (409, "uncertain"),
        (413, "uncertain"),
        (422, "uncertain"),
        (499, "uncertain"),
        (401, "stop_run"),
        (403, "stop_run"),
        (404, "permanent"),
        (600, "uncertain"),
        (999, "uncertain"),
    ] {
        for body in [
            "",
            "<html>proxy</html>",
            "[1]",
            r#"{"error":{"code":1}}"#,
            r#"{"error":"Not A Name"}"#,
        ] {
            let outcome = outcome_of(vec![reply(status, &[("x-request-id", "req_h")], body)]).await;
            assert_eq!(gist(&outcome), (class, None, None), "{status} {body}");
            assert_eq!(
                outcome.failure().unwrap().trace_id.as_deref(),
                Some("req_h")
            );
        }
    }
}

#[tokio::test]
async fn a_message_that_failed_at_once_is_never_sent() {
    for (error, class, scope, wait, code) in [
        (
            r#""131026: Message undeliverable""#,
            "permanent",
            None,
            None,
            Some(131_026),
        ),
        (
            r#""(#131047) Re-engagement message""#,
            "permanent",
            None,
            None,
            Some(131_047),
        ),
        (
            r#""131049: Held back""#,
            "permanent",
            None,
            None,
            Some(131_049),
        ),
        (
            r#""131056: pair rate""#,
            "retry",
            Some(Scope::Recipient),
            Some(6),
            Some(131_056),
        ),
        (
            r#""130429: throughput""#,
            "retry",
            ACCOUNT,
            Some(1),
            Some(130_429),
        ),
        (
            r#""132001: no such template""#,
            "stop_run",
            None,
            None,
            Some(132_001),
        ),
        (r#""132015""#, "stop_run", None, None, Some(132_015)),
        (r#""no reason""#, "permanent", None, None, None),
        ("null", "permanent", None, None, None),
        (r#"{"code":1}"#, "permanent", None, None, None),
    ] {
        let body = format!(
            r#"{{"id":"msg_1","conversation_id":"conv_1","status":"failed","error":{error}}}"#
        );
        for status in [200, 201] {
            let outcome = outcome_of(vec![reply(status, &[], &body)]).await;
            assert_eq!(gist(&outcome), (class, scope, wait), "{error}");
            let failure = outcome.failure().unwrap();
            assert_eq!(
                (failure.code, failure.http),
                (code, Some(status)),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn a_success_is_one_only_with_a_name_for_the_message() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "<html>Welcome to the hotel</html>",
        r#"{"status":"sent","conversation_id":"conv_1"}"#,
        r#"{"id":null,"status":"sent"}"#,
        r#"{"id":"","status":"sent"}"#,
        r#"{"id":7,"status":"sent"}"#,
        r#"{"id":["msg_1"]}"#,
        r#"{"id":"msg_1","id":"msg_2"}"#,
        r#"{"id":"msg_1""#,
        r#"{"id":"msg_1"} {"id":"msg_2"}"#,
        r#"{"message":{"id":"msg_1"}}"#,
        r#"{"status":"failed","error":"131026"}"#,
        &format!(r#"{{"id":"{}"}}"#, "x".repeat(300)),
    ] {
        for status in [200, 201, 202, 204, 299] {
            let body = if status == 204 { "" } else { body };
            let outcome = outcome_of(vec![reply(status, &[], body)]).await;
            assert_eq!(gist(&outcome), ("uncertain", None, None), "{status} {body}");
        }
    }
    for body in [
        r#"{"id":"msg_1"}"#,
        r#" {"id":"msg_1","conversation_id":"","status":"queued","more":[{}]} "#,
    ] {
        let outcome = outcome_of(vec![reply(200, &[], body)]).await;
        let taken = Outcome::Accepted {
            message_id: Some("msg_1".to_owned()),
            chat_id: None,
        };
        assert_eq!(outcome, taken, "{body}");
    }
}

/// Bodies that are nearly an answer.
fn body() -> impl Strategy<Value = String> {
    let piece = |text: &'static [&'static str]| select(text);
    let nearly = (
        piece(&[
            r#""id":"msg_1""#,
            r#""id":"""#,
            r#""id":1"#,
            r#""ident":"msg_1""#,
        ]),
        piece(&[
            r#""status":"sent""#,
            r#""status":"failed""#,
            r#""status":null"#,
            r#""code":409"#,
        ]),
        piece(&[
            r#""error":"131056: x""#,
            r#""retry_after":5"#,
            r#""more":{}"#,
        ]),
        0usize..60,
    );
    prop_oneof![
        4 => nearly.prop_map(|(id, status, more, cut)| {
            let whole = format!("{{{id},{status},{more}}}");
            let kept = if cut < 30 { whole.len() } else { whole.len().saturating_sub(cut - 29) };
            whole[..kept].to_owned()
        }),
        1 => "[ -~]{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..ProptestConfig::default() })]

    /// The oracle reads an answer for itself, by the two things that make a message sent, and the
    /// three that make it safe to send again.
    #[test]
    fn no_answer_is_sent_or_safe_to_repeat_unless_it_says_so(
        status in prop_oneof![select(&[200u16, 201, 303, 400, 404, 408, 409, 422, 429, 500, 502, 503][..]), 200u16..600],
        wait in select(&[None, Some("5"), Some("0"), Some("x")][..]),
        body in body(),
    ) {
        let header = wait.map_or_else(String::new, |wait| format!("retry-after: {wait}\r\n"));
        let head = format!("HTTP/1.1 {status} X\r\n{header}content-length: {}\r\n\r\n", body.len());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(outcome_of(vec![raw(head + &body, Then::Close)]));
        let shown: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        let is_named = shown["id"].as_str().is_some_and(|id| !id.is_empty());
        let is_failed = shown["status"] == "failed";
        let is_success = (200..300).contains(&status) && status != 204;
        let sent = is_success && is_named && !is_failed;
        prop_assert_eq!(matches!(outcome, Outcome::Accepted { .. }), sent, "{:?}", outcome);
        let is_refused = status == 429
            || (status == 503 && wait == Some("5"))
            || (is_success && is_named && is_failed && shown["error"] == "131056: x");
        prop_assert_eq!(matches!(outcome, Outcome::Retry { .. }), is_refused, "{:?}", outcome);
    }
}
