//! The group-committing writer's transaction: attempts begun and outcomes recorded, many at once.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};

use super::super::{
    Begin, DeliveryId, Gate, LedgerError, Next, Owner, Record, Release, Write, Written,
};
use super::rows::stored;
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::DeliveryState;

pub(super) async fn write(
    ledger: &SqliteLedger,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let (mut begins, mut records, mut releases) = (Vec::new(), Vec::new(), Vec::new());
    for one in group {
        match one {
            Write::Begin(begin) => begins.push(&**begin),
            Write::Record(record) => records.push(&**record),
            Write::Release(release) => releases.push(&**release),
        }
    }
    let mut tx = ledger.begin().await?;
    let recorded = record_all(&mut tx, &records).await?;
    let started = begin_all(&mut tx, owner, &begins).await?;
    let given_back = release_all(&mut tx, owner, &releases).await?;
    for one in group {
        let gate = match one {
            Write::Begin(_) => None,
            Write::Record(record) => record.gate.as_ref(),
            Write::Release(release) => release.gate.as_ref(),
        };
        if let Some(gate) = gate {
            extend_gate(&mut tx, gate).await?;
        }
    }
    tx.commit().await?;
    let done = |there: bool| if there { Written::Done } else { Written::Late };
    Ok(group
        .iter()
        .map(|one| match one {
            Write::Begin(begin) => done(started.contains(&begin.id)),
            Write::Record(record) => done(recorded.contains(&record.id)),
            Write::Release(release) => done(given_back.contains(&release.id)),
        })
        .collect())
}

async fn begin_all(
    tx: &mut Transaction<'static, Sqlite>,
    owner: &Owner,
    begins: &[&Begin],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if begins.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows = Vec::with_capacity(begins.len());
    for begin in begins {
        rows.push(json!([
            begin.id,
            begin.expected_attempt,
            begin.revision,
            stored(serde_json::to_string(&begin.fixed))?,
            begin.at.as_millisecond(),
            begin.lease_until.as_millisecond(),
        ]));
    }
    let rows = Value::Array(rows).to_string();
    if begins.iter().any(|begin| begin.expected_attempt > 0) {
        sqlx::query(sql::KEEP_LOST_ATTEMPTS)
            .bind(&rows)
            .execute(&mut **tx)
            .await?;
    }
    let begun: Vec<DeliveryId> = sqlx::query_scalar(sql::BEGIN)
        .bind(&rows)
        .bind(&owner.0)
        .fetch_all(&mut **tx)
        .await?;
    Ok(begun.into_iter().collect())
}

async fn record_all(
    tx: &mut Transaction<'static, Sqlite>,
    records: &[&Record],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let attempts: Vec<Value> = records.iter().map(|record| attempt_row(record)).collect();
    let outcomes: Vec<Value> = records.iter().map(|record| outcome_row(record)).collect();
    // First the attempts: whether one is late shows only before the delivery is changed.
    sqlx::query(sql::KEEP_ATTEMPTS)
        .bind(Value::Array(attempts).to_string())
        .execute(&mut **tx)
        .await?;
    let recorded: Vec<DeliveryId> = sqlx::query_scalar(sql::RECORD)
        .bind(Value::Array(outcomes).to_string())
        .fetch_all(&mut **tx)
        .await?;
    let chats: Vec<Value> = records
        .iter()
        .filter_map(|record| record.chat.as_ref())
        .map(|chat| json!([chat.gateway, chat.phone.expose(), chat.chat_id, chat.line]))
        .collect();
    if !chats.is_empty() {
        sqlx::query(sql::KEEP_CHATS)
            .bind(Value::Array(chats).to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(recorded.into_iter().collect())
}

async fn release_all(
    tx: &mut Transaction<'static, Sqlite>,
    owner: &Owner,
    releases: &[&Release],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if releases.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<Value> = releases
        .iter()
        .map(|release| release_row(release))
        .collect();
    let given_back: Vec<DeliveryId> = sqlx::query_scalar(sql::RELEASE)
        .bind(&owner.0)
        .bind(Value::Array(rows).to_string())
        .fetch_all(&mut **tx)
        .await?;
    Ok(given_back.into_iter().collect())
}

async fn extend_gate(
    tx: &mut Transaction<'static, Sqlite>,
    gate: &Gate,
) -> Result<(), LedgerError> {
    sqlx::query(sql::EXTEND_GATE)
        .bind(&gate.gateway)
        .bind(gate.line.as_deref().unwrap_or(""))
        .bind(gate.until.as_millisecond())
        .bind(&gate.reason)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn attempt_row(record: &Record) -> Value {
    let failure = record.failure.as_ref();
    json!([
        record.id,
        record.attempt,
        record.begun_at.as_millisecond(),
        record.ended_at.as_millisecond(),
        record.class,
        failure.and_then(|failure| failure.code),
        failure.and_then(|failure| failure.http),
        failure.map(|failure| &failure.text),
        failure.and_then(|failure| failure.trace_id.as_ref()),
    ])
}

fn outcome_row(record: &Record) -> Value {
    let (mut message, mut chat, mut sent_at) = (None, None, None);
    if let Next::Sent {
        message_id,
        chat_id,
    } = &record.next
    {
        (message, chat) = (message_id.as_ref(), chat_id.as_ref());
        sent_at = Some(record.ended_at.as_millisecond());
    }
    let wait = Wait::of(&record.next);
    let failure = record.failure.as_ref();
    json!([
        record.id,
        record.attempt,
        record.next.state().as_str(),
        wait.due_at,
        wait.hold,
        wait.tries,
        wait.anew,
        failure.and_then(|failure| failure.code),
        failure.map(|failure| &failure.text),
        message,
        chat,
        sent_at,
    ])
}

fn release_row(release: &Release) -> Value {
    let wait = release.next.as_ref().map(Wait::of).unwrap_or_default();
    let failure = release.failure.as_ref();
    json!([
        release.id,
        release
            .next
            .as_ref()
            .map_or(DeliveryState::Pending, Next::state)
            .as_str(),
        wait.due_at,
        wait.hold,
        wait.tries,
        failure.and_then(|failure| failure.code),
        failure.map(|failure| &failure.text),
    ])
}

/// The columns that say when a delivery is to be looked at again.
#[derive(Default)]
struct Wait {
    due_at: Option<i64>,
    hold: Option<&'static str>,
    tries: Option<u32>,
    anew: u8,
}

impl Wait {
    fn of(next: &Next) -> Self {
        match next {
            Next::Pending {
                due_at,
                hold,
                tries,
                anew,
            } => Self {
                due_at: Some(due_at.as_millisecond()),
                hold: Some(hold.as_str()),
                tries: Some(*tries),
                anew: u8::from(*anew),
            },
            Next::Unanswered { again_at, tries } => Self {
                due_at: Some(again_at.as_millisecond()),
                tries: Some(*tries),
                ..Self::default()
            },
            Next::Sent { .. } | Next::Failed | Next::Uncertain => Self::default(),
        }
    }
}
