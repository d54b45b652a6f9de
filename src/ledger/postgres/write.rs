//! The group-committing writer's transaction on PostgreSQL: one round trip for each kind of
//! change. The deliveries it is about are locked before anything is decided.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::caps::{Count, Key};
use super::super::rows::{GatedRow, instant, instants};
use super::super::runs::Unanswered;
use super::super::shapes::{AttemptRow, Begun, Lost, Moved, Numbered, gate_key};
use super::super::write::{WriteTx, delivery, write_group};
use super::super::{DeliveryId, Gate, LedgerError, NewChat, Owner, Settle, Write, Written};
use super::shared::{bind_lost, column, length, portions};
use super::translate::{Begins, to_caller, to_server};
use super::tx::{Limit, Tx};
use super::{PostgresLedger, place, statements as sql};

pub(super) async fn write(
    ledger: &PostgresLedger,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    if group.is_empty() {
        return Ok(Vec::new());
    }
    let (written, mark) = ledger
        .transact(Limit::Short, |mut tx| async move {
            let begins = tx.hold_deliveries(group).await?;
            let shift = ledger.shift();
            let group = to_server(group, shift, &begins);
            let written = write_group(&mut tx, owner, &group).await?;
            let mark = place::raise(ledger, &mut tx, &group).await?;
            Ok((tx, (to_caller(written, shift), mark)))
        })
        .await?;
    ledger.home.left(mark);
    Ok(written)
}

impl Tx {
    /// Locks what the group is about; says when the attempts were begun that it tells of.
    async fn hold_deliveries(&mut self, group: &[Write]) -> Result<Begins, LedgerError> {
        let ids: Vec<DeliveryId> = group.iter().map(delivery).collect();
        let begins = group.iter().any(|one| matches!(one, Write::Begin(_)));
        sqlx::query(sql::SHARE_RUNS)
            .bind(&ids)
            .bind(begins)
            .execute(self.connection())
            .await?;
        let rows: Vec<(DeliveryId, i64, Option<i64>)> = sqlx::query_as(sql::HOLD_DELIVERIES)
            .bind(&ids)
            .fetch_all(self.connection())
            .await?;
        let mut begins = HashMap::with_capacity(rows.len());
        for (id, attempt, begun_at) in rows {
            if let Some(begun_at) = instants(begun_at)? {
                begins.insert((id, attempt), begun_at);
            }
        }
        self.add_earlier(group, &mut begins).await?;
        Ok(Begins(begins))
    }

    /// The same for attempts that are not the last any more. They are kept, as lost.
    async fn add_earlier(
        &mut self,
        group: &[Write],
        begins: &mut HashMap<Numbered, Timestamp>,
    ) -> Result<(), LedgerError> {
        let told = group.iter().filter_map(|write| match write {
            Write::Record(record) => Some((record.id, i64::from(record.attempt))),
            Write::Settle(settle) => Some((settle.id, i64::from(settle.attempt))),
            Write::Begin(_) | Write::Release(_) => None,
        });
        let late: Vec<Numbered> = told.filter(|one| !begins.contains_key(one)).collect();
        if late.is_empty() {
            return Ok(());
        }
        let rows: Vec<(DeliveryId, i64, i64)> = sqlx::query_as(sql::BEGUN_EARLIER)
            .bind(column(&late, |(id, _)| *id))
            .bind(column(&late, |(_, attempt)| *attempt))
            .fetch_all(self.connection())
            .await?;
        for (id, attempt, begun_at) in rows {
            begins.insert((id, attempt), instant(begun_at)?);
        }
        Ok(())
    }
}

impl WriteTx for Tx {
    async fn hold_caps(&mut self, keys: &[Key]) -> Result<(), LedgerError> {
        sqlx::query(sql::HOLD_CAPS)
            .bind(column(keys, |(gateway, _)| gateway.as_str()))
            .bind(column(keys, |(_, subject)| subject.as_str()))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn count_caps(&mut self, counts: &[Count]) -> Result<(), LedgerError> {
        let gateways = column(counts, |one| one.key.0.as_str());
        let subjects = column(counts, |one| one.key.1.as_str());
        sqlx::query(sql::COUNT_CAPS)
            .bind(&gateways)
            .bind(&subjects)
            .bind(column(counts, |one| one.last_at))
            .bind(column(counts, |one| one.until_at))
            .execute(self.connection())
            .await?;
        sqlx::query(sql::COUNT_DAYS)
            .bind(&gateways)
            .bind(&subjects)
            .bind(column(counts, |one| i64::from(one.day)))
            .bind(column(counts, |one| i64::from(one.nth)))
            .bind(column(counts, |one| i64::from(one.more)))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn own_fresh(
        &mut self,
        owner: &Owner,
        ids: &[DeliveryId],
    ) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::OWN_FRESH)
            .bind(ids)
            .bind(&owner.0)
            .fetch_all(self.connection())
            .await?)
    }

    async fn any_gate(&mut self, now: Timestamp) -> Result<bool, LedgerError> {
        Ok(sqlx::query_scalar(sql::ANY_GATE)
            .bind(now.as_millisecond())
            .fetch_one(self.connection())
            .await?)
    }

    async fn gated(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
        now: Timestamp,
    ) -> Result<Vec<GatedRow>, LedgerError> {
        let mut all = Vec::with_capacity(claims.len());
        for claims in portions(claims, 2, |_| 0) {
            let done: Vec<GatedRow> = sqlx::query_as(sql::GATED)
                .bind(column(claims, |(id, _)| *id))
                .bind(column(claims, |(_, attempt)| *attempt))
                .bind(&owner.0)
                .bind(now.as_millisecond())
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn settle(&mut self, owner: &Owner, settle: &Settle) -> Result<Option<i64>, LedgerError> {
        let (message_id, chat_id, why) = settle.verdict.parts();
        let again = settle.verdict.again();
        Ok(sqlx::query_scalar(sql::SETTLE)
            .bind(settle.id)
            .bind(i64::from(settle.attempt))
            .bind(&owner.0)
            .bind(settle.verdict.state().as_str())
            .bind(message_id)
            .bind(chat_id)
            .bind(why)
            .bind(again.map(|(due_at, _)| due_at.as_millisecond()))
            .bind(again.map(|(_, tries)| i32::try_from(tries).unwrap_or(i32::MAX)))
            .fetch_optional(self.connection())
            .await?)
    }

    async fn keep_lost_before(&mut self, owner: &Owner, lost: &[Lost]) -> Result<(), LedgerError> {
        for lost in portions(lost, 5, |_| 0) {
            bind_lost(sqlx::query(sql::KEEP_LOST_BEFORE).bind(&owner.0), lost)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn begin(
        &mut self,
        owner: &Owner,
        rows: &[Begun],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut all = Vec::with_capacity(rows.len());
        for rows in portions(rows, 7, |one| one.fixed.len()) {
            let done: Vec<DeliveryId> = sqlx::query_scalar(sql::BEGIN)
                .bind(&owner.0)
                .bind(column(rows, |one| one.id))
                .bind(column(rows, |one| i64::from(one.expected_attempt)))
                .bind(column(rows, |one| i64::from(one.revision)))
                .bind(column(rows, |one| one.fixed.as_str()))
                .bind(column(rows, |one| one.at))
                .bind(column(rows, |one| one.lease_until))
                .bind(column(rows, |one| one.fixed_sum))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn give_back(&mut self, owner: &Owner, rows: &[Begun]) -> Result<(), LedgerError> {
        for rows in portions(rows, 3, |_| 0) {
            sqlx::query(sql::GIVE_BACK)
                .bind(&owner.0)
                .bind(column(rows, |one| one.id))
                .bind(column(rows, |one| i64::from(one.expected_attempt)))
                .bind(column(rows, |one| one.at))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn keep_attempts(
        &mut self,
        rows: &[AttemptRow<'_>],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let code = |one: &AttemptRow<'_>| one.failure()?.code.map(i64::from);
        let http = |one: &AttemptRow<'_>| one.failure()?.http.map(i64::from);
        let mut all = Vec::with_capacity(rows.len());
        for rows in portions(rows, 19, attempt_text) {
            let done: Vec<DeliveryId> = sqlx::query_scalar(sql::KEEP_ATTEMPTS)
                .bind(column(rows, |one| one.record.id))
                .bind(column(rows, |one| i64::from(one.record.attempt)))
                .bind(column(rows, |one| i64::from(one.record.revision)))
                .bind(column(rows, |one| one.record.begun_at.as_millisecond()))
                .bind(column(rows, |one| one.record.ended_at.as_millisecond()))
                .bind(column(rows, |one| one.record.class.as_str()))
                .bind(column(rows, code))
                .bind(column(rows, http))
                .bind(column(rows, AttemptRow::text))
                .bind(column(rows, AttemptRow::trace_id))
                .bind(column(rows, |one| one.record.next.state().as_str()))
                .bind(column(rows, |one| one.wait.due_ms()))
                .bind(column(rows, |one| one.wait.hold_name()))
                .bind(column(rows, |one| one.wait.tries.map(i64::from)))
                .bind(column(rows, |one| one.wait.anew))
                .bind(column(rows, |one| one.sent.message_id))
                .bind(column(rows, |one| one.sent.chat_id))
                .bind(column(rows, |one| one.in_time))
                .bind(column(rows, |one| one.late))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn record(&mut self, rows: &[AttemptRow<'_>]) -> Result<Vec<DeliveryId>, LedgerError> {
        let code = |one: &AttemptRow<'_>| one.failure()?.code.map(i64::from);
        let mut all = Vec::with_capacity(rows.len());
        for rows in portions(rows, 12, attempt_text) {
            let done: Vec<DeliveryId> = sqlx::query_scalar(sql::RECORD)
                .bind(column(rows, |one| one.record.id))
                .bind(column(rows, |one| i64::from(one.record.attempt)))
                .bind(column(rows, |one| one.record.next.state().as_str()))
                .bind(column(rows, |one| one.wait.due_ms()))
                .bind(column(rows, |one| one.wait.hold_name()))
                .bind(column(rows, |one| one.wait.tries.map(i64::from)))
                .bind(column(rows, |one| one.wait.anew))
                .bind(column(rows, code))
                .bind(column(rows, AttemptRow::text))
                .bind(column(rows, |one| one.sent.message_id))
                .bind(column(rows, |one| one.sent.chat_id))
                .bind(column(rows, AttemptRow::sent_at))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn unanswered_among(
        &mut self,
        ids: &[DeliveryId],
    ) -> Result<Vec<Unanswered>, LedgerError> {
        Ok(sqlx::query_as(sql::UNANSWERED_AMONG)
            .bind(ids)
            .fetch_all(self.connection())
            .await?)
    }

    async fn end_in_cancelled(&mut self, ids: &[DeliveryId]) -> Result<(), LedgerError> {
        sqlx::query(sql::END_IN_CANCELLED)
            .bind(ids)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn keep_chats(&mut self, chats: &[NewChat]) -> Result<(), LedgerError> {
        for chats in portions(chats, 4, chat_text) {
            sqlx::query(sql::KEEP_CHATS)
                .bind(column(chats, |chat| chat.gateway.as_str()))
                .bind(column(chats, |chat| chat.phone.expose()))
                .bind(column(chats, |chat| chat.chat_id.as_str()))
                .bind(column(chats, |chat| chat.line.as_str()))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    /// When it was asked for matters only to a clock that can be set back.
    async fn extend_gate(&mut self, gate: &Gate, _: Timestamp) -> Result<(), LedgerError> {
        let (line, recipient) = gate_key(gate);
        sqlx::query(sql::EXTEND_GATE)
            .bind(&gate.gateway)
            .bind(line)
            .bind(recipient)
            .bind(gate.until.as_millisecond())
            .bind(gate.inactive_since.map(Timestamp::as_millisecond))
            .bind(&gate.reason)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn release_as_it_was(
        &mut self,
        owner: &Owner,
        claims: &[Numbered],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut all = Vec::with_capacity(claims.len());
        for claims in portions(claims, 2, |_| 0) {
            let done: Vec<DeliveryId> = sqlx::query_scalar(sql::RELEASE_AS_IT_WAS)
                .bind(&owner.0)
                .bind(column(claims, |(id, _)| *id))
                .bind(column(claims, |(_, attempt)| *attempt))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn release_doubts(
        &mut self,
        owner: &Owner,
        rows: &[(Numbered, i64)],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut all = Vec::with_capacity(rows.len());
        for rows in portions(rows, 3, |_| 0) {
            let done: Vec<DeliveryId> = sqlx::query_scalar(sql::RELEASE_DOUBT)
                .bind(&owner.0)
                .bind(column(rows, |((id, _), _)| *id))
                .bind(column(rows, |((_, attempt), _)| *attempt))
                .bind(column(rows, |(_, again_at)| *again_at))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }

    async fn release(
        &mut self,
        owner: &Owner,
        rows: &[Moved<'_>],
    ) -> Result<Vec<(DeliveryId, i64)>, LedgerError> {
        let mut all = Vec::with_capacity(rows.len());
        for rows in portions(rows, 9, |one| length(one.detail())) {
            let done: Vec<(DeliveryId, i64)> = sqlx::query_as(sql::RELEASE)
                .bind(&owner.0)
                .bind(column(rows, |one| one.release.id))
                .bind(column(rows, |one| i64::from(one.release.attempt)))
                .bind(column(rows, |one| one.next.state().as_str()))
                .bind(column(rows, |one| one.wait.due_ms()))
                .bind(column(rows, |one| one.wait.hold_name()))
                .bind(column(rows, |one| one.wait.tries.map(i64::from)))
                .bind(column(rows, |one| one.code().map(i64::from)))
                .bind(column(rows, Moved::detail))
                .bind(column(rows, |one| one.wait.anew))
                .fetch_all(self.connection())
                .await?;
            all.extend(done);
        }
        Ok(all)
    }
}

/// The texts of an attempt; those that are one of a few words count as one of 16 letters.
fn attempt_text(one: &AttemptRow<'_>) -> usize {
    let texts = [
        one.text(),
        one.trace_id(),
        one.sent.message_id,
        one.sent.chat_id,
    ];
    texts.into_iter().map(length).sum::<usize>() + 3 * 16
}

fn chat_text(chat: &NewChat) -> usize {
    chat.gateway.len() + chat.phone.expose().len() + chat.chat_id.len() + chat.line.len()
}
