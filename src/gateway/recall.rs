//! A request body that is asked for once more when its connection is there, just before the first
//! byte of the request leaves, and can then be kept back. Whether it is to be, is the caller's.
//!
//! The connection encodes the head and takes the body before it writes either (hyper, HTTP/1.1),
//! and closes without writing when there is no body to take. Even if it did write the head, the
//! other side would have a request without the body that its length promises, which is none.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::Recall;

/// Gives bodies out, and knows whether one was kept back.
#[derive(Debug)]
pub(super) struct Hand {
    recall: Recall,
    kept_back: Arc<AtomicBool>,
}

impl Hand {
    pub(super) fn new(recall: &Recall) -> Self {
        Self {
            recall: recall.clone(),
            kept_back: Arc::default(),
        }
    }

    pub(super) fn give(&self, bytes: Bytes) -> reqwest::Body {
        reqwest::Body::wrap(Held {
            bytes,
            recall: Some(self.recall.clone()),
            kept_back: Arc::clone(&self.kept_back),
        })
    }

    /// A request ended because its body was kept back.
    pub(super) fn has_kept_back(&self) -> bool {
        self.kept_back.load(Ordering::SeqCst)
    }
}

/// The person has said STOP while the request waited for its connection.
#[derive(Debug, thiserror::Error)]
#[error("the request was taken back before it left")]
struct KeptBack;

#[derive(Debug)]
struct Held {
    bytes: Bytes,
    /// None: the question was asked.
    recall: Option<Recall>,
    kept_back: Arc<AtomicBool>,
}

impl Body for Held {
    type Data = Bytes;
    type Error = KeptBack;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, KeptBack>>> {
        if self.recall.take().is_some_and(|recall| recall.holds()) {
            self.bytes.clear();
            self.kept_back.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(KeptBack)));
        }
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
