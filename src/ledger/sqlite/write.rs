//! The group-committing writer's transaction: attempts begun and outcomes recorded, many at once.

use std::collections::HashSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Sqlite, Transaction};

use super::super::{
    Begin, DeliveryId, Gate, LedgerError, Next, Owner, Record, Release, Write, Written,
};
use super::rows::stored;
use super::{SqliteLedger, place, statements as sql};
use crate::domain::delivery::DeliveryState;

pub(super) async fn write(
    ledger: &SqliteLedger,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let mut written = Vec::with_capacity(group.len());
    let mut rest = group;
    while !rest.is_empty() {
        let (round, later) = rest.split_at(distinct(rest));
        written.extend(write_round(&mut tx, owner, round).await?);
        rest = later;
    }
    let mark = place::raise(ledger, &mut tx, group).await?;
    tx.commit().await?;
    place::keep(ledger, mark.as_ref());
    Ok(written)
}

fn delivery(write: &Write) -> DeliveryId {
    match write {
        Write::Begin(begin) => begin.id,
        Write::Record(record) => record.id,
        Write::Release(release) => release.id,
    }
}

/// How many changes from the first on are about different deliveries. Only among those does
/// the order not matter, and only then does each have an answer of its own.
fn distinct(group: &[Write]) -> usize {
    let mut seen = HashSet::with_capacity(group.len());
    group
        .iter()
        .take_while(|write| seen.insert(delivery(write)))
        .count()
}

/// Changes of different deliveries, kind by kind.
async fn write_round(
    tx: &mut Transaction<'static, Sqlite>,
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
    let recorded = record_all(tx, &records).await?;
    let started = begin_all(tx, owner, &begins).await?;
    let given_back = release_all(tx, owner, &releases).await?;
    for one in group {
        let gate = match one {
            Write::Begin(_) => None,
            Write::Record(record) => record.gate.as_ref().zip(Some(record.ended_at)),
            Write::Release(release) => release.gate.as_ref().zip(Some(release.at)),
        };
        if let Some((gate, asked_at)) = gate {
            extend_gate(tx, gate, asked_at).await?;
        }
    }
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
            .bind(&owner.0)
            .execute(&mut **tx)
            .await?;
    }
    let begun: Vec<DeliveryId> = sqlx::query_scalar(sql::BEGIN)
        .bind(&rows)
        .bind(&owner.0)
        .fetch_all(&mut **tx)
        .await?;
    if begun.len() < begins.len() {
        sqlx::query(sql::GIVE_BACK)
            .bind(&rows)
            .bind(&owner.0)
            .execute(&mut **tx)
            .await?;
    }
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
    let recorded: HashSet<DeliveryId> = recorded.into_iter().collect();
    let open: Vec<DeliveryId> = records
        .iter()
        .filter(|record| !record.next.state().is_settled() && recorded.contains(&record.id))
        .map(|record| record.id)
        .collect();
    if !open.is_empty() {
        sqlx::query(sql::END_IN_CANCELLED)
            .bind(stored(serde_json::to_string(&open))?)
            .execute(&mut **tx)
            .await?;
    }
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
    Ok(recorded)
}

async fn release_all(
    tx: &mut Transaction<'static, Sqlite>,
    owner: &Owner,
    releases: &[&Release],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    let mut given_back = HashSet::new();
    let (changed, unchanged): (Vec<&Release>, Vec<&Release>) =
        releases.iter().partition(|release| release.next.is_some());
    let changed: Vec<Value> = changed.into_iter().map(release_row).collect();
    let unchanged: Vec<Value> = unchanged.iter().map(|release| json!(release.id)).collect();
    for (statement, rows) in [(sql::RELEASE, changed), (sql::RELEASE_AS_IT_WAS, unchanged)] {
        if !rows.is_empty() {
            let ids: Vec<DeliveryId> = sqlx::query_scalar(statement)
                .bind(&owner.0)
                .bind(Value::Array(rows).to_string())
                .fetch_all(&mut **tx)
                .await?;
            given_back.extend(ids);
        }
    }
    Ok(given_back)
}

async fn extend_gate(
    tx: &mut Transaction<'static, Sqlite>,
    gate: &Gate,
    asked_at: Timestamp,
) -> Result<(), LedgerError> {
    sqlx::query(sql::EXTEND_GATE)
        .bind(&gate.gateway)
        .bind(gate.line.as_deref().unwrap_or(""))
        .bind(gate.until.as_millisecond())
        .bind(&gate.reason)
        .bind(asked_at.as_millisecond())
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
