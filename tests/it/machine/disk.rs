//! A disk that is full, read-only, or not there.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{keep_ledger_at, resume_to_the_end, says};
use crate::support::{Mounts, Process, Stage, until};

/// The ledger's folder in the project.
const DISK: &str = "disk";
const LEDGER: &str = "disk/sendoff.db";

/// People at about fifty a second.
async fn stage() -> Stage {
    let stage = Stage::with(60, "pace: { concurrency: 2 }", "").await;
    stage
        .provider
        .faults(1, &json!([{ "kind": "slow", "delay_ms": 40 }]))
        .await;
    fs::create_dir(stage.project.path(DISK)).unwrap();
    keep_ledger_at(&stage, LEDGER);
    stage
}

/// A disk that holds a ledger of 60 people, each of their changes in a commit of its own, and is
/// filled up or freed.
struct SmallDisk {
    mounts: Mounts,
    ballast: PathBuf,
}

impl SmallDisk {
    fn of(stage: &mut Stage) -> Option<Self> {
        let disk = stage.project.path(DISK);
        let mounts = Mounts::new(&format!(
            "mount -t tmpfs -o size=16m tmpfs {}",
            disk.display()
        ))?;
        stage.project.start_inside(&mounts);
        let ballast = mounts.inside(&disk).join("ballast");
        Some(Self { mounts, ballast })
    }

    fn fill(&self) {
        let mut file = File::create(&self.ballast).unwrap();
        for size in [4_096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(&self.ballast).unwrap();
    }
}

/// A limit on the size of files instead: the ledger cannot grow, and is told so by another error.
/// For machines that let nobody mount anything; and the error is a real one besides.
fn limit_files(stage: &mut Stage, kib: u32) {
    // `ulimit -f` counts in 512 bytes in sh. Without the trap the signal would end the program.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
    stage.project.start_through(["sh", "-c", &script]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_halfway_loses_nothing() {
    let mut stage = stage().await;
    let Some(disk) = SmallDisk::of(&mut stage) else {
        return meets_a_limit(stage).await;
    };
    let process = stage.start(&[]);
    stage.provider.until_people(10).await;
    disk.fill();
    let ended = process.end().await;
    says(
        &ended,
        5,
        &[
            "the disk",
            "is full",
            "sendoff.db",
            "nothing",
            "free",
            "resume",
        ],
    );
    let journal = stage.assert_nobody_twice().await;
    assert!(journal.totals.people < 60, "the disk was not full in time");
    // As long as it is full, nothing more is sent.
    let again = stage.resume().await;
    says(&again, 5, &["is full"]);
    let after = stage.provider.totals().await;
    assert_eq!(after.people, journal.totals.people);
    disk.free();
    resume_to_the_end(&stage).await;
    drop(disk.mounts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_at_the_start_sends_nothing() {
    let mut stage = stage().await;
    let Some(disk) = SmallDisk::of(&mut stage) else {
        limit_files(&mut stage, 8);
        let ended = stage.send().await;
        assert_eq!(ended.code, Some(5), "{ended:?}");
        assert_eq!(stage.provider.totals().await.people, 0);
        return;
    };
    disk.fill();
    let ended = stage.send().await;
    says(&ended, 5, &["the disk", "is full", "sendoff.db"]);
    assert_eq!(stage.provider.totals().await.people, 0);
    disk.free();
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_may_not_grow_loses_nothing() {
    meets_a_limit(stage().await).await;
}

async fn meets_a_limit(mut stage: Stage) {
    // Frozen without a limit, so that it is met in the middle of sending.
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    limit_files(&mut stage, 96);
    let ended = stage.resume().await;
    says(&ended, 5, &["sendoff.db", "disk", "resume"]);
    let journal = stage.assert_nobody_twice().await;
    assert!(journal.totals.people < 60, "the limit was not met");
    stage.project.start_through([""; 0]);
    resume_to_the_end(&stage).await;
}

/// The read-only kinds: a mount, or the permission of a folder or file (which root has to be kept
/// from ignoring).
fn as_anybody(stage: &mut Stage) {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if root {
        let keep_from = [
            "setpriv",
            "--bounding-set",
            "-dac_override,-dac_read_search",
        ];
        stage.project.start_through(keep_from);
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_or_file_that_may_not_be_written_to_sends_nothing() {
    let mut stage = stage().await;
    let folder = stage.project.path(DISK);
    as_anybody(&mut stage);
    set_mode(&folder, 0o555);
    let ended = stage.send().await;
    says(&ended, 5, &["disk/sendoff.db", "may not be written to"]);
    set_mode(&folder, 0o755);
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    for (path, closed, open) in [
        (folder.clone(), 0o555, 0o755),
        (stage.project.path(LEDGER), 0o444, 0o644),
    ] {
        set_mode(&path, closed);
        for ended in [stage.send().await, stage.resume().await] {
            says(&ended, 5, &["sendoff.db", "read-only"]);
        }
        set_mode(&path, open);
    }
    assert_eq!(stage.provider.totals().await.people, 5);
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_became_read_only_sends_nothing() {
    let mut stage = stage().await;
    let ended = stage.start(&["--limit", "5"]).end().await;
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let disk = stage.project.path(DISK);
    let bind = format!(
        "mount --bind {0} {0}\nmount -o remount,ro,bind {0}",
        disk.display()
    );
    let Some(mounts) = Mounts::new(&bind) else {
        // The same through permissions is the test before this one.
        return;
    };
    stage.project.start_inside(&mounts);
    for ended in [stage.send().await, stage.resume().await] {
        says(&ended, 5, &["sendoff.db", "read-only"]);
    }
    stage.project.start_through([""; 0]);
    assert_eq!(stage.provider.totals().await.people, 5);
    resume_to_the_end(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_not_there_or_a_ledger_that_is_a_folder_is_named() {
    let stage = Stage::new(3).await;
    let settings = stage.project.read("sendoff.yaml");
    fs::create_dir(stage.project.path("a-folder")).unwrap();
    for (path, words) in [
        ("no/such/sendoff.db", "the folder 'no/such' does not exist"),
        ("a-folder", "it is a folder"),
        ("sendoff.yaml/sendoff.db", "'sendoff.yaml' is not a folder"),
    ] {
        stage.project.write("sendoff.yaml", &settings);
        keep_ledger_at(&stage, path);
        for args in [
            ["run", crate::support::CAMPAIGN, "--yes"],
            ["run", crate::support::CAMPAIGN, "--sandbox"],
        ] {
            let ended = stage.project.run(&args).await;
            says(&ended, 5, &[path, words, "`ledger`"]);
        }
    }
    assert_eq!(stage.provider.totals().await.people, 0);
}

/// Taken away in the middle of a run: as when a removable disk goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_moved_away_halfway_loses_nothing() {
    let stage = stage().await;
    let process: Process = stage.start(&[]);
    stage.provider.until_people(5).await;
    let (disk, away) = (stage.project.path(DISK), stage.project.path("away"));
    fs::rename(&disk, &away).unwrap();
    let ended = process.end().await;
    assert!(matches!(ended.code, Some(0 | 5)), "{ended:?}");
    fs::rename(&away, &disk).unwrap();
    until("the disk", async || disk.exists().then_some(())).await;
    let ended = stage.resume().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    stage.assert_everybody_once().await;
}
