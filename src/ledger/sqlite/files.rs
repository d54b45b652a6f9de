//! Files that messages name: their frozen bytes, and the provider's ids of what was uploaded.

use jiff::Timestamp;

use super::super::LedgerError;
use super::{SqliteLedger, statements as sql};
use crate::domain::digest::Digest;
use crate::domain::message::Media;

pub(super) async fn media(
    ledger: &SqliteLedger,
    sha256: Digest,
) -> Result<Option<Media>, LedgerError> {
    let row: Option<(String, String, Vec<u8>)> = sqlx::query_as(sql::MEDIA)
        .bind(sha256.to_string())
        .fetch_optional(&ledger.readers)
        .await?;
    Ok(row.map(|(filename, content_type, bytes)| Media {
        sha256,
        filename,
        content_type,
        bytes: bytes.into(),
    }))
}

pub(super) async fn upload(
    ledger: &SqliteLedger,
    gateway: &str,
    sha256: Digest,
) -> Result<Option<String>, LedgerError> {
    Ok(sqlx::query_scalar(sql::UPLOAD)
        .bind(gateway)
        .bind(sha256.to_string())
        .fetch_optional(&ledger.readers)
        .await?)
}

pub(super) async fn keep_upload(
    ledger: &SqliteLedger,
    gateway: &str,
    sha256: Digest,
    attachment_id: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::KEEP_UPLOAD)
        .bind(gateway)
        .bind(sha256.to_string())
        .bind(attachment_id)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn forget_uploads(
    ledger: &SqliteLedger,
    gateway: &str,
    attachment_ids: &[String],
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::FORGET_UPLOADS)
        .bind(gateway)
        .bind(serde_json::json!(attachment_ids).to_string())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}
