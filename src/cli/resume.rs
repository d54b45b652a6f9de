//! `resume`: continues a run from the ledger alone; the campaign's files are not needed.

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::caps::Bounds;
use super::drive::{Portion, drive};
use super::place::Place;
use super::{App, Exit, Format, Stop, caps, freeze, open, preflight, rehearsal, schedule_words};
use crate::domain::campaign::Terms;
use crate::domain::cap::{Room, Subject};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::duration;
use crate::domain::run::RunState;
use crate::engine::dispatch::WhenIdle;
use crate::ledger::{CapState, Gate, Held, Ledger, RunFacts, RunRecord};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff resume review-request@once          says what it will do, then asks
  sendoff resume review-request@once --yes    from a script")]
pub(super) struct ResumeArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
    /// Do not ask before sending
    #[arg(long)]
    yes: bool,
    /// Leave when nothing is due, instead of waiting (exit code 4)
    #[arg(long)]
    until_idle: bool,
    /// Keep on after the last message for so long, looking for receipts and answers
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    track: Option<SignedDuration>,
    #[command(flatten)]
    place: Place,
    /// How the summary is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) async fn resume(app: &App, args: ResumeArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    let record = open::run(&*ledger, &args.run).await?;
    let bounds = Bounds::of(&found.settings, &record.gateway);
    let (facts, changed) = look(app, &*ledger, &record, bounds).await?;
    if matches!(record.state, RunState::Finished | RunState::Cancelled) {
        app.out.note(&format!(
            "{} is {}: nothing is sent.",
            record.run, record.state
        ));
        if let (Some(time), false) = (args.track, record.run.is_rehearsal()) {
            let (known, how) = ((record, facts.counts), (time, args.format));
            return super::drive::look_on(app, ledger, &found, known, how).await;
        }
        super::drive::summary(app, &record, &facts, args.format)?;
        return Ok(super::drive::finished(&facts));
    }
    tell(app, &record, &facts);
    freeze::tell_changed(app, &record.run, &changed);
    let portion = Portion {
        limit: None,
        only: None,
        when_idle: if args.until_idle {
            WhenIdle::Leave
        } else {
            WhenIdle::Wait
        },
        format: args.format,
        track: args.track,
    };
    if record.run.is_rehearsal() {
        let rehearsal = rehearsal::start(app, &record.terms).await?;
        let record = set_running(app, &*ledger, record).await?;
        let known = (record, facts.counts);
        return drive(app, ledger, &rehearsal.ready, known, &portion).await;
    }
    let ready = preflight::gateway(app, &found, &record.gateway)?;
    preflight::same_account(&*ledger, &ready).await?;
    args.place.prove(app, &*ledger, &ready).await?;
    if !args.yes {
        super::run::ask(app, &format!("Continue {}?", record.run))?;
    }
    let record = set_running(app, &*ledger, record).await?;
    drive(app, ledger, &ready, (record, facts.counts), &portion).await
}

/// How a run stands, and which of its files have changed since. A long list is read meanwhile.
async fn look(
    app: &App,
    ledger: &dyn Ledger,
    record: &RunRecord,
    bounds: Bounds<'_>,
) -> Result<(RunFacts, Vec<String>), Stop> {
    let frozen = record.clone();
    let changed = tokio::task::spawn_blocking(move || freeze::changed_on_disk(&frozen));
    let facts = caps::facts(ledger, record, bounds, app.clock.now()).await?;
    Ok((facts, changed.await.unwrap_or_default()))
}

/// What resuming is about to do.
fn tell(app: &App, record: &RunRecord, facts: &RunFacts) {
    let (run, counts) = (&record.run, &facts.counts);
    let why = match (record.state, &record.reason) {
        (RunState::Running, _) | (_, None) => String::new(),
        (state, Some(reason)) => format!(" It is {state}: {}.", reason.trim_end_matches('.')),
    };
    let lines = match record.terms.lines.len() {
        0 => String::new(),
        1 => ", from 1 line".to_owned(),
        n => format!(", from {n} lines"),
    };
    let through = if run.is_rehearsal() {
        "in a sandbox".to_owned()
    } else {
        format!("through the gateway '{}'", record.gateway)
    };
    app.out.note(&format!(
        "{run}: {} of {} sent, {} to go {through}{lines}.{why}",
        counts.accepted(),
        record.total,
        counts.open(),
    ));
    for line in plan(&record.terms, facts, app.clock.now()) {
        app.out.note(&format!("  {line}"));
    }
    if !facts.outlook.present.is_empty() {
        let workers = facts.outlook.workers();
        app.out
            .note(&format!("  already on it: {workers}; the work is shared"));
    }
}

/// What is to be sent, tried again and asked again, and what has to wait.
fn plan(terms: &Terms, facts: &RunFacts, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let unanswered = facts.counts.of(DeliveryState::Sending);
    if unanswered > 0 {
        let words = if facts.outlook.present.is_empty() {
            let (by, so) = (terms.settled_by(), terms.settled_for());
            format!("without an answer: {by}{so}")
        } else {
            "on the wire".to_owned()
        };
        lines.push(format!("{unanswered} {words}"));
    }
    for (hold, n, due_at) in &facts.holds {
        let words = match hold {
            None => "to be sent",
            Some(Hold::Retry) => "refused for now: to be tried again",
            Some(Hold::Window) => "outside the allowed hours",
            Some(Hold::LineCapacity) => "waiting for their line",
            Some(Hold::LineInactive) => "waiting for a line that is not active",
            Some(Hold::DailyCap) => "over the cap of the day",
            Some(Hold::Throttled) => "waiting because the whole account has to",
        };
        let when = if *due_at > now {
            format!(", the first {}", schedule_words::distance(now, *due_at))
        } else {
            String::new()
        };
        lines.push(format!("{n} {words}{when}"));
    }
    lines.extend(facts.caps.iter().filter_map(|state| used_up(state, now)));
    let open = |gate: &&Gate| gate.until > now && gate.inactive_since.is_none();
    for gate in facts.gates.iter().filter(open) {
        let whom = match &gate.held {
            Held::Account => "the whole account".to_owned(),
            Held::Line(line) => format!("the line {line}"),
            Held::Recipient(phone) => phone.masked(),
        };
        let until = schedule_words::distance(now, gate.until);
        lines.push(format!("{whom} has to wait ({until}): {}", gate.reason));
    }
    lines
}

/// A cap that has no room now, and when it has some again.
fn used_up(state: &CapState, now: Timestamp) -> Option<String> {
    let Room::Closed { until } = state.room else {
        return None;
    };
    let used = state.used.taken;
    let most = state.cap.on_day(state.used.days_before);
    let of = most.map_or_else(String::new, |most| format!(" of {most}"));
    let whom = match &state.subject {
        Subject::Campaign(_) => format!("{used}{of} people were newly written to today"),
        Subject::Line(line) => format!("{used}{of} first messages left from {line} today"),
    };
    let wait = schedule_words::distance(now, until);
    Some(format!("{whom}; the next may ({wait})"))
}

async fn set_running(app: &App, ledger: &dyn Ledger, record: RunRecord) -> Result<RunRecord, Stop> {
    if record.state == RunState::Running {
        return Ok(record);
    }
    Ok(ledger
        .set_state(&record.run, RunState::Running, None, app.clock.now())
        .await?)
}
