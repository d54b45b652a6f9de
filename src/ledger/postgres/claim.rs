//! A claim's transaction on PostgreSQL. What it finds free it locks, and what others have locked
//! it steps over, so that claims of different lines or runs do not wait for each other.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::super::claim::{ClaimTx, NextPending, Share, Shares};
use super::super::rows::{CandidateRow, GateRow, OnlyRow, named, touch};
use super::super::{AccountLimits, Admit, ClaimRequest, Claimed, DeliveryId, LedgerError, claim};
use super::clock::{Asked, Shift};
use super::shared::column;
use super::tx::{Limit, Tx};
use super::{PostgresLedger, gates, statements as sql};
use crate::domain::address::Address;
use crate::domain::cap::Touch;
use crate::domain::channel::Channel;
use crate::domain::run::RunState;

pub(super) async fn claim(
    ledger: &PostgresLedger,
    request: &ClaimRequest<'_>,
    admit: Admit<'_>,
) -> Result<Claimed, LedgerError> {
    let asked = &Asked::now();
    ledger
        .transact(Limit::Short, |mut tx| async move {
            let server_us = tx.open_claim(request).await?;
            let now = ledger.now_is(server_us, request.now, asked)?;
            let request = ClaimRequest {
                now,
                lease_until: after(now, request.lease_until.duration_since(request.now)),
                horizon: after(now, request.horizon.duration_since(request.now)),
                ..request.clone()
            };
            let claimed = claim::claim(&mut tx, &request, admit).await?;
            Ok((tx, to_caller(claimed, ledger.shift())))
        })
        .await
}

pub(super) fn after(now: Timestamp, time: SignedDuration) -> Timestamp {
    now.saturating_add(time).unwrap_or(Timestamp::MAX)
}

/// The slots and times of a claim by the caller's clock.
fn to_caller(mut claimed: Claimed, shift: Shift) -> Claimed {
    for gate in &mut claimed.gates {
        gates::to_caller(gate, shift);
    }
    claimed.next_at = claimed.next_at.map(|at| shift.to_caller(at));
    for claim in &mut claimed.claims {
        claim.slot_us = shift.slot_to_caller(claim.slot_us);
        for at in [
            &mut claim.first_attempt_at,
            &mut claim.begun_at,
            &mut claim.unanswered_since,
        ] {
            *at = at.map(|at| shift.to_caller(at));
        }
    }
    claimed
}

fn lines(shares: &[Share]) -> Vec<&str> {
    column(shares, |(line, _)| line.as_str())
}

fn most(shares: &[Share]) -> Vec<i64> {
    column(shares, |(_, most)| i64::from(*most))
}

impl Tx {
    /// Returns the server's time, in microseconds.
    async fn open_claim(&mut self, request: &ClaimRequest<'_>) -> Result<i64, LedgerError> {
        let limits = &request.limits;
        let account = limits.account != AccountLimits::default();
        let limited = account || limits.run.is_some() || limits.line.is_some();
        let (_, _, server_us): (String, Option<String>, i64) = sqlx::query_as(sql::OPEN_CLAIM)
            .bind(request.run.id)
            .bind(&request.run.gateway)
            .bind(limited)
            .fetch_one(self.connection())
            .await?;
        Ok(server_us)
    }
}

impl ClaimTx for Tx {
    async fn run_state(&mut self, run_id: i64) -> Result<RunState, LedgerError> {
        let state: String = sqlx::query_scalar(sql::RUN_STATE)
            .bind(run_id)
            .fetch_one(self.connection())
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
            .fetch_all(self.connection())
            .await?)
    }

    async fn lines(&mut self, run_id: i64) -> Result<Vec<String>, LedgerError> {
        Ok(sqlx::query_scalar(sql::RUN_LINES)
            .bind(run_id)
            .fetch_all(self.connection())
            .await?)
    }

    async fn arrivals(
        &mut self,
        gateway: &str,
        subjects: &[String],
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        if subjects.is_empty() {
            return Ok(Vec::new());
        }
        let mut stored = self.stored_arrivals(gateway, subjects).await?;
        if stored.len() < subjects.len() {
            sqlx::query(sql::FIRST_ARRIVALS)
                .bind(gateway)
                .bind(subjects)
                .execute(self.connection())
                .await?;
            stored = self.stored_arrivals(gateway, subjects).await?;
        }
        Ok(stored)
    }

    async fn set_arrivals(
        &mut self,
        gateway: &str,
        changed: &BTreeMap<String, i64>,
    ) -> Result<(), LedgerError> {
        let (subjects, tats): (Vec<&str>, Vec<i64>) = changed
            .iter()
            .map(|(subject, tat)| (subject.as_str(), *tat))
            .unzip();
        sqlx::query(sql::SET_ARRIVALS)
            .bind(gateway)
            .bind(subjects)
            .bind(tats)
            .execute(self.connection())
            .await?;
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
            .bind(request.now.as_millisecond())
            .fetch_optional(self.connection())
            .await?)
    }

    async fn unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Share],
    ) -> Result<Vec<DeliveryId>, LedgerError> {
        Ok(sqlx::query_scalar(sql::UNANSWERED)
            .bind(request.run.id)
            .bind(lines(shares))
            .bind(most(shares))
            .bind(request.now.as_millisecond())
            .fetch_all(self.connection())
            .await?)
    }

    async fn due(
        &mut self,
        request: &ClaimRequest<'_>,
        shares: &[Shares],
    ) -> Result<Vec<(i64, DeliveryId)>, LedgerError> {
        let kinds: Vec<(&str, Touch, u32)> = shares
            .iter()
            .flat_map(|(line, most)| {
                let kinds = Touch::ALL.into_iter().zip(most);
                kinds.map(move |(touch, most)| (line.as_str(), touch, *most))
            })
            .filter(|(.., most)| *most > 0)
            .collect();
        Ok(sqlx::query_as(sql::DUE)
            .bind(request.run.id)
            .bind(column(&kinds, |(line, ..)| *line))
            .bind(column(&kinds, |(.., most)| i64::from(*most)))
            .bind(request.now.as_millisecond())
            .bind(request.frozen_due().as_millisecond())
            .bind(column(&kinds, |(_, touch, _)| touch.number()))
            .fetch_all(self.connection())
            .await?)
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
            .bind(people)
            .fetch_all(self.connection())
            .await?)
    }

    async fn candidates(
        &mut self,
        gateway: &str,
        ids: &[DeliveryId],
    ) -> Result<Vec<CandidateRow>, LedgerError> {
        Ok(sqlx::query_as(sql::CANDIDATES)
            .bind(ids)
            .bind(gateway)
            .fetch_all(self.connection())
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
            .bind(ids)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn next_unanswered(
        &mut self,
        request: &ClaimRequest<'_>,
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::NEXT_UNANSWERED)
            .bind(request.run.id)
            .bind(request.now.as_millisecond())
            .fetch_all(self.connection())
            .await?)
    }

    async fn next_pending(
        &mut self,
        request: &ClaimRequest<'_>,
        lines: &[String],
    ) -> Result<Vec<NextPending>, LedgerError> {
        let next: Vec<(String, i64, i64)> = sqlx::query_as(sql::NEXT_PENDING)
            .bind(request.run.id)
            .bind(lines)
            .bind(request.now.as_millisecond())
            .fetch_all(self.connection())
            .await?;
        next.into_iter()
            .map(|(line, kind, at)| Ok((line, touch(kind)?, at)))
            .collect()
    }
}

impl Tx {
    async fn stored_arrivals(
        &mut self,
        gateway: &str,
        subjects: &[String],
    ) -> Result<Vec<(String, i64)>, LedgerError> {
        Ok(sqlx::query_as(sql::ARRIVALS)
            .bind(gateway)
            .bind(subjects)
            .fetch_all(self.connection())
            .await?)
    }
}
