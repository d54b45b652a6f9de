//! Which path leads where. Holds no rule beyond the size of a body.

use std::collections::HashSet;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::Response;
use axum::http::request::Parts;
use axum::routing::{self, MethodFilter};
use futures_util::StreamExt;
use serde_json::Value;

use super::Chert;
use super::actions::{About, Action};
use super::auth::Proof;
use super::errors::{Refusal, code, invalid, missing};
use super::exchange::{Call, Done, Ending, Payload};
use super::parts::present;
use super::tenants::TenantKind;
use super::{auth, upload};
use crate::domain::digest::Digest;
use crate::sandbox::faults::RouteMatch;
use crate::sandbox::wire::Cut;

/// The longest body of a JSON request: ten parts of ten thousand characters, four bytes each
/// and escaped, fit in.
const MAX_BODY_BYTES: usize = 1 << 20;

/// The routes of `/api/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Register,
    Send,
    Chats,
    Messages,
    History,
    Attachments,
    Upload,
    /// A file that a person sent.
    Download,
    Message,
    PhoneNumbers,
    Events,
    Event,
    EventStream,
    Replay,
    DevInbox,
    Subscribe,
    Subscriptions,
    Subscription,
    ChangeSubscription,
    Unsubscribe,
    Locations,
    /// Something done in a chat besides sending.
    Act(Action),
    /// No such route, or not by that method.
    Unknown,
}

impl Route {
    /// The names by which a fault rule may mean it, its own first.
    pub(super) fn names(self) -> &'static [RouteMatch] {
        use RouteMatch as M;
        match self {
            Self::Send => &[M::Send, M::Posts, M::Any],
            Self::Chats => &[M::Chats, M::Posts, M::Any],
            Self::Messages => &[M::Messages, M::Posts, M::Any],
            Self::History => &[M::History, M::Any],
            Self::Attachments => &[M::Attachments, M::Any],
            Self::Upload => &[M::Upload, M::Any],
            Self::Download => &[M::Download, M::Any],
            Self::Message => &[M::Message, M::Any],
            Self::PhoneNumbers => &[M::PhoneNumbers, M::Any],
            Self::Events | Self::Event => &[M::Events, M::Any],
            Self::EventStream => &[M::EventStream, M::Any],
            Self::Replay => &[M::Replay, M::Any],
            Self::DevInbox => &[M::DevInbox, M::Any],
            Self::Subscribe
            | Self::Subscriptions
            | Self::Subscription
            | Self::ChangeSubscription
            | Self::Unsubscribe => &[M::WebhookSubscriptions, M::Any],
            Self::Locations => &[M::Locations, M::Posts, M::Any],
            Self::Act(action) => action.names(),
            Self::Register | Self::Unknown => &[],
        }
    }

    /// Whom the record of a request is about, where the path tells.
    pub(super) fn about(self) -> About {
        if let Self::Act(action) = self {
            action.about()
        } else if self == Self::Messages {
            About::Chat
        } else {
            About::Nobody
        }
    }

    /// Whether the body is read as JSON; that of a registration is, too, before anybody is asked
    /// for credentials.
    pub(super) fn takes_json(self) -> bool {
        if let Self::Act(action) = self {
            return action.has_body();
        }
        matches!(
            self,
            Self::Register
                | Self::Send
                | Self::Chats
                | Self::Messages
                | Self::Attachments
                | Self::Subscribe
                | Self::ChangeSubscription
                | Self::Locations
        )
    }

    /// Its own name.
    pub(super) fn named(self) -> Option<RouteMatch> {
        self.names().first().copied()
    }
}

/// What the path names: a chat, a message, a file or an event, then a participant.
type InPath = Result<RawPathParams, RawPathParamsRejection>;
type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// The handler of a route.
fn on(
    route: Route,
) -> impl Fn(State<Arc<Chert>>, ConnectInfo<Cut>, InPath, Request) -> Answering
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(chert), ConnectInfo(cut), params, request| {
        let (head, body) = request.into_parts();
        let mut call = Call::new(chert, cut, route, &head);
        // An id that does not decode is none that the sandbox ever gave out.
        if let Ok(params) = &params {
            let mut named = params.iter().map(|(_, value)| value.to_owned());
            call.id = named.next().unwrap_or_default();
            call.member = named.next().unwrap_or_default();
        }
        if route == Route::Upload {
            Box::pin(upload::handle(call, head, body))
        } else if route == Route::Register {
            Box::pin(register(call, body))
        } else {
            Box::pin(handle(call, head, body))
        }
    }
}

/// One route: its method, its path, and what it does.
pub(super) type Row = (MethodFilter, &'static str, Route);

/// Every route of the provider. The router is made of this table, and so is what a
/// registration lists.
#[rustfmt::skip]
pub(super) const ROUTES: &[Row] = &[
    (MethodFilter::POST, "/api/v1/register", Route::Register),
    (MethodFilter::POST, "/api/v1/send", Route::Send),
    (MethodFilter::POST, "/api/v1/chats", Route::Chats),
    (MethodFilter::POST, "/api/v1/chats/{id}/messages", Route::Messages),
    (MethodFilter::GET, "/api/v1/chats/{id}/messages", Route::History),
    (MethodFilter::PUT, "/api/v1/chats/{id}", Route::Act(Action::Rename)),
    (MethodFilter::POST, "/api/v1/chats/{id}/typing", Route::Act(Action::Typing)),
    (MethodFilter::POST, "/api/v1/chats/{id}/mark-read", Route::Act(Action::MarkRead)),
    (MethodFilter::POST, "/api/v1/chats/{id}/participants", Route::Act(Action::AddParticipant)),
    (MethodFilter::DELETE, "/api/v1/chats/{id}/participants/{address}", Route::Act(Action::RemoveParticipant)),
    (MethodFilter::POST, "/api/v1/chats/{id}/leave", Route::Act(Action::Leave)),
    (MethodFilter::POST, "/api/v1/chats/{id}/send-contact", Route::Act(Action::SendContact)),
    (MethodFilter::POST, "/api/v1/chats/send-contact", Route::Act(Action::SendContactTo)),
    (MethodFilter::POST, "/api/v1/chats/{id}/share-contact-info", Route::Act(Action::ShareInfo)),
    (MethodFilter::POST, "/api/v1/chats/share-contact-info", Route::Act(Action::ShareInfoTo)),
    (MethodFilter::POST, "/api/v1/locations", Route::Locations),
    (MethodFilter::GET, "/api/v1/messages/{id}", Route::Message),
    (MethodFilter::POST, "/api/v1/messages/{id}/react", Route::Act(Action::React)),
    (MethodFilter::POST, "/api/v1/messages/{id}/edit", Route::Act(Action::Edit)),
    (MethodFilter::POST, "/api/v1/attachments", Route::Attachments),
    (MethodFilter::PUT, "/api/v1/attachments/{id}/upload", Route::Upload),
    (MethodFilter::GET, "/api/v1/attachments/{id}/content", Route::Download),
    (MethodFilter::GET, "/api/v1/phone-numbers", Route::PhoneNumbers),
    (MethodFilter::GET, "/api/v1/events", Route::Events),
    (MethodFilter::GET, "/api/v1/events/stream", Route::EventStream),
    (MethodFilter::GET, "/api/v1/events/{id}", Route::Event),
    (MethodFilter::POST, "/api/v1/events/{id}/replay", Route::Replay),
    (MethodFilter::GET, "/api/v1/dev-inbox", Route::DevInbox),
    (MethodFilter::POST, "/api/v1/webhook-subscriptions", Route::Subscribe),
    (MethodFilter::GET, "/api/v1/webhook-subscriptions", Route::Subscriptions),
    (MethodFilter::GET, "/api/v1/webhook-subscriptions/{id}", Route::Subscription),
    (MethodFilter::PATCH, "/api/v1/webhook-subscriptions/{id}", Route::ChangeSubscription),
    (MethodFilter::DELETE, "/api/v1/webhook-subscriptions/{id}", Route::Unsubscribe),
];

/// The paths that credentials open, each once, in the order of the table.
fn endpoints() -> Vec<&'static str> {
    let open = ROUTES
        .iter()
        .filter(|(.., route)| *route != Route::Register);
    let mut paths: Vec<&'static str> = open.map(|(_, path, _)| *path).collect();
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(*path));
    paths
}

/// All routes, below `/api/v1`.
pub(in crate::sandbox) fn router(chert: Arc<Chert>) -> Router {
    let routes = ROUTES
        .iter()
        .fold(Router::new(), |routes, (method, path, route)| {
            routes.route(path, routing::on(*method, on(*route)))
        });
    routes
        .method_not_allowed_fallback(unknown)
        .fallback(unknown)
        .with_state(chert)
}

/// No such route, or not by that method: 2011 (chert §3.2).
fn unknown(
    State(chert): State<Arc<Chert>>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    request: Request,
) -> Ready<Response<Body>> {
    let (head, _body) = request.into_parts();
    let call = Call::new(chert, cut, Route::Unknown, &head);
    ready(call.end(Ending::Refuse(Refusal::new(code::RESOURCE_NOT_FOUND))))
}

/// Takes the body in, whole. One that breaks off is no request: nobody waits for its answer.
async fn read(call: &mut Call, body: Body) -> Result<Bytes, Ending> {
    let mut whole = Bytes::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Ending::SILENCE)?;
        if whole.len() + chunk.len() > MAX_BODY_BYTES {
            let long = Refusal::new(code::INVALID_FIELD).status(413);
            return Err(Ending::Refuse(
                long.because("The request body is longer than 1 MiB"),
            ));
        }
        // Nearly every body is one chunk, which is taken as it is.
        whole = if whole.is_empty() {
            chunk
        } else {
            [whole, chunk].concat().into()
        };
    }
    call.entry.at_us = call.chert.host.machine_us();
    call.entry.provider_us = call.chert.host.now_us();
    call.entry.bytes = whole.len() as u64;
    call.entry.body = Some(Digest::of(&whole));
    Ok(whole)
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    let json = serde_json::from_slice(bytes).map_err(|_| Refusal::new(code::INVALID_JSON))?;
    match json {
        Value::Object(_) => Ok(json),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(invalid("body", "must be a JSON object"))
        }
    }
}

async fn handle(mut call: Call, head: Parts, body: Body) -> Response<Body> {
    let prepared = match read(&mut call, body).await {
        Ok(bytes) => prepare(&mut call, &head, &bytes).map_err(Ending::Refuse),
        Err(ending) => Err(ending),
    };
    match prepared {
        Ok(payload) => call.run(payload).await,
        Err(ending) => call.end(ending),
    }
}

fn prepare(call: &mut Call, head: &Parts, bytes: &[u8]) -> Result<Payload, Refusal> {
    let payload = if call.route.takes_json() {
        parse(bytes).map(Payload::Json)
    } else {
        Ok(Payload::Empty)
    };
    // Before anyone is turned away, so that the record tells whom the request was about.
    if let Ok(Payload::Json(json)) = &payload {
        call.note(json);
    }
    call.enter(head, Proof::SignatureOver(bytes))?;
    payload
}

/// `POST /register`: the one route without credentials (chert §15).
async fn register(mut call: Call, body: Body) -> Response<Body> {
    let ending = match read(&mut call, body).await {
        Ok(bytes) => match parse(&bytes) {
            Ok(json) => register_kept(&call, json)
                .await
                .map_or_else(Ending::Refuse, Ending::Done),
            Err(refusal) => Ending::Refuse(refusal),
        },
        Err(ending) => ending,
    };
    call.end(ending)
}

async fn register_kept(call: &Call, json: Value) -> Result<Done, Refusal> {
    let payload = Payload::Json(json);
    let act = call.to_keep(&payload);
    let done = call.keep(
        act,
        || match &payload {
            Payload::Json(json) => registration(&call.chert, json),
            Payload::Empty | Payload::File(..) => Err(Refusal::new(code::INVALID_JSON)),
        },
        |done| done.as_ref().ok(),
    );
    done.await?
}

/// The route of a request by its method and path, where there is one.
pub(super) fn find(method: &str, path: &str) -> Option<Route> {
    let method = MethodFilter::try_from(axum::http::Method::from_bytes(method.as_bytes()).ok()?);
    let method = method.ok()?;
    let fits = |pattern: &str| {
        let named = |piece: &str| piece.starts_with('{');
        let (mut pieces, mut patterns) = (path.split('/'), pattern.split('/'));
        loop {
            match (pieces.next(), patterns.next()) {
                (None, None) => return true,
                (Some(piece), Some(pattern)) if piece == pattern || named(pattern) => {}
                _ => return false,
            }
        }
    };
    let exact = |(_, pattern, _): &&Row| *pattern == path;
    let of_method = || ROUTES.iter().filter(|(of, _, _)| *of == method);
    let found = of_method()
        .find(exact)
        .or_else(|| of_method().find(|(_, pattern, _)| fits(pattern)));
    found.map(|(_, _, route)| *route)
}

pub(super) fn registration(chert: &Chert, json: &Value) -> Result<Done, Refusal> {
    let email = present(json, "email").ok_or_else(|| missing("email"))?;
    let email = email
        .as_str()
        .filter(|email| email.len() <= 254)
        .filter(
            |email| matches!(email.split_once('@'), Some((a, b)) if !a.is_empty() && !b.is_empty()),
        )
        .ok_or_else(|| invalid("email", "must be an e-mail address"))?;
    let kind = match present(json, "multi_tenant") {
        None | Some(Value::Bool(false)) => TenantKind::Single,
        Some(Value::Bool(true)) => TenantKind::Multi,
        Some(_) => return Err(invalid("multi_tenant", "must be true or false")),
    };
    let registered = chert.doorman.write().register(email, kind);
    let registered = registered.map_err(auth::full)?;
    let body = serde_json::json!({
        "tenant_slug": &*registered.slug,
        "signing_secret": registered.secret,
        "endpoints_available": endpoints(),
    });
    Ok(Done::new(body.to_string()))
}
