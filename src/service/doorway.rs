//! Lets connections in, so many at a time, and none that says nothing for long. Knows nothing of
//! what is said on them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections at a time; whoever comes then waits outside.
const MOST: usize = 64;
/// A connection that was silent for so long is closed. Longer than proxies keep an idle one.
const SILENCE: Duration = Duration::from_secs(90);

/// Where connections come in.
#[derive(Debug)]
pub(super) struct Doorway {
    listener: TcpListener,
    room: Arc<Semaphore>,
    abort: CancellationToken,
}

impl Doorway {
    /// Once `abort` is cancelled, every connection that waits for something ends.
    pub(super) fn new(listener: TcpListener, abort: CancellationToken) -> Self {
        Self {
            listener,
            room: Arc::new(Semaphore::new(MOST)),
            abort,
        }
    }
}

impl Listener for Doorway {
    type Io = Connection;
    type Addr = ();

    async fn accept(&mut self) -> (Connection, ()) {
        // The semaphore is never closed.
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        // Axum's own accept rides out a full table of open files.
        let (stream, _peer) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            _room: room,
            silence: Box::pin(sleep(SILENCE)),
            abort: Box::pin(self.abort.clone().cancelled_owned()),
        };
        (connection, ())
    }

    fn local_addr(&self) -> io::Result<()> {
        self.listener.local_addr().map(drop)
    }
}

/// One connection; its place is free again when it goes.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    _room: Option<OwnedSemaphorePermit>,
    silence: Pin<Box<Sleep>>,
    abort: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            return Poll::Ready(read);
        }
        if self.silence.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let aborted = self.abort.as_mut().poll(context);
        aborted.map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
