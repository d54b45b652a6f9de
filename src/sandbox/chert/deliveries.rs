//! What became of an event at each of those who subscribed (chert §13, §14): how often it was
//! tried, what came of it, and when it is tried again. Calls nobody and reads no clock.

use std::sync::Arc;

use serde_json::{Value, json};

use super::ids::{self, Id};
use super::webhooks::SubNo;
use crate::sandbox::journal::time_text;
use crate::sandbox::outbound::NoAnswer;

/// How long to wait before the second and the third try, by the provider's clock (chert §13).
const BACK_OFF_US: [i64; 2] = [1_000_000, 2_000_000];
/// Kept of one event; without end, replays would fill the memory.
const MOST_ATTEMPTS: usize = 100;

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Delivered,
    Failed,
    /// Kept to be fetched; nobody is called.
    DevInbox,
}

impl Status {
    pub(super) const ALL: [Self; 4] =
        [Self::Pending, Self::Delivered, Self::Failed, Self::DevInbox];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::DevInbox => "dev_inbox",
        }
    }
}

/// One try.
#[derive(Debug)]
struct Attempt {
    at_us: i64,
    duration_ms: u64,
    subscription: Id,
    /// The HTTP status, or why there is none.
    came_to: Result<u16, NoAnswer>,
}

/// One subscription that an event goes to.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) sub: SubNo,
    id: Id,
    url: Arc<str>,
    pub(super) status: Status,
    tries: usize,
}

/// All subscriptions that an event goes to.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    each: Vec<Delivery>,
    attempts: Vec<Attempt>,
    delivered_at_us: Option<i64>,
}

/// How a try ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    pub(super) at_us: i64,
    /// When it was over, by the provider's clock.
    pub(super) ended_us: i64,
    pub(super) duration_ms: u64,
    pub(super) came_to: Result<u16, NoAnswer>,
}

impl Tried {
    pub(super) fn is_delivered(self) -> bool {
        matches!(self.came_to, Ok(200..300))
    }

    /// Only what may pass by itself is tried again: a receiver that is down or in trouble.
    fn may_pass(self) -> bool {
        matches!(self.came_to, Ok(500..) | Err(NoAnswer::Lost(_)))
    }
}

impl Deliveries {
    pub(super) fn add(&mut self, sub: SubNo, (id, url): (Id, &Arc<str>), status: Status) {
        self.each.push(Delivery {
            sub,
            id,
            url: Arc::clone(url),
            status,
            tries: 0,
        });
    }

    pub(super) fn each(&self) -> &[Delivery] {
        &self.each
    }

    /// The worst of all, what may still change first. `pending` also where nobody subscribed.
    pub(super) fn status(&self) -> Status {
        let any = |status| self.each.iter().any(|one| one.status == status);
        let order = [
            Status::Pending,
            Status::Failed,
            Status::Delivered,
            Status::DevInbox,
        ];
        order
            .into_iter()
            .find(|status| any(*status))
            .unwrap_or(Status::Pending)
    }

    /// Notes a try by plan; answers when the next one is due, if there is one.
    pub(super) fn tried(&mut self, sub: SubNo, tried: Tried) -> Option<i64> {
        let one = self.each.iter_mut().find(|one| one.sub == sub)?;
        one.tries += 1;
        let wait = BACK_OFF_US.get(one.tries - 1).filter(|_| tried.may_pass());
        // A replay may have got through while this try was on its way.
        let next = if one.status == Status::Pending {
            if tried.is_delivered() {
                one.status = Status::Delivered;
            } else if wait.is_none() {
                one.status = Status::Failed;
            }
            wait.map(|wait| tried.ended_us.saturating_add(*wait))
                .filter(|_| !tried.is_delivered())
        } else {
            None
        };
        let id = one.id;
        self.note(id, tried);
        next
    }

    /// Notes a try that somebody asked for. Answers whether tries by plan are at an end.
    pub(super) fn replayed(
        &mut self,
        sub: SubNo,
        (id, url): (Id, &Arc<str>),
        tried: Tried,
    ) -> bool {
        if !self.each.iter().any(|one| one.sub == sub) {
            self.add(sub, (id, url), Status::Failed);
        }
        self.note(id, tried);
        let one = self.each.iter_mut().find(|one| one.sub == sub);
        one.is_some_and(|one| {
            if tried.is_delivered() {
                one.status = Status::Delivered;
            } else if one.status != Status::Pending {
                one.status = Status::Failed;
            }
            one.status == Status::Delivered
        })
    }

    /// Gives up what is not on its way: its subscription is gone or switched off.
    pub(super) fn give_up(&mut self, sub: SubNo) {
        let each = self.each.iter_mut().filter(|one| one.sub == sub);
        for one in each.filter(|one| one.status == Status::Pending) {
            one.status = Status::Failed;
        }
    }

    fn note(&mut self, subscription: Id, tried: Tried) {
        if tried.is_delivered() {
            self.delivered_at_us.get_or_insert(tried.ended_us);
        }
        if self.attempts.len() == MOST_ATTEMPTS {
            self.attempts.remove(0);
        }
        self.attempts.push(Attempt {
            at_us: tried.at_us,
            duration_ms: tried.duration_ms,
            subscription,
            came_to: tried.came_to,
        });
    }

    /// As the event log shows it.
    pub(super) fn json(&self) -> Value {
        let attempts = self.attempts.iter().map(|one| {
            let mut row = json!({
                "at": time_text(one.at_us),
                "status": one.came_to.ok(),
                "duration_ms": one.duration_ms,
                "subscription_id": ids::message_text(one.subscription),
            });
            if let (Err(why), Some(row)) = (one.came_to, row.as_object_mut()) {
                row.insert("error".into(), json!(why.why()));
            }
            row
        });
        json!({
            "status": self.status().name(),
            "url": self.each.first().map(|one| &*one.url),
            "attempts": attempts.collect::<Vec<_>>(),
            "delivered_at": self.delivered_at_us.map(time_text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(subs: &[SubNo]) -> Deliveries {
        let mut all = Deliveries::default();
        for sub in subs {
            all.add(*sub, (Id::default(), &"https://x".into()), Status::Pending);
        }
        all
    }

    fn tried(at_us: i64, came_to: Result<u16, NoAnswer>) -> Tried {
        Tried {
            at_us,
            ended_us: at_us + 10,
            duration_ms: 0,
            came_to,
        }
    }

    #[test]
    fn a_receiver_in_trouble_is_tried_three_times_and_no_more() {
        let mut all = to(&[0]);
        assert_eq!(all.tried(0, tried(0, Ok(500))), Some(1_000_010));
        assert_eq!(all.status(), Status::Pending);
        assert_eq!(
            all.tried(0, tried(1_000_010, Err(NoAnswer::Lost("gone")))),
            Some(3_000_020)
        );
        assert_eq!(all.tried(0, tried(3_000_020, Ok(503))), None);
        assert_eq!(all.status(), Status::Failed);
    }

    #[test]
    fn a_receiver_that_refuses_or_sends_elsewhere_is_not_tried_again() {
        for status in [301, 307, 400, 404, 410, 429] {
            let mut all = to(&[0]);
            assert_eq!(all.tried(0, tried(0, Ok(status))), None, "{status}");
            assert_eq!(all.status(), Status::Failed, "{status}");
        }
    }

    #[test]
    fn an_event_is_delivered_once_every_subscription_has_it() {
        let mut all = to(&[0, 1]);
        all.tried(0, tried(0, Ok(204)));
        assert_eq!(all.status(), Status::Pending);
        all.tried(1, tried(0, Ok(400)));
        assert_eq!(all.status(), Status::Failed);
        assert!(all.replayed(1, (Id::default(), &"https://x".into()), tried(9, Ok(200))));
        assert_eq!(all.status(), Status::Delivered);
        assert_eq!(all.json()["attempts"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn a_replay_that_got_through_ends_the_tries_by_plan() {
        let mut all = to(&[0]);
        all.tried(0, tried(0, Ok(500)));
        assert!(all.replayed(0, (Id::default(), &"https://x".into()), tried(5, Ok(200))));
        assert_eq!(all.tried(0, tried(9, Ok(500))), None);
        assert_eq!(all.status(), Status::Delivered);
    }
}
