//! `verify`: proves a run, or names each row that does not fit.

use clap::Args;

use super::{App, Exit, Stop, open};
use crate::domain::digest::hex;
use crate::domain::proof::Finding;
use crate::domain::run::RunId;
use crate::ledger::LedgerError;
use crate::report::{self, Proof};

/// Findings are told up to this many; the rest is counted.
const TOLD: u64 = 100;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff verify review-request@once          at any time, also while the run goes on

Reads the whole run and compares: every row of the list with the checksum it was frozen with, every
attempt and event with its own, and where each delivery stands with where its history leads.
What does not fit is named, and the exit code is 5. Nothing is changed.")]
pub(super) struct VerifyArgs {
    /// The run, such as review-request@once
    #[arg(value_name = "RUN")]
    run: String,
}

pub(super) async fn verify(app: &App, args: VerifyArgs) -> Result<Exit, Stop> {
    let ledger = open::existing_ledger(app).await?;
    let run = RunId::parse(&args.run).map_err(|error| Stop::could_not_start(error.to_string()))?;
    let out = app.out;
    let mut told = 0;
    let mut gone = Ok(());
    let mut hear = |finding: &Finding| {
        told += 1;
        if told <= TOLD && gone.is_ok() {
            gone = out.data(&format!("{finding}\n"));
        }
    };
    let proof = match report::verify(&*ledger, &run, &mut hear).await {
        Err(LedgerError::NoSuchRun(_)) => return Err(open::no_such_run(&*ledger, &args.run).await?),
        proof => proof?,
    };
    gone?;
    if proof.findings == 0 {
        out.data(&proved(&run, &proof))?;
        return Ok(Exit::Done);
    }
    if proof.findings > TOLD {
        out.data(&format!("and {} more\n", proof.findings - TOLD))?;
    }
    let things = count(proof.findings, "thing does", "things do");
    Err(Stop::Error {
        exit: Exit::Fault,
        text: format!("{run} is not proved: {things} not fit"),
        help: Some(
            "the ledger was damaged or changed by hand; keep a copy of it as it is, and put back \
             the last good one before anything is sent"
                .to_owned(),
        ),
    })
}

fn proved(run: &RunId, proof: &Proof) -> String {
    let files = match proof.files {
        0 => String::new(),
        n => format!(" and {}", count(n, "file", "files")),
    };
    format!(
        "{run} is proved: {}, {}, {}{files}; every checksum is right, and every delivery stands \
         where its history leads.\nChecksum of the list: {}\n",
        count(proof.rows, "row", "rows"),
        count(proof.attempts, "attempt", "attempts"),
        count(proof.events, "event", "events"),
        hex(&proof.list_sum.to_be_bytes()),
    )
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
