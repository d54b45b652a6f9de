//! Files and answers that nobody would write, by the hundred: whatever comes, it is read or
//! refused, in bounded time and memory, and the same every time. Asserts no wording.
//!
//! The cases follow from a seed that is printed; `SENDOFF_FUZZ_SEED` sets another one, and
//! `SENDOFF_FUZZ_CASES` multiplies the number of cases (1).

mod answers;
mod files;
mod hostile;
mod huechat;
mod provider;
mod templates;
mod tokens;

use std::fmt::Debug;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

use crate::cli::output;
use crate::support::{Ended, Project};

/// Address space of a child that is given the worst, in KiB. The program itself takes a part of it
/// without using it: stacks of its threads, the ledger's map.
const ADDRESS_SPACE: &str = "1048576";
/// The time that it is given, in seconds, on a machine that does other things too.
const TIME: &str = "50";

/// The real program within [`ADDRESS_SPACE`] and [`TIME`]. Killed for time, it ends with 124.
fn bounded(project: &Project, args: &[&str]) -> Ended {
    let plain = project.sendoff(args);
    let mut command = Command::new("sh");
    let script = format!("ulimit -v {ADDRESS_SPACE}; exec timeout -s KILL {TIME} \"$0\" \"$@\"");
    command
        .args(["-c", &script])
        .arg(plain.get_program())
        .args(plain.get_args());
    command.current_dir(plain.get_current_dir().unwrap());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let ended = output(command);
    let words = ended.out.clone() + &ended.err;
    for bad in ["panicked", "allocation", "overflow", "fault in sendoff"] {
        assert!(!words.contains(bad), "{bad}: {ended:?}");
    }
    ended
}

/// One case takes milliseconds; this long on a busy machine is a hang.
const LONGEST_CASE: Duration = Duration::from_secs(20);

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Tries so many cases. One that panics or fails is made smaller and shown; one that does not
/// end is shown as it is.
#[expect(clippy::print_stderr, reason = "the seed repeats what has failed")]
fn fuzz<S>(
    cases: u32,
    strategy: impl FnOnce() -> S + Send + 'static,
    test: impl Fn(S::Value) -> TestCaseResult + Send + 'static,
) where
    S: Strategy,
    S::Value: Debug + Clone + Send + 'static,
{
    let seed = variable("SENDOFF_FUZZ_SEED").unwrap_or(20_261_124);
    let times = variable("SENDOFF_FUZZ_CASES").unwrap_or(1);
    let cases = cases.saturating_mul(u32::try_from(times).unwrap());
    eprintln!("SENDOFF_FUZZ_SEED={seed}, {cases} cases");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let under_way = Arc::new(Mutex::new(None));
    let (beats, heard) = channel();
    let now = Arc::clone(&under_way);
    let all = std::thread::spawn(move || {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let outcome = runner.run(&strategy(), |case| {
            *now.lock().unwrap() = Some(case.clone());
            let result = test(case);
            beats.send(()).unwrap();
            result
        });
        outcome.map_err(|error| error.to_string())
    });
    loop {
        match heard.recv_timeout(LONGEST_CASE) {
            Ok(()) => {}
            // A case that panics beats no more than one that hangs; but then it goes on.
            Err(RecvTimeoutError::Timeout) => {
                panic!("does not end: {:?}", under_way.lock().unwrap())
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Err(failure) = all.join().unwrap() {
        panic!("SENDOFF_FUZZ_SEED={seed}: {failure}");
    }
}
