//! Requests as acts: written down once they were carried out, and carried out again from there.
//! The routes do both; this only builds the one from the other.

use std::sync::Arc;

use super::Chert;
use super::auth::Strangers;
use super::errors::{Refusal, code};
use super::exchange::{Call, Done, Payload};
use super::numbers;
use super::routes::{self, Route};
use crate::domain::digest::Digest;
use crate::sandbox::Numbers;
use crate::sandbox::faults::{Fault, Fired, RouteMatch, Subject};
use crate::sandbox::journal::{Answered, Entry};
use crate::sandbox::memory::{Act, CallAct, Redone, StateError};
use crate::sandbox::wire::Cut;

impl Call {
    /// The request as an act, where acts are written down and it is one that changes something.
    pub(super) fn to_keep(&self, payload: &Payload) -> Option<CallAct> {
        if !self.chert.host.memory.is_on() || &*self.entry.method == "GET" {
            return None;
        }
        let entry = &self.entry;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(CallAct {
            method: entry.method.to_string(),
            path: entry.path.to_string(),
            query: self.query.clone(),
            id: self.id.clone(),
            member: self.member.clone(),
            host: self.host.clone(),
            tenant: owned(entry.tenant.as_deref()),
            to: owned(entry.to.as_deref()),
            key: owned(entry.key.as_deref()),
            json: match payload {
                Payload::Json(json) => Some(json.clone()),
                Payload::Empty | Payload::File(..) => None,
            },
            file: match payload {
                Payload::File(digest, size) => Some((*digest, *size)),
                Payload::Empty | Payload::Json(_) => None,
            },
            body: entry.body,
            bytes: entry.bytes,
            trace: entry.trace,
            at_us: entry.at_us,
            provider_us: entry.provider_us,
            answer: None,
        })
    }

    /// Does something and, if it was done, writes it down before anybody can be told. While it is
    /// done both clocks stand, so that it can be done again at the same moment.
    pub(super) async fn keep<T>(
        &self,
        act: Option<CallAct>,
        what: impl FnOnce() -> T + Send,
        done: impl FnOnce(&T) -> Option<&Done> + Send,
    ) -> Result<T, Refusal>
    where
        T: Send,
    {
        let Some(mut act) = act else {
            return Ok(what());
        };
        let host = &self.chert.host;
        let mut gate = host.memory.gate().await;
        let now = host.time.pin_now();
        let outcome = what();
        let at_us = now.at_us();
        drop(now);
        if let Some(done) = done(&outcome).filter(|done| !done.replay) {
            act.answer = Some(Digest::of(done.body.as_bytes()));
            gate.write(at_us, Act::Call(Box::new(act)))
                .map_err(|error| self.chert.forgetful(&error))?;
        }
        Ok(outcome)
    }

    fn again(chert: Arc<Chert>, act: CallAct) -> Option<(Self, Payload)> {
        let route = routes::find(&act.method, &act.path)?;
        let slug = act.tenant.as_deref();
        let tenant = match slug {
            Some(slug) => chert.doorman.read().by_slug(slug)?.no,
            None => 0,
        };
        let payload = match (act.json, act.file) {
            (Some(json), _) => Payload::Json(json),
            (None, Some((digest, size))) => Payload::File(digest, size),
            (None, None) => Payload::Empty,
        };
        let call = Self {
            cut: Cut::default(),
            route,
            id: act.id,
            member: act.member,
            query: act.query,
            tenant,
            host: act.host,
            entry: Entry {
                at_us: act.at_us,
                provider_us: act.provider_us,
                method: act.method.into(),
                path: act.path.into(),
                route: route.named(),
                tenant: act.tenant.map(Into::into),
                to: act.to.map(Into::into),
                key: act.key.map(Into::into),
                body: act.body,
                bytes: act.bytes,
                trace: act.trace,
                answer: Answered::default(),
            },
            chert,
        };
        Some((call, payload))
    }
}

impl Chert {
    /// What a client is told whose request could not be written down.
    fn forgetful(&self, error: &StateError) -> Refusal {
        self.host.fail_to_keep(error);
        Refusal::new(code::INTERNAL).because("The sandbox cannot write its state file")
    }

    /// What goes wrong with a request for one of the lab's numbers.
    pub(super) async fn trouble(&self, subject: Subject<'_>) -> Result<Option<Fired>, Refusal> {
        let is_lab = subject.to.is_some_and(numbers::is_lab);
        if !is_lab || self.receipts.numbers == Numbers::Plain {
            return Ok(None);
        }
        if !self.host.memory.is_on() {
            return Ok(self.try_again(subject));
        }
        let mut gate = self.host.memory.gate().await;
        let now = self.host.time.pin_now();
        let fired = self.try_again(subject);
        let at_us = now.at_us();
        drop(now);
        let is_post = subject.routes.contains(&RouteMatch::Posts);
        if let Some(to) = subject.to.filter(|_| is_post) {
            let act = Act::Try {
                to: to.to_owned(),
                key: subject.key.map(str::to_owned),
                request: subject.request,
            };
            gate.write(at_us, act)
                .map_err(|error| self.forgetful(&error))?;
        }
        Ok(fired)
    }

    fn try_again(&self, subject: Subject<'_>) -> Option<Fired> {
        let now_us = self.host.now_us();
        let mut fired = self.store().trials.decide(subject, now_us)?;
        if let Fault::LineBusy { wait } = &mut fired.fault {
            *wait = self.host.time.client_seconds(*wait);
        }
        Some(fired)
    }

    pub(in crate::sandbox) fn admits_strangers(&self) -> bool {
        self.doorman.strangers == Strangers::Admit
    }

    /// The tenants, in their order.
    pub(in crate::sandbox) fn slugs(&self) -> Vec<String> {
        self.doorman.read().slugs()
    }

    /// Carries a request out again, and records it, but for faults.
    pub(in crate::sandbox) fn redo(self: &Arc<Self>, act: CallAct) -> Redone {
        let Some((mut call, payload)) = Call::again(Arc::clone(self), act) else {
            return Redone::Refused;
        };
        self.host.passed_trace(call.entry.trace);
        let done = match (call.route, &payload) {
            (Route::Register, Payload::Json(json)) => routes::registration(self, json),
            (_, payload) => call.act_again(payload),
        };
        let Ok(done) = done else {
            return Redone::Refused;
        };
        call.entry.answer = Answered {
            status: Some(done.status),
            message_id: done.message_id,
            replay: done.replay,
            ..Answered::default()
        };
        self.host.record(call.entry);
        Redone::Done(Digest::of(done.body.as_bytes()))
    }

    /// Everything was done again: nobody is told of it once more.
    pub(in crate::sandbox) fn recalled(&self) {
        self.store().give_up_all();
    }

    /// Counts a try for one of the lab's numbers again.
    pub(in crate::sandbox) fn retry(&self, to: &str, key: Option<&str>, request: Digest) {
        let subject = Subject {
            routes: &[RouteMatch::Posts],
            to: Some(to),
            key,
            request,
        };
        // What goes wrong went wrong then.
        drop(self.try_again(subject));
    }
}
