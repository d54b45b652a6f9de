//! The way to the server: what an address may say, the pool, and whether the server will do.
//! The password stays in the driver's options and is never shown.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use super::super::LedgerError;
use super::tx::Patience;
use super::{faults, statements as sql};

/// The oldest release that the tests run on.
pub(super) const MINIMUM_SERVER: i64 = 15;
/// One connection each for claims, for the writer and for looking around, and one to spare: a
/// server with the usual 100 has room for two dozen processes.
const CONNECTIONS: u32 = 4;
/// How long the first connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may be waited for, while the others are busy or the server restarts.
const ACQUIRE: Duration = Duration::from_secs(5);
/// How long a connection that does nothing may take to answer. One whose way was lost without a
/// word, as when a cable is cut or a router forgets it, would be waited for a quarter of an hour.
const ANSWER: Duration = Duration::from_secs(2);
/// Connections that nobody has used for so long are asked whether they still lead anywhere.
const RESTED: Duration = Duration::from_secs(1);
/// Connections that nobody needs are given back to the server.
const IDLE: Duration = Duration::from_mins(1);

/// What holds for each connection:
/// - a commit is on the disk, and on a synchronous standby, before it is answered;
/// - nothing waits or works without an end; a process that was stopped in a transaction loses
///   it, and with it the locks that others wait for;
/// - a plan never reads a whole list because the statistics are old: rows are found by index,
///   one by one.
const SESSION: &str = "
    SET synchronous_commit = on;
    SET statement_timeout = '10min';
    SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '10s';
    SET client_connection_check_interval = '5s';
    SET timezone = 'UTC';
    SET jit = off;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
";

/// What an address may say after its `?`; the driver would write anything else, and with it a
/// mistyped `password`, into the log.
const SETTINGS: [&str; 14] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
];

/// Reads an address; what it leaves out comes from the usual variables (`PGHOST`, `PGPASSWORD`,
/// `PGSSLMODE`, …) and the password file.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, LedgerError> {
    let settings = url.split_once('?').map_or("", |(_, settings)| settings);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        let name = setting.split('=').next().unwrap_or_default();
        if !SETTINGS.contains(&name) && name != "password" {
            return Err(faults::no_address(
                "its address has a setting after the `?` that is not known here",
            ));
        }
    }
    let options: PgConnectOptions = url
        .parse()
        .map_err(|_| faults::no_address("its address cannot be read"))?;
    Ok(options
        .application_name("sendoff")
        .disable_statement_logging())
}

/// Which ledger it is, without its password.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    let host = options.get_socket().map_or_else(
        || options.get_host().to_owned(),
        |path| path.display().to_string(),
    );
    format!("'{database}' at {host}:{}", options.get_port())
}

/// The pool, with nothing in it yet.
pub(super) fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        // A connection that broke is noticed by its first statement, which is then repeated; one
        // that has fallen silent is not.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            let rested = about.idle_for > RESTED;
            Box::pin(async move {
                if rested {
                    answers(connection).await?;
                }
                Ok(true)
            })
        })
        // Before the driver asks the same, without an end, and keeps the place in the pool.
        .after_release(|connection, _| {
            Box::pin(async move {
                answers(connection).await?;
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::raw_sql(SESSION).execute(connection).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options)
}

async fn answers(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    timeout(ANSWER, connection.ping())
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into())))
}

/// Whether the server answers and will do. Asked outside of the pool, which would ask again and
/// again a server that refuses us, and then only say that it was in vain. A server that is just
/// being restarted is waited for; where there is none, nothing is.
pub(super) async fn check(options: &PgConnectOptions) -> Result<(), LedgerError> {
    let (mut patience, mut met) = (Patience::new(), false);
    loop {
        let connected = timeout(CONNECT, options.connect()).await;
        let error = match connected.map_err(|_| faults::too_slow())? {
            Ok(mut connection) => {
                met = true;
                match suits(&mut connection).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(error) => {
                met |= faults::restarts(&error);
                faults::fault(&error)
            }
        };
        if !met {
            return Err(error);
        }
        patience.wait_after(error).await?;
    }
}

async fn suits(connection: &mut PgConnection) -> Result<(), LedgerError> {
    // Older ones do not know every function that is asked for next.
    let (number, version): (i64, String) = sqlx::query_as(sql::SERVER_VERSION)
        .fetch_one(&mut *connection)
        .await?;
    if number / 10_000 < MINIMUM_SERVER {
        return Err(faults::too_old(&version));
    }
    let (encoding, standby): (String, bool) = sqlx::query_as(sql::SERVER)
        .fetch_one(&mut *connection)
        .await?;
    if standby {
        return Err(faults::standby());
    }
    if encoding != "UTF8" {
        return Err(faults::other_encoding(&encoding));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_its_password() {
        let options = options("postgres://me:hunter2@db.example:6543/ledger?sslmode=require");
        let place = place(&options.unwrap());
        assert_eq!(place, "'ledger' at db.example:6543");
    }

    #[test]
    fn a_wrong_address_is_refused_without_a_word_of_it() {
        for url in [
            "postgres://me:hunter2@host:notaport/db",
            "postgres://me@host/db?pasword=hunter2",
            "postgres://me@host/db?sslmode=hunter2",
        ] {
            let words = options(url).unwrap_err().to_string();
            assert!(!words.contains("hunter2"), "{words}");
            assert!(words.contains("PGPASSWORD"), "{words}");
        }
    }
}
