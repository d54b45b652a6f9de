//! What becomes of stored waits when the machine's clock is set back. They were reckoned from the
//! clock as it was, and would last longer by as much as it went back. Notices it by the newest
//! attempt that was begun, which no clock that only goes forward can be behind.
//!
//! A wait ends at its real time, or later by as much as had passed since that newest attempt;
//! never earlier. What is a time of the day, such as the next window, stays where it is. A clock
//! that is set forward needs nothing: waits end early, and the provider says its own again.
//!
//! The clock is read under the write lock, after what is compared with it: a process that was
//! stopped in between, or waited for the lock, takes nobody's newer attempt for an older clock.

use serde_json::json;
use sqlx::FromRow;

use super::super::events::{self, Happened};
use super::super::rows::{instant, named, number};
use super::super::{DeliveryId, LedgerError, Now};
use super::shared::{Tx, rows};
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::Hold;
use crate::domain::history::DeliveryEvent;

/// A clock that goes back by less is waited for: small corrections are no news.
const TOLERANCE_MS: i64 = 5_000;

/// What the clock shows, and what it showed before it was set back, in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Step {
    to: i64,
    from: i64,
}

impl Step {
    fn of(newest: Option<i64>, now: Now<'_>) -> Option<Self> {
        let (from, to) = (newest?, now().as_millisecond());
        (from - to > TOLERANCE_MS).then_some(Self { to, from })
    }

    /// A time of the clock as it was, by the clock as it is; not before now.
    fn back(self, at: i64) -> i64 {
        (at - (self.from - self.to)).max(self.to)
    }
}

pub(super) async fn follow(ledger: &SqliteLedger, now: Now<'_>) -> Result<(), LedgerError> {
    let newest = sqlx::query_scalar(sql::NEWEST_MARK)
        .fetch_one(&ledger.readers)
        .await?;
    if Step::of(newest, now).is_none() {
        return Ok(());
    }
    let mut tx = ledger.begin().await?;
    let newest = sqlx::query_scalar(sql::NEWEST_MARK)
        .fetch_one(&mut *tx)
        .await?;
    let Some(step) = Step::of(newest, now) else {
        // Another process has followed it.
        return Ok(());
    };
    tracing::warn!(
        by_ms = step.from - step.to,
        "the clock was set back; waits go back with it"
    );
    for statement in [
        sql::SET_BACK_GATES,
        sql::SET_BACK_PACE,
        sql::SET_BACK_CAPS,
        sql::SET_BACK_LEASES,
        sql::SET_BACK_SENDING,
        sql::SET_BACK_MARK,
    ] {
        sqlx::query(statement)
            .bind(step.to)
            .bind(step.from)
            .execute(&mut *tx)
            .await?;
    }
    set_due(&mut tx, step).await?;
    Ok(tx.commit().await?)
}

#[derive(FromRow)]
struct Waiting {
    run_id: i64,
    id: DeliveryId,
    attempt: i64,
    due_at: i64,
    hold: String,
    ended_at: Option<i64>,
}

impl Waiting {
    /// What waits behind a gate waits for the gate alone. A retry goes back with the clock, unless
    /// the attempt before it ended by the clock as it is.
    fn due(&self, hold: Hold, step: Step) -> i64 {
        let ended = self.ended_at.filter(|_| hold == Hold::Retry);
        match ended {
            Some(ended_at) if ended_at > step.to => step.back(self.due_at),
            Some(_) => self.due_at,
            None => step.to,
        }
    }
}

/// Sets back when deliveries are due again, and writes it down with each.
async fn set_due(tx: &mut Tx<'_>, step: Step) -> Result<(), LedgerError> {
    let waiting: Vec<Waiting> = sqlx::query_as(sql::WAITING_BY_THE_CLOCK)
        .bind(step.to)
        .fetch_all(&mut **tx)
        .await?;
    let mut moved = Vec::new();
    for of_one_run in waiting.chunk_by(|one, other| one.run_id == other.run_id) {
        let mut happened = Vec::new();
        for one in of_one_run {
            let hold = named(Hold::parse(&one.hold), &one.hold)?;
            let due = one.due(hold, step);
            if due == one.due_at {
                continue;
            }
            moved.push((one.id, due));
            let until = instant(due)?;
            let what = DeliveryEvent::Held { until, hold };
            let at = instant(step.to)?;
            happened.push(Happened::to_delivery(
                one.id,
                number(one.attempt)?,
                at,
                &what,
            )?);
        }
        if let Some(one) = of_one_run.first() {
            events::note(tx, one.run_id, happened).await?;
        }
    }
    if !moved.is_empty() {
        sqlx::query(sql::SET_DUE)
            .bind(rows(&moved, |(id, due)| json!([id, due])))
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}
