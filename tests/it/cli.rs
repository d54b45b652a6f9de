//! The command line as a user meets it: the real program, in a folder of its own, with a sandbox
//! in another process as the witness. The send path's own promises are `send_path`'s.

mod bad_input;
mod bad_rows;
mod channels;
mod exits;
mod help;
mod ledger;
mod plain;
mod plan;
mod schedule;
mod shapes;
mod suppress;
mod tools;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use crate::support::{Ended, Project};

/// The folder of the sources, where the shipped examples are.
pub(crate) fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A project that holds the shipped campaigns, lists, templates and pictures.
pub(crate) fn shipped() -> Project {
    let project = Project::new();
    for folder in ["campaigns", "templates", "templates/images"] {
        for entry in std::fs::read_dir(home().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let name = path.file_name().unwrap().to_str().unwrap();
                project.write(&format!("{folder}/{name}"), std::fs::read(&path).unwrap());
            }
        }
    }
    project
}

/// Runs a command that was prepared by hand.
pub(crate) fn output(mut command: std::process::Command) -> Ended {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    Ended {
        code: output.status.code(),
        signal: output.status.signal(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
