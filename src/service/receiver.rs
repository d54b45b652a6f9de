//! Takes what providers tell by themselves: `POST /hooks/{gateway}`. A delivery that is not the
//! provider's is refused and leaves nothing; any other is in the ledger before it is answered.
//! Decides nothing about what it means.
//!
//! | answer | when |
//! |---|---|
//! | 200 | kept, or kept before |
//! | 400 | signed by the provider, and no event |
//! | 401 | not signed, or not by the provider, or an old delivery that is repeated |
//! | 404 | no gateway of this name takes events |
//! | 408 | it did not come to its end in time |
//! | 413 | longer than an event is |
//! | 503 | the ledger cannot keep it now; it is to be told again |

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::doorway::Doorway;
use super::inbox::Inbox;
use crate::crash_points;
use crate::gateway::huechat::events::Event;
use crate::gateway::huechat::signature::Verifier;
use crate::ledger::{LedgerError, NewEvent};

/// The longest event.
const MAX_BODY: usize = 1024 * 1024;
/// A delivery has to be there as a whole, and to be kept, within this: the provider waits for as
/// long, and tells it again (huechat §10.6).
const IN_TIME: Duration = Duration::from_secs(10);
/// Deliveries that are being taken get so long when the receiver is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Receives for the gateways that take events.
#[derive(Debug)]
pub struct Receiver {
    hooks: BTreeMap<String, Verifier>,
    inbox: Arc<Inbox>,
    taken: AtomicU64,
    refused: AtomicU64,
}

/// What came, since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Kept, as far as they were new.
    pub taken: u64,
    /// Refused, for whatever reason.
    pub refused: u64,
}

/// Where a gateway's events go, below the receiver's address.
pub fn path_of(gateway: &str) -> String {
    format!("/hooks/{gateway}")
}

impl Receiver {
    /// For these gateways, by name.
    pub fn new(hooks: BTreeMap<String, Verifier>, inbox: Arc<Inbox>) -> Self {
        Self {
            hooks,
            inbox,
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// What came until now.
    pub fn received(&self) -> Received {
        Received {
            taken: self.taken.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Serves until `stop`; what is being taken then is taken.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let abort = CancellationToken::new();
        let doorway = Doorway::new(listener, abort.clone());
        let told = stop.clone();
        let serving = axum::serve(doorway, self.router())
            .with_graceful_shutdown(async move { told.cancelled().await });
        let mut serving = std::pin::pin!(serving.into_future());
        let grace = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            // cancel-safe: `serving` is polled again below; the grace only waits.
            served = &mut serving => served,
            () = grace => {
                abort.cancel();
                serving.await
            }
        }
    }

    fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/hooks/{gateway}", post(take))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn(in_time))
            .with_state(self)
    }

    /// Keeps one delivery.
    async fn keep(&self, gateway: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), Refused> {
        let hook = self.hooks.get(gateway).ok_or(Refused::NoHook)?;
        let header = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
        if let Err(why) = hook.verify(header, body) {
            tracing::warn!(gateway, %why, "a delivery was refused");
            return Err(Refused::Forged);
        }
        let event = Event::read(body).map_err(|_| Refused::NoEvent)?;
        if !event.is_fresh(self.inbox.now()) {
            tracing::warn!(
                gateway,
                event = event.id,
                "an old delivery was repeated and is refused; is this machine's clock right?"
            );
            return Err(Refused::Forged);
        }
        let text = std::str::from_utf8(body).map_err(|_| Refused::NoEvent)?;
        let new = NewEvent {
            gateway,
            event_id: &event.id,
            kind: &event.kind,
            body: text,
        };
        let is_new = self.inbox.keep(&new).await.map_err(Refused::Ledger)?;
        crash_points::reach("event.kept").await;
        let (kind, id) = (event.kind, event.id);
        tracing::info!(gateway, kind, event = id, is_new, "an event was kept");
        Ok(())
    }
}

/// Why a delivery was not taken.
#[derive(Debug)]
enum Refused {
    NoHook,
    Unreadable(BytesRejection),
    Forged,
    NoEvent,
    Ledger(LedgerError),
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::NoHook => (StatusCode::NOT_FOUND, "no gateway takes events here\n"),
            Self::Forged => (StatusCode::UNAUTHORIZED, "not signed by the provider\n"),
            Self::NoEvent => (StatusCode::BAD_REQUEST, "no event: not a JSON object\n"),
            Self::Ledger(_) => (StatusCode::SERVICE_UNAVAILABLE, "tell it again later\n"),
            Self::Unreadable(rejection) => return rejection.into_response(),
        }
        .into_response()
    }
}

async fn take(
    State(receiver): State<Arc<Receiver>>,
    Path(gateway): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let kept = match body {
        Ok(body) => receiver.keep(&gateway, &headers, &body).await,
        Err(rejection) => Err(Refused::Unreadable(rejection)),
    };
    match kept {
        Ok(()) => {
            receiver.taken.fetch_add(1, Ordering::Relaxed);
            StatusCode::OK.into_response()
        }
        Err(refused) => {
            receiver.refused.fetch_add(1, Ordering::Relaxed);
            if let Refused::Ledger(error) = &refused {
                tracing::error!(%error, "an event could not be kept; it has to be told again");
            }
            refused.into_response()
        }
    }
}

async fn in_time(request: Request, next: Next) -> Response {
    match timeout(IN_TIME, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}
