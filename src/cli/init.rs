//! `init`: writes a project that works at once. Never touches a file that is there already, and
//! writes nothing when one of its own is.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{App, Exit, Stop};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff init                    a project in this folder
  sendoff init spring-campaign    in a folder of its own, made if need be")]
pub(super) struct InitArgs {
    /// The project's folder
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// The files of a new project, in the order they are named to the user.
const FILES: [(&str, &[u8]); 6] = [
    ("sendoff.yaml", include_bytes!("init/sendoff.yaml")),
    ("campaigns/first.yaml", include_bytes!("init/campaign.yaml")),
    ("campaigns/first.csv", include_bytes!("init/list.csv")),
    ("templates/first.yaml", include_bytes!("init/template.yaml")),
    (
        "templates/images/hello.png",
        include_bytes!("init/hello.png"),
    ),
    (".gitignore", include_bytes!("init/gitignore")),
];

pub(super) fn init(app: &App, args: &InitArgs) -> Result<Exit, Stop> {
    if let Some(file) = args.dir.ancestors().find(|folder| folder.is_file()) {
        return Err(
            Stop::could_not_start(format!("'{}' is a file, not a folder", file.display()))
                .help("nothing was written; name another folder"),
        );
    }
    let there: Vec<String> = FILES
        .iter()
        .map(|(name, _)| args.dir.join(name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| shown(&path))
        .collect();
    if !there.is_empty() {
        let are = if there.len() == 1 { "is" } else { "are" };
        return Err(
            Stop::could_not_start(format!("{} {are} there already", there.join(", "))).help(
                "nothing was written; name an empty or a new folder: `sendoff init my-project`",
            ),
        );
    }
    let mut names = String::new();
    for (name, bytes) in FILES {
        let path = args.dir.join(name);
        write(&path, bytes).map_err(|error| failed(&path, &error))?;
        names.push_str(&shown(&path));
        names.push('\n');
    }
    app.out.data(&names)?;
    app.out.note(&next_steps(&args.dir));
    Ok(Exit::Done)
}

/// Writes a file that was not there, not even a moment ago.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::File::create_new(path)?.write_all(bytes)
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::could_not_start(format!("cannot write '{}': {}", shown(path), error.kind()))
        .help("name a folder that you may write to; remove what was written of it before")
}

fn next_steps(dir: &Path) -> String {
    let enter = if dir == Path::new(".") {
        String::new()
    } else {
        format!("    cd {}\n", quoted(&dir.display().to_string()))
    };
    format!(
        "\nThe project is ready. See the message as its first reader will, then rehearse the run; \
         neither needs an account:\n\n\
         {enter}    sendoff preview campaigns/first.yaml\n    \
         sendoff run campaigns/first.yaml --sandbox"
    )
}

/// `./x` as `x`.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// A path that a shell takes as one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./+@%,:=~".contains(c);
    if path.chars().all(plain) && !path.starts_with('-') {
        return path.to_owned();
    }
    let dash = if path.starts_with('-') { "./" } else { "" };
    format!("{dash}'{}'", path.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_the_folder_as_one_word() {
        assert_eq!(quoted("a/b-1"), "a/b-1");
        assert_eq!(quoted("my project"), "'my project'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted("-x"), "./'-x'");
    }
}
