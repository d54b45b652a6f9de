//! Which path leads where under `/v2`. Holds no rule beyond the size of a body.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::http::{Method, Response};
use axum::routing::{self, MethodFilter};
use futures_util::StreamExt;

use super::Hue;
use super::endings::Ending;
use super::errors::{Refusal, invalid};
use super::exchange::Call;
use super::scopes::HueScope;
use crate::sandbox::faults::RouteMatch;
use crate::sandbox::wire::Cut;

/// The longest body of a request (huechat §1).
const MAX_BODY_BYTES: usize = 1 << 20;

/// The routes of `/v2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    CreateContact,
    Contact,
    ChangeContact,
    DeleteContact,
    Contacts,
    Send,
    Message,
    Conversations,
    Conversation,
    ChangeConversation,
    Assign,
    Resolve,
    History,
    Templates,
    Channels,
    CreateWebhook,
    Webhooks,
    Webhook,
    ChangeWebhook,
    DeleteWebhook,
    /// No such path.
    Unknown,
    /// A path that there is, by a method that it does not take.
    Misused,
}

impl Route {
    /// The names by which a fault rule may mean it, its own first.
    pub(super) fn names(self) -> &'static [RouteMatch] {
        use RouteMatch as M;
        match self {
            Self::CreateContact => &[M::HueNewContact, M::HueContacts, M::Any],
            Self::Contact | Self::ChangeContact | Self::DeleteContact | Self::Contacts => {
                &[M::HueContacts, M::Any]
            }
            Self::Send => &[M::HueSend, M::Posts, M::Any],
            Self::Message | Self::History => &[M::HueMessages, M::Any],
            Self::Conversations
            | Self::Conversation
            | Self::ChangeConversation
            | Self::Assign
            | Self::Resolve => &[M::HueConversations, M::Any],
            Self::Templates | Self::Channels => &[M::HueTemplates, M::Any],
            Self::CreateWebhook
            | Self::Webhooks
            | Self::Webhook
            | Self::ChangeWebhook
            | Self::DeleteWebhook => &[M::HueWebhooks, M::Any],
            Self::Unknown | Self::Misused => &[],
        }
    }

    /// What a key must be allowed.
    pub(super) fn scope(self) -> Option<HueScope> {
        use HueScope as S;
        match self {
            Self::Contact | Self::Contacts => Some(S::ContactsRead),
            Self::CreateContact | Self::ChangeContact | Self::DeleteContact => {
                Some(S::ContactsWrite)
            }
            Self::Message | Self::Conversations | Self::Conversation | Self::History => {
                Some(S::ConversationsRead)
            }
            Self::Send | Self::ChangeConversation | Self::Assign | Self::Resolve => {
                Some(S::ConversationsWrite)
            }
            Self::Templates | Self::Channels => Some(S::ChannelsRead),
            Self::CreateWebhook
            | Self::Webhooks
            | Self::Webhook
            | Self::ChangeWebhook
            | Self::DeleteWebhook => Some(S::WebhooksManage),
            Self::Unknown | Self::Misused => None,
        }
    }

    /// Whether the body is read as JSON.
    pub(super) fn takes_json(self) -> bool {
        matches!(
            self,
            Self::CreateContact
                | Self::ChangeContact
                | Self::Send
                | Self::ChangeConversation
                | Self::Assign
                | Self::CreateWebhook
                | Self::ChangeWebhook
        )
    }

    /// Whether the path names a contact.
    pub(super) fn is_about_contact(self) -> bool {
        matches!(
            self,
            Self::Contact | Self::ChangeContact | Self::DeleteContact | Self::Send
        )
    }
}

/// One route: its method, its path, and what it does.
pub(super) type Row = (MethodFilter, &'static str, Route);

/// Every route of the provider. The router is made of this table, and so is its document.
#[rustfmt::skip]
pub(super) const ROUTES: &[Row] = &[
    (MethodFilter::POST, "/v2/contact", Route::CreateContact),
    (MethodFilter::GET, "/v2/contact/{id}", Route::Contact),
    (MethodFilter::PUT, "/v2/contact/{id}", Route::ChangeContact),
    (MethodFilter::PATCH, "/v2/contact/{id}", Route::ChangeContact),
    (MethodFilter::DELETE, "/v2/contact/{id}", Route::DeleteContact),
    (MethodFilter::GET, "/v2/contacts", Route::Contacts),
    (MethodFilter::POST, "/v2/contact/{id}/message", Route::Send),
    (MethodFilter::GET, "/v2/message/{id}", Route::Message),
    (MethodFilter::GET, "/v2/conversations", Route::Conversations),
    (MethodFilter::GET, "/v2/conversation/{id}", Route::Conversation),
    (MethodFilter::PUT, "/v2/conversation/{id}", Route::ChangeConversation),
    (MethodFilter::POST, "/v2/conversation/{id}/assign", Route::Assign),
    (MethodFilter::POST, "/v2/conversation/{id}/resolve", Route::Resolve),
    (MethodFilter::GET, "/v2/conversation/{id}/messages", Route::History),
    (MethodFilter::GET, "/v2/channels/whatsapp/templates", Route::Templates),
    (MethodFilter::GET, "/v2/channels", Route::Channels),
    (MethodFilter::POST, "/v2/webhooks", Route::CreateWebhook),
    (MethodFilter::GET, "/v2/webhooks", Route::Webhooks),
    (MethodFilter::GET, "/v2/webhooks/{id}", Route::Webhook),
    (MethodFilter::PUT, "/v2/webhooks/{id}", Route::ChangeWebhook),
    (MethodFilter::PATCH, "/v2/webhooks/{id}", Route::ChangeWebhook),
    (MethodFilter::DELETE, "/v2/webhooks/{id}", Route::DeleteWebhook),
];

/// The route of a request by its method and path, where there is one.
pub(super) fn find(method: &Method, path: &str) -> Option<Route> {
    let method = MethodFilter::try_from(method.clone()).ok()?;
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
    // No pattern with an id fits a path that another row has to the letter.
    let found = ROUTES
        .iter()
        .find(|(of, pattern, _)| *of == method && fits(pattern));
    found.map(|(_, _, route)| *route)
}

type InPath = Result<RawPathParams, RawPathParamsRejection>;
type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// The handler of a route.
fn on(
    route: Route,
) -> impl Fn(State<Arc<Hue>>, ConnectInfo<Cut>, InPath, Request) -> Answering
+ Clone
+ Send
+ Sync
+ 'static {
    move |State(hue), ConnectInfo(cut), params, request| {
        let mut call = Call::new(hue, cut, route, &request);
        // An id that does not decode is none that the sandbox ever gave out.
        if let Ok(params) = &params
            && !matches!(route, Route::Unknown | Route::Misused)
        {
            let named = params.iter().next();
            call.id = named.map(|(_, value)| value.to_owned()).unwrap_or_default();
        }
        Box::pin(handle(call, request))
    }
}

/// All routes, below `/v2`.
pub(in crate::sandbox) fn router(hue: Arc<Hue>) -> Router {
    let known = ROUTES
        .iter()
        .fold(Router::new(), |routes, (method, path, route)| {
            routes.route(path, routing::on(*method, on(*route)))
        });
    known
        .method_not_allowed_fallback(on(Route::Misused))
        .route("/v2", routing::any(on(Route::Unknown)))
        .route("/v2/{*rest}", routing::any(on(Route::Unknown)))
        .with_state(hue)
}

/// Takes the body in, whole. One that breaks off is no request: nobody waits for its answer.
async fn read(body: Body) -> Result<Result<Bytes, Refusal>, Ending> {
    let mut whole = Bytes::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Ending::SILENCE)?;
        if whole.len() + chunk.len() > MAX_BODY_BYTES {
            return Ok(Err(invalid("body", "must not be longer than 1 MiB")));
        }
        // Nearly every body is one chunk, which is taken as it is.
        whole = if whole.is_empty() {
            chunk
        } else {
            [whole, chunk].concat().into()
        };
    }
    Ok(Ok(whole))
}

async fn handle(mut call: Call, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(ending) => return call.end(ending),
    };
    let prepared = call.prepare(&head.headers, body);
    match prepared {
        Ok(payload) => call.run(payload).await,
        Err(refusal) => call.end(Ending::Refuse(refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::forms::method_name;

    #[test]
    fn every_row_is_found_by_its_own_method_and_path() {
        for (method, path, route) in ROUTES {
            let name = method_name(*method).unwrap().to_uppercase();
            let own = Method::from_bytes(name.as_bytes()).unwrap();
            let found = find(&own, &path.replace("{id}", "x"));
            assert_eq!(found, Some(*route), "{path}");
        }
        assert_eq!(find(&Method::POST, "/v2/contact/x/y"), None);
        assert_eq!(find(&Method::POST, "/v2/contacts"), None);
    }
}
