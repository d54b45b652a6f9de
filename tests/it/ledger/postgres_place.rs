//! A ledger that came to another database with a dump: its row of the place says where it was
//! sent from. Does not make dumps.

use sendoff::ledger::{Copied, Ledger, Sign};

use super::bench::{Bench, LINE_A, at, rows, sent};
use super::cluster::PostgresDatabase;
use super::store::Store;

/// As the row is in a dump that was restored here.
const ELSEWHERE: [&str; 3] = [
    "UPDATE places SET database = database + 1",
    "UPDATE places SET relation = relation + 1",
    "UPDATE places SET server = '1'",
];

#[tokio::test]
async fn a_dump_of_what_was_sent_from_asks_until_a_person_has_decided() {
    let store = PostgresDatabase::default();
    let bench = Bench::with(&store, rows(1..=6, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    bench.settle_one(5, sent()).await;
    for elsewhere in ELSEWHERE {
        store.run(elsewhere).await;
        let ledger = store.ledger().await;
        let expected = Copied {
            store: ledger.place().to_owned(),
            known_until: Some(at(5)),
            sign: Sign::OtherDatabase,
        };
        assert_eq!(ledger.take_place().await.unwrap(), Some(expected));
        ledger.accept_copy(at(9)).await.unwrap();
        let next = store.open().await;
        assert_eq!(next.take_place().await.unwrap(), None, "{elsewhere}");
    }
}

#[tokio::test]
async fn a_dump_from_before_the_first_message_settles() {
    let store = PostgresDatabase::default();
    let bench = Bench::with(&store, rows(1..=1, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    for elsewhere in ELSEWHERE {
        store.run(elsewhere).await;
        assert_eq!(store.open().await.take_place().await.unwrap(), None);
    }
}

#[tokio::test]
async fn who_may_not_read_the_servers_identifier_is_at_home_all_the_same() {
    let store = PostgresDatabase::default();
    let bench = Bench::with(&store, rows(1..=1, LINE_A)).await;
    assert_eq!(bench.ledger.take_place().await.unwrap(), None);
    bench.settle_one(0, sent()).await;
    store.run("UPDATE places SET server = NULL").await;
    assert_eq!(store.open().await.take_place().await.unwrap(), None);
}
