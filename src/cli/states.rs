//! `pause` and `cancel`: an operator's word on a run. Another process that is sending it takes
//! notice within a second.

use clap::Args;

use super::{App, Exit, Stop, open};
use crate::domain::run::RunState;

#[derive(Debug, Args)]
pub(super) struct RunRef {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
}

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    run: RunRef,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) async fn pause(app: &App, args: RunRef) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let run = open::run(&*ledger, &args.run).await?.run;
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
    if !record.state.may_become(RunState::Cancelled) {
        return Err(Stop::could_not_start(format!(
            "{run} is {}; there is nothing to cancel",
            record.state
        )));
    }
    let open = ledger.facts(&run, app.clock.now()).await?.counts.open();
    if !args.yes {
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
    ledger
        .set_state(&run, RunState::Cancelled, None, app.clock.now())
        .await?;
    app.out.note(&format!("{run} is cancelled."));
    Ok(Exit::Done)
}
