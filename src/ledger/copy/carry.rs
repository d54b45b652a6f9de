//! The rows' way over, and the proof that they have arrived. That the source stands still
//! meanwhile is [`super::begin`]'s.

use jiff::Timestamp;

use super::catalogue::Name;
use super::{CopyError, Copying, Hear, Key, Move, Moving, Progress, Row, Side, Step, TableName};
use super::{Value, of};

impl Copying<'_> {
    /// Carries every row over that is not there yet; says how many.
    pub async fn carry(&self, hear: Hear<'_>) -> Result<u64, CopyError> {
        let mut all = 0;
        for name in Name::ALL.iter().copied() {
            all += self.carry_table(name, hear).await?;
        }
        Ok(all)
    }

    async fn carry_table(&self, name: Name, hear: Hear<'_>) -> Result<u64, CopyError> {
        let (of_table, table) = (TableName(name), name.table());
        let (there, here) = (of(Side::From), of(Side::To));
        let last = self.to.last_key(of_table).await.map_err(&here)?;
        let mut after = last.unwrap_or_else(|| Key::before_all(table));
        let mut page = self.from.page(of_table, &after).await.map_err(&there)?;
        let mut rows = 0;
        while let Some(newest) = page.last() {
            if self.stop.is_cancelled() {
                return Err(CopyError::Stopped);
            }
            let next_after = newest.key(table);
            self.fit(name, &mut page)?;
            // While one page is written the next is read.
            let (written, next) = tokio::join!(
                self.to.append(&self.mark.token, of_table, &after, &page),
                self.from.page(of_table, &next_after)
            );
            if !written.map_err(&here)? {
                return Err(CopyError::Crossed(self.to.name()));
            }
            rows += page.len() as u64;
            after = next_after;
            page = next.map_err(&there)?;
            hear(Progress {
                step: Step::Copying,
                table: of_table,
                rows,
            });
        }
        Ok(rows)
    }

    /// Fills in what one of the databases does not keep; refuses what one cannot hold.
    fn fit(&self, name: Name, page: &mut [Row]) -> Result<(), CopyError> {
        let table = name.table();
        for row in page {
            let text = |value: &Value| matches!(value, Value::Text(text) if text.contains('\0'));
            if row.0.iter().any(text) {
                return Err(CopyError::Unfit {
                    table: table.name,
                    row: row.key(table).named(table),
                    why: "a text in it has a NUL character, which not every database can keep",
                });
            }
            // Of a wait it is not known on PostgreSQL when it was asked for.
            if name == Name::Gates
                && let Some(asked_at @ Value::Null) = row.0.last_mut()
            {
                *asked_at = Value::Integer(self.mark.at.as_millisecond());
            }
        }
        Ok(())
    }

    /// Reads both stores again, in order, and compares every row column by column; says how many
    /// rows there are of each table.
    pub async fn compare(&self, hear: Hear<'_>) -> Result<Vec<(TableName, u64)>, CopyError> {
        let mut counts = Vec::new();
        for name in Name::ALL.iter().copied() {
            counts.push((TableName(name), self.compare_table(name, hear).await?));
        }
        Ok(counts)
    }

    async fn compare_table(&self, name: Name, hear: Hear<'_>) -> Result<u64, CopyError> {
        let (of_table, table) = (TableName(name), name.table());
        let mut after = Key::before_all(table);
        let mut rows = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(CopyError::Stopped);
            }
            let (one, two) = tokio::join!(
                self.from.page(of_table, &after),
                self.to.page(of_table, &after)
            );
            let (mut one, two) = (one.map_err(of(Side::From))?, two.map_err(of(Side::To))?);
            self.fit(name, &mut one)?;
            self.same(name, &one, &two)?;
            rows += one.len() as u64;
            let Some(newest) = one.last() else {
                return Ok(rows);
            };
            after = newest.key(table);
            hear(Progress {
                step: Step::Comparing,
                table: of_table,
                rows,
            });
        }
    }

    fn same(&self, name: Name, one: &[Row], two: &[Row]) -> Result<(), CopyError> {
        let table = name.table();
        let differs = |row: &Row, what: String| CopyError::Differs {
            table: table.name,
            row: row.key(table).named(table),
            what,
        };
        for at in 0..one.len().max(two.len()) {
            let (original, copy) = match (one.get(at), two.get(at)) {
                (Some(original), Some(copy)) => (original, copy),
                (Some(row), None) => return Err(differs(row, self.not_in(self.to))),
                (None, Some(row)) => return Err(differs(row, self.not_in(self.from))),
                (None, None) => return Ok(()),
            };
            if original.key(table) != copy.key(table) {
                return Err(differs(original, self.not_in(self.to)));
            }
            let columns = table.columns.iter().zip(original.0.iter().zip(&copy.0));
            for (column, (kept, copied)) in columns {
                // Only SQLite keeps when a wait was asked for.
                let unknown = column.name == "asked_at" && *copied == Value::Null;
                if kept != copied && !unknown {
                    return Err(differs(
                        original,
                        format!("`{}` is not the same in both ledgers", column.name),
                    ));
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads as a sentence where it is called")]
    fn not_in(&self, store: &dyn Moving) -> String {
        format!("is not in {}", store.name())
    }

    /// Makes the target the ledger to send from.
    pub async fn finish(self, now: Timestamp) -> Result<(), CopyError> {
        let traces = self.from.traces().await.map_err(of(Side::From))?;
        let to = Move {
            finished_at: Some(now),
            ..self.mark
        };
        let from = Move {
            store: self.from.name(),
            ..to.clone()
        };
        let opened = self.to.open_copy(&from, traces).await;
        opened.map_err(of(Side::To))?;
        self.from.finish_move(&to).await.map_err(of(Side::From))
    }
}
