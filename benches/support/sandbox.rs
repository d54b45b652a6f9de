//! The provider, in a process of its own, and what its record says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use jiff::Timestamp;
use serde_json::Value;

pub(crate) struct SandboxProcess {
    child: Child,
    pub(crate) base_url: String,
    pub(crate) tenant: String,
    pub(crate) secret: String,
}

impl SandboxProcess {
    pub(crate) fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sendoff"))
            .args(["sandbox", "--listen", "127.0.0.1:0", "--rate", "none"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut find = |start: &str| {
            lines
                .by_ref()
                .find_map(|line| line.unwrap().trim().strip_prefix(start).map(str::to_owned))
                .unwrap()
        };
        let base_url = find("base_url: ");
        let tenant = find("tenant: ");
        let secret = find("export SENDOFF_SANDBOX_SECRET=");
        Self {
            child,
            base_url,
            tenant,
            secret,
        }
    }

    fn control(&self, what: &str) -> String {
        self.base_url
            .replace("/api/v1", &format!("/_sandbox/{what}"))
    }

    pub(crate) async fn reset(&self) {
        let url = self.control("reset");
        let answer = reqwest::Client::new().post(url).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// Part of its record: `totals`, `journal`.
    pub(crate) async fn look(&self, what: &str) -> Value {
        let answer = reqwest::get(self.control(what)).await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// When each message arrived, in milliseconds, in order.
    pub(crate) async fn arrivals(&self) -> Vec<i64> {
        let journal = self.look("journal").await;
        let requests = journal.get("requests").and_then(Value::as_array).unwrap();
        let mut arrivals: Vec<i64> = requests
            .iter()
            .filter(|one| one.get("key").is_some_and(Value::is_string))
            .map(|one| {
                let at = one.get("at").and_then(Value::as_str).unwrap();
                at.parse::<Timestamp>().unwrap().as_millisecond()
            })
            .collect();
        arrivals.sort_unstable();
        arrivals
    }
}

impl Drop for SandboxProcess {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
