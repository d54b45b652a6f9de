//! One request from arrival to answer: who sends it, whether a fault strikes, what the route
//! makes of it, and the record. Knows the order of these steps, not what a route does.

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, DATE, HOST, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use bytes::Bytes;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::Value;

use super::Chert;
use super::actions::About;
use super::auth::Proof;
use super::errors::{Refusal, Shape, code};
use super::ids::Id;
use super::numbers::is_lab;
use super::routes::Route;
use super::send_fields;
use super::stream::Tail;
use super::tenants::TenantNo;
use crate::domain::digest::Digest;
use crate::sandbox::ending::{self, Worded};
use crate::sandbox::faults::{Answer, Delay, Fault, Fired, Subject};
use crate::sandbox::host::Waited;
use crate::sandbox::journal::{Entry, trace_text};
use crate::sandbox::wire::Cut;

/// One request on its way through.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) chert: Arc<Chert>,
    pub(super) cut: Cut,
    pub(super) route: Route,
    /// The id in the path; empty where the route has none.
    pub(super) id: String,
    /// The participant in the path, behind the id; empty where the route has none.
    pub(super) member: String,
    /// What stands behind the `?`.
    pub(super) query: String,
    pub(super) tenant: TenantNo,
    /// The name by which the client reached the sandbox.
    pub(super) host: Option<String>,
    /// The record, filled in as the request goes through.
    pub(super) entry: Entry,
}

/// What the body was.
#[derive(Debug)]
pub(super) enum Payload {
    Empty,
    Json(Value),
    /// An upload: its digest and size.
    File(Digest, u64),
}

/// What a route answers when it does what it was asked.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) body: String,
    pub(super) message_id: Option<Id>,
    pub(super) replay: bool,
    pub(super) status: u16,
    /// In place of a body in JSON: a file of this type.
    pub(super) file: Option<(HeaderValue, Bytes)>,
    /// In place of a body: one that goes on.
    pub(super) stream: Option<Box<Tail>>,
}

impl Done {
    pub(super) fn new(body: String) -> Self {
        Self {
            body,
            message_id: None,
            replay: false,
            status: 200,
            file: None,
            stream: None,
        }
    }
}

impl Call {
    pub(super) fn new(chert: Arc<Chert>, cut: Cut, route: Route, head: &Parts) -> Self {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let entry = Entry {
            at_us: chert.host.machine_us(),
            provider_us: chert.host.now_us(),
            method: head.method.as_str().into(),
            path: head.uri.path().into(),
            route: route.named(),
            tenant: None,
            to: None,
            key: None,
            body: None,
            bytes: 0,
            trace: chert.host.next_trace(),
            answer: crate::sandbox::journal::Answered::default(),
        };
        Self {
            cut,
            route,
            id: String::new(),
            member: String::new(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            tenant: 0,
            host: host.map(str::to_owned),
            entry,
            chert,
        }
    }

    /// Lets the caller in: credentials, then the tenant's rate (chert §2, §4.1).
    pub(super) fn enter(&mut self, head: &Parts, proof: Proof<'_>) -> Result<(), Refusal> {
        let now_us = self.entry.at_us;
        let known = self.chert.doorman.check(&head.headers, proof, now_us)?;
        self.tenant = known.no;
        self.entry.tenant = Some(Arc::clone(&known.slug));
        if let Some(limit) = &self.chert.limit {
            let admitted = self.chert.store().admit(self.tenant, limit, now_us);
            admitted.map_err(|wait| Refusal::new(code::RATE_LIMITED).after(wait))?;
        }
        Ok(())
    }

    /// Notes for faults and journal whom the request is about, whether or not it is in order.
    pub(super) fn note(&mut self, json: &Value) {
        self.entry.key = send_fields::key_of(json).map(Into::into);
        self.entry.to = send_fields::person_of(json).map(Into::into);
    }

    /// The same for what goes to a chat, which names it, or a message of it, instead of a person.
    fn note_chat(&mut self) {
        let about = self.route.about();
        if about == About::Nobody {
            return;
        }
        let store = self.chert.store();
        let chat = match about {
            About::Message => {
                let spot = store.spot(self.tenant, &self.id);
                spot.and_then(|spot| store.chats.get(spot.chat))
            }
            About::Chat | About::Nobody => {
                let found = store.chat(self.tenant, &self.id);
                found.map(|(_, chat)| chat)
            }
        };
        let person = chat.and_then(|chat| chat.people.first());
        self.entry.to = person.map(|person| person.expose().into());
    }

    /// Everything after the caller was let in and the body read.
    pub(super) async fn run(mut self, payload: Payload) -> Response<Body> {
        self.note_chat();
        let subject = Subject {
            routes: self.route.names(),
            to: self.entry.to.as_deref(),
            key: self.entry.key.as_deref(),
            request: self.entry.body.unwrap_or_else(|| Digest::of(b"")),
        };
        let planned = self.chert.host.decide(subject);
        let troubled = match planned {
            Some(planned) => Ok(Some(planned)),
            None => self.chert.trouble(subject).await,
        };
        let fired = match troubled {
            Ok(fired) => fired,
            Err(refusal) => return self.end(Ending::Refuse(refusal)),
        };
        let waits = fired
            .as_ref()
            .is_some_and(|fired| fired.fault.delay().is_some());
        if !waits && !self.chert.host.is_patient() && self.route != Route::Replay {
            return self.conclude(payload, fired).await;
        }
        // What may wait runs by itself: a client that gives up must not undo what it sent.
        let trace = self.entry.trace;
        let tasks = self.chert.host.tasks.clone();
        let answer = tasks.spawn(self.conclude(payload, fired)).await;
        answer.unwrap_or_else(|_| {
            let refusal = Refusal::new(code::INTERNAL);
            let body = refusal.body(Shape::Envelope, &trace_text(trace));
            respond(refusal.status, trace, body)
        })
    }

    async fn conclude(mut self, payload: Payload, fired: Option<Fired>) -> Response<Body> {
        let fault = fired.as_ref().map(|fired| fired.fault.clone());
        self.entry.answer.fault = fault.as_ref().map(Fault::name);
        if let Some(ending) = fault.as_ref().and_then(Ending::before) {
            return self.end(ending);
        }
        let ending = match self.act(payload, fired).await {
            Err(refusal) => Ending::Refuse(refusal),
            Ok(done) => {
                self.entry.answer.message_id = done.message_id;
                self.entry.answer.replay = done.replay;
                if self.entry.to.as_deref().is_some_and(is_lab) {
                    self.chert.arranged.notify_one();
                }
                after(fault.as_ref(), done)
            }
        };
        self.end(ending)
    }

    /// Lies for as long as the fault says, or until its plan ends.
    pub(super) async fn lie(&self, fired: Option<&Fired>, delay: Delay) -> Result<(), Refusal> {
        match self.chert.host.lie(fired, delay).await {
            Waited::Released | Waited::Expired => Ok(()),
            Waited::Stopped => {
                Err(Refusal::new(code::DELIVERY_UNAVAILABLE)
                    .because("The sandbox is shutting down"))
            }
        }
    }

    /// Answers, or does not, and records it.
    pub(super) fn end(mut self, ending: Ending) -> Response<Body> {
        let trace = self.entry.trace;
        let response = match ending {
            Ending::Done(done) => {
                let mut response = match (done.stream, done.file) {
                    (Some(tail), _) => traced(tail.response(), trace),
                    (None, Some((content_type, bytes))) => {
                        let mut response = traced(Response::new(Body::from(bytes)), trace);
                        response.headers_mut().insert(CONTENT_TYPE, content_type);
                        response
                    }
                    (None, None) => respond(done.status, trace, done.body),
                };
                if done.replay {
                    let headers = response.headers_mut();
                    headers.insert("x-idempotent-replay", HeaderValue::from_static("true"));
                }
                response
            }
            Ending::Refuse(refusal) => {
                self.entry.answer.code = Some(refusal.code);
                self.refusal(&refusal)
            }
            Ending::Html(status) => {
                let page = "<!doctype html>\n<title>Bad gateway</title>\n\
                            <h1>Bad gateway</h1>\n<p>The upstream did not answer.</p>\n";
                let mut response = respond(status, trace, page.to_owned());
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                response.headers_mut().insert(CONTENT_TYPE, html);
                response
            }
            Ending::Cut { bytes, body } => {
                self.cut.after(bytes);
                self.chert.host.record(self.entry);
                return respond(200, trace, body);
            }
        };
        self.entry.answer.status = Some(response.status().as_u16());
        self.chert.host.record(self.entry);
        response
    }

    fn refusal(&self, refusal: &Refusal) -> Response<Body> {
        let trace = self.entry.trace;
        let shape = if self.route == Route::Send {
            Shape::Flat
        } else if self.route == Route::Replay {
            Shape::Replay
        } else {
            Shape::Envelope
        };
        let body = refusal.body(shape, &trace_text(trace));
        let mut response = respond(refusal.status, trace, body);
        let headers = response.headers_mut();
        if let Some(seconds) = refusal.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if refusal.code == code::AUTH_TIMESTAMP_SKEW {
            // The client sets its clock by this (chert §3.3), so it must be the clock by which
            // signatures are judged: the machine's, wherever the provider's stands.
            let now = self.chert.host.machine();
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
            headers.extend(
                date.ok()
                    .and_then(|date| HeaderValue::try_from(date).ok())
                    .map(|date| (DATE, date)),
            );
        }
        response
    }
}

pub(super) type Ending = ending::Ending<Done, Refusal>;

/// What a fault makes of the answer once the route has acted; a stream is broken off in its middle.
fn after(fault: Option<&Fault>, mut done: Done) -> Ending {
    if let (Some(Fault::HalfAnswer {}), Some(tail)) = (fault, &mut done.stream) {
        tail.break_off();
        return Ending::Done(done);
    }
    Ending::after(fault, done, |done| done.body)
}

impl Worded for Refusal {
    fn throttled(wait: u32) -> Self {
        Self::new(code::RATE_LIMITED).after(wait)
    }

    fn busy(wait: u32) -> Self {
        Self::new(code::LINES_SATURATED).after(wait)
    }

    fn asked_for(answer: &Answer) -> Self {
        let usual = Self::new(answer.code);
        Self {
            status: answer.status.unwrap_or(usual.status),
            retryable: answer.retryable.unwrap_or(usual.retryable),
            message: answer
                .message
                .clone()
                .map_or(usual.message.clone(), Into::into),
            retry_after: answer.retry_after,
            ..usual
        }
    }
}

fn respond(status: u16, trace: u64, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    traced(response, trace)
}

fn traced(mut response: Response<Body>, trace: u64) -> Response<Body> {
    if let Ok(trace) = HeaderValue::try_from(trace_text(trace)) {
        response.headers_mut().insert("x-trace-id", trace);
    }
    response
}
