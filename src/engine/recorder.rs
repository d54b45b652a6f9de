//! The one writer of the send path. Attempts to begin and outcomes to record queue up while a
//! commit is under way and go together in the next one, so durability costs a commit per group,
//! not per message.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::crash_points;
use crate::ledger::{Ledger, LedgerError, Owner, Write, Written};

/// Changes that may wait for the writer; more than that many workers never run.
const QUEUE: usize = 1_024;
/// Changes in one commit: a few milliseconds' worth.
const GROUP: usize = 512;
/// Tries of one commit while another program holds the ledger.
const TRIES: u32 = 4;

/// The ledger did not take a change; the run cannot go on in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotWritten;

struct Order {
    write: Write,
    done: oneshot::Sender<Result<Written, NotWritten>>,
}

/// A handle for workers; the writer ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Recorder(mpsc::Sender<Order>);

impl Recorder {
    /// Returns the handle and the writer to be driven to its end, which returns the fault that
    /// stopped it.
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        owner: Owner,
    ) -> (Self, impl Future<Output = Result<(), LedgerError>>) {
        let (orders, queue) = mpsc::channel(QUEUE);
        (Self(orders), drive(ledger, owner, queue))
    }

    /// Returns once the change is committed.
    pub(super) async fn write(&self, write: Write) -> Result<Written, NotWritten> {
        let (done, answer) = oneshot::channel();
        self.0
            .send(Order { write, done })
            .await
            .map_err(|_| NotWritten)?;
        answer.await.map_err(|_| NotWritten)?
    }
}

async fn drive(
    ledger: Arc<dyn Ledger>,
    owner: Owner,
    mut queue: mpsc::Receiver<Order>,
) -> Result<(), LedgerError> {
    let mut orders = Vec::with_capacity(GROUP);
    while queue.recv_many(&mut orders, GROUP).await > 0 {
        let (writes, waiting): (Vec<Write>, Vec<_>) = orders
            .drain(..)
            .map(|order| (order.write, order.done))
            .unzip();
        match commit(&*ledger, &owner, &writes).await {
            Ok(written) => {
                crash_points::reach("group.committed").await;
                for (done, answer) in waiting.into_iter().zip(written) {
                    // A worker that was aborted no longer listens; its change is committed.
                    done.send(Ok(answer)).ok();
                }
            }
            Err(error) => {
                tracing::error!(%error, changes = writes.len(), "the ledger took no changes");
                for done in waiting {
                    done.send(Err(NotWritten)).ok();
                }
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn commit(
    ledger: &dyn Ledger,
    owner: &Owner,
    writes: &[Write],
) -> Result<Vec<Written>, LedgerError> {
    let mut tries = 1;
    loop {
        match ledger.write(owner, writes).await {
            Err(LedgerError::Locked) if tries < TRIES => {
                tracing::warn!(tries, "another program holds the ledger; trying again");
                tokio::time::sleep(Duration::from_millis(100) * 2u32.pow(tries)).await;
                tries += 1;
            }
            answer => return answer,
        }
    }
}
