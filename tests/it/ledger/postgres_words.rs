//! What a person reads when a ledger on a server cannot be used: what, why and what to do, never
//! a password and none of the library's words.

use sendoff::ledger::postgres::PostgresLedger;
use sendoff::ledger::{Ledger, LedgerError};
use sqlx::{AssertSqlSafe, Connection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::bench::{LINE_A, freeze, new_run, rows, run_id};
use super::cluster::PostgresDatabase;

const JARGON: [&str; 6] = ["sqlx", "SQLSTATE", "pool", "rustls", "hunter", "migration"];

async fn refused(url: &str) -> LedgerError {
    let opened = PostgresLedger::open(url).await;
    let error = opened.expect_err("it cannot be opened");
    let words = error.to_string();
    for jargon in JARGON {
        assert!(!words.contains(jargon), "{words}");
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
    error
}

async fn is_refused(url: &str, because: &str) {
    let error = refused(url).await;
    assert!(matches!(error, LedgerError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains(because), "{error}");
}

#[tokio::test]
async fn a_wrong_address_is_refused() {
    for url in [
        "postgres://me:hunter2@localhost:port/ledger",
        "postgres://me@localhost/ledger?pasword=hunter2",
    ] {
        is_refused(url, "write the address like").await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    // Bound and let go: nobody listens.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("postgres://me:hunter2@127.0.0.1:{port}/ledger");
    let error = refused(&url).await;
    assert!(
        matches!(error, LedgerError::Unreachable { .. }),
        "{error:?}"
    );
    let words = error.to_string();
    assert!(words.contains("nothing listens there"), "{words}");
    assert!(words.contains(&format!("'ledger' at 127.0.0.1:{port}")));
}

#[tokio::test]
async fn a_user_who_may_not_come_in_is_told_why() {
    let database = PostgresDatabase::default();
    let missing = database.address("postgres@");
    is_refused(&missing, "no database of that name").await;
    database
        .run(
            "DO $$ BEGIN CREATE ROLE sealed LOGIN PASSWORD 'hunter1';
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
        )
        .await;
    let wrong = database.address("sealed:hunter2@");
    is_refused(&wrong, "does not accept the user's password").await;
    is_refused(&database.address("barred@"), "pg_hba.conf").await;
    is_refused(&database.address("nobody@"), "does not know this user").await;
    // The right password lets it in, but the tables are not its to make.
    let right = database.address("sealed:hunter1@");
    is_refused(&right, "may not create or change").await;
}

#[tokio::test]
async fn who_may_only_use_the_tables_can_work() {
    let database = PostgresDatabase::default();
    drop(database.ledger().await);
    database
        .run(
            "DO $$ BEGIN CREATE ROLE plain LOGIN;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO plain;
             GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO plain",
        )
        .await;
    let ledger = PostgresLedger::open(&database.address("plain@"))
        .await
        .unwrap();
    freeze(&ledger, &new_run("spring@once"), rows(1..=2, LINE_A)).await;
    let found = ledger.run(&run_id("spring@once")).await.unwrap();
    assert_eq!(found.unwrap().total, 2);
    ledger.close().await;
    database.run("DROP OWNED BY plain").await;
}

#[tokio::test]
async fn tables_that_are_not_ours_are_left_alone() {
    let database = PostgresDatabase::default();
    database.run("CREATE TABLE messages (text TEXT)").await;
    is_refused(&database.url().await, "tables of another program").await;
    let left: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_schema_of_another_version_is_not_touched() {
    let database = PostgresDatabase::default();
    drop(database.ledger().await);
    database
        .run(
            "INSERT INTO sendoff_migrations (version, description, success, checksum,
                 execution_time) VALUES (9001, 'later', TRUE, '', 0)",
        )
        .await;
    let error = refused(&database.url().await).await;
    assert!(matches!(error, LedgerError::Newer(9001)), "{error:?}");
    assert!(error.to_string().contains("newer version of sendoff"));
    database
        .run("DELETE FROM sendoff_migrations WHERE version = 9001")
        .await;
    database
        .run("UPDATE sendoff_migrations SET checksum = ''")
        .await;
    is_refused(&database.url().await, "not those of this version").await;
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let database = PostgresDatabase::default();
    database.url().await;
    let name = database.address("").rsplit_once('/').unwrap().1.to_owned();
    let name = name.split('?').next().unwrap().replace("sendoff", "latin");
    database
        .run(format!(
            "CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1'"
        ))
        .await;
    let url = database.address("postgres@").replace("/sendoff", "/latin");
    is_refused(&url, "LATIN1").await;
    database.run(format!("DROP DATABASE {name}")).await;
}

#[tokio::test]
async fn a_safe_connection_is_kept_to_or_refused() {
    let database = PostgresDatabase::default();
    let url = database.url().await;
    let with = |mode: &str| url.replace("sslmode=disable", mode);
    let safe = PostgresLedger::open(&with("sslmode=require"))
        .await
        .unwrap();
    assert!(safe.runs().await.unwrap().is_empty());
    let mut connection = sqlx::PgConnection::connect(&with("sslmode=require"))
        .await
        .unwrap();
    let encrypted: bool = sqlx::query_scalar(AssertSqlSafe(
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()".to_owned(),
    ))
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert!(encrypted);
    is_refused(&with("sslmode=verify-full"), "sslrootcert=FILE").await;
}

#[tokio::test]
async fn a_certificate_that_is_named_is_trusted() {
    let database = PostgresDatabase::default();
    let text: String = sqlx::query_scalar("SELECT pg_read_file('server.crt')")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signer.crt");
    std::fs::write(&file, text).unwrap();
    let trusting = format!("sslmode=verify-full&sslrootcert={}", file.display());
    let url = database.url().await.replace("sslmode=disable", &trusting);
    let ledger = PostgresLedger::open(&url).await.unwrap();
    assert!(ledger.runs().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to_in_the_open() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        // It asks for TLS in eight bytes; a letter says no.
        socket.read_exact(&mut [0; 8]).await.unwrap();
        socket.write_all(b"N").await.unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.ok();
        rest
    });
    let url = format!("postgres://me:hunter2@127.0.0.1:{port}/ledger?sslmode=require");
    is_refused(&url, "offers no TLS").await;
    assert!(answering.await.unwrap().is_empty(), "nothing more was said");
}
