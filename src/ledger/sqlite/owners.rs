//! Which processes claim, and which of them are gone. Each process holds an operating-system
//! lock on a file beside the ledger for as long as it lives, so that the end of a killed one
//! is known at once and not only when its leases run out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

use super::super::{LedgerError, Owner};
use super::{SqliteLedger, statements as sql};

/// Processes that have been gone for so long hold no lease any more.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(24 * 7);

/// The locks that this process holds, by owner.
#[derive(Debug, Default)]
pub(super) struct Locks(Mutex<Vec<(Owner, File)>>);

fn lock_path(ledger: &SqliteLedger, owner: &str) -> PathBuf {
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
            error.kind()
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
    if let Ok(mut held) = ledger.locks.0.lock() {
        held.push((owner.clone(), file));
    }
    let mut tx = ledger.begin().await?;
    let forget = now
        .checked_sub(FORGET_AFTER)
        .unwrap_or(Timestamp::MIN)
        .as_millisecond();
    sqlx::query(sql::FORGET_OWNERS)
        .bind(forget)
        .execute(&mut *tx)
        .await?;
    sqlx::query(sql::ENLIST)
        .bind(&owner.0)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(())
}

pub(super) async fn retire(ledger: &SqliteLedger, owner: &Owner) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::GONE)
        .bind(&owner.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    if let Ok(mut held) = ledger.locks.0.lock() {
        held.retain(|(other, _)| other != owner);
    }
    // A file left behind is taken away by the next process that looks.
    fs::remove_file(lock_path(ledger, &owner.0)).ok();
    Ok(())
}

pub(super) async fn bury(ledger: &SqliteLedger) -> Result<(), LedgerError> {
    let mine: Vec<String> = ledger
        .locks
        .0
        .lock()
        .map(|held| held.iter().map(|(owner, _)| owner.0.clone()).collect())
        .unwrap_or_default();
    let others: Vec<String> = sqlx::query_scalar(sql::LIVE_OWNERS)
        .fetch_all(&ledger.readers)
        .await?;
    let gone: Vec<String> = others
        .into_iter()
        .filter(|owner| !mine.contains(owner) && is_gone(ledger, owner))
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let mut tx = ledger.begin().await?;
    for owner in &gone {
        sqlx::query(sql::GONE).bind(owner).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    for owner in &gone {
        fs::remove_file(lock_path(ledger, owner)).ok();
    }
    Ok(())
}

/// A process is gone when nobody holds its lock. In doubt it lives, and its leases run out.
fn is_gone(ledger: &SqliteLedger, owner: &str) -> bool {
    match OpenOptions::new()
        .write(true)
        .open(lock_path(ledger, owner))
    {
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        Ok(file) => file.try_lock().is_ok(),
    }
}
