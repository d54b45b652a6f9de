//! How long a STOP takes: the real program sends as fast as it is let while people in the list say
//! STOP, and the sandbox's record shows what still left to them. Prints its figures:
//!
//! ```sh
//! cargo test --all-features --test it soon_after_a_stop -- --nocapture
//! ```

use std::sync::Arc;

use jiff::SignedDuration;
use sendoff::domain::address::Address;
use sendoff::ledger::Ledger;
use sendoff::ledger::postgres::PostgresLedger;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use serde_json::json;

use crate::support::{On, PATIENCE, Stage, phone, until};

const PEOPLE: usize = 600;
const STOPS: usize = 25;
/// Shorter than any two looks at the log are apart, so the stream must have told it; far longer
/// than it takes, for a machine with other things to do.
const BOUND: SignedDuration = SignedDuration::from_secs(3);

async fn ledger(stage: &Stage) -> Arc<dyn Ledger> {
    if let Some(database) = &stage.database {
        return Arc::new(PostgresLedger::open(&database.url().await).await.unwrap());
    }
    let path = stage.project.path("sendoff.db");
    Arc::new(SqliteLedger::open(&path, Durability::None).await.unwrap())
}

/// The least, the middle and the greatest, in milliseconds.
fn spread(mut lengths: Vec<SignedDuration>) -> String {
    lengths.sort_unstable();
    let ms = |at: usize| lengths.get(at).map_or(0, SignedDuration::as_millis);
    let last = lengths.len().saturating_sub(1);
    format!("{} / {} / {} ms", ms(0), ms(lengths.len() / 2), ms(last))
}

#[expect(clippy::print_stderr, reason = "a figure is for whoever runs the test")]
pub(super) async fn soon_after_a_stop_nothing_leaves_any_more_however_fast_the_campaign_is(on: On) {
    let pace = "pace: { rate: 60/s, burst: 1, concurrency: 8 }";
    let stage = Stage::on(on, PEOPLE, pace, "").await;
    let process = stage.start(&[]);
    until("the stream", async || {
        let journal = stage.provider.journal().await;
        let mut opened = journal.requests.iter();
        opened
            .any(|one| one.path == "/api/v1/events/stream")
            .then_some(())
    })
    .await;
    let mut stopped = Vec::new();
    for n in 0..STOPS {
        stage.provider.until_people(5 + n * 20).await;
        // From the next one to be written to on to somebody whose turn comes in a moment.
        let person = stage.provider.totals().await.people + 1 + (n % 9) * 4;
        if !stopped.contains(&person) {
            stage.provider.says(&phone(person), "STOP").await;
            stopped.push(person);
        }
    }
    let ended = process.end_within(PATIENCE * 2).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    let ledger = ledger(&stage).await;
    let (mut kept, mut after) = (Vec::new(), Vec::new());
    let mut spared = 0;
    for person in stopped.iter().map(|person| phone(*person)) {
        let number = Address::stored(&person).unwrap();
        let said = ledger.opt_outs_of(&number).await.unwrap().remove(0);
        kept.push(said.noted_at.duration_since(said.at));
        let posts = journal.posts().into_iter();
        let mut posts = posts.filter(|post| post.to.as_deref() == Some(&person));
        match posts.next().map(|post| post.at.duration_since(said.at)) {
            None => spared += 1,
            Some(lag) if lag > SignedDuration::ZERO => after.push(lag),
            Some(_) => {}
        }
        assert!(posts.next().is_none(), "nobody is asked about again");
    }
    ledger.close().await;
    eprintln!(
        "{on:?}: {} STOPs were in the ledger after {} (least / middle / most); {} messages came \
         after the STOP, by {}; {spared} people were spared theirs",
        stopped.len(),
        spread(kept.clone()),
        after.len(),
        spread(after.clone()),
    );
    assert!(
        stopped.len() >= 20 && spared >= 5,
        "{spared} of {}",
        stopped.len()
    );
    for lag in kept.into_iter().chain(after) {
        assert!(lag < BOUND, "{lag:?}");
    }
}

pub(super) async fn a_stop_told_by_a_stream_that_breaks_in_the_middle_of_it_is_heard_all_the_same(
    on: On,
) {
    let slow = "pace: { rate: 2/s, burst: 1, concurrency: 1 }";
    let stage = Stage::on(on, 20, slow, "").await;
    let cut = json!([{ "kind": "half_answer", "times": 2, "match": { "route": "event_stream" } }]);
    stage.provider.faults(1, &cut).await;
    let process = stage.start(&[]);
    stage.provider.until_people(2).await;
    stage.provider.says(&phone(19), "STOP").await;
    let ended = process.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let journal = stage.assert_nobody_twice().await;
    assert_eq!(journal.totals.people, 19);
    let streams = journal.requests.iter();
    let streams = streams.filter(|one| one.path == "/api/v1/events/stream");
    assert!(streams.count() >= 2, "it is opened again");
    assert!(ended.err.find("STOP").is_none(), "{ended:?}");
}
