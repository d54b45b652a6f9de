//! `preview`: one recipient's message as they will see it, and the exact request that carries it.
//! Needs no account and no network; asks a ledger, where there is one, only who has opted out.

mod find;
mod html;
mod indent;
mod json;
mod sheet;
mod text;

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use self::find::{Found, List, OptOuts, Rules, Wanted};
use self::sheet::Sheet;
use super::freeze::{self, Source};
use super::{App, Exit, Stop, open, schedule_words};
use crate::domain::address::Address;
use crate::domain::campaign::Campaign;
use crate::domain::run::{ONCE, RunId};
use crate::domain::schedule::{Schedule, When};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff preview campaigns/review-request.yaml               the first row that is sent
  sendoff preview campaigns/review-request.yaml --row 7       this row, or why it is left out
  sendoff preview campaigns/review-request.yaml --to '(202) 555-0143' --format html -o dana.html
                                                              a page to look at or to pass on
  sendoff preview campaigns/review-request.yaml --format json | jq -r .request.body
                                                              the body, byte for byte")]
pub(super) struct PreviewArgs {
    /// The campaign file
    #[arg(value_name = "CAMPAIGN")]
    campaign: PathBuf,
    /// This row of the list; counts from 1, the header not included
    #[arg(long, value_name = "N", conflicts_with = "to")]
    row: Option<NonZeroU64>,
    /// The row with this phone number, written in any form, or e-mail address
    #[arg(long, value_name = "PHONE")]
    to: Option<String>,
    /// How it is shown
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: PreviewFormat,
    /// Write to this file, not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreviewFormat {
    /// Bubbles in the terminal
    Text,
    /// For scripts; holds the body byte for byte
    Json,
    /// One self-contained page
    Html,
}

pub(super) async fn preview(app: &App, args: PreviewArgs) -> Result<Exit, Stop> {
    let source = freeze::read(&args.campaign, None)?;
    app.out.problems(&source.warnings);
    let campaign = source.campaign();
    let wanted = wanted(&args, campaign)?;
    let occasion = occasion(campaign, app.clock.now())?;
    let rules = Rules {
        window: campaign.terms.window.clone(),
        starts_at: occasion.starts_at,
        suppressed: freeze::suppressed(&source)?.0,
        opt_outs: opt_outs(app, campaign).await,
    };
    let list = campaign.recipients.source.clone();
    let (loaded, run) = (source.loaded.clone(), occasion.run.clone());
    // Reading and rendering block.
    let finding = tokio::task::spawn_blocking(move || {
        let list = List::new(loaded, run, &list)?;
        find::find(&list, &wanted, &rules)
    });
    let found = finding.await.map_err(|error| Stop::Error {
        exit: Exit::Fault,
        text: format!("reading the list ended ({error})"),
        help: None,
    })??;
    app.out.problems(&found.problems);
    if found.problems.has_errors() {
        app.out
            .note("No run starts before this is mended; `sendoff check` looks at every row.");
    }
    show(app, &args, &sheet(&source, found, occasion))
}

/// The ledger, where there is one. A message can be looked at without it, so a ledger that cannot
/// be opened is told and no more.
async fn opt_outs(app: &App, campaign: &Campaign) -> Option<OptOuts> {
    let found = open::settings(app).ok()?;
    let Ok(ledger) = open::ledger_if_there(app, &found.settings).await else {
        app.out.note(
            "The ledger cannot be read: who has opted out is not known here; `sendoff check` says \
             why.",
        );
        return None;
    };
    Some(OptOuts {
        ledger: ledger?,
        gateway: campaign.gateway.clone(),
        runtime: tokio::runtime::Handle::current(),
    })
}

fn sheet(source: &Source, found: Found, occasion: Occasion) -> Sheet {
    let list = freeze::list_name(source.campaign());
    sheet::sheet(source.campaign(), list, found, occasion)
}

fn show(app: &App, args: &PreviewArgs, sheet: &Sheet) -> Result<Exit, Stop> {
    let text = match args.format {
        PreviewFormat::Text => {
            let look = match &args.output {
                None => text::Look {
                    colour: app.out.stdout_colour,
                    width: app.out.width,
                },
                Some(_) => text::Look::PLAIN,
            };
            text::text(sheet, look)
        }
        PreviewFormat::Json => json::json(sheet),
        PreviewFormat::Html => html::html(sheet),
    };
    match &args.output {
        None => app.out.data(&text)?,
        Some(path) => {
            write(path, &text)?;
            app.out.note(&format!("Written to {}.", path.display()));
        }
    }
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> Result<(), Stop> {
    std::fs::write(path, text).map_err(|error| {
        Stop::could_not_start(format!(
            "cannot write '{}': {}",
            path.display(),
            error.kind()
        ))
        .help("name a file in a folder that exists and that you may write to")
    })
}

fn wanted(args: &PreviewArgs, campaign: &Campaign) -> Result<Wanted, Stop> {
    Ok(match (&args.row, &args.to) {
        (Some(row), _) => Wanted::Row(row.get()),
        (None, Some(text)) => {
            let address = Address::parse(text, campaign.recipients.region)
                .map_err(|error| Stop::could_not_start(format!("--to: {error}")))?;
            Wanted::To(address)
        }
        (None, None) => Wanted::First,
    })
}

/// The run that a message would belong to, were it planned now.
#[derive(Debug)]
struct Occasion {
    run: RunId,
    starts_at: Timestamp,
    /// The start in words; absent where it is simply now.
    starts: Option<String>,
}

/// The one-off, or the next occurrence of the schedule. A one-off whose time has passed is still
/// the one that `--now` would send.
fn occasion(campaign: &Campaign, now: Timestamp) -> Result<Occasion, Stop> {
    let run = |occurrence: &str| {
        RunId::new(&campaign.name, occurrence)
            .map_err(|error| Stop::could_not_start(error.to_string()))
    };
    let Some(schedule) = &campaign.schedule else {
        return Ok(Occasion {
            run: run(ONCE)?,
            starts_at: now,
            starts: None,
        });
    };
    match schedule.next_after(now) {
        Some(fire) => Ok(Occasion {
            run: run(&fire.occurrence)?,
            starts_at: fire.at,
            starts: Some(schedule_words::fire(&fire, &schedule.timezone, now)),
        }),
        None => over(schedule, run(ONCE)?, now),
    }
}

fn over(schedule: &Schedule, once: RunId, now: Timestamp) -> Result<Occasion, Stop> {
    match &schedule.when {
        When::At(_) => {
            let starts = Some("the time in `schedule` has passed".to_owned());
            Ok(Occasion {
                run: once,
                starts_at: now,
                starts,
            })
        }
        When::Cron(_) => Err(
            Stop::could_not_start("the schedule has no occurrence any more")
                .help("mend `schedule` in the campaign, or remove it"),
        ),
    }
}
