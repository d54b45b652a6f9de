//! `explain`: one person's story in a run.

use clap::Args;

use super::whom::{self, Meant};
use super::{App, Exit, Format, Stop, drive, open};
use crate::ledger::{DeliveryRecord, Ledger, RunRecord};
use crate::report::{self, Told};

/// Further rows of one person that are told.
const OTHERS: usize = 5;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff explain review-request@once +12025550143    did it go out, what happened, what to do
  sendoff explain review-request@once C-1007          the same person by recipient key
  sendoff explain review-request@once --row 17        the same by the row of the list")]
pub(super) struct ExplainArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
    /// The person, by phone, e-mail address or recipient key
    #[arg(
        value_name = "PHONE|KEY",
        required_unless_present = "row",
        conflicts_with = "row"
    )]
    who: Option<String>,
    /// The person, by the row of the list (the header not counted)
    #[arg(long, value_name = "N")]
    row: Option<u64>,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) async fn explain(app: &App, args: ExplainArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    open::look_around(app, &*ledger).await?;
    let run = open::run(&*ledger, &args.run).await?;
    let meant = match (&args.who, args.row) {
        (Some(who), _) => Meant::person(who),
        (None, row) => Meant::row(row.unwrap_or(0)),
    };
    let found = whom::find(&*ledger, &run, &meant).await?;
    let mut ids = found.into_iter();
    let Some(id) = ids.next() else {
        return Err(Stop::could_not_start("nobody was named"));
    };
    let history = ledger.history(&run.run, id).await?;
    let others = others(&*ledger, &run, ids.take(OTHERS)).await?;
    let opt_outs = match &history.delivery.phone {
        Some(phone) => ledger.opt_outs_of(phone).await?,
        None => Vec::new(),
    };
    let view = drive::view(app);
    let told = Told {
        run: &run,
        history: &history,
        outlook: &ledger.outlook(&run.run).await?,
        others: &others,
        opt_outs: &opt_outs,
        view: &view,
    };
    match args.format {
        Format::Text => app.out.data(&report::explain_text(&told))?,
        Format::Json => app
            .out
            .data(&format!("{:#}\n", report::explain_json(&told)))?,
    }
    Ok(Exit::Done)
}

async fn others(
    ledger: &dyn Ledger,
    run: &RunRecord,
    ids: impl Iterator<Item = i64>,
) -> Result<Vec<DeliveryRecord>, Stop> {
    let mut others = Vec::new();
    for id in ids {
        others.push(ledger.history(&run.run, id).await?.delivery);
    }
    Ok(others)
}
