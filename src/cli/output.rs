//! The one place that prints: data to standard output, everything else to standard error.
//! Decides about colours and width; knows nothing of what it prints.

use std::io::{self, IsTerminal as _, Write as _};

use super::problems::{self, Paint};
use crate::domain::problem::Problems;

/// Lines are this wide where no terminal says otherwise.
const DEFAULT_WIDTH: usize = 100;

/// Whoever reads our output has gone away. Not an error of ours: the command ends as a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PipeClosed;

/// Where a command's words go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// Colours on standard output.
    pub(super) stdout_colour: bool,
    /// Colours on standard error.
    pub(super) stderr_colour: bool,
    /// Standard error is a terminal: progress may be drawn and questions asked.
    pub(super) interactive: bool,
    pub(super) width: usize,
}

impl Output {
    /// `no_color` is the variable `NO_COLOR` (no-color.org): set and not empty means no colours.
    pub(super) fn new(no_color: Option<&std::ffi::OsStr>) -> Self {
        let allowed = no_color.is_none_or(std::ffi::OsStr::is_empty);
        Self {
            stdout_colour: allowed && io::stdout().is_terminal(),
            stderr_colour: allowed && io::stderr().is_terminal(),
            interactive: io::stderr().is_terminal() && io::stdin().is_terminal(),
            width: columns().clamp(40, 120),
        }
    }

    /// Data.
    pub(super) fn data(&self, text: &str) -> Result<(), PipeClosed> {
        self.data_bytes(text.as_bytes())
    }

    #[expect(clippy::unused_self, reason = "who may print is who holds an output")]
    pub(super) fn data_bytes(&self, bytes: &[u8]) -> Result<(), PipeClosed> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(|_| PipeClosed)
    }

    /// Standard output as a writer, for data that streams.
    #[expect(clippy::unused_self, reason = "who may print is who holds an output")]
    pub(super) fn stdout(&self) -> io::Stdout {
        io::stdout()
    }

    /// Words beside the data. That nobody reads them is no reason to stop.
    #[expect(clippy::unused_self, reason = "who may print is who holds an output")]
    pub(super) fn note(&self, text: &str) {
        let mut stderr = io::stderr().lock();
        writeln!(stderr, "{text}").ok();
    }

    /// What is wrong with the input, all of it.
    pub(super) fn problems(&self, found: &Problems) {
        if !found.is_empty() {
            let paint = if self.stderr_colour {
                Paint::Colors
            } else {
                Paint::Plain
            };
            let mut stderr = io::stderr().lock();
            stderr
                .write_all(problems::render(found, paint, self.width).as_bytes())
                .ok();
        }
    }

    /// An error that ends the command, and what to do about it.
    pub(super) fn error(&self, text: &str, help: Option<&str>) {
        let (red, cyan, off) = if self.stderr_colour {
            ("\x1b[31m", "\x1b[36m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        self.note(&format!("{red}error:{off} {text}"));
        if let Some(help) = help {
            self.note(&format!("  {cyan}help:{off} {help}"));
        }
    }

    #[expect(clippy::unused_self, reason = "who may print is who holds an output")]
    /// Asks a yes-or-no question on the terminal; anything but a clear yes is a no.
    pub(super) fn confirm(&self, question: &str) -> bool {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question} [y/N] ")
            .and_then(|()| stderr.flush())
            .ok();
        drop(stderr);
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).is_ok()
            && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
    }
}

/// Columns of the terminal, if there is one.
fn columns() -> usize {
    terminal_size::terminal_size_of(io::stderr()).map_or(DEFAULT_WIDTH, |(width, _)| width.0.into())
}
