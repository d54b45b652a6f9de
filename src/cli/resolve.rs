//! `resolve`: a person's word on a delivery of which nothing else can tell.

use clap::{Args, ValueEnum};

use super::whom::{self, WhomArgs};
use super::{App, Exit, Stop, open, retry};
use crate::domain::delivery::DeliveryState;
use crate::domain::run::RunState;
use crate::ledger::Resolution;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff resolve review-request@once --recipient +12025550143 --as sent     it is in the conversation
  sendoff resolve review-request@once --recipient C-1007 --as unsent         it is not: send it again

The conversation with the recipient shows what arrived; `report` and `status` name the uncertain
ones. What is `unsent` goes out again with the same key and request, when the run is resumed.")]
pub(super) struct ResolveArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    whom: WhomArgs,
    /// What the conversation shows
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fate {
    /// The message is there
    Sent,
    /// The message is not there
    Unsent,
}

pub(super) async fn resolve(app: &App, args: ResolveArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    let run = open::run(&*ledger, &args.run).await?;
    let uncertain = DeliveryState::Uncertain;
    let Some(meant) = args.whom.meant() else {
        let whose = Stop::could_not_start("whose delivery? name them with --recipient or --row");
        let help = whom::who_is(app, &*ledger, &run, uncertain).await?;
        return Err(whose.help(help));
    };
    let found = whom::find(&*ledger, &run, &meant).await?;
    let Some(id) = found.first().copied() else {
        return Err(Stop::could_not_start("nobody was named"));
    };
    let resolution = match args.fate {
        Fate::Sent => Resolution::Sent,
        Fate::Unsent => {
            if run.state != RunState::Cancelled {
                retry::allowed(app, &run)?;
            }
            Resolution::Unsent
        }
    };
    let one = ledger.history(&run.run, id).await?.delivery;
    let done = ledger
        .resolve(&run.run, id, resolution, app.clock.now())
        .await?;
    if !done {
        return Err(whom::not_in(app, &*ledger, &run, (uncertain, Some(&one))).await?);
    }
    let who = whom::words(&one);
    let now = ledger.history(&run.run, id).await?.delivery;
    app.out.note(&match now.state {
        DeliveryState::Sent => format!("{}: {who} is sent, by your word.", run.run),
        DeliveryState::Cancelled => {
            format!("{}: {who} is cancelled, like the run.", run.run)
        }
        DeliveryState::Pending
        | DeliveryState::Sending
        | DeliveryState::Delivered
        | DeliveryState::Read
        | DeliveryState::Failed
        | DeliveryState::Uncertain
        | DeliveryState::Skipped => {
            let next = retry::next(app, &*ledger, &run).await?;
            let how = if run.terms.has_keys() {
                "put back, with the same key"
            } else {
                "put back; the provider knows no keys, so it gets there twice if it was sent"
            };
            format!("{}: {who} is {how}. {next}", run.run)
        }
    });
    Ok(Exit::Done)
}
