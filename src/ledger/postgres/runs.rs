//! Runs on PostgreSQL: finding them, changing their state, counting what became of their
//! deliveries.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::super::caps::{self, UsedRow};
use super::super::rows::{self, DeliveryRow, RunRow};
use super::super::runs::{self, RunTx, Unanswered};
use super::super::workers::{Running, RunningRow};
use super::super::{
    CapState, DeliveryId, DeliveryRecord, KnownChat, LedgerError, RunFacts, RunRecord,
};
use super::shared::bind_asked;
use super::tx::{Limit, Tx};
use super::{PostgresLedger, gates, history, opt_out, statements as sql};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::cap::{Cap, Room, Subject};
use crate::domain::delivery::Counts;
use crate::domain::run::{RunId, RunState};

async fn row(ledger: &PostgresLedger, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
    ledger
        .read(|pool| async move {
            sqlx::query_as(sql::RUN)
                .bind(run.as_str())
                .fetch_optional(&pool)
                .await
        })
        .await
}

pub(super) async fn existing(ledger: &PostgresLedger, run: &RunId) -> Result<RunRow, LedgerError> {
    row(ledger, run)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))
}

pub(super) async fn find(
    ledger: &PostgresLedger,
    run: &RunId,
) -> Result<Option<RunRecord>, LedgerError> {
    row(ledger, run).await?.map(RunRecord::try_from).transpose()
}

pub(super) async fn account(
    ledger: &PostgresLedger,
    gateway: &str,
) -> Result<Option<AccountId>, LedgerError> {
    let text: Option<String> = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::ACCOUNT)
                .bind(gateway)
                .fetch_optional(&pool)
                .await
        })
        .await?;
    Ok(text.map(|text| AccountId::parse(&text)))
}

pub(super) async fn known(
    ledger: &PostgresLedger,
    gateway: &str,
    phones: &[&Address],
) -> Result<HashMap<String, KnownChat>, LedgerError> {
    let phones: &Vec<&str> = &phones.iter().map(|phone| phone.expose()).collect();
    let chats = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::KNOWN_CHATS)
                .bind(gateway)
                .bind(phones)
                .fetch_all(&pool)
                .await
        })
        .await?;
    Ok(rows::known(chats))
}

pub(super) async fn messages_to(
    ledger: &PostgresLedger,
    gateway: &str,
    phone: &Address,
) -> Result<HashSet<String>, LedgerError> {
    let ids: Vec<String> = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::MESSAGES_TO)
                .bind(gateway)
                .bind(phone.expose())
                .fetch_all(&pool)
                .await
        })
        .await?;
    Ok(ids.into_iter().collect())
}

pub(super) async fn all(ledger: &PostgresLedger) -> Result<Vec<(RunRecord, Counts)>, LedgerError> {
    let rows: Vec<RunRow> = ledger
        .read(|pool| async move { sqlx::query_as(sql::RUNS).fetch_all(&pool).await })
        .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let counts = counts(ledger, &row).await?;
        all.push((RunRecord::try_from(row)?, counts));
    }
    Ok(all)
}

async fn counts(ledger: &PostgresLedger, run: &RunRow) -> Result<Counts, LedgerError> {
    let rows = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::COUNTS)
                .bind(run.first_delivery)
                .bind(run.first_delivery + run.total - 1)
                .fetch_all(&pool)
                .await
        })
        .await?;
    runs::counts(rows)
}

pub(super) async fn running(ledger: &PostgresLedger) -> Result<Vec<Running>, LedgerError> {
    let rows: Vec<RunningRow> = ledger
        .read(|pool| async move { sqlx::query_as(sql::RUNNING).fetch_all(&pool).await })
        .await?;
    rows.into_iter().map(Running::try_from).collect()
}

pub(super) async fn next_rehearsal(
    ledger: &PostgresLedger,
    campaign: &str,
) -> Result<u32, LedgerError> {
    let taken: Vec<String> = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::REHEARSALS)
                .bind(campaign)
                .fetch_all(&pool)
                .await
        })
        .await?;
    Ok(runs::next_rehearsal(&taken))
}

pub(super) async fn set_state(
    ledger: &PostgresLedger,
    run: &RunId,
    (to, reason): (RunState, Option<&str>),
    now: Timestamp,
) -> Result<RunRecord, LedgerError> {
    ledger
        .transact_at(Limit::Long, now, |mut tx, now| async move {
            let record = runs::set_state(&mut tx, run, to, reason, now).await?;
            Ok((tx, record))
        })
        .await
}

pub(super) async fn finish_if_done(
    ledger: &PostgresLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let finished = runs::finish_if_done(&mut tx, run, now).await?;
            Ok((tx, finished))
        })
        .await
}

impl RunTx for Tx {
    async fn hold_run(&mut self, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
        sqlx::query(sql::HOLD_RUN)
            .bind(run.as_str())
            .execute(self.connection())
            .await?;
        Ok(sqlx::query_as(sql::RUN)
            .bind(run.as_str())
            .fetch_optional(self.connection())
            .await?)
    }

    async fn set_run_state(
        &mut self,
        run_id: i64,
        to: RunState,
        reason: Option<&str>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        sqlx::query(sql::SET_STATE)
            .bind(to.as_str())
            .bind(reason)
            .bind(now.as_millisecond())
            .bind(run_id)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn cancel_pending(&mut self, run_id: i64) -> Result<(), LedgerError> {
        sqlx::query(sql::CANCEL_PENDING)
            .bind(run_id)
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn unheld(
        &mut self,
        run_id: i64,
        now: Timestamp,
    ) -> Result<Vec<Unanswered>, LedgerError> {
        Ok(sqlx::query_as(sql::UNANSWERED_IN_CANCELLED)
            .bind(run_id)
            .bind(now.as_millisecond())
            .fetch_all(self.connection())
            .await?)
    }

    async fn cancel_unheld(&mut self, run_id: i64, now: Timestamp) -> Result<(), LedgerError> {
        sqlx::query(sql::CANCEL_UNANSWERED)
            .bind(run_id)
            .bind(now.as_millisecond())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn finish(&mut self, run_id: i64, now: Timestamp) -> Result<bool, LedgerError> {
        let finished = sqlx::query(sql::FINISH)
            .bind(run_id)
            .bind(now.as_millisecond())
            .execute(self.connection())
            .await?;
        Ok(finished.rows_affected() > 0)
    }
}

pub(super) async fn facts(
    ledger: &PostgresLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<RunFacts, LedgerError> {
    let row = existing(ledger, run).await?;
    let (first, last) = (row.first_delivery, row.first_delivery + row.total - 1);
    let record = &RunRecord::try_from(row)?;
    let alike = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::FACTS)
                .bind(first)
                .bind(last)
                .fetch_all(&pool)
                .await
        })
        .await?;
    let mut facts = runs::facts(alike)?;
    facts.gates = gates::open(ledger, &record.gateway, now).await?;
    gates::of_lines(ledger, record, (first, last), &mut facts).await?;
    facts.outlook = history::outlook(ledger, run).await?;
    facts.answers = opt_out::answers(ledger, record.id).await?;
    facts.caps = caps(ledger, &record.gateway, &caps::of_run(record), now).await?;
    Ok(facts)
}

pub(super) async fn caps(
    ledger: &PostgresLedger,
    gateway: &str,
    all: &[(Subject, Cap)],
    now: Timestamp,
) -> Result<Vec<CapState>, LedgerError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let now = ledger.shift().to_server(now);
    let asked = &caps::questions(gateway, all, now);
    let rows: Vec<UsedRow> = ledger
        .read(|pool| async move {
            bind_asked(sqlx::query_as(sql::CAPS_USED), asked)
                .fetch_all(&pool)
                .await
        })
        .await?;
    let mut states = caps::states(all, &rows, now)?;
    for state in &mut states {
        if let Room::Closed { until } = &mut state.room {
            *until = ledger.shift().to_caller(*until);
        }
    }
    Ok(states)
}

pub(super) async fn deliveries(
    ledger: &PostgresLedger,
    run: &RunId,
    after: Option<DeliveryId>,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let record = &existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::DELIVERIES)
                .bind(after.unwrap_or(record.first_delivery - 1))
                .bind(record.first_delivery + record.total - 1)
                .bind(i64::from(most))
                .fetch_all(&pool)
                .await
        })
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}
