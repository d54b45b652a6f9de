//! Waits on SQLite that concern no delivery alone, and the looks at lines that take no part in
//! messaging. How a gate is kept with an attempt is the writer's.

use jiff::Timestamp;

use super::super::gates::{self, HeldForLine};
use super::super::rows::{self, GateRow};
use super::super::write::WriteTx;
use super::super::{Gate, LedgerError, Look, RunFacts, RunRecord};
use super::{SqliteLedger, statements as sql};

pub(super) async fn hold(
    ledger: &SqliteLedger,
    gate: &Gate,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    tx.extend_gate(gate, now).await?;
    Ok(tx.commit().await?)
}

pub(super) async fn open(
    ledger: &SqliteLedger,
    gateway: &str,
    now: Timestamp,
) -> Result<Vec<Gate>, LedgerError> {
    let gates: Vec<GateRow> = sqlx::query_as(sql::OPEN_GATES)
        .bind(gateway)
        .bind(now.as_millisecond())
        .fetch_all(&ledger.readers)
        .await?;
    gates
        .into_iter()
        .map(|row| rows::gate(gateway, row))
        .collect()
}

/// The lines of a run, and who of it waits for one that takes no part in messaging.
pub(super) async fn of_lines(
    ledger: &SqliteLedger,
    record: &RunRecord,
    (first, last): (i64, i64),
    facts: &mut RunFacts,
) -> Result<(), LedgerError> {
    facts.lines = sqlx::query_scalar(sql::RUN_LINES)
        .bind(record.id)
        .fetch_all(&ledger.readers)
        .await?;
    for (line, until) in gates::inactive_lines(facts) {
        let waiting = sqlx::query_as(sql::WAITING_ON_LINE)
            .bind(first)
            .bind(last)
            .bind(&line)
            .fetch_all(&ledger.readers)
            .await?;
        gates::hold_up(facts, line, until, waiting)?;
    }
    Ok(())
}

pub(super) async fn take_look(
    ledger: &SqliteLedger,
    gateway: &str,
    (look, now): (Look, Timestamp),
    until: Timestamp,
) -> Result<Vec<String>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let lines = sqlx::query_scalar(sql::TAKE_LOOK)
        .bind(gateway)
        .bind(look.due_by(now))
        .bind(now.as_millisecond())
        .bind(until.as_millisecond())
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(lines)
}

pub(super) async fn line_is_back(
    ledger: &SqliteLedger,
    gateway: &str,
    line: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    let held: Vec<HeldForLine> = sqlx::query_as(sql::HELD_FOR_LINE)
        .bind(gateway)
        .bind(line)
        .bind(now.as_millisecond())
        .fetch_all(&mut *tx)
        .await?;
    gates::let_go(&mut tx, held, now).await?;
    sqlx::query(sql::LINE_IS_BACK)
        .bind(gateway)
        .bind(line)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}
