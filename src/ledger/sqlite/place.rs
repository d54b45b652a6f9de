//! Where a ledger is at home. A small file beside it, `<ledger>-place`, repeats which ledger is
//! sent from here and how far it has got; a ledger that does not match it has been copied, moved
//! or put back from a backup. Says what it finds; whether to send all the same is not decided
//! here.
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
//!
//! The mark is raised in the transaction that begins a group, and written here after its commit
//! and before the first of its requests leaves. So the file is never ahead of the ledger beside
//! it, unless an older ledger has taken that one's place. It is not forced to the disk: after a
//! power loss it may be behind, which only makes it blind to a backup as new as that.
//!
//! | killed | leaves behind |
//! |---|---|
//! | between commit and mark | a file that is one behind; the next group mends it |
//! | while a copy is accepted | the ledger as it was: the question is asked again |

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;
use sqlx::FromRow;

use super::super::rows::{instant, instants};
use super::super::{Copied, LedgerError, Sign, Write};
use super::shared::Tx;
use super::{SqliteLedger, statements as sql};
use crate::domain::cause::because;

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

/// The file beside the ledger, once it is sure that the ledger is at home here. Only then marks
/// are left: a process that never asked leaves the traces of others as they are.
#[derive(Debug, Default)]
pub(super) struct Home(Mutex<Option<File>>);

impl Home {
    fn held(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place as the ledger holds it.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
struct Place {
    token: String,
    mark: i64,
    marked_at: Option<i64>,
}

/// What tells a file from its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: u64,
    /// Nanoseconds since 1970.
    born: Option<u64>,
}

impl FileId {
    fn of(file: &Metadata) -> Self {
        let born = file.created().ok();
        let born = born.and_then(|born| born.duration_since(SystemTime::UNIX_EPOCH).ok());
        Self {
            inode: inode(file),
            born: born.and_then(|born| u64::try_from(born.as_nanos()).ok()),
        }
    }

    /// In doubt the same: a birth that one of the two does not know tells nothing.
    fn may_be(self, other: Self) -> bool {
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
struct Note {
    place: Place,
    file: FileId,
}

impl Note {
    fn text(&self) -> String {
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

/// What ledger and note come to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Home,
    /// Never sent from: it settles here.
    New,
    Away(Sign),
}

fn verdict(ledger: &Place, note: Option<&Note>, file: FileId) -> Verdict {
    let sent = ledger.mark > 0;
    let Some(note) = note else {
        return if sent {
            Verdict::Away(Sign::NoNote)
        } else {
            Verdict::New
        };
    };
    if note.place.token != ledger.token {
        return if sent {
            Verdict::Away(Sign::OtherLedger)
        } else {
            Verdict::New
        };
    }
    if note.place.mark > ledger.mark {
        let sent_until = note.place.marked_at.and_then(|ms| instant(ms).ok());
        return Verdict::Away(Sign::Behind { sent_until });
    }
    if note.file.may_be(file) {
        Verdict::Home
    } else if sent {
        Verdict::Away(Sign::OtherFile)
    } else {
        Verdict::New
    }
}

fn note_path(ledger: &SqliteLedger) -> PathBuf {
    let mut path = ledger.path.clone().into_os_string();
    path.push("-place");
    path.into()
}

/// Looks whether the ledger is at home; a new one settles. All of it under the write lock, so
/// that of many processes which start at once one settles and the others find it done.
pub(super) async fn take(ledger: &SqliteLedger) -> Result<Option<Copied>, LedgerError> {
    let mut tx = ledger.begin().await?;
    let found = Found::look(ledger, &mut tx).await?;
    match found.verdict() {
        Verdict::Home => found.hold(ledger, &found.place)?,
        Verdict::New => {
            // Under its own name, so that a backup from before the first message is known again;
            // unless that name is in use elsewhere.
            let copied = found
                .note
                .as_ref()
                .is_some_and(|note| note.place.token == found.place.token);
            if copied {
                let place = new_place(&mut tx, &found, None).await?;
                found.write(ledger, &place)?;
            } else {
                found.write(ledger, &found.place)?;
            }
            tx.commit().await?;
        }
        Verdict::Away(sign) => {
            return Ok(Some(Copied {
                store: ledger.path.display().to_string(),
                known_until: instants(found.place.marked_at)?,
                sign,
            }));
        }
    }
    Ok(None)
}

/// Makes this the ledger's home, whatever [`take`] has found.
pub(super) async fn accept(ledger: &SqliteLedger, now: Timestamp) -> Result<(), LedgerError> {
    let mut tx = ledger.begin().await?;
    let found = Found::look(ledger, &mut tx).await?;
    if found.verdict() == Verdict::Home {
        // Another process was told the same and came first.
        return found.hold(ledger, &found.place);
    }
    let place = new_place(&mut tx, &found, Some(now)).await?;
    // Before the commit, while the lock is held: others find both as they were, or both new.
    found.write(ledger, &place)?;
    Ok(tx.commit().await?)
}

/// A new token, so that neither what was left behind nor an older backup passes for this one.
async fn new_place(
    tx: &mut Tx<'_>,
    found: &Found,
    taken_at: Option<Timestamp>,
) -> Result<Place, LedgerError> {
    Ok(sqlx::query_as(sql::NEW_PLACE)
        .bind(taken_at.map(Timestamp::as_millisecond))
        .bind(found.place.mark)
        .bind(found.place.marked_at)
        .fetch_one(&mut **tx)
        .await?)
}

/// Ledger, file and note, seen under the write lock.
struct Found {
    place: Place,
    note: Option<Note>,
    file: FileId,
}

impl Found {
    async fn look(ledger: &SqliteLedger, tx: &mut Tx<'_>) -> Result<Self, LedgerError> {
        let place = sqlx::query_as(sql::PLACE).fetch_one(&mut **tx).await?;
        let file =
            std::fs::metadata(&ledger.path).map_err(|error| unusable(&ledger.path, &error))?;
        Ok(Self {
            place,
            note: read(&note_path(ledger))?,
            file: FileId::of(&file),
        })
    }

    fn verdict(&self) -> Verdict {
        verdict(&self.place, self.note.as_ref(), self.file)
    }

    /// Keeps the file open for the marks.
    fn hold(&self, ledger: &SqliteLedger, place: &Place) -> Result<(), LedgerError> {
        let path = note_path(ledger);
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        let file = opened.map_err(|error| unusable(&path, &error))?;
        *ledger.home.held() = Some(file);
        if self
            .note
            .as_ref()
            .is_none_or(|note| note.place.mark < place.mark)
        {
            keep(
                ledger,
                Some(&Mark {
                    mark: place.mark,
                    at: place.marked_at,
                }),
            );
        }
        Ok(())
    }

    /// Writes the whole note, in place: another process may have it open. It is forced to the
    /// disk with its name, for it is made once.
    fn write(&self, ledger: &SqliteLedger, place: &Place) -> Result<(), LedgerError> {
        let path = note_path(ledger);
        let note = Note {
            place: place.clone(),
            file: self.file,
        };
        write_whole(&path, &note.text()).map_err(|error| unusable(&path, &error))?;
        self.hold(ledger, place)
    }
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
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
fn read(path: &Path) -> Result<Option<Note>, LedgerError> {
    let mut before = None;
    for _ in 0..READINGS {
        let text = match read_once(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unusable(path, &error)),
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

fn unusable(path: &Path, error: &io::Error) -> LedgerError {
    if error.kind() == io::ErrorKind::StorageFull {
        return LedgerError::DiskFull;
    }
    LedgerError::Unopenable {
        path: path.into(),
        reason: format!(
            "what it says of the ledger's place cannot be kept ({})",
            because(error)
        ),
    }
}

/// A mark that was raised, to be written beside the ledger once it is committed.
#[derive(Debug, FromRow)]
pub(super) struct Mark {
    mark: i64,
    #[sqlx(rename = "marked_at")]
    at: Option<i64>,
}

/// Raises the mark for a group that begins attempts.
pub(super) async fn raise(
    ledger: &SqliteLedger,
    tx: &mut Tx<'_>,
    group: &[Write],
) -> Result<Option<Mark>, LedgerError> {
    let begun = group.iter().filter_map(|write| match write {
        Write::Begin(begin) => Some(begin.at),
        Write::Record(_) | Write::Release(_) | Write::Settle(_) => None,
    });
    let Some(newest) = begun.max() else {
        return Ok(None);
    };
    if ledger.home.held().is_none() {
        return Ok(None);
    }
    let mark = sqlx::query_as(sql::RAISE_MARK)
        .bind(newest.as_millisecond())
        .fetch_one(&mut **tx)
        .await?;
    Ok(Some(mark))
}

/// Writes a committed mark beside the ledger, unless another process has written a later one.
/// What cannot be written is only a weaker trace: nothing that was committed depends on it.
pub(super) fn keep(ledger: &SqliteLedger, mark: Option<&Mark>) {
    let mut home = ledger.home.held();
    let (Some(mark), Some(file)) = (mark, home.as_mut()) else {
        return;
    };
    if let Err(error) = write_mark(file, mark) {
        tracing::warn!(error = %because(&error), "the note beside the ledger was not written");
    }
}

fn write_mark(file: &mut File, mark: &Mark) -> io::Result<()> {
    let line = mark_line(mark.mark, mark.at);
    let mut there = vec![0; line.len()];
    file.seek(SeekFrom::Start(MARK_AT))?;
    file.read_exact(&mut there)?;
    if *there >= *line.as_bytes() {
        return Ok(());
    }
    file.seek(SeekFrom::Start(MARK_AT))?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: FileId = FileId {
        inode: 7,
        born: Some(1_764_000_000_123_456_789),
    };

    fn place(mark: i64) -> Place {
        Place {
            token: "3f0c5e0d8a6b4c1f9e7d2b3a4c5d6e7f".to_owned(),
            mark,
            marked_at: (mark > 0).then_some(1_764_000_005_123),
        }
    }

    fn note(mark: i64) -> Note {
        Note {
            place: place(mark),
            file: FILE,
        }
    }

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

    #[test]
    fn what_was_never_sent_from_settles_and_what_was_must_match() {
        let other = Place {
            token: "another".to_owned(),
            ..place(3)
        };
        let elsewhere = FileId { inode: 8, ..FILE };
        let reborn = FileId {
            born: Some(1),
            ..FILE
        };
        for (ledger, note, file, expected) in [
            (place(0), None, FILE, Verdict::New),
            (place(0), Some(note(0)), FILE, Verdict::Home),
            (place(0), Some(note(0)), elsewhere, Verdict::New),
            (place(3), Some(note(3)), FILE, Verdict::Home),
            (place(3), Some(note(2)), FILE, Verdict::Home),
            (place(3), None, FILE, Verdict::Away(Sign::NoNote)),
            (
                place(3),
                Some(note(3)),
                elsewhere,
                Verdict::Away(Sign::OtherFile),
            ),
            (
                place(3),
                Some(note(3)),
                reborn,
                Verdict::Away(Sign::OtherFile),
            ),
            (other, Some(note(3)), FILE, Verdict::Away(Sign::OtherLedger)),
        ] {
            assert_eq!(
                verdict(&ledger, note.as_ref(), file),
                expected,
                "{ledger:?} {note:?}"
            );
        }
        for mark in [0, 3] {
            let found = verdict(&place(mark), Some(&note(4)), FILE);
            assert!(
                matches!(found, Verdict::Away(Sign::Behind { .. })),
                "{found:?}"
            );
        }
        let unborn = FileId { born: None, ..FILE };
        assert_eq!(verdict(&place(3), Some(&note(3)), unborn), Verdict::Home);
    }
}
