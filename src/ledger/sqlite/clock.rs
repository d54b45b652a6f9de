//! What becomes of stored waits when the machine's clock is set back. They were reckoned from the
//! clock as it was, and would last longer by as much as it went back. Notices it by the newest
//! attempt that was begun, which no clock that only goes forward can be behind.
//!
//! A wait ends at its real time, or later by as much as had passed since that newest attempt;
//! never earlier. What was due stays due; what is a time of the day, such as the next window,
//! stays where it is. A clock that is set forward needs nothing: waits end early, and the provider
//! says its own again.
//!
//! The clock is read under the write lock, after what is compared with it: a process that was
//! stopped in between, or waited for the lock, takes nobody's newer attempt for an older clock.
//!
//! Every delivery that waits is written once, which takes seconds where there are a million;
//! clocks are set back by more than the tolerance about never.

use super::super::{LedgerError, Now};
use super::{SqliteLedger, statements as sql};

/// A clock that goes back by less is waited for: small corrections are no news.
const TOLERANCE_MS: i64 = 5_000;

pub(super) async fn follow(ledger: &SqliteLedger, now: Now<'_>) -> Result<(), LedgerError> {
    let newest = sqlx::query_scalar(sql::NEWEST_MARK)
        .fetch_one(&ledger.readers)
        .await?;
    if !is_ahead(newest, now) {
        return Ok(());
    }
    let mut tx = ledger.begin().await?;
    let newest: Option<i64> = sqlx::query_scalar(sql::NEWEST_MARK)
        .fetch_one(&mut *tx)
        .await?;
    let shown = now().as_millisecond();
    let Some(newest) = newest.filter(|newest| newest - shown > TOLERANCE_MS) else {
        // Another process has followed it.
        return Ok(());
    };
    tracing::warn!(
        by_ms = newest - shown,
        "the clock was set back; waits go back with it"
    );
    for statement in [
        sql::SET_BACK_GATES,
        sql::SET_BACK_PACE,
        sql::SET_BACK_DUE,
        sql::SET_BACK_RETRIES,
        sql::SET_BACK_LEASES,
        sql::SET_BACK_SENDING,
        sql::SET_BACK_MARK,
    ] {
        sqlx::query(statement)
            .bind(shown)
            .bind(newest)
            .execute(&mut *tx)
            .await?;
    }
    Ok(tx.commit().await?)
}

fn is_ahead(newest: Option<i64>, now: Now<'_>) -> bool {
    newest.is_some_and(|newest| newest - now().as_millisecond() > TOLERANCE_MS)
}
