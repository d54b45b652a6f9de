//! `suppress list`, `export` and `review`: what stands in the ledger, written out, and a person's
//! verdict on an answer.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::super::{App, Exit, Stop, drive, open};
use super::ListFormat;
use crate::domain::opt_out::Source;
use crate::ledger::{Ledger, NewSuppression, Reply, ReplyId};
use crate::report::{self, ReportError};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress list
  sendoff suppress list --format csv")]
pub(super) struct ListArgs {
    /// How it is written; phone numbers are whole in each
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: ListFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress export -o do-not-contact.csv")]
pub(super) struct ExportArgs {
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress review                answers that only a person can judge
  sendoff suppress review --stop 12      it meant stop: the person goes on the list
  sendoff suppress review --dismiss 13   it did not")]
pub(super) struct ReviewArgs {
    /// This answer means stop: put its person on the list
    #[arg(long, value_name = "ID", conflicts_with = "dismiss")]
    stop: Option<ReplyId>,
    /// This answer means nothing of the kind
    #[arg(long, value_name = "ID")]
    dismiss: Option<ReplyId>,
    /// How the answers are written; phone numbers are whole in json and csv
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: ListFormat,
}

pub(super) async fn list(app: &App, args: ListArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let mut out = BufWriter::new(app.out.stdout());
    let view = drive::view(app);
    let written = report::suppressions(&*ledger, args.format.into(), &view, &mut out).await;
    if written.map_err(|error| fault("standard output", error))? == 0
        && args.format == ListFormat::Text
    {
        app.out.note("Nobody is on the list.");
    }
    Ok(Exit::Done)
}

pub(super) async fn export(app: &App, args: ExportArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let view = drive::view(app);
    let csv = report::ListFormat::Csv;
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(app.out.stdout());
        let written = report::suppressions(&*ledger, csv, &view, &mut out).await;
        written.map_err(|error| fault("standard output", error))?;
        return Ok(Exit::Done);
    };
    let name = path.display().to_string();
    let file = File::create(path).map_err(|error| {
        Stop::could_not_start(format!("'{name}' cannot be written ({})", error.kind()))
    })?;
    let mut out: BufWriter<File> = BufWriter::new(file);
    let written = report::suppressions(&*ledger, csv, &view, &mut out).await;
    let people = written.map_err(|error| fault(&name, error))?;
    out.flush().map_err(|error| fault(&name, error.into()))?;
    app.out.note(&format!("{people} written to {name}."));
    Ok(Exit::Done)
}

pub(super) async fn review(app: &App, args: ReviewArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    if let Some(id) = args.stop.or(args.dismiss) {
        return judge(app, &*ledger, id, args.stop.is_some().into()).await;
    }
    let mut out = BufWriter::new(app.out.stdout());
    let view = drive::view(app);
    let written = report::reviews(&*ledger, args.format.into(), &view, &mut out).await;
    let waiting = written.map_err(|error| fault("standard output", error))?;
    if args.format == ListFormat::Text {
        app.out.note(if waiting == 0 {
            "No answer waits for you."
        } else {
            "`sendoff suppress review --stop ID` puts the person on the list, `--dismiss ID` lets \
             the answer be."
        });
    }
    Ok(Exit::Done)
}

/// What a person says of an answer.
enum Verdict {
    Stop,
    Dismiss,
}

impl From<bool> for Verdict {
    fn from(stop: bool) -> Self {
        if stop { Self::Stop } else { Self::Dismiss }
    }
}

async fn judge(
    app: &App,
    ledger: &dyn Ledger,
    id: ReplyId,
    verdict: Verdict,
) -> Result<Exit, Stop> {
    let Some(reply) = waiting(ledger, id).await? else {
        return Err(
            Stop::could_not_start(format!("no answer {id} waits for you"))
                .help("`sendoff suppress review` shows those that do"),
        );
    };
    let (who, now) = (reply.phone.masked(), app.clock.now());
    match verdict {
        Verdict::Stop => {
            let one = NewSuppression {
                phone: reply.phone,
                source: Source::Operator,
                reason: Some(format!("wrote: {}", reply.text.trim())),
                at: None,
            };
            ledger.suppress(&[one], now).await?;
            app.out.note(&format!("{who} gets nothing more."));
        }
        Verdict::Dismiss => {
            ledger.reviewed(id, now).await?;
            app.out.note(&format!(
                "Answer {id} of {who} is done with; nothing was changed."
            ));
        }
    }
    Ok(Exit::Done)
}

async fn waiting(ledger: &dyn Ledger, id: ReplyId) -> Result<Option<Reply>, Stop> {
    let first = ledger.to_review(Some(id.saturating_sub(1)), 1).await?;
    Ok(first.into_iter().find(|reply| reply.id == id))
}

fn fault(name: &str, error: ReportError) -> Stop {
    match error {
        ReportError::Ledger(error) => error.into(),
        ReportError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Stop::PipeClosed,
        ReportError::Output(error) => Stop::Error {
            exit: Exit::Fault,
            text: format!("writing to {name} failed ({})", error.kind()),
            help: None,
        },
    }
}
