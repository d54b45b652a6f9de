//! The file beside a ledger that says which ledger is sent from here and how far it has got. Does
//! not know what follows from it.
//!
//! The file is four lines of ASCII, each of a fixed length, numbers with leading zeros:
//!
//! ```text
//! sendoff-place 1
//! ledger 3f0c5e0d8a6b4c1f9e7d2b3a4c5d6e7f
//! file 00000000000000123456 01764000000123456789
//! mark 00000000000000000042 2026-11-24T16:00:05.123Z
//! ```
//!
//! `ledger` is the token of the ledger's newest place; `file` the inode of the ledger's file and
//! its birth in nanoseconds since 1970 (dashes where the file system tells none); `mark` counts
//! the groups of attempts begun, with the time of the newest (dashes before the first).

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;

use super::Place;

const FIRST_LINE: &str = "sendoff-place 1";
/// Far longer than the file is.
const MAX_LENGTH: u64 = 512;
/// Where the line with the mark begins: behind `FIRST_LINE`, 40 and 47 bytes.
const MARK_AT: u64 = 16 + 40 + 47;
/// In place of a time that is not known.
const NO_TIME: &str = "------------------------";
const NO_BIRTH: &str = "--------------------";
/// Readings of the file until two agree: another process may be writing it.
const READINGS: u32 = 8;

/// What tells a file from its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    pub(super) inode: u64,
    /// Nanoseconds since 1970.
    pub(super) born: Option<u64>,
}

impl FileId {
    pub(super) fn of(file: &Metadata) -> Self {
        let born = file.created().ok();
        let born = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            inode: inode(file),
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
        }
    }

    /// In doubt the same: a birth that one of the two does not know tells nothing.
    pub(super) fn may_be(self, other: Self) -> bool {
        let (Some(one), Some(two)) = (self.born, other.born) else {
            return self.inode == other.inode;
        };
        self.inode == other.inode && one == two
    }
}

#[cfg(unix)]
fn inode(file: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

/// What the file beside the ledger says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) place: Place,
    pub(super) file: FileId,
}

impl Note {
    pub(super) fn text(&self) -> String {
        let born = self
            .file
            .born
            .map_or(NO_BIRTH.to_owned(), |born| format!("{born:020}"));
        format!(
            "{FIRST_LINE}\nledger {}\nfile {:020} {born}\n{}",
            self.place.token,
            self.file.inode,
            mark_line(self.place.mark, self.place.marked_at),
        )
    }

    /// None when the text is not one of ours, or was cut off.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let mut line = |name: &str| lines.next()?.strip_prefix(name);
        line(FIRST_LINE)?;
        let token = line("ledger ")?.to_owned();
        let (inode, born) = line("file ")?.split_once(' ')?;
        let (mark, marked_at) = line("mark ")?.split_once(' ')?;
        let known = |text: &str| !text.starts_with('-');
        let marked_at: Option<Timestamp> = known(marked_at)
            .then(|| marked_at.parse())
            .transpose()
            .ok()?;
        Some(Self {
            place: Place {
                token,
                mark: mark.parse().ok()?,
                marked_at: marked_at.map(Timestamp::as_millisecond),
            },
            file: FileId {
                inode: inode.parse().ok()?,
                born: known(born).then(|| born.parse()).transpose().ok()?,
            },
        })
    }
}

fn mark_line(mark: i64, marked_at: Option<i64>) -> String {
    let at = marked_at.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.map_or(NO_TIME.to_owned(), |at| format!("{at:.3}"));
    format!("mark {mark:020} {at}\n")
}

/// In place: another process may have the file open. Forced to the disk with its name, for it is
/// made once.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(u64::try_from(text.len()).unwrap_or(u64::MAX))?;
    file.sync_all()?;
    match path.parent().map(File::open) {
        // Where a folder cannot be opened, its names take care of themselves.
        Some(Ok(folder)) => folder.sync_all().or(Ok(())),
        Some(Err(_)) | None => Ok(()),
    }
}

/// What stands in the file; none where there is no file, or no note in it.
pub(super) fn read(path: &Path) -> io::Result<Option<Note>> {
    let mut before = None;
    for _ in 0..READINGS {
        let text = match read_once(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if before.as_ref() == Some(&text) {
            break;
        }
        before = Some(text);
    }
    Ok(before.and_then(|text| Note::parse(&String::from_utf8(text).ok()?)))
}

fn read_once(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_LENGTH).read_to_end(&mut text)?;
    Ok(text)
}

/// Writes a mark into the file, unless there is a later one.
pub(super) fn write_mark(file: &mut File, mark: i64, at: Option<i64>) -> io::Result<()> {
    let line = mark_line(mark, at);
    let mut there = vec![0; line.len()];
    file.seek(SeekFrom::Start(MARK_AT))?;
    file.read_exact(&mut there)?;
    if *there >= *line.as_bytes() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(MARK_AT))?;
    file.write_all(line.as_bytes())
}

/// A place and its note, for the tests here and above.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    pub(in super::super) const FILE: FileId = FileId {
        inode: 7,
        born: Some(1_764_000_000_123_456_789),
    };

    pub(in super::super) fn place(mark: i64) -> Place {
        Place {
            token: "3f0c5e0d8a6b4c1f9e7d2b3a4c5d6e7f".to_owned(),
            mark,
            marked_at: (mark > 0).then_some(1_764_000_005_123),
        }
    }

    pub(in super::super) fn note(mark: i64) -> Note {
        Note {
            place: place(mark),
            file: FILE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{note, place};
    use super::*;

    #[test]
    fn the_documented_text_is_written_and_read() {
        let text = note(42).text();
        let expected = "sendoff-place 1\nledger 3f0c5e0d8a6b4c1f9e7d2b3a4c5d6e7f\n\
             file 00000000000000000007 01764000000123456789\n\
             mark 00000000000000000042 2025-11-24T16:00:05.123Z\n";
        assert_eq!(text, expected);
        let unknown = Note {
            place: place(0),
            file: FileId {
                inode: 7,
                born: None,
            },
        };
        for note in [note(42), note(0), unknown] {
            let text = note.text();
            assert_eq!(text.len(), expected.len());
            let at = usize::try_from(MARK_AT).unwrap();
            assert!(text[at..].starts_with("mark "), "{text}");
            assert_eq!(Note::parse(&text), Some(note));
            for end in 0..text.len() {
                assert_eq!(Note::parse(&text[..end]), None, "{end}");
            }
        }
    }
}
