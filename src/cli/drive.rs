//! Drives a run that is in the ledger: progress, signals, the summary at the end, and the exit
//! code that tells the truth. Shared by `run` and `resume`.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::interrupts::Interrupts;
use super::open::FoundSettings;
use super::preflight::{self, Ready};
use super::{App, Exit, Format, Stop, caps, progress, schedule_words, track};
use crate::domain::address::Address;
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::run::{RunId, RunState};
use crate::engine::dispatch::{self, Ended, Engine, Session, Shutdown, WhenIdle};
use crate::engine::ears::Ears;
use crate::engine::limiter::Guard;
use crate::engine::tally::Tally;
use crate::ledger::{Ledger, LedgerError, Limits, Owner, RunFacts, RunRecord, Worker};
use crate::report;

/// How much of a run is to be done this time.
#[derive(Debug, Clone)]
pub(super) struct Portion {
    pub(super) limit: Option<u64>,
    pub(super) only: Option<Address>,
    pub(super) when_idle: WhenIdle,
    pub(super) format: Format,
    /// For how long receipts are looked for after the last message.
    pub(super) track: Option<SignedDuration>,
}

/// Leases belong to a process and a run together.
pub(super) fn owner() -> Owner {
    Owner(format!("{:08x}-{}", fastrand::u32(..), std::process::id()))
}

/// The name of this process, in which people find the machine and the process again.
pub(super) fn worker(app: &App) -> Worker {
    Worker::new(&host(app), std::process::id(), fastrand::u16(..))
}

#[cfg(unix)]
fn host(_: &App) -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

#[cfg(not(unix))]
fn host(app: &App) -> String {
    let name = app.variable("COMPUTERNAME").unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Sends what there is to send and reports. Takes the run as it stands, with its counts: to count a
/// long list takes longer than anything else before the first message.
pub(super) async fn drive(
    app: &App,
    ledger: Arc<dyn Ledger>,
    ready: &Ready,
    (run, counts): (RunRecord, Counts),
    portion: &Portion,
) -> Result<Exit, Stop> {
    if !run.run.is_rehearsal() && ready.name != run.gateway {
        return Err(LedgerError::Fault(format!(
            "{} belongs to the gateway '{}', not to '{}'",
            run.run, run.gateway, ready.name
        ))
        .into());
    }
    let tally = Arc::new(Tally::new(counts));
    let engine = Engine {
        ledger: ledger.clone(),
        gateway: ready.gateway.clone(),
        clock: app.clock.clone(),
        limits: limits(&run, ready),
        guard: Guard::of(ready.limits),
        ears: Ears::default(),
        run: run.clone(),
        tally: tally.clone(),
    };
    let session = Session {
        owner: owner(),
        worker: worker(app),
        share: None,
        limit: portion.limit,
        only: portion.only.clone(),
        when_idle: portion.when_idle,
        seed: fastrand::u64(..),
    };
    let shutdown = Shutdown::default();
    // From the beginning on: a signal that comes between sending and tracking is not lost.
    let tracking = portion.track.map(|time| (time, Interrupts::listen()));
    let shown = CancellationToken::new();
    let bar = tokio::spawn(progress::show(
        app.out,
        tally,
        app.clock.clone(),
        shown.clone(),
    ));
    let signals =
        tokio::spawn(Interrupts::listen().shut_down(app.out, "Stopping", shutdown.clone()));
    let ended = dispatch::dispatch(&engine, &session, &shutdown).await;
    shown.cancel();
    bar.await.ok();
    signals.abort();
    let ended = ended?;
    let mut record = ledger.run(&run.run).await?.unwrap_or(run);
    if let (Some((time, signals)), true) = (tracking, is_worth_tracking(&ended)) {
        let counts = ledger.facts(&record.run, app.clock.now()).await?.counts;
        let with = (ledger.clone(), ready);
        track::track(app, with, (&record, counts), time, signals).await?;
        record = ledger.run(&record.run).await?.unwrap_or(record);
    }
    let first_touch = ready.first_touch.as_ref();
    let facts = caps::facts(&*ledger, &record, first_touch, app.clock.now()).await?;
    summary(app, &record, &facts, portion.format)?;
    say_how_it_ended(app, &record, &facts, &ended);
    Ok(exit(&ended, &record, &facts))
}

/// Looks once more at a run of which nothing is left to be sent, and reports.
pub(super) async fn look_on(
    app: &App,
    ledger: Arc<dyn Ledger>,
    found: &FoundSettings,
    (record, counts): (RunRecord, Counts),
    (time, format): (SignedDuration, Format),
) -> Result<Exit, Stop> {
    let ready = preflight::gateway(app, found, &record.gateway)?;
    preflight::same_account(&*ledger, &ready).await?;
    let signals = Interrupts::listen();
    let with = (ledger.clone(), &ready);
    track::track(app, with, (&record, counts), time, signals).await?;
    let facts = ledger.facts(&record.run, app.clock.now()).await?;
    summary(app, &record, &facts, format)?;
    Ok(finished(&facts))
}

/// Who was stopped, or is refused by the provider, wants no more.
fn is_worth_tracking(ended: &Ended) -> bool {
    match ended {
        Ended::Finished
        | Ended::Idle { .. }
        | Ended::LimitReached
        | Ended::State(RunState::Finished) => true,
        Ended::Interrupted | Ended::Aborted | Ended::Halted { .. } | Ended::State(_) => false,
    }
}

/// The account's limit is the gateway's; the campaign's holds for the run besides.
pub(super) fn limits(run: &RunRecord, ready: &Ready) -> Limits {
    let pace = &run.terms.pace;
    Limits {
        account: ready.limits,
        run: pace.run(),
        line: pace.line(),
        day: run.terms.cap.clone(),
        first_touch: ready.first_touch.clone(),
    }
}

/// How the user looks at reports.
pub(super) fn view(app: &App) -> report::View {
    let colour = if app.out.stdout_colour {
        report::Colour::On
    } else {
        report::Colour::Off
    };
    report::View {
        now: app.clock.now(),
        timezone: jiff::tz::TimeZone::system(),
        style: report::Style {
            colour,
            width: app.out.width,
        },
    }
}

/// The run as it stands: the marketer's summary, or the same as JSON.
pub(super) fn summary(
    app: &App,
    record: &RunRecord,
    facts: &RunFacts,
    format: Format,
) -> Result<(), Stop> {
    match format {
        Format::Text => {
            app.out.data(&report::text(record, facts, &view(app)))?;
        }
        Format::Json => {
            let json = report::run_json(record, facts);
            app.out.data(&format!("{json:#}\n"))?;
        }
    }
    Ok(())
}

fn say_how_it_ended(app: &App, record: &RunRecord, facts: &RunFacts, ended: &Ended) {
    let run = &record.run;
    let resume = format!("`sendoff resume {run}` continues.");
    let words = match ended {
        Ended::Finished => return,
        Ended::Idle { next_at } => {
            let wait = schedule_words::distance(app.clock.now(), *next_at);
            format!("Nothing more is due now; the next is ({wait}). {resume}")
        }
        Ended::LimitReached => format!("As many as asked for. {resume}"),
        Ended::Interrupted => format!("Stopped; nobody was skipped. {resume}"),
        Ended::Aborted => format!(
            "Stopped with {} on the wire; each is {}{}. {resume}",
            facts.counts.of(DeliveryState::Sending),
            record.terms.settled_by(),
            record.terms.settled_for()
        ),
        Ended::Halted { reason } => halted(run, reason, &resume),
        Ended::State(state) => match state {
            RunState::Paused => format!("{run} was paused. {resume}"),
            RunState::Halted => halted(
                run,
                record.reason.as_deref().unwrap_or("by a person"),
                &resume,
            ),
            RunState::Cancelled => format!("{run} was cancelled."),
            RunState::Running | RunState::Finished => return,
        },
    };
    app.out.note(&words);
}

fn halted(run: &RunId, reason: &str, resume: &str) -> String {
    format!("{run} was halted: {reason}. Mend that, then {resume}")
}

fn exit(ended: &Ended, record: &RunRecord, facts: &RunFacts) -> Exit {
    match ended {
        Ended::Finished | Ended::State(RunState::Finished) => finished(facts),
        Ended::LimitReached if record.state == RunState::Finished => finished(facts),
        Ended::Idle { .. }
        | Ended::LimitReached
        | Ended::Interrupted
        | Ended::Aborted
        | Ended::Halted { .. }
        | Ended::State(_) => Exit::Stopped,
    }
}

/// The exit code of a run in which nothing is open any more.
pub(super) fn finished(facts: &RunFacts) -> Exit {
    let counts = &facts.counts;
    if counts.of(DeliveryState::Failed) + counts.of(DeliveryState::Uncertain) > 0 {
        Exit::SomeFailed
    } else {
        Exit::Done
    }
}
