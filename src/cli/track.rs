//! `--track`: what goes on after the last message, and how it is shown.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::interrupts::Interrupts;
use super::output::Output;
use super::preflight::Ready;
use super::{App, Stop, schedule_words};
use crate::domain::delivery::{Counts, DeliveryState};
use crate::engine::clock::Clock;
use crate::engine::limiter::Guard;
use crate::engine::receipts::{Looker, Seen, may_get_receipts};
use crate::engine::track::{self, Tracked};
use crate::ledger::{Ledger, RunRecord};

/// How often the line on a terminal is drawn.
const FRAME: Duration = Duration::from_millis(500);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(10);

/// Looks for receipts of the run and hears answers for as long as `time`, until all is known or a
/// signal comes. `counts`: as they stand at the beginning.
pub(super) async fn track(
    app: &App,
    (ledger, ready): (Arc<dyn Ledger>, &Ready),
    (run, counts): (&RunRecord, Counts),
    time: SignedDuration,
    mut signals: Interrupts,
) -> Result<(), Stop> {
    if !may_get_receipts(&counts) {
        app.out
            .note("Nothing was sent that a receipt could come for.");
        return Ok(());
    }
    let at = Looker {
        ledger,
        gateway: ready.gateway.clone(),
        clock: app.clock.clone(),
        guard: Guard::of(ready.limits),
    };
    let now = app.clock.now();
    let until = now.saturating_add(time).unwrap_or(Timestamp::MAX);
    app.out.note(&format!(
        "{}: looking for receipts and answers; ends {}, or with Ctrl-C.",
        run.run,
        schedule_words::distance(now, until)
    ));
    let (seen, look) = watch::channel(Seen::default());
    let shown = AbortOnDropHandle::new(tokio::spawn(show(
        (app.out, app.clock.clone()),
        counts,
        until,
        look,
    )));
    let stop = CancellationToken::new();
    let heard = {
        let stop = stop.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            signals.next().await;
            stop.cancel();
        }))
    };
    let time = (
        Duration::try_from(time).unwrap_or_default(),
        fastrand::u64(..),
    );
    let tracked = track::track(&at, run, time, &seen, &stop).await;
    drop((shown, heard));
    let all = words(&counts, &seen.borrow());
    let run = &run.run;
    app.out.note(&match tracked? {
        Tracked::AllKnown => format!("{run}: all is known that receipts can tell: {all}."),
        Tracked::TimeIsUp => {
            format!("{run}: the time is over: {all}. `sendoff sync {run}` asks again.")
        }
        Tracked::Stopped => format!("{run}: stopped: {all}. `sendoff sync {run}` asks again."),
    });
    Ok(())
}

/// Shows how far it is, until it is dropped.
async fn show(
    (out, clock): (Output, Arc<dyn Clock>),
    counts: Counts,
    until: Timestamp,
    seen: watch::Receiver<Seen>,
) {
    let bar = out.interactive.then(bar);
    let mut ticks = tokio::time::interval(if bar.is_some() { FRAME } else { LINE });
    ticks.tick().await;
    loop {
        let text = line(&counts, &seen.borrow(), until, clock.now());
        match &bar {
            Some(Cleared(bar)) => bar.set_message(text),
            None => out.note(&text),
        }
        ticks.tick().await;
    }
}

/// A line on a terminal that goes when its time is over.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn bar() -> Cleared {
    let style = ProgressStyle::with_template("{spinner:.dim} {msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style);
    bar.enable_steady_tick(FRAME);
    Cleared(bar)
}

/// `3 of 20 read, 12 delivered, the next look in 8 s, until in 9 min`
fn line(counts: &Counts, seen: &Seen, until: Timestamp, now: Timestamp) -> String {
    let left = schedule_words::distance(now, until);
    let next = match seen.next_at.filter(|at| *at > now) {
        Some(at) => format!("; the next look {}", schedule_words::distance(now, at)),
        None => String::new(),
    };
    format!("Tracking: {}{next}; ends {left}", words(counts, seen))
}

/// `3 of 20 read, 12 more delivered`
fn words(counts: &Counts, seen: &Seen) -> String {
    let (sent, read) = (
        counts.accepted(),
        counts.of(DeliveryState::Read) + seen.read,
    );
    // One that is opened now may have been known to be delivered before.
    let arrived = counts.of(DeliveryState::Delivered) + counts.of(DeliveryState::Read);
    let delivered = (arrived + seen.delivered).saturating_sub(read);
    let mut text = format!("{read} of {sent} read");
    for (n, what) in [
        (delivered, "more delivered"),
        (seen.failed, "given up by the provider"),
        (seen.unknown, "not known to the provider"),
    ] {
        if n > 0 {
            write!(text, ", {n} {what}").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_known_and_what_is_waited_for() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = |s| now + SignedDuration::from_secs(s);
        let mut counts = Counts::default();
        counts.add(DeliveryState::Sent, 10);
        counts.add(DeliveryState::Delivered, 3);
        counts.add(DeliveryState::Read, 2);
        let mut seen = Seen::default();
        assert_eq!(
            line(&counts, &seen, later(600), now),
            "Tracking: 2 of 15 read, 3 more delivered; ends in 10 min"
        );
        seen.read = 4;
        seen.delivered = 6;
        seen.failed = 1;
        seen.next_at = Some(later(8));
        assert_eq!(
            line(&counts, &seen, later(600), now),
            "Tracking: 6 of 15 read, 5 more delivered, 1 given up by the provider; the next look \
             in 8 s; ends in 10 min"
        );
    }
}
