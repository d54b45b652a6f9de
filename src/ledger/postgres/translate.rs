//! A group of changes by the server's clock, and the answers by the caller's. When an attempt
//! was begun is taken as the ledger has it: measured twice, one moment would be two.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::{
    Begin, DeliveryId, Gate, Next, Record, Release, Settle, Verdict, Write, Written,
};
use super::clock::Shift;

/// When attempts were begun that the ledger knows of, by the delivery and the attempt: the last of
/// each, and earlier ones that are told of late.
#[derive(Debug)]
pub(super) struct Begins(pub(super) HashMap<(DeliveryId, i64), Timestamp>);

/// How the times of a group are moved.
struct Clocks<'a> {
    shift: Shift,
    begins: &'a Begins,
}

impl Clocks<'_> {
    fn at(&self, at: Timestamp) -> Timestamp {
        self.shift.to_server(at)
    }

    fn begun(&self, id: DeliveryId, attempt: u32, caller: Timestamp) -> Timestamp {
        let known = self.begins.0.get(&(id, i64::from(attempt)));
        known.copied().unwrap_or_else(|| self.at(caller))
    }

    fn gate(&self, gate: Option<&Gate>) -> Option<Gate> {
        gate.map(|gate| Gate {
            until: self.at(gate.until),
            inactive_since: gate.inactive_since.map(|since| self.at(since)),
            ..gate.clone()
        })
    }

    fn next(&self, next: &Next) -> Next {
        match next.clone() {
            Next::Pending {
                due_at,
                hold,
                tries,
                anew,
            } => Next::Pending {
                due_at: self.at(due_at),
                hold,
                tries,
                anew,
            },
            Next::Unanswered { again_at, tries } => Next::Unanswered {
                again_at: self.at(again_at),
                tries,
            },
            same @ (Next::Sent { .. } | Next::Failed | Next::Uncertain) => same,
        }
    }

    fn write(&self, write: &Write) -> Write {
        match write {
            Write::Begin(begin) => Write::Begin(Box::new(Begin {
                at: self.at(begin.at),
                lease_until: self.at(begin.lease_until),
                unanswered: begin
                    .unanswered
                    .map(|begun_at| self.begun(begin.id, begin.expected_attempt, begun_at)),
                ..(**begin).clone()
            })),
            Write::Record(record) => {
                let begun_at = self.begun(record.id, record.attempt, record.begun_at);
                Write::Record(Box::new(Record {
                    begun_at,
                    ended_at: self.at(record.ended_at).max(begun_at),
                    next: self.next(&record.next),
                    gate: self.gate(record.gate.as_ref()),
                    ..(**record).clone()
                }))
            }
            Write::Release(release) => Write::Release(Box::new(Release {
                at: self.at(release.at),
                next: release.next.as_ref().map(|next| self.next(next)),
                gate: self.gate(release.gate.as_ref()),
                ..(**release).clone()
            })),
            Write::Settle(settle) => Write::Settle(Box::new(Settle {
                begun_at: self.begun(settle.id, settle.attempt, settle.begun_at),
                at: self.at(settle.at),
                verdict: match settle.verdict.clone() {
                    Verdict::PutBack { why, due_at, tries } => Verdict::PutBack {
                        why,
                        due_at: self.at(due_at),
                        tries,
                    },
                    same @ (Verdict::Found { .. }
                    | Verdict::Uncertain { .. }
                    | Verdict::GivenUp { .. }) => same,
                },
                ..(**settle).clone()
            })),
        }
    }
}

pub(super) fn to_server(group: &[Write], shift: Shift, begins: &Begins) -> Vec<Write> {
    let clocks = Clocks { shift, begins };
    group.iter().map(|write| clocks.write(write)).collect()
}

pub(super) fn to_caller(written: Vec<Written>, shift: Shift) -> Vec<Written> {
    written
        .into_iter()
        .map(|one| match one {
            Written::Held { until } => Written::Held {
                until: shift.to_caller(until),
            },
            Written::Done | Written::Late | Written::LeftOut => one,
        })
        .collect()
}
