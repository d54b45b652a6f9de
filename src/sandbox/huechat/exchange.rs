//! One request from arrival to answer: whose key it has, whether it is within its limits, whether a
//! fault strikes, what the route makes of it, and the record. Knows the order of these steps, not
//! what a route does.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::{Value, json};

use super::Hue;
use super::budget::{Left, Wait};
use super::endings::{Ending, request_id, respond};
use super::errors::{Error, Refusal, invalid};
use super::routes::Route;
use super::scopes;
use super::store::{AccountNo, Id};
use crate::domain::digest::Digest;
use crate::sandbox::Numbers;
use crate::sandbox::faults::{Delay, Fault, Fired, Subject};
use crate::sandbox::host::Waited;
use crate::sandbox::journal::{Answered, Entry, time_text};
use crate::sandbox::wire::Cut;

/// One request on its way through.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) hue: Arc<Hue>,
    cut: Cut,
    pub(super) route: Route,
    /// What the path names; empty where it names nothing.
    pub(super) id: String,
    /// What stands behind the `?`.
    pub(super) query: String,
    pub(super) account: AccountNo,
    /// For the headers of the answer; absent before the key is known.
    left: Option<Left>,
    /// The record, filled in as the request goes through.
    pub(super) entry: Entry,
}

/// What a route answers when it does what it was asked.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: u16,
    /// Nothing with 204.
    pub(super) body: String,
    pub(super) message_id: Option<Id>,
    /// It repeats an earlier answer.
    pub(super) replay: bool,
}

impl Done {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            message_id: None,
            replay: false,
        }
    }

    pub(super) fn empty() -> Self {
        Self {
            status: 204,
            body: String::new(),
            message_id: None,
            replay: false,
        }
    }
}

impl Call {
    pub(super) fn new(hue: Arc<Hue>, cut: Cut, route: Route, request: &Request) -> Self {
        let entry = Entry {
            at_us: hue.host.machine_us(),
            provider_us: hue.host.now_us(),
            method: request.method().as_str().into(),
            path: request.uri().path().into(),
            route: route.names().first().copied(),
            tenant: None,
            to: None,
            key: None,
            body: None,
            bytes: 0,
            trace: hue.host.next_trace(),
            answer: Answered::default(),
        };
        Self {
            cut,
            route,
            id: String::new(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            account: 0,
            left: None,
            entry,
            hue,
        }
    }

    /// One that was carried out before, to be carried out again.
    pub(super) fn recalled(
        hue: Arc<Hue>,
        (route, id, query): (Route, String, String),
        account: AccountNo,
        entry: Entry,
    ) -> Self {
        Self {
            hue,
            cut: Cut::default(),
            route,
            id,
            query,
            account,
            left: None,
            entry,
        }
    }

    /// The provider's time, now.
    pub(super) fn now_us(&self) -> i64 {
        self.hue.host.now_us()
    }

    /// Tells requests apart: what is to be done, to whom, by whom.
    pub(super) fn request(&self) -> Digest {
        let entry = &self.entry;
        let body = entry.body.unwrap_or_else(|| Digest::of(b""));
        let account = entry.tenant.as_deref().unwrap_or_default();
        let text = format!("{account}\n{}\n{}\n{body}", entry.method, entry.path);
        Digest::of(text.as_bytes())
    }

    /// Lets the caller in, and reads the body: the key, the limits, the path, the scope, the JSON.
    pub(super) fn prepare(
        &mut self,
        headers: &HeaderMap,
        body: Result<Bytes, Refusal>,
    ) -> Result<Value, Refusal> {
        self.entry.at_us = self.hue.host.machine_us();
        self.entry.provider_us = self.hue.host.now_us();
        if let Ok(body) = &body {
            self.entry.bytes = body.len() as u64;
            self.entry.body = Some(Digest::of(body));
        }
        let key = headers.get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default();
        self.entry.key = (1..=256).contains(&key.len()).then(|| key.into());
        let json = body.and_then(|body| {
            if self.route.takes_json() {
                let json: Result<Value, _> = serde_json::from_slice(&body);
                json.map_err(|_| invalid("body", "must be JSON"))
            } else {
                Ok(Value::Null)
            }
        });
        self.enter(headers)?;
        self.note(json.as_ref().ok());
        if self.route == Route::Unknown {
            return Err(super::errors::no_such("route"));
        }
        if self.route == Route::Misused {
            return Err(Refusal::new(Error::MethodNotAllowed));
        }
        json
    }

    fn enter(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        let key = scopes::key_of(headers)?;
        let name = scopes::account_of(self.hue.seed, key);
        let full = || {
            Refusal::new(Error::Unavailable).because("The sandbox has no room for another account")
        };
        {
            let mut store = self.hue.store();
            self.account = store.open_account(&name).ok_or_else(full)?;
            let account = store.accounts.get_mut(self.account).ok_or_else(full)?;
            self.entry.tenant = Some(Arc::clone(&account.name));
            let moment = (self.entry.at_us, self.entry.provider_us);
            let (left, admitted) = account.budget.admit(self.hue.config.plan, moment);
            self.left = left;
            admitted.map_err(|wait| {
                let seconds = match wait {
                    Wait::Minute(seconds) => seconds,
                    Wait::Day(seconds) => self.hue.host.time.client_seconds(seconds),
                };
                Refusal::new(Error::RateLimited).after(seconds)
            })?;
        }
        let known = self.hue.config.keys.iter().find(|one| one.key == key);
        match (known, self.route.scope()) {
            (Some(known), Some(scope)) if !known.scopes.contains(&scope) => {
                let held: Vec<&str> = known.scopes.iter().map(|one| one.name()).collect();
                let why = format!("API key does not have permission for {}", scope.name());
                Err(Refusal::new(Error::Forbidden).because(why).details(
                    json!({ "required_permission": scope.name(), "key_permissions": held }),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Notes for faults and journal whom the request is about, whether or not it is in order.
    fn note(&mut self, json: Option<&Value>) {
        let address = |phone: Option<&str>, email: Option<&str>| phone.or(email).map(Into::into);
        if self.route == Route::CreateContact {
            let text = |name| json.and_then(|json| json.get(name)).and_then(Value::as_str);
            self.entry.to = address(text("phone"), text("email"));
        } else if self.route.is_about_contact() {
            let store = self.hue.store();
            let number = store.contact_no(self.account, &self.id);
            let contact = number.and_then(|number| store.contacts.get(number));
            self.entry.to =
                contact.and_then(|one| address(one.phone.as_deref(), one.email.as_deref()));
        }
    }

    /// Everything after the caller was let in and the body read.
    pub(super) async fn run(self, payload: Value) -> Response<Body> {
        let subject = Subject {
            routes: self.route.names(),
            to: self.entry.to.as_deref(),
            key: self.entry.key.as_deref(),
            request: self.request(),
        };
        let planned = self.hue.host.decide(subject);
        let troubled = match planned {
            Some(planned) => Ok(Some(planned)),
            None => self.trouble().await,
        };
        let fired = match troubled {
            Ok(fired) => fired,
            Err(refusal) => return self.end(Ending::Refuse(refusal)),
        };
        let waits = fired
            .as_ref()
            .is_some_and(|fired| fired.fault.delay().is_some());
        if !waits {
            return self.conclude(payload, fired).await;
        }
        // What waits runs by itself: a client that gives up must not undo what it sent.
        let (hue, trace) = (Arc::clone(&self.hue), self.entry.trace);
        let answer = hue.host.tasks.spawn(self.conclude(payload, fired)).await;
        answer.unwrap_or_else(|_| {
            let refusal = Refusal::new(Error::Internal);
            let at = time_text(hue.host.now_us());
            let id = request_id(trace);
            respond(refusal.status, &id, refusal.body(&id, &at))
        })
    }

    /// What goes wrong with a message to one of the numbers of fiction.
    async fn trouble(&self) -> Result<Option<Fired>, Refusal> {
        let is_lab = self.route == Route::Send && self.hue.config.numbers == Numbers::Lab;
        match self.entry.to.as_deref().filter(|_| is_lab) {
            Some(phone) => self.keep_try(phone).await,
            None => Ok(None),
        }
    }

    async fn conclude(mut self, payload: Value, fired: Option<Fired>) -> Response<Body> {
        let fault = fired.as_ref().map(|fired| fired.fault.clone());
        self.entry.answer.fault = fault.as_ref().map(Fault::name);
        if let Some(ending) = fault.as_ref().and_then(Ending::before) {
            return self.end(ending);
        }
        let ending = match self.carry_out(payload, fired.as_ref()).await {
            Err(refusal) => Ending::Refuse(refusal),
            Ok(done) => {
                self.entry.answer.message_id = done.message_id.map(u128::from);
                self.entry.answer.replay = done.replay;
                Ending::after(fault.as_ref(), done, |done| done.body)
            }
        };
        self.end(ending)
    }

    async fn carry_out(&self, payload: Value, fired: Option<&Fired>) -> Result<Done, Refusal> {
        self.lie(fired, Delay::Before).await?;
        let done = self.keep(&payload).await?;
        self.hue.arranged.notify_one();
        self.hue.tell_news();
        self.lie(fired, Delay::After).await?;
        Ok(done)
    }

    /// What the route does.
    pub(super) fn act(&self, json: &Value) -> Result<Done, Refusal> {
        match self.route {
            Route::CreateContact => self.create_contact(json),
            Route::Contact => self.contact(),
            Route::ChangeContact => self.change_contact(json),
            Route::DeleteContact => self.delete_contact(),
            Route::Contacts => self.contacts(),
            Route::Send => self.send(json),
            Route::Message => self.message(),
            Route::Conversations => self.conversations(),
            Route::Conversation => self.conversation(),
            Route::ChangeConversation => self.change_conversation(json),
            Route::Assign => self.assign(json),
            Route::Resolve => self.resolve(),
            Route::History => self.history(),
            Route::Templates => self.templates(),
            Route::Channels => Ok(self.channels()),
            Route::CreateWebhook => self.create_webhook(json),
            Route::Webhooks => self.webhooks(),
            Route::Webhook => self.webhook(),
            Route::ChangeWebhook => self.change_webhook(json),
            Route::DeleteWebhook => self.delete_webhook(),
            Route::Unknown | Route::Misused => Err(super::errors::no_such("route")),
        }
    }

    /// Lies for as long as the fault says, or until its plan ends.
    async fn lie(&self, fired: Option<&Fired>, delay: Delay) -> Result<(), Refusal> {
        match self.hue.host.lie(fired, delay).await {
            Waited::Released | Waited::Expired => Ok(()),
            Waited::Stopped => {
                Err(Refusal::new(Error::Unavailable).because("The sandbox is shutting down"))
            }
        }
    }

    /// Answers, or does not, and records it.
    pub(super) fn end(mut self, ending: Ending) -> Response<Body> {
        let id = request_id(self.entry.trace);
        let mut response = match ending {
            Ending::Done(done) => {
                let mut response = respond(done.status, &id, done.body);
                if done.status == 204 {
                    response.headers_mut().remove(CONTENT_TYPE);
                }
                response
            }
            Ending::Refuse(refusal) => {
                self.entry.answer.error = Some(refusal.name.as_ref().into());
                let at = time_text(self.hue.host.now_us());
                let mut response = respond(refusal.status, &id, refusal.body(&id, &at));
                if let Some(seconds) = refusal.retry_after {
                    let headers = response.headers_mut();
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
            Ending::Html(status) => {
                let page = "<!doctype html>\n<title>Bad gateway</title>\n\
                            <h1>Bad gateway</h1>\n<p>The upstream did not answer.</p>\n";
                let mut response = respond(status, &id, page.to_owned());
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, html);
                response
            }
            Ending::Cut { bytes, body } => {
                self.cut.after(bytes);
                self.hue.host.record(self.entry);
                return respond(200, &id, body);
            }
        };
        if let Some(left) = self.left {
            let headers = response.headers_mut();
            let mut put = |name, value| headers.insert(HeaderName::from_static(name), value);
            put("x-ratelimit-limit", HeaderValue::from(left.limit));
            put("x-ratelimit-remaining", HeaderValue::from(left.remaining));
            put("x-ratelimit-reset", HeaderValue::from(left.reset_s));
        }
        self.entry.answer.status = Some(response.status().as_u16());
        self.hue.host.record(self.entry);
        response
    }
}
