//! The stored arrival times of the speed limits, read and advanced inside a claim's transaction.
//! How a slot follows from an arrival time is [`crate::domain::pace`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{AccountLimits, ClaimRequest};
use crate::domain::pace::{Meter, micros};

/// The arrival times of the limits that hold for a run: those stored, and those changed since.
#[derive(Debug)]
pub(super) struct Arrivals {
    stored: HashMap<String, i64>,
    changed: BTreeMap<String, i64>,
}

const ACCOUNT: &str = "account";
const ACCOUNT_DAY: &str = "account day";

fn line_subject(line: &str) -> String {
    format!("line {line}")
}

fn run_subject(request: &ClaimRequest<'_>) -> String {
    format!("run {}", request.run.run)
}

/// The limits that any request of an account is under, by subject.
pub(super) fn of_account(account: &AccountLimits) -> Vec<(String, Meter)> {
    let rate = account
        .rate
        .map(|rate| (ACCOUNT.to_owned(), Meter::Rate(rate)));
    let day = account
        .per_day
        .map(|per_day| (ACCOUNT_DAY.to_owned(), Meter::Day(per_day)));
    rate.into_iter().chain(day).collect()
}

/// The slots of single requests of an account: no messages, but under the same limits.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots {
    meters: Vec<(String, Meter)>,
    states: BTreeMap<String, i64>,
}

impl Slots {
    pub(super) fn new(account: &AccountLimits) -> Self {
        Self {
            meters: of_account(account),
            states: BTreeMap::new(),
        }
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        let subjects: BTreeSet<String> = self.meters.iter().map(|(one, _)| one.clone()).collect();
        subjects.into_iter().collect()
    }

    pub(super) fn stored(&mut self, states: Vec<(String, i64)>) {
        self.states = states.into_iter().collect();
    }

    /// When the next request may leave, from `now_us` on.
    pub(super) fn next_us(&self, now_us: i64) -> i64 {
        let slot = |(subject, meter): &(String, Meter)| {
            meter.slot_us(self.states.get(subject).copied(), now_us)
        };
        self.meters.iter().map(slot).fold(now_us, i64::max)
    }

    /// Takes that slot.
    pub(super) fn take(&mut self, slot_us: i64) {
        for (subject, meter) in &self.meters {
            let state = self.states.get(subject).copied();
            self.states
                .insert(subject.clone(), meter.after_us(state, slot_us));
        }
    }

    /// What is to be stored.
    pub(super) fn changed(&self) -> &BTreeMap<String, i64> {
        &self.states
    }
}

impl Arrivals {
    pub(super) fn new(stored: Vec<(String, i64)>) -> Self {
        Self {
            stored: stored.into_iter().collect(),
            changed: BTreeMap::new(),
        }
    }

    /// What limits a run's lines, in the one order in which every process asks for it.
    pub(super) fn subjects(request: &ClaimRequest<'_>, lines: &[String]) -> Vec<String> {
        let subjects: BTreeSet<String> = lines
            .iter()
            .flat_map(|line| Self::limits(line, request))
            .map(|(subject, _)| subject)
            .collect();
        subjects.into_iter().collect()
    }

    /// What is to be stored.
    pub(super) fn changed(&self) -> &BTreeMap<String, i64> {
        &self.changed
    }

    fn tat(&self, subject: &str) -> Option<i64> {
        self.changed
            .get(subject)
            .or_else(|| self.stored.get(subject))
            .copied()
    }

    /// The limits that a message from `line` is under.
    fn limits(line: &str, request: &ClaimRequest<'_>) -> Vec<(String, Meter)> {
        let limits = &request.limits;
        let line = limits.line.map(|limit| (line_subject(line), limit));
        let run = limits.run.map(|limit| (run_subject(request), limit));
        let own = [run, line].into_iter().flatten();
        let mut all = of_account(&limits.account);
        all.extend(own.map(|(subject, limit)| (subject, Meter::Rate(limit))));
        all
    }

    /// The earliest moment at which every limit lets a message from `line` go.
    pub(super) fn slot(&self, line: &str, request: &ClaimRequest<'_>) -> i64 {
        let now = micros(request.now);
        Self::limits(line, request)
            .iter()
            .map(|(subject, limit)| limit.slot_us(self.tat(subject), now))
            .fold(now, i64::max)
    }

    /// Reserves the next slot, unless it lies past the horizon.
    pub(super) fn take(&mut self, line: &str, request: &ClaimRequest<'_>) -> Option<i64> {
        let slot = self.slot(line, request);
        if slot > micros(request.horizon) {
            return None;
        }
        for (subject, limit) in Self::limits(line, request) {
            let after = limit.after_us(self.tat(&subject), slot);
            self.changed.insert(subject, after);
        }
        Some(slot)
    }

    /// How many messages the limits have room for up to the horizon, at the most.
    pub(super) fn room(&self, request: &ClaimRequest<'_>, open: &[String]) -> u32 {
        let mut trial = Self {
            stored: self.stored.clone(),
            changed: self.changed.clone(),
        };
        let mut room = 0;
        for line in open {
            while room < request.most && trial.take(line, request).is_some() {
                room += 1;
            }
        }
        room
    }
}
