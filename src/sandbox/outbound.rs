//! The one place where the sandbox calls out: a POST to whoever subscribed, and how it ended.
//! Follows no redirect, uses no proxy, reads no more of an answer than its status, and by default
//! reaches this machine alone. Does not know what it carries or whether to try again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

const OTHER_MACHINE: NoAnswer =
    NoAnswer::NotSent("not sent: this sandbox delivers to its own machine alone");
const NO_CLIENT: NoAnswer = NoAnswer::NotSent("not sent: no HTTP client can be made");
const UNFIT: NoAnswer = NoAnswer::NotSent("not sent: the event's name fits into no header");

/// The longest address that is taken.
const MAX_URL_CHARS: usize = 2_048;

/// Whom the sandbox calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// This machine alone, also without TLS. A subscription may name any HTTPS address; what is
    /// meant for it is kept in the log and does not leave.
    #[default]
    Loopback,
    /// Any address, also without TLS.
    Anywhere,
}

/// An address that was found in order.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    url: Url,
}

impl Destination {
    /// Reads an address, or says what it must be.
    pub(super) fn parse(text: &str, reach: Reach) -> Result<Self, &'static str> {
        if text.len() > MAX_URL_CHARS {
            return Err("must not be longer than 2048 characters");
        }
        let url = Url::parse(text).map_err(|_| "must be a whole HTTPS address")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must not hold a user name or a password");
        }
        let found = Self { url };
        match found.url.scheme() {
            "https" => Ok(found),
            "http" if reach == Reach::Anywhere || found.is_loopback() => Ok(found),
            _ => Err("must be HTTPS; plain HTTP is for addresses of this machine alone"),
        }
    }

    fn is_loopback(&self) -> bool {
        let host = self.url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

/// Why a call has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// The sandbox does not make such a call, however often it is asked.
    NotSent(&'static str),
    /// The receiver is not there, or in trouble.
    Lost(&'static str),
}

impl NoAnswer {
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::NotSent(why) | Self::Lost(why) => why,
        }
    }
}

/// Makes the calls.
#[derive(Debug)]
pub(super) struct Outbound {
    reach: Reach,
    timeout: Duration,
    /// Made with the first call: most sandboxes never make one.
    client: OnceLock<Option<Client>>,
}

impl Outbound {
    pub(super) fn new(reach: Reach, timeout: Duration) -> Self {
        Self {
            reach,
            timeout,
            client: OnceLock::new(),
        }
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    fn client(&self) -> Option<&Client> {
        let build = || {
            let loopback = [
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
            ];
            let builder = Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .timeout(self.timeout)
                // Whatever a hosts file says, the name never leads off this machine.
                .resolve_to_addrs("localhost", &loopback)
                // A connection per call, so that none ends on one that its receiver has left.
                .pool_max_idle_per_host(0)
                .user_agent("sendoff-sandbox");
            builder.build().ok()
        };
        self.client.get_or_init(build).as_ref()
    }

    /// Posts JSON. Answers the HTTP status, or in words why there is none.
    pub(super) async fn post(
        &self,
        to: &Destination,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<u16, NoAnswer> {
        if self.reach == Reach::Loopback && !to.is_loopback() {
            return Err(OTHER_MACHINE);
        }
        let client = self.client().ok_or(NO_CLIENT)?;
        let mut all = HeaderMap::with_capacity(headers.len() + 1);
        all.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            let value = HeaderValue::try_from(value).map_err(|_| UNFIT)?;
            all.insert(HeaderName::from_static(name), value);
        }
        let sent = client.post(to.url.clone()).headers(all).body(body).send();
        match sent.await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) if error.is_connect() => {
                Err(NoAnswer::Lost("the receiver cannot be reached"))
            }
            Err(error) if error.is_timeout() => {
                Err(NoAnswer::Lost("the receiver did not answer in time"))
            }
            Err(_) => Err(NoAnswer::Lost("the receiver left without an answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_unless_said_otherwise() {
        let takes = |text, reach| Destination::parse(text, reach).is_ok();
        for own in [
            "http://127.0.0.1:9/x",
            "http://127.8.8.8/x",
            "http://[::1]:9/",
            "http://localhost:9",
        ] {
            assert!(takes(own, Reach::Loopback), "{own}");
        }
        for other in [
            "http://192.0.2.7/x",
            "http://localhost.example/x",
            "http://127.0.0.1.example/x",
        ] {
            assert!(!takes(other, Reach::Loopback), "{other}");
            assert!(takes(other, Reach::Anywhere), "{other}");
        }
        for never in [
            "ftp://127.0.0.1/x",
            "/x",
            "",
            "https://dana:pw@hooks.example/",
        ] {
            assert!(!takes(never, Reach::Anywhere), "{never}");
        }
    }

    #[tokio::test]
    async fn what_is_meant_for_another_machine_does_not_leave() {
        let outbound = Outbound::new(Reach::Loopback, Duration::from_secs(1));
        let to = Destination::parse("https://hooks.example/x", Reach::Loopback).unwrap();
        let sent = outbound.post(&to, Vec::new(), String::new()).await;
        assert_eq!(sent, Err(OTHER_MACHINE));
        assert!(outbound.client.get().is_none(), "nothing was even prepared");
    }
}
