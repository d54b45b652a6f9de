//! Moves a ledger to another store: every row, in the order of its keys, page by page, compared
//! afterwards column by column. How a page is read or written is each database's.
//!
//! The old store is closed first, under a mark in it: from then on it takes no change, and so
//! every page is from one moment. The new one says that it is an unfinished copy, and takes none
//! either, until the last row is proved. Both marks bear one token, by which the same command
//! finds its own beginnings and nobody else's.
//!
//! | killed | leaves behind |
//! |---|---|
//! | after the old store is closed | an old store that says where it went to; the same command goes on |
//! | between two pages | whole pages; the last key in the new store says where to go on |
//! | after the new store is opened | a finished copy; the same command says so in the old store |

pub(super) mod catalogue;
mod row;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(super) use self::catalogue::{Name, Table};
pub use self::row::{Key, Row, Value};
use super::insight::Insight;
use super::{Copied, Ledger, LedgerError, Present};

/// One end of a move, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The other store, for people.
    pub store: String,
    /// The same in both stores.
    pub token: String,
    /// When the old store was closed.
    pub at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// Where a store stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// It was closed, and is not sent from any more.
    pub to: Option<Move>,
    /// It was made from another one; unfinished, it is not sent from yet.
    pub from: Option<Move>,
}

impl Standing {
    /// Why nothing is sent from here, if so.
    pub(super) fn refusal(&self) -> Option<LedgerError> {
        if let Some(to) = &self.to {
            let (to, at) = (to.store.clone(), to.at);
            return Some(LedgerError::Moved { to, at });
        }
        let from = self.from.as_ref()?;
        let unfinished = from.finished_at.is_none();
        unfinished.then(|| LedgerError::Unfinished {
            from: from.store.clone(),
        })
    }
}

/// How much was sent from a store: it goes along, so that a backup of the new one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    pub mark: i64,
    pub marked_at: Option<i64>,
}

/// What tells a store from every other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The device and the inode of its file, and its path.
    File(Option<(u64, u64)>, String),
    /// The server's identifier where it may be read, the numbers of the database and of a table
    /// in it, and how people call it.
    Server(Option<String>, i64, i64, String),
}

impl Identity {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(Some(one), _), Self::File(Some(two), _)) => one == two,
            (Self::File(_, one), Self::File(_, two)) => one == two,
            (Self::Server(one, a, b, name), Self::Server(two, c, d, called)) => {
                let server = match (one, two) {
                    (Some(one), Some(two)) => one == two,
                    (None, _) | (_, None) => name == called,
                };
                server && a == c && b == d
            }
            (Self::File(..), Self::Server(..)) | (Self::Server(..), Self::File(..)) => false,
        }
    }
}

/// What can be copied from and to.
#[async_trait]
pub trait Moving: Ledger {
    /// Which store it is, for people; without a password.
    fn name(&self) -> String;

    async fn identity(&self) -> Result<Identity, LedgerError>;

    /// The store from outside.
    async fn insight(&self) -> Result<Insight, LedgerError>;

    async fn standing(&self) -> Result<Standing, LedgerError>;

    /// Whether anything is in it.
    async fn holds_anything(&self) -> Result<bool, LedgerError>;

    /// Whether it is the store that was sent from, as [`Ledger::take_place`] would say. Only looks.
    async fn away(&self) -> Result<Option<Copied>, LedgerError>;

    /// Processes that claim from it and are not known to be gone.
    async fn present(&self, now: Timestamp) -> Result<Vec<Present>, LedgerError>;

    /// Closes the store for a move and ends every lease; the processes that are there if there
    /// are any, and then nothing has changed.
    async fn close_for(&self, to: &Move) -> Result<Vec<Present>, LedgerError>;

    /// Makes an empty store the unfinished copy of another; false if anything is in it.
    async fn await_copy(&self, from: &Move) -> Result<bool, LedgerError>;

    /// Rows after a key, in the order of their keys.
    async fn page(&self, of: TableName, after: &Key) -> Result<Vec<Row>, LedgerError>;

    /// The last key of a table.
    async fn last_key(&self, of: TableName) -> Result<Option<Key>, LedgerError>;

    /// Adds rows to the unfinished copy `token`, in one transaction, if `after` is the last key
    /// that is there; false otherwise.
    async fn append(
        &self,
        token: &str,
        of: TableName,
        after: &Key,
        rows: &[Row],
    ) -> Result<bool, LedgerError>;

    /// Where messages were sent from, for the new store.
    async fn traces(&self) -> Result<Traces, LedgerError>;

    /// Makes the finished copy the ledger to send from: at home here, its numbers going on after
    /// the highest.
    async fn open_copy(&self, copy: &Move, traces: Traces) -> Result<(), LedgerError>;

    /// Notes that the move away from here is finished.
    async fn finish_move(&self, to: &Move) -> Result<(), LedgerError>;
}

/// A table of the catalogue, for those outside who only hand it through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableName(pub(super) Name);

impl TableName {
    pub fn as_str(self) -> &'static str {
        self.0.table().name
    }
}

/// Which of the two stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    From,
    To,
}

/// Why a ledger was not copied, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the two stores failed.
    #[error("{error}")]
    Store { side: Side, error: LedgerError },
    #[error("both are the same ledger, {0}")]
    Same(String),
    /// The target holds something that is not the beginning of this copy.
    #[error("{place} is in use: {why}")]
    InUse { place: String, why: &'static str },
    /// Processes send from the source.
    #[error("{place} is being sent from")]
    Busy {
        place: String,
        present: Vec<Present>,
    },
    /// The source was moved somewhere else.
    #[error("{place} was moved to {to} already")]
    MovedElsewhere {
        place: String,
        to: String,
        at: Timestamp,
        finished: Finished,
    },
    /// The source is itself an unfinished copy.
    #[error("{place} is an unfinished copy of {from}")]
    Unfinished { place: String, from: String },
    /// The source is not the store that was sent from.
    #[error("{} is not the ledger that was sent from", .0.store)]
    Away(Copied),
    /// Somebody else writes to the target.
    #[error("another process copies to {0}")]
    Crossed(String),
    /// A value that the target cannot hold.
    #[error("{table}, {row}: {why}")]
    Unfit {
        table: &'static str,
        row: String,
        why: &'static str,
    },
    /// What was read from the target is not what was written to it.
    #[error("{table}, {row}: {what}")]
    Differs {
        table: &'static str,
        row: String,
        what: String,
    },
    #[error("stopped")]
    Stopped,
}

/// Whether a move was carried to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    Yes,
    No,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    pub table: TableName,
    /// Rows of the table so far, those from before an interruption not among them.
    pub rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Copying,
    Comparing,
}

/// Told of each page.
pub type Hear<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// What begins a copy.
#[derive(Debug, Clone)]
pub struct Wish {
    /// For the case that this is the beginning.
    pub token: String,
    pub now: Timestamp,
    pub doubts: Doubts,
}

/// What to do with a source that is not the store that was sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubts {
    Refuse,
    /// A person has said that it is the one.
    Accept,
}

/// A copy that goes on.
#[derive(Debug)]
pub struct Copying<'a> {
    from: &'a dyn Moving,
    to: &'a dyn Moving,
    stop: &'a CancellationToken,
    /// As the source has it: its `store` is the target.
    mark: Move,
}

/// Where a copy stands when it is asked for.
#[derive(Debug)]
pub enum Begun<'a> {
    Goes(Copying<'a>, Start),
    /// It was finished before.
    Finished,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Anew,
    /// Something of it is there.
    Again,
}

fn of(side: Side) -> impl Fn(LedgerError) -> CopyError {
    move |error| CopyError::Store { side, error }
}

/// Looks at both stores, closes the source, and marks the target; or finds that all this was
/// done.
pub async fn begin<'a>(
    from: &'a dyn Moving,
    to: &'a dyn Moving,
    stop: &'a CancellationToken,
    wish: Wish,
) -> Result<Begun<'a>, CopyError> {
    let (there, here) = (of(Side::From), of(Side::To));
    let (one, two) = (from.identity().await, to.identity().await);
    if one.map_err(&there)?.is(&two.map_err(&here)?) {
        return Err(CopyError::Same(from.name()));
    }
    let source = from.standing().await.map_err(&there)?;
    let target = to.standing().await.map_err(&here)?;
    let mut start = Start::Anew;
    let mark = match (&source.to, &target.from) {
        (Some(out), Some(into)) if out.token == into.token => {
            if into.finished_at.is_some() {
                let finished_at = into.finished_at;
                let out = Move {
                    finished_at,
                    ..out.clone()
                };
                from.finish_move(&out).await.map_err(&there)?;
                return Ok(Begun::Finished);
            }
            start = Start::Again;
            out.clone()
        }
        (Some(out), _) if out.store != to.name() || out.finished_at.is_some() => {
            return Err(CopyError::MovedElsewhere {
                place: from.name(),
                to: out.store.clone(),
                at: out.at,
                finished: if out.finished_at.is_some() {
                    Finished::Yes
                } else {
                    Finished::No
                },
            });
        }
        (Some(out), _) => out.clone(),
        (None, _) => Move {
            store: to.name(),
            token: wish.token.clone(),
            at: wish.now,
            finished_at: None,
        },
    };
    let copying = Copying {
        from,
        to,
        stop,
        mark,
    };
    if start == Start::Anew {
        copying.may_begin(&source, &target).await?;
        if source.to.is_none() {
            copying.close(&wish).await?;
        }
        copying.mark_target().await?;
    }
    Ok(Begun::Goes(copying, start))
}

impl Copying<'_> {
    async fn may_begin(&self, source: &Standing, target: &Standing) -> Result<(), CopyError> {
        if let Some(from) = source
            .from
            .as_ref()
            .filter(|from| from.finished_at.is_none())
        {
            return Err(CopyError::Unfinished {
                place: self.from.name(),
                from: from.store.clone(),
            });
        }
        if target
            .from
            .as_ref()
            .is_some_and(|from| from.finished_at.is_none())
        {
            return Err(self.in_use(
                "it is an unfinished copy of another ledger, or of an earlier state of this one",
            ));
        }
        if self.to.holds_anything().await.map_err(of(Side::To))? || target.to.is_some() {
            return Err(self.in_use("it has rows of its own"));
        }
        Ok(())
    }

    fn in_use(&self, why: &'static str) -> CopyError {
        CopyError::InUse {
            place: self.to.name(),
            why,
        }
    }

    async fn close(&self, wish: &Wish) -> Result<(), CopyError> {
        let there = of(Side::From);
        if let Some(away) = self.from.away().await.map_err(&there)? {
            if wish.doubts == Doubts::Refuse {
                return Err(CopyError::Away(away));
            }
            self.from.accept_copy(wish.now).await.map_err(&there)?;
        }
        let present = self.from.close_for(&self.mark).await.map_err(&there)?;
        if present.is_empty() {
            return Ok(());
        }
        let place = self.from.name();
        Err(CopyError::Busy { place, present })
    }

    async fn mark_target(&self) -> Result<(), CopyError> {
        let from = Move {
            store: self.from.name(),
            ..self.mark.clone()
        };
        if self.to.await_copy(&from).await.map_err(of(Side::To))? {
            return Ok(());
        }
        Err(self.in_use("it has rows of its own"))
    }

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
