//! The page on which the phones are looked at and answered from, and what it asks for. The page
//! loads nothing from anywhere else, and what people and campaigns write is text in it, never code.

use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::Sandbox;
use crate::domain::phone::Phone;

const PAGE: &str = include_str!("page/phones.html");
const STYLE: &str = include_str!("page/phones.css");
const SCRIPT: &str = include_str!("page/phones.js");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// For a picture that is opened by itself: it may be anything that somebody calls an image.
const PICTURE_POLICY: &str = "default-src 'none'; sandbox";

pub(super) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/", get(|| async { own(PAGE, "text/html; charset=utf-8") }))
        .route(
            "/_sandbox/page/phones.css",
            get(|| async { own(STYLE, "text/css; charset=utf-8") }),
        )
        .route(
            "/_sandbox/page/phones.js",
            get(|| async { own(SCRIPT, "text/javascript; charset=utf-8") }),
        )
        // A browser asks for one whatever the page says.
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/_sandbox/phones", get(phones))
        .route("/_sandbox/phones/{phone}", get(phone))
        .route("/_sandbox/phones/media/{tenant}/{id}", get(picture))
        .with_state(sandbox)
}

fn guarded(mut response: Response, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn own(body: &'static str, kind: &'static str) -> Response {
    guarded(([(CONTENT_TYPE, kind)], body).into_response(), POLICY)
}

#[derive(Debug, Default, Deserialize)]
struct Looking {
    /// The version that is known already.
    #[serde(default)]
    version: String,
    #[serde(default)]
    search: String,
}

/// The list, or 304 while it is the one that is known.
async fn phones(State(sandbox): State<Sandbox>, Query(looking): Query<Looking>) -> Response {
    let list = tokio::task::spawn_blocking(move || {
        sandbox.chert.phones(&looking.version, &looking.search)
    });
    match list.await {
        Ok(Some(list)) => Json(list).into_response(),
        Ok(None) => StatusCode::NOT_MODIFIED.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn phone(State(sandbox): State<Sandbox>, Path(phone): Path<String>) -> Response {
    match Phone::from_e164(&phone) {
        Ok(phone) => Json(sandbox.chert.phone(&phone)).into_response(),
        Err(error) => {
            let why = json!({ "error": error.to_string() });
            (StatusCode::BAD_REQUEST, Json(why)).into_response()
        }
    }
}

async fn picture(
    State(sandbox): State<Sandbox>,
    Path((tenant, id)): Path<(usize, String)>,
) -> Response {
    let found = sandbox.chert.picture(tenant, &id);
    let found = found.and_then(|(kind, bytes)| Some((HeaderValue::from_str(&kind).ok()?, bytes)));
    match found {
        Some((kind, bytes)) => guarded(
            ([(CONTENT_TYPE, kind)], bytes).into_response(),
            PICTURE_POLICY,
        ),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
