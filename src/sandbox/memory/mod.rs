//! State that survives a restart: every act that changed something is written down before its
//! answer leaves, with the moment at which it was done, and done again at the next start by the
//! same functions at the same moments. So it covers whatever those functions keep, and holds no
//! state of its own.

mod file;
mod replay;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

pub use replay::Recalled;

use crate::domain::digest::Digest;
use file::{Line, Log};

/// Something that changes what the sandbox remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    /// A request that was carried out.
    Call(Box<CallAct>),
    /// A try of a request for one of the lab's numbers, whatever came of it.
    Try {
        to: String,
        key: Option<String>,
        request: Digest,
    },
    /// A request of HueChat that was carried out.
    HueCall(Box<CallAct>),
    /// A try of a message to one of HueChat's numbers that something went wrong with.
    HueTry { to: String, request: Digest },
    /// A change by the control surface.
    Control {
        method: String,
        path: String,
        body: String,
    },
}

/// A request of a provider, as much of it as counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CallAct {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    /// What the path names.
    pub(super) id: String,
    pub(super) member: String,
    pub(super) host: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) to: Option<String>,
    pub(super) key: Option<String>,
    pub(super) json: Option<Value>,
    /// Of an upload.
    pub(super) file: Option<(Digest, u64)>,
    pub(super) body: Option<Digest>,
    pub(super) bytes: u64,
    pub(super) trace: u64,
    /// When it had arrived, by the machine's clock and by the provider's.
    pub(super) at_us: i64,
    pub(super) provider_us: i64,
    /// Of the answer: done again, it must come out the same.
    pub(super) answer: Option<Digest>,
}

/// What came of doing something again.
#[derive(Debug)]
pub(super) enum Redone {
    /// The digest of its answer.
    Done(Digest),
    Refused,
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("it cannot be opened")]
    Open(#[source] io::Error),
    #[error("it cannot be written")]
    Write(#[source] io::Error),
    #[error("another sandbox is using it")]
    Taken,
    #[error("it is no state file of a sandbox, and is left alone")]
    Foreign,
    #[error("it has the format {0}, of another version of sendoff")]
    Version(u32),
    #[error("it was begun with {what}; start the sandbox with the same, or with another file")]
    Other { what: &'static str },
    #[error("line {0} is damaged; nothing behind it can be trusted")]
    Damaged(usize),
    #[error(
        "line {0} comes out differently now than when it was answered: the sandbox has other \
         settings than then, or is another version"
    )]
    Differs(usize),
    #[error("a sandbox that admits strangers keeps no state: their secrets are not written down")]
    Strangers,
}

/// Where acts are written down, if anywhere.
#[derive(Debug, Default)]
pub(super) struct Memory {
    on: AtomicBool,
    failed: AtomicBool,
    log: Mutex<Option<Log>>,
}

impl Memory {
    /// Whether anything is written down; spares an ordinary sandbox the rest.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Held from before an act until it is written down: acts stand in the order in which they
    /// were done.
    pub(super) async fn gate(&self) -> Gate<'_> {
        Gate(self.log.lock().await)
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Whether something could not be written down.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    async fn begin(&self, log: Log) {
        *self.log.lock().await = Some(log);
        self.on.store(true, Ordering::Release);
    }

    /// Waits until everything is on the disk.
    pub(super) async fn sync(&self) -> io::Result<()> {
        match &*self.log.lock().await {
            Some(log) => log.sync(),
            None => Ok(()),
        }
    }
}

/// The right to do and write down one act.
#[derive(Debug)]
pub(super) struct Gate<'a>(MutexGuard<'a, Option<Log>>);

impl Gate<'_> {
    /// Writes an act down. After a failure nothing more is, as the file would have a gap.
    pub(super) fn write(&mut self, at_us: i64, act: Act) -> Result<(), StateError> {
        let gap = || StateError::Write(io::ErrorKind::BrokenPipe.into());
        let log = self.0.as_mut().ok_or_else(gap)?;
        let written = log.append(&Line { at_us, act });
        if written.is_err() {
            *self.0 = None;
        }
        written
    }
}
