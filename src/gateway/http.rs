//! One bounded HTTP exchange: connects, sends, reads at most [`MAX_ANSWER`] bytes, follows no
//! redirect. Knows whether a lost exchange may have reached the other side; does not know what
//! an answer means.

use std::error::Error as _;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder, Request, Response, Url};
use tokio::time::Instant;

use super::GatewayError;
use super::outage::Outage;
use crate::domain::cause::is_too_many_files;
use crate::domain::outcome::Failure;

/// No answer of a provider is anywhere near this; more is a fault or an attack on our memory.
pub(super) const MAX_ANSWER: usize = 1024 * 1024;
/// Idle connections kept: more than any sensible `concurrency`, so that a busy run never
/// connects anew for want of a place.
const MAX_IDLE: usize = 1_024;
/// Shorter than the idle timeout of common front ends (60 s and up), so that a request rarely
/// meets a connection that is being closed under it.
const IDLE: Duration = Duration::from_secs(45);

/// A stream that lasts longer is opened anew, which costs a request; a provider ends its own far
/// earlier (chert §14).
const LONGEST_STREAM: Duration = Duration::from_mins(30);

/// A pool of connections to one provider.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client,
    timeout: Duration,
    host: String,
    outage: Outage,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// What came of asking for a stream of events.
#[derive(Debug)]
pub(super) enum Opened {
    /// It has begun. Its reader bounds how long it may be silent.
    Stream(Response),
    /// A whole answer instead.
    Answer(Answer),
}

/// An exchange that gave no whole answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// There was no connection: not one byte of the request has left. Nobody needs to try again
    /// before the wait is over.
    NotSent { failure: Failure, wait: Duration },
    /// The request may have been taken.
    Unanswered(Failure),
    /// Status and headers came, the body did not, or not within bounds.
    Cut {
        status: u16,
        headers: HeaderMap,
        failure: Failure,
    },
}

impl Answer {
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Wire {
    /// A pool for `base`. Plain `http` loads no certificates and obeys no proxy variable; `https`
    /// obeys `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, as other programs do.
    pub(super) fn new(base: &Url, timeout: Duration) -> Result<Self, GatewayError> {
        let client = builder(timeout);
        let client = if base.scheme() == "http" {
            client.no_proxy().tls_certs_only([])
        } else {
            client.tls_version_min(reqwest::tls::Version::TLS_1_2)
        };
        let client = client.build().map_err(|_| GatewayError::NoTls)?;
        Ok(Self {
            client,
            timeout,
            host: host_of(base),
            outage: Outage::default(),
        })
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends `request` once and reads the answer to its end.
    pub(super) async fn exchange(&self, request: Request) -> Result<Answer, Lost> {
        let limit = request.timeout().copied().unwrap_or(self.timeout);
        let response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Err(self.lost(&error, limit)),
        };
        self.outage.over();
        self.whole(response, limit).await
    }

    /// Sends `request` once and leaves the answer open when it is a stream of events. What is no
    /// stream is read to its end, within the same time as any answer.
    pub(super) async fn open(&self, mut request: Request) -> Result<Opened, Lost> {
        let limit = self.timeout;
        *request.timeout_mut() = Some(LONGEST_STREAM);
        let opening = tokio::time::timeout(limit, self.client.execute(request));
        let response = match opening.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(self.lost(&error, limit)),
            Err(_) => return Err(Lost::Unanswered(self.silent(limit))),
        };
        self.outage.over();
        let kind = response.headers().get(reqwest::header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if response.status().is_success() && kind.starts_with("text/event-stream") {
            return Ok(Opened::Stream(response));
        }
        let reading = tokio::time::timeout(limit, self.whole(response, limit));
        match reading.await {
            Ok(read) => read.map(Opened::Answer),
            Err(_) => Err(Lost::Unanswered(self.silent(limit))),
        }
    }

    fn silent(&self, limit: Duration) -> Failure {
        Failure {
            text: format!("'{}' gave no answer within {limit:?}", self.host),
            ..Failure::default()
        }
    }

    /// Reads an answer to its end.
    async fn whole(&self, mut response: Response, limit: Duration) -> Result<Answer, Lost> {
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let why = match read(response, &headers).await {
            Ok(body) => {
                return Ok(Answer {
                    status,
                    headers,
                    body,
                });
            }
            Err(Unread::TooLong) => "its answer is longer than 1 MiB".to_owned(),
            Err(Unread::Error(error)) if error.is_timeout() => {
                format!("its answer was not complete within {limit:?}")
            }
            Err(Unread::Error(_)) => "its answer broke off".to_owned(),
        };
        let failure = Failure {
            http: Some(status),
            text: format!("'{}' answered HTTP {status}, but {why}", self.host),
            ..Failure::default()
        };
        Err(Lost::Cut {
            status,
            headers,
            failure,
        })
    }

    /// `is_connect` holds only for errors of the connector (TCP, proxy tunnel, TLS), which runs
    /// to its end before the request is handed to the connection.
    fn lost(&self, error: &reqwest::Error, limit: Duration) -> Lost {
        let host = &self.host;
        let connecting = error.is_connect();
        let text = if connecting && error.is_timeout() {
            let limit = self.timeout / 2;
            format!("no connection to '{host}' within {limit:?}")
        } else if connecting && io_error(error).is_some_and(is_too_many_files) {
            format!(
                "no connection to '{host}': too many files are open; raise the limit, see \
                 `ulimit -n`"
            )
        } else if connecting && error.is_dns() {
            format!("the name '{host}' cannot be found; is this machine online?")
        } else if connecting {
            match io_error(error).map(io::Error::kind) {
                Some(io::ErrorKind::ConnectionRefused) => {
                    format!("'{host}' refuses connections; is it running?")
                }
                Some(io::ErrorKind::InvalidData) => {
                    format!("'{host}' offers no secure connection that this machine trusts")
                }
                _ => format!("no connection to '{host}'"),
            }
        } else if error.is_timeout() {
            format!("'{host}' gave no answer within {limit:?}")
        } else if error.is_builder() {
            format!("no request to '{host}' can be made from this address")
        } else {
            format!("the connection to '{host}' broke before it answered")
        };
        let failure = Failure {
            text,
            ..Failure::default()
        };
        if connecting || error.is_builder() {
            let wait = self.outage.wait(Instant::now());
            Lost::NotSent { failure, wait }
        } else {
            Lost::Unanswered(failure)
        }
    }
}

/// What holds for every connection, secure or not.
fn builder(timeout: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("sendoff/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        // Half, so that a host which swallows packets is known to have got nothing.
        .connect_timeout(timeout / 2)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // The pool still moves a request that was queued but never begun from a connection that
        // died to another one (hyper-util gives such a request back untouched); that is the one
        // repeat below us, and it cannot send twice.
        .retry(reqwest::retry::never())
        .http1_only()
        .tcp_nodelay(true)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE)
}

enum Unread {
    TooLong,
    Error(reqwest::Error),
}

/// An answer that comes in one piece is not copied.
async fn read(mut response: Response, headers: &HeaderMap) -> Result<Bytes, Unread> {
    let announced = headers
        .get(reqwest::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_ANSWER as u64) {
        return Err(Unread::TooLong);
    }
    let Some(first) = response.chunk().await.map_err(Unread::Error)? else {
        return Ok(Bytes::new());
    };
    let mut rest = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Error)? {
        if first.len() + rest.len() + chunk.len() > MAX_ANSWER {
            return Err(Unread::TooLong);
        }
        rest.extend_from_slice(&chunk);
    }
    if first.len() > MAX_ANSWER {
        Err(Unread::TooLong)
    } else if rest.is_empty() {
        Ok(first)
    } else {
        Ok([first.as_ref(), rest.as_ref()].concat().into())
    }
}

/// What the operating system or TLS said, under however many wrappers.
fn io_error(error: &reqwest::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        source = cause.source();
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            match io.get_ref() {
                // The wrapped error is skipped by `source`.
                Some(inner) if io.kind() == io::ErrorKind::Other => source = Some(inner),
                _ => return Some(io),
            }
        }
    }
    None
}

/// Reads `base_url`: an `https` address, or `http` on this machine, where no one can listen in.
pub(super) fn base_url(text: &str) -> Result<Url, GatewayError> {
    let refuse = |why| GatewayError::BaseUrl {
        // What stands before an `@` may be a password.
        url: text.rsplit('@').next().unwrap_or_default().to_owned(),
        why,
    };
    let url = Url::parse(text).map_err(|_| {
        refuse("it is no web address; write it whole, such as https://api.example.com/v1")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it must not have a name or password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it must not have a '?' or '#' in it"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_this_machine(&url) => Ok(url),
        "http" => Err(refuse(
            "the secret would travel in the open; use https (http is for this machine only: \
             localhost, 127.0.0.1, [::1])",
        )),
        _ => Err(refuse("it must begin with https://")),
    }
}

pub(super) fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Host, and port where it is not the usual one.
pub(super) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    #[test]
    fn a_secret_never_travels_in_the_open() {
        for good in [
            "https://console.trychert.com/api/v1",
            "http://127.0.0.1:4010/api/v1",
            "http://localhost/api/v1",
            "http://[::1]:4010",
        ] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://console.trychert.com/api/v1",
            "http://10.0.0.7/api/v1",
            "http://127.0.0.1.example.com",
            "ftp://127.0.0.1/",
            "console.trychert.com",
            "https://user:hunter2@example.com/",
            "https://example.com/?key=1",
            "",
        ] {
            let error = base_url(bad).unwrap_err().to_string();
            assert!(
                error.contains("base_url") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_local_provider_costs_no_certificates() {
        let base = base_url("http://127.0.0.1:4010/api/v1").unwrap();
        let begun = Instant::now();
        Wire::new(&base, Duration::from_secs(30)).unwrap();
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(100), "{took:?}");
    }

    /// Asks a server that does with each connection what `serve` does, over TLS that trusts no one.
    async fn secure_exchange(timeout: Duration, serve: impl AsyncFn(TcpStream)) -> Lost {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://{}/", listener.local_addr().unwrap());
        let base = base_url(&base).unwrap();
        let client = builder(timeout).no_proxy().tls_certs_only([]);
        let wire = Wire {
            client: client.build().unwrap(),
            timeout,
            host: host_of(&base),
            outage: Outage::default(),
        };
        let exchange = wire.exchange(Request::new(reqwest::Method::POST, base));
        let server = async move {
            loop {
                serve(listener.accept().await.unwrap().0).await;
            }
        };
        tokio::select! {
            result = exchange => result.unwrap_err(),
            () = server => unreachable!("it serves for ever"),
        }
    }

    #[tokio::test]
    async fn a_server_that_speaks_no_tls_got_nothing() {
        let lost = secure_exchange(Duration::from_secs(20), async |mut stream: TcpStream| {
            // A greeting that is not read would turn the answer into a reset.
            assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
            stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").await.unwrap();
        });
        let Lost::NotSent { failure, .. } = lost.await else {
            panic!("something was sent");
        };
        assert!(failure.text.contains("no secure connection"), "{failure:?}");
    }

    #[tokio::test]
    async fn a_server_that_never_greets_got_nothing() {
        let lost = secure_exchange(Duration::from_millis(300), async |mut stream: TcpStream| {
            while stream
                .read(&mut [0; 512])
                .await
                .is_ok_and(|length| length > 0)
            {}
        });
        let Lost::NotSent { failure, .. } = lost.await else {
            panic!("something was sent");
        };
        assert!(failure.text.contains("within 150ms"), "{failure:?}");
    }
}
