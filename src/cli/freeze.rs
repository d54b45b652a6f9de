//! From a campaign's files to a run in the ledger: everything is checked on the way, and
//! nothing is kept unless all of it is sound.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use super::{App, Stop};
use crate::domain::campaign::{Campaign, FrozenFile, ListSource};
use crate::domain::phone::Phone;
use crate::domain::problem::{Problem, Problems};
use crate::domain::run::RunId;
use crate::engine::plan::{self, Draft, Reading};
use crate::intake::campaign_file::{self, CampaignFile};
use crate::intake::list::suppress::suppressions;
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
    let Some(file) = file else {
        return Err(problems);
    };
    let (loaded, found) = rows::load(&file);
    problems.extend(found);
    match loaded {
        Some(loaded) if !problems.has_errors() => Ok(Source {
            file,
            loaded,
            warnings: problems,
        }),
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
    let (draft, files) = read_in(app, (ledger, Some(ledger)), source, birth).await?;
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
pub(super) async fn trial(
    app: &App,
    history: Option<&dyn Ledger>,
    source: &Source,
    birth: &Birth,
) -> Result<Trial, Stop> {
    let folder = tempfile::tempdir().map_err(|error| {
        Stop::could_not_start(format!(
            "no temporary folder can be made ({})",
            error.kind()
        ))
    })?;
    let ledger = SqliteLedger::open(&folder.path().join("trial.db"), Durability::None).await?;
    let (draft, _) = read_in(app, (&ledger, history), source, birth).await?;
    let (problems, rows) = (draft.problems.clone(), draft.rows);
    let facts = draft.discard().await?;
    ledger.close().await;
    Ok(Trial {
        facts,
        problems,
        rows,
    })
}

async fn read_in(
    app: &App,
    (into, history): (&dyn Ledger, Option<&dyn Ledger>),
    source: &Source,
    birth: &Birth,
) -> Result<(Draft, Vec<FrozenFile>), Stop> {
    let list = list_name(source.campaign());
    let (suppressed, mut suppress_files) = suppressed(source)?;
    let input = source.loaded.open_list()?;
    let mut rows = source.loaded.rows(&birth.run, input)?;
    let (chunks, arriving) = tokio::sync::mpsc::channel(plan::CHUNKS_AHEAD);
    // Reading and rendering block; the ledger does not.
    let reader = tokio::task::spawn_blocking(move || {
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
    let reading = Reading {
        into,
        history,
        run: &run,
        suppressed: &suppressed,
        list: &list,
    };
    let draft = plan::read_in(&reading, arriving).await?;
    let facts = reader.await.map_err(|error| {
        Stop::from(crate::ledger::LedgerError::Fault(format!(
            "reading the list ended ({error})"
        )))
    })?;
    let mut files = source.loaded.files();
    files.push(facts.file);
    files.append(&mut suppress_files);
    Ok((draft, files))
}

/// Everybody on the campaign's do-not-contact lists, and those lists' digests.
pub(super) fn suppressed(source: &Source) -> Result<(HashSet<Phone>, Vec<FrozenFile>), Stop> {
    let campaign = source.campaign();
    let (mut people, mut files, mut problems) = (HashSet::new(), Vec::new(), Problems::default());
    for (n, path) in campaign.suppress.iter().enumerate() {
        let (phones, found) = suppressions(path, campaign.recipients.region);
        people.extend(phones);
        problems.extend(found);
        match crate::intake::digest_of_file(path) {
            Ok(sha256) => files.push(FrozenFile {
                role: "suppress".to_owned(),
                name: path.display().to_string(),
                sha256,
                text: None,
            }),
            Err(error) if !problems.has_errors() => {
                let problem = Problem::error(format!(
                    "the do-not-contact list '{}' cannot be read ({})",
                    path.display(),
                    error.kind()
                ));
                problems.push(match source.file.place(&format!("suppress[{n}]")) {
                    Some(place) => problem.at(place),
                    None => problem,
                });
            }
            Err(_) => {}
        }
    }
    if problems.has_errors() {
        Err(problems.into())
    } else {
        Ok((people, files))
    }
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
            !now.iter()
                .any(|file| file.name == frozen.name && file.sha256 == frozen.sha256)
        })
        .map(|frozen| frozen.name.clone())
        .chain(list_changed(source.campaign(), run))
        .collect()
}

fn list_changed(campaign: &Campaign, run: &RunRecord) -> Option<String> {
    let ListSource::File(path) = &campaign.recipients.source else {
        return None;
    };
    let frozen = run.files.iter().find(|file| file.role == "list")?;
    let digest = crate::intake::digest_of_file(path).ok()?;
    (digest != frozen.sha256).then(|| frozen.name.clone())
}

/// The frozen files that differ by now from what stands in their place. One that cannot be read
/// is passed over: a run needs none of them any more.
pub(super) fn changed_on_disk(run: &RunRecord) -> Vec<String> {
    run.files
        .iter()
        .filter(|frozen| match &frozen.text {
            Some(text) => std::fs::read_to_string(&frozen.name)
                .is_ok_and(|now| now.trim_start_matches('\u{feff}') != text),
            None => crate::intake::digest_of_file(Path::new(&frozen.name))
                .is_ok_and(|now| now != frozen.sha256),
        })
        .map(|frozen| frozen.name.clone())
        .collect()
}

/// Says which files differ from what the run was frozen from.
pub(super) fn tell_changed(app: &App, run: &RunId, changed: &[String]) {
    if !changed.is_empty() {
        app.out.note(&format!(
            "Since {run} was frozen, {} changed; the run stays as it was frozen.",
            changed.join(", ")
        ));
    }
}
