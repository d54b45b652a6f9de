//! The command line: one file per command, and the only place that prints.

mod caps;
mod check;
mod completions;
mod drive;
mod exit;
mod explain;
mod faults;
mod freeze;
mod init;
mod interrupts;
mod ledger;
mod open;
mod output;
mod phones;
mod place;
mod preflight;
mod preview;
pub mod problems;
mod progress;
mod rehearsal;
mod report;
mod resolve;
mod resume;
mod retry;
mod run;
mod sandbox;
mod schedule;
pub mod schedule_words;
mod schema;
mod serve;
mod states;
mod status;
mod suppress;
mod sync;
mod track;
mod verify;
mod when;
mod whom;
mod work;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use self::exit::Exit;
use self::output::{Output, PipeClosed};
use crate::domain::cause::because;
use crate::domain::problem::{Problem, Problems};
use crate::engine::clock::{Clock, SystemClock};
use crate::ledger::{Ledger, LedgerError};

/// Sends a campaign to each person once, resumes after any crash, and can prove it afterwards.
#[derive(Debug, Parser)]
#[command(
    name = "sendoff",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Examples:
  sendoff run campaigns/review-request.yaml --sandbox     rehearse, no account needed
  sendoff check campaigns/*.yaml                          find every problem, send nothing
  sendoff run campaigns/review-request.yaml               the real thing; asks first
  sendoff status                                          all runs and how far they are

Exit codes:
  0  done, nothing failed        3  finished, some failed or are uncertain
  1  could not start             4  stopped early, can be resumed
  2  bad command line            5  internal fault")]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command knows.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The settings file [default: sendoff.yaml in the working directory, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log what happens (-v), or every step (-vv), to standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How log lines are written
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A working project to begin with: settings, campaign, list, template
    Init(init::InitArgs),
    /// Find every problem in campaigns, their templates and lists; sends nothing
    Check(check::CheckArgs),
    /// One recipient's message as they will see it, and the exact request
    Preview(preview::PreviewArgs),
    /// Start a campaign's run, or continue it; safe to interrupt
    Run(run::RunArgs),
    /// Continue a run that was paused, halted or interrupted
    Resume(resume::ResumeArgs),
    /// One more worker on the ledger: joins every run that is running, on any machine
    Work(work::WorkArgs),
    /// Hold a run: nothing more is sent until `resume`
    Pause(states::PauseArgs),
    /// End a run for good: what is not sent is never sent
    Cancel(states::CancelArgs),
    /// All runs, or one: counts, what waits and why, failures by code
    Status(status::StatusArgs),
    /// What became of a run: a summary, JSON, or a CSV with one line per delivery
    Report(report::ReportArgs),
    /// One person's story: did it go out, what happened when, what to do now
    Explain(explain::ExplainArgs),
    /// Put failed deliveries back; `resume` sends them
    Retry(retry::RetryArgs),
    /// Ask the provider what people answered, and what was delivered and read; sends nothing
    Sync(sync::SyncArgs),
    /// Receive what providers tell by themselves: receipts, and what people answer; sends nothing
    Serve(serve::ServeArgs),
    /// Settle an uncertain delivery by a person's word
    Resolve(resolve::ResolveArgs),
    /// People who are not to be written to, on any gateway and in any run
    Suppress(suppress::SuppressArgs),
    /// Prove a run: every row, attempt and event against its checksum and its history
    Verify(verify::VerifyArgs),
    /// The next occurrences of campaigns, in words
    Schedule(schedule::ScheduleArgs),
    /// Move the ledger to another store, bring it up to date, look at it
    Ledger(ledger::LedgerArgs),
    /// The provider as a local server, for trying things out
    Sandbox(sandbox::SandboxArgs),
    /// The JSON Schema of a file format, for editors
    Schema(schema::SchemaArgs),
    /// Completions for your shell
    Completions(completions::CompletionsArgs),
}

/// Why a command ended early.
#[derive(Debug)]
enum Stop {
    /// The user's input, every problem of it. Nothing was sent.
    Problems(Problems),
    /// One thing that is wrong, and what to do about it.
    Error {
        exit: Exit,
        text: String,
        help: Option<String>,
    },
    /// The ledger failed, or has no such thing.
    Ledger(LedgerError),
    /// Whoever reads our output has gone away.
    PipeClosed,
}

impl Stop {
    fn could_not_start(text: impl Into<String>) -> Self {
        Self::Error {
            exit: Exit::CouldNotStart,
            text: text.into(),
            help: None,
        }
    }

    fn help(self, help: impl Into<String>) -> Self {
        match self {
            Self::Error { exit, text, .. } => Self::Error {
                exit,
                text,
                help: Some(help.into()),
            },
            Self::Problems(_) | Self::Ledger(_) | Self::PipeClosed => self,
        }
    }
}

impl From<PipeClosed> for Stop {
    fn from(_: PipeClosed) -> Self {
        Self::PipeClosed
    }
}

impl From<Problems> for Stop {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Problems(problem.into())
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

/// What a command works with.
#[derive(Debug)]
struct App {
    out: Output,
    config: Option<PathBuf>,
    clock: Arc<dyn Clock>,
    /// The ledger's file as the user named it, once it was looked for.
    ledger_name: OnceLock<String>,
    /// Closed when the command has ended.
    ledger: OnceLock<Arc<dyn Ledger>>,
}

impl App {
    /// One environment variable; the only place that reads them.
    #[expect(
        clippy::unused_self,
        reason = "the environment belongs to the edge, like the rest"
    )]
    fn variable(&self, name: &str) -> Option<OsString> {
        std::env::var_os(name)
    }
}

/// Files that the program has open when it is at work: the ledger and its locks, the list, a few
/// connections, and those of the runtime, which takes none of them for granted and ends in a panic.
#[cfg(unix)]
const FILES: usize = 32;

/// Whether so many files may be opened.
#[cfg(unix)]
fn room_for_files() -> std::io::Result<()> {
    let files: std::io::Result<Vec<_>> = (0..FILES)
        .map(|_| std::fs::File::open("/dev/null"))
        .collect();
    files.map(drop)
}

#[cfg(not(unix))]
fn room_for_files() -> std::io::Result<()> {
    Ok(())
}

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> Exit {
    let out = Output::new(std::env::var_os("NO_COLOR").as_deref());
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            error.print().ok();
            return exit;
        }
    };
    if let Err(error) = crate::telemetry::init(&telemetry(&cli.global)) {
        out.error(&error.to_string(), None);
        return Exit::Usage;
    }
    let app = App {
        out,
        config: cli.global.config,
        clock: Arc::new(SystemClock),
        ledger_name: OnceLock::new(),
        ledger: OnceLock::new(),
    };
    let runtime = match room_for_files().and_then(|()| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
    }) {
        Ok(runtime) => runtime,
        Err(error) => {
            out.error(
                &format!("the program cannot start: {}", because(&error)),
                Some("nothing was sent"),
            );
            return Exit::Fault;
        }
    };
    let ended = runtime.block_on(async {
        let ended = command(&app, cli.command).await;
        if let Some(ledger) = app.ledger.get() {
            ledger.close().await;
        }
        ended
    });
    // A list that is read from standard input may still hold a thread in a read.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit,
        Err(Stop::PipeClosed) => Exit::Done,
        Err(Stop::Problems(problems)) => {
            out.problems(&problems);
            Exit::CouldNotStart
        }
        Err(Stop::Error { exit, text, help }) => {
            out.error(&text, help.as_deref());
            exit
        }
        Err(Stop::Ledger(error)) => {
            let at = match app.ledger.get() {
                Some(_) => faults::At::Work,
                None => faults::At::Opening,
            };
            let fault = faults::of(&error, app.ledger_name.get().map(String::as_str), at);
            out.error(&fault.text, fault.help);
            fault.exit
        }
    }
}

async fn command(app: &App, command: Command) -> Result<Exit, Stop> {
    match command {
        Command::Init(args) => init::init(app, &args),
        Command::Check(args) => check::check(app, args).await,
        Command::Preview(args) => preview::preview(app, args).await,
        Command::Run(args) => run::run(app, args).await,
        Command::Resume(args) => resume::resume(app, args).await,
        Command::Work(args) => work::work(app, args).await,
        Command::Pause(args) => states::pause(app, args).await,
        Command::Cancel(args) => states::cancel(app, args).await,
        Command::Status(args) => status::status(app, args).await,
        Command::Report(args) => report::report(app, args).await,
        Command::Explain(args) => explain::explain(app, args).await,
        Command::Retry(args) => retry::retry(app, args).await,
        Command::Sync(args) => sync::sync(app, args).await,
        Command::Serve(args) => serve::serve(app, args).await,
        Command::Resolve(args) => resolve::resolve(app, args).await,
        Command::Suppress(args) => suppress::suppress(app, args).await,
        Command::Verify(args) => verify::verify(app, args).await,
        Command::Schedule(args) => schedule::schedule(app, args).await,
        Command::Ledger(args) => ledger::ledger(app, args).await,
        Command::Sandbox(args) => sandbox::serve(app, args).await,
        Command::Schema(args) => schema::print(app, &args),
        Command::Completions(args) => completions::print(app, &args),
    }
}

fn telemetry(global: &Global) -> crate::telemetry::Telemetry {
    use crate::telemetry::{Colour, FILTER_VARIABLE, LogFormat as Lines, Telemetry, Verbosity};
    Telemetry {
        verbosity: Verbosity::from_count(global.verbose),
        filter: std::env::var(FILTER_VARIABLE).ok(),
        format: match global.log_format {
            LogFormat::Text => Lines::Text,
            LogFormat::Json => Lines::Json,
        },
        colour: Colour::of_stderr(std::env::var_os("NO_COLOR").as_deref()),
    }
}

/// The command line's own description, for completions and for the test that checks it.
pub fn definition() -> clap::Command {
    Cli::command()
}
