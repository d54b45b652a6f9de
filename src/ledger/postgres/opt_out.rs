//! Who is not to be written to, and what people answered, on PostgreSQL. A transaction that changes
//! the list holds a lock alone that every beginning attempt shares; see
//! [`sql::HOLD_OPT_OUTS`]. What words mean is [`super::super::opt_out`]'s.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::LedgerError;
use super::super::opt_out::{
    self, Answers, EventRow, HeardReply, KeptReply, KnownReply, Lifted, Lifting, ListedRow, NAMED,
    NewReply, NewSuppression, OptOutEvent, OptOutTx, Origin, Reply, ReplyId, ReplyRow, Suppressing,
    Suppression, SuppressionRow, ToldRow,
};
use super::super::rows::{instant, last_by_address};
use super::shared::{column, length, portions};
use super::tx::{Limit, Tx};
use super::{PostgresLedger, statements as sql};
use crate::domain::address::Address;
use crate::domain::channel::Channel;

pub(super) async fn suppress(
    ledger: &PostgresLedger,
    people: &[NewSuppression],
    now: Timestamp,
) -> Result<Vec<Suppressing>, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let answers = opt_out::suppress(&mut tx, people, now).await?;
            Ok((tx, answers))
        })
        .await
}

pub(super) async fn lift(
    ledger: &PostgresLedger,
    phone: &Address,
    lifting: &Lifting,
    now: Timestamp,
) -> Result<Lifted, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let lifted = opt_out::lift(&mut tx, phone, lifting, now).await?;
            Ok((tx, lifted))
        })
        .await
}

pub(super) async fn keep_reply(
    ledger: &PostgresLedger,
    reply: &NewReply,
    now: Timestamp,
) -> Result<KeptReply, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let kept = opt_out::keep_reply(&mut tx, reply, now).await?;
            Ok((tx, kept))
        })
        .await
}

pub(super) async fn suppressed(
    ledger: &PostgresLedger,
    gateway: &str,
    phones: &[&Address],
) -> Result<HashMap<String, Suppression>, LedgerError> {
    let phones: &Vec<&str> = &phones.iter().map(|phone| phone.expose()).collect();
    let rows: Vec<ListedRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::SUPPRESSED)
                .bind(phones)
                .bind(gateway)
                .fetch_all(&pool)
                .await
        })
        .await?;
    opt_out::by_phone(rows)
}

pub(super) async fn suppressions(
    ledger: &PostgresLedger,
    after: Option<&Address>,
    most: u32,
) -> Result<Vec<Suppression>, LedgerError> {
    let rows: Vec<ListedRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::SUPPRESSIONS)
                .bind(after.map_or("", Address::expose))
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(Suppression::try_from).collect()
}

pub(super) async fn opt_outs_of(
    ledger: &PostgresLedger,
    phone: &Address,
) -> Result<Vec<OptOutEvent>, LedgerError> {
    let rows: Vec<ToldRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::OPT_OUTS_OF)
                .bind(phone.expose())
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(OptOutEvent::try_from).collect()
}

pub(super) async fn answers_read_to(
    ledger: &PostgresLedger,
    gateway: &str,
) -> Result<Option<Timestamp>, LedgerError> {
    let at: Option<i64> = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::ANSWERS_READ_TO)
                .bind(gateway)
                .fetch_optional(&pool)
                .await
        })
        .await?;
    at.map(instant).transpose()
}

pub(super) async fn keep_answers_read_to(
    ledger: &PostgresLedger,
    gateway: &str,
    to: Timestamp,
) -> Result<(), LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            sqlx::query(sql::KEEP_ANSWERS_READ_TO)
                .bind(gateway)
                .bind(to.as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}

pub(super) async fn last_replies(
    ledger: &PostgresLedger,
    gateway: &str,
    channel: Channel,
    phones: &[&Address],
) -> Result<HashMap<String, Timestamp>, LedgerError> {
    let people: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
    let people = people.as_slice();
    let found: Vec<(String, i64)> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::LAST_REPLIES)
                .bind(gateway)
                .bind(channel.as_str())
                .bind(people)
                .fetch_all(&pool)
                .await
        })
        .await?;
    last_by_address(found)
}

pub(super) async fn to_review(
    ledger: &PostgresLedger,
    after: Option<ReplyId>,
    most: u32,
) -> Result<Vec<Reply>, LedgerError> {
    let rows: Vec<ReplyRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::TO_REVIEW)
                .bind(after.unwrap_or(0))
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(Reply::try_from).collect()
}

pub(super) async fn reviewed(
    ledger: &PostgresLedger,
    reply: ReplyId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact(Limit::Short, |mut tx| async move {
            let done = sqlx::query(sql::REVIEWED)
                .bind(reply)
                .bind(ledger.shift().to_server(now).as_millisecond())
                .execute(tx.connection())
                .await?;
            Ok((tx, done.rows_affected() > 0))
        })
        .await
}

/// What the people of a run answered.
pub(super) async fn answers(ledger: &PostgresLedger, run_id: i64) -> Result<Answers, LedgerError> {
    let counts: (i64, i64, i64) = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::ANSWERS)
                .bind(run_id)
                .fetch_one(&pool)
                .await
        })
        .await?;
    let first: Vec<ReplyRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::FIRST_OPT_OUTS)
                .bind(run_id)
                .bind(NAMED)
                .fetch_all(&pool)
                .await
        })
        .await?;
    opt_out::answers(counts, first)
}

/// The texts of a person's row.
fn text(one: &SuppressionRow) -> usize {
    let texts = [
        one.source.as_deref(),
        one.reason.as_deref(),
        one.event_id.as_deref(),
        one.lifted_by.as_deref(),
        one.lift_reason.as_deref(),
    ];
    let texts: usize = texts.into_iter().map(length).sum();
    one.phone.len() + one.scope.len() + one.voice.len() + texts
}

fn event_text(one: &EventRow) -> usize {
    let texts = length(one.reason.as_deref()) + length(one.event_id.as_deref());
    one.phone.len() + one.scope.len() + one.what.len() + one.source.len() + texts
}

impl OptOutTx for Tx {
    async fn hold_opt_outs(&mut self) -> Result<(), LedgerError> {
        sqlx::query(sql::HOLD_OPT_OUTS)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn suppression_rows(
        &mut self,
        phones: &[&str],
        scope: &str,
    ) -> Result<Vec<SuppressionRow>, LedgerError> {
        let mut all = Vec::new();
        for phones in portions(phones, 1, |phone| phone.len()) {
            let rows: Vec<SuppressionRow> = sqlx::query_as(sql::SUPPRESSION_ROWS)
                .bind(phones)
                .bind(scope)
                .fetch_all(self.connection())
                .await?;
            all.extend(rows);
        }
        Ok(all)
    }

    async fn put_suppressions(&mut self, rows: &[SuppressionRow]) -> Result<(), LedgerError> {
        for rows in portions(rows, 11, text) {
            sqlx::query(sql::PUT_SUPPRESSIONS)
                .bind(column(rows, |one| one.phone.as_str()))
                .bind(column(rows, |one| one.scope.as_str()))
                .bind(column(rows, |one| one.voice.as_str()))
                .bind(column(rows, |one| one.at))
                .bind(column(rows, |one| one.source.as_deref()))
                .bind(column(rows, |one| one.reason.as_deref()))
                .bind(column(rows, |one| one.run_id))
                .bind(column(rows, |one| one.event_id.as_deref()))
                .bind(column(rows, |one| one.lifted_at))
                .bind(column(rows, |one| one.lifted_by.as_deref()))
                .bind(column(rows, |one| one.lift_reason.as_deref()))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn note_opt_outs(&mut self, rows: &[EventRow]) -> Result<(), LedgerError> {
        for rows in portions(rows, 9, event_text) {
            sqlx::query(sql::NOTE_OPT_OUTS)
                .bind(column(rows, |one| one.phone.as_str()))
                .bind(column(rows, |one| one.scope.as_str()))
                .bind(column(rows, |one| one.what.as_str()))
                .bind(column(rows, |one| one.source.as_str()))
                .bind(column(rows, |one| one.reason.as_deref()))
                .bind(column(rows, |one| one.at))
                .bind(column(rows, |one| one.noted_at))
                .bind(column(rows, |one| one.run_id))
                .bind(column(rows, |one| one.event_id.as_deref()))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn known_reply(
        &mut self,
        gateway: &str,
        event_id: &str,
    ) -> Result<Option<KnownReply>, LedgerError> {
        Ok(sqlx::query_as(sql::KNOWN_REPLY)
            .bind(gateway)
            .bind(event_id)
            .fetch_optional(self.connection())
            .await?)
    }

    async fn reply_origin(&mut self, reply: &NewReply) -> Result<Option<Origin>, LedgerError> {
        Ok(sqlx::query_as(sql::REPLY_ORIGIN)
            .bind(&reply.gateway)
            .bind(reply.phone.expose())
            .bind(reply.at.as_millisecond())
            .fetch_optional(self.connection())
            .await?)
    }

    async fn insert_reply(
        &mut self,
        heard: &HeardReply<'_>,
    ) -> Result<Option<ReplyId>, LedgerError> {
        let reply = heard.reply;
        Ok(sqlx::query_scalar(sql::INSERT_REPLY)
            .bind(&reply.gateway)
            .bind(&reply.event_id)
            .bind(reply.phone.expose())
            .bind(reply.channel.map_or("", Channel::as_str))
            .bind(&reply.line)
            .bind(&reply.chat_id)
            .bind(&reply.text)
            .bind(reply.at.as_millisecond())
            .bind(heard.received_at)
            .bind(heard.origin.map(|origin| origin.run_id))
            .bind(heard.origin.map(|origin| origin.delivery_id))
            .bind(heard.heard.as_str())
            .bind(heard.handled_at)
            .fetch_optional(self.connection())
            .await?)
    }

    async fn settle_reviews(&mut self, phones: &[&str], now: Timestamp) -> Result<(), LedgerError> {
        for phones in portions(phones, 1, |phone| phone.len()) {
            sqlx::query(sql::SETTLE_REVIEWS)
                .bind(phones)
                .bind(now.as_millisecond())
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}
