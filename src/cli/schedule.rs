//! `schedule`: the next occurrences of campaigns, in words.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{App, Exit, Stop, open, schedule_words};
use crate::domain::campaign::Campaign;
use crate::domain::problem::Problems;
use crate::domain::run::RunId;
use crate::intake::campaign_file;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff schedule                                       every campaign under campaigns/
  sendoff schedule campaigns/nightly-reminder.yaml --next 10

From system cron, every five minutes:
  */5 * * * *  cd /path/to/project && sendoff run campaigns/nightly-reminder.yaml --due --yes")]
pub(super) struct ScheduleArgs {
    /// A campaign file; every one under campaigns/ when left out
    #[arg(value_name = "CAMPAIGN")]
    campaign: Option<PathBuf>,
    /// How many occurrences to show
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1_000))]
    next: u16,
}

/// The folder that is looked through when no campaign is named.
const FOLDER: &str = "campaigns";

pub(super) async fn schedule(app: &App, args: ScheduleArgs) -> Result<Exit, Stop> {
    let named = args.campaign.is_some();
    let paths = match args.campaign {
        Some(path) => vec![path],
        None => campaigns(Path::new(FOLDER))?,
    };
    let (mut problems, mut shown) = (Problems::default(), 0);
    for path in paths {
        let (file, found) = campaign_file::read(&path);
        problems.extend(found);
        if let Some(file) = file
            && (named || file.campaign.schedule.is_some())
        {
            shown += 1;
            app.out
                .data(&in_words(app, &path, &file.campaign, args.next))?;
            missed(app, &file.campaign).await?;
        }
    }
    app.out.problems(&problems);
    if shown == 0 && !problems.has_errors() {
        app.out
            .note(&format!("No campaign under {FOLDER}/ has a schedule."));
    }
    Ok(if problems.has_errors() {
        Exit::CouldNotStart
    } else {
        Exit::Done
    })
}

fn campaigns(folder: &Path) -> Result<Vec<PathBuf>, Stop> {
    let entries = fs::read_dir(folder).map_err(|_| {
        Stop::could_not_start(format!("there is no folder '{}' here", folder.display()))
            .help("name a campaign file")
    })?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "yaml" || end == "yml")
        })
        .collect();
    paths.sort();
    Ok(paths)
}

fn in_words(app: &App, path: &Path, campaign: &Campaign, next: u16) -> String {
    let mut words = format!("{} ({})\n", campaign.name, path.display());
    let Some(schedule) = &campaign.schedule else {
        return words + "  no schedule: it is sent when `sendoff run` is called\n";
    };
    writeln!(words, "  {}", schedule_words::schedule(schedule)).ok();
    for rule in schedule_words::rules(schedule) {
        writeln!(words, "  {rule}").ok();
    }
    let now = app.clock.now();
    let (mut after, mut left) = (now, next);
    while left > 0
        && let Some(fire) = schedule.next_after(after)
    {
        let line = schedule_words::fire(&fire, &schedule.timezone, now);
        let run = RunId::new(&campaign.name, &fire.occurrence).map(String::from);
        writeln!(words, "    {line:<52} {}", run.unwrap_or_default()).ok();
        (after, left) = (fire.at, left - 1);
    }
    if left == next {
        words += "  it does not come again\n";
    }
    words
}

/// Occurrences that were due and were not sent, if there is a ledger that knows.
async fn missed(app: &App, campaign: &Campaign) -> Result<(), Stop> {
    let found = open::settings(app)?;
    let Some(ledger) = open::ledger_if_there(app, &found.settings).await? else {
        return Ok(());
    };
    for one in ledger.missed(&campaign.name, 5).await? {
        app.out
            .data(&format!("    missed {}: {}\n", one.run, one.reason))?;
    }
    Ok(())
}
