//! Where a ledger on a server is at home: its row says in which database it was last sent from. A
//! dump that was restored, on this server or another, is in another one. Not told apart are data
//! put back into the same tables, a copy of the whole server, and a standby that took over: they
//! answer as the original does. Whether to send all the same is not decided here.
//!
//! A mark is left about once a second by a process that sends, so that a ledger that was never
//! sent from settles without a question; and by whoever comes first, so that nobody waits.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;
use sqlx::FromRow;

use super::super::rows::instants;
use super::super::{Copied, LedgerError, Sign, Write};
use super::tx::{Limit, Tx};
use super::{PostgresLedger, copy, statements as sql};

/// Between two marks of a process, in milliseconds of the attempts that leave them.
const MARK_EVERY: i64 = 1_000;

/// What this process knows of the place. Only where it is sure to be at home it leaves marks.
#[derive(Debug)]
pub(super) struct Home {
    taken: AtomicBool,
    /// The newest attempt that left a mark.
    marked_at: AtomicI64,
}

impl Default for Home {
    fn default() -> Self {
        Self {
            taken: AtomicBool::new(false),
            marked_at: AtomicI64::new(i64::MIN),
        }
    }
}

impl Home {
    fn take(&self) {
        self.taken.store(true, Ordering::Release);
    }

    /// A mark was committed.
    pub(super) fn left(&self, mark: Option<i64>) {
        if let Some(at) = mark {
            self.marked_at.store(at, Ordering::Release);
        }
    }
}

/// What tells a database from its copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// None where this role may not read it.
    pub(super) server: Option<String>,
    pub(super) database: i64,
    pub(super) relation: i64,
}

/// The place as the ledger holds it.
#[derive(Debug, FromRow)]
struct Place {
    server: Option<String>,
    database: Option<i64>,
    relation: Option<i64>,
    mark: i64,
    marked_at: Option<i64>,
}

impl Place {
    /// In doubt it is: an identifier that one of the two could not read tells nothing.
    fn may_be(&self, here: &Identity) -> bool {
        let same_server = match (&self.server, &here.server) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => true,
        };
        same_server && self.database == Some(here.database) && self.relation == Some(here.relation)
    }
}

/// The newest place, locked until the transaction ends, and where the ledger is.
async fn look(tx: &mut Tx) -> Result<(Place, Identity), LedgerError> {
    let place = sqlx::query_as(sql::PLACE)
        .fetch_one(tx.connection())
        .await?;
    Ok((place, identity(tx).await?))
}

/// Where the ledger is.
pub(super) async fn identity(tx: &mut Tx) -> Result<Identity, LedgerError> {
    let (database, relation) = sqlx::query_as(sql::DATABASE_ID)
        .fetch_one(tx.connection())
        .await?;
    let may_identify: bool = sqlx::query_scalar(sql::MAY_IDENTIFY)
        .fetch_one(tx.connection())
        .await?;
    let server = if may_identify {
        let identifier = sqlx::query_scalar(sql::SERVER_ID);
        Some(identifier.fetch_one(tx.connection()).await?)
    } else {
        None
    };
    Ok(Identity {
        server,
        database,
        relation,
    })
}

fn copied(ledger: &PostgresLedger, place: &Place, sign: Sign) -> Result<Copied, LedgerError> {
    Ok(Copied {
        store: ledger.place.clone(),
        known_until: instants(place.marked_at)?,
        sign,
    })
}

/// What [`take`] would find. Only looks.
pub(super) async fn away(ledger: &PostgresLedger) -> Result<Option<Copied>, LedgerError> {
    ledger
        .transact_closed(Limit::Short, |mut tx| async move {
            let (place, here) = look(&mut tx).await?;
            let home = place.may_be(&here) || place.mark == 0;
            let away = (!home).then(|| copied(ledger, &place, Sign::OtherDatabase));
            Ok((tx, away.transpose()?))
        })
        .await
}

/// Looks whether the ledger is at home; one that was never sent from settles.
pub(super) async fn take(ledger: &PostgresLedger) -> Result<Option<Copied>, LedgerError> {
    let copied = ledger
        .transact_closed(Limit::Short, |mut tx| async move {
            let (place, here) = look(&mut tx).await?;
            match copy::closed(&mut tx).await?.refusal() {
                None => {}
                Some(LedgerError::Moved { to, at }) => {
                    let moved = copied(ledger, &place, Sign::Moved { to, at })?;
                    return Ok((tx, Some(moved)));
                }
                Some(refusal) => return Err(refusal),
            }
            if place.may_be(&here) {
                return Ok((tx, None));
            }
            if place.mark > 0 {
                let copied = copied(ledger, &place, Sign::OtherDatabase)?;
                return Ok((tx, Some(copied)));
            }
            sqlx::query(sql::SETTLE_PLACE)
                .bind(&here.server)
                .bind(here.database)
                .bind(here.relation)
                .execute(tx.connection())
                .await?;
            Ok((tx, None))
        })
        .await?;
    if copied.is_none() {
        ledger.home.take();
    }
    Ok(copied)
}

/// Makes this the ledger's home, whatever [`take`] has found.
pub(super) async fn accept(ledger: &PostgresLedger, now: Timestamp) -> Result<(), LedgerError> {
    ledger
        .transact_closed(Limit::Short, |mut tx| async move {
            let (place, here) = look(&mut tx).await?;
            let refusal = copy::closed(&mut tx).await?.refusal();
            if let Some(refusal @ LedgerError::Unfinished { .. }) = refusal {
                return Err(refusal);
            }
            copy::take_back(&mut tx).await?;
            // Unless another process was told the same and came first.
            if !place.may_be(&here) {
                sqlx::query(sql::NEW_PLACE)
                    .bind(&here.server)
                    .bind(here.database)
                    .bind(here.relation)
                    .bind(ledger.shift().to_server(now).as_millisecond())
                    .execute(tx.connection())
                    .await?;
            }
            Ok((tx, ()))
        })
        .await?;
    ledger.home.take();
    Ok(())
}

/// Leaves a mark for a group that begins attempts, if it is time for one; says for when.
pub(super) async fn raise(
    ledger: &PostgresLedger,
    tx: &mut Tx,
    group: &[Write],
) -> Result<Option<i64>, LedgerError> {
    let begun = group.iter().filter_map(|write| match write {
        Write::Begin(begin) => Some(begin.at.as_millisecond()),
        Write::Record(_) | Write::Release(_) | Write::Settle(_) => None,
    });
    let Some(newest) = begun.max() else {
        return Ok(None);
    };
    let marked_at = ledger.home.marked_at.load(Ordering::Acquire);
    let taken = ledger.home.taken.load(Ordering::Acquire);
    if !taken || newest.saturating_sub(marked_at) < MARK_EVERY {
        return Ok(None);
    }
    let raised = sqlx::query(sql::RAISE_MARK)
        .bind(newest)
        .execute(tx.connection())
        .await?;
    Ok((raised.rows_affected() > 0).then_some(newest))
}
