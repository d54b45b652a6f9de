//! Who people are to the provider, and turns for requests that are no messages, on PostgreSQL.

use jiff::Timestamp;

use super::super::rows::stored;
use super::super::{AccountLimits, LedgerError, Turn, receipts};
use super::claim::after;
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};
use crate::domain::address::Address;

pub(super) async fn contact(
    ledger: &PostgresLedger,
    gateway: &str,
    to: &Address,
) -> Result<Option<String>, LedgerError> {
    ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::CONTACT)
                .bind(gateway)
                .bind(to.expose())
                .fetch_optional(&pool)
                .await
        })
        .await
}

pub(super) async fn keep(
    ledger: &PostgresLedger,
    gateway: &str,
    to: &Address,
    contact_id: &str,
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::KEEP_CONTACT)
                .bind(gateway)
                .bind(to.expose())
                .bind(contact_id)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn forget(
    ledger: &PostgresLedger,
    gateway: &str,
    contact_id: &str,
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::FORGET_CONTACT)
                .bind(gateway)
                .bind(contact_id)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn whose(
    ledger: &PostgresLedger,
    gateway: &str,
    contact_id: &str,
) -> Result<Vec<Address>, LedgerError> {
    let found: Vec<String> = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::WHOSE_CONTACT)
                .bind(gateway)
                .bind(contact_id)
                .fetch_all(&pool)
                .await
        })
        .await?;
    let found = found.iter();
    found.map(|text| stored(Address::stored(text))).collect()
}

pub(super) async fn take_turn(
    ledger: &PostgresLedger,
    account: (&str, &AccountLimits),
    (asked, until): (Timestamp, Timestamp),
) -> Result<Turn, LedgerError> {
    let turn = ledger
        .transact_at(Limit::Short, asked, |mut tx, now| async move {
            let until = after(now, until.duration_since(asked));
            let turn = receipts::take_turn(&mut tx, account, (now, until)).await?;
            Ok((tx, turn))
        })
        .await?;
    let shift = ledger.shift();
    Ok(match turn {
        Turn::At { slot_us } => Turn::At {
            slot_us: shift.slot_to_caller(slot_us),
        },
        Turn::NotBefore(at) => Turn::NotBefore(shift.to_caller(at)),
    })
}
