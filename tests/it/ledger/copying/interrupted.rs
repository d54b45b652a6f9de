//! A move that is killed, given up, begun twice or begun wrongly: it goes on, or says why not, and
//! never is anything sent from two stores.

use sendoff::ledger::copy::{Begun, CopyError, Finished, Progress, Start, Step};
use tokio_util::sync::CancellationToken;

use super::super::bench::{Bench, at, new_run, owner, sent};
use super::super::proving::assert_proved;
use super::{Kind, begin, goes, is_unfinished, moved, pairs, to_the_end, with_run};

/// Stopped after every page there is, and begun anew by new handles.
#[tokio::test]
async fn a_copy_goes_on_wherever_it_was_stopped() {
    for (from, to) in pairs() {
        let source = from.open().await;
        let bench = with_run(source.clone(), 9_000).await;
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let mut stops = 0;
        let mut start = Start::Anew;
        loop {
            let (one, two) = (from.open().await, to.open().await);
            let stop = CancellationToken::new();
            let copying = match begin(&*one, &*two, &stop).await.unwrap() {
                Begun::Goes(copying, how) => {
                    assert_eq!(how, start);
                    copying
                }
                Begun::Finished => panic!("it is not"),
            };
            start = Start::Again;
            let first = |progress: Progress| {
                assert_eq!(progress.step, Step::Copying);
                stop.cancel();
            };
            match copying.carry(&mut { first }).await {
                Err(CopyError::Stopped) => stops += 1,
                Ok(_) => break,
                Err(error) => panic!("{error}"),
            }
            is_unfinished(two.enlist(&owner("eager"), at(0)).await);
            is_unfinished(two.take_place().await);
            is_unfinished(two.accept_copy(at(0)).await);
            is_unfinished(two.freeze(&new_run("eager@once")).await.map(drop));
        }
        assert!(stops >= 8, "{stops} pages");
        let (one, two) = (from.open().await, to.open().await);
        let counts = moved(&*one, &*two).await;
        assert!(counts.contains(&("deliveries", 9_000)), "{counts:?}");
        assert_proved(&*two, &bench.run.run).await;
        // Once more changes nothing.
        let stop = CancellationToken::new();
        let begun = begin(&*one, &*two, &stop).await;
        assert!(matches!(begun, Ok(Begun::Finished)), "{begun:?}");
    }
}

#[tokio::test]
async fn a_move_that_was_killed_at_one_of_its_ends_is_finished() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        // Closed, and the target was not marked.
        drop(goes(begin(&*one, &*two, &stop).await));
        to.run("DELETE FROM moves").await;
        let copying = goes(begin(&*one, &*two, &stop).await);
        // The target was opened, and the source does not say so.
        to_the_end(copying).await;
        from.run("UPDATE moves SET finished_at = NULL").await;
        let begun = begin(&*one, &*two, &stop).await;
        assert!(matches!(begun, Ok(Begun::Finished)), "{begun:?}");
        let out = one.standing().await.unwrap().to.unwrap();
        assert!(out.finished_at.is_some());
        two.enlist(&owner("me"), at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn two_copies_at_once_do_no_harm() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 9_000).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let first = goes(begin(&*one, &*two, &stop).await);
        let (three, four) = (from.open().await, to.open().await);
        let second = goes(begin(&*three, &*four, &stop).await);
        let (mut a, mut b) = (|_: Progress| {}, |_: Progress| {});
        let ended = tokio::join!(first.carry(&mut a), second.carry(&mut b));
        let fine = |one: &Result<u64, CopyError>| matches!(one, Ok(_) | Err(CopyError::Crossed(_)));
        assert!(fine(&ended.0) && fine(&ended.1), "{ended:?}");
        let counts = moved(&*one, &*two).await;
        assert!(counts.contains(&("deliveries", 9_000)), "{counts:?}");
    }
}

#[tokio::test]
async fn a_target_in_use_is_refused_and_nothing_is_closed() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let same = begin(&*one, &*one, &stop).await;
        assert!(matches!(same, Err(CopyError::Same(_))), "{same:?}");
        let again = from.open().await;
        let same = begin(&*one, &*again, &stop).await;
        assert!(matches!(same, Err(CopyError::Same(_))), "{same:?}");
        two.schedule_since("spring", at(0)).await.unwrap();
        let used = begin(&*one, &*two, &stop).await;
        assert!(matches!(used, Err(CopyError::InUse { .. })), "{used:?}");
        bench.ledger.enlist(&owner("still"), at(0)).await.unwrap();
    }
}

#[tokio::test]
async fn a_move_that_is_given_up_makes_the_old_store_the_one_again() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 3).await;
        assert_eq!(bench.ledger.take_place().await.unwrap(), None);
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        goes(begin(&*one, &*two, &stop).await)
            .carry(&mut |_| {})
            .await
            .unwrap();
        // Not to another place meanwhile.
        let third = Kind::sqlite();
        let other = third.open().await;
        let elsewhere = begin(&*one, &*other, &stop).await;
        let finished = match elsewhere {
            Err(CopyError::MovedElsewhere { finished, .. }) => finished,
            other => panic!("{other:?}"),
        };
        assert_eq!(finished, Finished::No);
        one.accept_copy(at(9)).await.unwrap();
        assert_eq!(from.open().await.take_place().await.unwrap(), None);
        let bench = Bench {
            me: owner("again"),
            ..bench
        };
        bench.ledger.enlist(&bench.me, at(9)).await.unwrap();
        bench.settle_one(9, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        // The rows in the target are of an earlier state: it is not gone on with.
        let stale = begin(&*one, &*two, &stop).await;
        assert!(matches!(stale, Err(CopyError::InUse { .. })), "{stale:?}");
        is_unfinished(two.enlist(&owner("eager"), at(0)).await);
    }
}

#[tokio::test]
async fn a_row_that_has_changed_on_the_way_is_named() {
    for (from, to) in pairs() {
        let bench = with_run(from.open().await, 5).await;
        bench.settle_one(0, sent()).await;
        bench.ledger.retire(&bench.me).await.unwrap();
        let (one, two) = (from.open().await, to.open().await);
        let stop = CancellationToken::new();
        let copying = goes(begin(&*one, &*two, &stop).await);
        copying.carry(&mut |_| {}).await.unwrap();
        let differs = async |expected: &str| match copying.compare(&mut |_| {}).await {
            Err(CopyError::Differs { table, row, what }) => {
                let said = format!("{table}, {row}: {what}");
                assert!(said.contains(expected), "{said}");
            }
            other => panic!("{other:?}"),
        };
        let id = bench.row(2).await.id;
        let altered = format!("UPDATE messages SET timezone = 'x' WHERE id = {id}");
        to.run(&altered).await;
        differs(&format!("messages, id {id}: `timezone` is not the same")).await;
        to.run("UPDATE messages SET timezone = NULL").await;
        to.run(&format!("DELETE FROM deliveries WHERE id = {id}"))
            .await;
        differs(&format!("deliveries, id {id}: is not in {}", two.name())).await;
    }
}
