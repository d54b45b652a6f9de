//! `ledger copy`: moves a ledger, and proves what has arrived before anything is sent from it.

use std::time::Duration;

use clap::Args;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::faults::At;
use super::super::interrupts::Interrupts;
use super::super::open::Place;
use super::super::output::Output;
use super::super::{App, Exit, Stop, open, place};
use super::{failed, must_be_there};
use crate::ledger::copy::{
    self, Begun, CopyError, Copying, Doubts, Finished, Moving, Progress, Side, Start, Step, Wish,
};
use crate::report;

/// How often a line of progress is written.
const LINE: Duration = Duration::from_secs(5);
/// Findings are told up to this many.
const TOLD: u64 = 20;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff ledger copy sqlite://sendoff.db postgres://sendoff@db/sendoff
                                                  outgrow one machine
  sendoff ledger copy postgres://sendoff@db/sendoff sqlite://archive.db
                                                  and back

Stop every `sendoff` that sends from FROM first. FROM is closed then, for good: it says where it
went, and nothing is sent from it any more. Every row is copied, read again and compared, every run
is proved, and only then TO is the ledger to send from: name it by `ledger` in sendoff.yaml, and
`sendoff resume RUN` goes on where FROM was.

Interrupted in any way, the same command goes on where it was. To give a move up, send from FROM
with --accept-copy and delete TO.")]
pub(super) struct CopyArgs {
    /// The address of the ledger as it is, as `ledger` in the settings says it
    #[arg(value_name = "FROM")]
    from: String,
    /// The address where it is to be: a file that is not there yet, or an empty database
    #[arg(value_name = "TO")]
    to: String,
    /// Copy from a ledger that was itself restored from a backup, copied or moved
    #[arg(long)]
    accept_copy: bool,
}

pub(super) async fn copy(app: &App, args: CopyArgs) -> Result<Exit, Stop> {
    let (from, to) = (
        open::place_of(app, Some(&args.from))?,
        open::place_of(app, Some(&args.to))?,
    );
    must_be_there(&from)?;
    let source = open::moving(&from)
        .await
        .map_err(|error| failed(&from, &error, At::Opening))?;
    let target = open::moving(&to)
        .await
        .map_err(|error| failed(&to, &error, At::Opening));
    let target = match target {
        Ok(target) => target,
        Err(stop) => {
            source.close().await;
            return Err(stop);
        }
    };
    let job = Moved {
        app,
        places: (&from, &to),
        source: &*source,
        target: &*target,
    };
    let doubts = if args.accept_copy {
        Doubts::Accept
    } else {
        Doubts::Refuse
    };
    let ended = job.carry_out(doubts).await;
    target.close().await;
    source.close().await;
    ended
}

struct Moved<'a> {
    app: &'a App,
    places: (&'a Place, &'a Place),
    source: &'a dyn Moving,
    target: &'a dyn Moving,
}

impl Moved<'_> {
    async fn carry_out(&self, doubts: Doubts) -> Result<Exit, Stop> {
        let stop = CancellationToken::new();
        let signals = tokio::spawn(listen(self.app.out, Interrupts::listen(), stop.clone()));
        let ended = self.carry(&stop, doubts).await;
        signals.abort();
        ended
    }

    async fn carry(&self, stop: &CancellationToken, doubts: Doubts) -> Result<Exit, Stop> {
        let wish = Wish {
            token: format!("{:032x}", fastrand::u128(..)),
            now: self.app.clock.now(),
            doubts,
        };
        let begun = copy::begin(self.source, self.target, stop, wish).await;
        let copying = match begun.map_err(|error| self.stopped(&error))? {
            Begun::Goes(copying, start) => {
                if start == Start::Again {
                    self.app.out.note("Going on where the copy was left.");
                }
                copying
            }
            Begun::Finished => {
                self.app
                    .out
                    .data(&format!("{} is copied already.\n", self.source.name()))?;
                self.say_what_next();
                return Ok(Exit::Done);
            }
        };
        let told = self.copy_and_compare(&copying).await;
        let told = told.map_err(|error| self.stopped(&error))?;
        self.prove().await?;
        let finished = copying.finish(self.app.clock.now()).await;
        finished.map_err(|error| self.stopped(&error))?;
        self.app.out.data(&format!(
            "{} is now {}: {told}. Every row was compared, and every run is proved.\n",
            self.source.name(),
            self.target.name()
        ))?;
        self.say_what_next();
        Ok(Exit::Done)
    }

    async fn copy_and_compare(&self, copying: &Copying<'_>) -> Result<String, CopyError> {
        let mut lines = Lines::new(self.app.out);
        copying.carry(&mut |progress| lines.hear(progress)).await?;
        let counts = copying
            .compare(&mut |progress| lines.hear(progress))
            .await?;
        let told: Vec<String> = counts
            .iter()
            .filter(|(table, _)| {
                matches!(
                    table.as_str(),
                    "runs" | "deliveries" | "attempts" | "events"
                )
            })
            .map(|(table, n)| format!("{n} {}", table.as_str()))
            .collect();
        let rows: u64 = counts.iter().map(|(_, n)| n).sum();
        Ok(format!("{rows} rows ({})", told.join(", ")))
    }

    /// Every run of the new ledger, as `verify` would.
    async fn prove(&self) -> Result<(), Stop> {
        let (_, to) = self.places;
        let runs = self.target.runs().await;
        for (run, _) in runs.map_err(|error| failed(to, &error, At::Work))? {
            let mut told = 0;
            let out = self.app.out;
            let mut hear = |finding: &crate::domain::proof::Finding| {
                told += 1;
                if told <= TOLD {
                    out.note(&finding.to_string());
                }
            };
            let ledger: &dyn crate::ledger::Ledger = self.target;
            let proof = report::verify(ledger, &run.run, &mut hear).await;
            let proof = proof.map_err(|error| failed(to, &error, At::Work))?;
            if proof.findings > 0 {
                return Err(Stop::Error {
                    exit: Exit::Fault,
                    text: format!(
                        "{} is not proved: it was copied as it is, and {} is damaged",
                        run.run,
                        self.source.name()
                    ),
                    help: Some(format!(
                        "nothing can be sent from the copy. Put the last good ledger back and copy \
                         that; {GIVE_UP}"
                    )),
                });
            }
        }
        Ok(())
    }

    fn say_what_next(&self) {
        let address = match self.places.1 {
            Place::File(path) => format!("sqlite://{}", path.display()),
            Place::Server(_) => "its address".to_owned(),
        };
        self.app.out.note(&format!(
            "Nothing is sent from {} any more. Name the new ledger in sendoff.yaml (`ledger:` and \
             {address}); `sendoff resume RUN` goes on there.",
            self.source.name()
        ));
    }

    fn stopped(&self, error: &CopyError) -> Stop {
        let (from, to) = self.places;
        match error {
            CopyError::Store { side, error } => match side {
                Side::From => failed(from, error, At::Work),
                Side::To => failed(to, error, At::Work),
            },
            CopyError::Stopped => Stop::Error {
                exit: Exit::Stopped,
                text: "stopped before the copy was finished".to_owned(),
                help: Some("the same command goes on where it was".to_owned()),
            },
            CopyError::Away(copied) => Stop::could_not_start(place::what(copied)).help(
                "copy the ledger that was sent from last; --accept-copy copies this one all the \
                 same",
            ),
            CopyError::Same(name) => {
                Stop::could_not_start(format!("FROM and TO are the same ledger, {name}"))
                    .help("name a file that is not there yet, or an empty database")
            }
            CopyError::InUse { place, why } => {
                Stop::could_not_start(format!("{place} cannot be copied to: {why}"))
                    .help("name a file that is not there yet, or an empty database")
            }
            CopyError::Busy { place, present } => {
                let names: Vec<&str> = present.iter().map(|one| &*one.name).collect();
                Stop::could_not_start(format!(
                    "messages are being sent from {place}, by {}: {}",
                    match names.len() {
                        1 => "1 process".to_owned(),
                        n => format!("{n} processes"),
                    },
                    names.join(", ")
                ))
                .help("stop every `sendoff` that works on it (Ctrl-C), then copy")
            }
            CopyError::MovedElsewhere {
                place,
                to,
                finished,
                ..
            } => moved_elsewhere(place, to, *finished),
            CopyError::Unfinished { place, from } => {
                Stop::could_not_start(format!("{place} is itself an unfinished copy of {from}"))
                    .help("finish that copy first, or copy from the ledger it is made from")
            }
            CopyError::Crossed(place) => {
                Stop::could_not_start(format!("another process copies to {place} right now"))
                    .help("let it finish; the same command says so when it has")
            }
            CopyError::Unfit { table, row, why } => Stop::Error {
                exit: Exit::Fault,
                text: format!("a row cannot be copied: {table}, {row}: {why}"),
                help: Some(GIVE_UP.to_owned()),
            },
            CopyError::Differs { table, row, what } => Stop::Error {
                exit: Exit::Fault,
                text: format!("the copy is not the same as the ledger: {table}, {row}: {what}"),
                help: Some(format!(
                    "nothing can be sent from the copy. Delete it and copy again; {GIVE_UP}"
                )),
            },
        }
    }
}

const GIVE_UP: &str = "to give the move up, `sendoff resume RUN --accept-copy` sends from the old \
                       ledger again";

fn moved_elsewhere(place: &str, to: &str, finished: Finished) -> Stop {
    match finished {
        Finished::Yes => Stop::could_not_start(format!("{place} was moved to {to} already"))
            .help("copy from there"),
        Finished::No => Stop::could_not_start(format!(
            "{place} is closed for a move to {to} that is not finished"
        ))
        .help(format!("finish that one with the same command; {GIVE_UP}")),
    }
}

/// The first signal stops between two pages; a page takes less than a second.
async fn listen(out: Output, mut interrupts: Interrupts, stop: CancellationToken) {
    interrupts.next().await;
    out.note("Stopping after this page.");
    stop.cancel();
}

/// A line now and then.
struct Lines {
    out: Output,
    told: Instant,
    /// Of which table and step the rate is told, and since when.
    of: Option<(Step, &'static str)>,
    since: Instant,
}

impl Lines {
    fn new(out: Output) -> Self {
        let now = Instant::now();
        Self {
            out,
            told: now,
            of: None,
            since: now,
        }
    }

    fn hear(&mut self, progress: Progress) {
        let of = (progress.step, progress.table.as_str());
        if self.of != Some(of) {
            self.of = Some(of);
            self.since = Instant::now();
        }
        if self.told.elapsed() < LINE {
            return;
        }
        self.told = Instant::now();
        let done = match progress.step {
            Step::Copying => "copied",
            Step::Comparing => "compared",
        };
        let ms = self.since.elapsed().as_millis().max(1);
        let rate = u128::from(progress.rows) * 1_000 / ms;
        self.out.note(&format!(
            "{}: {} rows {done}, {rate} a second",
            of.1, progress.rows
        ));
    }
}
