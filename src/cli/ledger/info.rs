//! `ledger info`: the store from outside.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use super::super::faults::At;
use super::super::{App, Exit, Format, Stop, open};
use super::{failed, must_be_there, name, schema};
use crate::ledger::copy::{Move, Process, Standing};
use crate::ledger::insight::{Insight, Schema};
use crate::ledger::{Copied, LedgerError};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff ledger info                             the ledger of the settings
  sendoff ledger info sqlite://backup.db          another one
  sendoff ledger info --format json               the same for a script

Only looks: neither the tables nor where the ledger is at home change.")]
pub(super) struct InfoArgs {
    /// The ledger's address [default: the one of the settings]
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// What there is to say of a ledger whose schema is the newest.
struct Whole {
    insight: Insight,
    standing: Standing,
    away: Option<Copied>,
    present: Vec<Process>,
}

pub(super) async fn info(app: &App, args: &InfoArgs) -> Result<Exit, Stop> {
    let place = open::place_of(app, args.address.as_deref())?;
    must_be_there(&place)?;
    let here = |error: LedgerError| failed(&place, &error, At::Opening);
    let schema = schema(&place).await.map_err(here)?;
    let name = name(&place);
    let whole = if schema.is_newest() {
        let ledger = open::moving(&place).await.map_err(here)?;
        let whole = Whole {
            insight: ledger.insight().await.map_err(here)?,
            standing: ledger.standing().await.map_err(here)?,
            away: ledger.away().await.map_err(here)?,
            present: ledger.present(app.clock.now()).await.map_err(here)?,
        };
        ledger.close().await;
        Some(whole)
    } else {
        None
    };
    match args.format {
        Format::Text => app.out.data(&text(&name, schema, whole.as_ref()))?,
        Format::Json => {
            let json = as_json(&name, schema, whole.as_ref());
            app.out.data(&format!("{json:#}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// Where it stands, in a word that scripts can rely on.
fn stands(whole: &Whole) -> &'static str {
    match (&whole.standing.to, &whole.standing.from, &whole.away) {
        (Some(_), ..) => "moved",
        (None, Some(from), _) if from.finished_at.is_none() => "unfinished",
        (None, _, Some(_)) => "copied",
        (None, _, None) => "home",
    }
}

fn text(name: &str, schema: Schema, whole: Option<&Whole>) -> String {
    let mut text = format!("Ledger      {name}\n");
    if let Some(whole) = whole {
        let insight = &whole.insight;
        let (kind, version) = (insight.kind.as_str(), &insight.version);
        writeln!(text, "Kept by     {kind} {version}").ok();
    }
    let words = match schema.applied {
        0 => "none yet; `sendoff ledger migrate` makes the tables".to_owned(),
        applied if schema.is_newest() => format!("{applied}, the newest"),
        applied => format!(
            "{applied}; `sendoff ledger migrate` brings it to {}",
            schema.newest
        ),
    };
    writeln!(text, "Schema      {words}").ok();
    let Some(whole) = whole else { return text };
    writeln!(text, "Place       {}", place(whole)).ok();
    let insight = &whole.insight;
    let runs: Vec<String> = insight
        .runs
        .iter()
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let runs = if runs.is_empty() {
        "none".to_owned()
    } else {
        runs.join(", ")
    };
    writeln!(text, "Runs        {runs}").ok();
    writeln!(text, "Deliveries  {}", insight.deliveries).ok();
    let processes: Vec<&str> = whole.present.iter().map(|one| &*one.name).collect();
    let processes = if processes.is_empty() {
        "none".to_owned()
    } else {
        processes.join(", ")
    };
    writeln!(text, "Processes   {processes}").ok();
    writeln!(text, "On disk     {}", size(insight.bytes)).ok();
    let widest = insight.tables.iter().map(|(table, _)| table.len()).max();
    let widest = widest.unwrap_or_default();
    for (table, bytes) in &insight.tables {
        writeln!(text, "  {table:<widest$}  {:>8}", size(*bytes)).ok();
    }
    text
}

fn place(whole: &Whole) -> String {
    let moved = |one: &Move| format!("{} ({:.0})", one.store, one.at);
    match (&whole.standing.to, &whole.standing.from, &whole.away) {
        (Some(to), ..) if to.finished_at.is_some() => {
            format!("moved to {}; not sent from any more", moved(to))
        }
        (Some(to), ..) => format!(
            "closed for a move to {} that is not finished; not sent from any more",
            moved(to)
        ),
        (None, Some(from), _) if from.finished_at.is_none() => {
            format!("an unfinished copy of {}; not sent from yet", moved(from))
        }
        (None, _, Some(_)) => "copied or moved; sending from it asks for --accept-copy".to_owned(),
        (None, Some(from), None) => format!("at home here; copied from {}", moved(from)),
        (None, None, None) => "at home here".to_owned(),
    }
}

/// In the unit that leaves a number which can be read.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut left = bytes;
    let mut before = 0;
    let mut unit = "bytes";
    for next in UNITS {
        if left < 1024 {
            break;
        }
        before = left % 1024;
        left /= 1024;
        unit = next;
    }
    if unit == "bytes" || left >= 100 {
        format!("{left} {unit}")
    } else {
        format!("{left}.{} {unit}", before * 10 / 1024)
    }
}

fn as_json(name: &str, schema: Schema, whole: Option<&Whole>) -> Value {
    let mut json = json!({
        "ledger": name.trim_matches('\''),
        "schema": { "applied": schema.applied, "newest": schema.newest },
    });
    let (Some(whole), Some(fields)) = (whole, json.as_object_mut()) else {
        return json;
    };
    let insight = &whole.insight;
    let moved = |one: &Option<Move>| {
        one.as_ref()
            .map(|one| json!({ "ledger": one.store, "at": one.at, "finished_at": one.finished_at }))
    };
    let runs: serde_json::Map<String, Value> = insight
        .runs
        .iter()
        .map(|(state, n)| (state.to_string(), json!(n)))
        .collect();
    let tables: serde_json::Map<String, Value> = insight
        .tables
        .iter()
        .map(|(table, bytes)| (table.clone(), json!(bytes)))
        .collect();
    let processes: Vec<Value> = whole
        .present
        .iter()
        .map(|one| json!({ "process": one.name, "since": one.since }))
        .collect();
    fields.extend([
        ("kind".to_owned(), json!(insight.kind.as_str())),
        ("version".to_owned(), json!(insight.version)),
        ("place".to_owned(), json!(stands(whole))),
        ("moved_to".to_owned(), json!(moved(&whole.standing.to))),
        ("copied_from".to_owned(), json!(moved(&whole.standing.from))),
        ("runs".to_owned(), json!(runs)),
        ("deliveries".to_owned(), json!(insight.deliveries)),
        ("processes".to_owned(), json!(processes)),
        ("bytes".to_owned(), json!(insight.bytes)),
        ("tables".to_owned(), json!(tables)),
    ]);
    json
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_is_short() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (200 * 1024, "200 KiB"),
            (5 * 1024 * 1024 * 1024, "5.0 GiB"),
        ] {
            assert_eq!(size(bytes), words);
        }
    }
}
