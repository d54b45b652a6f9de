//! Runs as JSON, for programs: one documented shape (`docs/reports.md`) that only ever grows.

use std::io::Write;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lines::{LineState, lines_json, lines_of};
use super::workers::workers_json;
use super::{Format, Glance, ReportError, Subject};
use crate::domain::cap::{self, Room};
use crate::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use crate::ledger::{Answers, AtWork, CapState, Held, Outlook, RunFacts, RunRecord};

/// RFC 3339 in UTC with milliseconds, in every format for programs.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// `report RUN --format json`
#[derive(Debug, Clone, Copy)]
pub struct Json;

#[async_trait]
impl Format for Json {
    async fn write(
        &self,
        subject: Subject<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), ReportError> {
        let facts = subject.ledger.facts(&subject.run.run, subject.now).await?;
        writeln!(out, "{:#}", run_json(subject.run, &facts))?;
        Ok(out.flush()?)
    }
}

/// One run with everything that is known of it as a whole.
pub fn run_json(run: &RunRecord, facts: &RunFacts) -> Value {
    let mut fields = base(run, facts.counts);
    let skipped: Map<String, Value> = SkipReason::ALL
        .into_iter()
        .map(|reason| {
            let n = facts.skipped.get(&reason).copied().unwrap_or(0);
            (reason.as_str().to_owned(), json!(n))
        })
        .collect();
    let failures: Vec<Value> = facts
        .failures
        .iter()
        .map(|group| {
            json!({
                "state": group.state.as_str(),
                "code": group.code,
                "text": group.text,
                "count": group.count,
            })
        })
        .collect();
    let holds: Vec<Value> = facts
        .holds
        .iter()
        .map(|(hold, count, due_at)| {
            json!({
                "hold": hold.map(Hold::as_str),
                "count": count,
                "due_at": instant(*due_at),
            })
        })
        .collect();
    let gates: Vec<Value> = facts
        .gates
        .iter()
        .map(|gate| {
            let line = match &gate.held {
                Held::Line(line) => Some(line),
                Held::Account | Held::Recipient(_) => None,
            };
            json!({
                "line": line,
                "inactive_since": gate.inactive_since.map(instant),
                "until": instant(gate.until),
                "reason": gate.reason,
            })
        })
        .collect();
    let caps: Vec<Value> = facts.caps.iter().map(cap).collect();
    for (name, value) in [
        ("skipped", Value::Object(skipped)),
        ("failures", Value::Array(failures)),
        ("failures_not_listed", json!(not_listed(facts))),
        ("holds", Value::Array(holds)),
        ("gates", Value::Array(gates)),
        ("caps", Value::Array(caps)),
        ("lines", lines_json(&lines_of(run, facts))),
        ("workers", workers(&facts.outlook)),
        ("next_due_at", json!(facts.outlook.next_due_at.map(instant))),
        ("answers", answers(&facts.answers)),
        ("first_sent_at", json!(facts.first_sent_at.map(instant))),
        ("last_sent_at", json!(facts.last_sent_at.map(instant))),
    ] {
        fields.insert(name.to_owned(), value);
    }
    Value::Object(fields)
}

fn answers(answers: &Answers) -> Value {
    let first: Vec<Value> = answers
        .first
        .iter()
        .map(|reply| {
            json!({
                "row": reply.row,
                "phone": reply.phone.masked(),
                "text": reply.text,
                "at": instant(reply.at),
            })
        })
        .collect();
    json!({
        "replies": answers.replies,
        "opted_out": answers.opted_out,
        "to_review": answers.to_review,
        "first_opted_out": first,
    })
}

/// A cap of the day on which it was looked at; `until` where it has no room now.
fn cap(one: &CapState) -> Value {
    let line = match &one.subject {
        cap::Subject::Line(line) => Some(line),
        cap::Subject::Campaign(_) => None,
    };
    json!({
        "line": line,
        "used": one.used.taken,
        "per_day": one.cap.on_day(one.used.days_before),
        "last_at": one.used.last_at.map(instant),
        "until": match one.room {
            Room::Closed { until } => Some(instant(until)),
            Room::Open(_) => None,
        },
    })
}

/// Runs in the given order (the ledger's: newest first), workers and lines, as
/// `{"runs": […], "workers": […], "lines": […]}`.
pub fn runs_json(runs: &[Glance], at_work: &[AtWork], lines: &[LineState]) -> Value {
    let runs: Vec<Value> = runs
        .iter()
        .map(|glance| {
            let mut fields = base(&glance.run, glance.counts);
            let next_due_at = glance.outlook.next_due_at.map(instant);
            fields.insert("workers".to_owned(), workers(&glance.outlook));
            fields.insert("next_due_at".to_owned(), json!(next_due_at));
            Value::Object(fields)
        })
        .collect();
    json!({ "runs": runs, "workers": workers_json(at_work), "lines": lines_json(lines) })
}

fn workers(outlook: &Outlook) -> Value {
    let present = outlook.present.iter();
    present
        .map(|one| json!({ "name": one.worker.0, "since": instant(one.since) }))
        .collect()
}

/// What every run has, also in a list of runs.
fn base(run: &RunRecord, counts: Counts) -> Map<String, Value> {
    let silent = counts.no_confirmation();
    let counts: Map<String, Value> = counts
        .iter()
        .map(|(state, n)| (state.as_str().to_owned(), json!(n)))
        .collect();
    [
        ("run", json!(run.run.as_str())),
        ("campaign", json!(run.run.campaign())),
        ("occurrence", json!(run.run.occurrence())),
        ("rehearsal", json!(run.run.is_rehearsal())),
        ("gateway", json!(run.gateway)),
        ("state", json!(run.state.as_str())),
        ("reason", json!(run.reason)),
        ("total", json!(run.total)),
        ("counts", Value::Object(counts)),
        ("no_confirmation", json!(silent)),
        ("created_at", json!(instant(run.created_at))),
        ("starts_at", json!(instant(run.starts_at))),
        ("finished_at", json!(run.finished_at.map(instant))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Failed and uncertain deliveries beyond the groups that the ledger lists.
pub(super) fn not_listed(facts: &RunFacts) -> u64 {
    let all = facts.counts.of(DeliveryState::Failed) + facts.counts.of(DeliveryState::Uncertain);
    let listed: u64 = facts.failures.iter().map(|group| group.count).sum();
    all.saturating_sub(listed)
}
