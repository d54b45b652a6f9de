//! What becomes of a message whose answer is broken, slow, huge, or of another protocol: nobody
//! knows, and it is never sent again blindly.

use jiff::SignedDuration;
use proptest::prelude::*;
use sendoff::domain::account::HueChatAccount;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::gateway::Gateway;

use super::{KEY, TAKEN, account, gateway_of, gist, outcome_of, pair, request};
use crate::gateway::server::{Reply, Server, Then, raw, reply};

/// The head of an answer that promises `length` bytes.
fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n")
}

#[tokio::test]
async fn an_answer_that_never_comes_whole_is_uncertain() {
    let half = |status: u16| format!("{}{}", head(status, TAKEN.len()), &TAKEN[..40]);
    let odd = |text: &str| format!("HTTP/1.1 {text}\r\n\r\n");
    for (broken, then) in [
        (String::new(), Then::Close),
        (String::new(), Then::Reset),
        ("HTTP/1.1 201 Created\r\ncont".to_owned(), Then::Close),
        ("HTTP/1.1 201 Created\r\ncont".to_owned(), Then::Reset),
        (half(201), Then::Close),
        (half(201), Then::Reset),
        (half(401), Then::Close),
        (half(422), Then::Reset),
        // Not even a stated wait makes half an answer a refusal, other than of the rate.
        (
            half(503).replacen("content", "retry-after: 5\r\ncontent", 1),
            Then::Close,
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), Then::Close),
        (odd("201 OK\r\ncontent-length: -1"), Then::Close),
        (
            odd("201 OK\r\ntransfer-encoding: chunked") + "zz\r\n",
            Then::Close,
        ),
        (
            odd("101 X\r\nupgrade: x\r\nconnection: upgrade"),
            Then::Close,
        ),
        (odd("100 Continue"), Then::Close),
        (odd("100 Continue") + &odd("102 Processing"), Then::Reset),
        (odd("099 X"), Then::Close),
        ("HTTP/2.0 201 X\r\n\r\n".to_owned(), Then::Close),
    ] {
        let outcome = outcome_of(vec![raw(broken.clone(), then)]).await;
        assert_eq!(
            gist(&outcome),
            ("uncertain", None, None),
            "{broken:?} {outcome:?}"
        );
        assert!(!outcome.why().is_empty(), "{broken:?}");
    }
}

#[tokio::test]
async fn what_comes_before_the_answer_is_not_the_answer() {
    let continued = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    let whole = format!("{continued}{}{TAKEN}", head(201, TAKEN.len()));
    let outcome = outcome_of(vec![raw(whole, Then::Keep)]).await;
    assert_eq!(outcome.class().as_str(), "accepted");
}

#[tokio::test]
async fn a_refusal_for_the_rate_that_breaks_off_keeps_its_wait() {
    for (header, wait) in [
        ("retry-after: 40", 40),
        ("x-ratelimit-reset: 1781082917", 17),
        ("x: y", 60),
    ] {
        let cut = format!("HTTP/1.1 429 X\r\n{header}\r\ncontent-length: 99\r\n\r\n{{\"err");
        let outcome = outcome_of(vec![raw(cut, Then::Close)]).await;
        assert_eq!(
            gist(&outcome),
            ("retry", Some(Scope::Account), Some(wait)),
            "{header}"
        );
    }
}

async fn in_a_hurry(answer: Reply) -> Outcome {
    let server = Server::start(vec![answer]);
    let account = HueChatAccount {
        timeout: SignedDuration::from_millis(300),
        ..account(&format!("http://{}/v2", server.address))
    };
    gateway_of(&account, KEY).unwrap().send(&request()).await
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_uncertain() {
    let half = format!("{}{}", head(201, TAKEN.len()), &TAKEN[..40]);
    for (slow, words) in [
        (String::new(), "no answer within 300ms"),
        (
            "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
            "no answer within 300ms",
        ),
        (half, "not complete within 300ms"),
    ] {
        let outcome = in_a_hurry(raw(slow, Then::Hang)).await;
        assert_eq!(gist(&outcome), ("uncertain", None, None));
        assert!(outcome.why().contains(words), "{outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_over_one_mebibyte_is_not_read() {
    const MEBIBYTE: usize = 1024 * 1024;
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let endless = "HTTP/1.1 201 X\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for huge in [
        head(201, MEBIBYTE + 1),
        head(201, 1 << 60),
        endless + &chunk.repeat(33),
    ] {
        let outcome = outcome_of(vec![raw(huge, Then::Hang)]).await;
        assert_eq!(gist(&outcome), ("uncertain", None, None));
        assert!(outcome.why().contains("longer than 1 MiB"), "{outcome:?}");
    }
    let padded = TAKEN.replacen('{', &format!("{{{}", " ".repeat(MEBIBYTE - TAKEN.len())), 1);
    let outcome = outcome_of(vec![reply(201, &[], &padded)]).await;
    assert_eq!(outcome.class().as_str(), "accepted");
}

#[tokio::test]
async fn a_request_that_died_with_a_used_connection_is_not_repeated() {
    let (mut server, gateway) = pair(vec![reply(201, &[], TAKEN), raw("", Then::Close)]);
    assert_eq!(gateway.send(&request()).await.class().as_str(), "accepted");
    assert_eq!(gateway.send(&request()).await.class().as_str(), "uncertain");
    assert_eq!((server.next().connection, server.next().connection), (0, 0));
    assert!(server.is_idle());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_that_is_cut_anywhere_leaves_it_open(at in 0.0f64..1.0, resets: bool) {
        let whole = format!("{}{TAKEN}", head(201, TAKEN.len()));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        let at = (at * whole.len() as f64) as usize;
        let then = if resets { Then::Reset } else { Then::Close };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let outcome = runtime.block_on(outcome_of(vec![raw(&whole.as_bytes()[..at], then)]));
        prop_assert_eq!(gist(&outcome), ("uncertain", None, None), "cut at {}: {:?}", at, outcome);
    }
}
