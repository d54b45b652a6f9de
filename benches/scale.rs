//! Memory of a whole run by the length of its list, and how soon a run that is nearly done goes on:
//! `cargo bench --bench scale [-- PEOPLE...]`.
//!
//! The program and the sandbox are processes of their own. The first call sends all but a thousand
//! messages; then the run is resumed, and the clock stops when the sandbox has the next message.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints what it measured, reads the clock, and stops when it cannot measure"
)]

mod support;

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use support::sandbox::SandboxProcess;
use support::{peak_memory_mb_of, project};

/// Left for the second call.
const LEFT: u32 = 1_000;
/// Between two looks at a process or at the sandbox.
const LOOK: Duration = Duration::from_millis(2);

fn main() {
    let asked: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let sizes = if asked.is_empty() {
        vec![10_000, 100_000, 1_000_000]
    } else {
        asked
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    for people in sizes {
        runtime.block_on(measure(people));
    }
}

async fn measure(people: u32) {
    let sandbox = SandboxProcess::start();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let folder = folder.path();
    project::write(folder, people, "pace: { concurrency: 64 }");
    project::settings(folder, &sandbox, "");
    let most = (people - LEFT).to_string();
    let begun = Instant::now();
    let first = ["run", "campaign.yaml", "--yes", "--limit", &most];
    let mut sending = project::sendoff(folder, &sandbox, &first).spawn().unwrap();
    let memory = peak_until_it_ends(&mut sending);
    let took = begun.elapsed();
    let database = size_mb(&folder.join("sendoff.db"));
    sandbox.reset().await;
    let begun = Instant::now();
    let rest = ["resume", "bench@once", "--yes"];
    let mut resumed = project::sendoff(folder, &sandbox, &rest).spawn().unwrap();
    while sandbox.look("totals").await.get("message_posts") == Some(&0.into()) {
        tokio::time::sleep(LOOK).await;
    }
    let again = begun.elapsed();
    let resumed_memory = peak_until_it_ends(&mut resumed);
    println!(
        "{people} people: frozen and sent in {:.1} s, peak {memory:.0} MB, ledger {database:.0} MB; \
         with {LEFT} left the next message was out {} ms after `resume`, peak {resumed_memory:.0} MB",
        took.as_secs_f64(),
        again.as_millis(),
    );
}

/// The largest size that a process had, as last seen.
fn peak_until_it_ends(process: &mut Child) -> f64 {
    let id = process.id().to_string();
    let mut peak = 0.0;
    while process.try_wait().unwrap().is_none() {
        peak = peak_memory_mb_of(&id).unwrap_or(peak);
        std::thread::sleep(LOOK);
    }
    peak
}

fn size_mb(file: &Path) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "shown in whole megabytes")]
    let bytes = std::fs::metadata(file).unwrap().len() as f64;
    bytes / 1e6
}
