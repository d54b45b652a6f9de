//! Everybody once: the rehearsal, a plain run, a part of it, a frozen one, and the next
//! campaign to the same people.

use serde_json::json;

use crate::support::{CAMPAIGN, On, Provider, RUN, Stage, accepted, phone};

pub(super) async fn a_run_sends_everybody_once_and_says_so(on: On) {
    let stage = Stage::on(on, 40, "", "").await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
    let again = stage.send().await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.err.contains("finished already"), "{again:?}");
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!(journal.totals.message_posts, 40, "{RUN} was not left alone");
}

pub(super) async fn a_rehearsal_sends_everybody_once_and_touches_nothing_live(on: On) {
    let stage = Stage::on(on, 25, "", "").await;
    for number in 1..=2 {
        let args = ["run", CAMPAIGN, "--sandbox", "--format", "json"];
        let ended = stage.project.run(&args).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let json = ended.json();
        let run = format!("hello@rehearsal-{number}");
        assert_eq!(
            (&json["run"], &json["state"]),
            (&json!(run), &json!("finished"))
        );
        assert_eq!((&json["total"], accepted(&json)), (&json!(25), 25));
    }
    assert!(stage.provider.journal().await.requests.is_empty());
    // The people of a rehearsal are strangers to the live account.
    let live = stage.send().await;
    assert_eq!(live.code, Some(0), "{live:?}");
    let journal = stage.assert_everybody_once().await;
    assert!(
        journal
            .posts()
            .iter()
            .all(|post| post.path.ends_with("/chats"))
    );
}

pub(super) async fn a_limit_sends_so_many_and_leaves_the_rest_for_later(on: On) {
    let stage = Stage::on(on, 20, "", "").await;
    for people in [7, 14] {
        let ended = stage.start(&["--limit", "7"]).end().await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert_eq!(stage.provider.totals().await.people, people);
    }
    let ended = stage.start(&["--limit", "6"]).end().await;
    assert_eq!(
        ended.code,
        Some(0),
        "the last ones finish the run: {ended:?}"
    );
    stage.assert_everybody_once().await;
}

pub(super) async fn only_one_person_first_and_then_the_others(on: On) {
    let stage = Stage::on(on, 20, "", "").await;
    for _ in 0..2 {
        let ended = stage.start(&["--only", &phone(13)]).end().await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let journal = stage.assert_nobody_twice().await;
        let people: Vec<_> = journal.messages.iter().map(|one| one.to.clone()).collect();
        assert_eq!(people, [[phone(13)]]);
    }
    let nobody = stage.start(&["--only", &phone(77)]).end().await;
    assert_eq!(nobody.code, Some(1), "{nobody:?}");
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn a_run_stays_as_it_was_frozen_whatever_becomes_of_its_files(on: On) {
    for args in [["run", CAMPAIGN, "--yes"], ["resume", RUN, "--yes"]] {
        let stage = Stage::on(on, 30, "", "").await;
        let ended = stage.start(&["--limit", "5"]).end().await;
        assert_eq!(ended.code, Some(4), "{ended:?}");
        // Other people, another text, another pace.
        let list = format!("Phone,First Name\n{},Max\n", phone(150));
        stage.project.write("campaigns/people.csv", list);
        let text = "parts:\n  - type: text\n    value: Closed today.\n";
        stage.project.write("templates/hello.yaml", text);
        stage.campaign("hello", "pace: { rate: 1/m }");
        let ended = stage.project.run(&args).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        for part in [
            "campaigns/hello.yaml",
            "templates/hello.yaml",
            "people.csv",
            "stays as it was frozen",
        ] {
            assert!(ended.err.contains(part), "{part}: {ended:?}");
        }
        let journal = stage.assert_everybody_once().await;
        for message in &journal.messages {
            let text = message.parts.to_string();
            assert!(text.contains("your table is ready"), "{text}");
        }
    }
}

pub(super) async fn a_run_stays_with_the_account_that_it_was_frozen_for(on: On) {
    let stage = Stage::on(on, 20, "", "").await;
    let other = Provider::start().await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let (_, account) = other.settings.split_once("chert:").unwrap();
    let settings = stage.project.read("sendoff.yaml");
    let both = format!("{settings}\n  other:{account}");
    stage.project.write("sendoff.yaml", both);
    let campaign = stage.project.read(CAMPAIGN);
    let moved = campaign.replace("gateway: chert", "gateway: other");
    stage.project.write(CAMPAIGN, moved);
    let ended = stage.project.run(&["run", CAMPAIGN, "--yes"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
    assert_eq!(other.journal().await.totals.messages, 0);
}

/// What the ledger knows of chats and keys is of no use with another account, and could send
/// a message twice.
pub(super) async fn a_gateway_that_became_another_account_is_refused(on: On) {
    let stage = Stage::on(on, 20, "", "").await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let settings = stage.project.read("sendoff.yaml");
    let moved: String = settings
        .lines()
        .map(|line| match line.split_once("tenant: ") {
            Some((before, _)) => format!("{before}tenant: somebody-else\n"),
            None => format!("{line}\n"),
        })
        .collect();
    stage.project.write("sendoff.yaml", moved);
    stage.campaign("next", "");
    for args in [
        ["run", CAMPAIGN, "--yes"],
        ["resume", RUN, "--yes"],
        ["run", "campaigns/next.yaml", "--yes"],
    ] {
        let ended = stage.project.run(&args).await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.err.contains("somebody-else at 127.0.0.1"),
            "{ended:?}"
        );
    }
    assert_eq!(stage.provider.journal().await.totals.messages, 5);
    stage.project.write("sendoff.yaml", settings);
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn files_that_are_as_they_were_are_not_called_changed(on: On) {
    let stage = Stage::on(on, 10, "suppress: [leave-alone.csv]", "").await;
    let leave_alone = format!("Phone\n{}\n", phone(150));
    stage
        .project
        .write("campaigns/leave-alone.csv", leave_alone);
    for _ in 0..2 {
        let ended = stage.start(&["--limit", "2"]).end().await;
        assert!(!ended.err.contains("changed"), "{ended:?}");
    }
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.err.contains("changed"), "{ended:?}");
}

pub(super) async fn the_files_of_a_run_may_be_gone_when_it_is_resumed(on: On) {
    let stage = Stage::on(on, 30, "", "").await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for folder in ["campaigns", "templates"] {
        std::fs::remove_dir_all(stage.project.path(folder)).unwrap();
    }
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn somebody_known_is_written_to_in_their_chat_and_from_their_line(on: On) {
    let stage = Stage::on(on, 21, "", "").await;
    assert_eq!(stage.send().await.code, Some(0));
    let first = stage.assert_everybody_once().await;
    // In another order, so that taking turns would give many another line; and with an address
    // in the text, which only a first message must not have.
    let list = (0..21)
        .rev()
        .fold("Phone,First Name\n".to_owned(), |list, n| {
            format!("{list}{},Person {n}\n", phone(n))
        });
    stage.project.write("campaigns/people.csv", list);
    stage.project.write(
        "templates/hello.yaml",
        "parts:\n  - type: text\n    value: The menu is at https://example.com/menu\n",
    );
    stage.campaign("menu", "");
    let ended = stage
        .project
        .run(&["run", "campaigns/menu.yaml", "--yes"])
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let both = stage.provider.journal().await;
    assert_eq!((both.totals.messages, both.totals.most_per_person), (42, 2));
    for second in &both.messages[21..] {
        let before = first
            .messages
            .iter()
            .find(|one| one.to == second.to)
            .unwrap();
        assert_eq!(before.chat_id, second.chat_id);
        assert_eq!(before.from, second.from);
    }
    let follow_ups = both
        .posts()
        .into_iter()
        .filter(|post| post.path.ends_with("/messages"));
    assert_eq!(follow_ups.count(), 21);
    for row in stage.project.rows("menu@once").await {
        let received = both.messages[21..]
            .iter()
            .find(|one| one.message_id == row.message_id);
        assert_eq!(
            received.unwrap().from.as_deref(),
            Some(&*row.line),
            "{row:?}"
        );
    }
}
