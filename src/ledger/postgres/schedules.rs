//! From when on the occurrences of a campaign count, and those that were not sent, on PostgreSQL.

use jiff::Timestamp;

use super::super::rows::{instant, missed as missed_of};
use super::super::{LedgerError, Missed};
use super::shared::column;
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};

pub(super) async fn since(
    ledger: &PostgresLedger,
    campaign: &str,
    now: Timestamp,
) -> Result<Timestamp, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            sqlx::query(sql::FIRST_SEEN)
                .bind(campaign)
                .bind(now.as_millisecond())
                .execute(tx.connection())
                .await?;
            let since: i64 = sqlx::query_scalar(sql::SCHEDULE_SINCE)
                .bind(campaign)
                .fetch_one(tx.connection())
                .await?;
            Ok((tx, instant(since)?))
        })
        .await
}

pub(super) async fn handled(
    ledger: &PostgresLedger,
    campaign: &str,
    until: Timestamp,
    missed: &[Missed],
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::KEEP_MISSED)
                .bind(column(missed, |one| one.run.as_str()))
                .bind(column(missed, |one| one.due_at.as_millisecond()))
                .bind(column(missed, |one| one.reason.as_str()))
                .execute(tx.connection())
                .await?;
            sqlx::query(sql::MOVE_SCHEDULE)
                .bind(campaign)
                .bind(until.as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn missed(
    ledger: &PostgresLedger,
    campaign: &str,
    most: u32,
) -> Result<Vec<Missed>, LedgerError> {
    let rows = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::MISSED)
                .bind(campaign)
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(missed_of).collect()
}
