//! The exit codes: documented, tested, and the only way a command ends the process.

use std::process::ExitCode;

/// What a script can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, nothing failed.
    Done = 0,
    /// Could not start: bad input, bad credentials, no such run. Nothing was sent.
    CouldNotStart = 1,
    /// Bad command line.
    Usage = 2,
    /// Finished, but some deliveries failed or are uncertain.
    SomeFailed = 3,
    /// Stopped early and can be resumed.
    Stopped = 4,
    /// The ledger is unreadable, the disk is full, or a bug.
    Fault = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
