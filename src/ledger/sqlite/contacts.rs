//! Who people are to the provider, and turns for requests that are no messages, on SQLite.

use jiff::Timestamp;

use super::super::rows::stored;
use super::super::{AccountLimits, LedgerError, Turn, receipts};
use super::{SqliteLedger, statements as sql};
use crate::domain::address::Address;

pub(super) async fn contact(
    ledger: &SqliteLedger,
    gateway: &str,
    to: &Address,
) -> Result<Option<String>, LedgerError> {
    Ok(sqlx::query_scalar(sql::CONTACT)
        .bind(gateway)
        .bind(to.expose())
        .fetch_optional(&ledger.readers)
        .await?)
}

pub(super) async fn keep(
    ledger: &SqliteLedger,
    gateway: &str,
    to: &Address,
    contact_id: &str,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::KEEP_CONTACT)
        .bind(gateway)
        .bind(to.expose())
        .bind(contact_id)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn forget(
    ledger: &SqliteLedger,
    gateway: &str,
    contact_id: &str,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::FORGET_CONTACT)
        .bind(gateway)
        .bind(contact_id)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn whose(
    ledger: &SqliteLedger,
    gateway: &str,
    contact_id: &str,
) -> Result<Vec<Address>, LedgerError> {
    let found: Vec<String> = sqlx::query_scalar(sql::WHOSE_CONTACT)
        .bind(gateway)
        .bind(contact_id)
        .fetch_all(&ledger.readers)
        .await?;
    let found = found.iter();
    found.map(|text| stored(Address::stored(text))).collect()
}

pub(super) async fn take_turn(
    ledger: &SqliteLedger,
    account: (&str, &AccountLimits),
    times: (Timestamp, Timestamp),
) -> Result<Turn, LedgerError> {
    let mut tx = ledger.begin().await?;
    let turn = receipts::take_turn(&mut tx, account, times).await?;
    tx.commit().await?;
    Ok(turn)
}
