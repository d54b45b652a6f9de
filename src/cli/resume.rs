//! `resume`: continues a run from the ledger alone; the campaign's files are not needed.

use clap::Args;

use super::drive::{Portion, drive};
use super::place::Place;
use super::{App, Exit, Format, Stop, freeze, open, preflight, rehearsal};
use crate::domain::run::RunState;
use crate::engine::dispatch::WhenIdle;
use crate::ledger::RunRecord;

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
    #[command(flatten)]
    place: Place,
    /// How the summary is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) async fn resume(app: &App, args: ResumeArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let ledger = open::existing_ledger(app).await?;
    let record = open::run(&*ledger, &args.run).await?;
    let facts = ledger.facts(&record.run, app.clock.now()).await?;
    if matches!(record.state, RunState::Finished | RunState::Cancelled) {
        app.out.note(&format!(
            "{} is {}: nothing is sent.",
            record.run, record.state
        ));
        super::drive::summary(app, &record, &facts, args.format)?;
        return Ok(super::drive::finished(&facts));
    }
    tell(app, &record, facts.counts.accepted(), facts.counts.open());
    freeze::tell_changed(app, &record.run, &freeze::changed_on_disk(&record));
    let portion = Portion {
        limit: None,
        only: None,
        when_idle: if args.until_idle {
            WhenIdle::Leave
        } else {
            WhenIdle::Wait
        },
        format: args.format,
    };
    if record.run.is_rehearsal() {
        let rehearsal = rehearsal::start(app, &record.terms.lines).await?;
        let record = set_running(app, &*ledger, record).await?;
        return drive(app, ledger, &rehearsal.ready, record, &portion).await;
    }
    let ready = preflight::gateway(app, &found, &record.gateway)?;
    preflight::same_account(&*ledger, &ready).await?;
    args.place.prove(app, &*ledger, &ready).await?;
    if !args.yes {
        super::run::ask(app, &format!("Continue {}?", record.run))?;
    }
    let record = set_running(app, &*ledger, record).await?;
    drive(app, ledger, &ready, record, &portion).await
}

fn tell(app: &App, record: &RunRecord, sent: u64, open: u64) {
    let why = match (record.state, &record.reason) {
        (RunState::Running, _) | (_, None) => String::new(),
        (state, Some(reason)) => format!(" It is {state}: {reason}."),
    };
    let through = if record.run.is_rehearsal() {
        "in a sandbox".to_owned()
    } else {
        format!("through the gateway '{}'", record.gateway)
    };
    app.out.note(&format!(
        "{}: {sent} of {} sent, {open} to go {through}.{why}",
        record.run, record.total
    ));
}

async fn set_running(
    app: &App,
    ledger: &dyn crate::ledger::Ledger,
    record: RunRecord,
) -> Result<RunRecord, Stop> {
    if record.state == RunState::Running {
        return Ok(record);
    }
    Ok(ledger
        .set_state(&record.run, RunState::Running, None, app.clock.now())
        .await?)
}
