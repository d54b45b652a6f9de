//! Bad input never half-sends: exit 1, every problem with its place and remedy, no request that
//! carries a message, nothing left in the ledger.

use std::fmt::Write as _;
use std::process::Command;

use crate::cli::output;
use crate::support::{CAMPAIGN, Ended, LINES, Project, Stage};

/// Words that belong to our libraries, or to a program that broke.
const NOT_FOR_PEOPLE: [&str; 14] = [
    "panicked",
    "RUST_BACKTRACE",
    "stack backtrace",
    "serde",
    "saphyr",
    "Tera",
    "sqlx",
    "reqwest",
    "hyper",
    "os error",
    "Utf8Error",
    "unwrap",
    "Some(",
    "src/",
];

/// The report without what changes from run to run.
fn stable(stage: &Stage, text: &str) -> String {
    let (settings, _) = stage.provider.settings.split_once("    tenant").unwrap();
    let address = settings.split("base_url: ").nth(1).unwrap().trim();
    text.replace(address, "http://SANDBOX/api/v1")
}

/// Nothing has happened, neither here nor there.
async fn assert_nothing_happened(stage: &Stage) {
    let journal = stage.provider.journal().await;
    assert_eq!(journal.totals.messages, 0);
    assert!(
        journal.requests.iter().all(|one| one.method == "GET"),
        "{:?}",
        journal.requests
    );
    if stage.project.path("sendoff.db").exists() {
        let status = stage.project.run(&["status", "--format", "json"]).await;
        assert_eq!(status.code, Some(0), "{status:?}");
        assert_eq!(status.json()["runs"], serde_json::json!([]));
    }
}

fn assert_for_people(ended: &Ended) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for word in NOT_FOR_PEOPLE {
        assert!(!ended.err.contains(word), "'{word}' in\n{}", ended.err);
    }
    assert!(!ended.err.contains('\u{1b}'), "{}", ended.err);
}

/// What `run` says of a project after `spoil` has been at it.
async fn refused_in(stage: &Stage) -> String {
    let ended = stage.send().await;
    assert_for_people(&ended);
    assert_eq!(ended.out, "");
    assert_nothing_happened(stage).await;
    stable(stage, &ended.err)
}

async fn refused(spoil: impl FnOnce(&Project)) -> String {
    let stage = Stage::new(3).await;
    spoil(&stage.project);
    refused_in(&stage).await
}

/// As [`refused`], and `check` says exactly the same.
async fn refused_and_checked(spoil: impl FnOnce(&Project)) -> String {
    let stage = Stage::new(3).await;
    spoil(&stage.project);
    let said = refused_in(&stage).await;
    let check = stage.project.run(&["check", CAMPAIGN]).await;
    assert_for_people(&check);
    assert_eq!(check.out, format!("{CAMPAIGN}: cannot be sent as it is\n"));
    assert_eq!(stable(&stage, &check.err), said);
    let rehearsal = stage.project.run(&["run", CAMPAIGN, "--sandbox"]).await;
    assert_for_people(&rehearsal);
    assert_nothing_happened(&stage).await;
    said
}

/// Replaces a piece of a file, which must be there.
fn edit(project: &Project, name: &str, from: &str, to: &str) {
    let text = project.read(name);
    assert!(text.contains(from), "'{from}' is not in {name}:\n{text}");
    project.write(name, text.replace(from, to));
}

const LIST: &str = "campaigns/people.csv";
const TEMPLATE: &str = "templates/hello.yaml";

#[tokio::test]
async fn a_campaign_that_is_not_there() {
    let stage = Stage::new(1).await;
    let ended = stage
        .project
        .run(&["run", "campaigns/helo.yaml", "--yes"])
        .await;
    assert_for_people(&ended);
    assert_nothing_happened(&stage).await;
    insta::assert_snapshot!(ended.err);
}

#[tokio::test]
async fn a_list_that_is_not_there() {
    let said = refused_and_checked(|project| std::fs::remove_file(project.path(LIST)).unwrap());
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_template_that_is_not_there() {
    let said = refused_and_checked(|project| std::fs::remove_file(project.path(TEMPLATE)).unwrap());
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_that_is_no_text() {
    let said = refused_and_checked(|project| {
        project.write(
            LIST,
            b"Phone,First Name\n+12025550100,\x00\x01\x02\xff\xfe\n",
        );
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_campaign_that_is_no_text() {
    let said = refused_and_checked(|project| {
        project.write(CAMPAIGN, b"name: caf\xe9\n");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_without_the_column_that_the_template_prints() {
    let said = refused_and_checked(|project| edit(project, LIST, "First Name", "Firstname2"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_without_a_phone_column() {
    let said = refused_and_checked(|project| edit(project, LIST, "Phone", "Shoe size"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_without_the_column_that_the_campaign_names() {
    let said = refused_and_checked(|project| {
        edit(
            project,
            CAMPAIGN,
            "{ csv: people.csv }",
            "{ csv: people.csv, columns: { phone: Mobile } }",
        );
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn an_empty_list() {
    let said = refused_and_checked(|project| project.write(LIST, ""));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_of_nobody() {
    let said = refused_and_checked(|project| project.write(LIST, "Phone,First Name\n"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_list_with_ragged_rows() {
    let said = refused_and_checked(|project| {
        let rows = "Phone,First Name\n+12025550100\n".to_owned() + &"a,b,c\n".repeat(5);
        project.write(LIST, rows);
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_gateway_that_the_settings_do_not_know() {
    let said = refused(|project| edit(project, CAMPAIGN, "gateway: chert", "gateway: chart"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn no_settings_at_all() {
    let said = refused(|project| std::fs::remove_file(project.path("sendoff.yaml")).unwrap());
    insta::assert_snapshot!(said.await);
}

fn send(stage: &Stage) -> Command {
    stage.project.sendoff(&["run", CAMPAIGN, "--yes"])
}

#[tokio::test]
async fn a_secret_that_is_not_set_is_named() {
    let stage = Stage::new(1).await;
    let mut command = send(&stage);
    command.env_remove("SENDOFF_SANDBOX_SECRET");
    let ended = output(command);
    assert_for_people(&ended);
    assert_nothing_happened(&stage).await;
    assert!(!stage.project.path("sendoff.db").exists());
    insta::assert_snapshot!(ended.err);
}

#[tokio::test]
async fn a_provider_that_refuses_the_secret_is_named_and_the_secret_is_not() {
    let stage = Stage::new(1).await;
    let mut command = send(&stage);
    command.env("SENDOFF_SANDBOX_SECRET", "not-the-secret");
    let ended = output(command);
    assert_for_people(&ended);
    assert!(!ended.err.contains("not-the-secret"), "{}", ended.err);
    assert_nothing_happened(&stage).await;
    insta::assert_snapshot!(ended.err);
}

#[tokio::test]
async fn a_provider_that_does_not_know_the_tenant() {
    let stage = Stage::new(1).await;
    let settings = stage.project.read("sendoff.yaml");
    let tenant = settings.split("tenant: ").nth(1).unwrap();
    let tenant = tenant.lines().next().unwrap();
    stage
        .project
        .write("sendoff.yaml", settings.replace(tenant, "nobody-0000"));
    insta::assert_snapshot!(refused_in(&stage).await);
}

#[tokio::test]
async fn a_provider_that_does_not_answer() {
    let stage = Stage::new(1).await;
    let settings = stage.project.read("sendoff.yaml");
    let port = settings.split("127.0.0.1:").nth(1).unwrap();
    let port = port.split('/').next().unwrap();
    // Port 1 of this machine: nothing listens there.
    let closed = settings.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1");
    stage.project.write("sendoff.yaml", closed);
    let ended = stage.send().await;
    assert_for_people(&ended);
    assert_nothing_happened(&stage).await;
    insta::assert_snapshot!(ended.err);
}

#[tokio::test]
async fn a_template_that_is_not_closed() {
    let said = refused_and_checked(|project| edit(project, TEMPLATE, "}}", "}"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_name_that_does_not_exist() {
    let said = refused_and_checked(|project| edit(project, TEMPLATE, "first_name", "firstnam"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_text_that_is_too_long() {
    let said = refused_and_checked(|project| {
        let long = "x".repeat(10_001);
        project.write(
            TEMPLATE,
            format!("parts:\n  - type: text\n    value: {long}\n"),
        );
    });
    let said = said.await;
    assert!(said.lines().all(|line| line.chars().count() < 120));
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_web_address_in_a_first_text() {
    let said = refused_and_checked(|project| {
        edit(
            project,
            TEMPLATE,
            "your table",
            "www.example.com, your table",
        );
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_picture_that_is_not_there() {
    let said = refused_and_checked(|project| {
        project.write(
            TEMPLATE,
            "parts:\n  - type: media\n    file: images/{{ first_name | slugify }}.png\n",
        );
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_line_that_is_no_number() {
    let said = refused_and_checked(|project| {
        edit(project, CAMPAIGN, LINES[1], "(202) 555-0188");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_line_of_somebody_else() {
    let said = refused(|project| edit(project, CAMPAIGN, LINES[1], "+12025550188"));
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn settings_with_mistakes() {
    let said = refused(|project| {
        let text = project.read("sendoff.yaml");
        project.write("sendoff.yaml", text + "    rate: 10\n    brust: 3\n");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_secret_written_into_the_settings_is_not_repeated() {
    let said = refused(|project| {
        let text = project.read("sendoff.yaml");
        let (before, _) = text.split_once("    signing_secret").unwrap();
        let text = format!("{before}    signing_secret: hunter2hunter2\n");
        project.write("sendoff.yaml", text);
    });
    let said = said.await;
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_file_that_unfolds_without_end_is_refused_at_once() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in ('b'..='j').zip('a'..) {
        let many = format!("*{last}, ").repeat(9);
        writeln!(bomb, "{this}: &{this} [{many}]").unwrap();
    }
    let said = refused_and_checked(|project| project.write(CAMPAIGN, bomb)).await;
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_field_that_is_misspelt() {
    let said = refused_and_checked(|project| {
        edit(project, CAMPAIGN, "recipients:", "recipents:");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn mistakes_in_campaign_template_list_and_gateway_are_told_in_one_go() {
    let said = refused(|project| {
        let campaign = project
            .read(CAMPAIGN)
            .replace("gateway: chert", "gateway: cherd");
        project.write(CAMPAIGN, campaign + "windw: all day\npace: { rate: 5 }\n");
        project.write(
            TEMPLATE,
            "parts:\n  - type: text\n    value: \"Hi {{ frist_name }}\"\n  - type: text\n    \
             value: \"{{ first_name | uper }}\"\n",
        );
        let list = project.read(LIST);
        project.write(LIST, list + "+12025550109,\"Ann\"Lee\n");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn a_do_not_contact_list_with_a_mistake() {
    let said = refused_and_checked(|project| {
        let campaign = project.read(CAMPAIGN);
        project.write(CAMPAIGN, campaign + "suppress: [stop.csv, gone.csv]\n");
        project.write("campaigns/stop.csv", "phone\n+12025550100\nnot a number\n");
    });
    insta::assert_snapshot!(said.await);
}

#[tokio::test]
async fn an_only_that_is_not_in_the_list() {
    let stage = Stage::new(3).await;
    for (name, only) in [
        ("only_no_number", "12"),
        ("only_a_stranger", "+12025550199"),
    ] {
        let args = ["run", CAMPAIGN, "--yes", "--only", only];
        let ended = stage.project.run(&args).await;
        assert_for_people(&ended);
        assert_nothing_happened(&stage).await;
        insta::assert_snapshot!(name, ended.err);
    }
}

#[tokio::test]
async fn a_run_that_does_not_exist() {
    let stage = Stage::new(1).await;
    for args in [
        &["status", "hello@once"][..],
        &["report", "hello@once"],
        &["resume", "hello@once"],
        &["pause", "hello@once"],
        &["cancel", "hello@once", "--yes"],
    ] {
        let ended = stage.project.run(args).await;
        assert_for_people(&ended);
        assert!(ended.err.contains("there is no ledger"), "{ended:?}");
    }
    assert!(!stage.project.path("sendoff.db").exists());
    assert_eq!(stage.send().await.code, Some(0));
    let near = stage.project.run(&["status", "hallo@once"]).await;
    assert_for_people(&near);
    insta::assert_snapshot!(near.err);
    let odd = stage.project.run(&["resume", "hello"]).await;
    assert_for_people(&odd);
    insta::assert_snapshot!(odd.err);
}
