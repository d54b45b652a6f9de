//! `status`: all runs, or one.

use clap::Args;

use super::{App, Exit, Format, Stop, caps, drive, open};
use crate::ledger::Outlook;
use crate::report::{self, Glance};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff status                                    every run, newest first
  sendoff status review-request@once                one run: counts, holds, failures
  sendoff status review-request@once --format json  the same for a script")]
pub(super) struct StatusArgs {
    /// The run, such as review-request@once; all runs when left out
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) async fn status(app: &App, args: StatusArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    if let Some(run) = &args.run {
        let record = open::run(&*ledger, run).await?;
        let found = open::settings(app)?;
        let first_touch = caps::first_touch(&found.settings, &record.gateway);
        let facts = caps::facts(&*ledger, &record, first_touch, app.clock.now()).await?;
        drive::summary(app, &record, &facts, args.format)?;
        return Ok(Exit::Done);
    }
    let mut runs = Vec::new();
    for (run, counts) in ledger.runs().await? {
        let outlook = if counts.open() > 0 {
            ledger.outlook(&run.run).await?
        } else {
            Outlook::default()
        };
        runs.push(Glance {
            run,
            counts,
            outlook,
        });
    }
    match args.format {
        Format::Text => {
            app.out
                .data(&report::status_table(&runs, &drive::view(app)))?;
        }
        Format::Json => app.out.data(&format!("{:#}\n", report::runs_json(&runs)))?,
    }
    Ok(Exit::Done)
}
