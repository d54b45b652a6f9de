//! The group-committing writer's transaction on SQLite: one statement for each kind of change.

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::Sqlite;
use sqlx::sqlite::SqliteArguments;

use super::super::caps::{Count, Key};
use super::super::rows::GatedRow;
use super::super::runs::Unanswered;
use super::super::shapes::{AttemptRow, Begun, Lost, Moved, Numbered, gate_key};
use super::super::write::{WriteTx, write_group};
use super::super::{DeliveryId, Gate, LedgerError, NewChat, Owner, Settle, Write, Written};
use super::shared::{Sizes, Tx, lost_rows, portions, rows};
use super::{SqliteLedger, place, statements as sql};

const BEGIN: Sizes<3> = [(64, sql::BEGIN_64), (8, sql::BEGIN_8), (1, sql::BEGIN_1)];
const KEEP_ATTEMPTS: Sizes<3> = [
    (64, sql::KEEP_ATTEMPTS_64),
    (8, sql::KEEP_ATTEMPTS_8),
    (1, sql::KEEP_ATTEMPTS_1),
];
const RECORD: Sizes<3> = [(64, sql::RECORD_64), (8, sql::RECORD_8), (1, sql::RECORD_1)];
const KEEP_CHATS: Sizes<3> = [
    (64, sql::KEEP_CHATS_64),
    (8, sql::KEEP_CHATS_8),
    (1, sql::KEEP_CHATS_1),
];

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;
type Ids<'q> = sqlx::query::QueryScalar<'q, Sqlite, DeliveryId, SqliteArguments>;

pub(super) async fn write(
    ledger: &SqliteLedger,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let written = write_group(&mut tx, owner, group).await?;
    let mark = place::raise(ledger, &mut tx, group).await?;
    tx.commit().await?;
    place::keep(ledger, mark.as_ref());
    Ok(written)
}

impl WriteTx for Tx<'_> {
    /// The transaction holds everything.
    async fn hold_caps(&mut self, _: &[Key]) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn count_caps(&mut self, counts: &[Count]) -> Result<(), LedgerError> {
        let counts = rows(counts, |one| {
            let (gateway, subject) = &one.key;
            json!([
                gateway,
                subject,
                one.day,
                one.nth,
                one.more,
                one.last_at,
                one.until_at
            ])
        });
        for statement in [sql::COUNT_CAPS, sql::COUNT_DAYS] {
            sqlx::query(statement)
                .bind(&counts)
                .execute(&mut **self)
                .await?;
        }
        Ok(())
    }

    async fn own_fresh(
        &mut self,
        owner: &Owner,
        ids: &[DeliveryId],
    ) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::OWN_FRESH)
            .bind(json!(ids).to_string())
            .bind(&owner.0)
            .fetch_all(&mut **self)
            .await?)
    }

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
        let again = settle.verdict.again();
        Ok(sqlx::query_scalar(sql::SETTLE)
            .bind(settle.id)
            .bind(settle.attempt)
            .bind(&owner.0)
            .bind(settle.verdict.state().as_str())
            .bind(message_id)
            .bind(chat_id)
            .bind(why)
            .bind(again.map(|(due_at, _)| due_at.as_millisecond()))
            .bind(again.map(|(_, tries)| tries))
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
        let mut done = Vec::with_capacity(begun.len());
        for (statement, portion) in portions(begun, BEGIN) {
            let query = portion.iter().fold(
                sqlx::query_scalar::<_, DeliveryId>(statement),
                |query, one| {
                    query
                        .bind(one.id)
                        .bind(one.expected_attempt)
                        .bind(one.revision)
                        .bind(one.fixed.as_str())
                        .bind(one.at)
                        .bind(one.lease_until)
                        .bind(one.fixed_sum)
                        .bind(owner.0.as_str())
                },
            );
            done.extend(query.fetch_all(&mut **self).await?);
        }
        Ok(done)
    }

    async fn give_back(&mut self, owner: &Owner, begun: &[Begun]) -> Result<(), LedgerError> {
        sqlx::query(sql::GIVE_BACK)
            .bind(rows(begun, begun_row))
            .bind(&owner.0)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn keep_attempts(
        &mut self,
        attempts: &[AttemptRow<'_>],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut kept = Vec::with_capacity(attempts.len());
        for (statement, portion) in portions(attempts, KEEP_ATTEMPTS) {
            let query = portion
                .iter()
                .fold(sqlx::query_scalar::<_, DeliveryId>(statement), bind_attempt);
            kept.extend(query.fetch_all(&mut **self).await?);
        }
        Ok(kept)
    }

    async fn record(
        &mut self,
        attempts: &[AttemptRow<'_>],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut done = Vec::with_capacity(attempts.len());
        for (statement, portion) in portions(attempts, RECORD) {
            let query = portion
                .iter()
                .fold(sqlx::query_scalar::<_, DeliveryId>(statement), bind_outcome);
            done.extend(query.fetch_all(&mut **self).await?);
        }
        Ok(done)
    }

    async fn unanswered_among(
        &mut self,
        ids: &[DeliveryId],
    ) -> Result<Vec<Unanswered>, LedgerError> {
        Ok(sqlx::query_as(sql::UNANSWERED_AMONG)
            .bind(json!(ids).to_string())
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
        for (statement, portion) in portions(chats, KEEP_CHATS) {
            portion
                .iter()
                .fold(sqlx::query(statement), bind_chat)
                .execute(&mut **self)
                .await?;
        }
        Ok(())
    }

    async fn extend_gate(&mut self, gate: &Gate, asked_at: Timestamp) -> Result<(), LedgerError> {
        let (line, recipient) = gate_key(gate);
        sqlx::query(sql::EXTEND_GATE)
            .bind(&gate.gateway)
            .bind(line)
            .bind(recipient)
            .bind(asked_at.as_millisecond())
            .bind(gate.until.as_millisecond())
            .bind(gate.inactive_since.map(Timestamp::as_millisecond))
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

fn bind_attempt<'q>(query: Ids<'q>, one: &'q AttemptRow<'_>) -> Ids<'q> {
    let (record, wait) = (one.record, &one.wait);
    let failure = one.failure();
    query
        .bind(record.id)
        .bind(record.attempt)
        .bind(record.revision)
        .bind(record.begun_at.as_millisecond())
        .bind(record.ended_at.as_millisecond())
        .bind(record.class.as_str())
        .bind(failure.and_then(|failure| failure.code))
        .bind(failure.and_then(|failure| failure.http))
        .bind(one.text())
        .bind(one.trace_id())
        .bind(record.next.state().as_str())
        .bind(wait.due_ms())
        .bind(wait.hold_name())
        .bind(wait.tries)
        .bind(wait.anew)
        .bind(one.sent.message_id)
        .bind(one.sent.chat_id)
        .bind(one.in_time)
        .bind(one.late)
}

fn bind_outcome<'q>(query: Ids<'q>, one: &'q AttemptRow<'_>) -> Ids<'q> {
    let (record, wait) = (one.record, &one.wait);
    query
        .bind(record.id)
        .bind(record.attempt)
        .bind(record.next.state().as_str())
        .bind(wait.due_ms())
        .bind(wait.hold_name())
        .bind(wait.tries)
        .bind(wait.anew)
        .bind(one.failure().and_then(|failure| failure.code))
        .bind(one.text())
        .bind(one.sent.message_id)
        .bind(one.sent.chat_id)
        .bind(one.sent_at())
}

fn bind_chat<'q>(query: Query<'q>, chat: &'q NewChat) -> Query<'q> {
    query
        .bind(chat.gateway.as_str())
        .bind(chat.phone.expose())
        .bind(chat.chat_id.as_str())
        .bind(chat.line.as_str())
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
