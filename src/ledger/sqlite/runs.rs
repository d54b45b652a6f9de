//! Runs on SQLite: finding them, changing their state, counting what became of their deliveries.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::super::caps::{self, UsedRow};
use super::super::rows::{self, DeliveryRow, RunRow, stored};
use super::super::runs::{self, RunTx, Unanswered};
use super::super::workers::{Running, RunningRow};
use super::super::{
    CapState, DeliveryId, DeliveryRecord, KnownChat, LedgerError, RunFacts, RunRecord,
};
use super::shared::{Tx, asked_rows};
use super::{SqliteLedger, statements as sql};
use super::{gates, history, opt_out};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::cap::{Cap, Subject};
use crate::domain::delivery::{Counts, DeliveryState};
use crate::domain::run::{RunId, RunState};

async fn row(ledger: &SqliteLedger, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
    Ok(sqlx::query_as(sql::RUN)
        .bind(run.as_str())
        .fetch_optional(&ledger.readers)
        .await?)
}

pub(super) async fn existing(ledger: &SqliteLedger, run: &RunId) -> Result<RunRow, LedgerError> {
    row(ledger, run)
        .await?
        .ok_or_else(|| LedgerError::NoSuchRun(run.clone()))
}

pub(super) async fn find(
    ledger: &SqliteLedger,
    run: &RunId,
) -> Result<Option<RunRecord>, LedgerError> {
    row(ledger, run).await?.map(RunRecord::try_from).transpose()
}

pub(super) async fn account(
    ledger: &SqliteLedger,
    gateway: &str,
) -> Result<Option<AccountId>, LedgerError> {
    let text: Option<String> = sqlx::query_scalar(sql::ACCOUNT)
        .bind(gateway)
        .fetch_optional(&ledger.readers)
        .await?;
    Ok(text.map(|text| AccountId::parse(&text)))
}

pub(super) async fn known(
    ledger: &SqliteLedger,
    gateway: &str,
    phones: &[&Address],
) -> Result<HashMap<String, KnownChat>, LedgerError> {
    let phones: Vec<&str> = phones.iter().map(|phone| phone.expose()).collect();
    let chats = sqlx::query_as(sql::KNOWN_CHATS)
        .bind(gateway)
        .bind(stored(serde_json::to_string(&phones))?)
        .fetch_all(&ledger.readers)
        .await?;
    Ok(rows::known(chats))
}

pub(super) async fn messages_to(
    ledger: &SqliteLedger,
    gateway: &str,
    phone: &Address,
) -> Result<HashSet<String>, LedgerError> {
    let ids: Vec<String> = sqlx::query_scalar(sql::MESSAGES_TO)
        .bind(gateway)
        .bind(phone.expose())
        .fetch_all(&ledger.readers)
        .await?;
    Ok(ids.into_iter().collect())
}

pub(super) async fn all(ledger: &SqliteLedger) -> Result<Vec<(RunRecord, Counts)>, LedgerError> {
    let rows: Vec<RunRow> = sqlx::query_as(sql::RUNS).fetch_all(&ledger.readers).await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        let counts = counts(ledger, &row).await?;
        runs.push((RunRecord::try_from(row)?, counts));
    }
    Ok(runs)
}

async fn counts(ledger: &SqliteLedger, run: &RunRow) -> Result<Counts, LedgerError> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(sql::COUNTS)
        .bind(run.first_delivery)
        .bind(run.first_delivery + run.total - 1)
        .fetch_all(&ledger.readers)
        .await?;
    runs::counts(rows)
}

pub(super) async fn running(ledger: &SqliteLedger) -> Result<Vec<Running>, LedgerError> {
    let rows: Vec<RunningRow> = sqlx::query_as(sql::RUNNING)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(Running::try_from).collect()
}

pub(super) async fn next_rehearsal(
    ledger: &SqliteLedger,
    campaign: &str,
) -> Result<u32, LedgerError> {
    let taken: Vec<String> = sqlx::query_scalar(sql::REHEARSALS)
        .bind(campaign)
        .fetch_all(&ledger.readers)
        .await?;
    Ok(runs::next_rehearsal(&taken))
}

pub(super) async fn set_state(
    ledger: &SqliteLedger,
    run: &RunId,
    to: RunState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<RunRecord, LedgerError> {
    let mut tx = ledger.begin().await?;
    let record = runs::set_state(&mut tx, run, to, reason, now).await?;
    tx.commit().await?;
    Ok(record)
}

pub(super) async fn finish_if_done(
    ledger: &SqliteLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<bool, LedgerError> {
    let mut tx = ledger.begin().await?;
    let finished = runs::finish_if_done(&mut tx, run, now).await?;
    tx.commit().await?;
    Ok(finished)
}

impl RunTx for Tx<'_> {
    async fn hold_run(&mut self, run: &RunId) -> Result<Option<RunRow>, LedgerError> {
        Ok(sqlx::query_as(sql::RUN)
            .bind(run.as_str())
            .fetch_optional(&mut **self)
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
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn cancel_pending(&mut self, run_id: i64) -> Result<(), LedgerError> {
        sqlx::query(sql::CANCEL_PENDING)
            .bind(run_id)
            .execute(&mut **self)
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
            .fetch_all(&mut **self)
            .await?)
    }

    async fn cancel_unheld(&mut self, run_id: i64, now: Timestamp) -> Result<(), LedgerError> {
        sqlx::query(sql::CANCEL_UNANSWERED)
            .bind(run_id)
            .bind(now.as_millisecond())
            .execute(&mut **self)
            .await?;
        Ok(())
    }

    async fn finish(&mut self, run_id: i64, now: Timestamp) -> Result<bool, LedgerError> {
        let finished = sqlx::query(sql::FINISH)
            .bind(run_id)
            .bind(now.as_millisecond())
            .execute(&mut **self)
            .await?;
        Ok(finished.rows_affected() > 0)
    }
}

pub(super) async fn facts(
    ledger: &SqliteLedger,
    run: &RunId,
    now: Timestamp,
) -> Result<RunFacts, LedgerError> {
    let record = existing(ledger, run).await?;
    let rows = sqlx::query_as(sql::FACTS)
        .bind(record.first_delivery)
        .bind(record.first_delivery + record.total - 1)
        .fetch_all(&ledger.readers)
        .await?;
    let mut facts = runs::facts(rows)?;
    facts.gates = gates::open(ledger, &record.gateway, now).await?;
    facts.outlook = history::outlook(ledger, run).await?;
    facts.answers = opt_out::answers(ledger, record.id).await?;
    let ids = (
        record.first_delivery,
        record.first_delivery + record.total - 1,
    );
    let record = RunRecord::try_from(record)?;
    gates::of_lines(ledger, &record, ids, &mut facts).await?;
    facts.caps = caps(ledger, &record.gateway, &caps::of_run(&record), now).await?;
    if facts.counts.of(DeliveryState::Uncertain) > 0 {
        let most = runs::UNCERTAIN_LISTED;
        facts.uncertain = history::in_state(ledger, run, DeliveryState::Uncertain, most).await?;
    }
    Ok(facts)
}

pub(super) async fn caps(
    ledger: &SqliteLedger,
    gateway: &str,
    all: &[(Subject, Cap)],
    now: Timestamp,
) -> Result<Vec<CapState>, LedgerError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let asked = caps::questions(gateway, all, now);
    let rows: Vec<UsedRow> = sqlx::query_as(sql::CAPS_USED)
        .bind(asked_rows(&asked))
        .fetch_all(&ledger.readers)
        .await?;
    caps::states(all, &rows, now)
}

pub(super) async fn deliveries(
    ledger: &SqliteLedger,
    run: &RunId,
    after: Option<DeliveryId>,
    most: u32,
) -> Result<Vec<DeliveryRecord>, LedgerError> {
    let record = existing(ledger, run).await?;
    let rows: Vec<DeliveryRow> = sqlx::query_as(sql::DELIVERIES)
        .bind(after.unwrap_or(record.first_delivery - 1))
        .bind(record.first_delivery + record.total - 1)
        .bind(most)
        .fetch_all(&ledger.readers)
        .await?;
    rows.into_iter().map(DeliveryRecord::try_from).collect()
}
