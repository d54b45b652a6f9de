//! What people answer, as it happens (chert §14). An event of the stream is read as a row of the
//! log is; whether it was heard before is not known here.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Response};
use tokio::time::timeout;

use super::super::http::{Answer, Lost, Opened};
use super::super::sse::{Event, Parser};
use super::super::{Telling, Told};
use super::replies::{self, is_no_log, unusable};
use super::{Chert, answer};
use crate::domain::outcome::Outcome;

/// A stream that says nothing for so long is dead: a living one gives a sign every 15 seconds
/// (chert §14), and two may be lost on a slow machine.
const SILENCE: Duration = Duration::from_secs(40);
/// The event by which the provider ends a stream (chert §14).
const CLOSE: &str = "close";

/// An open stream.
#[derive(Debug)]
struct Stream {
    response: Response,
    parser: Parser,
    events: VecDeque<Event>,
    silence: Duration,
}

impl Chert {
    /// Opens the stream; `None`: there is none at this address.
    pub(super) async fn open_stream(
        &self,
        since: Option<Timestamp>,
    ) -> Result<Option<Box<dyn Telling>>, Outcome> {
        let now = || self.signer.now();
        let opened = match self.ask_for_stream(since).await {
            Ok(Opened::Answer(answer))
                if answer::blames_the_clock(&answer)
                    && self.signer.learn_clock(&answer.headers) =>
            {
                self.ask_for_stream(since).await
            }
            other => other,
        };
        match opened.map_err(|lost| answer::lost(lost, now))? {
            Opened::Stream(response) => Ok(Some(Box::new(Stream {
                response,
                parser: Parser::default(),
                events: VecDeque::new(),
                silence: SILENCE,
            }))),
            Opened::Answer(answer) => self.no_stream(&answer),
        }
    }

    fn no_stream(&self, answer: &Answer) -> Result<Option<Box<dyn Telling>>, Outcome> {
        if answer.is_success() {
            let text = "the provider's event stream is none";
            return Err(unusable(Some(answer.status), text));
        }
        let outcome = answer::refused(answer, || self.signer.now());
        if let Outcome::Permanent { failure } = &outcome
            && is_no_log(failure)
        {
            return Ok(None);
        }
        Err(answer::of_the_account(outcome))
    }

    async fn ask_for_stream(&self, since: Option<Timestamp>) -> Result<Opened, Lost> {
        let since = since.map(|since| ("since", format!("{since:.3}")));
        let place = ("/events/stream", since.as_slice());
        let mut request = self.signed(&Method::GET, place, Bytes::new());
        let events = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(ACCEPT, events);
        self.wire.open(request).await
    }
}

#[async_trait]
impl Telling for Stream {
    async fn next(&mut self) -> Told {
        loop {
            while let Some(event) = self.events.pop_front() {
                if let Some(told) = read(&event) {
                    return told;
                }
            }
            // Cancel-safe: a piece that was not returned stays in the connection.
            let piece = match timeout(self.silence, self.response.chunk()).await {
                Err(_) => return Told::Broken("it was silent for too long"),
                Ok(Err(_)) => return Told::Broken("the connection broke"),
                Ok(Ok(None)) => return Told::Broken("it ended without a word"),
                Ok(Ok(Some(piece))) => piece,
            };
            if self.parser.push(&piece, &mut self.events).is_err() {
                return Told::Broken("a line of it does not end");
            }
        }
    }
}

/// `None`: nothing that concerns anybody here.
fn read(event: &Event) -> Option<Told> {
    if event.kind == CLOSE {
        return Some(Told::Closed);
    }
    let Ok(row) = serde_json::from_str(&event.data) else {
        return Some(Told::Unreadable);
    };
    match replies::event(&row) {
        replies::Event::Reply(reply) => Some(Told::Reply(reply)),
        replies::Event::Other => None,
        replies::Event::Unreadable => Some(Told::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_stream_without_a_sign_of_life_is_dead_and_any_sign_is_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let (response, mut server) = tokio::join!(client.get(url).send(), async {
            let mut server = listener.accept().await.unwrap().0;
            assert_ne!(server.read(&mut [0; 4096]).await.unwrap(), 0);
            let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
            server.write_all(head).await.unwrap();
            server
        });
        let silence = Duration::from_millis(600);
        let mut stream = Stream {
            response: response.unwrap(),
            parser: Parser::default(),
            events: VecDeque::new(),
            silence,
        };
        let begun = Instant::now();
        let alive = async {
            for _ in 0..9 {
                tokio::time::sleep(silence / 6).await;
                server.write_all(b": alive\n\n").await.unwrap();
            }
            Instant::now()
        };
        let (told, last_sign) = tokio::join!(stream.next(), alive);
        assert_eq!(told, Told::Broken("it was silent for too long"));
        assert!(
            last_sign - begun > silence,
            "it was longer than any silence"
        );
    }
}
