//! Files that messages name, on PostgreSQL: their frozen bytes, and the provider's ids of what
//! was uploaded.

use jiff::Timestamp;

use super::super::LedgerError;
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};
use crate::domain::digest::Digest;
use crate::domain::message::Media;

pub(super) async fn media(
    ledger: &PostgresLedger,
    sha256: Digest,
) -> Result<Option<Media>, LedgerError> {
    let row: Option<(String, String, Vec<u8>)> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::MEDIA)
                .bind(sha256.to_string())
                .fetch_optional(&pool)
                .await
        })
        .await?;
    Ok(row.map(|(filename, content_type, bytes)| Media {
        sha256,
        filename,
        content_type,
        bytes: bytes.into(),
    }))
}

pub(super) async fn upload(
    ledger: &PostgresLedger,
    gateway: &str,
    sha256: Digest,
) -> Result<Option<String>, LedgerError> {
    ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::UPLOAD)
                .bind(gateway)
                .bind(sha256.to_string())
                .fetch_optional(&pool)
                .await
        })
        .await
}

pub(super) async fn keep_upload(
    ledger: &PostgresLedger,
    gateway: &str,
    sha256: Digest,
    (attachment_id, now): (&str, Timestamp),
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::KEEP_UPLOAD)
                .bind(gateway)
                .bind(sha256.to_string())
                .bind(attachment_id)
                .bind(ledger.shift().to_server(now).as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn forget_uploads(
    ledger: &PostgresLedger,
    gateway: &str,
    attachment_ids: &[String],
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::FORGET_UPLOADS)
                .bind(gateway)
                .bind(attachment_ids)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}
