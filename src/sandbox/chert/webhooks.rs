//! Webhook subscriptions (chert §13): who wants to be told of which events, and where. Tells
//! nobody; [`super::courier`] does.

use std::collections::BTreeSet;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::deliveries::{Deliveries, Status};
use super::errors::{Refusal, code, invalid, missing};
use super::exchange::{Call, Done, Payload};
use super::ids::{self, Id};
use super::inbound::LEAD_REPLY;
use super::parts::present;
use super::store::Store;
use super::tenants::TenantNo;
use crate::sandbox::journal::time_text;
use crate::sandbox::outbound::{Destination, Reach};

/// A subscription by its place in the list; places are never reused.
pub(super) type SubNo = usize;
/// An event by its place in the log.
pub(super) type EventNo = usize;

/// Records events and calls nobody (chert §13).
const DEV_INBOX: &str = "https://dev-inbox";
/// The label of a subscription that names none (chert §13).
const VERSION: &str = "2026-04-01";
/// Whoever can reach the sandbox may subscribe: that must not be a way to fill its memory.
const MOST_PER_TENANT: usize = 50;
pub(super) const MOST_EVENTS: usize = 20;
pub(super) const MAX_NAME_CHARS: usize = 64;
/// Calls to one subscription at once, so that a receiver that hangs does not hold up the others.
const AT_ONCE: usize = 4;

/// Where the events of a subscription go.
#[derive(Debug, Clone)]
enum Target {
    DevInbox,
    Http(Destination),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Active,
    Off,
    Deleted,
}

/// Somebody who wants to be told.
#[derive(Debug)]
struct Subscription {
    id: Id,
    tenant: TenantNo,
    url: Arc<str>,
    target: Target,
    /// Exact names; empty: all.
    events: Vec<Box<str>>,
    version: Box<str>,
    life: Life,
    at_us: i64,
    secret: SecretString,
    /// What is to be told, by the moment at which it is due.
    due: BTreeSet<(i64, EventNo)>,
    lane: Arc<Semaphore>,
}

/// One call to make.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) sub: SubNo,
    pub(super) event: EventNo,
    pub(super) to: Destination,
    pub(super) id: Id,
    pub(super) url: Arc<str>,
    pub(super) secret: SecretString,
    /// Held while the call is on its way; absent for one that somebody waits for.
    pub(super) lane: Option<OwnedSemaphorePermit>,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    subs: Vec<Subscription>,
}

impl Subscription {
    fn wants(&self, kind: &str) -> bool {
        self.life == Life::Active
            && (self.events.is_empty() || self.events.iter().any(|one| **one == *kind))
    }

    fn json(&self) -> Value {
        json!({
            "id": ids::message_text(self.id),
            "url": &*self.url,
            "events": self.events,
            "version": &*self.version,
            "is_active": self.life == Life::Active,
            "created_at": time_text(self.at_us),
        })
    }

    fn errand(&self, sub: SubNo, event: EventNo) -> Option<Errand> {
        match &self.target {
            Target::DevInbox => None,
            Target::Http(to) => Some(Errand {
                sub,
                event,
                to: to.clone(),
                id: self.id,
                url: Arc::clone(&self.url),
                secret: self.secret.clone(),
                lane: None,
            }),
        }
    }
}

impl Hooks {
    /// Who is to be told of an event that is kept now.
    pub(super) fn plan(
        &mut self,
        (tenant, kind): (TenantNo, &str),
        (event, now_us): (EventNo, i64),
    ) -> Deliveries {
        let mut all = Deliveries::default();
        let subs = self.subs.iter_mut().enumerate();
        for (number, sub) in subs.filter(|(_, sub)| sub.tenant == tenant && sub.wants(kind)) {
            let status = match sub.target {
                Target::DevInbox => Status::DevInbox,
                Target::Http(_) => {
                    sub.due.insert((now_us, event));
                    Status::Pending
                }
            };
            all.add(number, (sub.id, &sub.url), status);
        }
        all
    }

    /// Whether somebody asks for the old summary by its name. Who asks for everything is told
    /// by the event that took its place.
    pub(super) fn wants_lead_reply(&self, tenant: TenantNo) -> bool {
        let mut ours = self.subs.iter().filter(|sub| sub.tenant == tenant);
        ours.any(|sub| !sub.events.is_empty() && sub.wants(LEAD_REPLY))
    }

    /// The call that has been due for longest, of those whose receiver is not busy.
    pub(super) fn take(&mut self, now_us: i64) -> Option<Errand> {
        let (_, number) = self.first(Some(now_us))?;
        let sub = self.subs.get_mut(number)?;
        let lane = Arc::clone(&sub.lane).try_acquire_owned().ok()?;
        let (_, event) = sub.due.pop_first()?;
        let errand = sub.errand(number, event)?;
        Some(Errand {
            lane: Some(lane),
            ..errand
        })
    }

    /// When the next call is due, of those whose receiver is not busy.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.first(None).map(|(at_us, _)| at_us)
    }

    fn first(&self, by_us: Option<i64>) -> Option<(i64, SubNo)> {
        let subs = self.subs.iter().enumerate();
        subs.filter(|(_, sub)| sub.lane.available_permits() > 0)
            .filter_map(|(number, sub)| Some((sub.due.first()?.0, number)))
            .filter(|(at_us, _)| by_us.is_none_or(|by_us| *at_us <= by_us))
            .min()
    }

    /// Plans another try; nothing for a subscription that ended meanwhile.
    pub(super) fn again(&mut self, sub: SubNo, at_us: i64, event: EventNo) -> bool {
        let found = self.subs.get_mut(sub);
        found
            .filter(|sub| sub.life == Life::Active)
            .is_some_and(|sub| sub.due.insert((at_us, event)))
    }

    /// Takes an event off a subscription's list.
    pub(super) fn forget(&mut self, sub: SubNo, event: EventNo) {
        if let Some(sub) = self.subs.get_mut(sub) {
            sub.due.retain(|(_, due)| *due != event);
        }
    }

    /// Calls to make now: to the one that is named, or to all that an event went to, or else to
    /// all who would be told of it now. The inner error: there is nobody to call.
    pub(super) fn errands(
        &self,
        (tenant, kind): (TenantNo, &str),
        (event, went_to): (EventNo, &Deliveries),
        named: Option<&str>,
    ) -> Result<Vec<Errand>, Refusal> {
        let numbers: Vec<SubNo> = if let Some(id) = named {
            let found = self.find(tenant, id);
            vec![found.ok_or_else(|| Refusal::new(code::RESOURCE_NOT_FOUND))?]
        } else {
            let known = went_to.each().iter().map(|one| one.sub);
            let known: Vec<SubNo> = known
                .filter(|sub| {
                    let sub = self.subs.get(*sub);
                    sub.is_some_and(|sub| sub.life == Life::Active)
                })
                .collect();
            let now = || {
                let subs = self.subs.iter().enumerate();
                subs.filter(|(_, sub)| sub.tenant == tenant && sub.wants(kind))
                    .map(|(number, _)| number)
                    .collect()
            };
            if known.is_empty() { now() } else { known }
        };
        let subs = numbers.into_iter();
        let calls = subs.filter_map(|sub| self.subs.get(sub)?.errand(sub, event));
        let calls: Vec<Errand> = calls.collect();
        if calls.is_empty() {
            return Err(Refusal::new(code::INVALID_FIELD)
                .because("There is no address to send the event to, or only the dev inbox"));
        }
        Ok(calls)
    }

    fn find(&self, tenant: TenantNo, id: &str) -> Option<SubNo> {
        let id = ids::parse_message(id)?;
        let mut subs = self.subs.iter();
        subs.position(|sub| sub.id == id && sub.tenant == tenant && sub.life != Life::Deleted)
    }
}

/// What a request says about a subscription.
#[derive(Debug, Default)]
struct Wish {
    url: Option<(Arc<str>, Target)>,
    events: Option<Vec<Box<str>>>,
    version: Option<Box<str>>,
    active: Option<bool>,
}

impl Wish {
    fn read(json: &Value, reach: Reach) -> Result<Self, Refusal> {
        let text = |field: &str| match present(json, field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.as_str())),
            Some(_) => Err(invalid(field, "must be a string that is not empty")),
        };
        let url = match text("url")? {
            None => None,
            Some(DEV_INBOX) => Some((DEV_INBOX.into(), Target::DevInbox)),
            Some(url) => {
                let to = Destination::parse(url, reach).map_err(|why| invalid("url", why))?;
                Some((url.into(), Target::Http(to)))
            }
        };
        let version = text("version")?;
        if version.is_some_and(|version| version.chars().count() > MAX_NAME_CHARS) {
            return Err(invalid("version", "must not be longer than 64 characters"));
        }
        let active = match present(json, "is_active") {
            None => None,
            Some(Value::Bool(active)) => Some(*active),
            Some(_) => return Err(invalid("is_active", "must be true or false")),
        };
        Ok(Self {
            url,
            events: events(json)?,
            version: version.map(Into::into),
            active,
        })
    }
}

fn events(json: &Value) -> Result<Option<Vec<Box<str>>>, Refusal> {
    let wrong = || invalid("events", "must be an array of at most 20 names of events");
    let names = match present(json, "events") {
        None => return Ok(None),
        Some(Value::Array(names)) if names.len() <= MOST_EVENTS => names,
        Some(_) => return Err(wrong()),
    };
    let name = |name: &Value| {
        let name = name.as_str().filter(|name| !name.is_empty());
        let name = name.filter(|name| name.chars().count() <= MAX_NAME_CHARS);
        name.map(Into::into).ok_or_else(wrong)
    };
    names.iter().map(name).collect::<Result<_, _>>().map(Some)
}

impl Store {
    fn subscribe(&mut self, tenant: TenantNo, wish: Wish, now_us: i64) -> Result<SubNo, Refusal> {
        let (url, target) = wish.url.ok_or_else(|| missing("url"))?;
        let subs = self.hooks.subs.iter();
        let ours = subs.filter(|sub| sub.tenant == tenant && sub.life != Life::Deleted);
        if ours.count() >= MOST_PER_TENANT {
            return Err(Refusal::new(code::ACCOUNT_LIMIT)
                .because("The sandbox has no room for another subscription"));
        }
        let number = self.hooks.subs.len();
        let subject = [&tenant.to_be_bytes()[..], &number.to_be_bytes()];
        let id = ids::derive(self.seed(), "subscription", &subject);
        let half = |nth: u8| {
            let id = ids::derive(self.seed(), "webhook", &[&id.to_be_bytes(), &[nth]]);
            ids::message_text(id)
        };
        let secret = [half(0), half(1)].concat();
        self.hooks.subs.push(Subscription {
            id,
            tenant,
            url,
            target,
            events: wish.events.unwrap_or_default(),
            version: wish.version.unwrap_or_else(|| VERSION.into()),
            life: if wish.active == Some(false) {
                Life::Off
            } else {
                Life::Active
            },
            at_us: now_us,
            secret: secret.into(),
            due: BTreeSet::new(),
            lane: Arc::new(Semaphore::new(AT_ONCE)),
        });
        Ok(number)
    }

    /// Ends a subscription or switches it on or off; what it still waits for is given up.
    fn set_life(&mut self, number: SubNo, life: Life) {
        if let Some(sub) = self.hooks.subs.get_mut(number) {
            sub.life = life;
        }
        if life != Life::Active {
            self.give_up(number);
        }
    }

    /// Gives up whatever is due to anybody: who was told of it before the sandbox ended, and who
    /// was not, is not known any more, and nobody is to be told twice.
    pub(super) fn give_up_all(&mut self) {
        for number in 0..self.hooks.subs.len() {
            self.give_up(number);
        }
    }

    /// Gives up what is due to a subscription.
    fn give_up(&mut self, number: SubNo) {
        let sub = self.hooks.subs.get_mut(number);
        let due = sub.map(|sub| std::mem::take(&mut sub.due));
        for (_, event) in due.unwrap_or_default() {
            if let Some(event) = self.inbound.get_mut(event) {
                event.deliveries.give_up(number);
            }
        }
    }
}

impl Call {
    fn subscription_in(&self, store: &Store) -> Result<SubNo, Refusal> {
        let found = store.hooks.find(self.tenant, &self.id);
        found.ok_or_else(|| Refusal::new(code::RESOURCE_NOT_FOUND))
    }

    fn shown(store: &Store, number: SubNo) -> Done {
        let sub = store.hooks.subs.get(number).map(Subscription::json);
        Done::new(json!({ "subscription": sub }).to_string())
    }

    /// `POST /webhook-subscriptions`: the one answer that shows the secret.
    pub(super) fn subscribe(&self, payload: &Payload) -> Result<Done, Refusal> {
        let wish = self.wish(payload)?;
        let now_us = self.chert.host.now_us();
        let mut store = self.chert.store();
        let number = store.subscribe(self.tenant, wish, now_us)?;
        let made = store.hooks.subs.get(number).map(|sub| {
            let mut shown = sub.json();
            if let Some(shown) = shown.as_object_mut() {
                shown.insert("secret".into(), json!(sub.secret.expose_secret()));
            }
            shown
        });
        Ok(Done::new(json!({ "subscription": made }).to_string()))
    }

    fn wish(&self, payload: &Payload) -> Result<Wish, Refusal> {
        match payload {
            Payload::Json(json) => Wish::read(json, self.chert.outbound.reach()),
            Payload::Empty | Payload::File(..) => Err(Refusal::new(code::INVALID_JSON)),
        }
    }

    /// `GET /webhook-subscriptions`, newest first.
    pub(super) fn subscriptions(&self) -> Done {
        let store = self.chert.store();
        let subs = store.hooks.subs.iter().rev();
        let ours = subs.filter(|sub| sub.tenant == self.tenant && sub.life != Life::Deleted);
        let rows: Vec<Value> = ours.map(Subscription::json).collect();
        Done::new(json!({ "subscriptions": rows }).to_string())
    }

    /// `GET /webhook-subscriptions/{id}`.
    pub(super) fn subscription(&self) -> Result<Done, Refusal> {
        let store = self.chert.store();
        let number = self.subscription_in(&store)?;
        Ok(Self::shown(&store, number))
    }

    /// `PATCH /webhook-subscriptions/{id}`: what is left out stays.
    pub(super) fn change_subscription(&self, payload: &Payload) -> Result<Done, Refusal> {
        let wish = self.wish(payload)?;
        let mut store = self.chert.store();
        let number = self.subscription_in(&store)?;
        if let Some(sub) = store.hooks.subs.get_mut(number) {
            if let Some((url, target)) = wish.url {
                (sub.url, sub.target) = (url, target);
            }
            sub.events = wish
                .events
                .unwrap_or_else(|| std::mem::take(&mut sub.events));
            sub.version = wish
                .version
                .unwrap_or_else(|| std::mem::take(&mut sub.version));
        }
        let calls = store
            .hooks
            .subs
            .get(number)
            .is_some_and(|sub| matches!(sub.target, Target::Http(_)));
        if !calls {
            store.give_up(number);
        }
        match wish.active {
            Some(true) => store.set_life(number, Life::Active),
            Some(false) => store.set_life(number, Life::Off),
            None => {}
        }
        Ok(Self::shown(&store, number))
    }

    /// `DELETE /webhook-subscriptions/{id}`.
    pub(super) fn unsubscribe(&self) -> Result<Done, Refusal> {
        let mut store = self.chert.store();
        let number = self.subscription_in(&store)?;
        store.set_life(number, Life::Deleted);
        Ok(Done::new(
            json!({ "id": self.id, "deleted": true }).to_string(),
        ))
    }
}
