//! What an answer of the server, or none, means to a person. Passes on no text that could hold a
//! value of a row, and never the address with its password.

use std::io::ErrorKind;

use super::super::LedgerError;
use super::connect::MINIMUM_SERVER;

/// A place that is filled in where it is known.
fn refused(reason: impl Into<String>) -> LedgerError {
    LedgerError::Refused {
        place: String::new(),
        reason: reason.into(),
    }
}

fn unreachable(reason: impl Into<String>) -> LedgerError {
    LedgerError::Unreachable {
        place: String::new(),
        reason: reason.into(),
    }
}

/// Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(in super::super) fn fault(error: &sqlx::Error) -> LedgerError {
    if let Some(inner) = error.as_database_error() {
        let code = inner.code().unwrap_or_default().into_owned();
        return by_code(&code, inner.message());
    }
    if let sqlx::Error::Io(io) = error {
        // A handshake that fails comes as bytes that cannot be read.
        if io.kind() == ErrorKind::InvalidData {
            return refused(no_tls(&io.to_string()));
        }
        unreachable(no_answer(io.kind()))
    } else if let sqlx::Error::Tls(why) = error {
        refused(no_tls(&why.to_string()))
    } else if matches!(error, sqlx::Error::PoolTimedOut) {
        unreachable("no connection to it came free in time")
    } else if matches!(error, sqlx::Error::PoolClosed) {
        LedgerError::Fault("it is closed already".into())
    } else if matches!(error, sqlx::Error::RowNotFound) {
        LedgerError::Damaged("a row of it is missing".into())
    } else if matches!(
        error,
        sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed | sqlx::Error::WorkerCrashed
    ) {
        unreachable("the connection broke off")
    } else {
        LedgerError::Fault("the server answered in a way that is not understood".into())
    }
}

fn by_code(code: &str, message: &str) -> LedgerError {
    match code {
        "28P01" => refused("the server does not accept the user's password"),
        "28000" if message.contains("pg_hba.conf") => refused(
            "the server lets nobody in from here as this user in this way; its pg_hba.conf says \
             who may, and whether only with TLS",
        ),
        "28000" => refused("the server does not know this user, or does not let it in"),
        "3D000" => refused("the server has no database of that name; create it first"),
        "42501" => refused(
            "this user may not create or change the ledger's tables; make it the owner of the \
             database or of a schema",
        ),
        "25006" => refused("the server is a standby that takes no changes; name the primary"),
        "53100" => LedgerError::DiskFull,
        "53300" => unreachable("the server has no connection left for another process"),
        "53200" => LedgerError::Fault("the server has run out of memory".into()),
        // Also of our own making: two groups that met crosswise, or one that waited too long.
        "40P01" | "40001" | "55P03" | "57014" => LedgerError::Locked,
        "25P03" | "57P01" | "57P02" | "57P03" | "57P05" => {
            unreachable("the server ended the connection")
        }
        "XX001" | "XX002" => LedgerError::Damaged(
            "the server reports that its files are corrupt; put a backup in their place".into(),
        ),
        "42P01" | "42703" => LedgerError::Damaged("a table or column of it is missing".into()),
        _ if code.starts_with("08") => unreachable("the connection broke off"),
        _ => LedgerError::Fault(format!("the server refused a change (SQLSTATE {code})")),
    }
}

/// Whether there is a server, which ends its connections or takes none yet.
pub(super) fn restarts(error: &sqlx::Error) -> bool {
    if let Some(inner) = error.as_database_error() {
        let code = inner.code().unwrap_or_default();
        return matches!(&*code, "57P01" | "57P02" | "57P03");
    }
    matches!(error, sqlx::Error::Io(io) if matches!(
        io.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    ))
}

fn no_answer(kind: ErrorKind) -> &'static str {
    if kind == ErrorKind::ConnectionRefused {
        "nothing listens there; is the server running, and is the port right?"
    } else if kind == ErrorKind::NotFound {
        "there is no such socket; is the server running?"
    } else if kind == ErrorKind::TimedOut {
        "no answer came in time"
    } else if kind == ErrorKind::PermissionDenied {
        "this user may not use its socket"
    } else if matches!(
        kind,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    ) {
        "no way leads there from here"
    } else if matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
    ) {
        "the connection broke off"
    } else {
        "its name is not known, or the network does not answer"
    }
}

fn no_tls(why: &str) -> &'static str {
    if why.contains("does not support TLS") {
        "the server offers no TLS, which the address asks for"
    } else if why.contains("UnknownIssuer") {
        "its certificate is signed by nobody who is trusted here; name the signer's with \
         `sslrootcert=FILE` in the address"
    } else if why.contains("NotValidForName") || why.contains("certificate not valid for name") {
        "its certificate is for another name than the address has"
    } else if why.contains("CaUsedAsEndEntity") {
        "its certificate is one that signs others, not one of a server; give the server one that \
         is signed, or made with CA:FALSE"
    } else if why.contains("Expired") {
        "its certificate has expired"
    } else {
        "a safe connection (TLS) could not be agreed on"
    }
}

/// A server of an older release than the tests run on.
pub(super) fn too_old(version: &str) -> LedgerError {
    refused(format!(
        "the server is PostgreSQL {version}, and sendoff needs {MINIMUM_SERVER} or newer"
    ))
}

pub(super) fn other_encoding(encoding: &str) -> LedgerError {
    refused(format!(
        "its database is kept as {encoding}; create one with the encoding UTF8"
    ))
}

pub(super) fn standby() -> LedgerError {
    by_code("25006", "")
}

pub(super) fn foreign_tables() -> LedgerError {
    refused(
        "there are tables of another program that are called like the ledger's; give the ledger \
         a database of its own",
    )
}

pub(super) fn other_tables() -> LedgerError {
    refused("its tables are not those of this version of sendoff")
}

pub(super) fn no_address(what: &str) -> LedgerError {
    LedgerError::Refused {
        place: "PostgreSQL".to_owned(),
        reason: format!(
            "{what}; write the address like postgres://user@host:5432/database, and the password \
             into PGPASSWORD or ~/.pgpass"
        ),
    }
}

/// No answer within the time that one may take.
pub(super) fn too_slow() -> LedgerError {
    unreachable("no answer came in time")
}

/// Fills in whose fault it is.
pub(super) fn at(here: &str, mut error: LedgerError) -> LedgerError {
    if let LedgerError::Refused { place, .. } | LedgerError::Unreachable { place, .. } = &mut error
        && place.is_empty()
    {
        here.clone_into(place);
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_what_to_do_in_words() {
        for code in [
            "28P01", "28000", "3D000", "42501", "25006", "53300", "57P01", "08006",
        ] {
            let words = at("db at host:5432", by_code(code, "no pg_hba.conf entry")).to_string();
            assert!(
                words.contains("'db") || words.contains("db at host"),
                "{words}"
            );
            assert!(!words.contains(code), "{words}");
        }
        let words = too_old("9.6.24").to_string();
        assert!(words.contains("9.6.24") && words.contains("15"), "{words}");
    }
}
