//! The control surface under `/_sandbox/`: what was received, faults, reset. Never mixed with
//! the providers' own paths, and without credentials: it is for whoever runs the sandbox.

use std::future::{Ready, ready};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Sandbox;
use super::asserting::Assertion;
use super::chert::{Incoming, LineChange, Reaction};
use super::faults::FaultPlan;
use super::huechat::{HueIncoming, HueTemplate};
use super::journal::Filter;
use super::memory::Act;
use super::turning::{Turn, parse_step};
use crate::domain::channel::Channel;
use crate::domain::phone::Phone;

/// The longest body: a file of the longest kind, in base64.
const LONGEST_REQUEST: usize = 4 << 20;

/// All routes of the control surface.
pub(super) fn router(sandbox: Sandbox) -> Router {
    let kept = middleware::from_fn_with_state(sandbox.clone(), keep);
    routes(sandbox).layer(kept)
}

/// Writes down what changes something, where acts are written down, before anybody is told.
/// Fault plans are not: they end with the process.
async fn keep(State(sandbox): State<Sandbox>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map(ToString::to_string);
    let path = path.unwrap_or_default();
    let changes = !request.method().is_safe() && !path.starts_with("/_sandbox/faults");
    if !changes || !sandbox.host.memory.is_on() {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST_REQUEST).await else {
        return refused("the body cannot be read").into_response();
    };
    let act = Act::Control {
        method: head.method.to_string(),
        path,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let mut gate = sandbox.host.memory.gate().await;
    let now = sandbox.host.time.pin_now();
    let response = next.run(Request::from_parts(head, body.into())).await;
    let at_us = now.at_us();
    drop(now);
    if response.status().is_success()
        && let Err(error) = gate.write(at_us, act)
    {
        sandbox.host.fail_to_keep(&error);
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    response
}

/// The same without the record of changes.
pub(super) fn routes(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/_sandbox/journal", get(journal))
        .route("/_sandbox/chert/openapi.json", get(openapi))
        .route("/_sandbox/huechat/openapi.json", get(hue_openapi))
        .route("/_sandbox/received", get(received))
        .route("/_sandbox/totals", get(totals))
        .route("/_sandbox/assert/{what}", get(assert))
        .route("/_sandbox/chats", get(chats))
        .route("/_sandbox/lines", get(lines))
        .route("/_sandbox/lines/{phone}", put(change_line))
        .route("/_sandbox/reset", post(reset))
        .route("/_sandbox/inbound", post(inbound))
        .route("/_sandbox/reactions", post(react))
        .route("/_sandbox/huechat", get(huechat))
        .route("/_sandbox/templates", get(templates).put(put_templates))
        .route(
            "/_sandbox/files",
            post(keep_file).layer(DefaultBodyLimit::max(LONGEST_REQUEST)),
        )
        .route(
            "/_sandbox/faults",
            get(faults).post(set_faults).delete(clear_faults),
        )
        .route("/_sandbox/clock", get(clock).put(turn_clock))
        .route("/_sandbox/clock/step", post(step_clock))
        .with_state(sandbox)
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

impl From<Wanted> for Filter {
    fn from(wanted: Wanted) -> Self {
        // In a query string a bare `+` means a space.
        let to = wanted.to.map(|to| match to.strip_prefix(' ') {
            Some(digits) => format!("+{digits}"),
            None => to,
        });
        Self {
            to,
            after: wanted.after,
            limit: wanted.limit,
        }
    }
}

type Refused = (StatusCode, Json<serde_json::Value>);

fn refused(why: &str) -> Refused {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": why })))
}

type Asked = Result<Query<Wanted>, axum::extract::rejection::QueryRejection>;

fn filter(asked: Asked) -> Result<Filter, Refused> {
    asked.map(|Query(wanted)| wanted.into()).map_err(|_| {
        refused("the query takes `to` (a number in E.164), `after` and `limit` (whole numbers)")
    })
}

/// Serialised off the request's own task: a long journal must not hold up the traffic.
async fn off_thread<T, F>(sandbox: Sandbox, make: F) -> Response
where
    T: Serialize,
    F: FnOnce(&Sandbox) -> T + Send + 'static,
{
    let json = tokio::task::spawn_blocking(move || serde_json::to_vec(&make(&sandbox))).await;
    match json {
        Ok(Ok(json)) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Ok(Err(_)) | Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn journal(State(sandbox): State<Sandbox>, asked: Asked) -> Result<Response, Refused> {
    let filter = filter(asked)?;
    Ok(off_thread(sandbox, move |sandbox| sandbox.journal(&filter)).await)
}

async fn received(State(sandbox): State<Sandbox>, asked: Asked) -> Result<Response, Refused> {
    let filter = filter(asked)?;
    Ok(off_thread(sandbox, move |sandbox| sandbox.received(&filter)).await)
}

async fn chats(State(sandbox): State<Sandbox>, asked: Asked) -> Result<Response, Refused> {
    let filter = filter(asked)?;
    let make = move |sandbox: &Sandbox| json!({ "chats": sandbox.chats(&filter) });
    Ok(off_thread(sandbox, make).await)
}

fn lines(State(sandbox): State<Sandbox>) -> Ready<Json<serde_json::Value>> {
    ready(Json(json!({ "lines": sandbox.line_reports() })))
}

async fn change_line(
    State(sandbox): State<Sandbox>,
    Path(phone): Path<String>,
    body: Bytes,
) -> Result<Response, Refused> {
    let shape = "a change is {\"is_active\": false} or {\"capabilities\": [\"groups\"]}, or both";
    let change: LineChange = serde_json::from_slice(&body)
        .map_err(|error| refused(&format!("{shape}; this is not one: {error}")))?;
    let phone = Phone::from_e164(&phone).map_err(|error| refused(&error.to_string()))?;
    let report = sandbox.change_line(&phone, change).ok_or_else(|| {
        let none = json!({ "error": "the sandbox has no such line" });
        (StatusCode::NOT_FOUND, Json(none))
    })?;
    Ok(off_thread(sandbox, move |_| report).await)
}

/// 200: it is so; 417: it is not; so that a CI's curl fails with it.
async fn assert(
    State(sandbox): State<Sandbox>,
    Path(what): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let assertion = Assertion::parse(&what, query.as_deref().unwrap_or_default());
    let assertion = assertion.map_err(|error| refused(&error.to_string()))?;
    let judged = tokio::task::spawn_blocking(move || sandbox.assert(&assertion)).await;
    let Ok(verdict) = judged else {
        return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let status = if verdict.pass {
        StatusCode::OK
    } else {
        StatusCode::EXPECTATION_FAILED
    };
    Ok((status, Json(verdict)).into_response())
}

/// What the provider takes and answers.
fn openapi(State(sandbox): State<Sandbox>) -> Ready<Json<serde_json::Value>> {
    let server = format!("http://{}", sandbox.address);
    ready(Json(super::chert::document(&server)))
}

/// The same of the other provider.
fn hue_openapi(State(sandbox): State<Sandbox>) -> Ready<Json<serde_json::Value>> {
    let server = format!("http://{}", sandbox.address);
    ready(Json(sandbox.hue.document(&server)))
}

async fn totals(State(sandbox): State<Sandbox>) -> Response {
    off_thread(sandbox, Sandbox::totals).await
}

fn reset(State(sandbox): State<Sandbox>) -> Ready<Json<serde_json::Value>> {
    sandbox.reset();
    ready(Json(json!({ "reset": true })))
}

async fn faults(State(sandbox): State<Sandbox>) -> Response {
    off_thread(sandbox, Sandbox::faults).await
}

async fn set_faults(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let plan = FaultPlan::parse(&body).map_err(|error| refused(&error.to_string()))?;
    sandbox.set_faults(plan);
    Ok(off_thread(sandbox, Sandbox::faults).await)
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Response {
    sandbox.set_faults(FaultPlan::default());
    off_thread(sandbox, Sandbox::faults).await
}

/// A file that a person is to send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    content_type: String,
    base64: String,
}

async fn keep_file(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let shape = "a file is {\"content_type\": \"image/png\", \"base64\": \"iVBOR…\"}";
    let given: Given = serde_json::from_slice(&body).map_err(|_| refused(shape))?;
    let bytes = STANDARD.decode(&given.base64);
    let bytes = bytes.map_err(|_| refused("`base64` is not base64"))?;
    let kept = sandbox.keep_file(&given.content_type, bytes.into());
    let id = kept.map_err(|error| refused(&error.to_string()))?;
    Ok(off_thread(sandbox, move |_| json!({ "attachment_id": id })).await)
}

/// A person writes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    from: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    files: Vec<String>,
    to: Option<String>,
    event_id: Option<String>,
    tenant: Option<String>,
}

/// A contact of HueChat writes: the form with a channel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HueWritten {
    from: String,
    channel: Channel,
    text: String,
    account: Option<String>,
}

/// What HueChat was asked, and whom it knows.
async fn huechat(State(sandbox): State<Sandbox>) -> Response {
    let make = |sandbox: &Sandbox| {
        json!({ "totals": sandbox.hue_report(), "contacts": sandbox.hue_contacts(),
            "deliveries": sandbox.hue_deliveries() })
    };
    off_thread(sandbox, make).await
}

/// The templates of every account.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Templates {
    templates: Vec<HueTemplate>,
}

async fn templates(State(sandbox): State<Sandbox>) -> Response {
    let make = |sandbox: &Sandbox| Templates {
        templates: sandbox.hue_templates(),
    };
    off_thread(sandbox, make).await
}

async fn put_templates(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let shape = "templates are {\"templates\": [{\"name\": \"welcome\", \"status\": \"approved\", \
                 \"body\": \"Welcome, {{1}}.\"}]}, with `language` and `category` where they matter";
    let given: Templates = serde_json::from_slice(&body)
        .map_err(|error| refused(&format!("{shape}; this is not one: {error}")))?;
    let put = sandbox.put_hue_templates(given.templates);
    put.map_err(|error| refused(&error.to_string()))?;
    Ok(templates(State(sandbox)).await)
}

fn hue_inbound(sandbox: &Sandbox, json: &serde_json::Value) -> Result<Response, Refused> {
    let shape = "an answer to HueChat is {\"from\": \"+12025550143\", \"channel\": \"whatsapp\", \
                 \"text\": \"STOP\"}, with `account` where it matters";
    let written = HueWritten::deserialize(json).map_err(|_| refused(shape))?;
    let id = sandbox.hue_receive(&HueIncoming {
        from: written.from,
        channel: written.channel,
        text: written.text,
        account: written.account,
    });
    let id = id.map_err(|error| refused(&error.to_string()))?;
    Ok(Json(json!({ "message_id": id })).into_response())
}

async fn inbound(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let shape = "an answer is {\"from\": \"+12025550143\", \"text\": \"STOP\"}, with `to` (a line), \
                 `event_id`, `tenant` and `files` (ids) where they matter";
    let json: serde_json::Value = serde_json::from_slice(&body).map_err(|_| refused(shape))?;
    if json.get("channel").is_some() {
        return hue_inbound(&sandbox, &json);
    }
    let written = Written::deserialize(json).map_err(|_| refused(shape))?;
    let phone = |text: &str| Phone::from_e164(text).map_err(|error| refused(&error.to_string()));
    let to = written.to.as_deref().map(phone).transpose()?;
    let incoming = Incoming {
        from: phone(&written.from)?,
        text: written.text,
        files: written.files,
        to,
        event_id: written.event_id,
    };
    let event_id = match written.tenant.as_deref() {
        Some(tenant) => sandbox.receive_for(tenant, &incoming),
        None => sandbox.receive(&incoming),
    };
    let event_id = event_id.map_err(|error| refused(&error.to_string()))?;
    Ok(Json(json!({ "event_id": event_id })).into_response())
}

/// A person reacts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reacted {
    from: String,
    message_id: String,
    /// Null or left out: takes back what is there.
    reaction: Option<String>,
}

async fn react(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let shape = "a reaction is {\"from\": \"+12025550143\", \"message_id\": \"…\", \"reaction\": \"love\"}; \
                 without `reaction` what is there is taken back";
    let reacted: Reacted = serde_json::from_slice(&body).map_err(|_| refused(shape))?;
    let from = Phone::from_e164(&reacted.from).map_err(|error| refused(&error.to_string()))?;
    let events = sandbox.react(&Reaction {
        from,
        message_id: reacted.message_id,
        name: reacted.reaction,
    });
    let events = events.map_err(|error| refused(&error.to_string()))?;
    Ok(Json(json!({ "event_ids": events })).into_response())
}

async fn clock(State(sandbox): State<Sandbox>) -> Response {
    off_thread(sandbox, Sandbox::clock).await
}

async fn turn_clock(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let turn = Turn::parse(&body).map_err(|error| refused(&error.to_string()))?;
    let turned = sandbox.turn_clock(&turn);
    turned.map_err(|error| refused(&error.to_string()))?;
    Ok(clock(State(sandbox)).await)
}

async fn step_clock(State(sandbox): State<Sandbox>, body: Bytes) -> Result<Response, Refused> {
    let by = parse_step(&body).map_err(|error| refused(&error.to_string()))?;
    Ok(off_thread(sandbox, move |sandbox| sandbox.step_clock(by)).await)
}
