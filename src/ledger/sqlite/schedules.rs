//! From when on the occurrences of a campaign count, and those that were not sent.

use jiff::Timestamp;

use super::super::rows::{instant, stored};
use super::super::{LedgerError, Missed};
use super::{SqliteLedger, statements as sql};
use crate::domain::run::RunId;

pub(super) async fn since(
    ledger: &SqliteLedger,
    campaign: &str,
    now: Timestamp,
) -> Result<Timestamp, LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::FIRST_SEEN)
        .bind(campaign)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    let since: i64 = sqlx::query_scalar(sql::SCHEDULE_SINCE)
        .bind(campaign)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    instant(since)
}

pub(super) async fn handled(
    ledger: &SqliteLedger,
    campaign: &str,
    until: Timestamp,
    missed: &[Missed],
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    for one in missed {
        sqlx::query(sql::KEEP_MISSED)
            .bind(one.run.as_str())
            .bind(one.due_at.as_millisecond())
            .bind(&one.reason)
            .execute(&mut *tx)
            .await?;
    }
    sqlx::query(sql::MOVE_SCHEDULE)
        .bind(campaign)
        .bind(until.as_millisecond())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn missed(
    ledger: &SqliteLedger,
    campaign: &str,
    most: u32,
) -> Result<Vec<Missed>, LedgerError> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(sql::MISSED)
        .bind(campaign)
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter()
        .map(|(run, due_at, reason)| {
            Ok(Missed {
                run: stored(RunId::parse(&run))?,
                due_at: instant(due_at)?,
                reason,
            })
        })
        .collect()
}
