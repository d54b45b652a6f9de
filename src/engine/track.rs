//! Goes on after the last message: looks for receipts and hears what people answer, until its time
//! is over or all is known. Nothing is sent here, and an end at any moment loses nothing: what is
//! not known by then is looked for by `sync`.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::ears::Ears;
use super::listener::Listener;
use super::receipts::{Looker, Seen, Unless, Watched};
use crate::ledger::{LedgerError, RunRecord};

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracked {
    /// Of every message all is known that will ever be.
    AllKnown,
    TimeIsUp,
    Stopped,
}

/// Tracks a run for as long as `time`. What was seen so far is told to `told`.
///
/// # Errors
/// The ledger's, before it has begun.
pub async fn track(
    at: &Looker,
    run: &RunRecord,
    (time, seed): (Duration, u64),
    told: &watch::Sender<Seen>,
    stop: &CancellationToken,
) -> Result<Tracked, LedgerError> {
    let end = stop.child_token();
    let listener = Listener::new(at.clone(), &run.gateway, &Ears::default(), seed).await?;
    let hearing = end.clone();
    let listening = AbortOnDropHandle::new(tokio::spawn(async move {
        // What cannot be read now is read a few seconds later.
        listener.once().await.ok();
        listener.listen(hearing).await;
    }));
    let tracked = tokio::select! {
        biased;
        // cancel-safe: nothing is held while waiting
        () = stop.cancelled() => Tracked::Stopped,
        // cancel-safe: what was asked and not kept is looked at again
        watched = at.watch(run, Unless::AllKnown, seed, (told, &end)) => match watched {
            Watched::AllKnown => Tracked::AllKnown,
            Watched::Ended => Tracked::Stopped,
        },
        // cancel-safe: a timer
        () = sleep(time) => Tracked::TimeIsUp,
    };
    end.cancel();
    // A look at the log that hangs is not waited for: the handle ends it.
    drop(listening);
    Ok(tracked)
}
