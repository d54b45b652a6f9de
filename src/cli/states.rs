//! `pause` and `cancel`: an operator's word on a run. Another process that is sending it takes
//! notice within a second.

use clap::Args;

use super::{App, Exit, Stop, open};
use crate::domain::run::RunState;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff pause review-request@once     another process that is sending it stops, too
  sendoff resume review-request@once    goes on where it stopped")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    run: RunRef,
}

#[derive(Debug, Args)]
pub(super) struct RunRef {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff cancel nightly-reminder@2026-11-20T18:00-06:00         asks first
  sendoff cancel nightly-reminder@2026-11-20T18:00-06:00 --yes   from a script

Messages that were sent stay sent. To hold a run for a while, use `pause`.")]
pub(super) struct CancelArgs {
    #[command(flatten)]
    run: RunRef,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn pause(app: &App, args: PauseArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let record = open::run(&*ledger, &args.run.run).await?;
    let run = record.run;
    if !record.state.may_become(RunState::Paused) {
        return Err(Stop::could_not_start(format!(
            "{run} is {}; there is nothing to pause",
            record.state
        )));
    }
    let reason = Some("paused by the operator");
    ledger
        .set_state(&run, RunState::Paused, reason, app.clock.now())
        .await?;
    app.out.note(&format!(
        "{run} is paused; what is on the wire is finished. Continue with `sendoff resume {run}`."
    ));
    Ok(Exit::Done)
}

pub(super) async fn cancel(app: &App, args: CancelArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let record = open::run(&*ledger, &args.run.run).await?;
    let run = record.run;
    let open = ledger.facts(&run, app.clock.now()).await?.counts.open();
    // What was on the wire when it was cancelled may have lost its process since.
    let left = record.state == RunState::Cancelled && open > 0;
    if !record.state.may_become(RunState::Cancelled) && !left {
        return Err(Stop::could_not_start(format!(
            "{run} is {}; there is nothing to cancel",
            record.state
        )));
    }
    if !args.yes && !left {
        let question = format!("Cancel {run}? {open} messages will never be sent.");
        if !app.out.interactive {
            return Err(Stop::could_not_start("cancelling cannot be undone")
                .help("say --yes where there is no terminal to ask on"));
        }
        if !app.out.confirm(&question) {
            app.out.note("Nothing was changed.");
            return Ok(Exit::CouldNotStart);
        }
    }
    open::look_around(app, &*ledger).await?;
    ledger
        .set_state(&run, RunState::Cancelled, None, app.clock.now())
        .await?;
    app.out.note(&format!("{run} is cancelled."));
    Ok(Exit::Done)
}
