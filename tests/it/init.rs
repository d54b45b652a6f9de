//! `sendoff init`: what it writes works at once, and it never harms what is there.

use std::fs;
use std::path::Path;

use assert_cmd::Command;

/// The program in a folder, with nothing of this machine's own settings.
pub(crate) fn sendoff(dir: &Path) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("sendoff");
    command
        .current_dir(dir)
        .env_remove("SENDOFF_LEDGER")
        .env_remove("CHERT_SIGNING_SECRET");
    command.timeout(std::time::Duration::from_mins(1));
    command
}

pub(crate) fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    sendoff(dir.path()).arg("init").assert().success();
    dir
}

#[test]
fn a_new_project_can_be_rehearsed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let made = sendoff(dir.path())
        .args(["init", "my shop/spring"])
        .assert()
        .success();
    let out = made.get_output();
    let named = String::from_utf8(out.stdout.clone()).unwrap();
    let said = String::from_utf8(out.stderr.clone()).unwrap();
    assert_eq!(
        named.lines().collect::<Vec<_>>(),
        [
            "my shop/spring/sendoff.yaml",
            "my shop/spring/campaigns/first.yaml",
            "my shop/spring/campaigns/first.csv",
            "my shop/spring/templates/first.yaml",
            "my shop/spring/templates/images/hello.png",
            "my shop/spring/.gitignore",
        ]
    );
    assert!(said.contains("    cd 'my shop/spring'\n"), "{said}");

    // The commands it names are run as they stand.
    let commands: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("sendoff "))
        .collect();
    assert_eq!(commands.len(), 2, "{said}");
    let project = dir.path().join("my shop/spring");
    for command in commands {
        sendoff(&project)
            .args(command.split(' '))
            .assert()
            .success();
    }
    assert!(project.join("sendoff.db").is_file());
    sendoff(&project)
        .args(["check", "campaigns/first.yaml"])
        .assert()
        .success();
}

#[test]
fn the_settings_of_a_new_project_name_the_missing_secret() {
    let dir = project();
    let run = sendoff(dir.path())
        .args(["run", "campaigns/first.yaml", "--yes"])
        .assert()
        .code(1);
    let said = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(
        said.contains("CHERT_SIGNING_SECRET") && said.contains("sendoff.yaml"),
        "{said}"
    );
    assert!(!dir.path().join("sendoff.db").exists());
}

#[test]
fn nothing_that_is_there_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("campaigns")).unwrap();
    fs::write(dir.path().join("campaigns/first.csv"), "mine").unwrap();
    fs::write(dir.path().join(".gitignore"), "").unwrap();
    let refused = sendoff(dir.path()).args(["init", "."]).assert().code(1);
    let out = refused.get_output();
    let said = String::from_utf8(out.stderr.clone()).unwrap();
    assert!(
        said.contains("campaigns/first.csv, .gitignore are there already"),
        "{said}"
    );
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(out.stdout, b"");
    assert_eq!(
        fs::read(dir.path().join("campaigns/first.csv")).unwrap(),
        b"mine"
    );
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [".gitignore", "campaigns"]);
}

#[test]
fn a_file_in_the_way_of_the_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("shop"), "a file").unwrap();
    let refused = sendoff(dir.path()).args(["init", "shop"]).assert().code(1);
    let said = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(said.contains("'shop' is a file"), "{said}");
}
