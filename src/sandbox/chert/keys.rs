//! Idempotency keys of one tenant: what each stands for, and whether it is in use (chert §5).
//! Keeps successes only; a failure gives its key back.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::store::MessageNo;
use crate::domain::digest::Digest;

/// A key as a request brings it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) text: Arc<str>,
    /// Method, path and the body with sorted keys, as a digest: two requests with the same key
    /// must have the same.
    pub(super) meaning: Digest,
}

#[derive(Debug)]
struct Kept {
    meaning: Digest,
    at_us: i64,
    /// Absent while nothing was accepted under the key.
    message: Option<MessageNo>,
    /// Present while a request with the key is being handled.
    running: Option<CancellationToken>,
}

/// What a key says about a request that brings it.
#[derive(Debug)]
pub(super) enum Recall {
    Free,
    /// Accepted before; the answer is to be the same.
    Taken(MessageNo),
    /// A request with the same meaning is being handled; this is cancelled once it ends.
    Running(CancellationToken),
    /// Used with another body.
    OtherMeaning,
}

/// The keys. Grow by about 150 bytes with every message that has one; a key leaves when it is
/// used again after its retention, and all leave with a reset.
#[derive(Debug, Default)]
pub(super) struct Keys {
    kept: HashMap<Arc<str>, Kept>,
}

impl Keys {
    /// Looks a key up. One whose retention is over is free again.
    pub(super) fn recall(&mut self, key: &Key, now_us: i64, retention_us: i64) -> Recall {
        let Some(kept) = self.kept.get(&key.text) else {
            return Recall::Free;
        };
        if kept.running.is_none() && now_us.saturating_sub(kept.at_us) >= retention_us {
            self.kept.remove(&key.text);
            return Recall::Free;
        }
        match (&kept.running, kept.message) {
            _ if kept.meaning != key.meaning => Recall::OtherMeaning,
            (Some(running), _) => Recall::Running(running.clone()),
            (None, Some(message)) => Recall::Taken(message),
            (None, None) => Recall::Free,
        }
    }

    /// Marks a free key as being handled, until [`Keys::release`].
    pub(super) fn reserve(&mut self, key: &Key, now_us: i64) -> CancellationToken {
        let running = CancellationToken::new();
        self.entry(key, now_us).running = Some(running.clone());
        running
    }

    /// Remembers what was accepted under a key.
    pub(super) fn settle(&mut self, key: &Key, now_us: i64, message: MessageNo) {
        let kept = self.entry(key, now_us);
        kept.at_us = now_us;
        kept.message = Some(message);
    }

    /// Ends the handling of a key. One under which nothing was accepted is forgotten, so that
    /// a retry can succeed.
    pub(super) fn release(&mut self, key: &Key) {
        if let Some(kept) = self.kept.get_mut(&key.text) {
            kept.running = None;
            if kept.message.is_none() {
                self.kept.remove(&key.text);
            }
        }
    }

    fn entry(&mut self, key: &Key, now_us: i64) -> &mut Kept {
        self.kept
            .entry(Arc::clone(&key.text))
            .or_insert_with(|| Kept {
                meaning: key.meaning,
                at_us: now_us,
                message: None,
                running: None,
            })
    }
}
