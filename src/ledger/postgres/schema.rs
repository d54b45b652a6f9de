//! The schema of the ledger's database: tells a ledger from other programs' tables, and brings
//! an older one up to date, by one process at a time. What the tables are is the migrations' to
//! say.

use std::sync::LazyLock;

use sqlx::PgConnection;
use sqlx::migrate::{MigrateError, Migrator};

use super::super::LedgerError;
use super::super::insight::Schema;
use super::{faults, statements as sql};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    // Another program in this database may count its own under the usual name.
    migrations.dangerous_set_table_name("sendoff_migrations");
    migrations
});

/// Which schema the database has. Changes nothing in it.
pub(super) async fn of(connection: &mut PgConnection) -> Result<Schema, LedgerError> {
    let (ours, theirs): (bool, bool) = sqlx::query_as(sql::LOOK)
        .fetch_one(&mut *connection)
        .await?;
    if theirs && !ours {
        return Err(faults::foreign_tables());
    }
    if ours {
        is_up_to_date(&mut *connection).await?;
    }
    let applied: Vec<(i64, Vec<u8>, bool)> = if ours {
        sqlx::query_as(sql::APPLIED).fetch_all(connection).await?
    } else {
        Vec::new()
    };
    Ok(Schema {
        applied: applied.last().map_or(0, |(version, ..)| *version),
        newest: MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0),
    })
}

/// A process that may only use the tables does not have to be able to make them.
pub(super) async fn bring_up_to_date(connection: &mut PgConnection) -> Result<(), LedgerError> {
    let (ours, theirs): (bool, bool) = sqlx::query_as(sql::LOOK)
        .fetch_one(&mut *connection)
        .await?;
    if ours && is_up_to_date(connection).await? {
        return Ok(());
    }
    if theirs && !ours {
        return Err(faults::foreign_tables());
    }
    MIGRATIONS
        .run_direct(None, connection, false)
        .await
        .map_err(|error| {
            if let MigrateError::VersionMissing(version) = error {
                LedgerError::Newer(version)
            } else if let MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) =
                error
            {
                LedgerError::from(error)
            } else {
                faults::other_tables()
            }
        })
}

async fn is_up_to_date(connection: &mut PgConnection) -> Result<bool, LedgerError> {
    let applied: Vec<(i64, Vec<u8>, bool)> =
        sqlx::query_as(sql::APPLIED).fetch_all(connection).await?;
    for (version, checksum, whole) in &applied {
        let known = MIGRATIONS.iter().find(|known| known.version == *version);
        let known = known.ok_or(LedgerError::Newer(*version))?;
        if !whole || *known.checksum != checksum[..] {
            return Err(faults::other_tables());
        }
    }
    Ok(applied.len() == MIGRATIONS.iter().count())
}
