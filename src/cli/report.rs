//! `report`: what became of a run, for people, programs, spreadsheets and browsers.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{App, Exit, Stop, drive, open};
use crate::report::{Csv, Html, Json, ReportError, Subject, Text};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff report review-request@once                          a summary to read
  sendoff report review-request@once --format csv -o out.csv  one line per row of the list
  sendoff report review-request@once --format html -o out.html
                                                              one page with charts, to show or mail")]
pub(super) struct ReportArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: ReportFormat,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    Text,
    Json,
    Csv,
    Html,
}

pub(super) async fn report(app: &App, args: ReportArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    let run = open::run(&*ledger, &args.run).await?;
    let subject = Subject {
        ledger: &*ledger,
        run: &run,
        now: app.clock.now(),
    };
    let mut view = drive::view(app);
    if args.output.is_some() {
        view.style = crate::report::Style::PLAIN;
    }
    let format: Box<dyn crate::report::Format> = match args.format {
        ReportFormat::Text => Box::new(Text { view }),
        ReportFormat::Json => Box::new(Json),
        ReportFormat::Csv => Box::new(Csv),
        ReportFormat::Html => Box::new(Html { view }),
    };
    let mut out: Box<dyn Write + Send> = match &args.output {
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|error| {
            Stop::could_not_start(format!(
                "'{}' cannot be written ({})",
                path.display(),
                error.kind()
            ))
        })?)),
        None => Box::new(BufWriter::new(app.out.stdout())),
    };
    match format.write(subject, &mut *out).await {
        Ok(()) => Ok(Exit::Done),
        Err(ReportError::Ledger(error)) => Err(error.into()),
        Err(ReportError::Output(error)) if args.output.is_none() => {
            Err(if error.kind() == io::ErrorKind::BrokenPipe {
                Stop::PipeClosed
            } else {
                output_fault("standard output", error.kind())
            })
        }
        Err(ReportError::Output(error)) => {
            let name = args
                .output
                .map(|path| path.display().to_string())
                .unwrap_or_default();
            Err(output_fault(&name, error.kind()))
        }
    }
}

fn output_fault(name: &str, kind: io::ErrorKind) -> Stop {
    Stop::Error {
        exit: Exit::Fault,
        text: format!("writing to {name} failed ({kind})"),
        help: None,
    }
}
