//! The fast ear: follows the provider's stream of answers and opens it again when it ends. It only
//! makes an answer known sooner: the looks at the log go on as if there were none, so a stream that
//! lies, lags or says nothing costs nobody more than it would without.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::listener::{Listener, asked, rest};
use crate::gateway::{Replies, Telling, Told};

/// Before a stream is opened again that has not lasted; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A stream that has lasted so long is opened again at once.
const LASTING: Duration = Duration::from_secs(5);

/// How a stream ended.
enum Parted {
    /// It closed or broke.
    Ended,
    Stopped,
}

impl Listener {
    /// Follows the stream until it is told to end, or for good where the provider has none.
    pub(super) async fn follow(&self, end: &CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let mut is_told = false;
        let mut is_first = true;
        loop {
            let begun = Instant::now();
            let turns = self.turns();
            let opening = self.at.gateway.stream(self.since(), &turns);
            let opened = tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => return,
                // cancel-safe: nothing was told yet
                opened = opening => opened,
            };
            let mut wait = Duration::ZERO;
            let is_open = matches!(opened, Ok(Some(_)));
            match opened {
                Ok(None) => return,
                Ok(Some(stream)) => {
                    is_told = false;
                    if !std::mem::replace(&mut is_first, false) {
                        self.look_soon();
                    }
                    if let Parted::Stopped = self.hear_out(stream, end).await {
                        return;
                    }
                }
                Err(outcome) => {
                    wait = asked(&outcome).unwrap_or_default();
                    // A provider that is away is told of once, not every half minute.
                    if !std::mem::replace(&mut is_told, true) {
                        let why = outcome.why();
                        tracing::warn!(why, "no stream of answers; the log is still looked at");
                    }
                }
            }
            if is_open && begun.elapsed() >= LASTING {
                pause = FIRST_PAUSE;
            } else {
                wait = wait.max(pause + self.chance(pause));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            if !rest(wait, end).await {
                return;
            }
        }
    }

    /// Keeps what one stream tells.
    async fn hear_out(&self, mut stream: Box<dyn Telling>, end: &CancellationToken) -> Parted {
        loop {
            let told = tokio::select! {
                // cancel-safe: nothing is held while waiting
                () = end.cancelled() => return Parted::Stopped,
                // cancel-safe: as the trait has it
                told = stream.next() => told,
            };
            let mut heard = Replies::default();
            match told {
                Told::Reply(reply) => heard.replies.push(*reply),
                Told::Unreadable => heard.unreadable = 1,
                Told::Closed => return Parted::Ended,
                Told::Broken(why) => {
                    tracing::debug!(why, "the stream of answers is opened again");
                    return Parted::Ended;
                }
            }
            if let Err(error) = self.keep(heard).await {
                // Opened again, it tells the same once more.
                tracing::warn!(%error, "an answer could not be kept; it is heard again");
                return Parted::Ended;
            }
        }
    }
}
