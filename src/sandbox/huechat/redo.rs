//! Requests as acts: written down once they were carried out, and carried out again from there.
//! The routes do both; this only builds the one from the other.

use std::sync::Arc;

use axum::http::Method;
use serde_json::Value;

use super::Hue;
use super::errors::{Error, Refusal};
use super::exchange::{Call, Done};
use super::routes;
use crate::domain::digest::Digest;
use crate::sandbox::faults::Fired;
use crate::sandbox::journal::{Answered, Entry};
use crate::sandbox::memory::{Act, CallAct, Redone, StateError};

impl Call {
    fn to_keep(&self, payload: &Value) -> CallAct {
        let entry = &self.entry;
        let owned = |text: Option<&str>| text.map(str::to_owned);
        CallAct {
            method: entry.method.to_string(),
            path: entry.path.to_string(),
            query: self.query.clone(),
            id: self.id.clone(),
            member: String::new(),
            host: None,
            tenant: owned(entry.tenant.as_deref()),
            to: owned(entry.to.as_deref()),
            key: owned(entry.key.as_deref()),
            json: (!payload.is_null()).then(|| payload.clone()),
            file: None,
            body: entry.body,
            bytes: entry.bytes,
            trace: entry.trace,
            at_us: entry.at_us,
            provider_us: entry.provider_us,
            answer: None,
        }
    }

    /// Does what the route does and, where acts are written down and this one changes something,
    /// writes it down before anybody can be told. While it is done both clocks stand, so that it
    /// can be done again at the same moment.
    pub(super) async fn keep(&self, payload: &Value) -> Result<Done, Refusal> {
        let host = &self.hue.host;
        let changes = !matches!(&*self.entry.method, "GET" | "HEAD");
        if !changes || !host.memory.is_on() {
            return self.act(payload);
        }
        let mut act = self.to_keep(payload);
        let mut gate = host.memory.gate().await;
        let now = host.time.pin_now();
        let done = self.act(payload);
        let at_us = now.at_us();
        drop(now);
        let done = done?;
        if !done.replay {
            act.answer = Some(Digest::of(done.body.as_bytes()));
            let written = gate.write(at_us, Act::HueCall(Box::new(act)));
            written.map_err(|error| self.hue.forgetful(&error))?;
        }
        Ok(done)
    }

    /// The same for a try of a message to one of the numbers of fiction, whatever comes of it.
    pub(super) async fn keep_try(&self, phone: &str) -> Result<Option<Fired>, Refusal> {
        let host = &self.hue.host;
        let request = self.request();
        let decide = || self.hue.store().trials.decide(phone, request);
        if !host.memory.is_on() {
            return Ok(decide());
        }
        let mut gate = host.memory.gate().await;
        let now = host.time.pin_now();
        let fired = decide();
        let at_us = now.at_us();
        drop(now);
        if fired.is_some() {
            let act = Act::HueTry {
                to: phone.to_owned(),
                request,
            };
            let written = gate.write(at_us, act);
            written.map_err(|error| self.hue.forgetful(&error))?;
        }
        Ok(fired)
    }

    fn again(hue: Arc<Hue>, act: CallAct) -> Option<(Self, Value)> {
        let method = Method::from_bytes(act.method.as_bytes()).ok()?;
        let route = routes::find(&method, &act.path)?;
        let account = hue.store().open_account(act.tenant.as_deref()?)?;
        let entry = Entry {
            at_us: act.at_us,
            provider_us: act.provider_us,
            method: act.method.into(),
            path: act.path.into(),
            route: route.names().first().copied(),
            tenant: act.tenant.map(Into::into),
            to: act.to.map(Into::into),
            key: act.key.map(Into::into),
            body: act.body,
            bytes: act.bytes,
            trace: act.trace,
            answer: Answered::default(),
        };
        let call = Self::recalled(hue, (route, act.id, act.query), account, entry);
        Some((call, act.json.unwrap_or_default()))
    }
}

impl Hue {
    /// What a client is told whose request could not be written down.
    fn forgetful(&self, error: &StateError) -> Refusal {
        self.host.fail_to_keep(error);
        Refusal::new(Error::Internal).because("The sandbox cannot write its state file")
    }

    /// Carries a request out again, and records it, but for faults.
    pub(in crate::sandbox) fn redo(self: &Arc<Self>, act: CallAct) -> Redone {
        let Some((mut call, payload)) = Call::again(Arc::clone(self), act) else {
            return Redone::Refused;
        };
        self.host.passed_trace(call.entry.trace);
        let Ok(done) = call.act(&payload) else {
            return Redone::Refused;
        };
        call.entry.answer = Answered {
            status: Some(done.status),
            message_id: done.message_id.map(u128::from),
            replay: done.replay,
            ..Answered::default()
        };
        self.host.record(call.entry);
        Redone::Done(Digest::of(done.body.as_bytes()))
    }

    /// Counts a try for one of the numbers of fiction again.
    pub(in crate::sandbox) fn retry(&self, to: &str, request: Digest) {
        // What goes wrong went wrong then.
        drop(self.store().trials.decide(to, request));
    }

    /// Everything was done again: nobody is told of it once more.
    pub(in crate::sandbox) fn recalled(&self) {
        self.store().hooks.give_up_all();
    }
}
