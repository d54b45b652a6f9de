//! The stored arrival times of the speed limits, read and advanced inside a claim's transaction.
//! How a slot follows from an arrival time is [`crate::domain::pace`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::ClaimRequest;
use crate::domain::pace::{Limit, micros};

/// The arrival times of the limits that hold for a run: those stored, and those changed since.
#[derive(Debug)]
pub(super) struct Arrivals {
    stored: HashMap<String, i64>,
    changed: BTreeMap<String, i64>,
}

pub(super) const ACCOUNT: &str = "account";

fn line_subject(line: &str) -> String {
    format!("line {line}")
}

fn run_subject(request: &ClaimRequest<'_>) -> String {
    format!("run {}", request.run.run)
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
    fn limits(line: &str, request: &ClaimRequest<'_>) -> Vec<(String, Limit)> {
        let limits = &request.limits;
        let line = limits.line.map(|limit| (line_subject(line), limit));
        let run = limits.run.map(|limit| (run_subject(request), limit));
        let account = limits.account.map(|limit| (ACCOUNT.to_owned(), limit));
        [account, run, line].into_iter().flatten().collect()
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
