//! `status`: all runs, or one.

use std::collections::BTreeMap;

use clap::Args;

use super::caps::Bounds;
use super::{App, Exit, Format, Stop, caps, drive, open};
use crate::domain::cap::Subject;
use crate::domain::run::RunState;
use crate::intake::settings_file::Settings;
use crate::ledger::{AtWork, Gate, Ledger, Outlook, RunFacts, RunRecord};
use crate::report::{self, Glance, LineState};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff status                                    every run, newest first, the workers and the lines
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
        let bounds = Bounds::of(&found.settings, &record.gateway);
        let facts = caps::facts(&*ledger, &record, bounds, app.clock.now()).await?;
        let workers = if record.state == RunState::Running {
            ledger.workers(app.clock.now()).await?
        } else {
            Vec::new()
        };
        of_run(app, &record, &facts, &workers, args.format)?;
        return Ok(Exit::Done);
    }
    let settings = open::settings(app)?.settings;
    let runs = glances(app, &*ledger, &settings).await?;
    let workers = ledger.workers(app.clock.now()).await?;
    let lines = lines(app, &*ledger, (&runs, &settings)).await?;
    match args.format {
        Format::Text => {
            let view = drive::view(app);
            app.out.data(&report::status_table(&runs, &view))?;
            table(app, &report::workers_table(&workers, None, &view))?;
            table(app, &report::lines_table(&lines, &view))?;
        }
        Format::Json => {
            let json = report::runs_json(&runs, &workers, &lines);
            app.out.data(&format!("{json:#}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Every run, and when something of it is next to be done.
async fn glances(app: &App, ledger: &dyn Ledger, settings: &Settings) -> Result<Vec<Glance>, Stop> {
    let now = app.clock.now();
    let mut gates: BTreeMap<String, Vec<Gate>> = BTreeMap::new();
    let mut runs = Vec::new();
    for (run, counts) in ledger.runs().await? {
        let mut outlook = Outlook::default();
        if counts.open() > 0 {
            if !gates.contains_key(&run.gateway) {
                let account = Bounds::of(settings, &run.gateway).account;
                let mut open = ledger.gates(&run.gateway, now).await?;
                let used_up = caps::used_up(ledger, &run.gateway, (&account, &open), now);
                let used_up = used_up.await?;
                open.extend(used_up);
                gates.insert(run.gateway.clone(), open);
            }
            let gates = gates.get(&run.gateway).map_or(&[][..], Vec::as_slice);
            outlook = caps::held(ledger.outlook(&run.run).await?, gates);
        }
        runs.push(Glance {
            run,
            counts,
            outlook,
        });
    }
    Ok(runs)
}

/// The lines that matter now: of runs that are not over, in use today, or held.
async fn lines(
    app: &App,
    ledger: &dyn Ledger,
    (runs, settings): (&[Glance], &Settings),
) -> Result<Vec<LineState>, Stop> {
    let mut of: BTreeMap<&str, BTreeMap<&str, bool>> = BTreeMap::new();
    for Glance { run, .. } in runs.iter().filter(|one| !one.run.run.is_rehearsal()) {
        let over = matches!(run.state, RunState::Finished | RunState::Cancelled);
        let lines = of.entry(&run.gateway).or_default();
        for line in &run.terms.lines {
            *lines.entry(line.expose()).or_default() |= !over;
        }
    }
    let now = app.clock.now();
    let mut all = Vec::new();
    for (gateway, lines) in of {
        let gates = ledger.gates(gateway, now).await?;
        let capped = lines.keys().map(|line| Subject::Line((*line).to_owned()));
        let caps = match Bounds::of(settings, gateway).first_touch {
            Some(cap) => {
                let capped: Vec<_> = capped.map(|line| (line, cap.clone())).collect();
                ledger.caps(gateway, &capped, now).await?
            }
            None => Vec::new(),
        };
        all.extend(lines.into_iter().filter_map(|(line, open)| {
            let state = LineState::new(gateway, line, &caps, &gates);
            (open || state.is_in_use()).then_some(state)
        }));
    }
    Ok(all)
}

fn of_run(
    app: &App,
    record: &RunRecord,
    facts: &RunFacts,
    workers: &[AtWork],
    format: Format,
) -> Result<(), Stop> {
    match format {
        Format::Text => {
            drive::summary(app, record, facts, format)?;
            let view = drive::view(app);
            table(
                app,
                &report::workers_table(workers, Some(&record.run), &view),
            )
        }
        Format::Json => {
            let mut json = report::run_json(record, facts);
            if let Some(fields) = json.as_object_mut() {
                let workers = report::workers_on(workers, &record.run);
                fields.insert("workers".to_owned(), workers);
            }
            Ok(app.out.data(&format!("{json:#}\n"))?)
        }
    }
}

/// A second table below other words; nothing where it is empty.
fn table(app: &App, table: &str) -> Result<(), Stop> {
    if table.is_empty() {
        return Ok(());
    }
    Ok(app.out.data(&format!("\n{table}"))?)
}
