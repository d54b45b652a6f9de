//! Connections that can be cut: the socket under each HTTP connection writes only as many bytes
//! as its [`Cut`] still allows, so "accepted, and the answer is lost" is a real closed
//! connection. Knows nothing about requests or why one is cut.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Accepts connections whose end the sandbox can decide.
#[derive(Debug)]
pub(super) struct Doorway {
    pub(super) listener: TcpListener,
    /// Once cancelled, every open connection ends at once, whatever it was doing.
    pub(super) abort: CancellationToken,
}

impl Listener for Doorway {
    type Io = Wire;
    type Addr = ();

    async fn accept(&mut self) -> (Wire, ()) {
        // Axum's own accept rides out a full table of open files.
        let (stream, _peer) = Listener::accept(&mut self.listener).await;
        // Answers are small; waiting to fill a packet would only delay them. A failure here
        // means that the peer is gone already, which the first read reports.
        drop(stream.set_nodelay(true));
        let wire = Wire {
            stream,
            cut: Cut::default(),
            abort: Box::pin(self.abort.clone().cancelled_owned()),
        };
        (wire, ())
    }

    fn local_addr(&self) -> io::Result<()> {
        self.listener.local_addr().map(drop)
    }
}

/// The handle by which a request ends its own connection.
#[derive(Debug, Clone)]
pub(super) struct Cut(Arc<AtomicUsize>);

impl Default for Cut {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }
}

impl Cut {
    /// Lets `bytes` more bytes out, then closes the connection.
    pub(super) fn after(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Release);
    }

    /// How many of `wanted` bytes may go out; an error once nothing may.
    fn allow(&self, wanted: usize) -> io::Result<usize> {
        match self.0.load(Ordering::Acquire) {
            0 => Err(io::ErrorKind::ConnectionAborted.into()),
            left => Ok(wanted.min(left)),
        }
    }

    fn spend(&self, written: usize) {
        let left = self.0.load(Ordering::Acquire);
        if left != usize::MAX {
            self.0
                .store(left.saturating_sub(written), Ordering::Release);
        }
    }
}

impl Connected<IncomingStream<'_, Doorway>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        stream.io().cut.clone()
    }
}

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    cut: Cut,
    abort: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.allow(1)?;
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self
                .abort
                .as_mut()
                .poll(context)
                .map(|()| Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.cut.allow(buffer.len())?;
        let buffer = buffer.get(..allowed).unwrap_or_default();
        let written = Pin::new(&mut self.stream).poll_write(context, buffer);
        if let Poll::Ready(Ok(written)) = written {
            self.cut.spend(written);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
