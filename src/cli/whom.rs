//! Whom a command is about: a person by phone or key, or a row of the list. Where there is none,
//! or theirs is in another state, it says who there is.

use clap::Args;
use strsim::damerau_levenshtein;

use super::{App, Stop};
use crate::domain::address::Address;
use crate::domain::delivery::{Counts, DeliveryState};
use crate::ledger::{DeliveryId, DeliveryRecord, Ledger, RunRecord, Whom};

/// People that are named where somebody else was meant.
const NAMED: u32 = 5;
/// Deliveries in memory at a time while a key is looked for that is like another.
const PAGE: u32 = 2_000;

/// The person of `retry` and `resolve`.
#[derive(Debug, Clone, Args)]
pub(super) struct WhomArgs {
    /// The person, by recipient key, phone or e-mail address
    #[arg(long, value_name = "KEY|PHONE")]
    pub(super) recipient: Option<String>,
    /// The person, by the row of the list (the header not counted)
    #[arg(long, value_name = "N", conflicts_with = "recipient")]
    pub(super) row: Option<u64>,
}

impl WhomArgs {
    /// `None`: nobody was named.
    pub(super) fn meant(&self) -> Option<Meant> {
        let by_name = self.recipient.as_deref().map(Meant::person);
        by_name.or(self.row.map(Meant::row))
    }
}

/// Whom the user means, and how to speak of them.
#[derive(Debug, Clone)]
pub(super) struct Meant {
    whom: Whom,
    /// As typed; a phone masked.
    words: String,
}

impl Meant {
    /// By key or phone.
    pub(super) fn person(text: &str) -> Self {
        let phone = Address::parse(text, None).ok();
        let words = match &phone {
            Some(phone) => phone.masked(),
            None => format!("'{text}'"),
        };
        Self {
            whom: Whom::Person {
                key: Some(text.to_owned()),
                phone,
            },
            words,
        }
    }

    pub(super) fn row(row: u64) -> Self {
        Self {
            whom: Whom::Row(row),
            words: format!("row {row}"),
        }
    }
}

/// Their deliveries in the run, at least one; the one that is to be written to comes first.
pub(super) async fn find(
    ledger: &dyn Ledger,
    run: &RunRecord,
    meant: &Meant,
) -> Result<Vec<DeliveryId>, Stop> {
    let found = ledger.find(&run.run, &meant.whom).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let (text, help) = match &meant.whom {
        Whom::Row(_) => (
            format!("{} is not in {}", meant.words, run.run),
            format!("its list has the rows 1 to {}", run.total),
        ),
        Whom::Person { key, phone } => {
            let near = match (key, phone) {
                (Some(key), None) => nearest(ledger, run, key).await?,
                _ => None,
            };
            let everybody = format!("sendoff report {} --format csv", run.run);
            let help = match near {
                Some(near) => format!("did you mean {near}? `{everybody}` lists everybody"),
                None if phone.is_none() => format!(
                    "write a phone with its country code, such as +12025550143, or a key as the \
                     list has it; `{everybody}` lists everybody"
                ),
                None => format!("`{everybody}` lists everybody"),
            };
            (
                format!("nobody in {} has the key or phone {}", run.run, meant.words),
                help,
            )
        }
    };
    Err(Stop::could_not_start(text).help(help))
}

/// The recipient key that is most like this one, if one is near; never a phone.
async fn nearest(ledger: &dyn Ledger, run: &RunRecord, text: &str) -> Result<Option<String>, Stop> {
    let mut best: Option<(usize, String)> = None;
    let mut after = None;
    loop {
        let page = ledger.deliveries(&run.run, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let keys = page.iter().filter_map(|one| {
            let key = one.recipient_key.as_deref()?;
            let phone = one.phone.as_ref().map(Address::expose);
            (Some(key) != phone).then_some(key)
        });
        for key in keys {
            let distance = damerau_levenshtein(text, key);
            let near = 1 + key.chars().count().max(text.chars().count()) / 4;
            if distance <= near && best.as_ref().is_none_or(|(least, _)| distance < *least) {
                best = Some((distance, key.to_owned()));
            }
        }
    }
    Ok(best.map(|(_, key)| key))
}

/// `row 17 (+1202•••0143)`
pub(super) fn words(delivery: &DeliveryRecord) -> String {
    match &delivery.phone {
        Some(phone) => format!("row {} ({})", delivery.row, phone.masked()),
        None => format!("row {}", delivery.row),
    }
}

/// `41 sent, 3 skipped`
pub(super) fn states(counts: &Counts) -> String {
    let states: Vec<String> = counts
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    if states.is_empty() {
        "no deliveries".to_owned()
    } else {
        states.join(", ")
    }
}

/// Why somebody's delivery cannot be taken, and whose can.
pub(super) async fn not_in(
    app: &App,
    ledger: &dyn Ledger,
    run: &RunRecord,
    (state, meant): (DeliveryState, Option<&DeliveryRecord>),
) -> Result<Stop, Stop> {
    let text = match meant {
        Some(one) => format!("{} is {}, not {state}", words(one), one.state),
        None => format!("nothing of {} is {state}", run.run),
    };
    let help = who_is(app, ledger, run, state).await?;
    Ok(Stop::could_not_start(text).help(help))
}

/// The first who are in a state; where nobody is, the states that there are.
pub(super) async fn who_is(
    app: &App,
    ledger: &dyn Ledger,
    run: &RunRecord,
    state: DeliveryState,
) -> Result<String, Stop> {
    let facts = ledger.facts(&run.run, app.clock.now()).await?;
    let first = ledger.in_state(&run.run, state, NAMED).await?;
    if first.is_empty() {
        return Ok(format!("{} has {}", run.run, states(&facts.counts)));
    }
    let named: Vec<String> = first.iter().map(words).collect();
    let all = facts.counts.of(state);
    let more = all.saturating_sub(u64::try_from(named.len()).unwrap_or(0));
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Ok(format!("{state}: {}{more}", named.join(", ")))
}
