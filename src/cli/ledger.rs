//! `ledger`: the store itself, moved, brought up to date and looked at. What is in it is for the
//! other commands.

mod copy;
mod info;
mod migrate;

use clap::{Args, Subcommand};

use super::faults::{self, At};
use super::open::Place;
use super::{App, Exit, Stop};
use crate::ledger::LedgerError;
use crate::ledger::insight::Schema;
use crate::ledger::postgres::PostgresLedger;
use crate::ledger::sqlite::SqliteLedger;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff ledger info                              where everything sent is recorded
  sendoff ledger copy sqlite://sendoff.db postgres://sendoff@db/sendoff
                                                   outgrow one machine; runs go on there")]
pub(super) struct LedgerArgs {
    #[command(subcommand)]
    what: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// Move a ledger to another file or database; runs go on there
    Copy(copy::CopyArgs),
    /// Bring a ledger's tables up to date
    Migrate(migrate::MigrateArgs),
    /// Which ledger it is, its schema, its size, who works on it
    Info(info::InfoArgs),
}

pub(super) async fn ledger(app: &App, args: LedgerArgs) -> Result<Exit, Stop> {
    match args.what {
        LedgerCommand::Copy(args) => copy::copy(app, args).await,
        LedgerCommand::Migrate(args) => migrate::migrate(app, &args).await,
        LedgerCommand::Info(args) => info::info(app, &args).await,
    }
}

/// How people call the ledger at a place.
fn name(place: &Place) -> String {
    match place {
        Place::File(path) => format!("'{}'", path.display()),
        // An address that cannot be read is refused when it is opened.
        Place::Server(url) => PostgresLedger::name_of(url).unwrap_or_default(),
    }
}

/// A fault of a ledger that need not be the settings' own.
fn failed(place: &Place, error: &LedgerError, at: At) -> Stop {
    let named = match place {
        Place::File(path) => Some(path.display().to_string()),
        Place::Server(_) => None,
    };
    let fault = faults::of(error, named.as_deref(), at);
    Stop::Error {
        exit: fault.exit,
        text: fault.text,
        help: fault.help.map(str::to_owned),
    }
}

/// There has to be a ledger already.
fn must_be_there(place: &Place) -> Result<(), Stop> {
    match place {
        Place::File(path) if !place.is_there() => {
            let text = format!("there is no ledger '{}'", path.display());
            Err(Stop::could_not_start(text).help("name the file that the ledger is in"))
        }
        Place::File(_) | Place::Server(_) => Ok(()),
    }
}

async fn schema(place: &Place) -> Result<Schema, LedgerError> {
    match place {
        Place::File(path) => SqliteLedger::schema(path).await,
        Place::Server(url) => PostgresLedger::schema(url).await,
    }
}
