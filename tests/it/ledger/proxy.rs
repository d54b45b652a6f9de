//! A way to the server that can be cut between any two statements: before one reaches the
//! server, or after it was done and before its answer is told. Understands of the protocol where
//! an answer ends, no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// The kind of message that ends an answer: the server is ready for the next statement.
const READY: u8 = b'Z';
/// Never reached: no cut.
const NEVER: u32 = u32::MAX;

/// Where the way is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// The server never hears of the statement.
    Asking,
    /// The server has done it, and nobody hears of that.
    Answering,
}

#[derive(Debug)]
struct Shared {
    answers: AtomicU32,
    /// The answer that does not arrive, or whose question does not.
    cut_at: AtomicU32,
    cuts_questions: AtomicU32,
    /// Connections so far.
    ways: AtomicU32,
    /// Those up to this one are silent.
    silent: AtomicU32,
}

impl Shared {
    /// Returns unless that connection has fallen silent.
    async fn hears(&self, way: u32) {
        if way <= self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the next question is the one that gets lost; only once.
    fn cuts_question(&self) -> bool {
        self.cuts_questions.load(Ordering::SeqCst) == 1 && self.cuts(Ordering::SeqCst)
    }

    fn cuts(&self, order: Ordering) -> bool {
        let next = self.answers.load(order) + 1;
        // Answers on two connections may be counted at once, so the very one may be stepped over.
        let due = |cut_at: u32| (cut_at <= next).then_some(NEVER);
        self.cut_at.fetch_update(order, order, due).is_ok()
    }

    /// Whether an answer that has come is the one that gets lost.
    fn cuts_answer(&self) -> bool {
        let asking = self.cuts_questions.load(Ordering::SeqCst) == 1;
        let cuts = !asking && self.cuts(Ordering::SeqCst);
        self.answers.fetch_add(1, Ordering::SeqCst);
        cuts
    }
}

/// Ends with this value, and its connections with it.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Leads to the server at `host:port`.
    pub(super) async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            answers: AtomicU32::new(0),
            cut_at: AtomicU32::new(NEVER),
            cuts_questions: AtomicU32::new(0),
            ways: AtomicU32::new(0),
            silent: AtomicU32::new(0),
        });
        let accepting = tokio::spawn(accept(listener, server, shared.clone()));
        Self {
            port,
            shared,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// Cuts the connection at the `nth` answer from now on, from 1.
    pub(super) fn cut(&self, cut: Cut, nth: u32) {
        let asking = u32::from(cut == Cut::Asking);
        self.shared.cuts_questions.store(asking, Ordering::SeqCst);
        let now = self.shared.answers.load(Ordering::SeqCst);
        self.shared.cut_at.store(now + nth, Ordering::SeqCst);
    }

    /// The connections that there are lead nowhere any more, and nobody is told; new ones do.
    pub(super) fn fall_silent(&self) {
        let ways = self.shared.ways.load(Ordering::SeqCst);
        self.shared.silent.store(ways, Ordering::SeqCst);
    }

    /// Whether the cut was made; if not, there is none any more.
    pub(super) fn has_cut(&self) -> bool {
        self.shared.cut_at.swap(NEVER, Ordering::SeqCst) == NEVER
    }
}

async fn accept(listener: TcpListener, server: String, shared: Arc<Shared>) {
    let mut ways = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&server).await else {
            continue;
        };
        ways.spawn(lead(client, server, shared.clone()));
    }
}

/// Until either side, or the cut, ends it; both sides then see the end.
async fn lead(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let way = shared.ways.fetch_add(1, Ordering::SeqCst) + 1;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        // cancel-safe: the connection ends with either side
        _ = questions(from_client, to_server, (&shared, way)) => {}
        // cancel-safe: as above
        _ = answers(from_server, to_client, (&shared, way)) => {}
    }
}

async fn questions(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (shared, way): (&Shared, u32),
) -> std::io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut bytes).await?;
        shared.hears(way).await;
        if n == 0 || shared.cuts_question() {
            return Ok(());
        }
        to.write_all(&bytes[..n]).await?;
    }
}

/// An answer is passed on when it is whole.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (shared, way): (&Shared, u32),
) -> std::io::Result<()> {
    let mut answer = Vec::new();
    loop {
        let kind = from.read_u8().await?;
        shared.hears(way).await;
        let length = from.read_u32().await?;
        answer.push(kind);
        answer.extend(length.to_be_bytes());
        let start = answer.len();
        answer.resize(start + usize::try_from(length).unwrap() - 4, 0);
        from.read_exact(&mut answer[start..]).await?;
        if kind == READY && shared.cuts_answer() {
            return Ok(());
        }
        // What the server asks for while a connection is made, it waits for.
        if matches!(kind, READY | b'R' | b'E') {
            to.write_all(&answer).await?;
            answer.clear();
        }
    }
}
