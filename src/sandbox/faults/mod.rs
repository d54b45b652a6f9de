//! Faults on demand: which request goes wrong, and how often each rule has fired. Does not
//! carry a fault out; the provider's exchange does.

mod plan;

use std::collections::HashMap;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

pub(super) use plan::Delay;
pub use plan::{Answer, BadPlan, Fault, FaultPlan, Match, RouteMatch, Rule};

use crate::domain::digest::Digest;

/// What a rule may look at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Every name by which a rule may mean this route.
    pub(super) routes: &'a [RouteMatch],
    pub(super) to: Option<&'a str>,
    pub(super) key: Option<&'a str>,
    /// Stands in for the key where a request has none.
    pub(super) request: Digest,
}

/// A fault that is to happen now.
#[derive(Debug, Clone)]
pub(super) struct Fired {
    pub(super) fault: Fault,
    /// Ends every delay of the plan early.
    pub(super) released: CancellationToken,
}

/// The plan in force, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Desk {
    plan: FaultPlan,
    fired: Vec<u64>,
    /// Tries so far, by key; grows with the keys seen under the plan and goes with it.
    tries: HashMap<Digest, u32>,
    released: CancellationToken,
}

/// A rule and how often it has fired.
#[derive(Debug, Clone, Serialize)]
pub struct RuleReport {
    #[serde(flatten)]
    pub rule: Rule,
    pub fired: u64,
}

/// The plan in force.
#[derive(Debug, Clone, Serialize)]
pub struct FaultReport {
    pub seed: u64,
    pub rules: Vec<RuleReport>,
}

impl Desk {
    /// Puts a plan in force. Requests that lie under a delay of the last one are let go.
    pub(super) fn set(&mut self, plan: FaultPlan) {
        self.released.cancel();
        *self = Self {
            fired: vec![0; plan.rules.len()],
            plan,
            tries: HashMap::new(),
            released: CancellationToken::new(),
        };
    }

    /// Whether a request may have to lie for a while.
    pub(super) fn may_delay(&self) -> bool {
        self.plan
            .rules
            .iter()
            .any(|rule| rule.fault.delay().is_some())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.plan.rules.is_empty()
    }

    pub(super) fn report(&self) -> FaultReport {
        let rules = self.plan.rules.iter().zip(&self.fired);
        FaultReport {
            seed: self.plan.seed,
            rules: rules
                .map(|(rule, fired)| RuleReport {
                    rule: rule.clone(),
                    fired: *fired,
                })
                .collect(),
        }
    }

    /// Decides about one request; each call counts as one try of its key.
    pub(super) fn decide(&mut self, subject: Subject<'_>) -> Option<Fired> {
        if self.is_idle() {
            return None;
        }
        let name = subject
            .key
            .map_or(subject.request, |key| Digest::of(key.as_bytes()));
        let tries = self.tries.entry(name).or_insert(0);
        *tries = tries.saturating_add(1);
        let tries = *tries;
        let seed = self.plan.seed;
        let rules = self.plan.rules.iter().zip(&mut self.fired).enumerate();
        for (number, (rule, fired)) in rules {
            let due = rule.matching.covers(subject)
                && rule.attempts.is_none_or(|first| tries <= first)
                && rule.times.is_none_or(|most| *fired < most)
                && chance(seed, number, name, tries) < rule.share;
            if due {
                *fired += 1;
                return Some(Fired {
                    fault: rule.fault.clone(),
                    released: self.released.clone(),
                });
            }
        }
        None
    }
}

impl Match {
    fn covers(&self, subject: Subject<'_>) -> bool {
        subject.routes.contains(&self.route)
            && (self.to.is_none() || self.to.as_deref() == subject.to)
            && (self.key.is_none() || self.key.as_deref() == subject.key)
    }
}

/// A number in [0, 1) that follows from its arguments alone.
fn chance(seed: u64, rule: usize, name: Digest, tries: u32) -> f64 {
    let digest = Digest::of(format!("{seed}\n{rule}\n{name}\n{tries}").as_bytes());
    let draw = digest
        .bytes()
        .iter()
        .take(4)
        .fold(0u32, |draw, byte| (draw << 8) | u32::from(*byte));
    f64::from(draw) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subject(key: &str) -> Subject<'_> {
        Subject {
            routes: &[RouteMatch::Chats, RouteMatch::Posts, RouteMatch::Any],
            to: Some("+12025550143"),
            key: Some(key),
            request: Digest::of(b""),
        }
    }

    fn desk(seed: u64, rule: Rule) -> Desk {
        let mut desk = Desk::default();
        desk.set(FaultPlan {
            seed,
            rules: vec![rule],
        });
        desk
    }

    fn half() -> Rule {
        Rule {
            share: 0.5,
            ..Rule::always(Fault::Drop {})
        }
    }

    #[test]
    fn a_share_of_a_half_hits_about_half() {
        let mut desk = desk(7, half());
        let hits = (0..2_000)
            .filter(|n| desk.decide(subject(&n.to_string())).is_some())
            .count();
        assert!((900..1_100).contains(&hits), "{hits}");
        assert_eq!(desk.report().rules[0].fired, hits as u64);
    }

    #[test]
    fn a_rule_for_first_attempts_lets_the_second_through() {
        let mut desk = desk(
            1,
            Rule {
                attempts: Some(1),
                ..Rule::always(Fault::Drop {})
            },
        );
        let hits: Vec<_> = ["a", "b", "a", "b"]
            .map(|key| desk.decide(subject(key)).is_some())
            .into();
        assert_eq!(hits, [true, true, false, false]);
    }

    #[test]
    fn a_rule_fires_no_more_than_its_times() {
        let mut desk = desk(
            1,
            Rule {
                times: Some(2),
                ..Rule::always(Fault::Drop {})
            },
        );
        let hits = (0..9).filter(|_| desk.decide(subject("a")).is_some());
        assert_eq!(hits.count(), 2);
    }

    #[test]
    fn a_match_leaves_the_others_alone() {
        let matching = Match {
            to: Some("+12025550199".into()),
            ..Match::default()
        };
        let mut desk = desk(
            1,
            Rule {
                matching,
                ..Rule::always(Fault::Drop {})
            },
        );
        assert!(desk.decide(subject("a")).is_none());
    }

    proptest! {
        #[test]
        fn the_order_of_other_keys_changes_nothing(seed: u64, mut keys in prop::collection::hash_set("[a-z]{1,6}", 1..20)) {
            let fate = |order: Vec<&String>| {
                let mut desk = desk(seed, half());
                let mut fates: Vec<_> = order
                    .into_iter()
                    .map(|key| (key.clone(), desk.decide(subject(key)).is_some()))
                    .collect();
                fates.sort();
                fates
            };
            let order: Vec<_> = keys.iter().collect();
            let reversed = order.iter().rev().copied().collect();
            prop_assert_eq!(fate(order), fate(reversed));
            keys.clear();
        }
    }
}
