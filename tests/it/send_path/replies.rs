//! What people say while a campaign goes out: whoever says STOP gets nothing more, whenever it was
//! said and however often it is told.

use serde_json::json;

use crate::support::{Journal, On, RUN, Stage, phone, until};

/// Two a second, one at a time: thirty people take a quarter of a minute, several looks at the log.
const SLOW: &str = "pace: { rate: 2/s, burst: 1, concurrency: 1 }";

fn received(journal: &Journal, person: &str) -> usize {
    let to = |to: &Vec<String>| to.iter().any(|one| one == person);
    journal.messages.iter().filter(|one| to(&one.to)).count()
}

async fn standing(stage: &Stage, person: usize) -> (String, String) {
    let rows = stage.project.rows(RUN).await;
    let row = rows.into_iter().find(|row| row.phone == phone(person));
    let row = row.expect("everybody has a row");
    (row.state, row.reason)
}

pub(super) async fn a_stop_from_before_the_run_is_heard_before_the_first_message(on: On) {
    let stage = Stage::on(on, 3, "", "").await;
    stage.provider.says(&phone(0), " stop ").await;
    stage
        .provider
        .says(&phone(1), "please stop texting me")
        .await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(received(&journal, &phone(0)), 0);
    assert_eq!(journal.totals.people, 2);
    let opted_out = ("skipped".to_owned(), "opted_out".to_owned());
    assert_eq!(standing(&stage, 0).await, opted_out);
    let first_post = journal.posts()[0].at;
    let look = journal
        .requests
        .iter()
        .find(|one| one.path == "/api/v1/events");
    assert!(look.expect("the log was read").at <= first_post);
    let review = stage.project.run(&["suppress", "review"]).await;
    assert!(review.out.contains("please stop texting me"), "{review:?}");
    let proof = stage.project.run(&["verify", RUN]).await;
    assert_eq!(proof.code, Some(0), "{proof:?}");
}

pub(super) async fn nothing_leaves_to_whoever_says_stop_while_others_are_written_to(on: On) {
    let stage = Stage::on(on, 30, SLOW, "").await;
    let process = stage.start(&[]);
    stage.provider.until_people(2).await;
    let journal = stage.provider.journal().await;
    let last = (0..30)
        .rev()
        .map(phone)
        .find(|one| received(&journal, one) == 0);
    let last = last.expect("most have received nothing yet");
    stage.provider.says(&last, "STOP").await;
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(received(&journal, &last), 0, "it was written to after all");
    assert_eq!(journal.totals.people, 29, "nobody else is left out");
    let suppressed = stage.project.run(&["suppress", "list"]).await;
    assert!(suppressed.out.contains("reply"), "{suppressed:?}");
}

pub(super) async fn the_newest_word_counts_and_is_kept_once_however_it_is_told(on: On) {
    let stage = Stage::on(on, 4, "", "").await;
    for (person, words) in [(1, "STOP"), (2, "STOP"), (2, "START")] {
        stage.provider.says(&phone(person), words).await;
    }
    // The same event a second time, after others.
    for _ in 0..2 {
        let told = json!({ "from": phone(3), "text": "STOP", "event_id": "evt-3" });
        stage.provider.tells(&told).await;
    }
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    let got: Vec<usize> = (0..4).map(|n| received(&journal, &phone(n))).collect();
    assert_eq!(got, [1, 0, 1, 0]);
    // Nobody's word is lost or doubled when the log is read again.
    let again = stage.send().await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let list = stage
        .project
        .run(&["suppress", "list", "--format", "json"])
        .await;
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(list["suppressions"].as_array().unwrap().len(), 2, "{list}");
}

pub(super) async fn nothing_is_sent_while_answers_cannot_be_read(on: On) {
    let stage = Stage::on(on, 3, "", "").await;
    stage.provider.says(&phone(0), "STOP").await;
    let away = json!([{ "kind": "error", "code": 3002, "match": { "route": "events" } }]);
    stage.provider.faults(1, &away).await;
    let process = stage.start(&[]);
    until("two looks at the log", async || {
        let journal = stage.provider.journal().await;
        let looks = journal
            .requests
            .iter()
            .filter(|one| one.path == "/api/v1/events");
        (looks.count() >= 2).then_some(())
    })
    .await;
    assert_eq!(stage.provider.totals().await.message_posts, 0);
    stage.provider.faults(1, &json!([])).await;
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(
        (received(&journal, &phone(0)), journal.totals.people),
        (0, 2)
    );
}

pub(super) async fn a_sync_hears_what_was_said_after_the_run(on: On) {
    let stage = Stage::on(on, 2, "", "").await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.provider.says(&phone(1), "Unsubscribe").await;
    let sync = stage.project.run(&["sync"]).await;
    assert_eq!(sync.code, Some(0), "{sync:?}");
    assert!(sync.out.contains("chert: 1 new answer\n"), "{sync:?}");
    let again = stage.project.run(&["sync"]).await;
    assert!(!again.out.contains("answer"), "kept once: {again:?}");
    let suppressed = stage
        .project
        .run(&["suppress", "list", "--format", "json"])
        .await;
    assert_eq!(
        suppressed.json()["suppressions"][0]["phone"],
        phone(1),
        "{suppressed:?}"
    );
    assert_eq!(suppressed.json()["suppressions"][0]["run"], RUN);
}
