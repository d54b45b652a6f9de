//! Freezing: all of a list or nothing of it, and each person once.

use std::collections::HashMap;

use sendoff::domain::address::Address;
use sendoff::domain::campaign::FrozenFile;
use sendoff::domain::delivery::{DeliveryState, SkipReason};
use sendoff::domain::digest::Digest;
use sendoff::domain::message::Media;
use sendoff::domain::run::RunState;
use sendoff::ledger::{KnownChat, LedgerError, NewDelivery};

use super::bench::{
    Bench, LINE_A, LINE_B, at, chat, freeze, new_run, phone, record_of, row, rows, run_id, sent,
    skipped,
};
use super::store::Store;

fn with_key(number: u32, key: &str) -> NewDelivery {
    NewDelivery {
        recipient_key: Some(key.to_owned()),
        ..row(number, LINE_A)
    }
}

/// The same phone as the person of that number, in another row.
fn again(number: u32, person: u32) -> NewDelivery {
    NewDelivery {
        phone: Some(phone(person)),
        ..row(number, LINE_A)
    }
}

/// Row numbers and, for duplicates, the row that each names.
async fn duplicates(bench: &Bench) -> Vec<(u64, String)> {
    let all = bench.all().await;
    all.into_iter()
        .filter(|row| row.reason == Some(SkipReason::Duplicate))
        .map(|row| (row.row, row.detail.unwrap()))
        .collect()
}

fn names(row: u64, first: u64) -> (u64, String) {
    (row, format!("row {first} is the same person"))
}

pub(super) async fn a_sealed_run_has_every_row(store: &dyn Store) {
    let ledger = store.open().await;
    let mut draft = ledger.freeze(&new_run("spring@once")).await.unwrap();
    // Groups that are shorter and longer than any insert, and one that is empty.
    draft.add(rows(1..=3, LINE_A)).await.unwrap();
    draft.add(Vec::new()).await.unwrap();
    draft.add(rows(4..=200, LINE_B)).await.unwrap();
    draft
        .add(vec![skipped(201, SkipReason::Filtered)])
        .await
        .unwrap();
    let file = FrozenFile {
        role: "list".to_owned(),
        name: "people.csv".to_owned(),
        sha256: Digest::of(b"list"),
        text: None,
    };
    let run = draft.seal(vec![file.clone()]).await.unwrap();
    assert_eq!((run.total, run.state), (201, RunState::Running));
    assert_eq!(run.files, [file]);
    let all = ledger.deliveries(&run.run, None, 1_000).await.unwrap();
    let numbers: Vec<u64> = all.iter().map(|row| row.row).collect();
    assert_eq!(numbers, (1..=201).collect::<Vec<u64>>());
    assert_eq!(all[200].reason, Some(SkipReason::Filtered));
    assert_eq!(all[3].line, LINE_B);
    assert_eq!(all[3].phone, Some(phone(4)));
    assert_eq!(all[3].recipient_key.as_deref(), Some(phone(4).expose()));
    let facts = ledger.facts(&run.run, at(0)).await.unwrap();
    assert_eq!(facts.counts.total(), 201);
    assert_eq!(facts.counts.of(DeliveryState::Pending), 200);
}

pub(super) async fn a_freeze_that_is_dropped_or_discarded_leaves_nothing(store: &dyn Store) {
    let ledger = store.open().await;
    let run = run_id("spring@once");
    for discard in [true, false] {
        let mut draft = ledger.freeze(&new_run("spring@once")).await.unwrap();
        draft.add(rows(1..=70, LINE_A)).await.unwrap();
        let twice = vec![again(71, 1), skipped(72, SkipReason::InvalidPhone)];
        draft.add(twice).await.unwrap();
        if discard {
            let facts = draft.discard().await.unwrap();
            assert_eq!(facts.counts.of(DeliveryState::Pending), 70);
            assert_eq!(facts.skipped[&SkipReason::Duplicate], 1);
            assert_eq!(facts.skipped[&SkipReason::InvalidPhone], 1);
        } else {
            drop(draft);
        }
        assert!(ledger.run(&run).await.unwrap().is_none());
        assert!(ledger.runs().await.unwrap().is_empty());
    }
    // The list can be frozen afterwards as if nothing had been.
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    assert_eq!(bench.take(0, 10).await.len(), 2);
}

pub(super) async fn a_freeze_that_failed_cannot_be_sealed(store: &dyn Store) {
    let ledger = store.open().await;
    let mut draft = ledger.freeze(&new_run("spring@once")).await.unwrap();
    draft.add(rows(1..=2, LINE_A)).await.unwrap();
    let nowhere = NewDelivery {
        phone: None,
        ..row(3, LINE_A)
    };
    assert!(draft.add(vec![nowhere]).await.is_err());
    assert!(draft.seal(Vec::new()).await.is_err());
    assert!(ledger.run(&run_id("spring@once")).await.unwrap().is_none());
}

pub(super) async fn a_run_exists_once(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=1, LINE_A)).await;
    let other = store.open().await;
    for ledger in [&bench.ledger, &other] {
        let second = ledger.freeze(&new_run("spring@once")).await.err();
        assert!(matches!(second, Some(LedgerError::RunExists(run)) if run == bench.run.run));
    }
    let next = freeze(&*other, &new_run("spring@again"), rows(1..=2, LINE_A)).await;
    assert_eq!((bench.all().await.len(), next.total), (1, 2));
}

pub(super) async fn a_second_row_for_a_phone_or_key_is_a_duplicate_of_the_first(store: &dyn Store) {
    let list = vec![
        row(1, LINE_A),
        with_key(2, "customer-2"),
        again(3, 1),
        with_key(4, "customer-2"),
        // Another phone under row 2's key, and row 1's phone under a key of its own.
        NewDelivery {
            recipient_key: Some("customer-5".to_owned()),
            ..again(5, 1)
        },
        row(6, LINE_A),
    ];
    let bench = Bench::with(store, list).await;
    assert_eq!(
        duplicates(&bench).await,
        [names(3, 1), names(4, 2), names(5, 1)]
    );
    assert_eq!(bench.take(0, 10).await.len(), 3);
    let facts = bench.ledger.facts(&bench.run.run, at(0)).await.unwrap();
    assert_eq!(facts.skipped[&SkipReason::Duplicate], 3);
}

pub(super) async fn duplicates_are_found_across_long_lists(store: &dyn Store) {
    let ledger = store.open().await;
    let mut draft = ledger.freeze(&new_run("spring@once")).await.unwrap();
    draft.add(rows(1..=150, LINE_A)).await.unwrap();
    let mut second = rows(151..=300, LINE_A);
    second[0] = again(151, 1);
    second[64] = again(215, 150);
    second[65] = again(216, 214);
    second[149] = again(300, 299);
    draft.add(second).await.unwrap();
    let run = draft.seal(Vec::new()).await.unwrap();
    let bench = Bench {
        ledger,
        run,
        me: super::bench::owner("me"),
    };
    assert_eq!(
        duplicates(&bench).await,
        [
            names(151, 1),
            names(215, 150),
            names(216, 214),
            names(300, 299)
        ]
    );
    assert_eq!(bench.all().await.len(), 300);
    assert_eq!(bench.take(0, 1_000).await.len(), 296);
}

pub(super) async fn a_skipped_row_stands_in_nobodys_way(store: &dyn Store) {
    let list = vec![
        skipped(1, SkipReason::Filtered),
        NewDelivery {
            recipient_key: Some("customer-2".to_owned()),
            ..skipped(2, SkipReason::MissingValue)
        },
        again(3, 1),
        with_key(4, "customer-2"),
        again(5, 1),
        // Row 5 is not sent, so its own key is free.
        with_key(6, "customer-5"),
    ];
    let bench = Bench::with(store, list).await;
    assert_eq!(duplicates(&bench).await, [names(5, 3)]);
    let claimed: Vec<u64> = bench.take(0, 10).await.iter().map(|c| c.row).collect();
    assert_eq!(claimed, [3, 4, 6]);
}

pub(super) async fn a_key_that_reads_like_anothers_phone_is_the_same_key(store: &dyn Store) {
    // Both would be sent under one idempotency key, so one of them would never arrive.
    let of = |n: u32| phone(n).expose().to_owned();
    let list = vec![
        row(1, LINE_A),
        with_key(2, &of(1)),
        with_key(3, &of(9)),
        // Its phone is no key: person 4 goes by another one.
        with_key(4, "customer-4"),
        with_key(5, &of(4)),
        row(9, LINE_A),
    ];
    let bench = Bench::with(store, list).await;
    assert_eq!(duplicates(&bench).await, [names(2, 1), names(9, 3)]);
    let keys: Vec<String> = bench
        .take(0, 10)
        .await
        .into_iter()
        .map(|claim| claim.recipient_key)
        .collect();
    assert_eq!(keys, [of(1), of(9), "customer-4".to_owned(), of(4)]);
}

pub(super) async fn known_people_are_told_with_their_chat_and_line(store: &dyn Store) {
    let bench = Bench::with(store, rows(1..=2, LINE_A)).await;
    let claim = bench.take_one(0).await;
    bench.begin(&claim, 0).await;
    let mut record = record_of(&claim, 0, sent());
    record.chat = Some(chat(1, "chat-9", LINE_B));
    bench.record(record).await;
    let known = KnownChat {
        chat_id: "chat-9".to_owned(),
        line: LINE_B.to_owned(),
    };
    let expected: HashMap<String, KnownChat> = [(phone(1).expose().to_owned(), known)].into();
    let (one, two) = (phone(1), phone(2));
    let known = async |gateway: &str, phones: &[&Address]| {
        bench.ledger.known(gateway, phones).await.unwrap()
    };
    assert_eq!(known(&bench.run.gateway, &[&one, &two]).await, expected);
    assert!(known(&bench.run.gateway, &[]).await.is_empty());
    assert!(known("rehearsal", &[&one, &two]).await.is_empty());
}

pub(super) async fn media_is_kept_once_and_comes_back_whole(store: &dyn Store) {
    let picture = |filename: &str| Media {
        sha256: Digest::of(b"\0picture"),
        filename: filename.to_owned(),
        content_type: "image/png".to_owned(),
        bytes: b"\0picture".as_slice().into(),
    };
    let ledger = store.open().await;
    for (run, filename) in [("spring@once", "first.png"), ("summer@once", "second.png")] {
        let mut draft = ledger.freeze(&new_run(run)).await.unwrap();
        draft.add_media(vec![picture(filename)]).await.unwrap();
        draft.add(rows(1..=1, LINE_A)).await.unwrap();
        draft.seal(Vec::new()).await.unwrap();
    }
    let kept = ledger.media(Digest::of(b"\0picture")).await.unwrap();
    assert_eq!(kept, Some(picture("first.png")));
    assert_eq!(ledger.media(Digest::of(b"other")).await.unwrap(), None);
}
