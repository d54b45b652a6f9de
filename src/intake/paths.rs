//! Paths as campaigns write them: relative to the file that names them, shown as the user would
//! type them. Opens nothing.

use std::path::{Component, Path, PathBuf};

/// `named`, as written in `file`, from the user's working directory.
///
/// `..` is taken back against the folder before it (`campaigns/../templates/x.yaml` becomes
/// `templates/x.yaml`), except behind a symbolic link, where the two are different places.
pub(super) fn beside(file: &Path, named: &str) -> PathBuf {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut path = folder.to_path_buf();
    for part in Path::new(named).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if may_step_back(&path) => {
                path.pop();
            }
            Component::ParentDir
            | Component::Normal(_)
            | Component::RootDir
            | Component::Prefix(_) => path.push(part),
        }
    }
    path
}

fn may_step_back(path: &Path) -> bool {
    matches!(path.components().next_back(), Some(Component::Normal(_))) && !path.is_symlink()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_file_that_names_it() {
        let beside = |file: &str, named: &str| beside(Path::new(file), named).display().to_string();
        assert_eq!(beside("campaigns/x.yaml", "x.csv"), "campaigns/x.csv");
        assert_eq!(
            beside("campaigns/x.yaml", "../templates/x.yaml"),
            "templates/x.yaml"
        );
        assert_eq!(beside("x.yaml", "../x.csv"), "../x.csv");
        assert_eq!(beside("../a/x.yaml", "../../x.csv"), "../../x.csv");
        assert_eq!(beside("x.yaml", "./lists/x.csv"), "lists/x.csv");
        assert_eq!(beside("a/x.yaml", "/lists/x.csv"), "/lists/x.csv");
    }
}
