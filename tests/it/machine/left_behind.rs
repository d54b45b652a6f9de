//! The tests' own house: whoever ends a test, nothing that it has started stays behind.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::support::{Provider, tied, until};

const THIS: &str = "machine::left_behind::a_test_that_is_killed_leaves_no_process_behind";
/// Names the file in which the test that is to be killed says what it has started.
const VARIABLE: &str = "SENDOFF_LEFT_BEHIND";

/// Whether a process does anything any more; what nobody has asked after yet does not.
fn is_alive(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    state.is_some_and(|state| !state.starts_with('Z'))
}

/// The part of the one that is killed: a sandbox, and no end.
async fn to_be_killed(said: &Path) {
    let provider = Provider::start().await;
    fs::write(said, provider.id()).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_is_killed_leaves_no_process_behind() {
    if let Some(said) = std::env::var_os(VARIABLE) {
        return to_be_killed(Path::new(&said)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("id");
    let this = std::env::current_exe().unwrap();
    let mut test = tied(this.to_str().unwrap())
        .args(["--exact", THIS])
        .env(VARIABLE, &said)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = until("the other test's sandbox", async || {
        let id = fs::read_to_string(&said).ok()?;
        (!id.is_empty()).then_some(id)
    })
    .await;
    assert!(is_alive(&id), "it is there");
    test.kill().unwrap();
    test.wait().unwrap();
    until("its end", async || (!is_alive(&id)).then_some(())).await;
}
