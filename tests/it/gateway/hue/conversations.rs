//! Which conversations are looked through for a message: every one with the person over the
//! channel that it may stand in, however they move while they are listed.

use std::collections::{BTreeMap, HashSet};

use sendoff::domain::outcome::Outcome;
use sendoff::gateway::{AtOnce, Gateway, Sighting, Sought};
use serde_json::{Value, json};

use super::likeness::word;
use super::lists::{Lists, Tells, conversation, noise, ours};
use super::{TEXT, looker_at, message, sought};
use crate::gateway::server::Server;

async fn found_with(
    server: &Server,
    chat_id: Option<&str>,
    contact_id: Option<&str>,
) -> Result<Sighting, Outcome> {
    let gateway = looker_at(server.address);
    let others = HashSet::new();
    let message = message(TEXT);
    let sought = Sought {
        contact_id,
        ..sought(&message, chat_id, &others)
    };
    gateway.find(&sought, &AtOnce).await
}

async fn seen(lists: Lists, chat_id: Option<&str>) -> String {
    let server = lists.serve();
    let sighting = found_with(&server, chat_id, Some("cnt_5f")).await;
    word(sighting.unwrap())
}

fn lists(conversations: Vec<Value>, messages: Vec<(&str, Vec<Value>)>) -> Lists {
    let messages = messages.into_iter().map(|(id, rows)| (id.to_owned(), rows));
    Lists {
        conversations,
        messages: messages.collect::<BTreeMap<_, _>>(),
        ..Lists::of(Vec::new())
    }
}

fn closed(mut conversation: Value) -> Value {
    conversation["status"] = "closed".into();
    conversation
}

/// Paths of all that was asked, without what is always the same.
fn asked(server: &mut Server) -> Vec<String> {
    let lines = std::iter::from_fn(|| server.try_next());
    let paths = lines.map(|got| got.line().split([' ', '?']).nth(1).unwrap().to_owned());
    paths
        .map(|path| path.replace("/v2/conversation", ""))
        .collect()
}

#[tokio::test]
async fn a_conversation_that_nobody_told_of_is_found_by_its_contact() {
    let others = |number: i64| conversation(&format!("conv_o{number}"), "cnt_other", 60 - number);
    let mut all: Vec<Value> = (0..5).map(others).collect();
    all.insert(3, conversation("conv_1", "cnt_5f", 56));
    let all = lists(all, vec![("conv_1", vec![noise(1, 30), ours("msg_1", 1)])]);
    let mut server = all.serve();
    let sighting = found_with(&server, None, Some("cnt_5f")).await.unwrap();
    let expected = Sighting::Found {
        message_id: "msg_1".to_owned(),
        chat_id: Some("conv_1".to_owned()),
    };
    assert_eq!(sighting, expected);
    assert_eq!(asked(&mut server), ["s", "/conv_1/messages"]);
}

#[tokio::test]
async fn only_what_it_may_stand_in_is_read() {
    let with = |name: &str, value: Value| {
        let mut other = conversation("conv_x", "cnt_5f", 60);
        other[name] = value;
        other
    };
    for other in [
        with("contact_id", json!("cnt_other")),
        with("channel", json!("sms")),
        with("channel", json!("fax")),
        // Nothing was said in it since.
        conversation("conv_x", "cnt_5f", -30),
    ] {
        let mut server = lists(vec![other.clone()], vec![]).serve();
        let sighting = found_with(&server, None, Some("cnt_5f")).await.unwrap();
        assert_eq!(word(sighting), "absent", "{other}");
        assert_eq!(asked(&mut server), ["s"]);
    }
    for (name, value) in [
        ("channel", Value::Null),
        ("channel", json!("WhatsApp")),
        ("last_message_at", Value::Null),
        ("last_message_at", json!("just now")),
        ("status", json!("archived")),
        ("contact_id", Value::Null),
    ] {
        let conversations = vec![with(name, value.clone())];
        let all = lists(conversations, vec![("conv_x", vec![ours("msg_1", 1)])]);
        assert_eq!(seen(all, None).await, "msg_1", "{name}: {value}");
    }
}

#[tokio::test]
async fn a_conversation_of_which_nobody_can_say_whose_it_is_leaves_a_doubt() {
    let good = || conversation("conv_x", "cnt_5f", 60);
    let mut no_contact = good();
    no_contact.as_object_mut().unwrap().remove("contact_id");
    no_contact.as_object_mut().unwrap().remove("contact");
    let mut no_name = good();
    no_name["id"] = Value::Null;
    for odd in [no_contact, no_name] {
        assert_eq!(seen(lists(vec![odd], vec![]), None).await, "unclear");
    }
}

#[tokio::test]
async fn a_message_that_opened_the_next_conversation_is_found_in_it() {
    let both = || {
        lists(
            vec![
                conversation("conv_2", "cnt_5f", 2),
                closed(conversation("conv_1", "cnt_5f", -600)),
            ],
            vec![
                ("conv_1", vec![noise(1, -600)]),
                ("conv_2", vec![ours("msg_2", 2)]),
            ],
        )
    };
    assert_eq!(seen(both(), Some("conv_1")).await, "msg_2");
    assert_eq!(seen(both(), None).await, "msg_2");
    // It was closed afterwards, and the person opened another one.
    let mut after = both();
    after
        .messages
        .insert("conv_1".to_owned(), vec![ours("msg_1", 1)]);
    after
        .messages
        .insert("conv_2".to_owned(), vec![noise(2, 50)]);
    after.conversations[1] = closed(conversation("conv_1", "cnt_5f", 1));
    assert_eq!(seen(after, None).await, "msg_1");
    // In neither of them.
    let mut neither = both();
    neither
        .messages
        .insert("conv_2".to_owned(), vec![noise(2, 50)]);
    assert_eq!(seen(neither, Some("conv_1")).await, "absent");
}

#[tokio::test]
async fn a_conversation_that_is_known_is_read_first_and_once() {
    let known = lists(
        vec![conversation("conv_1", "cnt_5f", 60)],
        vec![("conv_1", vec![noise(1, 30)])],
    );
    let mut server = known.serve();
    let sighting = found_with(&server, Some("conv_1"), Some("cnt_5f")).await;
    assert_eq!(word(sighting.unwrap()), "absent");
    assert_eq!(asked(&mut server), ["/conv_1/messages", "s"]);
}

#[tokio::test]
async fn a_conversation_that_is_gone_is_no_proof() {
    let gone = lists(vec![], vec![]).serve();
    let outcome = found_with(&gone, Some("conv_1"), Some("cnt_5f")).await;
    assert_eq!(outcome.unwrap_err().class().as_str(), "permanent");
    let listed = lists(vec![conversation("conv_1", "cnt_5f", 60)], vec![]).serve();
    let outcome = found_with(&listed, None, Some("cnt_5f")).await;
    assert_eq!(outcome.unwrap_err().class().as_str(), "permanent");
}

#[tokio::test]
async fn somebody_whose_contact_was_forgotten_may_have_been_written_to() {
    let mut server = lists(vec![], vec![]).serve();
    let sighting = found_with(&server, None, None).await.unwrap();
    assert_eq!(word(sighting), "unclear");
    assert!(server.is_idle());
    // What the known conversation shows still counts.
    let known = lists(
        vec![closed(conversation("conv_1", "cnt_5f", 60))],
        vec![("conv_1", vec![ours("msg_1", 1)])],
    );
    let known = known.serve();
    let sighting = found_with(&known, Some("conv_1"), None).await.unwrap();
    assert_eq!(word(sighting), "msg_1");
    let none = lists(
        vec![closed(conversation("conv_1", "cnt_5f", 60))],
        vec![("conv_1", vec![])],
    );
    let none = none.serve();
    let sighting = found_with(&none, Some("conv_1"), None).await.unwrap();
    assert_eq!(word(sighting), "unclear");
}

/// Conversations with other people, the newest first, a second apart.
fn strangers(count: usize, newest: i64) -> Vec<Value> {
    let one = |number: usize| {
        let age = i64::try_from(number).unwrap();
        conversation(
            &format!("conv_o{number}"),
            &format!("cnt_o{number}"),
            newest - age,
        )
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn a_conversation_that_moves_past_the_place_that_is_read_is_not_missed() {
    for (page, moves_at) in [(4, 1), (4, 2), (5, 1), (7, 1)] {
        let mut all = strangers(12, 60);
        all.insert(10, conversation("conv_1", "cnt_5f", 50));
        let all = Lists {
            page,
            ..lists(all, vec![("conv_1", vec![noise(1, 61), ours("msg_1", 1)])])
        };
        // The person answers while the first pages are read.
        let all = all.with_change(move |asked, lists| {
            if asked == moves_at {
                let place = lists
                    .conversations
                    .iter()
                    .position(|one| one["id"] == "conv_1");
                lists.conversations.remove(place.unwrap());
                lists
                    .conversations
                    .insert(0, conversation("conv_1", "cnt_5f", 181));
            }
        });
        assert_eq!(
            seen(all, None).await,
            "msg_1",
            "{page} a page, before {moves_at}"
        );
    }
}

#[tokio::test]
async fn a_list_in_which_all_is_old_is_not_read_further() {
    let mut server = lists(strangers(300, 20), vec![]).serve();
    let sighting = found_with(&server, None, Some("cnt_5f")).await.unwrap();
    assert_eq!(word(sighting), "absent");
    assert_eq!(asked(&mut server), ["s"]);
    // Where several pages are needed, the top is looked at once more.
    let mut server = lists(strangers(300, 150), vec![]).serve();
    let sighting = found_with(&server, None, Some("cnt_5f")).await.unwrap();
    assert_eq!(word(sighting), "absent");
    assert!(asked(&mut server).len() >= 3);
}

#[tokio::test]
async fn a_list_of_conversations_that_is_in_no_order_or_has_no_end_is_no_proof() {
    let ours_last = |mut all: Vec<Value>| {
        all.push(conversation("conv_1", "cnt_5f", 1));
        lists(all, vec![("conv_1", vec![ours("msg_1", 1)])])
    };
    // By their beginning, say: a server that does not know how to sort.
    let mut reversed = strangers(150, -20);
    reversed.reverse();
    assert_eq!(seen(ours_last(reversed), None).await, "msg_1");
    assert_eq!(seen(ours_last(strangers(99, -20)), None).await, "msg_1");
    assert_eq!(
        seen(lists(strangers(2_500, 9_000), vec![]), None).await,
        "unclear"
    );
    let endless = Lists {
        tells: Tells::AlwaysMore,
        ..lists(strangers(3, 30), vec![])
    };
    assert_eq!(seen(endless, None).await, "unclear");
    let lying = Lists {
        tells: Tells::NeverMore,
        page: 3,
        ..ours_last(strangers(6, 60))
    };
    assert_eq!(seen(lying, None).await, "msg_1");
}
