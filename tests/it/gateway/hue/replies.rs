//! What people answered, out of lists written by hand: in whatever order they come, whatever they
//! say of their end, and however conversations move while they are read, nobody's word is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use sendoff::domain::outcome::Outcome;
use sendoff::gateway::{AtOnce, Gateway, Replies};
use serde_json::Value;

use super::lists::{Lists, Tells, conversation, text};
use super::{gateway_at, now};

/// What the person of a conversation said, so many seconds after [`now`].
fn said(id: &str, seconds: i64) -> Value {
    let mut said = text(id, "STOP", seconds);
    said["sent_by"] = "contact".into();
    said
}

/// A conversation in which something is unread.
fn unread(number: usize, seconds: i64) -> Value {
    let mut one = conversation(&format!("conv_{number}"), &format!("cnt_{number}"), seconds);
    one["unread_count"] = 1.into();
    one
}

/// Conversations newest first, each with one word of its person, so many seconds ago.
fn lists(ages: &[i64]) -> Lists {
    let ages = ages.iter().enumerate();
    let conversations = ages.clone().map(|(n, age)| unread(n, -age)).collect();
    let messages = ages.map(|(n, age)| {
        let word = said(&format!("msg_{n}"), -age);
        (format!("conv_{n}"), vec![word])
    });
    Lists {
        conversations,
        messages: messages.collect::<BTreeMap<_, _>>(),
        ..Lists::of(Vec::new())
    }
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

async fn heard(lists: Lists, since: Timestamp) -> Result<Replies, Outcome> {
    let server = lists.serve();
    let gateway = gateway_at(server.address);
    let replies = gateway.replies(Some(since), &AtOnce).await;
    replies.map(Option::unwrap)
}

fn names(replies: &Replies) -> Vec<&str> {
    let names = replies.replies.iter();
    names.map(|reply| reply.event_id.as_str()).collect()
}

#[tokio::test]
async fn words_are_heard_oldest_first_up_to_the_last_reading_and_no_further() {
    let replies = heard(lists(&[10, 60, 300, 900]), ago(600)).await.unwrap();
    assert_eq!(names(&replies), ["msg_2", "msg_1", "msg_0"]);
    let read_to = replies.read_to.unwrap();
    assert!(read_to <= now() && read_to >= ago(180), "{read_to}");
}

#[tokio::test]
async fn lists_in_another_order_are_read_to_their_end() {
    let mut turned = lists(&[10, 60, 300, 900, 1_000, 1_100, 1_200]);
    turned.conversations.reverse();
    turned.page = 3;
    let replies = heard(turned, ago(600)).await.unwrap();
    assert_eq!(names(&replies), ["msg_2", "msg_1", "msg_0"]);

    let mut one = lists(&[10]);
    let words = (0..7).map(|n| said(&format!("msg_w{n}"), -1_000 + n * 150));
    one.messages.insert("conv_0".to_owned(), words.collect());
    one.page = 3;
    let replies = heard(one, ago(600)).await.unwrap();
    let last = names(&replies).into_iter().rev().take(4);
    assert_eq!(
        last.collect::<Vec<_>>(),
        ["msg_w6", "msg_w5", "msg_w4", "msg_w3"]
    );
}

#[tokio::test]
async fn whatever_a_page_says_of_the_end_all_of_it_is_read() {
    for tells in [
        Tells::All,
        Tells::Nothing,
        Tells::MoreAlone,
        Tells::TotalAlone,
        Tells::NeverMore,
        Tells::AlwaysMore,
    ] {
        let mut all = lists(&[10, 20, 30, 40, 50, 60, 70]);
        (all.page, all.tells) = (2, tells);
        let replies = heard(all, ago(600)).await.unwrap();
        assert_eq!(replies.replies.len(), 7, "{tells:?}");
    }
}

#[tokio::test]
async fn a_list_that_loses_rows_while_it_is_read_counts_as_not_read() {
    let mut torn = lists(&[10, 20, 30, 40, 50, 60, 70]);
    torn.page = 3;
    let torn = torn.with_change(|asked, lists| {
        if asked == 4 {
            lists.conversations.drain(..2);
        }
    });
    let outcome = heard(torn, ago(600)).await.unwrap_err();
    assert_eq!(outcome.class().as_str(), "retry", "{outcome:?}");
    assert!(
        outcome.why().contains("changed while it was read"),
        "{outcome:?}"
    );
}

/// The person of a conversation says one more thing, which brings it to the top of the list.
fn speak(lists: &mut Lists, who: usize, seconds: usize) {
    let id = format!("conv_{who}");
    let seconds = i64::try_from(seconds).unwrap();
    let place = lists.conversations.iter().position(|one| one["id"] == id);
    lists.conversations.remove(place.unwrap());
    lists.conversations.insert(0, unread(who, seconds));
    let messages = lists.messages.get_mut(&id).unwrap();
    messages.insert(0, said(&format!("msg_late{seconds}"), seconds));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// While the list is read, people write and their conversations come to its top. Each word is
    /// heard by this reading or by the next one, which begins where this one says.
    #[test]
    fn nobodys_word_is_lost_between_two_readings(
        ages in prop::collection::vec(1i64..900, 1..12),
        page in 2usize..5,
        moves in prop::collection::vec((0usize..20, 0usize..12), 0..4),
    ) {
        let mut ages = ages;
        ages.sort_unstable();
        let count = ages.len();
        let moved: BTreeMap<usize, usize> =
            moves.into_iter().map(|(asked, who)| (asked, who % count)).collect();
        let spoken = Arc::new(AtomicUsize::new(0));
        let counted = spoken.clone();
        let change = move |asked: usize, lists: &mut Lists| {
            if let Some(who) = moved.get(&asked) {
                speak(lists, *who, asked);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        };
        let mut all = lists(&ages);
        all.page = page;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let server = all.with_change(change).serve();
        let gateway = gateway_at(server.address);
        let mut words = BTreeSet::new();
        let mut since = ago(1_000);
        // No list changes any more at the last of them.
        for _ in 0..12 {
            let replies = runtime.block_on(gateway.replies(Some(since), &AtOnce));
            let Ok(replies) = replies.map(Option::unwrap) else {
                continue;
            };
            words.extend(names(&replies).into_iter().map(str::to_owned));
            since = replies.read_to.unwrap();
        }
        for n in 0..count {
            let name = format!("msg_{n}");
            prop_assert!(words.contains(&name), "{} of {:?}", name, words);
        }
        let late = words.iter().filter(|name| name.starts_with("msg_late")).count();
        prop_assert_eq!(late, spoken.load(Ordering::SeqCst), "{:?}", words);
    }
}
