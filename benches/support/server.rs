//! A throw-away PostgreSQL server that keeps its promises: `tests/cluster` switches `fsync` off,
//! which would measure another database than the one that people run.

use std::process::Command;

use sqlx::{Connection as _, PgConnection};

const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");
const FOLDER: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/bench-postgres");

pub(crate) struct Server {
    /// Without a database.
    address: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let output = Command::new(CLUSTER)
            .args(["start", FOLDER])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let address = String::from_utf8(output.stdout).unwrap();
        Self {
            address: address.trim().to_owned(),
        }
    }

    async fn execute(&self, statement: &str) {
        let mut connection = PgConnection::connect(&self.address).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .execute(&mut connection)
            .await
            .unwrap();
    }

    pub(crate) async fn sync_to_disk(&self) {
        self.execute("ALTER SYSTEM SET fsync = on").await;
        self.execute("SELECT pg_reload_conf()").await;
    }

    /// The address of a new, empty database.
    pub(crate) async fn database(&self, name: &str) -> String {
        self.execute(&format!("CREATE DATABASE {name}")).await;
        format!("{}/{name}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Command::new(CLUSTER).args(["stop", FOLDER]).status().ok();
    }
}
