//! A transaction on a server that may go away at any moment. One whose commit had no answer is
//! found out about, never guessed: the server keeps what became of it under its number. Work that
//! left nothing behind is done again, for as long as a restart of the server takes.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::time::{Instant, sleep, timeout};

use super::super::LedgerError;
use super::clock::Asked;
use super::{PostgresLedger, faults, statements as sql};

/// How long a server that went away is waited for. A restart takes seconds, recovery after a
/// crash a few more.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two tries; doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Tries of work that met another's crosswise.
const CLASHES: u32 = 3;
/// How long a commit may take before it is asked after.
const COMMIT: Duration = Duration::from_secs(30);

/// How long work in one transaction may take, but for its commit. The server ends a statement
/// by itself; this is for one that has fallen silent.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    /// The send path.
    Short,
    /// What goes through a whole list.
    Long,
}

impl Limit {
    fn time(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(30),
            Self::Long => Duration::from_mins(15),
        }
    }
}

/// A transaction that knows how to find out about itself.
pub(super) struct Tx {
    inner: Transaction<'static, Postgres>,
    pool: PgPool,
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}

/// What became of a commit without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    Gone,
}

impl Tx {
    /// Of a change, which a ledger that is closed for a move refuses.
    pub(super) async fn begin(pool: &PgPool) -> Result<Self, LedgerError> {
        let inner = pool.begin_with(sql::BEGIN_CHANGE).await;
        Self::new(pool, inner)
    }

    /// Of a change to a ledger that may be closed.
    async fn begin_closed(pool: &PgPool) -> Result<Self, LedgerError> {
        Self::new(pool, pool.begin().await)
    }

    fn new(
        pool: &PgPool,
        inner: Result<Transaction<'static, Postgres>, sqlx::Error>,
    ) -> Result<Self, LedgerError> {
        let inner = inner.map_err(|error| faults::fault(&error))?;
        let pool = pool.clone();
        Ok(Self { inner, pool })
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Whole and for ever, or an error and nothing of it; in between only where the server does
    /// not come back.
    pub(super) async fn commit(mut self) -> Result<(), LedgerError> {
        let number: Option<String> = sqlx::query_scalar(sql::TRANSACTION)
            .fetch_one(&mut *self.inner)
            .await?;
        let answer = timeout(COMMIT, self.inner.commit()).await;
        let error = match answer {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => LedgerError::from(error),
            Err(_) => faults::too_slow(),
        };
        let (LedgerError::Unreachable { .. }, Some(number)) = (&error, number) else {
            return Err(error);
        };
        match fate(&self.pool, &number).await? {
            Fate::Committed => Ok(()),
            Fate::Gone => Err(error),
        }
    }

    pub(super) async fn rollback(self) -> Result<(), LedgerError> {
        Ok(self.inner.rollback().await?)
    }
}

/// Asks until the server can tell.
async fn fate(pool: &PgPool, number: &str) -> Result<Fate, LedgerError> {
    let mut patience = Patience::new();
    loop {
        let error = match ask(pool, number).await {
            Ok(Some(fate)) => return Ok(fate),
            // Its old connection is still at it.
            Ok(None) => faults::too_slow(),
            Err(error) => error,
        };
        patience.wait_after(error).await?;
    }
}

async fn ask(pool: &PgPool, number: &str) -> Result<Option<Fate>, LedgerError> {
    let asked = sqlx::query_scalar(sql::OUTCOME).bind(number);
    let answer: Result<Option<String>, sqlx::Error> = timeout(COMMIT, asked.fetch_one(pool))
        .await
        .map_err(|_| faults::too_slow())?;
    match answer {
        Ok(status) => Ok(match status.as_deref() {
            Some("committed") => Some(Fate::Committed),
            Some("aborted") => Some(Fate::Gone),
            // Forgotten is what is older than anything that is asked for here.
            Some(_) | None => None,
        }),
        // A number that was never given out: the server is a younger copy of itself.
        Err(error) if is_in_the_future(&error) => Ok(Some(Fate::Gone)),
        Err(error) => Err(faults::fault(&error)),
    }
}

/// `invalid_parameter_value`
fn is_in_the_future(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|inner| inner.code().as_deref() == Some("22023"))
}

/// How long a fault that passes is borne.
#[derive(Debug)]
pub(super) struct Patience {
    until: Instant,
    pause: Duration,
    clashes: u32,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            pause: FIRST_PAUSE,
            clashes: 0,
        }
    }

    /// Returns when it is time for another try; the error, when there is to be none.
    pub(super) async fn wait_after(&mut self, error: LedgerError) -> Result<(), LedgerError> {
        if let LedgerError::Locked = error {
            self.clashes += 1;
            if self.clashes < CLASHES {
                return Ok(());
            }
            return Err(error);
        }
        if !matches!(error, LedgerError::Unreachable { .. }) || Instant::now() >= self.until {
            return Err(error);
        }
        tracing::warn!(%error, "waiting for the ledger's server");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

impl PostgresLedger {
    /// Does work that leaves nothing behind when it fails; again where the server went away.
    pub(super) async fn again<T, Work, Answer>(&self, work: Work) -> Result<T, LedgerError>
    where
        Work: Fn() -> Answer + Send + Sync,
        Answer: Future<Output = Result<T, LedgerError>> + Send,
    {
        let mut patience = Patience::new();
        loop {
            match work().await {
                Ok(answer) => return Ok(answer),
                Err(error @ LedgerError::Refused { .. }) => {
                    // A ledger that is closed refuses like one that may not be written. Where
                    // even that cannot be read, the first refusal is the reason.
                    let closed = self.refusal().await.ok().flatten();
                    return Err(closed.unwrap_or_else(|| faults::at(&self.place, error)));
                }
                Err(error) => patience.wait_after(faults::at(&self.place, error)).await?,
            }
        }
    }

    /// Does work in a transaction of its own, and commits it.
    pub(super) async fn transact<T, Work, Answer>(
        &self,
        limit: Limit,
        work: Work,
    ) -> Result<T, LedgerError>
    where
        T: Send,
        Work: Fn(Tx) -> Answer + Send + Sync,
        Answer: Future<Output = Result<(Tx, T), LedgerError>> + Send,
    {
        let work = &work;
        self.again(|| async move { carry_out(limit, Tx::begin(&self.pool), work).await })
            .await
    }

    /// The same at a time of the caller's, by the clock that counts.
    pub(super) async fn transact_at<T, Work, Answer>(
        &self,
        limit: Limit,
        now: Timestamp,
        work: Work,
    ) -> Result<T, LedgerError>
    where
        T: Send,
        Work: Fn(Tx, Timestamp) -> Answer + Send + Sync,
        Answer: Future<Output = Result<(Tx, T), LedgerError>> + Send,
    {
        let (asked, work) = (&Asked::now(), &work);
        self.transact(limit, |mut tx| async move {
            let now = self.now(&mut tx, now, asked).await?;
            work(tx, now).await
        })
        .await
    }

    /// The same as [`Self::transact`] in a ledger that may be closed for a move.
    pub(super) async fn transact_closed<T, Work, Answer>(
        &self,
        limit: Limit,
        work: Work,
    ) -> Result<T, LedgerError>
    where
        T: Send,
        Work: Fn(Tx) -> Answer + Send + Sync,
        Answer: Future<Output = Result<(Tx, T), LedgerError>> + Send,
    {
        let work = &work;
        self.again(|| async move { carry_out(limit, Tx::begin_closed(&self.pool), work).await })
            .await
    }

    /// Reads.
    pub(super) async fn read<T, Work, Answer>(&self, work: Work) -> Result<T, LedgerError>
    where
        T: Send,
        Work: Fn(PgPool) -> Answer + Send + Sync,
        Answer: Future<Output = Result<T, sqlx::Error>> + Send,
    {
        let work = &work;
        self.again(|| async move {
            timeout(Limit::Long.time(), work(self.pool.clone()))
                .await
                .map_err(|_| faults::too_slow())?
                .map_err(|error| faults::fault(&error))
        })
        .await
    }
}

async fn carry_out<T, Work, Answer>(
    limit: Limit,
    tx: impl Future<Output = Result<Tx, LedgerError>> + Send,
    work: &Work,
) -> Result<T, LedgerError>
where
    T: Send,
    Work: Fn(Tx) -> Answer + Send + Sync,
    Answer: Future<Output = Result<(Tx, T), LedgerError>> + Send,
{
    let done = async { work(tx.await?).await };
    let (tx, answer) = timeout(limit.time(), done)
        .await
        .map_err(|_| faults::too_slow())??;
    tx.commit().await?;
    Ok(answer)
}
