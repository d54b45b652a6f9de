//! The group-committing writer's transaction on SQLite: one statement for each kind of change.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::rows::GatedRow;
use super::super::shapes::{AttemptRow, Begun, Lost, Moved, Numbered, gate_key};
use super::super::write::{WriteTx, write_group};
use super::super::{DeliveryId, Gate, LedgerError, NewChat, Owner, Settle, Write, Written};
use super::shared::{Tx, lost_rows, rows};
use super::{SqliteLedger, statements as sql};

pub(super) async fn write(
    ledger: &SqliteLedger,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let written = write_group(&mut tx, owner, group).await?;
    tx.commit().await?;
    Ok(written)
}

impl WriteTx for Tx<'_> {
    async fn any_gate(&mut self, now: Timestamp) -> Result<bool, LedgerError> {
        Ok(sqlx::query_scalar(sql::ANY_GATE)
            .bind(now.as_millisecond())
            .fetch_one(&mut **self)
            .await?)
    }

    async fn gated(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
        now: Timestamp,
    ) -> Result<Vec<GatedRow>, LedgerError> {
        Ok(sqlx::query_as(sql::GATED)
            .bind(numbered(claims))
            .bind(&owner.0)
            .bind(now.as_millisecond())
            .fetch_all(&mut **self)
            .await?)
    }

    async fn settle(&mut self, owner: &Owner, settle: &Settle) -> Result<Option<i64>, LedgerError> {
        let (message_id, chat_id, why) = settle.verdict.parts();
        Ok(sqlx::query_scalar(sql::SETTLE)
            .bind(settle.id)
            .bind(settle.attempt)
            .bind(&owner.0)
            .bind(settle.verdict.state().as_str())
            .bind(message_id)
            .bind(chat_id)
            .bind(why)
            .fetch_optional(&mut **self)
            .await?)
    }

    async fn keep_lost_before(&mut self, owner: &Owner, lost: &[Lost]) -> Result<(), LedgerError> {
        sqlx::query(sql::KEEP_LOST_BEFORE)
            .bind(lost_rows(lost))
            .bind(&owner.0)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn begin(
        &mut self,
        owner: &Owner,
        begun: &[Begun],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        Ok(sqlx::query_scalar(sql::BEGIN)
            .bind(rows(begun, begun_row))
            .bind(&owner.0)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn give_back(&mut self, owner: &Owner, begun: &[Begun]) -> Result<(), LedgerError> {
        sqlx::query(sql::GIVE_BACK)
            .bind(rows(begun, begun_row))
            .bind(&owner.0)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn keep_attempts(&mut self, attempts: &[AttemptRow<'_>]) -> Result<(), LedgerError> {
        sqlx::query(sql::KEEP_ATTEMPTS)
            .bind(rows(attempts, attempt_row))
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn record(
        &mut self,
        attempts: &[AttemptRow<'_>],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RECORD)
            .bind(rows(attempts, outcome_row))
            .fetch_all(&mut **self)
            .await?)
    }

    async fn end_in_cancelled(&mut self, ids: &[DeliveryId]) -> Result<(), LedgerError> {
        sqlx::query(sql::END_IN_CANCELLED)
            .bind(json!(ids).to_string())
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn keep_chats(&mut self, chats: &[NewChat]) -> Result<(), LedgerError> {
        let chats = rows(chats, |chat| {
            json!([chat.gateway, chat.phone.expose(), chat.chat_id, chat.line])
        });
        sqlx::query(sql::KEEP_CHATS)
            .bind(chats)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn extend_gate(&mut self, gate: &Gate) -> Result<(), LedgerError> {
        let (line, recipient) = gate_key(gate);
        sqlx::query(sql::EXTEND_GATE)
            .bind(&gate.gateway)
            .bind(line)
            .bind(recipient)
            .bind(gate.until.as_millisecond())
            .bind(&gate.reason)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn release_as_it_was(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RELEASE_AS_IT_WAS)
            .bind(&owner.0)
            .bind(numbered(claims))
            .fetch_all(&mut **self)
            .await?)
    }

    async fn release_doubts(
        &mut self,
        owner: &Owner,
        doubts: &[(Numbered, i64)],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let doubts = rows(doubts, |((id, attempt), again_at)| {
            json!([id, attempt, again_at])
        });
        Ok(sqlx::query_scalar(sql::RELEASE_DOUBT)
            .bind(&owner.0)
            .bind(doubts)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn release(
        &mut self,
        owner: &Owner,
        moved: &[Moved<'_>],
    ) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::RELEASE)
            .bind(&owner.0)
            .bind(rows(moved, moved_row))
            .fetch_all(&mut **self)
            .await?)
    }
}

fn numbered(all: &[Numbered]) -> String {
    rows(all, |(id, number)| json!([id, number]))
}

fn begun_row(one: &Begun) -> Value {
    json!([
        one.id,
        one.expected_attempt,
        one.revision,
        one.fixed,
        one.at,
        one.lease_until,
        one.fixed_sum,
    ])
}

fn attempt_row(one: &AttemptRow<'_>) -> Value {
    let (record, wait) = (one.record, &one.wait);
    let failure = one.failure();
    json!([
        record.id,
        record.attempt,
        record.revision,
        record.begun_at.as_millisecond(),
        record.ended_at.as_millisecond(),
        record.class.as_str(),
        failure.and_then(|failure| failure.code),
        failure.and_then(|failure| failure.http),
        one.text(),
        one.trace_id(),
        record.next.state().as_str(),
        wait.due_ms(),
        wait.hold_name(),
        wait.tries,
        u8::from(wait.anew),
        one.sent.message_id,
        one.sent.chat_id,
        one.in_time,
        one.late,
    ])
}

fn outcome_row(one: &AttemptRow<'_>) -> Value {
    let (record, wait) = (one.record, &one.wait);
    json!([
        record.id,
        record.attempt,
        record.next.state().as_str(),
        wait.due_ms(),
        wait.hold_name(),
        wait.tries,
        u8::from(wait.anew),
        one.failure().and_then(|failure| failure.code),
        one.text(),
        one.sent.message_id,
        one.sent.chat_id,
        one.sent_at(),
    ])
}

fn moved_row(one: &Moved<'_>) -> Value {
    let wait = &one.wait;
    json!([
        one.release.id,
        one.next.state().as_str(),
        wait.due_ms(),
        wait.hold_name(),
        wait.tries,
        one.code(),
        one.detail(),
        u8::from(wait.anew),
        one.release.attempt,
    ])
}
