//! The group-committing writer's transaction: attempts begun and outcomes recorded, many at once.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::FromRow;

use super::super::{
    Begin, DeliveryId, Gate, Held, LedgerError, NewChat, Next, Owner, Record, Release, Settle,
    Verdict, Write, Written,
};
use super::claim::Tx;
use super::events::{self, Happened};
use super::rows::{instant, number, stored};
use super::{SqliteLedger, statements as sql};
use crate::domain::delivery::{DeliveryState, Hold};
use crate::domain::history::{self, After, Attempt, DeliveryEvent};
use crate::domain::outcome::Failure;

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
    tx.commit().await?;
    Ok(written)
}

fn delivery(write: &Write) -> DeliveryId {
    match write {
        Write::Begin(begin) => begin.id,
        Write::Record(record) => record.id,
        Write::Release(release) => release.id,
        Write::Settle(settle) => settle.id,
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
    tx: &mut Tx,
    owner: &Owner,
    group: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let (mut begins, mut records, mut releases) = (Vec::new(), Vec::new(), Vec::new());
    let mut done = HashSet::new();
    for one in group {
        match one {
            Write::Begin(begin) => begins.push(&**begin),
            Write::Record(record) => records.push(&**record),
            Write::Release(release) => releases.push(&**release),
            Write::Settle(settle) => {
                if settle_one(tx, owner, settle).await? {
                    done.insert(settle.id);
                }
            }
        }
    }
    done.extend(record_all(tx, &records).await?);
    // Before any attempt begins: a wait that has just been asked for holds it too.
    for one in group {
        let gate = match one {
            Write::Begin(_) | Write::Settle(_) => None,
            Write::Record(record) => record.gate.as_ref(),
            Write::Release(release) => release.gate.as_ref(),
        };
        if let Some(gate) = gate {
            extend_gate(tx, gate).await?;
        }
    }
    let held = hold_gated(tx, owner, &begins).await?;
    begins.retain(|begin| !held.contains_key(&begin.id));
    done.extend(begin_all(tx, owner, &begins).await?);
    done.extend(release_all(tx, owner, &releases).await?);
    Ok(group
        .iter()
        .map(delivery)
        .map(|id| match held.get(&id) {
            Some(&until) => Written::Held { until },
            None if done.contains(&id) => Written::Done,
            None => Written::Late,
        })
        .collect())
}

#[derive(FromRow)]
struct GatedRow {
    id: DeliveryId,
    run_id: i64,
    attempt: i64,
    state: String,
    line: String,
    recipient: String,
    until_at: i64,
}

/// Attempts that must not begin, because a gate was closed after their claim: given back, to be
/// due when it opens.
async fn hold_gated(
    tx: &mut Tx,
    owner: &Owner,
    begins: &[&Begin],
) -> Result<HashMap<DeliveryId, Timestamp>, LedgerError> {
    let Some(now) = begins.iter().map(|begin| begin.at).min() else {
        return Ok(HashMap::new());
    };
    let any: bool = sqlx::query_scalar(sql::ANY_GATE)
        .bind(now.as_millisecond())
        .fetch_one(&mut **tx)
        .await?;
    if !any {
        return Ok(HashMap::new());
    }
    let rows: Vec<Value> = begins
        .iter()
        .map(|begin| json!([begin.id, begin.expected_attempt]))
        .collect();
    let gated: Vec<GatedRow> = sqlx::query_as(sql::GATED)
        .bind(Value::Array(rows).to_string())
        .bind(&owner.0)
        .bind(now.as_millisecond())
        .fetch_all(&mut **tx)
        .await?;
    let (mut gated_until, mut moved, mut doubts) = (HashMap::new(), Vec::new(), Vec::new());
    for row in gated {
        let until = instant(row.until_at)?;
        gated_until.insert(row.id, until);
        if row.state == DeliveryState::Sending.as_str() {
            doubts.push(json!([row.id, row.until_at]));
            continue;
        }
        let hold = match (row.line.as_str(), row.recipient.as_str()) {
            ("", "") => Hold::Throttled,
            (_, "") => Hold::LineCapacity,
            _ => Hold::Retry,
        };
        moved.push(json!([row.id, row.until_at, hold.as_str()]));
        let what = DeliveryEvent::Held { until, hold };
        let event = Happened::to_delivery(row.id, number(row.attempt)?, now, &what)?;
        events::note(tx, row.run_id, &[event]).await?;
    }
    for (statement, rows) in [(sql::HOLD_BACK, moved), (sql::HOLD_DOUBT, doubts)] {
        if !rows.is_empty() {
            let rows = Value::Array(rows).to_string();
            sqlx::query(statement).bind(rows).execute(&mut **tx).await?;
        }
    }
    Ok(gated_until)
}

/// Whether it was still this owner's to settle.
async fn settle_one(tx: &mut Tx, owner: &Owner, settle: &Settle) -> Result<bool, LedgerError> {
    let (state, message_id, chat_id, why) = match &settle.verdict {
        Verdict::Found {
            message_id,
            chat_id,
        } => (
            DeliveryState::Sent,
            Some(message_id),
            chat_id.as_ref(),
            None,
        ),
        Verdict::Uncertain { why } => (DeliveryState::Uncertain, None, None, Some(why)),
    };
    let run_id: Option<i64> = sqlx::query_scalar(sql::SETTLE)
        .bind(settle.id)
        .bind(settle.attempt)
        .bind(&owner.0)
        .bind(state.as_str())
        .bind(message_id)
        .bind(chat_id)
        .bind(why)
        .fetch_optional(&mut **tx)
        .await?;
    let Some(run_id) = run_id else {
        return Ok(false);
    };
    let lost = events::lost_row(settle.id, settle.attempt, settle.revision, settle.begun_at);
    sqlx::query(sql::KEEP_LOST)
        .bind(json!([lost]).to_string())
        .execute(&mut **tx)
        .await?;
    let what = match &settle.verdict {
        Verdict::Found {
            message_id,
            chat_id,
        } => DeliveryEvent::Found {
            message_id: message_id.clone(),
            chat_id: chat_id.clone(),
        },
        Verdict::Uncertain { why } => DeliveryEvent::LeftUncertain { why: why.clone() },
    };
    let event = Happened::to_delivery(settle.id, settle.attempt, settle.at, &what)?;
    events::note(tx, run_id, &[event]).await?;
    keep_chats(tx, settle.chat.as_slice()).await?;
    Ok(true)
}

async fn begin_all(
    tx: &mut Tx,
    owner: &Owner,
    begins: &[&Begin],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if begins.is_empty() {
        return Ok(HashSet::new());
    }
    let mut rows = Vec::with_capacity(begins.len());
    let mut lost = Vec::new();
    for begin in begins {
        let fixed = stored(serde_json::to_string(&begin.fixed))?;
        rows.push(json!([
            begin.id,
            begin.expected_attempt,
            begin.revision,
            fixed,
            begin.at.as_millisecond(),
            begin.lease_until.as_millisecond(),
            history::fixed_sum(&fixed),
        ]));
        if let Some(begun_at) = begin.unanswered {
            let (attempt, revision) = (begin.expected_attempt, begin.revision);
            lost.push(events::lost_row(begin.id, attempt, revision, begun_at));
        }
    }
    let rows = Value::Array(rows).to_string();
    if !lost.is_empty() {
        sqlx::query(sql::KEEP_LOST_BEFORE)
            .bind(Value::Array(lost).to_string())
            .bind(&owner.0)
            .execute(&mut **tx)
            .await?;
    }
    let begun: Vec<DeliveryId> = sqlx::query_scalar(sql::BEGIN)
        .bind(&rows)
        .bind(&owner.0)
        .fetch_all(&mut **tx)
        .await?;
    let begun: HashSet<DeliveryId> = begun.into_iter().collect();
    if begun.len() < begins.len() {
        sqlx::query(sql::GIVE_BACK)
            .bind(&rows)
            .bind(&owner.0)
            .execute(&mut **tx)
            .await?;
        let ids = begins.iter().map(|begin| begin.id);
        let not_begun: Vec<DeliveryId> = ids.filter(|id| !begun.contains(id)).collect();
        end_in_cancelled(tx, &not_begun).await?;
    }
    Ok(begun)
}

async fn record_all(tx: &mut Tx, records: &[&Record]) -> Result<HashSet<DeliveryId>, LedgerError> {
    if records.is_empty() {
        return Ok(HashSet::new());
    }
    let attempts: Vec<Value> = records.iter().map(|record| attempt_row(record)).collect();
    // First the attempts: whether one is late shows only before the delivery is changed. One
    // that is known already is not kept again, and changes nothing.
    let kept: Vec<DeliveryId> = sqlx::query_scalar(sql::KEEP_ATTEMPTS)
        .bind(Value::Array(attempts).to_string())
        .fetch_all(&mut **tx)
        .await?;
    let kept: HashSet<DeliveryId> = kept.into_iter().collect();
    let outcomes: Vec<Value> = records
        .iter()
        .filter(|record| kept.contains(&record.id))
        .map(|record| outcome_row(record))
        .collect();
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
    end_in_cancelled(tx, &open).await?;
    keep_chats(tx, records.iter().filter_map(|record| record.chat.as_ref())).await?;
    Ok(recorded)
}

/// Nobody will take these up again if their run was cancelled meanwhile.
async fn end_in_cancelled(tx: &mut Tx, ids: &[DeliveryId]) -> Result<(), LedgerError> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids = stored(serde_json::to_string(ids))?;
    let unanswered = sqlx::query_as(sql::UNANSWERED_AMONG)
        .bind(&ids)
        .fetch_all(&mut **tx)
        .await?;
    events::keep_lost(tx, unanswered).await?;
    sqlx::query(sql::END_IN_CANCELLED)
        .bind(ids)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

async fn keep_chats(
    tx: &mut Tx,
    chats: impl IntoIterator<Item = &NewChat>,
) -> Result<(), LedgerError> {
    let chats: Vec<Value> = chats
        .into_iter()
        .map(|chat| json!([chat.gateway, chat.phone.expose(), chat.chat_id, chat.line]))
        .collect();
    if !chats.is_empty() {
        sqlx::query(sql::KEEP_CHATS)
            .bind(Value::Array(chats).to_string())
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

async fn release_all(
    tx: &mut Tx,
    owner: &Owner,
    releases: &[&Release],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    let (mut unchanged, mut doubts, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    for &release in releases {
        match &release.next {
            None => unchanged.push(json!([release.id, release.attempt])),
            Some(Next::Unanswered { again_at, .. }) => {
                let again_at = again_at.as_millisecond();
                doubts.push(json!([release.id, release.attempt, again_at]));
            }
            Some(next) => changed.push((release, next)),
        }
    }
    let mut given_back = HashSet::new();
    for (statement, rows) in [
        (sql::RELEASE_AS_IT_WAS, unchanged),
        (sql::RELEASE_DOUBT, doubts),
    ] {
        if !rows.is_empty() {
            let ids: Vec<DeliveryId> = sqlx::query_scalar(statement)
                .bind(&owner.0)
                .bind(Value::Array(rows).to_string())
                .fetch_all(&mut **tx)
                .await?;
            end_in_cancelled(tx, &ids).await?;
            given_back.extend(ids);
        }
    }
    given_back.extend(put_back(tx, owner, &changed).await?);
    Ok(given_back)
}

/// Claims given back to another place than they came from, without an attempt.
async fn put_back(
    tx: &mut Tx,
    owner: &Owner,
    changed: &[(&Release, &Next)],
) -> Result<HashSet<DeliveryId>, LedgerError> {
    if changed.is_empty() {
        return Ok(HashSet::new());
    }
    let rows: Vec<Value> = changed
        .iter()
        .map(|(release, next)| release_row(release, next))
        .collect();
    let done: Vec<(DeliveryId, i64, i64)> = sqlx::query_as(sql::RELEASE)
        .bind(&owner.0)
        .bind(Value::Array(rows).to_string())
        .fetch_all(&mut **tx)
        .await?;
    let moved: HashMap<DeliveryId, (i64, i64)> = done
        .into_iter()
        .map(|(id, run_id, attempt)| (id, (run_id, attempt)))
        .collect();
    for (release, next) in changed {
        if let Some(&(run_id, attempt)) = moved.get(&release.id) {
            let what = unprepared(release, next);
            let event = Happened::to_delivery(release.id, number(attempt)?, release.at, &what)?;
            events::note(tx, run_id, &[event]).await?;
        }
    }
    Ok(moved.into_keys().collect())
}

fn unprepared(release: &Release, next: &Next) -> DeliveryEvent {
    let (mut due, mut held, mut counted, mut renewed) = (None, None, None, false);
    if let Next::Pending {
        due_at,
        hold,
        tries,
        anew,
    } = next
    {
        if release.failure.is_none() && !anew {
            return DeliveryEvent::Held {
                until: *due_at,
                hold: *hold,
            };
        }
        (due, held, counted, renewed) = (Some(*due_at), Some(*hold), Some(*tries), *anew);
    }
    DeliveryEvent::Unprepared {
        state: next.state(),
        due_at: due,
        hold: held,
        tries: counted,
        anew: renewed,
        failure: release.failure.clone(),
    }
}

async fn extend_gate(tx: &mut Tx, gate: &Gate) -> Result<(), LedgerError> {
    let (line, recipient) = match &gate.held {
        Held::Account => ("", ""),
        Held::Line(line) => (line.as_str(), ""),
        Held::Recipient(phone) => ("", phone.expose()),
    };
    sqlx::query(sql::EXTEND_GATE)
        .bind(&gate.gateway)
        .bind(line)
        .bind(recipient)
        .bind(gate.until.as_millisecond())
        .bind(&gate.reason)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// An attempt's row as JSON, with its checksum for either case: in time, or late.
fn attempt_row(record: &Record) -> Value {
    let mut attempt = attempt(record);
    let in_time = attempt.sum(record.id);
    attempt.late = true;
    let late = attempt.sum(record.id);
    let failure = attempt.failure;
    let after = attempt.after.as_ref();
    json!([
        record.id,
        record.attempt,
        record.revision,
        record.begun_at.as_millisecond(),
        record.ended_at.as_millisecond(),
        record.class.as_str(),
        failure.code,
        failure.http,
        Some(failure.text).filter(|text| !text.is_empty()),
        failure.trace_id,
        after.map(|after| after.state.as_str()),
        after.and_then(|after| after.due_at.map(Timestamp::as_millisecond)),
        after.and_then(|after| after.hold.map(Hold::as_str)),
        after.and_then(|after| after.tries),
        after.map(|after| u8::from(after.anew)),
        after.and_then(|after| after.message_id.as_deref()),
        after.and_then(|after| after.chat_id.as_deref()),
        in_time,
        late,
    ])
}

fn attempt(record: &Record) -> Attempt {
    let (message_id, chat_id) = sent_as(&record.next);
    let wait = Wait::of(&record.next);
    Attempt {
        attempt: record.attempt,
        revision: record.revision,
        begun_at: record.begun_at,
        ended_at: Some(record.ended_at),
        class: record.class,
        late: false,
        failure: record.failure.clone().unwrap_or_default(),
        after: Some(After {
            state: record.next.state(),
            due_at: wait.due_at,
            hold: wait.hold,
            tries: wait.tries,
            anew: wait.anew,
            message_id: message_id.cloned(),
            chat_id: chat_id.cloned(),
        }),
    }
}

fn sent_as(next: &Next) -> (Option<&String>, Option<&String>) {
    if let Next::Sent {
        message_id,
        chat_id,
    } = next
    {
        (message_id.as_ref(), chat_id.as_ref())
    } else {
        (None, None)
    }
}

/// What is said of a failure, where anything is.
fn detail(failure: Option<&Failure>) -> Option<&str> {
    let text = failure.map(|failure| failure.text.as_str());
    text.filter(|text| !text.is_empty())
}

fn outcome_row(record: &Record) -> Value {
    let (message, chat) = sent_as(&record.next);
    let sent = matches!(record.next, Next::Sent { .. });
    let wait = Wait::of(&record.next);
    let failure = record.failure.as_ref();
    json!([
        record.id,
        record.attempt,
        record.next.state().as_str(),
        wait.due_at.map(Timestamp::as_millisecond),
        wait.hold.map(Hold::as_str),
        wait.tries,
        u8::from(wait.anew),
        failure.and_then(|failure| failure.code),
        detail(failure),
        message,
        chat,
        sent.then(|| record.ended_at.as_millisecond()),
    ])
}

fn release_row(release: &Release, next: &Next) -> Value {
    let wait = Wait::of(next);
    let failure = release.failure.as_ref();
    json!([
        release.id,
        next.state().as_str(),
        wait.due_at.map(Timestamp::as_millisecond),
        wait.hold.map(Hold::as_str),
        wait.tries,
        failure.and_then(|failure| failure.code),
        detail(failure),
        u8::from(wait.anew),
        release.attempt,
    ])
}

/// When a delivery is to be looked at again.
#[derive(Default)]
struct Wait {
    due_at: Option<Timestamp>,
    hold: Option<Hold>,
    tries: Option<u32>,
    anew: bool,
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
                due_at: Some(*due_at),
                hold: Some(*hold),
                tries: Some(*tries),
                anew: *anew,
            },
            Next::Unanswered { again_at, tries } => Self {
                due_at: Some(*again_at),
                tries: Some(*tries),
                ..Self::default()
            },
            Next::Sent { .. } | Next::Failed | Next::Uncertain => Self::default(),
        }
    }
}
