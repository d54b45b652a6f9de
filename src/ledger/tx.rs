//! What every writing transaction can do, whatever the database: the door from the logic that
//! both share to the SQL that they do not. What only one kind of them does stands with its logic.

use super::events::EventRow;
use super::opt_out::{Left, OptedOutRow};
use super::shapes::{HeldBack, Lost};
use super::{DeliveryId, LedgerError};

pub(super) trait SharedTx: Send {
    /// Makes room for as many more events of a run, and says the last one's number.
    fn count_events(
        &mut self,
        run_id: i64,
        more: i64,
    ) -> impl Future<Output = Result<i64, LedgerError>> + Send;

    fn insert_events(
        &mut self,
        run_id: i64,
        rows: &[EventRow],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Attempts of which nothing else is known; one that is known already stays as it is.
    fn keep_lost(&mut self, rows: &[Lost]) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Pending deliveries that have to wait: nobody's, due then.
    fn hold_back(
        &mut self,
        rows: &[HeldBack],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// The same for attempts without an answer, which stay so.
    fn hold_doubts(
        &mut self,
        rows: &[HeldBack],
    ) -> impl Future<Output = Result<(), LedgerError>> + Send;

    /// Pending ones among deliveries of running runs whose people are not to be written to, with
    /// the person's own word before others.
    fn opted_out(
        &mut self,
        ids: &[DeliveryId],
    ) -> impl Future<Output = Result<Vec<OptedOutRow>, LedgerError>> + Send;

    /// Pending deliveries that are not to be sent any more.
    fn skip(&mut self, rows: &[Left]) -> impl Future<Output = Result<(), LedgerError>> + Send;
}
