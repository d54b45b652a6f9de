//! Pages of a conversation, right and wrong: "it was not sent" is said only of a list that was
//! read as far as the message could stand.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sendoff::domain::outcome::{Failure, Outcome};
use sendoff::gateway::{AtOnce, Gateway, Sighting, Turns};
use serde_json::Value;

use super::likeness::word;
use super::lists::{Lists, Tells, noise, ours};
use super::{TEXT, gateway_at, gist, message, pair, sought};
use crate::gateway::server::{Reply, Server, Then, raw, reply};

async fn found(server: &Server) -> Result<Sighting, Outcome> {
    let gateway = gateway_at(server.address);
    let others = HashSet::new();
    let message = message(TEXT);
    gateway
        .find(&sought(&message, Some("conv_1"), &others), &AtOnce)
        .await
}

async fn seen(lists: Lists) -> String {
    word(found(&lists.serve()).await.unwrap())
}

/// Notices newest first, a second apart, the newest so many seconds after the attempt.
fn notices(count: usize, newest: i64) -> Vec<Value> {
    let age = |number: usize| newest - i64::try_from(number).unwrap();
    (0..count)
        .map(|number| noise(number, age(number)))
        .collect()
}

#[tokio::test]
async fn a_conversation_that_is_known_is_read_by_one_request() {
    let mut server = Lists::of(vec![ours("msg_1", 1)]).serve();
    let sighting = found(&server).await.unwrap();
    assert_eq!(
        sighting,
        Sighting::Found {
            message_id: "msg_1".to_owned(),
            chat_id: Some("conv_1".to_owned())
        }
    );
    let line = "GET /v2/conversation/conv_1/messages?limit=100&offset=0 HTTP/1.1";
    assert_eq!(server.next().line(), line);
    assert!(server.is_idle());
}

#[tokio::test]
async fn pages_are_read_on_until_what_is_older_than_the_attempt() {
    let mut rows = notices(400, 30);
    let mut server = Lists::of(rows.clone()).serve();
    assert_eq!(word(found(&server).await.unwrap()), "absent");
    let first = "GET /v2/conversation/conv_1/messages?limit=100&offset=0 HTTP/1.1";
    assert_eq!(server.next().line(), first);
    assert!(server.next().line().starts_with("GET /v2/conversations?"));
    assert!(server.is_idle(), "the rest is older");

    rows = notices(400, 500);
    rows.insert(333, ours("msg_1", 167));
    assert_eq!(seen(Lists::of(rows.clone())).await, "msg_1");
    // A second one on a later page counts as well.
    rows.insert(350, ours("msg_2", 151));
    assert_eq!(seen(Lists::of(rows)).await, "unclear");
}

#[tokio::test]
async fn whatever_a_page_says_of_the_next_one_the_message_is_found() {
    for tells in [
        Tells::All,
        Tells::Nothing,
        Tells::MoreAlone,
        Tells::TotalAlone,
        Tells::NeverMore,
        Tells::AlwaysMore,
    ] {
        for page in [1, 2, 7] {
            let mut rows = notices(9, 30);
            rows.insert(8, ours("msg_1", 22));
            let lists = Lists {
                page,
                tells,
                ..Lists::of(rows)
            };
            assert_eq!(seen(lists).await, "msg_1", "{tells:?}, {page} a page");
        }
    }
}

#[tokio::test]
async fn a_list_without_an_end_proves_nothing_and_is_left() {
    let same = r#"{"data":[{"id":"msg_n","message_type":"text","content":"No","sent_by":"user","sent_at":"2026-06-10T09:16:00Z"}],"pagination":{"has_more":true}}"#;
    let mut server = Server::answering(move |_| reply(200, &[], same));
    assert_eq!(word(found(&server).await.unwrap()), "unclear");
    let asked = std::iter::from_fn(|| server.try_next()).count();
    // Twenty pages of the conversation, and as many of conversations.
    assert!(asked <= 40, "{asked}");
    assert_eq!(seen(Lists::of(notices(3_000, 9_000))).await, "unclear");
    let lists = Lists {
        page: 2,
        tells: Tells::AlwaysMore,
        ..Lists::of(notices(3, 30))
    };
    assert_eq!(
        seen(lists).await,
        "unclear",
        "it says that there is more, and shows nothing"
    );
}

#[tokio::test]
async fn a_list_that_is_empty_against_its_own_count_proves_nothing() {
    for body in [
        r#"{"data":[],"pagination":{"total":3,"has_more":false}}"#,
        r#"{"data":[],"pagination":{"total":0,"has_more":true}}"#,
        r#"{"data":[],"pagination":{"total":3}}"#,
    ] {
        let server = Server::answering(move |_| reply(200, &[], body));
        assert_eq!(word(found(&server).await.unwrap()), "unclear", "{body}");
    }
}

#[tokio::test]
async fn a_list_that_comes_oldest_first_is_read_to_its_end() {
    let mut rows = notices(250, 30);
    rows.insert(0, ours("msg_1", 31));
    rows.reverse();
    assert_eq!(seen(Lists::of(rows)).await, "msg_1");
    let mut rows = notices(250, 30);
    rows.reverse();
    assert_eq!(seen(Lists::of(rows)).await, "absent");
    // Nor is one believed to fall that has not been seen to.
    let mut rows: Vec<Value> = (0..120).map(|number| noise(number, -900)).collect();
    rows.push(ours("msg_1", 1));
    assert_eq!(seen(Lists::of(rows)).await, "msg_1");
    let mut rows = notices(99, -10);
    rows.push(noise(99, 40));
    rows.push(ours("msg_1", 1));
    assert_eq!(seen(Lists::of(rows)).await, "msg_1");
}

#[tokio::test]
async fn rows_that_move_down_while_they_are_read_count_once() {
    // Somebody writes before each page: every row comes again.
    let moving = |rows: Vec<Value>, by: usize| {
        let mut next = 1_000;
        let lists = Lists {
            page: 4,
            ..Lists::of(rows)
        };
        lists.with_change(move |asked, lists| {
            let rows = lists.messages.get_mut("conv_1").unwrap();
            if (1..5).contains(&asked) {
                for _ in 0..by {
                    next += 1;
                    rows.insert(0, noise(next, 60));
                }
            }
        })
    };
    for by in [1, 2, 3, 4, 6] {
        let mut rows = notices(12, 30);
        assert_eq!(seen(moving(rows.clone(), by)).await, "absent", "{by}");
        rows.insert(3, ours("msg_1", 27));
        assert_eq!(seen(moving(rows, by)).await, "msg_1", "{by}");
    }
}

#[tokio::test]
async fn rows_that_get_lost_between_two_pages_leave_a_doubt() {
    for lost in [1, 2, 5] {
        let mut rows = notices(12, 30);
        rows.insert(4, ours("msg_1", 26));
        let lists = Lists {
            page: 4,
            ..Lists::of(rows)
        };
        let lists = lists.with_change(move |asked, lists| {
            if asked == 1 {
                let rows = lists.messages.get_mut("conv_1").unwrap();
                rows.drain(..lost);
            }
        });
        // It moved up with the others, past the place that was read unless only one was lost.
        let expected = if lost == 1 { "msg_1" } else { "unclear" };
        assert_eq!(seen(lists).await, expected, "{lost}");
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_read_is_never_an_answer() {
    let whole = |body: &str| reply(200, &[], body);
    let broken: Vec<(Reply, &str)> = vec![
        (whole(""), "stop_run"),
        (whole("<html>hotel</html>"), "stop_run"),
        (whole("[]"), "stop_run"),
        (whole("{}"), "stop_run"),
        (whole(r#"{"data":null}"#), "stop_run"),
        (whole(r#"{"data":{"id":"msg_1"}}"#), "stop_run"),
        (whole(r#"{"data":[],"pagi"#), "stop_run"),
        (reply(204, &[], ""), "stop_run"),
        (raw("", Then::Close), "retry"),
        (
            raw(
                "HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{\"data\":[]",
                Then::Close,
            ),
            "retry",
        ),
        (reply(500, &[], ""), "retry"),
        (reply(503, &[("retry-after", "9")], ""), "retry"),
        (reply(429, &[], ""), "retry"),
        (reply(303, &[("location", "/")], ""), "retry"),
        (reply(307, &[("location", "/")], ""), "stop_run"),
        (reply(401, &[], ""), "stop_run"),
        (reply(404, &[], ""), "permanent"),
    ];
    let good = r#"{"data":[{"id":"msg_n","message_type":"text","content":"No","sent_by":"user","sent_at":"2026-06-10T09:16:00Z"}],"pagination":{"has_more":true}}"#;
    for (broken, class) in broken {
        for before in [0, 2] {
            let mut script = vec![reply(200, &[], good); before];
            script.push(broken.clone());
            let server = Server::start(script);
            let outcome = found(&server).await.unwrap_err();
            assert_eq!(
                gist(&outcome).0,
                class,
                "{before} pages before: {outcome:?}"
            );
        }
    }
}

/// Lets so many requests pass.
#[derive(Debug)]
struct Gate(AtomicUsize);

#[async_trait]
impl Turns for Gate {
    async fn next(&self) -> Result<(), Outcome> {
        let left = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        left.map(drop).map_err(|_| Outcome::StopRun {
            failure: Failure::default(),
        })
    }

    async fn ready(&self) {}
}

#[tokio::test]
async fn each_request_of_a_look_has_its_own_turn() {
    let page = r#"{"data":[],"pagination":{"has_more":false}}"#;
    let more = r#"{"data":[{"id":"conv_2","contact_id":"cnt_o"}],"pagination":{"has_more":true}}"#;
    let (mut server, gateway) = pair(vec![reply(200, &[], page), reply(200, &[], more)]);
    let others = HashSet::new();
    let message = message(TEXT);
    let sought = sought(&message, Some("conv_1"), &others);
    let turns = Gate(AtomicUsize::new(2));
    let outcome = gateway.find(&sought, &turns).await.unwrap_err();
    assert_eq!(outcome.class().as_str(), "stop_run");
    for _ in 0..2 {
        server.next();
    }
    assert!(server.is_idle());
}
