//! Opens what commands share: the settings and the ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{App, Exit, Stop};
use crate::domain::run::RunId;
use crate::intake::settings_file::{self, Settings};
use crate::ledger::sqlite::{Durability, SqliteLedger};
use crate::ledger::{Ledger, LedgerError, RunRecord};
use crate::settings;

/// The settings, and whether there is a file at all.
#[derive(Debug)]
pub(super) struct FoundSettings {
    pub(super) settings: Settings,
    pub(super) path: Option<PathBuf>,
}

/// Reads the settings file, if there is one.
pub(super) fn settings(app: &App) -> Result<FoundSettings, Stop> {
    let path = settings::find(app.config.as_deref(), Path::new(""))
        .map_err(|error| Stop::could_not_start(error.to_string()))?;
    let Some(path) = path else {
        return Ok(FoundSettings { settings: Settings::default(), path: None });
    };
    let (settings, problems) = settings_file::read(&path);
    match settings {
        Some(settings) => {
            app.out.problems(&problems);
            Ok(FoundSettings { settings, path: Some(path) })
        }
        None => Err(problems.into()),
    }
}

/// The ledger's file: from the environment, the settings, or the default.
fn ledger_path(app: &App, settings: &Settings) -> Result<PathBuf, Stop> {
    let url = settings::ledger(settings.ledger.as_deref(), &|name| app.variable(name))
        .map_err(|error| Stop::could_not_start(error.to_string()))?;
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path {
        Some(path) if !path.is_empty() => Ok(path.into()),
        Some(_) => Err(Stop::could_not_start("the ledger's address names no file")
            .help("write it like sqlite://sendoff.db")),
        None => Err(Stop::could_not_start(format!(
            "this version keeps its ledger in SQLite only, not in '{}'",
            url.split("://").next().unwrap_or_default()
        ))
        .help("write the ledger's address like sqlite://sendoff.db")),
    }
}

/// Opens the ledger; makes it if it is not there.
pub(super) async fn ledger(app: &App, settings: &Settings) -> Result<Arc<dyn Ledger>, Stop> {
    let path = ledger_path(app, settings)?;
    // A ledger that cannot even be opened has sent nothing.
    let opened = SqliteLedger::open(&path, Durability::Full).await.map_err(could_not_start)?;
    Ok(Arc::new(opened))
}

/// Opens a ledger that must be there already.
pub(super) async fn existing_ledger(app: &App) -> Result<Arc<dyn Ledger>, Stop> {
    let found = settings(app)?;
    let path = ledger_path(app, &found.settings)?;
    if !path.exists() {
        return Err(LedgerError::Missing(path).into());
    }
    ledger(app, &found.settings).await
}

/// Where nothing was started, nothing was sent; only a damaged store is a fault of its own.
fn could_not_start(error: LedgerError) -> Stop {
    match Stop::from(error) {
        Stop::Error { exit: Exit::Fault, text, help } => Stop::Error { exit: Exit::Fault, text, help },
        other => other,
    }
}

/// A run by the name the user typed.
pub(super) async fn run(ledger: &dyn Ledger, text: &str) -> Result<RunRecord, Stop> {
    let run = RunId::parse(text).map_err(|error| Stop::could_not_start(error.to_string()))?;
    if let Some(record) = ledger.run(&run).await? {
        return Ok(record);
    }
    let runs = ledger.runs().await?;
    let names: Vec<&str> = runs.iter().map(|(record, _)| record.run.as_str()).collect();
    let help = match crate::domain::problem::nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => "the ledger has no runs yet".to_owned(),
        None => format!("the newest runs are {}", names.iter().take(5).copied().collect::<Vec<_>>().join(", ")),
    };
    Err(Stop::could_not_start(format!("there is no run '{text}'")).help(help))
}
