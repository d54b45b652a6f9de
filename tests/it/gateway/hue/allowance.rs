//! What the headers say about the account's requests (huechat §3, §15 A17): how many are left and
//! until when, by the provider's clock; nothing where that cannot be so.

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::sample::select;
use sendoff::domain::outcome::Outcome;
use sendoff::gateway::{Allowance, Gateway};

use super::{TAKEN, pair, request};
use crate::gateway::server::{Then, raw, reply};

const RESET_AT: i64 = 1_781_082_900;
const LEFT: &str = "x-ratelimit-remaining";
const RESET: &str = "x-ratelimit-reset";

/// What is known after answers with these headers; and what became of the last one.
async fn heard(status: u16, answers: &[Vec<(&str, String)>]) -> (Option<(u32, i64)>, Outcome) {
    let body = if status == 201 { TAKEN } else { "" };
    let script = answers.iter().map(|headers| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        reply(status, &headers, body)
    });
    let (_server, gateway) = pair(script.collect());
    assert_eq!(gateway.allowance(), None);
    let mut outcome = None;
    for _ in answers {
        outcome = Some(gateway.send(&request()).await);
    }
    let known = gateway
        .allowance()
        .map(|known| (known.remaining, known.renewed_in.as_secs()));
    (known, outcome.unwrap())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "numbers and words alike, as they are written"
)]
fn both(left: &str, reset: impl ToString) -> Vec<(&'static str, String)> {
    vec![(LEFT, left.to_owned()), (RESET, reset.to_string())]
}

#[tokio::test]
async fn what_is_left_and_until_when_is_kept() {
    let dated = |date: &str| [both("7", RESET_AT + 42), vec![("date", date.to_owned())]].concat();
    for (headers, known) in [
        (both("7", RESET_AT + 42), (7, 42)),
        (both(" 0 ", RESET_AT + 1), (0, 1)),
        (both("7", (RESET_AT + 42) * 1_000), (7, 42)),
        (both("7", RESET_AT + 300), (7, 300)),
        (dated("Wed, 10 Jun 2026 09:14:30 GMT"), (7, 72)),
        (dated("Wed, 10 Jun 2026 09:15:30 GMT"), (7, 12)),
        (dated("no date"), (7, 42)),
    ] {
        assert_eq!(
            heard(201, std::slice::from_ref(&headers)).await.0,
            Some(known),
            "{headers:?}"
        );
    }
}

#[tokio::test]
async fn every_answer_is_heard_also_a_broken_one() {
    for status in [200, 400, 401, 404, 429, 500, 503] {
        let known = heard(status, &[both("3", RESET_AT + 9)]).await.0;
        assert_eq!(known, Some((3, 9)), "{status}");
    }
    let head = format!(
        "HTTP/1.1 201 X\r\n{LEFT}: 3\r\n{RESET}: {}\r\ncontent-length: 9\r\n\r\n",
        RESET_AT + 9
    );
    let (_server, gateway) = pair(vec![raw(head, Then::Close)]);
    gateway.send(&request()).await;
    let known = Allowance {
        remaining: 3,
        renewed_in: SignedDuration::from_secs(9),
    };
    assert_eq!(gateway.allowance(), Some(known));
}

#[tokio::test]
async fn what_cannot_be_so_says_nothing_and_stops_nobody() {
    let dated = |date: &str| [both("0", RESET_AT + 42), vec![("date", date.to_owned())]].concat();
    for headers in [
        vec![],
        vec![(LEFT, "0".to_owned())],
        vec![(RESET, (RESET_AT + 5).to_string())],
        both("-1", RESET_AT + 5),
        both("1.5", RESET_AT + 5),
        both("many", RESET_AT + 5),
        both("99999999999999999999", RESET_AT + 5),
        both("0", RESET_AT),
        both("0", RESET_AT - 5),
        both("0", 0),
        both("0", -5),
        both("0", "soon"),
        both("0", "1781082942.5"),
        // In micro- and nanoseconds, in another century, and beyond all.
        both("0", (RESET_AT + 5) * 1_000_000),
        both("0", (RESET_AT + 5) * 1_000_000_000),
        both("0", RESET_AT + 3_000_000_000),
        both("0", RESET_AT + 301),
        both("0", i64::MAX),
        both("0", i64::MIN),
        both("0", "99999999999999999999999"),
        // By this clock the window ends in decades.
        dated("Thu, 01 Jan 1970 00:00:00 GMT"),
        dated("Tue, 31 Dec 2599 23:59:59 GMT"),
    ] {
        let (known, outcome) = heard(201, std::slice::from_ref(&headers)).await;
        assert_eq!(known, None, "{headers:?}");
        assert_eq!(outcome.class().as_str(), "accepted");
    }
}

#[tokio::test]
async fn answers_that_overtake_each_other_give_nothing_back() {
    let of = |left: &str| both(left, RESET_AT + 42);
    assert_eq!(heard(201, &[of("5"), of("7")]).await.0, Some((5, 42)));
    assert_eq!(
        heard(201, &[of("5"), of("0"), of("3")]).await.0,
        Some((0, 42))
    );
    assert_eq!(
        heard(201, &[of("0"), both("99", RESET_AT + 102)]).await.0,
        Some((99, 102))
    );
    assert_eq!(heard(201, &[of("5"), vec![]]).await.0, Some((5, 42)));
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-400i64..100_000).prop_map(|offset| (RESET_AT + offset).to_string()),
        2 => (-400i64..100_000).prop_map(|offset| ((RESET_AT + offset) * 1_000).to_string()),
        2 => (0u32..2_000).prop_map(|number| number.to_string()),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => "[ -~]{0,24}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    /// The oracle counts for itself: a moment in seconds, or in milliseconds above 10^12.
    #[test]
    fn no_headers_open_a_gate_too_early_or_close_it_for_long(
        left in value(), reset in value(),
        date in select(&[None, Some(-3_600i64), Some(-30), Some(0), Some(30), Some(3_600)][..]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut headers = both(&left, &reset);
        if let Some(offset) = date {
            let date = jiff::Timestamp::from_second(RESET_AT + offset).unwrap();
            headers.push(("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        }
        let theirs = i128::from(RESET_AT + date.unwrap_or(0)) * 1_000;
        let moment = reset.trim().parse::<i64>().ok().map(i128::from);
        let moment = moment.map(|at| if at > 1_000_000_000_000 { at } else { at * 1_000 });
        let until = moment.map(|at| at - theirs).filter(|until| *until > 0);

        let known = runtime.block_on(heard(201, std::slice::from_ref(&headers))).0;
        let left = left.trim().parse::<u32>().ok();
        let window = until.filter(|until| *until <= 300_000);
        let expected = left.zip(window).map(|(left, until)| (left, i64::try_from(until / 1_000).unwrap()));
        prop_assert_eq!(known, expected);

        let refused = runtime.block_on(heard(429, &[headers])).1;
        let wait = refused.asked_wait().unwrap().as_millis();
        let stated = until.filter(|until| *until <= 86_400_000).unwrap_or(60_000);
        prop_assert_eq!(wait, stated);
    }
}
