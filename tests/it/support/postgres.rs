//! Databases of their own for tests, on the PostgreSQL server that `tests/run` starts, or on one
//! that a test starts for itself. Fails where there is none: a promise that was not checked is not
//! kept. Knows nothing of what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::runtime;
use tokio::sync::OnceCell;

const VARIABLE: &str = "SENDOFF_TEST_POSTGRES";

fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{VARIABLE} is not set: these tests need a PostgreSQL server. `tests/run` starts one \
             for them; `tests/cluster start target/postgres` starts one by hand and says its \
             address"
        )
    })
}

/// Databases that this process has made.
static MADE: AtomicU32 = AtomicU32::new(0);

/// A database of its own, made when it is first opened and dropped with the test.
#[derive(Debug)]
pub(crate) struct PostgresDatabase {
    server: String,
    name: String,
    made: OnceCell<()>,
}

impl Default for PostgresDatabase {
    fn default() -> Self {
        Self::on(server())
    }
}

impl PostgresDatabase {
    /// On the server at an address that names no database.
    pub(crate) fn on(server: String) -> Self {
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        Self {
            server,
            name: format!("sendoff_{}_{n}", std::process::id()),
            made: OnceCell::new(),
        }
    }

    /// Its address, for the user who owns the server.
    pub(crate) async fn url(&self) -> String {
        self.made
            .get_or_init(|| async {
                self.on_server(format!("CREATE DATABASE {}", self.name))
                    .await;
            })
            .await;
        self.address("postgres@")
    }

    /// Its address for another user, such as `me:password@`, whether or not it is there.
    pub(crate) fn address(&self, user: &str) -> String {
        let host = self.server.split_once('@').expect("a user").1;
        format!("postgres://{user}{host}/{}?sslmode=disable", self.name)
    }

    /// A plain connection, such as another program has.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url().await).await.unwrap()
    }

    /// From now on, names are looked for in a schema of the test's before they are in the server's
    /// own: so a test can give the server another time.
    pub(crate) async fn find_before_its_own(&self, schema: &str) {
        let path = format!("SET search_path = public, {schema}, pg_catalog");
        self.run(format!("ALTER DATABASE {} {path}", self.name))
            .await;
    }

    /// One statement of an administrator's, in the database.
    pub(crate) async fn run(&self, statement: impl Into<String>) {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(statement.into()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    async fn on_server(&self, statement: String) {
        let server = format!("{}/postgres?sslmode=disable", self.server);
        let mut connection = PgConnection::connect(&server)
            .await
            .unwrap_or_else(|error| panic!("the server that {VARIABLE} names: {error}"));
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        if !self.made.initialized() {
            return;
        }
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        thread::scope(|scope| {
            let dropped = scope.spawn(|| {
                let runtime = runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(self.on_server(statement));
            });
            // A server that the test has stopped takes its databases with it.
            dropped.join().ok();
        });
    }
}

/// A server of a test's own, which may crash; gone with it.
#[derive(Debug)]
pub(crate) struct Cluster {
    folder: PathBuf,
    pub(crate) server: String,
}

impl Cluster {
    pub(crate) fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("postgres-{name}"));
        let server = cluster("start", &folder);
        Self { folder, server }
    }

    /// Kills every process of the server, and starts it again on what is on the disk.
    pub(crate) fn crash(&self) {
        cluster("crash", &self.folder);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        cluster("stop", &self.folder);
    }
}

fn cluster(what: &str, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
    let output = Command::new(script).arg(what).arg(folder).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tests/cluster {what}: {words}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
