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

mod carry;
pub(super) mod catalogue;
mod row;
mod store;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub(super) use self::catalogue::{Name, Table};
pub use self::row::{Key, Row, Value};
pub use self::store::{Identity, Moving, Process, TableName, Traces};
use super::{Copied, LedgerError};

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
        present: Vec<Process>,
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
}
