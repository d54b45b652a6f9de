//! `explain`: the answer in the first line, the story in words, and the same for scripts.

use serde_json::{Value, json};

use super::{QUICK, done, eventful, explain, proved};
use crate::support::{RUN, Stage, phone};

/// What every story has.
const FIELDS: [&str; 23] = [
    "answer",
    "attempts",
    "because",
    "chat_id",
    "code",
    "delivered_at",
    "detail",
    "due_at",
    "hold",
    "idempotency_key",
    "line",
    "message_id",
    "next",
    "others",
    "phone",
    "read_at",
    "reason",
    "recipient",
    "row",
    "run",
    "sent_at",
    "state",
    "story",
];

/// Without the breaks between its lines.
fn in_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What changes from run to run is blotted out.
macro_rules! assert_told {
    ($text:expr) => {
        insta::with_settings!({ filters => vec![
            (r"\d\d:\d\d:\d\d", "HH:MM:SS"),
            (r"\b(\d+ ms|\d+\.\d seconds)\b", "N ms"),
            (r"127\.0\.0\.1:\d+", "SANDBOX"),
            (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
            (r"\b[0-9a-f]{32}\b", "ID"),
        ] }, { insta::assert_snapshot!($text) });
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_first_whether_it_went_out_and_last_what_to_do() {
    let stage = eventful().await;
    for (n, answer, then) in [
        (
            0,
            "Yes: the provider took the message for +1202•••0100",
            "Nothing.",
        ),
        (
            2,
            "No: the provider refused the message for +1202•••0102",
            "sendoff retry hello@once --row 3",
        ),
        (
            3,
            "Perhaps: the message for +1202•••0103 may have been sent",
            "sendoff resolve hello@once --row 4 --as unsent",
        ),
        (4, "Yes: ", "Nothing."),
        (
            6,
            "No: every try of the message for +1202•••0106 failed",
            "sendoff retry hello@once --row 7",
        ),
    ] {
        let told = explain(&stage, &phone(n)).await;
        assert!(told.starts_with(answer), "{told}");
        assert!(told.contains(then), "{told}");
        assert!(
            !told.contains(&phone(n)),
            "the number is not masked: {told}"
        );
    }
    let told = explain(&stage, &phone(5)).await;
    assert!(
        told.contains("The provider asked the whole account to wait until"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_told_from_the_list_to_the_end() {
    let stage = Stage::with(1, QUICK, "").await;
    let rules = json!([{ "kind": "drop", "attempts": 1 }]);
    stage.provider.faults(1, &rules).await;
    assert_eq!(stage.send().await.code, Some(0));
    let told = in_line(&explain(&stage, &phone(0)).await);
    assert_told!(told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_told_as_what_it_was() {
    let stage = Stage::with(3, "pace: { concurrency: 1 }", "").await;
    let lie =
        json!([{ "kind": "slow_after_accept", "delay_ms": 60_000, "match": { "to": phone(0) } }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(1).await;
    let told = in_line(&explain(&stage, &phone(0)).await);
    assert!(told.starts_with("Perhaps: process "), "{told}");
    assert!(told.contains("is asking the provider right now"), "{told}");
    process.kill();
    let told = explain(&stage, &phone(0)).await;
    assert!(
        told.starts_with("Perhaps: a request for +1202•••0100 was begun"),
        "{told}"
    );
    assert!(told.contains("    sendoff resume hello@once\n"), "{told}");
    stage.provider.faults(1, &json!([])).await;
    assert_eq!(stage.resume().await.code, Some(0));
    let told = explain(&stage, &phone(0)).await;
    assert!(told.starts_with("Yes: "), "{told}");
    let words = in_line(&told);
    let crash = "the process ended before the answer was recorded; asked again with the same key";
    assert!(words.contains(crash), "{told}");
    stage.assert_everybody_once().await;
    proved(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_story_as_json_has_one_shape() {
    let stage = Stage::with(2, QUICK, "").await;
    let rule =
        json!([{ "kind": "error", "code": 4001, "retryable": true, "match": { "to": phone(1) } }]);
    stage.provider.faults(1, &rule).await;
    assert_eq!(stage.send().await.code, Some(3));
    stage.provider.faults(1, &json!([])).await;
    done(&stage, &["retry", RUN, "--code", "4001"]).await;
    done(&stage, &["pause", RUN]).await;
    assert_eq!(stage.resume().await.code, Some(0));
    let args = ["explain", RUN, "--row", "2", "--format", "json"];
    let story = done(&stage, &args).await.json();
    let names: Vec<&str> = story
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, FIELDS);
    let docs = include_str!("../../../../docs/explain.md");
    for name in names {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
    assert_eq!(
        (&story["answer"], &story["row"]),
        (&json!("yes"), &json!(2))
    );
    assert_eq!(story["phone"], phone(1));
    let scenes = story["story"].as_array().unwrap();
    let kinds: Vec<&str> = scenes
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    let tried = ["attempt"; 3];
    let expected = [
        &["frozen"][..],
        &tried,
        &[
            "run_finished",
            "retried",
            "run_resumed",
            "run_paused",
            "run_resumed",
            "attempt",
        ],
    ]
    .concat();
    assert_eq!(kinds, expected, "{story:#}");
    for kind in &kinds {
        assert!(docs.contains(&format!("| `{kind}` |")), "{kind}");
    }
    let attempt = &scenes[1];
    assert_eq!(
        (&attempt["code"], &attempt["outcome"]),
        (&json!(4001), &json!("retry"))
    );
    assert_eq!(attempt["idempotency_key"], story["idempotency_key"]);
    let next = &story["next"][0];
    assert!(
        next["text"].is_string() && next["command"] == Value::Null,
        "{next}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_is_twice_in_the_list_is_told_of_both_rows() {
    let stage = Stage::new(2).await;
    let list = format!(
        "Phone,First Name\n{0},A\n{1},B\n{0},C\nnobody,D\n",
        phone(0),
        phone(1)
    );
    stage.project.write("campaigns/people.csv", list);
    assert_eq!(stage.send().await.code, Some(0));
    let told = explain(&stage, &phone(0)).await;
    assert!(
        told.contains("Row 3 is the same person and was left out as a duplicate."),
        "{told}"
    );
    let told = done(&stage, &["explain", RUN, "--row", "4"]).await.out;
    assert!(
        told.starts_with("No: row 4 was left out on purpose: no usable phone number."),
        "{told}"
    );
}
