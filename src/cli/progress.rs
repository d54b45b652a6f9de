//! How far a run is, shown while it goes on: a bar on a terminal, otherwise a line every few
//! seconds.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::schedule_words;
use crate::domain::delivery::DeliveryState;
use crate::engine::clock::Clock;
use crate::engine::tally::{Snapshot, Tally};

/// How often the bar is drawn.
const FRAME: Duration = Duration::from_millis(120);
/// How often a line is written where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// Shorter waits are the pace itself, not news.
const WORTH_TELLING: SignedDuration = SignedDuration::from_secs(2);

/// Shows progress until `done`.
pub(super) async fn show(
    out: Output,
    tally: Arc<Tally>,
    clock: Arc<dyn Clock>,
    done: CancellationToken,
) {
    let bar = out.interactive.then(|| bar(&tally.snapshot(), out));
    let mut ticks = tokio::time::interval(if bar.is_some() { FRAME } else { LINE });
    ticks.tick().await;
    loop {
        tokio::select! {
            // cancel-safe: nothing is held while waiting
            () = done.cancelled() => break,
            // cancel-safe: a tick that is missed comes again
            _ = ticks.tick() => {
                let view = tally.snapshot();
                let words = words(&view, clock.now());
                match &bar {
                    Some(bar) => {
                        bar.set_position(view.counts.total() - view.counts.open());
                        bar.set_message(words);
                    }
                    None => out.note(&line(&view, &words)),
                }
            }
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn bar(view: &Snapshot, out: Output) -> ProgressBar {
    let template = if out.stderr_colour {
        "{bar:32.green/dim} {pos}/{len}  {msg:.dim}"
    } else {
        "{bar:32} {pos}/{len}  {msg}"
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─");
    let bar =
        ProgressBar::with_draw_target(Some(view.counts.total()), ProgressDrawTarget::stderr());
    bar.set_style(style);
    bar.set_position(view.counts.total() - view.counts.open());
    bar
}

fn words(view: &Snapshot, now: Timestamp) -> String {
    let failed = view.counts.of(DeliveryState::Failed) + view.counts.of(DeliveryState::Uncertain);
    let mut words = format!("{} sent", view.counts.accepted());
    if failed > 0 {
        write!(words, ", {failed} not").ok();
    }
    if let Some(until) = view
        .waiting_until
        .filter(|until| *until > now + WORTH_TELLING)
    {
        let wait = schedule_words::distance(now, until);
        write!(words, ", waiting ({wait})").ok();
        if let Some(failure) = &view.last_failure {
            write!(words, ": {}", failure.text).ok();
        }
    }
    words
}

fn line(view: &Snapshot, words: &str) -> String {
    let total = view.counts.total();
    format!("{} of {total} done: {words}", total - view.counts.open())
}
