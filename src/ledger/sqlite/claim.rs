//! A claim's transaction on SQLite. It holds the write lock from its first moment, so nothing
//! that it reads changes before its end.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::claim::{ClaimTx, NextPending, Share, Shares};
use super::super::rows::{CandidateRow, GateRow, OnlyRow, named, touch};
use super::super::{Admit, ClaimRequest, Claimed, DeliveryId, LedgerError, claim};
use super::shared::Tx;
use super::{SqliteLedger, statements as sql};
use crate::domain::address::Address;
use crate::domain::cap::Touch;
use crate::domain::channel::Channel;
use crate::domain::run::RunState;

pub(super) async fn claim(
    ledger: &SqliteLedger,
    request: &ClaimRequest<'_>,
    admit: Admit<'_>,
) -> Result<Claimed, LedgerError> {
    let mut tx = ledger.begin().await?;
    let claimed = claim::claim(&mut tx, request, admit).await?;
    tx.commit().await?;
    Ok(claimed)
}

impl ClaimTx for Tx<'_> {
    async fn run_state(&mut self, run_id: i64) -> Result<RunState, LedgerError> {
        let state: String = sqlx::query_scalar(sql::RUN_STATE)
            .bind(run_id)
            .fetch_one(&mut **self)
            .await?;
        named(RunState::parse(&state), &state)
    }

    async fn open_gates(
        &mut self,
        request: &ClaimRequest<'_>,
    ) -> Result<Vec<GateRow>, LedgerError> {
        Ok(sqlx::query_as(sql::OPEN_GATES)
            .bind(&request.run.gateway)
            .bind(request.now.as_millisecond())
            .fetch_all(&mut **self)
            .await?)
    }

    async fn lines(&mut self, run_id: i64) -> Result<Vec<String>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RUN_LINES)
            .bind(run_id)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn arrivals(
        &mut self,
        gateway: &str,
        subjects: &[String],
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::ARRIVALS)
            .bind(gateway)
            .bind(json!(subjects).to_string())
            .fetch_all(&mut **self)
            .await?)
    }

    async fn set_arrivals(
        &mut self,
        gateway: &str,
        changed: &BTreeMap<String, i64>,
    ) -> Result<(), LedgerError> {
        for (subject, tat) in changed {
            sqlx::query(sql::SET_ARRIVAL)
                .bind(gateway)
                .bind(subject)
                .bind(tat)
                .execute(&mut **self)
                .await?;
        }
        Ok(())
    }

    async fn only(
        &mut self,
        request: &ClaimRequest<'_>,
        phone: &Address,
    ) -> Result<Option<OnlyRow>, LedgerError> {
        Ok(sqlx::query_as(sql::ONLY)
            .bind(request.run.id)
            .bind(phone.expose())
            .fetch_optional(&mut **self)
            .await?)
    }

    async fn unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Share],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        let mut ids: Vec<DeliveryId> = Vec::new();
        for (line, most) in shares {
            let of_line: Vec<DeliveryId> = sqlx::query_scalar(sql::UNANSWERED)
                .bind(request.run.id)
                .bind(line)
                .bind(request.now.as_millisecond())
                .bind(most)
                .fetch_all(&mut **self)
                .await?;
            ids.extend(of_line);
        }
        Ok(ids)
    }

    async fn due(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Shares],
    ) -> Result<Vec<(i64, DeliveryId)>, LedgerError> {
        let mut due: Vec<(i64, DeliveryId)> = Vec::new();
        for (line, [again, follow_ups, first]) in shares {
            let of_line: Vec<(i64, DeliveryId)> = sqlx::query_as(sql::DUE)
                .bind(request.run.id)
                .bind(line)
                .bind(request.now.as_millisecond())
                .bind(request.frozen_due().as_millisecond())
                .bind(again)
                .bind(follow_ups)
                .bind(first)
                .fetch_all(&mut **self)
                .await?;
            due.extend(of_line);
        }
        Ok(due)
    }

    async fn last_replies(
        &mut self,
        gateway: &str,
        channel: Channel,
        people: &[String],
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::LAST_REPLIES)
            .bind(gateway)
            .bind(channel.as_str())
            .bind(serde_json::json!(people).to_string())
            .fetch_all(&mut **self)
            .await?)
    }

    async fn candidates(
        &mut self,
        gateway: &str,
        ids: &[DeliveryId],
    ) -> Result<Vec<CandidateRow>, LedgerError> {
        Ok(sqlx::query_as(sql::CANDIDATES)
            .bind(json!(ids).to_string())
            .bind(gateway)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn lease(
        &mut self,
        request: &ClaimRequest<'_>,
        ids: &[DeliveryId],
    ) -> Result<(), LedgerError> {
        sqlx::query(sql::LEASE)
            .bind(&request.owner.0)
            .bind(request.lease_until.as_millisecond())
            .bind(json!(ids).to_string())
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn next_unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::NEXT_UNANSWERED)
            .bind(request.run.id)
            .fetch_all(&mut **self)
            .await?)
    }

    async fn next_pending(
        &mut self,
        request: &ClaimRequest<'_>,
        lines: &[String],
    ) -> Result<Vec<NextPending>, LedgerError> {
        let mut next = Vec::new();
        for line in lines {
            for (touch, at) in next_of(self, request, line).await? {
                next.push((line.clone(), touch, at));
            }
        }
        Ok(next)
    }
}

/// When the next delivery of each kind of a line is due, or free again.
async fn next_of(
    tx: &mut Tx<'_>,
    request: &ClaimRequest<'_>,
    line: &str,
) -> Result<Vec<(Touch, i64)>, LedgerError> {
    let now = request.now.as_millisecond();
    let free: Vec<(i64, Option<i64>)> = sqlx::query_as(sql::NEXT_FREE)
        .bind(request.run.id)
        .bind(line)
        .bind(now)
        .fetch_all(&mut **tx)
        .await?;
    let held: Vec<i64> = free
        .iter()
        .filter(|(_, due_at)| due_at.is_none_or(|due_at| due_at > now))
        .map(|(touch, _)| *touch)
        .collect();
    let given_back: Vec<(i64, i64)> = sqlx::query_as(sql::NEXT_GIVEN_BACK)
        .bind(request.run.id)
        .bind(line)
        .bind(now)
        .bind(json!(held).to_string())
        .fetch_all(&mut **tx)
        .await?;
    free.into_iter()
        .filter_map(|(kind, due_at)| Some((kind, due_at?)))
        .chain(given_back)
        .map(|(kind, at)| Ok((touch(kind)?, at)))
        .collect()
}
