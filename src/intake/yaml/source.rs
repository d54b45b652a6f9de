//! The text of one file: how it is read, and how a place in it is shown. Does not know YAML.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::path::Path;

use super::tree::is_word;
use crate::domain::campaign::FrozenFile;
use crate::domain::digest::Digest;
use crate::domain::problem::{Place, Problem, Problems, SHOWN, nearest};

/// Longest file that is read; a campaign of a hundred lines has 4 KiB.
pub(crate) const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A file's name and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// Bytes that are never shown, in order and apart: secrets that somebody wrote into the file.
    hidden: Vec<Range<usize>>,
    /// Excerpts show the names of fields and no value.
    sealed: bool,
}

impl Source {
    /// Reads a file; the problem that prevents it has no place, for the file has none.
    pub(crate) fn open(path: &Path) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let bytes = read_bounded(path).map_err(|error| unreadable(&name, &error))?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Problem::error(format!("'{name}' is larger than 1 MiB"))
                .help("move long lists of values into the recipients' CSV file")
                .into());
        }
        let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))?;
        let source = Self::new(name, text);
        if source.text.trim_start_matches('\u{feff}').trim().is_empty() {
            return Err(source.empty().into());
        }
        Ok(source)
    }

    pub(crate) fn new(name: String, text: String) -> Self {
        let mut lines = vec![0];
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            // YAML 1.2 §5.4: a line ends with LF, CR or CR LF.
            if *byte == b'\n' || (*byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                lines.push(at + 1);
            }
        }
        Self {
            name,
            text,
            lines,
            hidden: Vec::new(),
            sealed: false,
        }
    }

    /// The problem of a file that says nothing.
    pub(crate) fn empty(&self) -> Problem {
        Problem::error(format!("'{}' is empty", self.name))
            .at(self.place(&(0..0)))
            .label("nothing but comments and blanks")
            .help("`sendoff init` writes a working example to start from")
    }

    /// From now on excerpts show no value.
    pub(crate) fn seal(&mut self) {
        self.sealed = true;
    }

    /// From now on excerpts show all but these bytes.
    pub(crate) fn unseal(&mut self, hidden: Vec<Range<usize>>) {
        self.sealed = false;
        self.hidden = merged(hidden);
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn slice(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// The line around a byte, without its end, and the number of it from 0.
    pub(crate) fn line_at(&self, at: usize) -> (usize, Range<usize>) {
        let at = at.min(self.text.len());
        let number = self.lines.partition_point(|start| *start <= at).max(1) - 1;
        let start = self.lines.get(number).copied().unwrap_or_default();
        let end = self
            .lines
            .get(number + 1)
            .copied()
            .unwrap_or(self.text.len());
        let line = self.slice(&(start..end)).trim_end_matches(['\n', '\r']);
        (number, start..start + line.len())
    }

    /// The place of a range of bytes; what of it lies on later lines is not underlined.
    pub(crate) fn place(&self, range: &Range<usize>) -> Place {
        let (number, line) = self.line_at(range.start);
        // The byte-order mark at the start of the file is no column of the first line.
        let marked = line.start == 0 && self.text.starts_with('\u{feff}');
        let shown = line.start + if marked { '\u{feff}'.len_utf8() } else { 0 }..line.end;
        let start = range.start.clamp(shown.start, shown.end);
        let end = range.end.clamp(start, shown.end);
        Place {
            file: self.name.clone(),
            line: count(number + 1),
            column: count(self.slice(&(shown.start..start)).chars().count() + 1),
            width: count(self.slice(&(start..end)).trim_end().chars().count()),
            excerpt: Some(self.excerpt(&shown)),
        }
    }

    /// Adds a problem at a range of bytes. Past the number that is shown, the place is not worked
    /// out: a file of nothing but mistakes must not take longer than a good one.
    pub(crate) fn report(&self, problems: &mut Problems, range: &Range<usize>, problem: Problem) {
        problems.push(if problems.errors() + problems.warnings() < 2 * SHOWN {
            problem.at(self.place(range))
        } else {
            problem
        });
    }

    fn excerpt(&self, line: &Range<usize>) -> String {
        let text = self.slice(line);
        let name = text
            .find(':')
            .filter(|colon| {
                let name = text.get(..*colon).unwrap_or_default();
                is_word(name.trim_start_matches(['-', ' ']))
            })
            .map_or(0, |colon| colon + 1);
        let hide = |at: usize| {
            (self.sealed && at >= line.start + name)
                || self
                    .hidden
                    .get(self.hidden.partition_point(|secret| secret.end <= at))
                    .is_some_and(|secret| secret.contains(&at))
        };
        text.char_indices()
            .map(|(at, c)| {
                if !c.is_whitespace() && hide(line.start + at) {
                    '•'
                } else {
                    c
                }
            })
            .collect()
    }

    /// What a run keeps of this file.
    pub(crate) fn freeze(&self, role: &str) -> FrozenFile {
        FrozenFile {
            role: role.to_owned(),
            name: self.name.clone(),
            sha256: Digest::of(self.text.as_bytes()),
            text: Some(self.text.clone()),
        }
    }
}

/// The same bytes, in order, no two ranges touching.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            Some(_) | None => apart.push(range),
        }
    }
    apart
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One byte more than allowed is enough to know that a file is too long.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        let problem = Problem::error(format!("there is no file '{name}'"));
        match sibling(name) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("check the path"),
        }
    } else if kind == ErrorKind::IsADirectory {
        Problem::error(format!("'{name}' is a folder")).help("name a YAML file in it")
    } else if kind == ErrorKind::PermissionDenied {
        Problem::error(format!("'{name}' may not be read"))
            .help("give yourself permission to read it")
    } else {
        Problem::error(format!("'{name}' cannot be read: {kind}"))
    }
}

/// The file in the same folder whose name is nearest.
fn sibling(name: &str) -> Option<String> {
    let path = Path::new(name);
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    // More files than this are no folder of campaigns, and not worth the time.
    let names: Vec<String> = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .ok()?
        .take(1_000)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let near = nearest(
        path.file_name()?.to_str()?,
        names.iter().map(String::as_str),
    )?;
    Some(path.with_file_name(near).display().to_string())
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problem {
    let bytes = error.as_bytes();
    let help = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "it is UTF-16; save it as UTF-8"
    } else {
        "save it as UTF-8"
    };
    let good = bytes
        .get(..error.utf8_error().valid_up_to())
        .unwrap_or_default();
    let line = good.split(|byte| *byte == b'\n').next_back().unwrap_or(&[]);
    let line = String::from_utf8_lossy(line);
    Problem::error(format!("'{name}' is not UTF-8 text"))
        .at(Place {
            file: name.to_owned(),
            line: count(good.split(|byte| *byte == b'\n').count()),
            column: count(line.chars().count() + 1),
            width: 0,
            excerpt: None,
        })
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, range: Range<usize>) -> (u32, u32, u32, String) {
        let place = Source::new("f".to_owned(), text.to_owned()).place(&range);
        (
            place.line,
            place.column,
            place.width,
            place.excerpt.unwrap_or_default(),
        )
    }

    #[test]
    fn a_place_counts_lines_and_characters() {
        let text = "name: é\r\nß: value\rlast";
        assert_eq!(place(text, 0..4), (1, 1, 4, "name: é".to_owned()));
        assert_eq!(place(text, 14..19), (2, 4, 5, "ß: value".to_owned()));
        assert_eq!(place(text, 20..24), (3, 1, 4, "last".to_owned()));
        assert_eq!(place(text, 99..120).0, 3);
    }

    #[test]
    fn the_byte_order_mark_is_no_column() {
        assert_eq!(place("\u{feff}a: 1", 3..4), (1, 1, 1, "a: 1".to_owned()));
    }

    #[test]
    fn what_is_hidden_is_shown_as_dots() {
        let mut source = Source::new("f".to_owned(), "key: hunter2 # x".to_owned());
        source.unseal(vec![5..12, 9..12]);
        assert_eq!(
            source.place(&(5..12)).excerpt.as_deref(),
            Some("key: ••••••• # x")
        );
        source.seal();
        assert_eq!(
            source.place(&(0..3)).excerpt.as_deref(),
            Some("key: ••••••• • •")
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.yaml");
        let open = || {
            let problems = Source::open(&file).unwrap_err();
            problems.iter().next().unwrap().clone()
        };
        assert!(open().message.contains("there is no file"));
        std::fs::write(folder.path().join("xx.yaml"), "").unwrap();
        assert!(open().help.unwrap().ends_with("xx.yaml`?"));
        std::fs::write(&file, " \n").unwrap();
        assert!(open().message.ends_with("is empty"));
        std::fs::write(&file, b"name: x\nvars: \xe9\n").unwrap();
        let problem = open();
        let place = problem.place.unwrap();
        assert_eq!((place.line, place.column), (2, 7));
        std::fs::write(&file, b"\xff\xfen\0").unwrap();
        assert_eq!(open().help.unwrap(), "it is UTF-16; save it as UTF-8");
        std::fs::write(&file, vec![b'#'; MAX_FILE_BYTES + 1]).unwrap();
        assert!(open().message.contains("larger than 1 MiB"));
        let problems = Source::open(folder.path()).unwrap_err();
        assert!(problems.iter().all(|p| p.message.contains("folder")));
    }
}
