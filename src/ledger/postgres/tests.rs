//! Every statement, on a database that was just made and on one with a long history.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row, SqlSafeStr};

use super::{HEARTBEAT, PostgresLedger, Time, statements as sql};

/// A database of this test's own.
pub(crate) struct Database {
    server: String,
    name: &'static str,
}

impl Database {
    pub(crate) async fn make(name: &'static str) -> Self {
        let server = std::env::var("SENDOFF_TEST_POSTGRES").expect(
            "SENDOFF_TEST_POSTGRES is not set: these tests need a PostgreSQL server; `tests/run` \
             starts one for them",
        );
        let database = Self { server, name };
        database.drop().await;
        database.on_server("CREATE DATABASE").await;
        database
    }

    pub(crate) async fn drop(&self) {
        self.on_server("DROP DATABASE IF EXISTS").await;
    }

    async fn on_server(&self, what: &str) {
        let server = format!("{}/postgres?sslmode=disable", self.server);
        let mut connection = PgConnection::connect(&server).await.unwrap();
        let statement = format!("{what} {}", self.name);
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection);
        done.await.unwrap();
    }

    pub(crate) async fn ledger(&self) -> PostgresLedger {
        let url = format!("{}/{}?sslmode=disable", self.server, self.name);
        PostgresLedger::open_with(&url, Time::Database, HEARTBEAT)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn every_statement_prepares_on_a_fresh_ledger() {
    let database = Database::make("sendoff_fresh").await;
    let ledger = database.ledger().await;
    let mut connection = ledger.pool.acquire().await.unwrap();
    for (name, text) in sql::ALL {
        let prepared = (&mut *connection).prepare((*text).into_sql_str()).await;
        assert!(prepared.is_ok(), "{name}: {:?}", prepared.err());
    }
    for text in super::copy::statements::all() {
        let prepared = (&mut *connection).prepare(text.into_sql_str()).await;
        assert!(prepared.is_ok(), "{text}: {:?}", prepared.err());
    }
    drop(connection);
    ledger.pool.close().await;
    database.drop().await;
}

/// Three runs of the past and one that is half done; each state is there.
const HISTORY: &str = "
    INSERT INTO runs (first_delivery, run, campaign, occurrence, gateway, state, terms, files,
        total, created_at, starts_at)
    SELECT n << 30, 'old@' || n, 'old', n::text, 'chert',
        CASE n WHEN 4 THEN 'running' ELSE 'finished' END, '{}', '[]', 5000, 0, 0
    FROM generate_series(1, 4) AS n;
    INSERT INTO messages (id, run_id, row, phone, content, addressed, sum)
    SELECT (run << 30) + n, run, n, '+1555' || n, '{}', TRUE, 0
    FROM generate_series(1, 4) AS run, generate_series(1, 5000) AS n;
    INSERT INTO deliveries (id, run_id, line, touch, state, reason, due_at, sent_at, attempt,
        begun_at, fixed)
    SELECT (run << 30) + n, run, 'line', 0, v.state, CASE v.state WHEN 'skipped' THEN 'expired' END,
        0, 0, 1, 0, '{}'
    FROM generate_series(1, 4) AS run, generate_series(1, 5000) AS n,
        LATERAL (SELECT CASE
            WHEN run = 4 AND n > 2500 THEN 'pending'
            WHEN run = 4 AND n > 2480 THEN 'sending'
            ELSE (ARRAY['sent', 'delivered', 'read', 'failed', 'uncertain', 'skipped',
                'cancelled'])[1 + n % 7] END AS state) AS v;
    INSERT INTO attempts (delivery_id, begun_at, sum, attempt, revision, outcome)
    SELECT id, 0, 0, 1, 0, 'accepted' FROM deliveries;
    ANALYZE;
";

/// The ways of a plan that go through a whole list.
fn reads_all(plan: &str) -> bool {
    ["deliveries", "messages", "attempts"]
        .iter()
        .any(|table| plan.contains(&format!("Seq Scan on {table}")))
}

#[tokio::test]
async fn no_statement_reads_a_whole_list_on_an_aged_ledger() {
    let database = Database::make("sendoff_aged").await;
    let ledger = database.ledger().await;
    let mut connection = ledger.pool.acquire().await.unwrap();
    sqlx::raw_sql(HISTORY)
        .execute(&mut *connection)
        .await
        .unwrap();
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan")
        .execute(&mut *connection)
        .await
        .unwrap();
    for (name, text) in sql::ALL {
        let prepare = format!("PREPARE s_{name} AS {text}");
        sqlx::raw_sql(AssertSqlSafe(prepare))
            .execute(&mut *connection)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let takes: i32 = sqlx::query_scalar(
            "SELECT COALESCE(cardinality(parameter_types), 0) FROM pg_prepared_statements
             WHERE name = 's_' || lower($1)",
        )
        .bind(*name)
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        let nulls = vec!["NULL"; usize::try_from(takes).unwrap()].join(", ");
        let nulls = if nulls.is_empty() {
            nulls
        } else {
            format!("({nulls})")
        };
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE s_{name}{nulls}"));
        let plan = sqlx::raw_sql(explain)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
        let plan = plan.join("\n");
        assert!(!reads_all(&plan), "{name}:\n{plan}");
    }
    drop(connection);
    ledger.pool.close().await;
    database.drop().await;
}
