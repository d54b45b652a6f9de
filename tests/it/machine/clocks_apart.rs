//! A machine whose clock is an hour off, on a ledger where the server's clock decides: it sends when
//! it may by the server's clock, and as fast as it may, as if its own were right.

use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::window::{DayTime, Days, Window, WindowZone};
use sendoff::engine::dispatch::Ended;

use super::drive::{Drive, HOURS, Step};

const OFF: [i64; 2] = [HOURS, -HOURS];

/// Every day, so many minutes from the true time on to so many: in a zone in which it is about
/// noon, for a window does not go over midnight.
fn window(from: i64, to: i64) -> Window {
    let now = Timestamp::now();
    let hour = i8::try_from(now.as_second() / HOURS % 24).unwrap();
    let zone = TimeZone::fixed(Offset::constant(12 - hour));
    let time = |minutes: i64| {
        let at = now + SignedDuration::from_mins(minutes);
        let text = at.to_zoned(zone.clone()).strftime("%H:%M").to_string();
        DayTime::parse(&text).unwrap()
    };
    let (from, to) = (time(from), time(to));
    let zone = TimeZone::get(&format!("Etc/GMT{:+}", hour - 12)).unwrap();
    Window::new(Days::ALL, from, to, WindowZone::Fixed(zone)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_an_hour_off_changes_neither_when_nor_how_fast() {
    for ahead in OFF {
        let drive = Drive::apart(ahead, None, 40, |_| Step::Accept).await;
        assert_eq!(drive.ended, Ended::Finished);
        drive.assert_once_and_paced(40, 0..=0);
        drive.assert_all_sent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_wait_is_as_long_as_it_asked_by_a_clock_that_is_an_hour_off() {
    for ahead in OFF {
        let drive = Drive::apart(ahead, None, 30, |number| match number {
            10 => Step::WaitAndJump(3, 0),
            _ => Step::Accept,
        });
        let drive = drive.await;
        let asked = drive.asked();
        let silent = asked.windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        assert!(silent >= Some(Duration::from_millis(2_990)), "{silent:?}");
        drive.assert_once_and_paced(30, 1..=1);
        drive.assert_all_sent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_open_when_it_is_by_the_servers_clock() {
    for ahead in OFF {
        let open = Some(window(-20, 20));
        let drive = Drive::apart(ahead, open, 20, |_| Step::Accept).await;
        assert_eq!(drive.ended, Ended::Finished, "{ahead}");
        drive.assert_once_and_paced(20, 0..=0);
        drive.assert_all_sent().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_while_the_window_is_closed_by_the_servers_clock() {
    for (ahead, from, to) in [(HOURS, 40, 80), (-HOURS, -80, -40)] {
        let closed = Some(window(from, to));
        let drive = Drive::apart(ahead, closed, 5, |_| Step::Accept).await;
        assert!(
            matches!(drive.ended, Ended::Idle { .. }),
            "{:?}",
            drive.ended
        );
        assert!(drive.asked().is_empty());
        let states = drive.states().await;
        assert_eq!(states, [DeliveryState::Pending; 5]);
    }
}
