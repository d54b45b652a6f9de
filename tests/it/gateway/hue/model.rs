//! Looks at conversations of any content, against a small model of the rule (huechat §13): who
//! finds exactly one message that it can be has found it, who finds none in a list that is whole
//! says so, and whatever was sent is never said not to be.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use proptest::sample::select;
use sendoff::gateway::{AtOnce, Gateway, Sighting};
use serde_json::Value;

use super::lists::{Lists, Tells, conversation, noise, ours, text};
use super::{TEXT, looker_at, message, sought};

/// One row that is in order.
#[derive(Debug, Clone)]
struct Row {
    kind: &'static str,
    content: &'static str,
    by: &'static str,
    seconds: i64,
    claimed: bool,
}

impl Row {
    /// The rule, in its own words.
    fn is_it(&self) -> bool {
        self.may_be_it() && self.kind == "text" && self.says_it()
    }

    /// Ours, new enough and nobody's: in other words or of another type it may be the message.
    fn may_be_it(&self) -> bool {
        let is_like_it = self.kind == "text" || self.says_it();
        self.by == "user" && self.seconds >= -5 && !self.claimed && is_like_it
    }

    fn says_it(&self) -> bool {
        self.content == "Hi Dana, your parcel is here"
    }

    fn json(&self, id: &str) -> Value {
        let mut row = text(id, self.content, self.seconds);
        row["message_type"] = self.kind.into();
        row["sent_by"] = self.by.into();
        row
    }
}

fn row() -> impl Strategy<Value = Row> {
    let kind = select(&["text", "text", "text", "image", "template"][..]);
    let content = prop_oneof![
        3 => Just("Hi Dana, your parcel is here"),
        2 => select(&["Hi Asha, your parcel is there", "Thanks!", "Where is it?"][..]),
    ];
    let by = select(&["user", "user", "user", "contact"][..]);
    let claimed = prop::bool::weighted(0.3);
    (kind, content, by, -40i64..60, claimed).prop_map(|(kind, content, by, seconds, claimed)| Row {
        kind,
        content,
        by,
        seconds,
        claimed,
    })
}

/// The rows newest first, and which of them are known to be others.
fn listed(rows: &[Row]) -> (Vec<Value>, HashSet<String>) {
    let mut rows: Vec<(usize, &Row)> = rows.iter().enumerate().collect();
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.seconds));
    let id = |number: usize| format!("msg_{number}");
    let claimed = rows.iter().filter(|(_, row)| row.claimed);
    let others = claimed.map(|(number, _)| id(*number)).collect();
    let rows = rows.iter().map(|(number, row)| row.json(&id(*number)));
    (rows.collect(), others)
}

fn looked(lists: Lists, chat_id: Option<&str>, others: &HashSet<String>) -> Sighting {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = lists.serve();
        let message = message(TEXT);
        let sought = sought(&message, chat_id, others);
        let gateway = looker_at(server.address);
        gateway.find(&sought, &AtOnce).await.unwrap()
    })
}

/// How a message that was sent may be shown.
#[derive(Debug, Clone, Copy)]
enum Dress {
    AsItIs,
    Spaced,
    Footed,
    NoId,
    NoTime,
    NoContent,
    NoSender,
    NoType,
    BySystem,
    OtherType,
}

const DRESSES: [Dress; 10] = [
    Dress::AsItIs,
    Dress::Spaced,
    Dress::Footed,
    Dress::NoId,
    Dress::NoTime,
    Dress::NoContent,
    Dress::NoSender,
    Dress::NoType,
    Dress::BySystem,
    Dress::OtherType,
];

/// The message that was sent, as the list shows it.
fn sent(dress: Dress, seconds: i64) -> Value {
    let mut row = ours("msg_sent", seconds);
    match dress {
        Dress::AsItIs => {}
        Dress::Spaced => row["content"] = "Hi Dana,\n your parcel is here \n".into(),
        Dress::Footed => row["content"] = "Hi Dana, your parcel is here STOP to end".into(),
        Dress::NoId => row["id"] = Value::Null,
        Dress::NoTime => row["sent_at"] = Value::Null,
        Dress::NoContent => row["content"] = Value::Null,
        Dress::NoSender => row["sent_by"] = Value::Null,
        Dress::NoType => row["message_type"] = Value::Null,
        Dress::BySystem => row["sent_by"] = "system".into(),
        Dress::OtherType => row["message_type"] = "hsm".into(),
    }
    row
}

/// What happens to a list while it is read.
#[derive(Debug, Clone, Copy)]
enum Moves {
    Nothing,
    /// Somebody writes before each of the first requests.
    Grows,
    /// So many messages are deleted before this request.
    Shrinks {
        at: usize,
        by: usize,
    },
}

fn moving(lists: Lists, moves: Moves) -> Lists {
    let mut written = 1_000;
    lists.with_change(move |asked, lists| {
        let rows = lists.messages.get_mut("conv_1").unwrap();
        match moves {
            Moves::Grows if (1..4).contains(&asked) => {
                written += 1;
                rows.insert(0, noise(written, 100));
            }
            Moves::Shrinks { at, by } if asked == at => {
                let mut left = by;
                rows.retain(|row| {
                    let is_sent = row["content"] != "Thanks!" || left == 0;
                    left -= usize::from(!is_sent);
                    is_sent
                });
            }
            Moves::Nothing | Moves::Grows | Moves::Shrinks { .. } => {}
        }
    })
}

fn moves() -> impl Strategy<Value = Moves> {
    prop_oneof![
        2 => Just(Moves::Nothing),
        1 => Just(Moves::Grows),
        2 => (1usize..4, 1usize..4).prop_map(|(at, by)| Moves::Shrinks { at, by }),
    ]
}

const SOUND: [Tells; 5] = [
    Tells::All,
    Tells::Nothing,
    Tells::MoreAlone,
    Tells::TotalAlone,
    Tells::NeverMore,
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_in_order_is_judged_as_the_rule_says(
        rows in prop::collection::vec(row(), 0..11),
        page in 2usize..8, tells in select(&SOUND[..]), grows: bool,
    ) {
        let (listed, others) = listed(&rows);
        let lists = Lists { page, tells, ..Lists::of(listed) };
        let lists = moving(lists, if grows { Moves::Grows } else { Moves::Nothing });
        let sighting = looked(lists, Some("conv_1"), &others);
        let matching: Vec<usize> = (0..rows.len()).filter(|number| rows[*number].is_it()).collect();
        let is_doubtful = rows.iter().any(Row::may_be_it);
        match (matching.as_slice(), &sighting) {
            ([], Sighting::Absent) if !is_doubtful => {}
            ([], Sighting::Unclear { .. }) if is_doubtful => {}
            ([one], Sighting::Found { message_id, .. }) => {
                prop_assert_eq!(message_id, &format!("msg_{one}"));
            }
            ([_, _, ..], Sighting::Unclear { .. }) => {}
            (matching, sighting) => prop_assert!(false, "{:?}: {:?}", matching, sighting),
        }
    }

    #[test]
    fn what_was_sent_is_never_said_to_be_absent(
        rows in prop::collection::vec(row(), 0..11),
        dress in select(&DRESSES[..]), seconds in -5i64..60,
        (page, tells) in (2usize..8, select(&[Tells::All, Tells::Nothing, Tells::NeverMore, Tells::AlwaysMore][..])),
        (rises, moves) in (any::<bool>(), moves()),
    ) {
        let (mut listed, others) = listed(&rows);
        let place = rows.iter().filter(|row| row.seconds > seconds).count();
        listed.insert(place, sent(dress, seconds));
        if rises {
            listed.reverse();
        }
        let lists = moving(Lists { page, tells, ..Lists::of(listed) }, moves);
        match looked(lists, Some("conv_1"), &others) {
            Sighting::Absent => prop_assert!(false, "it is there"),
            // Beside it, in other dress, another one may be shown that is like it to the letter.
            Sighting::Found { message_id, .. } if message_id != "msg_sent" => {
                let number: usize = message_id.trim_start_matches("msg_").parse().unwrap();
                prop_assert!(rows[number].is_it() && !matches!(dress, Dress::AsItIs));
            }
            Sighting::Found { .. } | Sighting::Unclear { .. } => {}
        }
    }

    #[test]
    fn in_whichever_conversation_it_is_it_is_never_said_to_be_absent(
        before in prop::collection::vec((0i64..100, any::<bool>()), 0..9),
        ours_at in 1i64..100, older_of_ours in prop::option::of(-100i64..100),
        (page, tells) in (1usize..6, select(&SOUND[..])),
        moves_at in prop::option::of(1usize..5),
        knows_older: bool,
    ) {
        let mut all: Vec<(i64, Value)> = Vec::new();
        for (number, (seconds, is_old)) in before.iter().enumerate() {
            let seconds = if *is_old { seconds - 600 } else { *seconds };
            let id = format!("conv_o{number}");
            all.push((seconds, conversation(&id, &format!("cnt_o{number}"), seconds)));
        }
        all.push((ours_at, conversation("conv_1", "cnt_5f", ours_at)));
        if let Some(seconds) = older_of_ours {
            let mut other = conversation("conv_2", "cnt_5f", seconds);
            other["status"] = "closed".into();
            all.push((seconds, other));
        }
        all.sort_by_key(|(seconds, _)| -seconds);
        let lists = Lists {
            conversations: all.into_iter().map(|(_, one)| one).collect(),
            messages: BTreeMap::from([
                ("conv_1".to_owned(), vec![noise(2, 90), ours("msg_sent", 1), noise(1, -300)]),
                ("conv_2".to_owned(), vec![noise(4, 95), noise(3, -300)]),
            ]),
            page,
            tells,
            ..Lists::of(Vec::new())
        };
        let lists = lists.with_change(move |asked, lists| {
            if Some(asked) == moves_at {
                let place = lists.conversations.iter().position(|one| one["id"] == "conv_1");
                lists.conversations.remove(place.unwrap());
                lists.conversations.insert(0, conversation("conv_1", "cnt_5f", 181));
            }
        });
        let known = (knows_older && older_of_ours.is_some()).then_some("conv_2");
        match looked(lists, known, &HashSet::new()) {
            Sighting::Absent => prop_assert!(false, "it is there"),
            Sighting::Found { message_id, chat_id } => {
                prop_assert_eq!(message_id, "msg_sent");
                prop_assert_eq!(chat_id.as_deref(), Some("conv_1"));
            }
            Sighting::Unclear { .. } => {}
        }
    }
}
