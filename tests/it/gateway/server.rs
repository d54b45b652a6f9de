//! A provider made of bytes: takes connections, keeps each request to the letter, and answers with
//! what the test wrote. Knows no provider.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What follows the written bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// The connection stays and takes the next request.
    Keep,
    /// The connection ends in order.
    Close,
    /// The connection is torn down.
    Reset,
    /// Nothing more comes until the client gives up.
    Hang,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Which connection it came on, from 0.
    pub(crate) connection: usize,
    /// Request line and headers, without the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

type Answers = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

/// Runs until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// The replies are given in the order in which requests come, whatever their connection.
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, replies)
    }

    /// The same where the script has to know the address.
    pub(crate) fn on(listener: std::net::TcpListener, replies: Vec<Reply>) -> Self {
        let replies = Mutex::new(VecDeque::from(replies));
        Self::with(listener, move |_| {
            let reply = replies.lock().unwrap().pop_front();
            reply.expect("a reply for every request")
        })
    }

    /// The reply follows from the request.
    pub(crate) fn answering(answer: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(std::net::TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    fn with(
        listener: std::net::TcpListener,
        answer: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Answers = Arc::new(answer);
        let (sender, received) = mpsc::unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, number, Arc::clone(&answers), sender.clone()));
            }
        });
        Self {
            address,
            received,
            accepting,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/api/v1", self.address)
    }

    /// The next request; it has come already when the gateway has an outcome of it.
    pub(crate) fn next(&mut self) -> Received {
        self.try_next().expect("a request has come")
    }

    pub(crate) fn try_next(&mut self) -> Option<Received> {
        self.received.try_recv().ok()
    }

    pub(crate) fn is_idle(&mut self) -> bool {
        self.try_next().is_none()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    answers: Answers,
    sender: mpsc::UnboundedSender<Received>,
) {
    while let Some(request) = receive(&mut stream, connection).await {
        let reply = answers(&request);
        sender.send(request).unwrap();
        // The client may have hung up on purpose.
        if stream.write_all(&reply.bytes).await.is_err() {
            return;
        }
        match reply.then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => return stream.set_zero_linger().unwrap(),
            Then::Hang => {
                let gone = stream.read(&mut [0; 1]).await;
                return assert!(matches!(gone, Ok(0) | Err(_)), "the client gives up");
            }
        }
    }
}

async fn receive(stream: &mut TcpStream, connection: usize) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(end + 4);
    bytes.truncate(end);
    let mut request = Received {
        connection,
        head: String::from_utf8(bytes).unwrap(),
        body: Vec::new(),
    };
    let length = request.header("content-length");
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    while body.len() < length {
        assert_ne!(stream.read_buf(&mut body).await.ok()?, 0, "a whole body");
    }
    assert_eq!(body.len(), length, "nothing behind the body");
    request.body = body;
    Some(request)
}

/// A whole answer on a connection that stays.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let headers: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let text = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{}\r\n{body}",
        body.len(),
        headers.concat()
    );
    raw(text, Then::Keep)
}

pub(crate) fn raw(bytes: impl Into<Vec<u8>>, then: Then) -> Reply {
    Reply {
        bytes: bytes.into(),
        then,
    }
}
