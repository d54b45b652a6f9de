//! From a campaign's files to a run in the ledger: everything is checked on the way, and
//! nothing is kept unless all of it is sound.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::{App, Stop};
use crate::domain::campaign::{Campaign, FrozenFile, ListSource};
use crate::domain::problem::Problems;
use crate::domain::run::RunId;
use crate::engine::plan::{self, Draft};
use crate::intake::campaign_file::{self, CampaignFile};
use crate::intake::rows::{self, Loaded};
use crate::ledger::sqlite::{Durability, SqliteLedger};
use crate::ledger::{FreezeFacts, Ledger, NewRun, RunRecord};

/// A campaign whose files are right in themselves.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: CampaignFile,
    pub(super) loaded: Loaded,
    /// Nothing that stops a run.
    pub(super) warnings: Problems,
}

impl Source {
    pub(super) fn campaign(&self) -> &Campaign {
        &self.file.campaign
    }
}

/// Reads the campaign and its template.
pub(super) fn read(path: &Path) -> Result<Source, Problems> {
    let (file, mut problems) = campaign_file::read(path);
    let Some(file) = file else { return Err(problems) };
    let (loaded, found) = rows::load(&file);
    problems.extend(found);
    match loaded {
        Some(loaded) if !problems.has_errors() => {
            Ok(Source { file, loaded, warnings: problems })
        }
        _ => Err(problems),
    }
}

/// What a run is to be called, and where and when it happens.
#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub(super) run: RunId,
    /// The gateway's name in the ledger.
    pub(super) gateway: String,
    pub(super) starts_at: Timestamp,
}

/// Reads the list into the ledger and commits the run. Warnings are shown, errors end it.
pub(super) async fn freeze(
    app: &App,
    ledger: &dyn Ledger,
    source: &Source,
    birth: &Birth,
) -> Result<RunRecord, Stop> {
    let (draft, files) = read_in(app, ledger, source, birth).await?;
    if draft.problems.has_errors() {
        let problems = draft.problems.clone();
        draft.discard().await?;
        return Err(problems.into());
    }
    app.out.problems(&draft.problems);
    Ok(draft.seal(files).await?)
}

/// What a run would be, found out in a ledger that is thrown away.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) facts: FreezeFacts,
    pub(super) problems: Problems,
    pub(super) rows: u64,
}

/// Checks every row as [`freeze`] would, and keeps nothing.
pub(super) async fn trial(app: &App, source: &Source, birth: &Birth) -> Result<Trial, Stop> {
    let folder = tempfile::tempdir().map_err(|error| {
        Stop::could_not_start(format!("no temporary folder can be made ({})", error.kind()))
    })?;
    let ledger =
        SqliteLedger::open(&folder.path().join("trial.db"), Durability::None).await?;
    let (draft, _) = read_in(app, &ledger, source, birth).await?;
    let (problems, rows) = (draft.problems.clone(), draft.rows);
    let facts = draft.discard().await?;
    ledger.close().await;
    Ok(Trial { facts, problems, rows })
}

async fn read_in(
    app: &App,
    ledger: &dyn Ledger,
    source: &Source,
    birth: &Birth,
) -> Result<(Draft, Vec<FrozenFile>), Stop> {
    let list = list_name(source.campaign());
    let input = source.loaded.open_list()?;
    let mut rows = source.loaded.rows(&birth.run, input)?;
    let (chunks, arriving) = tokio::sync::mpsc::channel(plan::CHUNKS_AHEAD);
    // Reading and rendering block; the ledger does not.
    let reading = tokio::task::spawn_blocking(move || {
        for chunk in &mut rows {
            if chunks.blocking_send(chunk).is_err() {
                break;
            }
        }
        rows.finish()
    });
    let run = NewRun {
        run: birth.run.clone(),
        gateway: birth.gateway.clone(),
        terms: source.campaign().terms.clone(),
        now: app.clock.now(),
        starts_at: birth.starts_at,
    };
    let draft = plan::read_in(ledger, &run, &list, arriving).await?;
    let facts = reading.await.map_err(|error| {
        Stop::from(crate::ledger::LedgerError::Fault(format!("reading the list ended ({error})")))
    })?;
    let mut files = source.loaded.files();
    files.push(facts.file);
    Ok((draft, files))
}

pub(super) fn list_name(campaign: &Campaign) -> String {
    match &campaign.recipients.source {
        ListSource::File(path) => path.display().to_string(),
        ListSource::StandardInput => "standard input".to_owned(),
    }
}

/// The frozen files of `run` that are not what they are now. The list is compared by its
/// digest only when it can be read again.
pub(super) fn changed_since(source: &Source, run: &RunRecord) -> Vec<String> {
    let now = source.loaded.files();
    run.files
        .iter()
        .filter(|frozen| frozen.role != "list")
        .filter(|frozen| {
            !now.iter().any(|file| file.name == frozen.name && file.sha256 == frozen.sha256)
        })
        .map(|frozen| frozen.name.clone())
        .chain(list_changed(source.campaign(), run))
        .collect()
}

fn list_changed(campaign: &Campaign, run: &RunRecord) -> Option<String> {
    let ListSource::File(path) = &campaign.recipients.source else { return None };
    let frozen = run.files.iter().find(|file| file.role == "list")?;
    let digest = crate::intake::digest_of_file(path).ok()?;
    (digest != frozen.sha256).then(|| frozen.name.clone())
}

/// Shared by tests and commands that only look.
pub(super) type SharedLedger = Arc<dyn Ledger>;
