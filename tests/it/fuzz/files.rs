//! Campaigns, settings, templates and lists, damaged in every way, through the path that `check`
//! takes. The list of a case is read twice, once whole and once in drips, and must be the same.

use std::io::Read;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sendoff::domain::problem::Problems;
use sendoff::domain::recipient::Row;
use sendoff::domain::run::RunId;
use sendoff::intake::campaign_file::{self, CampaignFile};
use sendoff::intake::list::suppress::suppressions;
use sendoff::intake::rows::{self, ListInput};
use sendoff::intake::settings_file;
use tempfile::TempDir;

use super::fuzz;
use super::tokens::damaged;
use crate::cli::home;

/// A folder for the case: lists, templates and pictures as they are shipped.
pub(super) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["campaigns", "templates", "templates/images"] {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        for entry in std::fs::read_dir(home().join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let to = folder.path().join(name).join(path.file_name().unwrap());
                std::fs::copy(&path, to).unwrap();
            }
        }
    }
    folder
}

/// The shipped files of a folder whose names end so.
pub(super) fn shipped(name: &str, end: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(home().join(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_str().unwrap().ends_with(end));
    paths.sort();
    assert!(!paths.is_empty());
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// A campaign that uses every field.
const EVERYTHING: &str = r#"name: everything
description: Uses every field
gateway: chert
from: ["+15555550100", "+15555550101"]
recipients:
  csv: review-request.csv
  columns: { phone: Mobile }
  region: US
  where: "row[\"Mobile\"] != 'x'"
  on_empty: skip
message: ../templates/review-request.yaml
vars: &vars { business: "Texas Prime Plumbing", list: [1, 2.50, true, ~] }
schedule: { cron: "0 10 * * MON-FRI", timezone: America/Chicago, catch_up: latest, start_by: 2h, overlap: skip }
window: { days: MON-SAT, from: "09:00", to: "20:00", timezone: recipient }
expires: 48h
pace: { rate: 5/s, burst: 5, concurrency: 16, per_line: 1/s }
retry: { attempts: 5, base: 1s, max: 5m, give_up_after: 24h }
"#;

const SETTINGS: &str = r"ledger: sqlite://sendoff.db
gateways:
  chert:
    kind: chert
    base_url: https://console.trychert.com/api/v1
    tenant: acme-7a3f
    auth: hmac
    signing_secret: { env: CHERT_SIGNING_SECRET }
    rate: 10/s
    burst: 20
    timeout: 30s
";

/// What a list came to.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    rows: Vec<Row>,
    problems: Vec<String>,
    records: u64,
}

fn in_words(problems: &Problems) -> Vec<String> {
    problems
        .iter()
        .map(|problem| format!("{problem:?}"))
        .collect()
}

/// Hands out a few bytes at a time.
struct Drip(std::io::Cursor<Vec<u8>>, usize);

impl Read for Drip {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read(&mut buffer[..length])
    }
}

/// Everything that `check` does with a campaign that can be read; `None` where it cannot.
pub(super) fn read_all(path: &Path, piece: usize) -> Option<Outcome> {
    let (file, _) = campaign_file::read(path);
    let file = file?;
    let (loaded, problems) = rows::load(&file);
    let Some(loaded) = loaded else {
        assert!(problems.has_errors());
        assert_eq!(
            in_words(&rows::list_alone(&file)),
            in_words(&rows::list_alone(&file))
        );
        return None;
    };
    for path in &file.campaign.suppress {
        suppressions(path, file.campaign.recipients.region);
    }
    let run = RunId::new(&file.campaign.name, "check").unwrap();
    let list = list_of(&file)?;
    let input = ListInput::new("list", Box::new(Drip(std::io::Cursor::new(list), piece)));
    match loaded.rows(&run, input) {
        Ok(mut rows) => {
            let mut read = Outcome {
                rows: Vec::new(),
                problems: Vec::new(),
                records: 0,
            };
            let mut failed = false;
            for chunk in &mut rows {
                failed |= chunk.problems.has_errors();
                read.problems.extend(in_words(&chunk.problems));
                read.rows.extend(chunk.rows);
            }
            read.records = rows.finish().records;
            let numbers: Vec<u64> = read.rows.iter().map(|row| row.number).collect();
            assert!(numbers.windows(2).all(|two| two[0] < two[1]), "{numbers:?}");
            if !failed {
                assert!(numbers.into_iter().eq(1..=read.records), "a row is lost");
            }
            Some(read)
        }
        Err(problems) => {
            assert!(problems.has_errors());
            let problems = in_words(&problems);
            Some(Outcome {
                rows: Vec::new(),
                problems,
                records: 0,
            })
        }
    }
}

fn list_of(file: &CampaignFile) -> Option<Vec<u8>> {
    use sendoff::domain::campaign::ListSource;
    match &file.campaign.recipients.source {
        // Devices have no end, and are the subject of a test of their own.
        ListSource::File(path) if path.is_file() => std::fs::read(path).ok(),
        ListSource::File(_) | ListSource::StandardInput => None,
    }
}

#[test]
fn any_campaign_is_read_or_refused() {
    let mut sound = shipped("campaigns", ".yaml");
    sound.extend(vec![EVERYTHING.as_bytes().to_vec(); 2]);
    let folder = folder();
    fuzz(
        1_500,
        move || damaged(sound),
        move |campaign| {
            let path = folder.path().join("campaigns/case.yaml");
            std::fs::write(&path, &campaign).unwrap();
            let (file, problems) = campaign_file::read(&path);
            prop_assert_eq!(file.is_some(), !problems.has_errors());
            let (again, same) = campaign_file::read(&path);
            prop_assert_eq!(in_words(&problems), in_words(&same));
            prop_assert_eq!(
                file.map(|file| format!("{:?}", file.campaign)),
                again.map(|file| format!("{:?}", file.campaign))
            );
            let (flawed, _) = campaign_file::read_flawed(&path);
            if let Some(file) = flawed {
                rows::load(&file);
            }
            Ok(())
        },
    );
}

#[test]
fn any_settings_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    fuzz(
        2_000,
        || damaged(vec![SETTINGS.as_bytes().to_vec()]),
        move |settings| {
            let path = folder.path().join("sendoff.yaml");
            std::fs::write(&path, &settings).unwrap();
            let (read, problems) = settings_file::read(&path);
            prop_assert_eq!(read.is_some(), !problems.has_errors());
            let (again, same) = settings_file::read(&path);
            prop_assert_eq!(in_words(&problems), in_words(&same));
            prop_assert_eq!(
                read.map(|read| format!("{:?}", read.gateways)),
                again.map(|read| format!("{:?}", read.gateways))
            );
            Ok(())
        },
    );
}

#[test]
fn any_template_is_rendered_or_refused() {
    let folder = folder();
    let sound = shipped("templates", ".yaml");
    fuzz(
        400,
        move || damaged(sound),
        move |template| {
            std::fs::write(
                folder.path().join("templates/review-request.yaml"),
                &template,
            )
            .unwrap();
            let path = folder.path().join("campaigns/review-request.yaml");
            prop_assert_eq!(read_all(&path, 1 << 20), read_all(&path, 1 << 20));
            Ok(())
        },
    );
}

#[test]
fn any_list_is_read_or_refused_however_it_arrives() {
    let folder = folder();
    let sound = shipped("campaigns", ".csv");
    let case = move || (damaged(sound), 1usize..200);
    fuzz(250, case, move |(list, piece)| {
        for name in ["review-request", "nightly-reminder"] {
            let to = folder.path().join(format!("campaigns/{name}.csv"));
            std::fs::write(to, &list).unwrap();
            let path = folder.path().join(format!("campaigns/{name}.yaml"));
            prop_assert_eq!(read_all(&path, 1 << 20), read_all(&path, piece));
        }
        let path = folder.path().join("campaigns/review-request.csv");
        let phones = |(phones, problems): (Vec<_>, Problems)| (phones, in_words(&problems));
        let (once, again) = (suppressions(&path, None), suppressions(&path, None));
        prop_assert_eq!(phones(once), phones(again));
        Ok(())
    });
}
