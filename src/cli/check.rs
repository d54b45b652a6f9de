//! `check`: every problem of campaign, template and list, at once. Sends nothing, keeps nothing.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::caps::{self, Prospect};
use super::freeze::{self, Birth, Trial};
use super::open::FoundSettings;
use super::{App, Exit, Format, Stop, open};
use crate::domain::channel::Channel;
use crate::domain::problem::{Problem, Problems, Severity};
use crate::domain::run::RunId;
use crate::ledger::Ledger;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff check campaigns/review-request.yaml
  sendoff check campaigns/*.yaml --format json")]
pub(super) struct CheckArgs {
    /// Campaign files
    #[arg(value_name = "CAMPAIGN", required = true)]
    campaigns: Vec<PathBuf>,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// What was found out about one campaign.
struct Checked {
    path: PathBuf,
    name: Option<String>,
    channel: Option<Channel>,
    trial: Option<Trial>,
    problems: Problems,
    /// How long it takes, where its caps make it long.
    how_long: Option<String>,
}

pub(super) async fn check(app: &App, args: CheckArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let history = open::ledger_if_there(app, &found.settings).await?;
    let mut errors = 0;
    let mut all = Vec::new();
    for path in args.campaigns {
        let checked = one(app, &found, history.as_deref(), path).await?;
        errors += checked.problems.errors();
        if args.format == Format::Text {
            app.out.problems(&checked.problems);
            app.out.data(&in_words(&checked))?;
        }
        all.push(checked);
    }
    if args.format == Format::Json {
        let campaigns: Vec<Value> = all.iter().map(as_json).collect();
        app.out.data(&format!(
            "{:#}\n",
            json!({ "errors": errors, "campaigns": campaigns })
        ))?;
    }
    Ok(if errors == 0 {
        Exit::Done
    } else {
        Exit::CouldNotStart
    })
}

async fn one(
    app: &App,
    found: &FoundSettings,
    history: Option<&dyn Ledger>,
    path: PathBuf,
) -> Result<Checked, Stop> {
    // Without a settings file a campaign can still be rehearsed, so that is no fault of it.
    let settings = found.path.as_ref().map(|_| &found.settings);
    let source = match freeze::read(&path, settings) {
        Ok(source) => source,
        Err(problems) => {
            return Ok(Checked {
                path,
                name: None,
                channel: None,
                trial: None,
                problems,
                how_long: None,
            });
        }
    };
    let campaign = source.campaign();
    let mut problems = source.warnings.clone();
    let birth = Birth {
        run: RunId::new(&campaign.name, freeze::CHECK)
            .map_err(|error| Stop::could_not_start(error.to_string()))?,
        gateway: campaign.gateway.clone(),
        account: None,
        starts_at: app.clock.now(),
        only: None,
    };
    let name = Some(campaign.name.clone());
    let channel = campaign.terms.channel;
    match freeze::trial(app, history, &source, &birth).await {
        Ok(trial) => {
            problems.extend(trial.problems.clone());
            let prospect = Prospect {
                campaign: &campaign.name,
                gateway: &campaign.gateway,
                terms: &campaign.terms,
                first_touch: caps::Bounds::of(&found.settings, &campaign.gateway).first_touch,
                facts: &trial.facts,
            };
            Ok(Checked {
                path,
                name,
                channel,
                how_long: caps::how_long(history, prospect, app.clock.now()).await?,
                trial: Some(trial),
                problems,
            })
        }
        Err(Stop::Problems(found)) => {
            problems.extend(found);
            Ok(Checked {
                path,
                name,
                channel,
                trial: None,
                problems,
                how_long: None,
            })
        }
        Err(stop @ (Stop::Error { .. } | Stop::Ledger(_) | Stop::PipeClosed)) => Err(stop),
    }
}

fn in_words(checked: &Checked) -> String {
    let path = checked.path.display();
    let errors = checked.problems.errors();
    let Some(trial) = checked.trial.as_ref().filter(|_| errors == 0) else {
        return format!("{path}: cannot be sent as it is\n");
    };
    let to_send = trial.facts.counts.open();
    let left_out: u64 = trial.facts.skipped.values().sum();
    let mut words = format!("{path}: {} rows, {to_send} to send", trial.rows);
    if left_out > 0 {
        write!(words, ", {left_out} left out").ok();
    }
    words.push('\n');
    let width = trial.rows.to_string().len();
    for (reason, n) in &trial.facts.skipped {
        let (why, name) = (reason.in_words(), reason.as_str());
        writeln!(words, "  {n:>width$}  {why} ({name})").ok();
    }
    if let Some(how_long) = &checked.how_long {
        writeln!(words, "  {how_long}").ok();
    }
    words
}

fn as_json(checked: &Checked) -> Value {
    let skipped: serde_json::Map<String, Value> = checked
        .trial
        .iter()
        .flat_map(|trial| &trial.facts.skipped)
        .map(|(reason, n)| (reason.as_str().to_owned(), json!(n)))
        .collect();
    json!({
        "file": checked.path.display().to_string(),
        "campaign": checked.name,
        "channel": checked.channel,
        "rows": checked.trial.as_ref().map(|trial| trial.rows),
        "to_send": checked.trial.as_ref().map(|trial| trial.facts.counts.open()),
        "skipped": skipped,
        "how_long": checked.how_long,
        "errors": checked.problems.errors(),
        "warnings": checked.problems.warnings(),
        "problems": checked.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}

fn problem(problem: &Problem) -> Value {
    let place = problem.place.as_ref();
    json!({
        "severity": match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "file": place.map(|place| &place.file),
        "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
        "message": problem.message,
        "help": problem.help,
    })
}
