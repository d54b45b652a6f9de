//! File systems of a test's own: a small disk, a read-only one. They stand in a mount namespace
//! that only the programs started through it see, and end with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mount namespace, held open by a process.
#[derive(Debug)]
pub(crate) struct Mounts {
    holder: Child,
    own_user: bool,
}

impl Mounts {
    /// Runs `script` (`mount` commands of a shell) in a namespace of its own; none where this
    /// machine lets nobody have one.
    pub(crate) fn new(script: &str) -> Option<Self> {
        // A user namespace needs no rights; root may do without where there are none.
        let attempt = |own_user| {
            let flags = if own_user { "-rm" } else { "-m" };
            let script = format!("set -e\n{script}\necho ready\nexec cat");
            let mut holder = Command::new("unshare")
                .args([flags, "sh", "-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("`unshare` of util-linux is needed on the PATH");
            let mut said = String::new();
            let out = holder.stdout.take().unwrap();
            BufReader::new(out).read_line(&mut said).unwrap();
            let mounts = Self { holder, own_user };
            (said == "ready\n").then_some(mounts)
        };
        attempt(true).or_else(|| attempt(false))
    }

    /// The command that starts a program inside, in `folder`.
    pub(crate) fn entrance(&self, folder: &Path) -> Vec<String> {
        let pid = self.holder.id().to_string();
        let mut words = vec!["nsenter".to_owned(), "--target".to_owned(), pid];
        if self.own_user {
            words.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        words.push("--mount".to_owned());
        // Entering leads to the root; back to where the program is to run.
        let back = format!("cd '{}' && exec \"$0\" \"$@\"", folder.display());
        words.extend(["sh".to_owned(), "-c".to_owned(), back]);
        words
    }

    /// The way from outside to a path inside.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        self.holder.kill().ok();
        self.holder.wait().ok();
    }
}
