//! `work`: one more worker on the ledger, for as long as it is left to run. Decides which runs it
//! drives and tells what happens; the work itself is the engine's.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;

use super::interrupts::Interrupts;
use super::open::FoundSettings;
use super::place::Place;
use super::preflight::{self, Ready};
use super::{App, Exit, Stop, drive, faults, open, schedule_words};
use crate::domain::run::{RunId, RunState};
use crate::engine::crew::{self, Choose, Crew, Leaving, News, Outfit};
use crate::engine::dispatch::{Ended, Share, Shutdown, WhenIdle};
use crate::engine::ears::Ears;
use crate::engine::limiter::Guard;
use crate::engine::patient::{self, Patient};
use crate::ledger::{Ledger, RunRecord, Running};

/// Between two tries to open a ledger that cannot be reached; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff work                               every run that is running, and those to come
  sendoff work --runs 'review-request@*'     those of one campaign; * and ? stand for others
  sendoff work --concurrency 32              at most 32 requests at a time, over all runs
  sendoff work --until-idle                  leave when nothing is due soon

Any number of workers share a ledger, on one machine or, on PostgreSQL, on many; nobody is sent
to twice. `sendoff run` starts a run and `sendoff resume` continues one that was paused; a worker
takes part in both, and leaves a run that is paused, halted or cancelled. It sends without asking.
While the ledger cannot be reached it waits. Ctrl-C finishes what is on the wire and leaves: the
others go on, and so does this one when it is started again.

Exit codes: 0 left when told to, or, with --until-idle, nothing is open; 4 something is: given up
on the wire by a second Ctrl-C, or not due yet, or in a run that it could not send for.")]
pub(super) struct WorkArgs {
    /// Only runs with such a name, like 'nightly@*'; may be given more than once
    #[arg(long, value_name = "PATTERN")]
    runs: Vec<String>,
    /// The most requests on the wire at a time, over all runs [default: each run's own pace]
    #[arg(long, value_name = "N")]
    concurrency: Option<NonZeroU32>,
    /// Leave when nothing is due soon, instead of waiting
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) async fn work(app: &App, args: WorkArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let shutdown = Shutdown::default();
    let signals = Interrupts::listen().shut_down(app.out, "Leaving", shutdown.clone());
    let signals = tokio::spawn(signals);
    let left = work_until_told(app, &args, &found, &shutdown).await;
    signals.abort();
    match left? {
        None => Ok(Exit::Done),
        Some(Leaving::Told { given_up }) => Ok(told(app, &given_up)),
        Some(Leaving::Idle { open: false }) => {
            app.out.note("Nothing is open in any run.");
            Ok(Exit::Done)
        }
        Some(Leaving::Idle { open: true }) => {
            app.out.note(
                "Nothing more is due now, and something is open; `sendoff status` says what.",
            );
            Ok(Exit::Stopped)
        }
    }
}

fn told(app: &App, given_up: &[RunId]) -> Exit {
    if given_up.is_empty() {
        app.out.note("Left; nothing is on the wire.");
        return Exit::Done;
    }
    app.out.note(
        "Left with something on the wire; it is asked for again with the same key, or looked for \
         where the provider knows no keys, so nobody gets a second message. Another worker goes on with it, or:",
    );
    for run in given_up {
        app.out.note(&format!("  sendoff resume {run}"));
    }
    Exit::Stopped
}

/// `None`: it was told to leave before there was a ledger.
async fn work_until_told(
    app: &App,
    args: &WorkArgs,
    found: &FoundSettings,
    shutdown: &Shutdown,
) -> Result<Option<Leaving>, Stop> {
    let opened = tokio::select! {
        // cancel-safe: an opening that is given up leaves nothing
        opened = open_patiently(app, args, found) => opened?,
        // cancel-safe: nothing is held while waiting
        () = shutdown.stop.cancelled() => return Ok(None),
    };
    let ledger = std::sync::Arc::new(Patient::new(opened, shutdown.clone()));
    let worker = drive::worker(app);
    let crew = Crew {
        ledger: ledger.clone(),
        clock: app.clock.clone(),
        worker: worker.clone(),
        owner: drive::owner(),
        share: args.concurrency.map(Share::new),
        when_idle: if args.until_idle {
            WhenIdle::Leave
        } else {
            WhenIdle::Wait
        },
    };
    app.out.note(&format!("Working as {worker}."));
    let choice = Choice {
        app,
        args,
        found,
        ledger: &ledger,
        gateways: Mutex::default(),
        ears: Ears::default(),
    };
    crew::work(&crew, &choice, shutdown).await.map(Some)
}

/// A service may be up before its ledger is.
async fn open_patiently(
    app: &App,
    args: &WorkArgs,
    found: &FoundSettings,
) -> Result<std::sync::Arc<dyn Ledger>, Stop> {
    let mut pause = FIRST_PAUSE;
    let mut waited = false;
    loop {
        let error = match open::ledger(app, &found.settings).await {
            Err(Stop::Ledger(error)) if patient::passes(&error) && !args.until_idle => error,
            opened => {
                if waited && opened.is_ok() {
                    app.out.note("The ledger is there.");
                }
                return opened;
            }
        };
        if !waited {
            let name = app.ledger_name.get().map(String::as_str);
            let why = faults::of(&error, name, faults::At::Opening).text;
            app.out.note(&format!("Waiting: {why}."));
        }
        waited = true;
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A gateway that was used before, with the guard that all its runs share.
type Known = HashMap<String, (Ready, Guard)>;

/// The runs of this worker.
struct Choice<'a> {
    app: &'a App,
    args: &'a WorkArgs,
    found: &'a FoundSettings,
    ledger: &'a Patient,
    gateways: Mutex<Known>,
    ears: Ears,
}

impl Choice<'_> {
    fn gateways(&self) -> MutexGuard<'_, Known> {
        self.gateways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway of a run, or why there is none.
    async fn ready(&self, name: &str) -> Result<(Ready, Guard), Stop> {
        let known = self.gateways().get(name).cloned();
        let (ready, guard) = if let Some(known) = known {
            known
        } else {
            let ready = preflight::gateway(self.app, self.found, name)?;
            let guard = Guard::of(ready.limits);
            (ready, guard)
        };
        preflight::same_account(self.ledger, &ready).await?;
        self.gateways()
            .insert(name.to_owned(), (ready.clone(), guard.clone()));
        Ok((ready, guard))
    }
}

impl Choose for Choice<'_> {
    type Error = Stop;

    fn wants(&self, run: &Running) -> bool {
        let patterns = &self.args.runs;
        let name = run.run.as_str();
        patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, name))
    }

    async fn outfit(&self, run: &RunRecord) -> Result<Option<Outfit>, Stop> {
        let (ready, guard) = match self.ready(&run.gateway).await {
            Ok(found) => found,
            Err(Stop::Ledger(error)) => return Err(error.into()),
            Err(Stop::PipeClosed) => return Err(Stop::PipeClosed),
            Err(Stop::Problems(problems)) => {
                self.app.out.problems(&problems);
                self.app.out.note(&left_alone(&run.run, "see above"));
                return Ok(None);
            }
            Err(Stop::Error { text, help, .. }) => {
                self.app.out.note(&left_alone(&run.run, &text));
                if let Some(help) = help {
                    self.app.out.note(&format!("  {help}"));
                }
                return Ok(None);
            }
        };
        let place = self.args.place;
        place.prove(self.app, self.ledger, &ready).await?;
        Ok(Some(Outfit {
            limits: drive::limits(run, &ready),
            gateway: ready.gateway,
            guard,
            ears: self.ears.clone(),
            owner: drive::owner(),
            seed: fastrand::u64(..),
        }))
    }

    fn tell(&self, news: News) {
        let words = match news {
            News::Joined { run } => format!("joined {run}"),
            News::Left { run, how, sent } => {
                let how = in_words(self.app, &how);
                format!("left {run}: {how}; {sent} sent from here")
            }
            News::Waiting { why } => format!("Waiting for the ledger: {why}."),
            News::Back => "The ledger is back.".to_owned(),
        };
        self.app.out.note(&words);
    }
}

fn left_alone(run: &RunId, why: &str) -> String {
    format!("leaving {run} alone until this worker is started again: {why}")
}

fn in_words(app: &App, how: &Ended) -> String {
    match how {
        Ended::Finished => "finished".to_owned(),
        Ended::Idle { next_at } => {
            let wait = schedule_words::distance(app.clock.now(), *next_at);
            format!("nothing is due now, the next is ({wait})")
        }
        Ended::LimitReached | Ended::Interrupted => "told to leave".to_owned(),
        Ended::Aborted => "gave up what was on the wire".to_owned(),
        Ended::Halted { reason } => format!("halted: {reason}"),
        Ended::State(RunState::Running) => "left".to_owned(),
        Ended::State(state) => state.to_string(),
    }
}

/// Whether a name is one that the pattern means: `*` stands for any characters, also none, and
/// `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on when the last `*` has to take one more: the pattern after it, the name.
    let mut again: Option<(&str, &str)> = None;
    loop {
        let (mut wanted, mut given) = (pattern.chars(), name.chars());
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                again = Some((wanted.as_str(), name));
                pattern = wanted.as_str();
            }
            (Some(w), Some(g)) if w == '?' || w == g => {
                (pattern, name) = (wanted.as_str(), given.as_str());
            }
            (_, _) => {
                let Some((after_star, from)) = again else {
                    return false;
                };
                let mut from = from.chars();
                if from.next().is_none() {
                    return false;
                }
                again = Some((after_star, from.as_str()));
                (pattern, name) = (after_star, from.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_names_that_a_person_would_expect() {
        for (pattern, name) in [
            ("nightly@once", "nightly@once"),
            ("nightly@*", "nightly@2026-11-20T21:00-06:00"),
            ("*@once", "nightly@once"),
            ("*", "x"),
            ("n*t*@*", "nightly@once"),
            ("nightl?@once", "nightly@once"),
            ("**y@once*", "nightly@once"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("nightly", "nightly@once"),
            ("nightly@?", "nightly@once"),
            ("*@twice", "nightly@once"),
            ("", "x"),
            ("?", ""),
            ("NIGHTLY@*", "nightly@once"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        assert!(!matches(&"a*".repeat(40), &"a".repeat(38)));
        let long = "a".repeat(2_000);
        assert!(!matches(&format!("{}b", "*a".repeat(500)), &long));
    }
}
