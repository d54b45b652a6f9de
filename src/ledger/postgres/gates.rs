//! Waits on PostgreSQL that concern no delivery alone, and the looks at lines that take no part in
//! messaging. How a gate is kept with an attempt is the writer's.

use jiff::Timestamp;

use super::super::gates::{self, HeldForLine};
use super::super::rows::{self, GateRow};
use super::super::write::WriteTx;
use super::super::{Gate, LedgerError, Look, RunFacts, RunRecord};
use super::claim::after;
use super::clock::Shift;
use super::tx::Limit;
use super::{PostgresLedger, statements as sql};

pub(super) async fn hold(
    ledger: &PostgresLedger,
    gate: &Gate,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let (wait, inactive) = (gate.until.duration_since(now), gate.inactive_since);
    ledger
        .transact_at(Limit::Short, now, |mut tx, there| async move {
            let gate = Gate {
                until: after(there, wait),
                inactive_since: inactive.map(|since| after(there, since.duration_since(now))),
                ..gate.clone()
            };
            tx.extend_gate(&gate, there).await?;
            Ok((tx, ()))
        })
        .await
}

/// By the caller's clock.
pub(super) fn to_caller(gate: &mut Gate, shift: Shift) {
    gate.until = shift.to_caller(gate.until);
    gate.inactive_since = gate.inactive_since.map(|since| shift.to_caller(since));
}

pub(super) async fn open(
    ledger: &PostgresLedger,
    gateway: &str,
    now: Timestamp,
) -> Result<Vec<Gate>, LedgerError> {
    let now = ledger.shift().to_server(now).as_millisecond();
    let gates: Vec<GateRow> = ledger
        .read(|pool| async move {
            sqlx::query_as(sql::OPEN_GATES)
                .bind(gateway)
                .bind(now)
                .fetch_all(&pool)
                .await
        })
        .await?;
    let mut open = Vec::with_capacity(gates.len());
    for row in gates {
        let mut gate = rows::gate(gateway, row)?;
        to_caller(&mut gate, ledger.shift());
        open.push(gate);
    }
    Ok(open)
}

/// The lines of a run, and who of it waits for one that takes no part in messaging.
pub(super) async fn of_lines(
    ledger: &PostgresLedger,
    record: &RunRecord,
    (first, last): (i64, i64),
    facts: &mut RunFacts,
) -> Result<(), LedgerError> {
    let run_id = record.id;
    facts.lines = ledger
        .read(|pool| async move {
            sqlx::query_scalar(sql::RUN_LINES)
                .bind(run_id)
                .fetch_all(&pool)
                .await
        })
        .await?;
    for (line, until) in gates::inactive_lines(facts) {
        let of = line.as_str();
        let waiting = ledger
            .read(|pool| async move {
                sqlx::query_as(sql::WAITING_ON_LINE)
                    .bind(first)
                    .bind(last)
                    .bind(of)
                    .fetch_all(&pool)
                    .await
            })
            .await?;
        gates::hold_up(facts, line, until, waiting)?;
    }
    Ok(())
}

pub(super) async fn take_look(
    ledger: &PostgresLedger,
    gateway: &str,
    (look, now): (Look, Timestamp),
    until: Timestamp,
) -> Result<Vec<String>, LedgerError> {
    let lasts = until.duration_since(now);
    ledger
        .transact_at(Limit::Short, now, |mut tx, now| async move {
            let lines = sqlx::query_scalar(sql::TAKE_LOOK)
                .bind(gateway)
                .bind(look.due_by(now))
                .bind(after(now, lasts).as_millisecond())
                .fetch_all(tx.connection())
                .await?;
            Ok((tx, lines))
        })
        .await
}

pub(super) async fn line_is_back(
    ledger: &PostgresLedger,
    gateway: &str,
    line: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    ledger
        .transact_at(Limit::Long, now, |mut tx, now| async move {
            let held: Vec<HeldForLine> = sqlx::query_as(sql::HELD_FOR_LINE)
                .bind(gateway)
                .bind(line)
                .bind(now.as_millisecond())
                .fetch_all(tx.connection())
                .await?;
            gates::let_go(&mut tx, held, now).await?;
            sqlx::query(sql::LINE_IS_BACK)
                .bind(gateway)
                .bind(line)
                .execute(tx.connection())
                .await?;
            Ok((tx, ()))
        })
        .await
}
