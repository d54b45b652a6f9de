//! `ledger migrate`: brings the tables up to date, by itself and not on the way to something else.

use clap::Args;

use super::super::faults::At;
use super::super::{App, Exit, Stop, open};
use super::{failed, must_be_there, name, schema};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff ledger migrate                                the ledger of the settings
  sendoff ledger migrate postgres://admin@db/sendoff    as a user who may change its tables

Every command brings the ledger up to date before it uses it. On PostgreSQL this needs a user who
may change tables; where the user of the settings may not, an administrator does it with this
command, before the new version is started.")]
pub(super) struct MigrateArgs {
    /// The ledger's address [default: the one of the settings]
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
}

pub(super) async fn migrate(app: &App, args: &MigrateArgs) -> Result<Exit, Stop> {
    let place = open::place_of(app, args.address.as_deref())?;
    must_be_there(&place)?;
    let before = schema(&place)
        .await
        .map_err(|error| failed(&place, &error, At::Opening))?;
    let name = name(&place);
    if before.is_newest() {
        app.out.data(&format!(
            "The ledger {name} is up to date: schema {}, nothing to do.\n",
            before.applied
        ))?;
        return Ok(Exit::Done);
    }
    let ledger = open::moving(&place)
        .await
        .map_err(|error| failed(&place, &error, At::Opening))?;
    ledger.close().await;
    let from = match before.applied {
        0 => "brought from nothing".to_owned(),
        version => format!("brought from schema {version}"),
    };
    app.out.data(&format!(
        "The ledger {name} was {from} to schema {}.\n",
        before.newest
    ))?;
    Ok(Exit::Done)
}
