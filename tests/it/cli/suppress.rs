//! `suppress`: the ledger's do-not-contact list by command, and what `check`, `preview`, `run`,
//! `explain` and `report` make of it.

use jiff::Timestamp;
use sendoff::domain::address::Address;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, NewReply};

use crate::support::{CAMPAIGN, Ended, LINES, RUN, Stage, phone};

async fn suppress(stage: &Stage, args: &[&str]) -> Ended {
    stage.project.run(&[&["suppress"], args].concat()).await
}

/// Somebody answers, at this moment.
async fn answer(stage: &Stage, person: usize, text: &str) {
    let path = stage.project.path("sendoff.db");
    let ledger = SqliteLedger::open(&path, Durability::Full).await.unwrap();
    let now = Timestamp::now();
    let reply = NewReply {
        event_id: format!("evt-{person}-{text}"),
        gateway: "chert".to_owned(),
        phone: Address::stored(&phone(person)).unwrap(),
        channel: None,
        line: LINES[0].to_owned(),
        chat_id: None,
        text: text.to_owned(),
        at: now,
    };
    ledger.keep_reply(&reply, now).await.unwrap();
    ledger.close().await;
}

/// Without the breaks between its lines.
fn in_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn masked(person: usize) -> String {
    Address::stored(&phone(person)).unwrap().masked()
}

#[tokio::test]
async fn who_is_on_the_list_gets_nothing() {
    let stage = Stage::new(3).await;
    let added = suppress(&stage, &["add", &phone(1), "--reason", "at the counter"]).await;
    assert_eq!((added.code, added.out.as_str()), (Some(0), ""), "{added:?}");
    assert!(added.err.contains(&masked(1)), "{added:?}");
    assert!(!added.err.contains(&phone(1)), "{added:?}");
    let check = stage.project.run(&["check", CAMPAIGN]).await;
    assert!(check.out.contains("opted out (opted_out)"), "{check:?}");
    let shown = ["preview", CAMPAIGN, "--to", &phone(1)];
    let shown = stage.project.run(&shown).await;
    assert!(shown.out.contains("opted_out"), "{shown:?}");
    assert!(in_line(&shown.out).contains("at the counter"), "{shown:?}");
    assert_eq!(stage.send().await.code, Some(0));
    let rows = stage.project.rows(RUN).await;
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["sent", "skipped", "sent"]);
    assert_eq!(rows[1].reason, "opted_out");
    assert_eq!(rows[1].idempotency_key, "");
    let report = ["report", RUN, "--format", "json"];
    let report = stage.project.run(&report).await.json();
    assert_eq!(report["skipped"]["opted_out"], 1);
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
}

#[tokio::test]
async fn a_stop_between_two_parts_of_a_run_is_obeyed_and_told() {
    let stage = Stage::new(3).await;
    let begun = stage.start(&["--limit", "1"]).end().await;
    assert_eq!(begun.code, Some(4), "{begun:?}");
    answer(&stage, 0, "Stop!").await;
    answer(&stage, 2, "STOP").await;
    let resumed = stage.project.run(&["resume", RUN, "--yes"]).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    answer(&stage, 1, "who is this? please stop texting me").await;
    let rows = stage.project.rows(RUN).await;
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["sent", "sent", "skipped"]);
    assert_eq!(rows[2].reason, "opted_out");
    assert!(!rows[2].idempotency_key.is_empty(), "it had its turn");
    let told = stage.project.run(&["explain", RUN, &phone(2)]).await.out;
    assert!(told.starts_with("No: "), "{told}");
    assert!(in_line(&told).contains("said STOP on 20"), "{told}");
    let told = ["explain", RUN, &phone(0), "--format", "json"];
    let told = stage.project.run(&told).await.json();
    assert_eq!(told["answer"], "yes");
    let story = told["story"].as_array().unwrap();
    let last = story.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["source"]),
        (&"opted_out".into(), &"reply".into())
    );
    let report = stage.project.run(&["report", RUN]).await.out;
    assert!(
        report.contains("Opted out by answering: 1 person"),
        "{report}"
    );
    assert!(report.contains(&masked(0)), "{report}");
    assert!(report.contains("sendoff suppress review"), "{report}");
    let json = ["report", RUN, "--format", "json"];
    let json = stage.project.run(&json).await.json();
    assert_eq!(json["answers"]["opted_out"], 1);
    assert_eq!(json["answers"]["to_review"], 1);
    let html = stage
        .project
        .run(&["report", RUN, "--format", "html"])
        .await;
    assert!(html.out.contains("Opted out by answering"), "{html:?}");
    assert!(html.out.contains("(opted_out)") && !html.out.contains(&phone(0)));
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
}

#[tokio::test]
async fn an_answer_that_is_not_clear_is_judged_by_a_person() {
    let stage = Stage::new(3).await;
    assert_eq!(stage.send().await.code, Some(0));
    answer(&stage, 0, "please stop texting me").await;
    answer(&stage, 1, "wrong number").await;
    let waiting = suppress(&stage, &["review", "--format", "json"])
        .await
        .json();
    let waiting = waiting["replies"].as_array().unwrap().clone();
    assert_eq!(waiting.len(), 2);
    assert_eq!(waiting[0]["run"], RUN);
    let text = suppress(&stage, &["review"]).await;
    assert!(
        text.out.contains(&masked(0)) && !text.out.contains(&phone(0)),
        "{text:?}"
    );
    let (one, two) = (waiting[0]["id"].to_string(), waiting[1]["id"].to_string());
    let judged = suppress(&stage, &["review", "--stop", &one]).await;
    assert_eq!(judged.code, Some(0), "{judged:?}");
    let judged = suppress(&stage, &["review", "--dismiss", &two]).await;
    assert_eq!(judged.code, Some(0), "{judged:?}");
    let again = suppress(&stage, &["review", "--dismiss", &two]).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    let csv = suppress(&stage, &["review", "--format", "csv"]).await;
    assert_eq!(csv.out, "id,phone,text,at,run,row,gateway\n");
    let list = suppress(&stage, &["list", "--format", "json"]).await.json();
    let list = list["suppressions"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["phone"], phone(0));
    assert_eq!(list[0]["reason"], "wrote: please stop texting me");
}

#[tokio::test]
async fn only_the_person_takes_a_stop_back() {
    let stage = Stage::new(1).await;
    assert_eq!(stage.send().await.code, Some(0));
    answer(&stage, 0, "STOP").await;
    let remove = ["remove", &phone(0), "--reason", "asked by phone"];
    let refused = suppress(&stage, &remove).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("--person-asked"), "{refused:?}");
    assert!(!refused.err.contains(&phone(0)), "{refused:?}");
    let asked = suppress(&stage, &[&remove[..], &["--person-asked"]].concat()).await;
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let gone = suppress(&stage, &remove).await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    let list = suppress(&stage, &["list"]).await;
    assert_eq!(list.out, "");
    let usage = suppress(&stage, &["remove", &phone(0)]).await;
    assert_eq!(usage.code, Some(2), "a reason is asked for: {usage:?}");
    let nothing = suppress(&stage, &["remove", &phone(0), "--reason", " "]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
}

#[tokio::test]
async fn an_exported_list_can_be_imported_and_revives_nobody() {
    let stage = Stage::new(2).await;
    assert_eq!(stage.send().await.code, Some(0));
    answer(&stage, 0, "STOP").await;
    let add = [
        "add",
        "(202) 555-0177",
        "--region",
        "US",
        "--reason",
        "=1+1, \"quoted\"",
    ];
    assert_eq!(suppress(&stage, &add).await.code, Some(0));
    let export = suppress(&stage, &["export", "-o", "list.csv"]).await;
    assert_eq!(export.code, Some(0), "{export:?}");
    let csv = stage.project.read("list.csv");
    assert_eq!(
        csv,
        suppress(&stage, &["list", "--format", "csv"]).await.out
    );
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("phone,source,reason,at,run,event_id"));
    assert_eq!(lines.clone().count(), 2);
    assert!(csv.contains("'=1+1"), "no formula: {csv}");
    // Back into the same ledger: nothing changes, also when the person comes back.
    let import = suppress(&stage, &["import", "list.csv", "--format", "json"]).await;
    assert_eq!(import.code, Some(0), "{import:?}");
    let json = import.json();
    assert_eq!((&json["added"], &json["already"]), (&0.into(), &2.into()));
    answer(&stage, 0, "START").await;
    let list = suppress(&stage, &["list", "--format", "json"]).await.json();
    assert_eq!(list["suppressions"].as_array().unwrap().len(), 1);
    // Into another one: everybody is on the list since the same time.
    let other = Stage::new(2).await;
    other.project.write("list.csv", &csv);
    let import = suppress(&other, &["import", "list.csv"]).await;
    assert_eq!(import.code, Some(0), "{import:?}");
    let there = suppress(&other, &["list", "--format", "json"]).await.json();
    let there = there["suppressions"].as_array().unwrap().clone();
    assert_eq!(there.len(), 2);
    assert!(there.iter().all(|one| one["source"] == "import"));
    let at = there.iter().map(|one| one["at"].as_str().unwrap());
    assert!(at.into_iter().all(|at| csv.contains(at)), "{there:?}");
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_told_with_their_lines() {
    let stage = Stage::new(1).await;
    let mut list = "Phone,Reason\n".to_owned();
    for n in 0..1_200 {
        use std::fmt::Write as _;
        let area = 200 + n / 100;
        writeln!(list, "+1{area}55501{:02},moved", n % 100).unwrap();
    }
    list.push_str("ask Bob,\n4.15556E+09,\n");
    stage.project.write("old.csv", &list);
    let import = suppress(&stage, &["import", "old.csv"]).await;
    assert_eq!(import.code, Some(3), "{import:?}");
    assert!(import.err.contains("old.csv:1202"), "{import:?}");
    assert!(import.err.contains("old.csv:1203"), "{import:?}");
    assert!(!import.err.contains("Bob"), "{import:?}");
    let all = suppress(&stage, &["list", "--format", "csv"]).await.out;
    assert!(all.lines().count() > 1_190, "{}", all.lines().count());
    stage.project.write("bad.csv", "Phone\nBob\n");
    let nothing = suppress(&stage, &["import", "bad.csv"]).await;
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    let missing = suppress(&stage, &["import", "not-there.csv"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
}

#[tokio::test]
async fn a_slip_in_one_number_adds_nobody() {
    let stage = Stage::new(1).await;
    let add = suppress(&stage, &["add", &phone(0), "12"]).await;
    assert_eq!(add.code, Some(1), "{add:?}");
    let add = suppress(&stage, &["add", "2025550143"]).await;
    assert_eq!(add.code, Some(1), "{add:?}");
    assert!(add.err.contains("--region"), "{add:?}");
    let add = ["add", &phone(0), &phone(0), "--format", "json"];
    let add = suppress(&stage, &add).await.json();
    assert_eq!(add["added"], 1, "{add}");
}
