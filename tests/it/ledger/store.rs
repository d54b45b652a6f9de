//! The databases that the suite runs on. Reads the attempts, which no method of the ledger
//! hands out yet; knows nothing else about tables.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{DeliveryId, Ledger, Owner};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, FromRow};
use tempfile::TempDir;

/// One ledger, empty at first.
#[async_trait]
pub(super) trait Store: Send + Sync {
    /// One more handle, such as another process has. Dropping it without
    /// [`Ledger::retire`] is what a kill leaves behind.
    async fn open(&self) -> Arc<dyn Ledger>;

    /// Lets come to light that a process has ended which did not retire.
    async fn ended(&self, owner: &Owner);

    /// What is kept of a delivery's attempts, in order.
    async fn attempts(&self, id: DeliveryId) -> Vec<Attempt>;
}

/// An attempt as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub(super) struct Attempt {
    #[sqlx(rename = "attempt")]
    pub(super) number: i64,
    pub(super) outcome: String,
    pub(super) late: bool,
    pub(super) ended_at: Option<i64>,
    pub(super) text: Option<String>,
}

impl Attempt {
    pub(super) fn in_short(&self) -> (i64, &str, bool) {
        (self.number, &self.outcome, self.late)
    }
}

/// A SQLite file in a folder of its own.
#[derive(Debug)]
pub(super) struct SqliteFile {
    folder: TempDir,
}

impl Default for SqliteFile {
    fn default() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
        }
    }
}

impl SqliteFile {
    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("ledger.db")
    }

    /// A plain connection, such as another program has.
    pub(super) async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await
            .unwrap()
    }
}

#[async_trait]
impl Store for SqliteFile {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(
            SqliteLedger::open(&self.path(), Durability::None)
                .await
                .unwrap(),
        )
    }

    /// Its lock fell with it.
    async fn ended(&self, _: &Owner) {}

    async fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        sqlx::query_as(
            "SELECT attempt, outcome, late, ended_at, text FROM attempts
             WHERE delivery_id = ? ORDER BY attempt",
        )
        .bind(id)
        .fetch_all(&mut self.connect().await)
        .await
        .unwrap()
    }
}
