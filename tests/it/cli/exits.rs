//! The exit codes, each by a real case. Their table is `docs/exit-codes.md`.

use std::io::pipe;

use serde_json::json;

use crate::cli::{home, output, shipped};
use crate::support::{CAMPAIGN, Project, RUN, Stage};

#[tokio::test]
async fn zero_when_everybody_was_sent_to_and_again_when_there_is_nothing_more_to_do() {
    let stage = Stage::new(3).await;
    assert_eq!(stage.send().await.code, Some(0));
    let again = stage.send().await;
    assert_eq!(again.code, Some(0));
    assert!(
        again.err.contains("is finished already: nothing is sent"),
        "{again:?}"
    );
    assert!(again.err.contains("--occurrence"), "{again:?}");
    for (verb, args) in [
        ("pause", &["pause", RUN][..]),
        ("cancel", &["cancel", RUN, "--yes"]),
    ] {
        let late = stage.project.run(args).await;
        assert_eq!(late.code, Some(1), "{late:?}");
        let words = format!("is finished; there is nothing to {verb}");
        assert!(late.err.contains(&words), "{late:?}");
    }
    stage.assert_everybody_once().await;
}

#[tokio::test]
async fn one_without_yes_where_nobody_can_be_asked() {
    let stage = Stage::new(3).await;
    let ended = stage.project.run(&["run", CAMPAIGN]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(stage.provider.totals().await.messages, 0);
    insta::assert_snapshot!(ended.err);
    let runs = stage.project.run(&["status", "--format", "json"]).await;
    assert_ne!(runs.code, Some(5));
    assert!(runs.code == Some(1) || runs.json()["runs"] == json!([]));
}

#[tokio::test]
async fn two_for_a_command_line_that_means_nothing() {
    let project = Project::new();
    for args in [
        &[][..],
        &["sned"],
        &["run"],
        &["run", "x.yaml", "--limit", "0"],
        &["run", "x.yaml", "--limit", "3", "--only", "+12025550100"],
        &["run", "x.yaml", "--sandbox", "--due"],
        &["run", "x.yaml", "--now", "--due"],
        &["run", "x.yaml", "--format", "xml"],
        &["status", "a@b", "c@d"],
        &["schedule", "--next", "0"],
        &["sandbox", "--listen", "here"],
        &["sandbox", "--rate", "fast"],
        &["schema", "campagn"],
        &["completions", "cmd"],
    ] {
        let ended = project.run(args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        assert_eq!(ended.out, "", "{args:?}");
        assert!(
            ended.err.contains("Usage:") || ended.err.contains("--help"),
            "{ended:?}"
        );
    }
    let near = project.run(&["sned"]).await;
    insta::assert_snapshot!(near.err);
}

#[tokio::test]
async fn three_when_it_is_over_and_some_were_not_reached() {
    let stage = Stage::with(3, "retry: { attempts: 1 }", "").await;
    let refuse = json!([{
        "kind": "error", "code": 4003, "status": 400, "retryable": false,
        "message": "this number cannot receive messages",
        "match": { "to": crate::support::phone(1) },
    }]);
    stage.provider.faults(1, &refuse).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.out.contains("Sent to 2 of the 3 rows"),
        "{}",
        ended.out
    );
    assert!(
        ended.out.contains("this number cannot receive messages"),
        "{}",
        ended.out
    );
    for args in [&["status", RUN][..], &["report", RUN]] {
        assert_eq!(stage.project.run(args).await.code, Some(0), "{args:?}");
    }
    assert_eq!(stage.resume().await.code, Some(3), "nothing is left to do");
}

#[tokio::test]
async fn four_when_only_a_part_was_asked_for() {
    let stage = Stage::new(4).await;
    let limited = stage.start(&["--limit", "1"]).end().await;
    assert_eq!(limited.code, Some(4), "{limited:?}");
    assert_eq!(stage.provider.totals().await.people, 1);
    let phone = crate::support::phone(3);
    let only = stage.start(&["--only", &phone]).end().await;
    assert_eq!(only.code, Some(4), "{only:?}");
    let journal = stage.provider.journal().await;
    assert_eq!(journal.messages.len(), 2);
    assert!(journal.messages.iter().any(|one| one.to == [phone.clone()]));
    assert!(
        only.err.contains(&format!("sendoff resume {RUN}")),
        "it does not say how to go on: {only:?}"
    );
    assert_eq!(stage.resume().await.code, Some(0));
    stage.assert_everybody_once().await;
}

#[tokio::test]
async fn four_when_it_is_paused_and_when_the_account_is_refused_halfway() {
    let stage = Stage::new(3).await;
    assert_eq!(stage.start(&["--limit", "1"]).end().await.code, Some(4));
    let paused = stage.project.run(&["pause", RUN]).await;
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let held = stage.send().await;
    assert_eq!(held.code, Some(4));
    assert!(held.err.contains("is paused"), "{held:?}");
    assert_eq!(stage.provider.totals().await.people, 1);
    let refuse = json!([{ "kind": "error", "code": 2008 }]);
    stage.provider.faults(1, &refuse).await;
    let halted = stage.resume().await;
    assert_eq!(halted.code, Some(4), "{halted:?}");
    assert!(
        halted.err.contains("was halted: ") && halted.err.contains("Mend that"),
        "{halted:?}"
    );
    stage.provider.faults(1, &json!([])).await;
    assert_eq!(stage.resume().await.code, Some(0));
    stage.assert_everybody_once().await;
}

#[tokio::test]
async fn five_for_a_ledger_that_cannot_be_read() {
    let project = shipped();
    project.write(
        "sendoff.db",
        "this is no ledger, but nobody told the program so far",
    );
    for args in [
        &["status"][..],
        &["run", "campaigns/review-request.yaml", "--sandbox"],
    ] {
        let ended = project.run(args).await;
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert!(ended.err.contains("sendoff.db"), "{ended:?}");
        for word in ["sqlx", "SqliteError", "panicked", "(code:"] {
            assert!(!ended.err.contains(word), "{ended:?}");
        }
    }
}

/// Runs a command whose reader is gone before it begins.
fn unread(mut command: std::process::Command) -> (Option<i32>, String) {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_fault() {
    let project = shipped();
    let run = ["run", "campaigns/nightly-reminder.yaml", "--sandbox"];
    assert_eq!(unread(project.sendoff(&run)).0, Some(0));
    let report = ["report", "nightly-reminder@rehearsal-1"];
    for args in [
        &["status"][..],
        &["status", "--format", "json"],
        &report,
        &[report[0], report[1], "--format", "csv"],
        &[report[0], report[1], "--format", "json"],
        &["check", "campaigns/nightly-reminder.yaml"],
        &["schedule"],
        &["schema", "campaign"],
        &["completions", "bash"],
        &["preview", "campaigns/nightly-reminder.yaml"],
        &["init", "new"],
        &["--help"],
    ] {
        let (code, said) = unread(project.sendoff(args));
        assert_eq!(code, Some(0), "{args:?}: {said}");
        assert!(!said.contains("error"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_written_is_no_success() {
    let project = shipped();
    let run = ["run", "campaigns/nightly-reminder.yaml", "--sandbox"];
    assert_eq!(project.run(&run).await.code, Some(0));
    let args = [
        "report",
        "nightly-reminder@rehearsal-1",
        "-o",
        "no/such/folder/x",
    ];
    let ended = project.run(&args).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no/such/folder/x"), "{ended:?}");
}

#[tokio::test]
async fn a_list_can_come_from_standard_input() {
    let project = shipped();
    let name = "campaigns/nightly-reminder.yaml";
    let text = project
        .read(name)
        .replace("csv: nightly-reminder.csv", "csv: \"-\"");
    project.write(name, text);
    let list = std::fs::File::open(home().join("campaigns/nightly-reminder.csv")).unwrap();
    let mut command = project.sendoff(&["run", name, "--sandbox"]);
    let ended = command.stdin(list).output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let nothing = output(project.sendoff(&["run", name, "--sandbox"]));
    assert_eq!(nothing.code, Some(1), "{nothing:?}");
    assert!(nothing.err.contains("the list is empty"), "{nothing:?}");
}

#[tokio::test]
async fn the_page_of_exit_codes_is_that_of_the_help() {
    let page = std::fs::read_to_string(home().join("docs/exit-codes.md")).unwrap();
    let help = Project::new().run(&["--help"]).await.out;
    let (_, table) = help.split_once("Exit codes:").unwrap();
    for code in 0..=5 {
        let row = page
            .lines()
            .find_map(|line| line.strip_prefix(&format!("| {code} | ")))
            .unwrap();
        let meaning = row.split(" | ").next().unwrap();
        assert!(
            table.contains(&format!("  {code}  {meaning}")),
            "{code} is not '{meaning}' in the help"
        );
    }
}
