//! `GET /events/stream`: the event log as it grows, as server-sent events (chert §14). Reads the
//! log and nothing else; a row has the same form in both.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use futures_util::stream;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Chert;
use super::errors::Refusal;
use super::events::{pairs, since_us};
use super::exchange::{Call, Done};
use super::tenants::TenantNo;

/// Rows that are copied under one lock and written at once.
const AT_ONCE: usize = 64;
/// The last words of every stream that ends in order.
const CLOSE: &str = "event: close\ndata: {}\n\n";
const HEARTBEAT: &str = ": heartbeat\n\n";

/// How a stream shows that it is alive, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamTiming {
    /// Between two comments when nothing happens.
    pub heartbeat: Duration,
    /// Until the server ends it.
    pub life: Duration,
}

impl Default for StreamTiming {
    /// As published (chert §14).
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            life: Duration::from_mins(1),
        }
    }
}

/// One open stream.
#[derive(Debug)]
pub(super) struct Tail {
    chert: Arc<Chert>,
    tenant: TenantNo,
    slug: Arc<str>,
    since_us: Option<i64>,
    news: watch::Receiver<u64>,
    /// The log in which `next` counts; another one after a reset.
    epoch: u64,
    /// The number of the first event that was not looked at yet.
    next: usize,
    heartbeat_at: Instant,
    ends_at: Instant,
    end: End,
}

/// How far a stream is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// A fault: the connection closes in the middle of the next event.
    BreaksOff,
    /// Half an event has left.
    Broken,
    Closed,
}

/// Why a stream that waits goes on.
enum Woken {
    News,
    Heartbeat,
    Over,
}

impl Call {
    /// Opens a stream: from a moment on, or else of what comes from now on.
    pub(super) fn stream(&self) -> Result<Done, Refusal> {
        let since_us = since_us(&pairs(&self.query)?)?;
        let news = self.chert.news.subscribe();
        let timing = self.chert.stream;
        let now = Instant::now();
        let store = self.chert.store();
        let (epoch, kept) = (store.epoch, store.inbound.len());
        drop(store);
        let tail = Tail {
            chert: Arc::clone(&self.chert),
            tenant: self.tenant,
            slug: self.entry.tenant.as_deref().unwrap_or_default().into(),
            since_us,
            news,
            epoch,
            next: if since_us.is_some() { 0 } else { kept },
            heartbeat_at: now + timing.heartbeat,
            ends_at: now + timing.life,
            end: End::Open,
        };
        Ok(Done {
            stream: Some(Box::new(tail)),
            ..Done::new(String::new())
        })
    }
}

impl Tail {
    /// Makes the connection close in the middle of the next event.
    pub(super) fn break_off(&mut self) {
        self.end = End::BreaksOff;
    }

    /// The answer: begins at once, and ends when the stream does.
    pub(super) fn response(self) -> Response<Body> {
        let frames = stream::unfold(self, async |mut tail| {
            let frame = tail.frame().await?;
            Some((frame, tail))
        });
        let mut response = Response::new(Body::from_stream(frames));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    /// The next bytes; `None`: it has ended.
    async fn frame(&mut self) -> Option<io::Result<Bytes>> {
        match self.end {
            End::Closed => return None,
            End::Broken => {
                // What was written leaves while there is nothing to write.
                tokio::task::yield_now().await;
                self.end = End::Closed;
                return Some(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            End::Open | End::BreaksOff => {}
        }
        loop {
            // Before the look, so that what comes during it is not slept through.
            self.news.mark_unchanged();
            let rows = Bytes::from(self.rows());
            if !rows.is_empty() {
                self.heartbeat_at = Instant::now() + self.chert.stream.heartbeat;
                if self.end == End::BreaksOff {
                    self.end = End::Broken;
                    return Some(Ok(rows.slice(..rows.len() / 2)));
                }
                return Some(Ok(rows));
            }
            match self.wait().await {
                Woken::News => {}
                Woken::Heartbeat => {
                    self.heartbeat_at = Instant::now() + self.chert.stream.heartbeat;
                    return Some(Ok(HEARTBEAT.into()));
                }
                Woken::Over => {
                    self.end = End::Closed;
                    return Some(Ok(CLOSE.into()));
                }
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        tokio::select! {
            biased;
            // cancel-safe: each branch only waits.
            () = self.chert.host.stop.cancelled() => Woken::Over,
            () = sleep_until(self.ends_at) => Woken::Over,
            changed = self.news.changed() => match changed {
                Ok(()) => Woken::News,
                Err(_) => Woken::Over,
            },
            () = sleep_until(self.heartbeat_at) => Woken::Heartbeat,
        }
    }

    /// What is new, oldest first, written out. Holds the store only to copy a few rows.
    fn rows(&mut self) -> String {
        let mut text = String::new();
        let mut rows: Vec<Value> = Vec::new();
        loop {
            let store = self.chert.store();
            if store.epoch != self.epoch {
                (self.epoch, self.next) = (store.epoch, 0);
            }
            let begun_at = self.next;
            for (number, one) in store.inbound.iter().enumerate().skip(begun_at) {
                if rows.len() == AT_ONCE || number - begun_at == AT_ONCE * 16 {
                    break;
                }
                self.next = number + 1;
                let chat = store.chats.get(one.chat);
                let wanted = one.tenant == self.tenant
                    && self.since_us.is_none_or(|since| one.at_us > since);
                if let Some(chat) = chat.filter(|_| wanted) {
                    rows.push(one.row(number, &self.slug, chat, &store.lines));
                }
            }
            let is_all = self.next == store.inbound.len();
            drop(store);
            if is_all || !rows.is_empty() {
                break;
            }
        }
        for row in &rows {
            let field = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default();
            let (id, kind) = (field("id"), field("type"));
            for (name, value) in [
                ("id: ", id),
                ("\nevent: ", kind),
                ("\ndata: ", &row.to_string()),
            ] {
                text.push_str(name);
                text.push_str(value);
            }
            text.push_str("\n\n");
        }
        text
    }
}
