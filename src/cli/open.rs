//! Opens what commands share: the settings and the ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{App, Stop};
use crate::domain::run::RunId;
use crate::intake::settings_file::{self, Settings};
use crate::ledger::copy::Moving;
use crate::ledger::postgres::PostgresLedger;
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
        return Ok(FoundSettings {
            settings: Settings::default(),
            path: None,
        });
    };
    let (settings, problems) = settings_file::read(&path);
    match settings {
        Some(settings) => {
            app.out.problems(&problems);
            Ok(FoundSettings {
                settings,
                path: Some(path),
            })
        }
        None => Err(problems.into()),
    }
}

/// Where a ledger is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    File(PathBuf),
    /// A server's address, perhaps with a password: not to be shown.
    Server(String),
}

impl Place {
    /// Whether there is a ledger to be read. On a server only opening it tells.
    pub(super) fn is_there(&self) -> bool {
        match self {
            Self::File(path) => path.exists(),
            Self::Server(_) => true,
        }
    }
}

/// The ledger's place: from the environment, the settings, or the default.
fn place(app: &App, settings: &Settings) -> Result<Place, Stop> {
    let url = settings::ledger(settings.ledger.as_deref(), &|name| app.variable(name))
        .map_err(|error| Stop::could_not_start(error.to_string()))?;
    let place = address(&url)?;
    if let Place::File(path) = &place {
        app.ledger_name.get_or_init(|| path.display().to_string());
    }
    Ok(place)
}

/// The same for an address that is given on the command line, or the settings' own.
pub(super) fn place_of(app: &App, given: Option<&str>) -> Result<Place, Stop> {
    match given {
        Some(url) => address(url),
        None => place(app, &settings(app)?.settings),
    }
}

/// Reads a ledger's address.
fn address(url: &str) -> Result<Place, Stop> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Place::Server(url.to_owned()));
    }
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"));
    match path {
        Some(path) if !path.is_empty() => Ok(Place::File(path.into())),
        Some(_) => Err(Stop::could_not_start("the ledger's address names no file")
            .help("write it like sqlite://sendoff.db")),
        None => Err(Stop::could_not_start(
            "the ledger's address begins neither with sqlite:// nor with postgres://",
        )
        .help("write it like sqlite://sendoff.db or postgres://user@host/database")),
    }
}

/// Opens the ledger at a place, whatever it is good for; makes it if it is not there.
pub(super) async fn moving(place: &Place) -> Result<Arc<dyn Moving>, LedgerError> {
    Ok(match place {
        Place::File(path) => Arc::new(SqliteLedger::open(path, Durability::Full).await?),
        Place::Server(url) => Arc::new(PostgresLedger::open(url).await?),
    })
}

/// Opens the ledger; makes it if it is not there. A command opens one, and once.
pub(super) async fn ledger(app: &App, settings: &Settings) -> Result<Arc<dyn Ledger>, Stop> {
    if let Some(open) = app.ledger.get() {
        return Ok(open.clone());
    }
    let opened = moving(&place(app, settings)?).await?;
    // What is in it so far would only mislead.
    if let Some(from) = opened.standing().await?.from
        && from.finished_at.is_none()
    {
        opened.close().await;
        return Err(LedgerError::Unfinished { from: from.store }.into());
    }
    let opened: Arc<dyn Ledger> = opened;
    Ok(app.ledger.get_or_init(|| opened).clone())
}

/// Opens the ledger if there is one; makes no file.
pub(super) async fn ledger_if_there(
    app: &App,
    settings: &Settings,
) -> Result<Option<Arc<dyn Ledger>>, Stop> {
    if place(app, settings)?.is_there() {
        ledger(app, settings).await.map(Some)
    } else {
        Ok(None)
    }
}

/// Opens a ledger that must be there already.
pub(super) async fn existing_ledger(app: &App) -> Result<Arc<dyn Ledger>, Stop> {
    let found = settings(app)?;
    if let Place::File(path) = place(app, &found.settings)?
        && !path.exists()
    {
        return Err(LedgerError::Missing(path).into());
    }
    ledger(app, &found.settings).await
}

/// Notices which processes are gone, so that what they had in hand counts as nobody's. Whoever
/// holds the ledger meanwhile does the same.
pub(super) async fn look_around(app: &App, ledger: &dyn Ledger) -> Result<(), Stop> {
    match ledger.bury(app.clock.now()).await {
        // Of one that is closed for a move they are all gone.
        Ok(())
        | Err(LedgerError::Locked | LedgerError::Moved { .. } | LedgerError::Unfinished { .. }) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// A run by the name the user typed.
pub(super) async fn run(ledger: &dyn Ledger, text: &str) -> Result<RunRecord, Stop> {
    let run = RunId::parse(text).map_err(|error| Stop::could_not_start(error.to_string()))?;
    match ledger.run(&run).await? {
        Some(record) => Ok(record),
        None => Err(no_such_run(ledger, text).await?),
    }
}

/// There is no such run; names those that there are.
pub(super) async fn no_such_run(ledger: &dyn Ledger, text: &str) -> Result<Stop, Stop> {
    let runs = ledger.runs().await?;
    let names: Vec<&str> = runs.iter().map(|(record, _)| record.run.as_str()).collect();
    let help = match crate::domain::problem::nearest(text, names.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None if names.is_empty() => "the ledger has no runs yet".to_owned(),
        None => format!(
            "the newest runs are {}",
            names.iter().take(5).copied().collect::<Vec<_>>().join(", ")
        ),
    };
    Ok(Stop::could_not_start(format!("there is no run '{text}'")).help(help))
}
