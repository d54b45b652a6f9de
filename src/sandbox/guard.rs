//! Keeps the control surface and the page to whoever runs the sandbox. Neither has credentials, so
//! a page from elsewhere, open in a browser on this machine, must reach neither: not by a name of
//! its own that it has pointed here (DNS rebinding), and not by a form or script that posts across
//! sites.

use std::net::IpAddr;

use axum::Json;
use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Lets a request through, or says why not.
pub(super) async fn keep_out_strangers(request: Request, next: Next) -> Response {
    let why = match host(request.headers()) {
        Some(host) if !is_ours(host) => Some(
            "the sandbox is reached by an address, by `localhost` or by a name without a dot; a \
             browser may have been sent here under a name of somebody else's",
        ),
        Some(host) if changes(request.method()) && !is_same(request.headers(), host) => {
            Some("this came from a page of another site; only the sandbox's own may change it")
        }
        Some(_) | None => None,
    };
    match why {
        Some(why) => (StatusCode::FORBIDDEN, Json(json!({ "error": why }))).into_response(),
        None => next.run(request).await,
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &axum::http::HeaderName) -> Option<&'h str> {
    // One that is not text is nobody's.
    Some(headers.get(name)?.to_str().unwrap_or("?."))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    text(headers, &HOST)
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Names that nobody outside can point to this machine.
fn is_ours(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || (!name.is_empty() && !name.contains('.') && !name.contains('?'))
}

/// A program sends no origin, a browser does.
fn is_same(headers: &HeaderMap, host: &str) -> bool {
    text(headers, &ORIGIN).is_none_or(|origin| {
        origin
            .split_once("://")
            .is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_local_names_are_ours_and_public_names_are_not() {
        for ours in [
            "127.0.0.1:4010",
            "[::1]:4010",
            "10.0.0.7:80",
            "localhost",
            "LOCALHOST:4010",
            "sandbox:4010",
            "a.localhost:1",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for strange in [
            "evil.example:4010",
            "evil.example",
            "",
            ":80",
            "?.",
            "x.y.localhost.evil.example",
        ] {
            assert!(!is_ours(strange), "{strange}");
        }
    }

    #[test]
    fn only_the_own_page_may_change_something() {
        let from = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, origin.parse().unwrap());
            is_same(&headers, "127.0.0.1:4010")
        };
        assert!(from("http://127.0.0.1:4010"));
        assert!(!from("http://127.0.0.1:4011"));
        assert!(!from("http://evil.example"));
        assert!(!from("null"));
        assert!(is_same(&HeaderMap::new(), "127.0.0.1:4010"));
    }
}
