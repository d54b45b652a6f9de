//! What the gateway makes of broken, slow, huge and foreign answers.

use jiff::SignedDuration;
use proptest::prelude::*;
use sendoff::domain::account::ChertAccount;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::gateway::Gateway;

use super::server::{Reply, Server, Then, raw, reply};
use super::{TAKEN, account, gateway_of, outcome_of, pair, request};

/// The head of an answer that promises `length` bytes.
fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn an_answer_that_never_comes_whole_is_uncertain() {
    let half = format!("{}{}", head(200, TAKEN.len()), &TAKEN[..20]);
    for (broken, what) in [
        (raw("", Then::Close), "closed without a word"),
        (raw("", Then::Reset), "reset without a word"),
        (
            raw("HTTP/1.1 200 OK\r\ncont", Then::Close),
            "closed inside the headers",
        ),
        (
            raw("HTTP/1.1 200 OK\r\ncont", Then::Reset),
            "reset inside the headers",
        ),
        (raw(half.clone(), Then::Close), "closed inside the body"),
        (raw(half, Then::Reset), "reset inside the body"),
        (
            raw("SSH-2.0-OpenSSH_9.6\r\n", Then::Close),
            "no HTTP at all",
        ),
        (
            raw("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", Then::Close),
            "absurd length",
        ),
        (
            raw(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
                Then::Close,
            ),
            "broken chunk",
        ),
        (
            raw(
                "HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
                Then::Close,
            ),
            "101",
        ),
    ] {
        let outcome = outcome_of(vec![broken]).await;
        assert_eq!(outcome.class().as_str(), "uncertain", "{what}: {outcome:?}");
        assert!(!outcome.failure().unwrap().text.is_empty(), "{what}");
    }
}

async fn in_a_hurry(answer: Reply) -> Outcome {
    let server = Server::start(vec![answer]);
    let gateway = gateway_of(ChertAccount {
        timeout: SignedDuration::from_millis(300),
        ..account(&server.base_url())
    })
    .unwrap();
    gateway.send(&request(&gateway, None)).await
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_uncertain() {
    let outcome = in_a_hurry(raw("", Then::Hang)).await;
    assert_eq!(outcome.class().as_str(), "uncertain");
    assert!(
        outcome
            .failure()
            .unwrap()
            .text
            .contains("no answer within 300ms"),
        "{outcome:?}"
    );

    let half = format!("{}{}", head(200, TAKEN.len()), &TAKEN[..20]);
    let outcome = in_a_hurry(raw(half, Then::Hang)).await;
    assert_eq!(outcome.class().as_str(), "uncertain");
    assert!(
        outcome
            .failure()
            .unwrap()
            .text
            .contains("not complete within 300ms"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_answer_over_one_mebibyte_is_not_read() {
    const MEBIBYTE: usize = 1024 * 1024;
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let endless = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(33)
    );
    for huge in [
        raw(head(200, MEBIBYTE + 1), Then::Hang),
        raw(head(200, 1 << 60), Then::Hang),
        // No length is announced, and the end never comes.
        raw(endless, Then::Hang),
    ] {
        let outcome = outcome_of(vec![huge]).await;
        assert_eq!(outcome.class().as_str(), "uncertain");
        assert!(
            outcome
                .failure()
                .unwrap()
                .text
                .contains("longer than 1 MiB"),
            "{outcome:?}"
        );
    }
    let padded = TAKEN.replacen('{', &format!("{{{}", " ".repeat(MEBIBYTE - TAKEN.len())), 1);
    assert_eq!(padded.len(), MEBIBYTE);
    assert_eq!(
        outcome_of(vec![reply(200, &[], &padded)])
            .await
            .class()
            .as_str(),
        "accepted"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let moved = reply(status, &[("location", "/elsewhere")], "");
        let (mut server, gateway) = pair(vec![moved]);
        let outcome = gateway.send(&request(&gateway, None)).await;
        assert_eq!(outcome.class().as_str(), "stop_run", "{status}");
        assert!(outcome.failure().unwrap().text.contains("base_url"));
        server.next();
        assert!(server.is_idle());
    }
}

#[tokio::test]
async fn a_refusal_whose_body_breaks_off_keeps_its_wait() {
    let cut = "HTTP/1.1 429 X\r\nretry-after: 40\r\ncontent-length: 99\r\n\r\n{\"err";
    let outcome = outcome_of(vec![raw(cut, Then::Close)]).await;
    let Outcome::Retry { after, scope, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (after, scope),
        (Some(SignedDuration::from_secs(40)), Scope::Account)
    );
}

#[tokio::test]
async fn a_wait_is_taken_from_header_or_body_whichever_is_longer() {
    let body = r#"{"error":{"code":1007,"retryable":true,"retry_after":5}}"#;
    let date = ("date", "Wed, 10 Jun 2026 12:00:00 GMT");
    for (headers, seconds) in [
        (vec![], 5),
        (vec![("retry-after", "3")], 5),
        (vec![("Retry-After", "7")], 7),
        (vec![("retry-after", "Wed, 10 Jun 2026 09:16:40 GMT")], 100),
        (
            vec![date, ("retry-after", "Wed, 10 Jun 2026 12:00:10 GMT")],
            10,
        ),
    ] {
        let outcome = outcome_of(vec![reply(429, &headers, body)]).await;
        let Outcome::Retry { after, .. } = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(
            after,
            Some(SignedDuration::from_secs(seconds)),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_replaced() {
    let last = Reply {
        then: Then::Close,
        ..reply(200, &[("connection", "close")], TAKEN)
    };
    let (mut server, gateway) = pair(vec![last.clone(), last.clone(), last]);
    for connection in 0..3 {
        let outcome = gateway.send(&request(&gateway, None)).await;
        assert_eq!(
            (outcome.class().as_str(), server.next().connection),
            ("accepted", connection)
        );
    }
    assert!(server.is_idle());
}

#[tokio::test]
async fn a_request_that_died_with_a_used_connection_is_not_repeated() {
    let script = vec![reply(200, &[], TAKEN), raw("", Then::Close)];
    let (mut server, gateway) = pair(script);
    assert_eq!(
        gateway
            .send(&request(&gateway, None))
            .await
            .class()
            .as_str(),
        "accepted"
    );
    assert_eq!(
        gateway
            .send(&request(&gateway, None))
            .await
            .class()
            .as_str(),
        "uncertain"
    );
    assert_eq!((server.next().connection, server.next().connection), (0, 0));
    assert!(server.is_idle());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_an_answer_get_a_class(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        status in prop::option::of(100u16..700),
        headers in prop::option::of("[ -~]{0,40}"),
    ) {
        let mut answer = Vec::new();
        if let Some(status) = status {
            let header = headers.map_or_else(String::new, |value| format!("retry-after: {value}\r\n"));
            answer = format!("HTTP/1.1 {status} X\r\n{header}content-length: {}\r\n\r\n", bytes.len())
                .into_bytes();
        }
        answer.extend(bytes);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(outcome_of(vec![raw(answer, Then::Close)]));
        prop_assert!(outcome.class().as_str() != "accepted" || status.is_none_or(|s| (200..300).contains(&s)));
    }
}
