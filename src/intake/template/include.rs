//! Files that templates include, and components they call: read from the template's own folder
//! only, and frozen with the run. Compiles nothing.

use std::path::{Component, Path, PathBuf};

use super::compile::{Compiled, at};
use super::scan::{Scan, Token};
use crate::domain::campaign::FrozenFile;
use crate::domain::digest::Digest;
use crate::domain::problem::{Problem, Problems};

/// Largest file that a template may include; they are kept in the ledger with the run.
const MAX_INCLUDE: u64 = 256 * 1024;

/// Most files that one message may be made of.
const MAX_FILES: usize = 64;

/// An included file.
#[derive(Debug, Clone)]
pub(super) struct Include {
    /// The path as the user would type it.
    pub(super) shown: String,
    pub(super) source: String,
    pub(super) scan: Scan,
}

impl Include {
    /// Without the line end that editors put behind the last line.
    pub(super) fn body(&self) -> &str {
        let source = self.source.as_str();
        let body = source.strip_suffix('\n').unwrap_or(source);
        body.strip_suffix('\r').unwrap_or(body)
    }
}

impl Compiled {
    /// The included files, as they are frozen with the run.
    pub fn files(&self) -> Vec<FrozenFile> {
        self.includes
            .iter()
            .map(|(name, include)| FrozenFile {
                role: "include".to_owned(),
                name: name.clone(),
                sha256: Digest::of(include.source.as_bytes()),
                text: Some(include.source.clone()),
            })
            .collect()
    }

    /// Reads every file that a template includes, and those that they include.
    pub(super) fn load_includes(&mut self, folder: &Path, problems: &mut Problems) {
        let mut wanted: Vec<(String, Token)> = Vec::new();
        let mut components = false;
        for script in &self.scripts {
            components |= script.scan.calls_components();
            wanted.extend(
                script
                    .scan
                    .files()
                    .map(|file| (script.name.clone(), file.clone())),
            );
        }
        while let Some((from, file)) = wanted.pop() {
            if self.includes.contains_key(&file.text) {
                continue;
            }
            if self.includes.len() >= MAX_FILES {
                problems.push(at(too_many(), self.place_of(&from, &file)));
                return;
            }
            match read_include(folder, &file.text) {
                Ok(include) => {
                    components |= include.scan.calls_components();
                    wanted.extend(
                        include
                            .scan
                            .files()
                            .map(|next| (file.text.clone(), next.clone())),
                    );
                    self.includes.insert(file.text.clone(), include);
                }
                Err(reason) => {
                    let problem = Problem::error(format!("cannot include '{}': {reason}", file.text))
                        .help("a template includes files from its own folder, such as `{% include \"signature.txt\" %}`");
                    problems.push(at(problem, self.place_of(&from, &file)));
                }
            }
        }
        if components {
            self.load_components(folder, problems);
        }
    }

    /// Components are known to every template once their file is read, so a message that calls
    /// one gets every `.tera` file of the folder.
    fn load_components(&mut self, folder: &Path, problems: &mut Problems) {
        let here = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let mut names: Vec<String> = std::fs::read_dir(here)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Path::new(name).extension().is_some_and(|e| e == "tera"))
            .collect();
        names.sort_unstable();
        for name in names {
            if self.includes.contains_key(&name) {
                continue;
            }
            if self.includes.len() >= MAX_FILES {
                return problems.push(too_many());
            }
            match read_include(folder, &name) {
                Ok(include) => drop(self.includes.insert(name, include)),
                Err(reason) => {
                    problems.push(Problem::error(format!("cannot read '{name}': {reason}")));
                }
            }
        }
    }
}

fn too_many() -> Problem {
    Problem::error(format!(
        "the message is made of more than {MAX_FILES} files"
    ))
    .help("write short pieces out where they are used")
}

/// Reads a file below `folder`; a path that leaves it is refused.
fn read_include(folder: &Path, name: &str) -> Result<Include, String> {
    let path = inside(folder, name).ok_or("the path leaves the template's folder")?;
    let found = std::fs::metadata(&path).map_err(|e| io_in_words(&e))?;
    if !found.is_file() {
        return Err("this is not a file".to_owned());
    }
    if found.len() > MAX_INCLUDE {
        return Err("the file is larger than 256 KiB".to_owned());
    }
    let source = std::fs::read(&path).map_err(|e| io_in_words(&e))?;
    let source = String::from_utf8(source).map_err(|_| "the file is not UTF-8".to_owned())?;
    Ok(Include {
        shown: path.display().to_string(),
        scan: Scan::new(&source),
        source,
    })
}

/// `name` below `folder`, if it is a relative path that never steps out.
pub fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let tame = !name.is_empty()
        && !name.contains(['\\', '\0'])
        && path
            .components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    tame.then(|| folder.join(path))
}

/// The usual reasons in plain words.
pub fn io_in_words(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else if kind == std::io::ErrorKind::PermissionDenied {
        "the file may not be read".to_owned()
    } else {
        kind.to_string()
    }
}
