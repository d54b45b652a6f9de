//! Which processes claim, and which of them are gone. Each process holds an operating-system
//! lock on a file beside the ledger for as long as it lives, so that the end of a killed one
//! is known at once and not only when its leases run out.
//!
//! Only a lock that can be taken proves an end. A file that is not there proves nothing (it may
//! have been tidied away): such a process counts as alive, and its leases end by time.
//!
//! | killed | leaves behind |
//! |---|---|
//! | between lock and row | an empty file; it holds no lease |
//! | with its row | a file that can be locked: gone |
//! | between `gone` and the file's removal | a file that the next look takes away |

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::super::rows::{instant, stored};
use super::super::workers::{self, HeldRow, OwnerRow};
use super::super::{AtWork, DeliveryId, LedgerError, Owner, Present, Worker};
use super::{SqliteLedger, statements as sql};
use crate::domain::cause::because;

/// For so long after a process was found gone its leases may still stand in the ledger; they
/// last for minutes.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The locks that this process holds, by owner.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Vec<(Owner, File)>>);

impl Locks {
    fn held(&self) -> MutexGuard<'_, Vec<(Owner, File)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves on the lock's file that its process lives. Nothing depends on it but what is shown,
    /// so that where the file cannot be touched there is nothing to say.
    pub(super) fn touch(&self, owner: &Owner, now: Timestamp) {
        if let Some((_, file)) = self.held().iter().find(|(other, _)| other == owner) {
            file.set_modified(now.into()).ok();
        }
    }

    fn drop(&self, owner: &Owner) {
        self.held().retain(|(other, _)| other != owner);
    }
}

pub(super) fn lock_path(ledger: &SqliteLedger, owner: &str) -> PathBuf {
    let mut path = ledger.path.clone().into_os_string();
    path.push(format!("-owner-{owner}"));
    path.into()
}

pub(super) async fn enlist(
    ledger: &SqliteLedger,
    owner: &Owner,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let path = lock_path(ledger, &owner.0);
    let unlockable = |error: std::io::Error| LedgerError::Unopenable {
        path: path.clone(),
        reason: format!(
            "the lock beside the ledger cannot be made ({})",
            because(&error)
        ),
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(&unlockable)?;
    // Where the file system knows no locks, leases end by time alone.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(LedgerError::Fault(format!(
            "the owner '{}' is taken",
            owner.0
        )));
    }
    ledger.locks.held().push((owner.clone(), file));
    ledger.locks.touch(owner, now);
    let noted = note(ledger, owner, now).await;
    if noted.is_err() {
        fs::remove_file(path).ok();
        ledger.locks.drop(owner);
    }
    noted
}

/// The row comes after the lock: whoever sees the row finds the lock held.
async fn note(ledger: &SqliteLedger, owner: &Owner, now: Timestamp) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    let forget_at = now.saturating_add(FORGET_AFTER).unwrap_or(Timestamp::MAX);
    sqlx::query(sql::FORGET_OWNERS)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    sqlx::query(sql::FORGET_LATER)
        .bind(forget_at.as_millisecond())
        .execute(&mut *tx)
        .await?;
    let over = now.saturating_sub(FORGET_AFTER).unwrap_or(Timestamp::MIN);
    sqlx::query(sql::FORGET_GATES)
        .bind(over.as_millisecond())
        .execute(&mut *tx)
        .await?;
    let namesake: Option<i64> = sqlx::query_scalar(sql::OWNER_KNOWN)
        .bind(&owner.0)
        .fetch_optional(&mut *tx)
        .await?;
    if namesake.is_some() {
        // What a process of the same name left behind is not this one's.
        sqlx::query(sql::END_LEASES)
            .bind(&owner.0)
            .bind(now.as_millisecond())
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(sql::ENLIST)
        .bind(&owner.0)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn retire(ledger: &SqliteLedger, owner: &Owner) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::GONE)
        .bind(&owner.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    fs::remove_file(lock_path(ledger, &owner.0)).ok();
    ledger.locks.drop(owner);
    Ok(())
}

/// Says whose an owner is, and which run it works on.
pub(super) async fn attend(
    ledger: &SqliteLedger,
    owner: &Owner,
    worker: &Worker,
    run_id: Option<i64>,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::ATTEND)
        .bind(&owner.0)
        .bind(run_id)
        .bind(&worker.0)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

/// The processes on a run that are not known to be gone. Only looks.
pub(super) async fn present(
    ledger: &SqliteLedger,
    run_id: i64,
) -> Result<Vec<Present>, LedgerError> {
    let rows: Vec<(String, Option<String>, i64)> = sqlx::query_as(sql::PRESENT)
        .bind(run_id)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter()
        .filter(|(owner, ..)| !is_gone(ledger, owner))
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

/// The workers that are not known to be gone, and what they hold. Only looks.
pub(super) async fn workers(
    ledger: &SqliteLedger,
    now: Timestamp,
) -> Result<Vec<AtWork>, LedgerError> {
    let mut owners: Vec<OwnerRow> = sqlx::query_as(sql::WORKERS)
        .fetch_all(&ledger.readers)
        .await?;
    owners.retain(|one| !is_gone(ledger, &one.owner));
    for one in &mut owners {
        one.silent_ms = heard_at(ledger, &one.owner)
            .map(|heard_at| (now.as_millisecond() - heard_at.as_millisecond()).max(0));
    }
    let mut held: Vec<HeldRow> = Vec::new();
    for run_id in workers::runs_of(&owners) {
        let of_run = sqlx::query_as(sql::HELD)
            .bind(run_id)
            .bind(now.as_millisecond());
        held.extend(of_run.fetch_all(&ledger.readers).await?);
    }
    workers::at_work(owners, &held)
}

/// When a process last said that it lives; none where its lock's file is not there.
fn heard_at(ledger: &SqliteLedger, owner: &str) -> Option<Timestamp> {
    let touched = fs::metadata(lock_path(ledger, owner))
        .and_then(|found| found.modified())
        .ok()?;
    Timestamp::try_from(touched).ok()
}

pub(super) async fn renew(
    ledger: &SqliteLedger,
    owner: &Owner,
    ids: &[DeliveryId],
    until: Timestamp,
) -> Result<Vec<DeliveryId>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let renewed = sqlx::query_scalar(sql::RENEW)
        .bind(&owner.0)
        .bind(stored(serde_json::to_string(ids))?)
        .bind(until.as_millisecond())
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(renewed)
}

pub(super) async fn bury(ledger: &SqliteLedger) -> Result<(), LedgerError> {
    let owners: Vec<(String, bool)> = sqlx::query_as(sql::OWNERS)
        .fetch_all(&ledger.readers)
        .await?;
    let (buried, others): (Vec<_>, Vec<_>) = owners.into_iter().partition(|(_, gone)| *gone);
    let dead: Vec<String> = others
        .into_iter()
        .map(|(owner, _)| owner)
        .filter(|owner| is_gone(ledger, owner))
        .collect();
    if !dead.is_empty() {
        let mut tx = ledger.begin().await?;
        for owner in &dead {
            sqlx::query(sql::GONE).bind(owner).execute(&mut *tx).await?;
        }
        tx.commit().await?;
    }
    for owner in buried.into_iter().map(|(owner, _)| owner).chain(dead) {
        if is_gone(ledger, &owner) {
            fs::remove_file(lock_path(ledger, &owner)).ok();
        }
    }
    Ok(())
}

/// A process is gone when nobody holds its lock. In doubt it lives, and its leases run out. Its
/// own locks hold a process too, whichever handle on the ledger took them.
pub(super) fn is_gone(ledger: &SqliteLedger, owner: &str) -> bool {
    OpenOptions::new()
        .write(true)
        .open(lock_path(ledger, owner))
        .is_ok_and(|file| file.try_lock().is_ok())
}
