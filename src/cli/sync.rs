//! `sync`: asks the provider once what became of sent messages. Sends nothing.

use std::collections::BTreeMap;

use clap::Args;

use super::{App, Exit, Stop, open, preflight};
use crate::domain::delivery::DeliveryState;
use crate::engine::limiter::Guard;
use crate::engine::receipts::{Looker, Seen};
use crate::ledger::{Ledger, RunRecord};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff sync                       every run, for a line in crontab
  sendoff sync review-request@once   this run alone

Nothing is sent. A message is looked at 10 seconds after it was sent, then at growing intervals, for
three days; one that is not due yet is not asked about. Asking again later is always safe. A
rehearsal has no receipts to ask for: its sandbox ended with it.")]
pub(super) struct SyncArgs {
    /// The run, such as review-request@once [default: every run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

pub(super) async fn sync(app: &App, args: SyncArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let ledger = open::existing_ledger(app).await?;
    let runs = match &args.run {
        Some(text) => vec![one(&*ledger, text).await?],
        None => all(&*ledger).await?,
    };
    let mut lookers: BTreeMap<String, Looker> = BTreeMap::new();
    let mut exit = Exit::Done;
    for run in &runs {
        if !lookers.contains_key(&run.gateway) {
            let ready = preflight::gateway(app, &found, &run.gateway)?;
            preflight::same_account(&*ledger, &ready).await?;
            let looker = Looker {
                ledger: ledger.clone(),
                gateway: ready.gateway,
                clock: app.clock.clone(),
                guard: Guard::of(ready.limit),
            };
            lookers.insert(run.gateway.clone(), looker);
        }
        let Some(looker) = lookers.get(&run.gateway) else {
            continue;
        };
        let seen = looker.look(run, fastrand::u32(0..1_000)).await?;
        app.out.data(&format!("{}: {}\n", run.run, words(&seen)))?;
        if let Some(why) = &seen.stopped {
            exit = Exit::Stopped;
            app.out.note(&format!(
                "The provider did not answer for all: {why}. `sendoff sync {}` goes on later.",
                run.run
            ));
        }
    }
    if runs.is_empty() {
        app.out
            .note("Nothing was sent that a receipt could come for.");
    }
    Ok(exit)
}

async fn one(ledger: &dyn Ledger, text: &str) -> Result<RunRecord, Stop> {
    let run = open::run(ledger, text).await?;
    if run.run.is_rehearsal() {
        return Err(rehearsal(&run));
    }
    Ok(run)
}

/// The runs that a receipt can come for.
async fn all(ledger: &dyn Ledger) -> Result<Vec<RunRecord>, Stop> {
    let all = ledger.runs().await?.into_iter();
    let waiting = all.filter(|(run, counts)| {
        let sent = counts.of(DeliveryState::Sent) + counts.of(DeliveryState::Delivered);
        !run.run.is_rehearsal() && sent > 0
    });
    Ok(waiting.map(|(run, _)| run).collect())
}

fn rehearsal(run: &RunRecord) -> Stop {
    Stop::could_not_start(format!(
        "{} is a rehearsal; its sandbox is gone, and with it every receipt",
        run.run
    ))
    .help("name a run that was sent for real")
}

/// What has changed, and then what has not.
fn words(seen: &Seen) -> String {
    if seen.looked == 0 {
        return "no message is due to be looked at".to_owned();
    }
    let mut words = format!(
        "{} looked at, {} newly delivered, {} newly read",
        seen.looked, seen.delivered, seen.read
    );
    let rest = [
        (seen.failed, "given up by the provider"),
        (seen.unknown, "not known to the provider"),
        (seen.unanswered, "without an answer"),
    ];
    for (n, what) in rest.iter().filter(|(n, _)| *n > 0) {
        words.extend([", ", &n.to_string(), " ", what]);
    }
    words
}
