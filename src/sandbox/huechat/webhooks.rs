//! Webhooks (huechat §10.1, §10.2, §10.6): who wants to be told of which events, where, and when
//! the next try is. Tells nobody; [`super::courier`] does.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::errors::{Error, Refusal, invalid, missing, no_such};
use super::events::{Event, Kind};
use super::exchange::{Call, Done};
use super::fields::Fields;
use super::pages::Asked;
use super::store::{AccountNo, Id, Store, id_text, parse_id};
use crate::sandbox::journal::time_text;
use crate::sandbox::outbound::{Destination, Reach};

/// A webhook by its place in the list; places are never reused.
pub(super) type HookNo = usize;

/// Whoever can reach the sandbox may subscribe: that must not be a way to fill its memory.
const MOST_PER_ACCOUNT: usize = 50;
pub(super) const MOST_EVENTS: usize = 50;
const MAX_URL_CHARS: usize = 2_048;
/// Calls to one webhook at once, so that a receiver that hangs does not hold up the others.
const AT_ONCE: usize = 4;
/// How long before each retry, in seconds of the provider; after the last one nothing comes.
const EXPONENTIAL_S: [i64; 5] = [60, 120, 240, 480, 960];
const LINEAR_S: [i64; 5] = [60; 5];

/// How the waits between tries grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Exponential,
    Linear,
}

impl Policy {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [Self::Exponential, Self::Linear];
        all.into_iter().find(|policy| policy.name() == text)
    }

    /// How long after a try that was retry number `retry`, in microseconds.
    fn wait_us(self, retry: u32) -> Option<i64> {
        let waits = match self {
            Self::Exponential => EXPONENTIAL_S,
            Self::Linear => LINEAR_S,
        };
        let wait = waits.get(usize::try_from(retry).ok()?);
        wait.map(|seconds| seconds * 1_000_000)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Active,
    Off,
    Deleted,
}

impl From<bool> for Life {
    fn from(active: bool) -> Self {
        if active { Self::Active } else { Self::Off }
    }
}

/// Something to tell, for the how-manieth time.
#[derive(Debug)]
struct Due {
    event: Arc<Event>,
    retry: u32,
    /// When it was first told, by the machine's clock.
    told_us: Option<i64>,
}

/// Somebody who wants to be told.
#[derive(Debug)]
struct Webhook {
    id: Id,
    account: AccountNo,
    url: String,
    to: Destination,
    events: Vec<Kind>,
    life: Life,
    policy: Policy,
    secret: SecretString,
    created_us: i64,
    updated_us: i64,
    /// By the moment at which it is due, and then in the order of arrival.
    due: BTreeMap<(i64, u64), Due>,
    lane: Arc<Semaphore>,
}

/// One call to make.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) hook: HookNo,
    pub(super) id: String,
    pub(super) to: Destination,
    pub(super) secret: SecretString,
    pub(super) event: Arc<Event>,
    pub(super) retry: u32,
    pub(super) told_us: Option<i64>,
    /// Held while the call is on its way.
    pub(super) lane: OwnedSemaphorePermit,
}

/// All webhooks.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    all: Vec<Webhook>,
    planned: u64,
}

impl Webhook {
    fn wants(&self, account: AccountNo, kind: Kind) -> bool {
        self.life == Life::Active && self.account == account && self.events.contains(&kind)
    }

    fn json(&self) -> Value {
        let events: Vec<&str> = self.events.iter().map(|kind| kind.name()).collect();
        json!({
            "id": id_text("wh_", self.id),
            "url": self.url,
            "events": events,
            "active": self.life == Life::Active,
            "retry_policy": self.policy.name(),
            "created_at": time_text(self.created_us),
            "updated_at": time_text(self.updated_us),
        })
    }
}

impl Hooks {
    /// Whether anybody is to be told: an event that nobody wants is not even written out.
    pub(super) fn are_wanted(&self, account: AccountNo, kind: Kind) -> bool {
        self.all.iter().any(|hook| hook.wants(account, kind))
    }

    pub(super) fn plan(&mut self, account: AccountNo, event: &Arc<Event>, at_us: i64) {
        for hook in &mut self.all {
            if hook.wants(account, event.kind) {
                self.planned += 1;
                let due = Due {
                    event: Arc::clone(event),
                    retry: 0,
                    told_us: None,
                };
                hook.due.insert((at_us, self.planned), due);
            }
        }
    }

    /// The call that has been due for longest, of those whose receiver is not busy.
    pub(super) fn take(&mut self, now_us: i64) -> Option<Errand> {
        let (_, number) = self.first(Some(now_us))?;
        let hook = self.all.get_mut(number)?;
        let lane = Arc::clone(&hook.lane).try_acquire_owned().ok()?;
        let (_, due) = hook.due.pop_first()?;
        Some(Errand {
            hook: number,
            id: id_text("wh_", hook.id),
            to: hook.to.clone(),
            secret: hook.secret.clone(),
            event: due.event,
            retry: due.retry,
            told_us: due.told_us,
            lane,
        })
    }

    /// When the next call is due, of those whose receiver is not busy.
    pub(super) fn next_us(&self) -> Option<i64> {
        self.first(None).map(|(at_us, _)| at_us)
    }

    fn first(&self, by_us: Option<i64>) -> Option<(i64, HookNo)> {
        let hooks = self.all.iter().enumerate();
        hooks
            .filter(|(_, hook)| hook.lane.available_permits() > 0)
            .filter_map(|(number, hook)| Some((hook.due.first_key_value()?.0.0, number)))
            .filter(|(at_us, _)| by_us.is_none_or(|by_us| *at_us <= by_us))
            .min()
    }

    /// Plans the next try after one that failed; nothing after the last one, nor for a webhook
    /// that ended meanwhile.
    pub(super) fn again(&mut self, errand: &Errand, ended_us: i64) {
        let hook = self.all.get_mut(errand.hook);
        let Some(hook) = hook.filter(|hook| hook.life == Life::Active) else {
            return;
        };
        if let Some(wait_us) = hook.policy.wait_us(errand.retry) {
            self.planned += 1;
            let due = Due {
                event: Arc::clone(&errand.event),
                retry: errand.retry + 1,
                told_us: errand.told_us,
            };
            let at_us = ended_us.saturating_add(wait_us);
            hook.due.insert((at_us, self.planned), due);
        }
    }

    /// Gives up whatever is due to anybody: who was told of it before the sandbox ended, and who
    /// was not, is not known any more.
    pub(super) fn give_up_all(&mut self) {
        for hook in &mut self.all {
            hook.due.clear();
        }
    }

    fn find(&self, account: AccountNo, id: &str) -> Result<HookNo, Refusal> {
        let id = parse_id("wh_", id);
        let mut all = self.all.iter();
        let found = all.position(|hook| {
            Some(hook.id) == id && hook.account == account && hook.life != Life::Deleted
        });
        found.ok_or_else(|| no_such("webhook"))
    }
}

/// What a request says about a webhook.
#[derive(Debug)]
struct Wish {
    url: Option<(String, Destination)>,
    events: Option<Vec<Kind>>,
    active: Option<bool>,
    policy: Option<Policy>,
}

impl Wish {
    fn read(json: &Value, reach: Reach) -> Result<Self, Refusal> {
        let fields = Fields::of(json)?;
        let url = fields.text("url", MAX_URL_CHARS)?;
        let url = url.map(|url| {
            let to = Destination::parse(url, reach).map_err(|why| invalid("url", why))?;
            Ok::<_, Refusal>((url.to_owned(), to))
        });
        let names = fields.texts("events", (MOST_EVENTS, MAX_URL_CHARS))?;
        let events = names.map(|names| {
            let mut events: Vec<Kind> = Vec::new();
            for name in names {
                let kind = Kind::parse(&name).ok_or_else(|| {
                    invalid("events", &format!("has '{name}', which is no event"))
                })?;
                if !events.contains(&kind) {
                    events.push(kind);
                }
            }
            if events.is_empty() {
                return Err(invalid("events", "must name at least one event"));
            }
            Ok(events)
        });
        Ok(Self {
            url: url.transpose()?,
            events: events.transpose()?,
            active: fields.truth("active")?,
            policy: fields
                .word("retry_policy", Policy::parse, "exponential and linear")?
                .value(),
        })
    }
}

impl Store {
    fn subscribe(
        &mut self,
        account: AccountNo,
        wish: Wish,
        now_us: i64,
    ) -> Result<HookNo, Refusal> {
        let (url, to) = wish.url.ok_or_else(|| missing("url"))?;
        let events = wish.events.ok_or_else(|| missing("events"))?;
        let ours = self.hooks.all.iter();
        let ours = ours.filter(|hook| hook.account == account && hook.life != Life::Deleted);
        if ours.count() >= MOST_PER_ACCOUNT {
            return Err(Refusal::new(Error::Unavailable)
                .because("The sandbox has no room for another webhook"));
        }
        let number = self.hooks.all.len();
        let id = self.derive("huechat webhook", &[&number.to_be_bytes()]);
        let half = |nth: u8| self.derive("huechat secret", &[&id.to_be_bytes(), &[nth]]);
        let secret = format!("whsec_{:016x}{:016x}", half(0), half(1));
        self.hooks.all.push(Webhook {
            id,
            account,
            url,
            to,
            events,
            life: wish.active.unwrap_or(true).into(),
            policy: wish.policy.unwrap_or(Policy::Exponential),
            secret: secret.into(),
            created_us: now_us,
            updated_us: now_us,
            due: BTreeMap::new(),
            lane: Arc::new(Semaphore::new(AT_ONCE)),
        });
        Ok(number)
    }
}

impl Call {
    fn wish(&self, json: &Value) -> Result<Wish, Refusal> {
        Wish::read(json, self.hue.outbound.reach())
    }

    /// `POST /webhooks`: the one answer that shows the secret.
    pub(super) fn create_webhook(&self, json: &Value) -> Result<Done, Refusal> {
        let wish = self.wish(json)?;
        let now_us = self.now_us();
        let mut store = self.hue.store();
        let number = store.subscribe(self.account, wish, now_us)?;
        let hook = store.hooks.all.get(number);
        let hook = hook.ok_or_else(|| no_such("webhook"))?;
        let mut shown = hook.json();
        if let Some(shown) = shown.as_object_mut() {
            let secret = json!(hook.secret.expose_secret());
            shown.insert("signing_secret".to_owned(), secret);
        }
        Ok(Done::json(201, &shown))
    }

    /// `GET /webhooks`, newest first.
    pub(super) fn webhooks(&self) -> Result<Done, Refusal> {
        let page = Asked::parse(&self.query)?.page()?;
        let store = self.hue.store();
        let all = store.hooks.all.iter().rev();
        let ours = all.filter(|hook| hook.account == self.account && hook.life != Life::Deleted);
        let ours: Vec<&Webhook> = ours.collect();
        Ok(Done::json(200, &page.of(&ours, |hook| hook.json())))
    }

    /// `GET /webhooks/{id}`.
    pub(super) fn webhook(&self) -> Result<Done, Refusal> {
        let store = self.hue.store();
        let number = store.hooks.find(self.account, &self.id)?;
        let shown = store.hooks.all.get(number).map(Webhook::json);
        Ok(Done::json(200, &shown.unwrap_or_default()))
    }

    /// `PUT /webhooks/{id}`: what is left out stays. Switched off, it is told of nothing that it
    /// still waits for.
    pub(super) fn change_webhook(&self, json: &Value) -> Result<Done, Refusal> {
        let wish = self.wish(json)?;
        let now_us = self.now_us();
        {
            let mut store = self.hue.store();
            let number = store.hooks.find(self.account, &self.id)?;
            if let Some(hook) = store.hooks.all.get_mut(number) {
                if let Some((url, to)) = wish.url {
                    hook.url = url;
                    hook.to = to;
                }
                hook.events = wish
                    .events
                    .unwrap_or_else(|| std::mem::take(&mut hook.events));
                hook.policy = wish.policy.unwrap_or(hook.policy);
                hook.life = wish.active.map_or(hook.life, Life::from);
                hook.updated_us = now_us;
                if hook.life == Life::Off {
                    hook.due.clear();
                }
            }
        }
        self.webhook()
    }

    /// `DELETE /webhooks/{id}`.
    pub(super) fn delete_webhook(&self) -> Result<Done, Refusal> {
        let mut store = self.hue.store();
        let number = store.hooks.find(self.account, &self.id)?;
        if let Some(hook) = store.hooks.all.get_mut(number) {
            hook.life = Life::Deleted;
            hook.due.clear();
        }
        Ok(Done::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_retries_are_all_and_their_waits_grow_or_stay() {
        let waits = |policy: Policy| -> Vec<i64> {
            let waits = (0..9).map_while(|retry| policy.wait_us(retry));
            waits.map(|us| us / 1_000_000).collect()
        };
        assert_eq!(waits(Policy::Exponential), [60, 120, 240, 480, 960]);
        assert_eq!(waits(Policy::Linear), [60, 60, 60, 60, 60]);
    }
}
