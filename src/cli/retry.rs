//! `retry`: puts failed deliveries back. Sends nothing itself.

use clap::Args;

use super::whom::{self, WhomArgs};
use super::{App, Exit, Stop, open};
use crate::domain::delivery::DeliveryState;
use crate::domain::run::RunState;
use crate::ledger::{FailureGroup, Ledger, Retry, RetryKey, RunRecord};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff retry review-request@once                            all that failed
  sendoff retry review-request@once --code 4001                those that failed with this code
  sendoff retry review-request@once --recipient +12025550143   this person alone
  sendoff retry review-request@once --failed-later             those the provider had taken first
  sendoff resume review-request@once                           then sends them

Nothing is sent by `retry` itself. A failed message was refused for certain, so that nobody gets it
twice. The same request goes out again under the same key; --revise makes it anew with a new key,
for when the provider has to look at it afresh. One that the provider had taken and gave up later is
left alone unless --failed-later asks for it: it may have been seen after all.")]
pub(super) struct RetryArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
    /// Those alone that failed with this code of the provider
    #[arg(long, value_name = "N")]
    code: Option<u32>,
    #[command(flatten)]
    whom: WhomArgs,
    /// With a new idempotency key and a request made anew
    #[arg(long)]
    revise: bool,
    /// Those that failed after the provider had taken them, and no others; always with new keys
    #[arg(long)]
    failed_later: bool,
}

pub(super) async fn retry(app: &App, args: RetryArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    let run = open::run(&*ledger, &args.run).await?;
    allowed(app, &run)?;
    let only = match args.whom.meant() {
        Some(meant) => Some(whom::find(&*ledger, &run, &meant).await?),
        None => None,
    };
    let only = only.and_then(|ids| ids.into_iter().next());
    let before = ledger.facts(&run.run, app.clock.now()).await?;
    let wanted = Retry {
        code: args.code,
        only,
        taken: args.failed_later,
        key: if args.revise || args.failed_later {
            RetryKey::Revised
        } else {
            RetryKey::Same
        },
    };
    let put_back = ledger.retry(&run.run, &wanted, app.clock.now()).await?;
    if put_back.is_empty() {
        return Err(nothing(app, &*ledger, &run, &wanted).await?);
    }
    let n: u64 = put_back.iter().map(|(_, n)| n).sum();
    let key = match wanted.key {
        RetryKey::Same => "with the same keys",
        RetryKey::Revised => "with new keys",
    };
    let deliveries = if n == 1 {
        "delivery is"
    } else {
        "deliveries are"
    };
    app.out
        .note(&format!("{}: {n} {deliveries} put back, {key}.", run.run));
    for (code, n) in &put_back {
        app.out
            .note(&format!("  {n} × {}", words(*code, &before.failures)));
    }
    app.out.note(&next(app, &*ledger, &run).await?);
    Ok(Exit::Done)
}

/// A code with the provider's words for it, where one of the failures has them.
fn words(code: Option<u32>, failures: &[FailureGroup]) -> String {
    let alike = failures
        .iter()
        .find(|group| group.state == DeliveryState::Failed && group.code == code);
    let text = alike.map(|group| group.text.as_str()).unwrap_or_default();
    match (code, text) {
        (Some(code), "") => format!("code {code}"),
        (Some(code), text) => format!("code {code}: {text}"),
        (None, "") => "without a code".to_owned(),
        (None, text) => text.to_owned(),
    }
}

/// A run of which something can still be sent.
pub(super) fn allowed(app: &App, run: &RunRecord) -> Result<(), Stop> {
    if run.state == RunState::Cancelled {
        let help = "to send to them after all, make a list of them and give the campaign a new \
                    run with --occurrence";
        return Err(Stop::could_not_start(format!(
            "{} is cancelled; nothing of it is sent",
            run.run
        ))
        .help(help));
    }
    let age = app.clock.now().duration_since(run.starts_at);
    if run.terms.expires.is_some_and(|kept| age >= kept) {
        let help = "its campaign says `expires`; make a list of them and give the campaign a new \
                    run with --occurrence";
        return Err(Stop::could_not_start(format!(
            "{} is too old: what is put back would be skipped as expired",
            run.run
        ))
        .help(help));
    }
    Ok(())
}

/// Nothing was put back: why, and what could be.
async fn nothing(
    app: &App,
    ledger: &dyn Ledger,
    run: &RunRecord,
    wanted: &Retry,
) -> Result<Stop, Stop> {
    let failed = DeliveryState::Failed;
    let facts = ledger.facts(&run.run, app.clock.now()).await?;
    if let Some(id) = wanted.only {
        let one = ledger.history(&run.run, id).await?.delivery;
        if one.state != failed {
            return whom::not_in(app, ledger, run, (failed, Some(&one))).await;
        }
        let taken = one.message_id.is_some();
        if taken != wanted.taken {
            let what = if taken {
                "failed after the provider had taken it"
            } else {
                "was never taken by the provider"
            };
            let stop = Stop::could_not_start(format!("{} {what}", whom::words(&one)));
            return Ok(stop.help(if taken {
                "--failed-later puts it back, with a new key; it may have been seen after all"
            } else {
                "leave --failed-later out"
            }));
        }
        let code = one.code.map_or("without a code".to_owned(), |code| {
            format!("with code {code}")
        });
        return Ok(Stop::could_not_start(format!(
            "{} failed {code}, not with code {}",
            whom::words(&one),
            wanted.code.unwrap_or_default()
        )));
    }
    if wanted.code.is_none() && facts.counts.of(failed) > 0 {
        return Ok(only_the_others(run, wanted));
    }
    let (Some(code), true) = (wanted.code, facts.counts.of(failed) > 0) else {
        return whom::not_in(app, ledger, run, (failed, None)).await;
    };
    let groups: Vec<String> = facts
        .failures
        .iter()
        .filter(|group| group.state == failed)
        .map(|group| match group.code {
            Some(code) => format!("{} × code {code}", group.count),
            None => format!("{} × without a code", group.count),
        })
        .collect();
    Ok(
        Stop::could_not_start(format!("nothing of {} failed with code {code}", run.run))
            .help(format!("failed: {}", groups.join(", "))),
    )
}

/// There are failed ones, and none of the sort that was asked for.
fn only_the_others(run: &RunRecord, wanted: &Retry) -> Stop {
    if wanted.taken {
        let what = format!(
            "nothing of {} failed after the provider had taken it",
            run.run
        );
        Stop::could_not_start(what).help("leave --failed-later out")
    } else {
        Stop::could_not_start(format!(
            "what failed of {} had been taken by the provider before",
            run.run
        ))
        .help("--failed-later puts it back, with new keys; it may have been seen after all")
    }
}

/// Who is going to send what was put back.
pub(super) async fn next(app: &App, ledger: &dyn Ledger, run: &RunRecord) -> Result<String, Stop> {
    let facts = ledger.facts(&run.run, app.clock.now()).await?;
    let present = facts.outlook.present.first();
    Ok(match (run.state, present) {
        (RunState::Running, Some(present)) => {
            format!("{} sends it.", present.worker.in_words())
        }
        _ => format!("Nothing was sent. `sendoff resume {}` sends it.", run.run),
    })
}
