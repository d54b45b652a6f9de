//! What a failure of the driver means. Only what both databases have in common; the codes of
//! each are its own.

use sqlx::postgres::PgDatabaseError;

use super::{LedgerError, postgres, sqlite};

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        let of_server = error
            .as_database_error()
            .is_some_and(|inner| inner.try_downcast_ref::<PgDatabaseError>().is_some());
        if of_server || lost(&error) {
            postgres::fault(&error)
        } else {
            sqlite::fault(&error)
        }
    }
}

/// A connection that broke. A file has none.
fn lost(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
    )
}
