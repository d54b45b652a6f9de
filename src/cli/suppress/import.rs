//! `suppress import`: a CSV file into the ledger's list, portion by portion. A row that cannot be
//! read is told with its line, and the others are added all the same: nobody is to be written to
//! because of somebody else's slip.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use super::super::{App, Exit, Format, Stop, open};
use super::HomeArgs;
use crate::domain::opt_out::Source;
use crate::domain::problem::{Problem, Problems};
use crate::intake::list::suppress::{DoNotContact, Entry, EntryChunk};
use crate::ledger::{Ledger, NewSuppression, Suppressing};

/// People that are added in one transaction, which attempts of other processes wait for.
const PORTION: usize = 500;
/// Chunks on their way from the file to the ledger.
const CHUNKS_AHEAD: usize = 4;
/// Rows that are shown when they cannot be read; the others are counted.
const SHOWN: u64 = 20;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress import old-list.csv --region US
  sendoff suppress import -        from standard input")]
pub(super) struct ImportArgs {
    /// A CSV file with a column of phones; `-` is standard input. Columns `reason` and `at` are
    /// kept
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// Why, for rows that do not say it themselves
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    home: HomeArgs,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// What has come of an import so far.
#[derive(Debug, Default)]
struct Tally {
    added: u64,
    already: u64,
    bad: u64,
    shown: Problems,
}

impl Tally {
    fn complain(&mut self, problems: &Problems) {
        for problem in problems.iter() {
            self.bad += 1;
            if self.bad <= SHOWN {
                self.shown.push(problem.clone());
            }
        }
    }
}

pub(super) async fn import(app: &App, args: ImportArgs) -> Result<Exit, Stop> {
    let region = args.home.region()?;
    let (name, source) = source(&args.file)?;
    let found = open::settings(app)?;
    let ledger = open::ledger(app, &found.settings).await?;
    let (chunks, mut arriving) = mpsc::channel::<EntryChunk>(CHUNKS_AHEAD);
    // Reading blocks; the ledger does not.
    let reader = tokio::task::spawn_blocking(move || {
        let mut list = DoNotContact::new(&name, source, region);
        for chunk in list.by_ref() {
            if chunks.blocking_send(chunk).is_err() {
                break;
            }
        }
        list.is_broken()
    });
    let mut tally = Tally::default();
    while let Some(chunk) = arriving.recv().await {
        tally.complain(&chunk.problems);
        for portion in chunk.entries.chunks(PORTION) {
            add(app, &*ledger, (portion, &args), &mut tally).await?;
        }
    }
    let broken = reader.await.map_err(|error| Stop::Error {
        exit: Exit::Fault,
        text: format!("reading the file ended ({error})"),
        help: None,
    })?;
    app.out.problems(&tally.shown);
    tell(app, &args, &tally)?;
    if broken {
        app.out
            .note("The rest of the file could not be read; mend it and import it again.");
    }
    Ok(if tally.bad == 0 {
        Exit::Done
    } else if tally.added + tally.already == 0 {
        Exit::CouldNotStart
    } else {
        Exit::SomeFailed
    })
}

fn source(path: &Path) -> Result<(PathBuf, Box<dyn Read + Send>), Stop> {
    if path == Path::new("-") {
        return Ok(("standard input".into(), Box::new(std::io::stdin())));
    }
    match File::open(path) {
        Ok(file) => Ok((path.to_owned(), Box::new(file))),
        Err(error) => {
            let text = format!("cannot open '{}' ({})", path.display(), error.kind());
            Err(Problem::error(text).into())
        }
    }
}

async fn add(
    app: &App,
    ledger: &dyn Ledger,
    (portion, args): (&[Entry], &ImportArgs),
    tally: &mut Tally,
) -> Result<(), Stop> {
    let people: Vec<NewSuppression> = portion
        .iter()
        .map(|entry| NewSuppression {
            phone: entry.phone.clone(),
            source: Source::Import,
            reason: entry.reason.clone().or_else(|| args.reason.clone()),
            at: entry.at,
        })
        .collect();
    for done in ledger.suppress(&people, app.clock.now()).await? {
        match done {
            Suppressing::Added => tally.added += 1,
            Suppressing::Already(_) => tally.already += 1,
        }
    }
    Ok(())
}

fn tell(app: &App, args: &ImportArgs, tally: &Tally) -> Result<(), Stop> {
    let hidden = tally.bad.saturating_sub(SHOWN);
    if hidden > 0 {
        app.out
            .note(&format!("… and {hidden} more rows that cannot be read."));
    }
    match args.format {
        Format::Text => app.out.note(&format!(
            "Added {}; {} were on the list already; {} could not be read.",
            tally.added, tally.already, tally.bad
        )),
        Format::Json => {
            let told = json!({
                "added": tally.added,
                "already": tally.already,
                "unreadable": tally.bad,
            });
            app.out.data(&format!("{told:#}\n"))?;
        }
    }
    Ok(())
}
