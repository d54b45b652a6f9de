//! The log for operators: to standard error, quiet unless asked. Sets up how it looks and what is
//! let through; what is logged is decided where it happens, and never has secrets, bodies or
//! whole phone numbers in it.

use std::ffi::OsStr;
use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is let through, in the words of `tracing`: `debug`, or `sendoff=info,sqlx=warn`.
pub const FILTER_VARIABLE: &str = "SENDOFF_LOG";

/// How much is logged where [`FILTER_VARIABLE`] is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verbosity {
    /// What a person should look at.
    #[default]
    Warnings,
    /// `-v`: what happens, in large steps.
    Steps,
    /// `-vv` and more: every step of ours.
    Everything,
}

impl Verbosity {
    /// For the number of `-v` on the command line.
    pub fn from_count(count: u8) -> Self {
        match count {
            0 => Self::Warnings,
            1 => Self::Steps,
            2.. => Self::Everything,
        }
    }

    /// Libraries are let through only by name, in [`FILTER_VARIABLE`].
    fn filter(self) -> &'static str {
        match self {
            Self::Warnings => "off,sendoff=warn",
            Self::Steps => "off,sendoff=info",
            Self::Everything => "off,sendoff=debug",
        }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Whether log lines may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    Ansi,
}

impl Colour {
    /// Colours only on a terminal, and only where `NO_COLOR` is unset or empty (no-color.org).
    pub fn of_stderr(no_color: Option<&OsStr>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        if refused || !std::io::stderr().is_terminal() {
            Self::Plain
        } else {
            Self::Ansi
        }
    }
}

/// What the log is to be.
#[derive(Debug, Clone)]
pub struct Telemetry {
    pub verbosity: Verbosity,
    /// The value of [`FILTER_VARIABLE`]; wins over `verbosity`. Empty counts as not set.
    pub filter: Option<String>,
    pub format: LogFormat,
    pub colour: Colour,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error(
        "{FILTER_VARIABLE}='{0}' is no log filter; write a level (error, warn, info, debug, trace) or sendoff=debug"
    )]
    BadFilter(String),
    #[error("the log is set up already")]
    Twice,
}

/// Sends the log of this process to standard error. Called once, by `main`.
///
/// # Errors
/// When the filter cannot be read, or the log has been set up before.
pub fn init(telemetry: &Telemetry) -> Result<(), TelemetryError> {
    subscriber(telemetry, std::io::stderr)?
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

fn subscriber<W>(
    telemetry: &Telemetry,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let asked = telemetry.filter.as_deref().map(str::trim);
    let filter = match asked.filter(|text| !text.is_empty()) {
        Some(text) => {
            EnvFilter::try_new(text).map_err(|_| TelemetryError::BadFilter(text.to_owned()))?
        }
        None => EnvFilter::new(telemetry.verbosity.filter()),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(telemetry.colour == Colour::Ansi)
        .with_target(false);
    Ok(match telemetry.format {
        LogFormat::Text => Box::new(lines.finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What comes out when one line of each level is logged, by us and by a library.
    fn logged(telemetry: &Telemetry) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(telemetry, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "sendoff::engine", "ours-debug");
            tracing::info!(target: "sendoff::engine", run = "a@once", "ours-info");
            tracing::warn!(target: "sendoff::engine", "ours-warn");
            tracing::error!(target: "sqlx::query", "theirs-error");
        });
        let bytes = kept.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn plain(verbosity: Verbosity) -> Telemetry {
        Telemetry {
            verbosity,
            filter: None,
            format: LogFormat::Text,
            colour: Colour::Plain,
        }
    }

    #[test]
    fn each_v_lets_more_of_ours_through_and_nothing_of_the_libraries() {
        let levels = |count| {
            let text = logged(&plain(Verbosity::from_count(count)));
            ["ours-warn", "ours-info", "ours-debug", "theirs-error"]
                .map(|words| text.contains(words))
        };
        assert_eq!(levels(0), [true, false, false, false]);
        assert_eq!(levels(1), [true, true, false, false]);
        assert_eq!(levels(9), [true, true, true, false]);
    }

    #[test]
    fn the_filter_variable_wins_and_a_bad_one_is_named() {
        let with = |filter: &str| Telemetry {
            filter: Some(filter.to_owned()),
            ..plain(Verbosity::Everything)
        };
        let text = logged(&with("sqlx=error"));
        assert!(
            text.contains("theirs-error") && !text.contains("ours"),
            "{text}"
        );
        assert!(logged(&with(" ")).contains("ours-debug"));
        let error = subscriber(&with("sendoff=loud"), std::io::sink)
            .err()
            .unwrap();
        assert!(
            error.to_string().contains("SENDOFF_LOG='sendoff=loud'"),
            "{error}"
        );
    }

    #[test]
    fn json_is_an_object_a_line() {
        let text = logged(&Telemetry {
            format: LogFormat::Json,
            ..plain(Verbosity::Steps)
        });
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "ours-info");
        assert_eq!(lines[0]["run"], "a@once");
    }

    #[test]
    fn colours_appear_only_where_asked_for() {
        let ansi = Telemetry {
            colour: Colour::Ansi,
            ..plain(Verbosity::Warnings)
        };
        assert!(logged(&ansi).contains('\u{1b}'));
        assert!(!logged(&plain(Verbosity::Warnings)).contains('\u{1b}'));
        assert_eq!(Colour::of_stderr(Some(OsStr::new("1"))), Colour::Plain);
    }
}
