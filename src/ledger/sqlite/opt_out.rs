//! Who is not to be written to, and what people answered, on SQLite. A transaction holds the write
//! lock from its first moment, so no attempt begins before its end. What words mean is
//! [`super::super::opt_out`]'s.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::LedgerError;
use super::super::opt_out::{
    self, Answers, EventRow, HeardReply, KeptReply, KnownReply, Lifted, Lifting, ListedRow, NAMED,
    NewReply, NewSuppression, OptOutEvent, OptOutTx, Origin, Reply, ReplyId, ReplyRow, Suppressing,
    Suppression, SuppressionRow, ToldRow,
};
use super::super::rows::{instant, last_by_address};
use super::shared::{Tx, rows};
use super::{SqliteLedger, statements as sql};
use crate::domain::address::Address;
use crate::domain::channel::Channel;
use serde_json::json;

pub(super) async fn suppress(
    ledger: &SqliteLedger,
    people: &[NewSuppression],
    now: Timestamp,
) -> Result<Vec<Suppressing>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let answers = opt_out::suppress(&mut tx, people, now).await?;
    tx.commit().await?;
    Ok(answers)
}

pub(super) async fn lift(
    ledger: &SqliteLedger,
    phone: &Address,
    lifting: &Lifting,
    now: Timestamp,
) -> Result<Lifted, LedgerError> {
    let mut tx = ledger.begin().await?;
    let lifted = opt_out::lift(&mut tx, phone, lifting, now).await?;
    tx.commit().await?;
    Ok(lifted)
}

pub(super) async fn keep_reply(
    ledger: &SqliteLedger,
    reply: &NewReply,
    now: Timestamp,
) -> Result<KeptReply, LedgerError> {
    let mut tx = ledger.begin().await?;
    let kept = opt_out::keep_reply(&mut tx, reply, now).await?;
    tx.commit().await?;
    Ok(kept)
}

pub(super) async fn suppressed(
    ledger: &SqliteLedger,
    gateway: &str,
    phones: &[&Address],
) -> Result<HashMap<String, Suppression>, LedgerError> {
    let phones: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
    let rows: Vec<ListedRow> = sqlx::query_as(sql::SUPPRESSED)
        .bind(json!(phones).to_string())
        .bind(gateway)
        .fetch_all(&ledger.readers)
        .await?;
    opt_out::by_phone(rows)
}

pub(super) async fn suppressions(
    ledger: &SqliteLedger,
    after: Option<&Address>,
    most: u32,
) -> Result<Vec<Suppression>, LedgerError> {
    let rows: Vec<ListedRow> = sqlx::query_as(sql::SUPPRESSIONS)
        .bind(after.map_or("", Address::expose))
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(Suppression::try_from).collect()
}

pub(super) async fn opt_outs_of(
    ledger: &SqliteLedger,
    phone: &Address,
) -> Result<Vec<OptOutEvent>, LedgerError> {
    let rows: Vec<ToldRow> = sqlx::query_as(sql::OPT_OUTS_OF)
        .bind(phone.expose())
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(OptOutEvent::try_from).collect()
}

pub(super) async fn answers_read_to(
    ledger: &SqliteLedger,
    gateway: &str,
) -> Result<Option<Timestamp>, LedgerError> {
    let at: Option<i64> = sqlx::query_scalar(sql::ANSWERS_READ_TO)
        .bind(gateway)
        .fetch_optional(&ledger.readers)
        .await?;
    at.map(instant).transpose()
}

pub(super) async fn keep_answers_read_to(
    ledger: &SqliteLedger,
    gateway: &str,
    to: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    sqlx::query(sql::KEEP_ANSWERS_READ_TO)
        .bind(gateway)
        .bind(to.as_millisecond())
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}

pub(super) async fn last_replies(
    ledger: &SqliteLedger,
    gateway: &str,
    channel: Channel,
    phones: &[&Address],
) -> Result<HashMap<String, Timestamp>, LedgerError> {
    let people: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
    let found: Vec<(String, i64)> = sqlx::query_as(sql::LAST_REPLIES)
        .bind(gateway)
        .bind(channel.as_str())
        .bind(json!(people).to_string())
        .fetch_all(&ledger.readers)
        .await?;
    last_by_address(found)
}

pub(super) async fn to_review(
    ledger: &SqliteLedger,
    after: Option<ReplyId>,
    most: u32,
) -> Result<Vec<Reply>, LedgerError> {
    let rows: Vec<ReplyRow> = sqlx::query_as(sql::TO_REVIEW)
        .bind(after.unwrap_or(0))
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(Reply::try_from).collect()
}

pub(super) async fn reviewed(
    ledger: &SqliteLedger,
    reply: ReplyId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let done = sqlx::query(sql::REVIEWED)
        .bind(reply)
        .bind(now.as_millisecond())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done.rows_affected() > 0)
}

/// What the people of a run answered.
pub(super) async fn answers(ledger: &SqliteLedger, run_id: i64) -> Result<Answers, LedgerError> {
    let counts: (i64, i64, i64) = sqlx::query_as(sql::ANSWERS)
        .bind(run_id)
        .fetch_one(&ledger.readers)
        .await?;
    let first: Vec<ReplyRow> = sqlx::query_as(sql::FIRST_OPT_OUTS)
        .bind(run_id)
        .bind(NAMED)
        .fetch_all(&ledger.readers)
        .await?;
    opt_out::answers(counts, first)
}

impl OptOutTx for Tx<'_> {
    async fn hold_opt_outs(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn suppression_rows(
        &mut self,
        phones: &[&str],
        scope: &str,
    ) -> Result<Vec<SuppressionRow>, LedgerError> {
        Ok(sqlx::query_as(sql::SUPPRESSION_ROWS)
            .bind(json!(phones).to_string())
            .bind(scope)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn put_suppressions(&mut self, put: &[SuppressionRow]) -> Result<(), LedgerError> {
        let put = rows(put, |one| {
            json!([
                one.phone,
                one.scope,
                one.voice,
                one.at,
                one.source,
                one.reason,
                one.run_id,
                one.event_id,
                one.lifted_at,
                one.lifted_by,
                one.lift_reason,
            ])
        });
        sqlx::query(sql::PUT_SUPPRESSIONS)
            .bind(put)
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn note_opt_outs(&mut self, events: &[EventRow]) -> Result<(), LedgerError> {
        let events = rows(events, |one| {
            json!([
                one.phone,
                one.scope,
                one.what,
                one.source,
                one.reason,
                one.at,
                one.noted_at,
                one.run_id,
                one.event_id,
            ])
        });
        sqlx::query(sql::NOTE_OPT_OUTS)
            .bind(events)
            .execute(&mut **self)
            .await?;
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
            .fetch_optional(&mut **self)
            .await?)
    }

    async fn reply_origin(&mut self, reply: &NewReply) -> Result<Option<Origin>, LedgerError> {
        Ok(sqlx::query_as(sql::REPLY_ORIGIN)
            .bind(&reply.gateway)
            .bind(reply.phone.expose())
            .bind(reply.at.as_millisecond())
            .fetch_optional(&mut **self)
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
            .fetch_optional(&mut **self)
            .await?)
    }

    async fn settle_reviews(&mut self, phones: &[&str], now: Timestamp) -> Result<(), LedgerError> {
        sqlx::query(sql::SETTLE_REVIEWS)
            .bind(json!(phones).to_string())
            .bind(now.as_millisecond())
            .execute(&mut **self)
            .await?;
        Ok(())
    }
}
