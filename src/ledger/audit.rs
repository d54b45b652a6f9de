//! The ledger as an audit reads it: every row as it is stored, page by page, all from one
//! moment. Judges nothing; that is [`crate::domain::proof`]'s.

use async_trait::async_trait;

use super::{DeliveryId, LedgerError};
use crate::domain::digest::Digest;
use crate::domain::proof::{KeptEvent, KeptMedia, KeptRun, Readable, Rows};

/// A view of the ledger at one moment, whoever writes meanwhile. It only reads; dropped, it
/// leaves nothing behind.
#[async_trait]
pub trait Audit: Send {
    /// What the store itself finds wrong with what it keeps; nothing where it is sound.
    async fn structure(&mut self) -> Result<Vec<String>, LedgerError>;

    /// The row of every run, oldest first.
    async fn runs(&mut self) -> Result<Vec<Readable<KeptRun>>, LedgerError>;

    /// The numbers of runs that have lines and no row of their own.
    async fn orphans(&mut self) -> Result<Vec<i64>, LedgerError>;

    /// The lines that a run sends from.
    async fn lines(&mut self, run_id: i64) -> Result<Vec<Readable<String>>, LedgerError>;

    /// Deliveries outside of a run's list that would be sent with it.
    async fn strays(&mut self, run: &KeptRun) -> Result<Vec<DeliveryId>, LedgerError>;

    /// Events of a run in their order, from the one after `after` on.
    async fn events(
        &mut self,
        run_id: i64,
        after: u64,
        most: u32,
    ) -> Result<Vec<Readable<KeptEvent>>, LedgerError>;

    /// What is kept of each delivery from `first` to `last`; of each one, also where it is
    /// nothing.
    async fn page(&mut self, first: DeliveryId, last: DeliveryId)
    -> Result<Vec<Rows>, LedgerError>;

    async fn media(&mut self, sha256: Digest) -> Result<Option<Readable<KeptMedia>>, LedgerError>;
}
