//! From a campaign's files to a run in the ledger: everything is checked on the way, and
//! nothing is kept unless all of it is sound.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use super::{App, Stop};
use crate::domain::account::AccountId;
use crate::domain::address::Address;
use crate::domain::campaign::{Campaign, FrozenFile, ListSource};
use crate::domain::problem::{Problem, Problems};
use crate::domain::recipient::{Chunk, Verdict};
use crate::domain::run::RunId;
use crate::engine::plan::{self, Draft, Reading};
use crate::engine::templates;
use crate::gateway::{AtOnce, Gateway};
use crate::intake::campaign_file::{self, CampaignFile};
use crate::intake::list::suppress::suppressions;
use crate::intake::rows::{self, Loaded};
use crate::intake::settings_file::Settings;
use crate::ledger::sqlite::{Durability, SqliteLedger};
use crate::ledger::{FreezeFacts, Ledger, NewRun, RunRecord};

/// The occurrence that a message is rendered for when none is sent.
pub(super) const CHECK: &str = "check";

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

/// Reads the campaign and its template; with `settings`, looks for its gateway there, too. When
/// something is wrong, the list is looked through as well, so that all problems are told at once.
pub(super) fn read(path: &Path, settings: Option<&Settings>) -> Result<Source, Problems> {
    let (file, mut problems) = campaign_file::read_flawed(path);
    let Some(file) = file else {
        return Err(problems);
    };
    if let Some(Err(unknown)) = settings.map(|settings| file.account(settings)) {
        problems.extend(unknown);
    }
    let (loaded, found) = rows::load(&file);
    problems.extend(found);
    match loaded {
        Some(loaded) if !problems.has_errors() => Ok(Source {
            file,
            loaded,
            warnings: problems,
        }),
        Some(loaded) => {
            problems.extend(in_the_list(&loaded, &file.campaign));
            Err(problems)
        }
        None => {
            problems.extend(rows::list_alone(&file));
            Err(problems)
        }
    }
}

/// What is wrong with the rows of a list that will not be sent to.
fn in_the_list(loaded: &Loaded, campaign: &Campaign) -> Problems {
    let mut problems = Problems::default();
    let Ok(run) = RunId::new(&campaign.name, CHECK) else {
        return problems;
    };
    match loaded.open_list().and_then(|list| loaded.rows(&run, list)) {
        Ok(rows) => rows.for_each(|chunk| problems.extend(chunk.problems)),
        Err(found) => problems.extend(found),
    }
    problems
}

/// What a run is to be called, and where and when it happens.
#[derive(Debug, Clone)]
pub(super) struct Birth {
    pub(super) run: RunId,
    /// The gateway's name in the ledger.
    pub(super) gateway: String,
    /// The account behind it; `None` for a rehearsal or a trial.
    pub(super) account: Option<AccountId>,
    pub(super) starts_at: Timestamp,
    /// Somebody who must stand in the list, or there is no run.
    pub(super) only: Option<Address>,
}

/// Reads the list into the ledger and commits the run. Warnings are shown, errors end it: those of
/// the list, and what the account says of the templates that the messages are made of.
pub(super) async fn freeze(
    app: &App,
    (ledger, gateway): (&dyn Ledger, &dyn Gateway),
    source: &Source,
    birth: &Birth,
) -> Result<RunRecord, Stop> {
    let ReadIn { draft, files, only } = read_in(app, (ledger, Some(ledger)), source, birth).await?;
    let refused = if draft.problems.has_errors() {
        Some(draft.problems.clone().into())
    } else if let Err(stop) = only {
        Some(stop)
    } else {
        approved(&draft, gateway, source).await.err()
    };
    if let Some(stop) = refused {
        draft.discard().await?;
        return Err(stop);
    }
    app.out.problems(&draft.problems);
    let record = draft.seal(files).await?;
    tracing::info!(run = %record.run, rows = record.total, "frozen");
    Ok(record)
}

/// Whether the account has the templates, approved and with as many values.
async fn approved(draft: &Draft, gateway: &dyn Gateway, source: &Source) -> Result<(), Stop> {
    if draft.templates.is_empty() {
        return Ok(());
    }
    let known = gateway.templates(&AtOnce).await.map_err(|outcome| {
        Stop::could_not_start(format!(
            "the account cannot be asked for its templates: {}",
            outcome.why()
        ))
        .help("the key needs the scope `channels:read`; nothing was sent")
    })?;
    let found = templates::problems(&draft.templates, &known.unwrap_or_default());
    let mut problems = Problems::default();
    for problem in found {
        problems.push(problem);
    }
    if problems.has_errors() {
        Err(source.file.pointed(problems, "message").into())
    } else {
        Ok(())
    }
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
    let ReadIn { draft, only, .. } = read_in(app, (&ledger, history), source, birth).await?;
    let (problems, rows) = (draft.problems.clone(), draft.rows);
    let facts = draft.discard().await?;
    ledger.close().await;
    if !problems.has_errors() {
        only?;
    }
    Ok(Trial {
        facts,
        problems,
        rows,
    })
}

/// A list that has been read into a ledger and not been committed.
#[derive(Debug)]
struct ReadIn {
    draft: Draft,
    files: Vec<FrozenFile>,
    /// Whether the one who must be there is.
    only: Result<(), Stop>,
}

async fn read_in(
    app: &App,
    (into, history): (&dyn Ledger, Option<&dyn Ledger>),
    source: &Source,
    birth: &Birth,
) -> Result<ReadIn, Stop> {
    let list = list_name(source.campaign());
    let (suppressed, mut suppress_files) = suppressed(source).map_err(|mut problems| {
        problems.extend(in_the_list(&source.loaded, source.campaign()));
        problems
    })?;
    let input = source.loaded.open_list()?;
    let mut rows = source.loaded.rows(&birth.run, input)?;
    let (chunks, arriving) = tokio::sync::mpsc::channel(plan::CHUNKS_AHEAD);
    // Reading and rendering block; the ledger does not.
    let only = birth.only.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let mut there = only.is_none();
        for chunk in &mut rows {
            there |= only.as_ref().is_some_and(|phone| names(&chunk, phone));
            if chunks.blocking_send(chunk).is_err() {
                break;
            }
        }
        (rows.finish(), there)
    });
    let run = NewRun {
        run: birth.run.clone(),
        gateway: birth.gateway.clone(),
        account: birth.account.clone(),
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
    let (facts, there) = reader.await.map_err(|error| {
        Stop::from(crate::ledger::LedgerError::Fault(format!(
            "reading the list ended ({error})"
        )))
    })?;
    let mut files = source.loaded.files();
    files.push(facts.file);
    files.append(&mut suppress_files);
    let only = match &birth.only {
        Some(phone) if !there => Err(not_in_the_list(phone, &list)),
        Some(_) | None => Ok(()),
    };
    Ok(ReadIn { draft, files, only })
}

fn names(chunk: &Chunk, phone: &Address) -> bool {
    chunk.rows.iter().any(|row| match &row.verdict {
        Verdict::Send { recipient, .. } => recipient.phone == *phone,
        Verdict::Skip { phone: theirs, .. } => theirs.as_ref() == Some(phone),
    })
}

fn not_in_the_list(phone: &Address, list: &str) -> Stop {
    Stop::could_not_start(format!("{} is not in {list}", phone.masked()))
        .help("--only takes a phone number that stands in the list")
}

/// Everybody on the campaign's do-not-contact lists, and those lists' digests.
pub(super) fn suppressed(source: &Source) -> Result<(HashSet<Address>, Vec<FrozenFile>), Problems> {
    let campaign = source.campaign();
    let (mut people, mut files, mut problems) = (HashSet::new(), Vec::new(), Problems::default());
    for (n, path) in campaign.suppress.iter().enumerate() {
        let (phones, found) = suppressions(path, campaign.recipients.region);
        people.extend(phones);
        problems.extend(source.file.pointed(found, &format!("suppress[{n}]")));
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
        Err(problems)
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

/// The frozen files of `run` that are not what they are now. Lists are compared by their digest,
/// and only when they can be read again.
pub(super) fn changed_since(source: &Source, run: &RunRecord) -> Vec<String> {
    let now = source.loaded.files();
    changed(run, |frozen| {
        if frozen.text.is_none() {
            return differs_on_disk(frozen);
        }
        !now.iter()
            .any(|file| file.name == frozen.name && file.sha256 == frozen.sha256)
    })
}

/// The frozen files that differ by now from what stands in their place. One that cannot be read
/// is passed over: a run needs none of them any more.
pub(super) fn changed_on_disk(run: &RunRecord) -> Vec<String> {
    changed(run, differs_on_disk)
}

fn changed(run: &RunRecord, differs: impl Fn(&FrozenFile) -> bool) -> Vec<String> {
    let files = run.files.iter().filter(|frozen| differs(frozen));
    files.map(|frozen| frozen.name.clone()).collect()
}

fn differs_on_disk(frozen: &FrozenFile) -> bool {
    match &frozen.text {
        Some(text) => std::fs::read_to_string(&frozen.name)
            .is_ok_and(|now| now.trim_start_matches('\u{feff}') != text),
        None => crate::intake::digest_of_file(Path::new(&frozen.name))
            .is_ok_and(|now| now != frozen.sha256),
    }
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
