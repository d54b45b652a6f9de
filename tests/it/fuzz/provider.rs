//! A provider that answers without end, or hardly at all, to the real program in a process of little
//! memory and little time. Everybody still ends in a named state.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::bounded;
use crate::support::{Ended, LINES, Project};

/// How the provider answers.
#[derive(Debug, Clone, Copy)]
enum Madness {
    /// A body whose end never comes, as fast as it is taken.
    EndlessBody,
    /// The same, of chunks.
    EndlessChunks,
    /// Headers whose end never comes.
    EndlessHeaders,
    /// One header line whose end never comes.
    EndlessLine,
    /// A body that is announced to be of a gigabyte.
    Gigabyte,
    /// Lists inside lists, as deep as an answer may be long.
    Deep,
    /// As many values as an answer may hold.
    Wide,
    /// One byte now and then.
    Drip,
    /// Answers that say that another one follows, now and then.
    Continue,
}

const ALL: [Madness; 9] = [
    Madness::EndlessBody,
    Madness::EndlessChunks,
    Madness::EndlessHeaders,
    Madness::EndlessLine,
    Madness::Gigabyte,
    Madness::Deep,
    Madness::Wide,
    Madness::Drip,
    Madness::Continue,
];

impl Madness {
    /// Runs until the client gives up.
    async fn answer(self, stream: &mut TcpStream) -> std::io::Result<()> {
        const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let whole = |body: String| format!("{JSON}content-length: {}\r\n\r\n{body}", body.len());
        let (start, rest) = match self {
            Self::EndlessBody => (format!("{JSON}\r\n["), " ".repeat(65_536)),
            Self::EndlessChunks => (
                format!("{JSON}transfer-encoding: chunked\r\n\r\n"),
                "1\r\n \r\n".repeat(8_192),
            ),
            Self::EndlessHeaders => (JSON.to_owned(), "x-more: x\r\n".repeat(4_096)),
            Self::EndlessLine => (format!("{JSON}x-more: "), "x".repeat(65_536)),
            Self::Gigabyte => (
                format!("{JSON}content-length: 1073741824\r\n\r\n"),
                " ".repeat(65_536),
            ),
            Self::Deep => (whole("[".repeat(1_000_000)), String::new()),
            Self::Wide => (whole(format!("[{}0]", "0,".repeat(500_000))), String::new()),
            Self::Drip => (
                format!("{JSON}content-length: 100000\r\n\r\n"),
                String::new(),
            ),
            Self::Continue => (String::new(), "HTTP/1.1 100 Continue\r\n\r\n".repeat(2_048)),
        };
        stream.write_all(start.as_bytes()).await?;
        let slow = match self {
            Self::Drip => " ",
            Self::Continue => "HTTP/1.1 100 Continue\r\n\r\n",
            Self::EndlessBody
            | Self::EndlessChunks
            | Self::EndlessHeaders
            | Self::EndlessLine
            | Self::Gigabyte
            | Self::Deep
            | Self::Wide => "",
        };
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        while !slow.is_empty() {
            beat.tick().await;
            stream.write_all(slow.as_bytes()).await?;
        }
        while !rest.is_empty() {
            stream.write_all(rest.as_bytes()).await?;
        }
        Ok(())
    }
}

/// The head of a request; its body is of no interest, but is read before the answer.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if bytes.len() >= end + 4 + length {
                return Some(head);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// When the provider goes mad.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    AtOnce,
    /// It names its lines and says that nobody has answered, and is to take a message.
    AtAMessage,
}

async fn run_against(madness: Madness, when: When) -> Ended {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let project = Project::new();
    project.write(
        "sendoff.yaml",
        format!(
            "gateways:\n  chert:\n    kind: chert\n    base_url: http://{}/api/v1\n    tenant: acme-7a3f\n    signing_secret: {{ file: secret }}\n    timeout: 1s\n    first_touch: none\n",
            listener.local_addr().unwrap()
        ),
    );
    project.write("secret", "0123456789abcdef0123456789abcdef\n");
    project.write("campaigns/hello.yaml", format!(
        "name: hello\ngateway: chert\nfrom: [\"{}\"]\nrecipients: {{ csv: people.csv }}\nmessage: ../templates/hello.yaml\nretry: {{ attempts: 2, base: 1s, max: 1s }}\n",
        LINES[0]
    ));
    project.write(
        "campaigns/people.csv",
        "phone\n+12025550143\n+12025550144\n",
    );
    project.write(
        "templates/hello.yaml",
        "parts:\n  - type: text\n    value: Hi\n",
    );
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections.spawn(async move {
                while let Some(head) = request(&mut stream).await {
                    let sane = head.starts_with("GET ") && when == When::AtAMessage;
                    let answered = if sane {
                        let body = if head.starts_with("GET /api/v1/events") {
                            r#"{"events":[],"next_cursor":null,"count":0}"#.to_owned()
                        } else {
                            format!(r#"{{"phone_numbers":[{{"id":"p1","phone_number":"{}","is_active":true}}]}}"#, LINES[0])
                        };
                        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                        stream.write_all(text.as_bytes()).await
                    } else {
                        madness.answer(&mut stream).await
                    };
                    if answered.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let run = move || bounded(&project, &["run", "campaigns/hello.yaml", "--yes"]);
    let ended = tokio::task::spawn_blocking(run).await.unwrap();
    serving.abort();
    ended
}

/// Every madness at the same time: most of it is waiting.
async fn each(when: When) -> impl Iterator<Item = (Madness, Ended)> {
    let runs = ALL.map(|madness| run_against(madness, when));
    ALL.into_iter()
        .zip(futures_util::future::join_all(runs).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_mad_from_the_start_is_not_sent_to() {
    for (madness, ended) in each(When::AtOnce).await {
        assert_eq!(ended.code, Some(1), "{madness:?}: {ended:?}");
        assert!(ended.err.len() < 4_000, "{madness:?}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_goes_mad_at_a_message_leaves_a_doubt() {
    for (madness, ended) in each(When::AtAMessage).await {
        assert!(matches!(ended.code, Some(3 | 4)), "{madness:?}: {ended:?}");
    }
}
