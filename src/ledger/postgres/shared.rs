//! What every writing transaction does, on PostgreSQL. Rows go to a statement as one array for
//! each column, as many rows as one write to the connection takes.

use super::super::caps::{Asked, CapTx, UsedRow};
use super::super::events::EventRow;
use super::super::opt_out::{Left, OptedOutRow};
use super::super::shapes::{HeldBack, Lost};
use super::super::tx::SharedTx;
use super::super::{DeliveryId, LedgerError};
use super::statements as sql;
use super::tx::Tx;

/// One column of rows.
pub(super) fn column<'r, Row, T>(rows: &'r [Row], of: impl Fn(&'r Row) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// What the values of one statement may come to, in bytes: with the rest of its message they are
/// within the 16 KiB of one TLS record (RFC 8446 §5.1).
///
/// The driver hands each record to the system by itself and leaves Nagle's algorithm on, so that
/// the second record of a statement waits until the server has acknowledged the first, which it
/// puts off for 40 ms: with statements of any size the ledger was ten times as slow over TLS.
const ROOM: usize = 15_000;
/// What a number takes in an array, and any other value besides itself: its length goes before it.
const NUMBER: usize = 12;

/// Rows in portions that one statement takes; a row that is too large is alone. Each row has so
/// many columns, and `text` bytes in those that are not numbers.
pub(super) fn portions<'r, Row>(
    rows: &'r [Row],
    columns: usize,
    text: impl Fn(&'r Row) -> usize,
) -> impl Iterator<Item = &'r [Row]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut room = ROOM;
        let fitting = rest
            .iter()
            .take_while(|row| match room.checked_sub(columns * NUMBER + text(row)) {
                Some(left) => {
                    room = left;
                    true
                }
                None => false,
            })
            .count();
        let (portion, left) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = left;
        (!portion.is_empty()).then_some(portion)
    })
}

/// How long a text is that may not be there.
pub(super) fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

impl CapTx for Tx {
    async fn used(&mut self, asked: &[Asked]) -> Result<Vec<UsedRow>, LedgerError> {
        Ok(bind_asked(sqlx::query_as(sql::CAPS_USED), asked)
            .fetch_all(self.connection())
            .await?)
    }
}

type UsedQuery<'q> = sqlx::query::QueryAs<'q, sqlx::Postgres, UsedRow, sqlx::postgres::PgArguments>;

pub(super) fn bind_asked<'q>(query: UsedQuery<'q>, asked: &'q [Asked]) -> UsedQuery<'q> {
    query
        .bind(column(asked, |((gateway, _), _)| gateway.as_str()))
        .bind(column(asked, |((_, subject), _)| subject.as_str()))
        .bind(column(asked, |(_, day)| i64::from(*day)))
}

impl SharedTx for Tx {
    async fn count_events(&mut self, run_id: i64, more: i64) -> Result<i64, LedgerError> {
        Ok(sqlx::query_scalar(sql::COUNT_EVENTS)
            .bind(run_id)
            .bind(more)
            .fetch_one(self.connection())
            .await?)
    }

    async fn insert_events(&mut self, run_id: i64, rows: &[EventRow]) -> Result<(), LedgerError> {
        for rows in portions(rows, 6, |one| one.what.len()) {
            sqlx::query(sql::INSERT_EVENTS)
                .bind(run_id)
                .bind(column(rows, |one| one.seq))
                .bind(column(rows, |one| one.delivery))
                .bind(column(rows, |one| i64::from(one.attempt)))
                .bind(column(rows, |one| one.at))
                .bind(column(rows, |one| one.what.as_str()))
                .bind(column(rows, |one| one.sum))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn keep_lost(&mut self, lost: &[Lost]) -> Result<(), LedgerError> {
        for lost in portions(lost, 5, |_| 0) {
            bind_lost(sqlx::query(sql::KEEP_LOST), lost)
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn hold_back(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        for held in portions(held, 3, |one| one.hold.as_str().len()) {
            sqlx::query(sql::HOLD_BACK)
                .bind(column(held, |one| one.id))
                .bind(column(held, |one| one.until))
                .bind(column(held, |one| one.hold.as_str()))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn hold_doubts(&mut self, held: &[HeldBack]) -> Result<(), LedgerError> {
        for held in portions(held, 2, |_| 0) {
            sqlx::query(sql::HOLD_DOUBT)
                .bind(column(held, |one| one.id))
                .bind(column(held, |one| one.until))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }

    async fn opted_out(&mut self, ids: &[DeliveryId]) -> Result<Vec<OptedOutRow>, LedgerError> {
        let mut all = Vec::new();
        for ids in portions(ids, 1, |_| 0) {
            let out: Vec<OptedOutRow> = sqlx::query_as(sql::OPTED_OUT)
                .bind(ids)
                .fetch_all(self.connection())
                .await?;
            all.extend(out);
        }
        Ok(all)
    }

    async fn skip(&mut self, left: &[Left]) -> Result<(), LedgerError> {
        for left in portions(left, 3, |one| 16 + length(one.detail.as_deref())) {
            sqlx::query(sql::SKIP)
                .bind(column(left, |one| one.id))
                .bind(column(left, |one| one.reason.as_str()))
                .bind(column(left, |one| one.detail.as_deref()))
                .execute(self.connection())
                .await?;
        }
        Ok(())
    }
}

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

pub(super) fn bind_lost<'q>(query: Query<'q>, lost: &'q [Lost]) -> Query<'q> {
    query
        .bind(column(lost, |one| one.id))
        .bind(column(lost, |one| i64::from(one.attempt)))
        .bind(column(lost, |one| i64::from(one.revision)))
        .bind(column(lost, |one| one.begun_at))
        .bind(column(lost, |one| one.sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_left_out_and_none_comes_twice() {
        for sizes in [
            vec![],
            vec![1],
            vec![20_000],
            vec![1; 4_000],
            vec![7_000, 9_000, 20_000, 1, 1],
        ] {
            let portions: Vec<&[usize]> = portions(&sizes, 1, |size| *size).collect();
            assert_eq!(portions.concat(), sizes);
            for portion in portions {
                let room: usize = portion.iter().map(|size| size + NUMBER).sum();
                assert!(room <= ROOM || portion.len() == 1, "{room}");
            }
        }
    }
}
