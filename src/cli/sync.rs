//! `sync`: asks the provider once what people answered and what became of sent messages. Sends
//! nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{App, Exit, Stop, open, preflight, serve};
use crate::domain::delivery::Counts;
use crate::engine::ears::Ears;
use crate::engine::limiter::Guard;
use crate::engine::listener::Listener;
use crate::engine::receipts::{Looker, Seen, may_get_receipts};
use crate::ledger::{Ledger, RunRecord};
use crate::service::inbox::Inbox;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff sync                       every run, for a line in crontab
  sendoff sync review-request@once   this run alone

Nothing is sent. What `serve` has kept and not handled is handled first. What people answered since
the last time is kept, and STOP obeyed. A message is looked at 10 seconds after it was sent, then at
growing intervals, for three days; one that is not due yet is not asked about. Asking again later is
always safe. A rehearsal has nothing to ask for: its sandbox ended with it.")]
pub(super) struct SyncArgs {
    /// The run, such as review-request@once [default: every run]
    #[arg(value_name = "RUN")]
    run: Option<String>,
}

pub(super) async fn sync(app: &App, args: SyncArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let ledger = open::existing_ledger(app).await?;
    let runs = match &args.run {
        Some(text) => vec![(one(&*ledger, text).await?, None)],
        None => all(&*ledger).await?,
    };
    let mut lookers: BTreeMap<String, Looker> = BTreeMap::new();
    let mut exit = Exit::Done;
    let mut looked_at = 0;
    handle_events(app, &found, &ledger).await?;
    for (run, counts) in &runs {
        if args.run.is_none() && !found.settings.gateways.contains_key(&run.gateway) {
            // It was taken out of the settings since; the others are asked all the same.
            continue;
        }
        if !lookers.contains_key(&run.gateway) {
            let looker = looker(app, &found, &ledger, &run.gateway).await?;
            if hear(app, &looker, &run.gateway).await? == Heard::NotNow {
                exit = Exit::Stopped;
            }
            lookers.insert(run.gateway.clone(), looker);
        }
        let (Some(looker), true) = (
            lookers.get(&run.gateway),
            counts.as_ref().is_none_or(may_get_receipts),
        ) else {
            continue;
        };
        looked_at += 1;
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
    if looked_at == 0 {
        app.out
            .note("Nothing was sent that a receipt could come for.");
    }
    Ok(exit)
}

/// Handles what a receiver has kept and not handled yet.
async fn handle_events(
    app: &App,
    found: &open::FoundSettings,
    ledger: &Arc<dyn Ledger>,
) -> Result<(), Stop> {
    let inbox = Inbox::new(ledger.clone(), app.clock.clone());
    for (gateway, _) in serve::webhooks(found) {
        let gateways = [gateway.to_owned()];
        let handled = inbox
            .handle_all(&gateways, &CancellationToken::new())
            .await?;
        if handled.events > 0 {
            app.out.data(&format!(
                "{gateway}: {} kept by the receiver handled, {} newly answered, {} new receipts\n",
                handled.events, handled.answers, handled.receipts
            ))?;
        }
    }
    Ok(())
}

async fn one(ledger: &dyn Ledger, text: &str) -> Result<RunRecord, Stop> {
    let run = open::run(ledger, text).await?;
    if run.run.is_rehearsal() {
        return Err(rehearsal(&run));
    }
    Ok(run)
}

/// Every run but rehearsals, with its counts.
async fn all(ledger: &dyn Ledger) -> Result<Vec<(RunRecord, Option<Counts>)>, Stop> {
    let all = ledger.runs().await?.into_iter();
    let live = all.filter(|(run, _)| !run.run.is_rehearsal());
    Ok(live.map(|(run, counts)| (run, Some(counts))).collect())
}

async fn looker(
    app: &App,
    found: &open::FoundSettings,
    ledger: &Arc<dyn Ledger>,
    gateway: &str,
) -> Result<Looker, Stop> {
    let ready = preflight::gateway(app, found, gateway)?;
    preflight::same_account(&**ledger, &ready).await?;
    Ok(Looker {
        ledger: ledger.clone(),
        gateway: ready.gateway,
        clock: app.clock.clone(),
        guard: Guard::of(ready.limits),
    })
}

/// Whether everything that was answered is known now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    All,
    NotNow,
}

/// Hears what people answered on a gateway since the last time.
async fn hear(app: &App, looker: &Looker, gateway: &str) -> Result<Heard, Stop> {
    let listener = Listener::new(looker.clone(), gateway, &Ears::default(), 0).await?;
    match listener.once().await? {
        Ok(0) => {}
        Ok(1) => app.out.data(&format!("{gateway}: 1 new answer\n"))?,
        Ok(new) => app.out.data(&format!("{gateway}: {new} new answers\n"))?,
        Err(outcome) => {
            app.out.note(&format!(
                "The answers to '{gateway}' cannot be read: {}. `sendoff sync` goes on later.",
                outcome.why()
            ));
            return Ok(Heard::NotNow);
        }
    }
    Ok(Heard::All)
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
    let mut parts = vec![
        format!("{} looked at", seen.looked),
        format!("{} newly delivered", seen.delivered),
        format!("{} newly read", seen.read),
    ];
    for (n, what) in [
        (seen.failed, "given up by the provider"),
        (seen.unknown, "not known to the provider"),
        (seen.unanswered, "without an answer"),
    ] {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    parts.join(", ")
}
