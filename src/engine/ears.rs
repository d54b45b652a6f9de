//! Who listens in this process: one listener for each gateway, however many runs send through it.
//! And a mark by which a worker sees that something was answered while its attempt waited. What
//! was answered, and what it means, is the ledger's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::listener::Listener;

/// The ears of a process. Cheap to clone; all clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct Ears(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    words: Words,
    live: Mutex<HashMap<String, Weak<Listening>>>,
}

/// A listener at work, for as long as anybody holds this.
#[derive(Debug)]
pub(super) struct Listening {
    end: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// How many words were about to be kept in the ledger, and how many of them are.
#[derive(Debug, Default)]
struct Words {
    begun: AtomicU64,
    done: AtomicU64,
}

/// A moment between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u64);

/// A word that is about to be kept, until this goes.
#[derive(Debug)]
pub(super) struct Word<'a>(&'a Words);

impl Drop for Word<'_> {
    fn drop(&mut self) {
        self.0.done.fetch_add(1, Ordering::SeqCst);
    }
}

impl Ears {
    /// The listener of this gateway: the one that is there, or else this one from now on.
    pub(super) fn join(&self, gateway: &str, listener: Listener) -> Arc<Listening> {
        let mut live = self.0.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listening) = live.get(gateway).and_then(Weak::upgrade) {
            return listening;
        }
        let end = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(listener.listen(end.clone())));
        let listening = Arc::new(Listening { end, task });
        live.insert(gateway.to_owned(), Arc::downgrade(&listening));
        listening
    }

    /// A word is about to be kept; it is, or is not, when the value goes.
    pub(super) fn keeping(&self) -> Word<'_> {
        self.0.words.begun.fetch_add(1, Ordering::SeqCst);
        Word(&self.0.words)
    }

    /// What was kept until now, for [`Ears::heard_since`].
    pub(super) fn mark(&self) -> Mark {
        Mark(self.0.words.done.load(Ordering::SeqCst))
    }

    /// Whether any word may have been kept since: one that is on its way counts.
    pub(super) fn heard_since(&self, mark: Mark) -> bool {
        self.0.words.begun.load(Ordering::SeqCst) != mark.0
    }
}

impl Listening {
    /// The last one to leave ends the listener and waits for it.
    pub(super) async fn leave(self: Arc<Self>) {
        if let Some(last) = Arc::into_inner(self) {
            last.end.cancel();
            last.task.await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_on_its_way_or_was_kept_meanwhile_is_noticed() {
        let ears = Ears::default();
        let before = ears.mark();
        assert!(!ears.heard_since(before));
        let word = ears.keeping();
        let during = ears.mark();
        assert!(ears.heard_since(before) && ears.heard_since(during));
        let other = ears.keeping();
        drop(word);
        let after = ears.mark();
        assert!(ears.heard_since(after), "one is still on its way");
        drop(other);
        assert!(ears.heard_since(before) && ears.heard_since(during) && ears.heard_since(after));
        assert!(!ears.heard_since(ears.mark()));
    }
}
