//! What a store has to do to be one end of a copy. Why and in which order is not said here.

use std::path::PathBuf;

use async_trait::async_trait;
use jiff::Timestamp;

use super::super::insight::Insight;
use super::super::{Copied, Ledger, LedgerError};
use super::{Key, Move, Name, Row, Standing};

/// How much was sent from a store: it goes along, so that a backup of the new one is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traces {
    pub mark: i64,
    pub marked_at: Option<i64>,
}

/// A process that sends from a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub name: String,
    pub since: Timestamp,
}

/// What tells a store from every other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    File {
        /// The device and the inode, where the system has such.
        number: Option<(u64, u64)>,
        path: PathBuf,
    },
    Server {
        /// Its own, where it may be read.
        identifier: Option<String>,
        /// Their numbers on the server.
        database: i64,
        relation: i64,
        /// How people call it.
        name: String,
    },
}

impl Identity {
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File {
                    number: one,
                    path: here,
                },
                Self::File {
                    number: two,
                    path: there,
                },
            ) => {
                if one.is_some() && two.is_some() {
                    one == two
                } else {
                    here == there
                }
            }
            (
                Self::Server {
                    identifier: one,
                    database: a,
                    relation: b,
                    name: here,
                },
                Self::Server {
                    identifier: two,
                    database: c,
                    relation: d,
                    name: there,
                },
            ) => {
                let same_server = if one.is_some() && two.is_some() {
                    one == two
                } else {
                    here == there
                };
                same_server && (a, b) == (c, d)
            }
            (Self::File { .. }, Self::Server { .. }) | (Self::Server { .. }, Self::File { .. }) => {
                false
            }
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
    async fn present(&self, now: Timestamp) -> Result<Vec<Process>, LedgerError>;

    /// Closes the store for a move and ends every lease; the processes that are there if there
    /// are any, and then nothing has changed.
    async fn close_for(&self, to: &Move) -> Result<Vec<Process>, LedgerError>;

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
pub struct TableName(pub(in super::super) Name);

impl TableName {
    pub fn as_str(self) -> &'static str {
        self.0.table().name
    }
}
