//! Which processes claim, and which of them are gone. A process that lives says so about once a
//! second; one that has not been heard of for a while, by the server's clock, counts as gone, be
//! it dead, stopped or cut off. When it comes back, what others have taken over is theirs, and
//! what it still holds goes on.

use jiff::{SignedDuration, Timestamp};

use super::super::rows::instant;
use super::super::workers::{self, HeldRow, OwnerRow};
use super::super::{AtWork, DeliveryId, LedgerError, Owner, Present, Worker};
use super::clock::Time;
use super::tx::{Limit, Tx};
use super::{PostgresLedger, statements as sql};

/// For so long after a process was found gone its leases may still stand in the ledger; they
/// last for minutes.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24 * 7);

pub(super) async fn enlist(
    ledger: &PostgresLedger,
    owner: &Owner,
    now: Timestamp,
) -> Result<(), LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            tidy(&mut tx, now).await?;
            let lives: Option<bool> = sqlx::query_scalar(sql::OWNER_LIVES)
                .bind(&owner.0)
                .bind(now.as_millisecond())
                .fetch_optional(tx.connection())
                .await?;
            match lives {
                Some(true) => {
                    let taken = format!("the owner '{}' is taken", owner.0);
                    return Err(LedgerError::Fault(taken));
                }
                // What a process of the same name left behind is not this one's.
                Some(false) => {
                    sqlx::query(sql::END_LEASES)
                        .bind(&owner.0)
                        .bind(now.as_millisecond())
                        .execute(tx.connection())
                        .await?;
                }
                None => {}
            }
            lives_on(&mut tx, sql::ENLIST, owner, (now, ledger.heartbeat)).await?;
            Ok((tx, ()))
        })
        .await
}

/// Forgets who and what is long gone.
async fn tidy(tx: &mut Tx, now: Timestamp) -> Result<(), LedgerError> {
    let forget_at = now.saturating_add(FORGET_AFTER).unwrap_or(Timestamp::MAX);
    let over = now.saturating_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
    for (statement, at) in [
        (sql::FORGET_OWNERS, now),
        (sql::FORGET_LATER, forget_at),
        (sql::FORGET_GATES, over),
    ] {
        sqlx::query(statement)
            .bind(at.as_millisecond())
            .execute(tx.connection())
            .await?;
    }
    Ok(())
}

async fn lives_on(
    tx: &mut Tx,
    statement: &'static str,
    owner: &Owner,
    (now, heartbeat): (Timestamp, SignedDuration),
) -> Result<(), LedgerError> {
    let until = now.saturating_add(heartbeat).unwrap_or(Timestamp::MAX);
    sqlx::query(statement)
        .bind(&owner.0)
        .bind(now.as_millisecond())
        .bind(until.as_millisecond())
        .execute(tx.connection())
        .await?;
    Ok(())
}

pub(super) async fn beat(
    ledger: &PostgresLedger,
    owner: &Owner,
    now: Timestamp,
) -> Result<(), LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            lives_on(&mut tx, sql::BEAT, owner, (now, ledger.heartbeat)).await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn retire(ledger: &PostgresLedger, owner: &Owner) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::GONE)
                .bind(&owner.0)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn bury(ledger: &PostgresLedger, now: Timestamp) -> Result<(), LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            sqlx::query(sql::BURY)
                .bind(now.as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

/// Says whose an owner is, and which run it works on.
pub(super) async fn attend(
    ledger: &PostgresLedger,
    owner: &Owner,
    worker: &Worker,
    run_id: Option<i64>,
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::ATTEND)
                .bind(&owner.0)
                .bind(run_id)
                .bind(&worker.0)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

/// The processes on a run that are heard of. Only looks.
pub(super) async fn present(
    ledger: &PostgresLedger,
    run_id: i64,
) -> Result<Vec<Present>, LedgerError> {
    let now = ledger.heard_of_at().await?;
    let rows: Vec<(String, Option<String>, i64)> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::PRESENT)
                .bind(run_id)
                .bind(now)
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter()
        .map(|(owner, worker, since)| {
            let owner = Owner(owner);
            Ok(Present {
                worker: workers::worker(worker, &owner),
                owner,
                since: instant(since)?,
            })
        })
        .collect()
}

/// The workers that are heard of, and what they hold. Only looks.
pub(super) async fn workers(
    ledger: &PostgresLedger,
    now: Timestamp,
) -> Result<Vec<AtWork>, LedgerError> {
    let heard_of_at = ledger.heard_of_at().await?;
    let now = match ledger.time {
        Time::Caller => now.as_millisecond(),
        Time::Database => heard_of_at,
    };
    let (owners, held) = ledger
        .read(|pool| async move {
            let owners: Vec<OwnerRow> = sqlx::query_as(sql::WORKERS)
                .bind(heard_of_at)
                .bind(now)
                .fetch_all(&pool)
                .await?;
            let mut held: Vec<HeldRow> = Vec::new();
            for run_id in workers::runs_of(&owners) {
                let of_run = sqlx::query_as(sql::HELD).bind(run_id).bind(now);
                held.extend(of_run.fetch_all(&pool).await?);
            }
            Ok((owners, held))
        })
        .await?;
    workers::at_work(owners, &held)
}

pub(super) async fn renew(
    ledger: &PostgresLedger,
    owner: &Owner,
    ids: &[DeliveryId],
    until: Timestamp,
) -> Result<Vec<DeliveryId>, LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            let until = ledger.shift().to_server(until);
            let renewed = sqlx::query_scalar(sql::RENEW)
                .bind(&owner.0)
                .bind(ids)
                .bind(until.as_millisecond())
                .fetch_all(tx.connection())
                .await?;
            Ok((tx, renewed))
        })
        .await
}

impl PostgresLedger {
    /// When a process must still have counted as alive to count so now, in milliseconds. A clock
    /// of the caller's that was not handed in is not known: then nothing was too long ago.
    pub(super) async fn heard_of_at(&self) -> Result<i64, LedgerError> {
        if self.time == Time::Caller {
            return Ok(0);
        }
        let server_us: i64 = self
            .read(|pool| async move { sqlx::query_scalar(sql::CLOCK).fetch_one(&pool).await })
            .await?;
        Ok(server_us / 1_000)
    }
}
