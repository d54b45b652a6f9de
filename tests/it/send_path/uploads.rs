//! Pictures: uploaded once per distinct content, and anew when the provider has lost them.

use serde_json::json;

use super::books::bury_the_killed;
use super::by_key;
use crate::support::{Journal, On, RUN, Stage, phone};

/// Any picture will do.
const PRIYA: &[u8] = include_bytes!("../../../templates/images/priya.png");
const MARCO: &[u8] = include_bytes!("../../../templates/images/marco.png");

/// Everybody gets a picture, by turns one of three names; two of them are the same picture.
async fn gallery(on: On, people: usize) -> Stage {
    let stage = Stage::on(on, people, "pace: { concurrency: 8 }", "").await;
    for (name, bytes) in [("a", PRIYA), ("b", MARCO), ("c", PRIYA)] {
        let file = format!("templates/{name}.png");
        stage.project.write(&file, bytes);
    }
    let list = (0..people).fold("Phone,Picture\n".to_owned(), |list, n| {
        format!("{list}{},{}\n", phone(n), ["a", "b", "c"][n % 3])
    });
    stage.project.write("campaigns/people.csv", list);
    stage.project.write(
        "templates/hello.yaml",
        "parts:\n  - type: media\n    file: \"{{ picture }}.png\"\n  - type: text\n    \
         value: Your table is ready.\n",
    );
    stage
}

fn slots(journal: &Journal) -> usize {
    let slot = |path: &str| path.ends_with("/attachments");
    journal
        .requests
        .iter()
        .filter(|one| slot(&one.path))
        .count()
}

pub(super) async fn a_picture_is_uploaded_once_however_many_people_get_it(on: On) {
    let stage = gallery(on, 60).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!((journal.totals.files, slots(&journal)), (2, 2));
    // The next campaign uses what is there.
    stage.campaign("again", "");
    let args = ["run", "campaigns/again.yaml", "--yes"];
    let again = stage.project.run(&args).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    let journal = stage.provider.journal().await;
    assert_eq!((journal.totals.files, journal.totals.messages), (2, 120));
}

pub(super) async fn a_picture_that_the_provider_has_lost_is_uploaded_anew_under_a_new_key(on: On) {
    let stage = gallery(on, 30).await;
    let lost = json!([{
        "kind": "error", "code": 5001, "times": 1, "match": { "to": phone(10) },
    }]);
    stage.provider.faults(1, &lost).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    assert_eq!(slots(&journal), 3, "one picture was uploaded again, once");
    let to = phone(10);
    let posts: Vec<_> = journal
        .posts()
        .into_iter()
        .filter(|post| post.to.as_ref() == Some(&to))
        .collect();
    assert_eq!(posts.len(), 2);
    assert_ne!(posts[0].key, posts[1].key, "a key never serves two bodies");
    assert_ne!(posts[0].body_sha256, posts[1].body_sha256);
}

pub(super) async fn a_picture_lost_after_a_lost_answer_never_means_a_second_message(on: On) {
    let stage = gallery(on, 12).await;
    let to = phone(5);
    let rules = json!([
        { "kind": "drop", "attempts": 1, "match": { "to": to } },
        { "kind": "error", "code": 5001, "match": { "to": to } },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(journal.totals.people, 12, "the first try was taken");
    let rows = stage.project.rows(RUN).await;
    let row = rows.iter().find(|row| row.phone == to).unwrap();
    assert_eq!(row.state, "uncertain", "{row:?}");
    let keys = by_key(&journal);
    assert_eq!(keys.len(), 12, "a new key for what may be out");
}

pub(super) async fn a_picture_lost_for_many_at_once_is_uploaded_again_once(on: On) {
    let stage = gallery(on, 60).await;
    let lost = json!([{ "kind": "error", "code": 5001, "times": 8 }]);
    stage.provider.faults(1, &lost).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_everybody_once().await;
    assert!(
        slots(&journal) <= 5,
        "{} uploads of two pictures",
        slots(&journal)
    );
}

pub(super) async fn an_upload_that_fails_is_tried_again_and_costs_nobody_the_message(on: On) {
    let stage = gallery(on, 20).await;
    let rules = json!([
        { "kind": "error", "code": 3002, "times": 2, "match": { "route": "attachments" } },
        { "kind": "drop_before", "times": 2, "match": { "route": "upload" } },
    ]);
    stage.provider.faults(1, &rules).await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

pub(super) async fn a_kill_during_the_uploads_costs_an_upload_at_most(on: On) {
    let stage = gallery(on, 20).await;
    let lie = json!([{
        "kind": "slow_after_accept", "delay_ms": 60_000, "match": { "route": "upload" },
    }]);
    stage.provider.faults(1, &lie).await;
    let mut process = stage.start(&[]);
    stage.provider.until_waiting(1).await;
    process.kill();
    bury_the_killed(&stage).await;
    stage.provider.faults(1, &json!([])).await;
    let resumed = stage.resume().await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let journal = stage.assert_everybody_once().await;
    assert!(slots(&journal) <= 4);
    assert!(by_key(&journal).values().all(|posts| posts.len() == 1));
    assert!(!stage.project.rows(RUN).await.is_empty());
}
