//! PostgreSQL as one of the suite's databases: a ledger whose time is invented, and attempts as
//! they are kept. The databases themselves are `support`'s.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use sendoff::ledger::postgres::{PostgresLedger, Time};
use sendoff::ledger::{DeliveryId, Ledger, Owner};

use super::store::{Attempt, Store};
pub(super) use crate::support::{Cluster, PostgresDatabase};

/// Longer than any invented time of the suite: there, processes end when the test says so.
const LONG: SignedDuration = SignedDuration::from_hours(24 * 365);

impl PostgresDatabase {
    /// A handle whose time is the caller's, with what nothing hides.
    pub(super) async fn ledger(&self) -> PostgresLedger {
        PostgresLedger::open_with(&self.url().await, Time::Caller, LONG)
            .await
            .unwrap()
    }
}

#[async_trait]
impl Store for PostgresDatabase {
    async fn open(&self) -> Arc<dyn Ledger> {
        Arc::new(self.ledger().await)
    }

    /// Nobody has heard of it for too long.
    async fn ended(&self, owner: &Owner) {
        sqlx::query("UPDATE owners SET alive_until = 0 WHERE owner = $1")
            .bind(&owner.0)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    async fn attempts(&self, id: DeliveryId) -> Vec<Attempt> {
        sqlx::query_as(
            "SELECT attempt::bigint, outcome, late, ended_at, text FROM attempts
             WHERE delivery_id = $1 ORDER BY attempt",
        )
        .bind(id)
        .fetch_all(&mut self.connect().await)
        .await
        .unwrap()
    }
}
