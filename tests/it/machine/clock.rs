//! A clock that is set back or forward by hours while a run is under way: the engine goes on as
//! if nothing had happened. The clock is the test's own; real time measures what it does.

use std::time::Duration;

use sendoff::domain::delivery::DeliveryState;

use super::drive::{Drive, HOURS, Step};

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_by_hours_holds_nobody_up_and_nothing_hurries() {
    let drive = Drive::through(60, |number| match number {
        15 => Step::Jump(-5 * HOURS),
        40 => Step::Jump(-90),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(60, 0..=0);
    drive.assert_all_sent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_forward_by_hours_earns_no_burst() {
    let drive = Drive::through(60, |number| match number {
        15 => Step::Jump(5 * HOURS),
        40 => Step::Jump(-5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(60, 0..=0);
    drive.assert_all_sent().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_wait_is_kept_when_the_clock_is_set_back_during_it() {
    let drive = Drive::through(30, |number| match number {
        10 => Step::WaitAndJump(3, -5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    let asked = drive.asked();
    let silent = asked
        .windows(2)
        .map(|pair| pair[1].0 - pair[0].0)
        .max()
        .unwrap();
    assert!(silent >= Duration::from_millis(2_990), "{silent:?}");
    drive.assert_once_and_paced(30, 1..=1);
    drive.assert_all_sent().await;
}

/// The wait has begun under the old clock, in the ledger and in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_providers_wait_is_not_hours_longer_for_a_clock_that_is_set_back() {
    let drive = Drive::through(30, |number| match number {
        10 => Step::WaitAndJump(2, 0),
        11 => Step::WaitAndJump(2, -5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_all_sent().await;
    assert!(drive.took < Duration::from_secs(12), "{:?}", drive.took);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_asked_for_again_when_the_clock_was_set_back() {
    let drive = Drive::through(20, |number| match number {
        5 => Step::SilenceAndJump(-5 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(20, 1..=1);
    drive.assert_all_sent().await;
    let asked = drive.asked();
    let (_, lost) = &asked[5];
    let same = asked.iter().filter(|(_, request)| request == lost).count();
    assert_eq!(same, 2, "the same key and body");
}

/// By this clock the provider has forgotten the key. It may be wrong, and then a person is asked
/// for nothing; the other way round somebody would have two messages.
#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_left_to_a_person_when_the_clock_went_past_its_key() {
    let drive = Drive::through(20, |number| match number {
        5 => Step::SilenceAndJump(25 * HOURS),
        _ => Step::Accept,
    })
    .await;
    drive.assert_once_and_paced(20, 0..=0);
    let states = drive.states().await;
    let uncertain = states
        .iter()
        .filter(|state| **state == DeliveryState::Uncertain);
    assert_eq!(uncertain.count(), 1, "{states:?}");
}
