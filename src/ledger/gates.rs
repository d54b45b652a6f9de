//! Waits that the provider has asked for, and lines that take no part in messaging: what each
//! holds, and what becomes of those who wait for a line. How rows are found is each database's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::events::{self, Happened};
use super::rows::{named, number};
use super::shapes::HeldBack;
use super::tx::SharedTx;
use super::{DeliveryId, LedgerError, RunFacts};
use crate::domain::address::Address;
use crate::domain::delivery::Hold;
use crate::domain::history::DeliveryEvent;

/// A wait asked for by the provider. Stored, shared by all processes, only ever extended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    pub gateway: String,
    pub held: Held,
    pub until: Timestamp,
    /// Of a line that takes no part in messaging: since when. Such a gate does not open at
    /// `until`; the line is looked at then, see [`super::Ledger::take_look`].
    pub inactive_since: Option<Timestamp>,
    /// Empty: what is known already.
    pub reason: String,
}

impl Gate {
    /// What a delivery says that has to wait for it.
    pub fn hold(&self) -> Hold {
        match self.held {
            Held::Account => Hold::Throttled,
            Held::Line(_) if self.inactive_since.is_some() => Hold::LineInactive,
            Held::Line(_) => Hold::LineCapacity,
            Held::Recipient(_) => Hold::Retry,
        }
    }
}

/// Which of the lines that take no part in messaging are to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Those that were not looked at for long.
    Due,
    All,
}

impl Look {
    /// The latest time, in milliseconds, for which a look may be set down to be taken now.
    pub(super) fn due_by(self, now: Timestamp) -> i64 {
        match self {
            Self::Due => now.as_millisecond(),
            Self::All => i64::MAX,
        }
    }
}

/// Whom a gate holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Held {
    Account,
    Line(String),
    Recipient(Address),
}

/// The lines of a run that take no part in messaging, and when each is looked at again.
pub(super) fn inactive_lines(facts: &RunFacts) -> Vec<(String, Timestamp)> {
    let of_run = |gate: &Gate| match &gate.held {
        Held::Line(line) if gate.inactive_since.is_some() && facts.lines.contains(line) => {
            Some((line.clone(), gate.until))
        }
        Held::Line(_) | Held::Account | Held::Recipient(_) => None,
    };
    facts.gates.iter().filter_map(of_run).collect()
}

/// Whoever waits at such a line, for whatever reason before, waits for it: those who were never
/// claimed say nothing themselves.
pub(super) fn hold_up(
    facts: &mut RunFacts,
    line: String,
    until: Timestamp,
    waiting: Vec<(Option<String>, i64)>,
) -> Result<(), LedgerError> {
    let mut all = 0;
    for (before, n) in waiting {
        let n: u64 = number(n)?;
        let before = before
            .map(|text| named(Hold::parse(&text), &text))
            .transpose()?;
        all += n;
        for (hold, count, _) in &mut facts.holds {
            if *hold == before {
                *count = count.saturating_sub(n);
            }
        }
    }
    facts.holds.retain(|(_, count, _)| *count > 0);
    if all > 0 {
        let inactive = Some(Hold::LineInactive);
        let same = facts.holds.iter_mut().find(|(hold, ..)| *hold == inactive);
        if let Some((_, count, due_at)) = same {
            *count += all;
            *due_at = until.min(*due_at);
        } else {
            facts.holds.push((inactive, all, until));
        }
        facts.held_up.insert(line, all);
    }
    Ok(())
}

/// A delivery that waits for a line to take part in messaging: its id, run and attempts.
pub(super) type HeldForLine = (DeliveryId, i64, i64);

/// They are due now; what is left of the hold is why they were not before.
pub(super) async fn let_go(
    tx: &mut impl SharedTx,
    waiting: Vec<HeldForLine>,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let hold = Hold::LineInactive;
    let (mut due, mut happened) = (Vec::new(), BTreeMap::<i64, Vec<Happened>>::new());
    for (id, run_id, attempt) in waiting {
        let until = now.as_millisecond();
        due.push(HeldBack { id, until, hold });
        let what = DeliveryEvent::Held { until: now, hold };
        let event = Happened::to_delivery(id, number(attempt)?, now, &what)?;
        happened.entry(run_id).or_default().push(event);
    }
    if !due.is_empty() {
        tx.hold_back(&due).await?;
    }
    for (run_id, happened) in happened {
        events::note(tx, run_id, happened).await?;
    }
    Ok(())
}
