//! Which occurrence of a campaign a command is about: the one-off, the one that is due, the
//! next one, or one the user names.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::interrupts::Interrupts;
use super::{App, Stop, schedule_words};
use crate::domain::campaign::Campaign;
use crate::domain::run::{ONCE, RunId, RunState};
use crate::domain::schedule::{Fire, MissReason, Overlap, Schedule, When};
use crate::engine::dispatch::WhenIdle;
use crate::ledger::{Ledger, Missed};

/// What to run.
#[derive(Debug)]
pub(super) enum Occurrence {
    Now { run: RunId, starts_at: Timestamp },
    Nothing { words: String },
}

fn run_id(campaign: &Campaign, occurrence: &str) -> Result<RunId, Stop> {
    RunId::new(&campaign.name, occurrence).map_err(|error| Stop::could_not_start(error.to_string()))
}

/// `--occurrence NAME`: that one, at once.
pub(super) fn named(campaign: &Campaign, name: &str, now: Timestamp) -> Result<Occurrence, Stop> {
    Ok(Occurrence::Now {
        run: run_id(campaign, name)?,
        starts_at: now,
    })
}

/// `--now`: the schedule is ignored; an occurrence of a repeating campaign is called by the time.
pub(super) fn now(campaign: &Campaign, now: Timestamp) -> Result<Occurrence, Stop> {
    let occurrence = match &campaign.schedule {
        Some(schedule) if matches!(schedule.when, When::Cron(_)) => now
            .to_zoned(schedule.timezone.clone())
            .strftime("%Y-%m-%dT%H:%M%:z")
            .to_string(),
        _ => ONCE.to_owned(),
    };
    Ok(Occurrence::Now {
        run: run_id(campaign, &occurrence)?,
        starts_at: now,
    })
}

/// The occurrence that plain `run` is about. For a repeating schedule it is the unfinished one,
/// the one that is due, or the next, which is waited for.
pub(super) async fn next(
    app: &App,
    ledger: &dyn Ledger,
    campaign: &Campaign,
    when_idle: WhenIdle,
) -> Result<Occurrence, Stop> {
    let Some(schedule) = &campaign.schedule else {
        return Ok(Occurrence::Now {
            run: run_id(campaign, ONCE)?,
            starts_at: app.clock.now(),
        });
    };
    loop {
        let due = due(app, ledger, campaign).await?;
        for words in &due.words {
            app.out.note(words);
        }
        if let Some((run, starts_at)) = due.run.into_iter().next() {
            return Ok(Occurrence::Now { run, starts_at });
        }
        ledger
            .handled(&campaign.name, due.until, &due.missed)
            .await?;
        let now = app.clock.now();
        let Some(fire) = schedule.next_after(now) else {
            let words =
                "The schedule has no occurrence any more; --now or --occurrence ignores it.";
            return Ok(Occurrence::Nothing {
                words: words.to_owned(),
            });
        };
        let words = schedule_words::fire(&fire, &schedule.timezone, now);
        if when_idle == WhenIdle::Leave {
            return Ok(Occurrence::Nothing {
                words: format!("Nothing is due now; next: {words}."),
            });
        }
        app.out.note(&format!(
            "Waiting for {words}. Ctrl-C leaves; nothing is lost."
        ));
        if !wait_until(app, fire.at).await {
            return Ok(Occurrence::Nothing {
                words: "Stopped while waiting.".to_owned(),
            });
        }
    }
}

/// Waits for a time of day in short steps, since the machine may sleep or its clock be set.
/// False when the user stops it.
async fn wait_until(app: &App, at: Timestamp) -> bool {
    let mut interrupts = Interrupts::listen();
    loop {
        let left = at.duration_since(app.clock.now());
        if left <= SignedDuration::ZERO {
            return true;
        }
        let step = Duration::try_from(left)
            .unwrap_or_default()
            .min(Duration::from_secs(10));
        tokio::select! {
            // cancel-safe: a signal that is not received here stays for the next step
            () = interrupts.next() => return false,
            // cancel-safe: a timer
            () = tokio::time::sleep(step) => {}
        }
    }
}

/// What is due of a campaign, and what was missed.
#[derive(Debug, Default)]
pub(super) struct DueNow {
    /// Oldest first; an unfinished run comes before new ones.
    pub(super) run: Vec<(RunId, Timestamp)>,
    pub(super) missed: Vec<Missed>,
    /// Everything up to here is accounted for once `run` and `missed` are.
    pub(super) until: Timestamp,
    /// What the user should know.
    pub(super) words: Vec<String>,
}

/// Looks what is due now. Changes nothing but the time from which a schedule counts.
pub(super) async fn due(
    app: &App,
    ledger: &dyn Ledger,
    campaign: &Campaign,
) -> Result<DueNow, Stop> {
    let now = app.clock.now();
    let mut found = DueNow {
        until: now,
        ..DueNow::default()
    };
    let Some(schedule) = &campaign.schedule else {
        found.run.push((run_id(campaign, ONCE)?, now));
        return Ok(found);
    };
    let unfinished = unfinished(ledger, campaign).await?;
    let since = ledger
        .schedule_since(&campaign.name, schedule.first_since(now))
        .await?;
    let due = schedule.due(since, now);
    if let Some(older) = due.older {
        found.words.push(format!(
            "{} occurrences from {} to {} were missed, too many to list.",
            older.count, older.first.occurrence, older.last.occurrence
        ));
    }
    let mut missed: Vec<(Fire, MissReason)> = due.missed;
    if let Some((run, starts_at)) = &unfinished {
        found.run.push((run.clone(), *starts_at));
    }
    for fire in due.run {
        let run = run_id(campaign, &fire.occurrence)?;
        match &unfinished {
            Some((previous, _)) if *previous == run => {}
            Some((previous, _)) if schedule.overlap == Overlap::Skip => {
                let previous = previous.occurrence().to_owned();
                missed.push((fire, MissReason::Overlap { previous }));
            }
            _ => found
                .run
                .push((run.clone(), starts_at(schedule, &fire, &run))),
        }
    }
    for (fire, reason) in missed {
        let run = run_id(campaign, &fire.occurrence)?;
        if ledger.run(&run).await?.is_none() {
            found.words.push(format!("Missed {run}: {reason}."));
            found.missed.push(Missed {
                run,
                due_at: fire.at,
                reason: reason.to_string(),
            });
        }
    }
    Ok(found)
}

fn starts_at(schedule: &Schedule, fire: &Fire, run: &RunId) -> Timestamp {
    schedule.jittered(fire, run.as_str())
}

/// The newest run of the campaign that is still going, rehearsals aside.
async fn unfinished(
    ledger: &dyn Ledger,
    campaign: &Campaign,
) -> Result<Option<(RunId, Timestamp)>, Stop> {
    let runs = ledger.runs().await?;
    Ok(runs
        .into_iter()
        .map(|(record, _)| record)
        .find(|record| {
            record.run.campaign() == campaign.name
                && !record.run.is_rehearsal()
                && record.state == RunState::Running
        })
        .map(|record| (record.run, record.starts_at)))
}
