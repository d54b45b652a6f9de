//! What the tests of the real program share: a project in a folder of its own, the program run
//! or spawned in it, and a sandbox in a process of its own whose record is the oracle. Asserts
//! no promise itself.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) mod browser;
mod frozen;
mod machines;
mod mounts;
mod postgres;
mod provider;
mod stage;
mod tied;
mod watch;

pub(crate) use frozen::freeze;
pub(crate) use machines::{Cut, Machine};
pub(crate) use mounts::Mounts;
pub(crate) use postgres::{Cluster, PostgresDatabase};
pub(crate) use provider::{HueReceived, Journal, Provider, Request};
pub(crate) use stage::{CAMPAIGN, On, RUN, Stage};
pub(crate) use tied::tied;
pub(crate) use watch::Watch;

/// No test waits longer for anything; far more than any needs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// The number of the signal that nothing survives.
pub(crate) const KILL: i32 = 9;
/// The lines of a sandbox that is told none.
pub(crate) const LINES: [&str; 2] = ["+15555550100", "+15555550101"];
/// The variable that the settings read the secret from.
const SECRET_VARIABLE: &str = "SENDOFF_SANDBOX_SECRET";

/// The `n`-th invented person: 100 fictional numbers in each of ten area codes.
pub(crate) fn phone(n: usize) -> String {
    const AREAS: [u32; 10] = [202, 303, 312, 404, 415, 503, 512, 617, 713, 718];
    format!("+1{}55501{:02}", AREAS[n / 100], n % 100)
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A folder with settings, campaigns, lists and templates.
#[derive(Debug)]
pub(crate) struct Project {
    folder: TempDir,
    secret: Option<String>,
    /// What the program is started by, such as a command that limits it.
    wrapper: Vec<String>,
    outputs: AtomicU32,
}

impl Project {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            secret: None,
            wrapper: Vec::new(),
            outputs: AtomicU32::new(0),
        }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders on the way to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// From now on the program is started by another one, whose last arguments it becomes.
    pub(crate) fn start_through<W: Into<String>>(&mut self, wrapper: impl IntoIterator<Item = W>) {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
    }

    /// From now on the program is started inside `mounts`.
    pub(crate) fn start_inside(&mut self, mounts: &Mounts) {
        self.start_through(mounts.entrance(self.folder.path()));
    }

    /// The program, about to be run in this folder, with no variable of the caller's that it
    /// would look at.
    pub(crate) fn sendoff(&self, args: &[&str]) -> Command {
        self.sendoff_through(&self.wrapper, args)
    }

    fn sendoff_through(&self, wrapper: &[String], args: &[&str]) -> Command {
        const PROGRAM: &str = env!("CARGO_BIN_EXE_sendoff");
        let program = tied(PROGRAM);
        let mut command = match wrapper.split_first() {
            None => program,
            Some((first, more)) => {
                let mut command = Command::new(first);
                command.args(more).arg(program.get_program());
                command.args(program.get_args());
                command
            }
        };
        command.args(args).current_dir(self.folder.path());
        for variable in [
            "SENDOFF_LEDGER",
            "SENDOFF_LOG",
            "SENDOFF_CRASH_AT",
            "SENDOFF_CLOCK_AHEAD",
            "RUST_LOG",
            SECRET_VARIABLE,
        ] {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").env("TZ", "UTC");
        if let Some(secret) = &self.secret {
            command.env(SECRET_VARIABLE, secret);
        }
        command
    }

    /// Starts the program; it is killed when the value goes.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        self.spawn_with(args, &[])
    }

    /// The same, with further variables.
    pub(crate) fn spawn_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Process {
        let mut command = self.sendoff(args);
        command.envs(variables.iter().copied());
        self.spawn_command(command, args)
    }

    /// Starts the program on another machine, in this folder.
    pub(crate) fn spawn_on(&self, machine: &Machine, args: &[&str]) -> Process {
        self.spawn_command(self.sendoff_through(&machine.entrance(), args), args)
    }

    fn spawn_command(&self, mut command: Command, args: &[&str]) -> Process {
        let number = self.outputs.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (
            self.path(format!(".out-{number}")),
            self.path(format!(".err-{number}")),
        );
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let words = args.join(" ");
        Process {
            child,
            out,
            err,
            words,
        }
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.spawn(args).end().await
    }

    /// The run's CSV report, one row per line of the list.
    pub(crate) async fn rows(&self, run: &str) -> Vec<Row> {
        let report = self.run(&["report", run, "--format", "csv"]).await;
        assert_eq!(report.code, Some(0), "{report:?}");
        let mut reader = csv::Reader::from_reader(report.out.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    }
}

/// A line of the CSV report.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "row")]
    pub(crate) number: u64,
    pub(crate) phone: String,
    pub(crate) line: String,
    /// What arrived and was opened since counts as `sent`: a run that lasts for long looks for it.
    #[serde(deserialize_with = "before_receipts")]
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) code: Option<u32>,
    pub(crate) attempts: u32,
    pub(crate) idempotency_key: String,
    pub(crate) message_id: String,
    pub(crate) chat_id: String,
}

fn before_receipts<'de, D: serde::Deserializer<'de>>(state: D) -> Result<String, D::Error> {
    let state = String::deserialize(state)?;
    let arrived = matches!(state.as_str(), "delivered" | "read");
    Ok(if arrived { "sent".to_owned() } else { state })
}

/// How many deliveries of a run in a report were accepted, whatever became of them since.
pub(crate) fn accepted(report: &Value) -> u64 {
    let of = |state: &str| report["counts"][state].as_u64().unwrap();
    of("sent") + of("delivered") + of("read")
}

/// The program at work. Its output goes to files, so that it never waits for a reader.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    words: String,
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Process {
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`. Whether it was that which ended it, and not its own end just before.
    pub(crate) fn kill(&mut self) -> bool {
        self.child.kill().unwrap();
        self.child.wait().unwrap().signal() == Some(KILL)
    }

    /// It stands still, by `kill -STOP` or of its own will.
    pub(crate) fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.trim_start().starts_with('T')
    }

    pub(crate) fn id(&self) -> String {
        self.child.id().to_string()
    }

    /// Sends a signal by its name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.id();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "{name} to {}", self.words);
    }

    /// Waits for its end.
    pub(crate) async fn end(self) -> Ended {
        self.end_within(PATIENCE).await
    }

    /// Waits for its end longer than for others.
    pub(crate) async fn end_within(mut self, patience: Duration) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < patience,
                "'{}' does not end; it said\n{}\n{}",
                self.words,
                self.out(),
                self.err()
            );
            tokio::time::sleep(LOOK).await;
        };
        Ended {
            code: status.code(),
            signal: status.signal(),
            out: self.out(),
            err: self.err(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
