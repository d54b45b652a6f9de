//! Where a ledger is at home. A small file beside it, `<ledger>-place`, repeats which ledger is
//! sent from here and how far it has got; a ledger that does not match it has been copied, moved
//! or put back from a backup. Says what it finds; whether to send all the same is not decided
//! here.
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

mod note;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use sqlx::FromRow;

use self::note::{FileId, Note, read, write_mark, write_whole};
use super::super::copy::Traces;
use super::super::rows::{instant, instants};
use super::super::{Copied, LedgerError, Sign, Write};
use super::shared::Tx;
use super::{SqliteLedger, copy, statements as sql};
use crate::domain::cause::because;

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
pub(super) struct Place {
    token: String,
    mark: i64,
    marked_at: Option<i64>,
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
    let mut tx = ledger.lock().await?;
    let found = Found::look(ledger, &mut tx).await?;
    match copy::closed(&mut tx).await?.refusal() {
        None => {}
        Some(LedgerError::Moved { to, at }) => {
            return Ok(Some(found.away(ledger, Sign::Moved { to, at })?));
        }
        Some(refusal) => return Err(refusal),
    }
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
        Verdict::Away(sign) => return Ok(Some(found.away(ledger, sign)?)),
    }
    Ok(None)
}

/// What [`take`] would find. Only looks.
pub(super) async fn look(ledger: &SqliteLedger) -> Result<Option<Copied>, LedgerError> {
    let found = Found::look(ledger, &mut ledger.readers.begin().await?).await?;
    match found.verdict() {
        Verdict::Home | Verdict::New => Ok(None),
        Verdict::Away(sign) => Ok(Some(found.away(ledger, sign)?)),
    }
}

/// How much was sent from here.
pub(super) async fn traces(ledger: &SqliteLedger) -> Result<Traces, LedgerError> {
    let place: Place = sqlx::query_as(sql::PLACE)
        .fetch_one(&ledger.readers)
        .await?;
    Ok(Traces {
        mark: place.mark,
        marked_at: place.marked_at,
    })
}

/// Makes a finished copy at home where it is. Before the commit, as in [`accept`].
pub(super) async fn settle(
    ledger: &SqliteLedger,
    tx: &mut Tx<'_>,
    place: &Place,
) -> Result<(), LedgerError> {
    Found::look(ledger, tx).await?.write(ledger, place)
}

/// Makes this the ledger's home, whatever [`take`] has found.
pub(super) async fn accept(ledger: &SqliteLedger, now: Timestamp) -> Result<(), LedgerError> {
    let mut tx = ledger.lock().await?;
    let found = Found::look(ledger, &mut tx).await?;
    if let Some(refusal @ LedgerError::Unfinished { .. }) = copy::closed(&mut tx).await?.refusal() {
        return Err(refusal);
    }
    copy::take_back(&mut tx).await?;
    if found.verdict() == Verdict::Home {
        // It was only closed, or another process was told the same and came first.
        tx.commit().await?;
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
        let beside = note_path(ledger);
        let place = sqlx::query_as(sql::PLACE).fetch_one(&mut **tx).await?;
        let file =
            std::fs::metadata(&ledger.path).map_err(|error| unusable(&ledger.path, &error))?;
        Ok(Self {
            place,
            note: read(&beside).map_err(|error| unusable(&beside, &error))?,
            file: FileId::of(&file),
        })
    }

    fn away(&self, ledger: &SqliteLedger, sign: Sign) -> Result<Copied, LedgerError> {
        Ok(Copied {
            store: ledger.path.display().to_string(),
            known_until: instants(self.place.marked_at)?,
            sign,
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

    /// Writes the whole note.
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
    if let Err(error) = write_mark(file, mark.mark, mark.at) {
        tracing::warn!(error = %because(&error), "the note beside the ledger was not written");
    }
}

#[cfg(test)]
mod tests {
    use super::note::samples::{FILE, note, place};
    use super::*;

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
