//! Ctrl-C and, from a service manager, the request to terminate, and how whoever sends messages
//! obeys them in two steps. What the steps come to is the engine's.

use super::output::Output;
use crate::engine::dispatch::Shutdown;

/// Listens from the moment it is made: a signal that comes while nobody waits for one is kept.
#[derive(Debug)]
pub(super) struct Interrupts {
    #[cfg(unix)]
    kinds: [Option<tokio::signal::unix::Signal>; 2],
}

impl Interrupts {
    #[cfg(unix)]
    pub(super) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            kinds: [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| signal(kind).ok()),
        }
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Self {
        Self {}
    }

    /// The next signal; several of a kind that come at once count as one.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate] = &mut self.kinds;
        tokio::select! {
            // cancel-safe: a signal that is not received here stays for the next call
            () = received(interrupt) => {}
            // cancel-safe: the same
            () = received(terminate) => {}
        }
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) {
        tokio::signal::ctrl_c().await.ok();
    }

    /// First signal: finish what is on the wire. Second: give it up. `word` says what the first
    /// one begins.
    pub(super) async fn shut_down(mut self, out: Output, word: &'static str, shutdown: Shutdown) {
        self.next().await;
        out.note(&format!(
            "{word}: what is on the wire is finished first. Once more to give it up."
        ));
        shutdown.stop.cancel();
        self.next().await;
        out.note("Giving up what is on the wire.");
        shutdown.abort.cancel();
    }
}

#[cfg(unix)]
async fn received(kind: &mut Option<tokio::signal::unix::Signal>) {
    match kind {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
