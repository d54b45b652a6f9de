//! The schema of a ledger's file: tells a ledger from other files, and brings an older one up to
//! date, by one process at a time. What the tables are is the migrations' to say.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::time::{Instant, sleep};

use super::super::LedgerError;
use super::super::insight::Schema;
use super::{BUSY_TIMEOUT, fault, primary_code, statements as sql};
use crate::domain::cause::{because, is_too_many_files};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// `sndf`, as the first migration sets it.
const APPLICATION_ID: i64 = 0x736e_6466;

/// Between two tries to open a file that others are opening too.
const AGAIN_AFTER: Duration = Duration::from_millis(5);

/// What is said of a file that cannot be changed.
pub(super) const READ_ONLY: &str = "the file or its folder is read-only: it may not be written to";

/// What a file is before anything is written to it.
enum Found {
    UpToDate,
    Empty,
    /// From an earlier version.
    Behind,
    Foreign,
    /// A ledger, but its tables have names that nobody gave them.
    Garbled,
}

/// A file that is marked as read-only is not opened at all: the files that SQLite makes beside it
/// would be read-only like it, and stay so when the mark is gone. Looks at the mark alone; to open
/// the file here would end the locks of this process on it.
pub(super) fn may_be_changed(path: &Path) -> Result<(), LedgerError> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.permissions().readonly() => {
            Err(unopenable(path, READ_ONLY))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Which schema the file has. Changes nothing in it.
pub(super) async fn of(path: &Path) -> Result<Schema, LedgerError> {
    let opening = |error: sqlx::Error| opening(path, &error);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .read_only(true);
    let mut connection = options.connect().await.map_err(opening)?;
    let found = look(&mut connection).await.map_err(opening)?;
    let applied: Option<i64> = match found {
        Found::Foreign => return Err(not_a_ledger(path)),
        Found::Garbled => return Err(garbled()),
        Found::Empty => None,
        Found::Behind | Found::UpToDate => sqlx::query_scalar(sql::MIGRATION_APPLIED)
            .fetch_one(&mut connection)
            .await
            .map_err(opening)?,
    };
    let schema = Schema {
        applied: applied.unwrap_or(0),
        newest: MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0),
    };
    connection.close().await.ok();
    if schema.applied > schema.newest {
        return Err(LedgerError::Newer(schema.applied));
    }
    Ok(schema)
}

/// Tries again while others bring the same file up to date: the change to write-ahead logging
/// does not wait for them by itself.
pub(super) async fn bring_up_to_date(writer: &SqlitePool, path: &Path) -> Result<(), LedgerError> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match prepare(writer, path).await {
            Err(LedgerError::Locked) if Instant::now() < until => sleep(AGAIN_AFTER).await,
            answer => return answer,
        }
    }
}

async fn prepare(writer: &SqlitePool, path: &Path) -> Result<(), LedgerError> {
    let unopenable = |error: sqlx::Error| opening(path, &error);
    // One view of the file: between two, another process may have made it a ledger.
    let mut view = writer.begin().await.map_err(unopenable)?;
    let found = look(&mut view).await.map_err(unopenable)?;
    view.rollback().await.map_err(unopenable)?;
    let mut connection = writer.acquire().await.map_err(unopenable)?;
    match found {
        Found::Foreign => return Err(not_a_ledger(path)),
        // The library that reads the tables would not survive such names.
        Found::Garbled => return Err(garbled()),
        Found::Empty | Found::Behind => {
            drop(connection);
            // Whoever comes second waits here, and then finds it done.
            let mut tx = writer
                .begin_with(sql::BEGIN_IMMEDIATE)
                .await
                .map_err(unopenable)?;
            match look(&mut tx).await.map_err(unopenable)? {
                Found::UpToDate | Found::Empty | Found::Behind => {}
                Found::Foreign => return Err(not_a_ledger(path)),
                Found::Garbled => return Err(garbled()),
            }
            migrate(&mut tx, path).await?;
            tx.commit().await.map_err(unopenable)?;
            connection = writer.acquire().await.map_err(unopenable)?;
        }
        // Only looks whether all is as this version has it; needs no lock.
        Found::UpToDate => migrate(&mut connection, path).await?,
    }
    write_ahead(&mut connection).await.map_err(unopenable)
}

async fn look(connection: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    let id: i64 = sqlx::query_scalar(sql::GET_APPLICATION_ID)
        .fetch_one(&mut *connection)
        .await?;
    if id == APPLICATION_ID {
        let plain: bool = sqlx::query_scalar(sql::SCHEMA_IS_PLAIN)
            .fetch_one(&mut *connection)
            .await?;
        if !plain {
            return Ok(Found::Garbled);
        }
        let applied: i64 = sqlx::query_scalar(sql::MIGRATIONS_APPLIED)
            .fetch_one(&mut *connection)
            .await?;
        let known = i64::try_from(MIGRATIONS.iter().count()).unwrap_or(i64::MAX);
        return Ok(if applied < known {
            Found::Behind
        } else {
            Found::UpToDate
        });
    }
    let tables: i64 = sqlx::query_scalar(sql::TABLES)
        .fetch_one(&mut *connection)
        .await?;
    Ok(if id == 0 && tables == 0 {
        Found::Empty
    } else {
        Found::Foreign
    })
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    MIGRATIONS
        .run_direct(None, connection, false)
        .await
        .map_err(|error| {
            if let MigrateError::VersionMissing(version) = error {
                LedgerError::Newer(version)
            } else if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) =
                error
            {
                opening(path, &error)
            } else {
                unopenable(path, "its tables are not those of this version of sendoff")
            }
        })
}

/// Readers and the writer do not wait for each other. Kept in the file; set anew it costs
/// nothing.
async fn write_ahead(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(sql::WRITE_AHEAD)
        .execute(connection)
        .await
        .map(|_| ())
}

fn unopenable(path: &Path, reason: &str) -> LedgerError {
    LedgerError::Unopenable {
        path: path.into(),
        reason: reason.into(),
    }
}

fn not_a_ledger(path: &Path) -> LedgerError {
    unopenable(path, "the file is not a ledger; name another file")
}

fn garbled() -> LedgerError {
    LedgerError::Damaged("its tables have other names; put a copy of it back".to_owned())
}

/// What a failure means while the file is being opened.
pub(super) fn opening(path: &Path, error: &sqlx::Error) -> LedgerError {
    match primary_code(error) {
        Some(8) => unopenable(path, READ_ONLY),
        Some(14) => unopenable(path, &why_not(path)),
        Some(26) => not_a_ledger(path),
        _ => {
            if let sqlx::Error::Io(io) = error {
                return unopenable(path, &because(io));
            }
            fault(error)
        }
    }
}

/// SQLite says only that it cannot; the operating system knows more.
fn why_not(path: &Path) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shown = folder.display();
    match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            format!("the folder '{shown}' does not exist")
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            format!("'{shown}' is not a folder")
        }
        Ok(found) if !found.is_dir() => format!("'{shown}' is not a folder"),
        Ok(_) if path.is_dir() => "it is a folder; name a file in it".to_owned(),
        Ok(_) | Err(_) => match File::open(folder) {
            Err(error) if is_too_many_files(&error) => because(&error),
            Ok(_) | Err(_) => READ_ONLY.to_owned(),
        },
    }
}
