//! What is said when the ledger fails: what, where, and what to do. Which exit code follows.

use super::Exit;
use crate::ledger::LedgerError;

/// What the user is told of a fault, and how the command ends.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) exit: Exit,
    pub(super) text: String,
    pub(super) help: Option<&'static str>,
}

/// How far a command has come with its ledger when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It is not open yet: nothing was begun.
    Opening,
    Work,
}

/// `ledger` is how the user knows the ledger, once it was looked for.
pub(super) fn of(error: &LedgerError, ledger: Option<&str>, at: At) -> Fault {
    let name = ledger.map_or("the ledger".to_owned(), |name| {
        format!("the ledger '{name}'")
    });
    let text = match error {
        LedgerError::Newer(schema) => {
            format!("{name} was written by a newer version of sendoff (schema {schema})")
        }
        LedgerError::Locked => {
            format!("another program holds {name} locked; it was not released in time")
        }
        LedgerError::DiskFull => format!("the disk that {name} is on is full"),
        LedgerError::Damaged(what) => format!("{name} is damaged: {what}"),
        LedgerError::Fault(what) => format!("{name} failed: {what}"),
        LedgerError::Moved { to, .. } => {
            format!("{name} was moved to {to}; it is not sent from any more")
        }
        LedgerError::Unfinished { from } => {
            format!("{name} is an unfinished copy of {from}: nothing can be sent from it yet")
        }
        LedgerError::Missing(_)
        | LedgerError::Unopenable { .. }
        | LedgerError::Refused { .. }
        | LedgerError::Unreachable { .. }
        | LedgerError::RunExists(_)
        | LedgerError::NoSuchRun(_)
        | LedgerError::BadTransition { .. } => error.to_string(),
    };
    Fault {
        exit: exit(error, at),
        text,
        help: help(error),
    }
}

fn exit(error: &LedgerError, at: At) -> Exit {
    match error {
        // A wrong address, or a server that is down.
        LedgerError::Unreachable { .. } if at == At::Opening => Exit::CouldNotStart,
        LedgerError::NoSuchRun(_)
        | LedgerError::BadTransition { .. }
        | LedgerError::RunExists(_)
        | LedgerError::Missing(_)
        | LedgerError::Moved { .. }
        | LedgerError::Unfinished { .. }
        | LedgerError::Newer(_)
        | LedgerError::Refused { .. } => Exit::CouldNotStart,
        LedgerError::Unopenable { .. }
        | LedgerError::Unreachable { .. }
        | LedgerError::Locked
        | LedgerError::DiskFull
        | LedgerError::Damaged(_)
        | LedgerError::Fault(_) => Exit::Fault,
    }
}

fn help(error: &LedgerError) -> Option<&'static str> {
    match error {
        LedgerError::NoSuchRun(_) => Some("`sendoff status` lists the runs"),
        LedgerError::Missing(_) => Some(
            "it is made by the first `sendoff run`; another one is named by `ledger` in \
             sendoff.yaml or by SENDOFF_LEDGER",
        ),
        LedgerError::Unopenable { .. } => {
            Some("mend that, or name another file by `ledger` in sendoff.yaml or by SENDOFF_LEDGER")
        }
        LedgerError::Newer(_) => Some("use that version, or name another ledger"),
        LedgerError::Moved { .. } => Some(
            "name that ledger in sendoff.yaml; or, if the move is given up, `sendoff resume RUN \
             --accept-copy` makes this one the ledger to send from again",
        ),
        LedgerError::Unfinished { .. } => Some(
            "the same `sendoff ledger copy` goes on where it was; or, if the move is given up, \
             send from the old ledger with --accept-copy and delete this one. Nothing was sent",
        ),
        LedgerError::Locked => Some(
            "close the program that has it open, or wait, and run the same command again; nothing \
             that was recorded is lost",
        ),
        LedgerError::DiskFull => Some(
            "nothing that was recorded is lost; free some space, then run the same command again, \
             or `sendoff resume` the run",
        ),
        LedgerError::Damaged(_) => Some(
            "put back the last good copy of the file; sending from it will ask for --accept-copy",
        ),
        LedgerError::Fault(_) => Some(
            "nothing that was recorded is lost; when it is mended, `sendoff resume` goes on with a \
             run",
        ),
        LedgerError::Unreachable { .. } => {
            Some("what was recorded is kept; run the same command again when it is back")
        }
        LedgerError::BadTransition { .. }
        | LedgerError::RunExists(_)
        | LedgerError::Refused { .. } => None,
    }
}
