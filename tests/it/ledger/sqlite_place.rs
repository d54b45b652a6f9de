//! Copies of a SQLite file: put back from a backup, copied with or without the note beside it,
//! moved. Each is told from the ledger that was sent from, and what is the same is not.

use std::fs;
use std::path::{Path, PathBuf};

use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Copied, Ledger, RunRecord, Sign};
use tempfile::TempDir;

use super::bench::{Bench, LINE_A, at, freeze, new_run, owner, rows, sent};

/// A folder with a ledger that is open only while something is done with it, so that its file
/// can be copied.
struct Shelf {
    folder: TempDir,
    run: RunRecord,
}

impl Shelf {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = open(&folder.path().join("ledger.db")).await;
        let run = freeze(&ledger, &new_run("spring@once"), rows(1..=20, LINE_A)).await;
        ledger.close().await;
        Self { folder, run }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn at_home(&self, name: &str) {
        assert_eq!(take(&self.path(name)).await, None);
    }

    async fn sign(&self, name: &str) -> Sign {
        let copied = take(&self.path(name)).await.expect("it is a copy");
        assert_eq!(Path::new(&copied.store).file_name(), Some(name.as_ref()));
        copied.sign
    }

    /// Sends one message at each of these times, in a process of its own.
    async fn send(&self, name: &str, times: std::ops::Range<i64>) {
        let ledger = open(&self.path(name)).await;
        assert_eq!(ledger.take_place().await.unwrap(), None);
        let bench = Bench {
            ledger: std::sync::Arc::new(ledger),
            run: self.run.clone(),
            me: owner("me"),
        };
        bench.ledger.enlist(&bench.me, at(0)).await.unwrap();
        for n in times {
            bench.settle_one(n, sent()).await;
        }
        bench.ledger.retire(&bench.me).await.unwrap();
        bench.ledger.close().await;
    }

    async fn accept(&self, name: &str) {
        let ledger = open(&self.path(name)).await;
        ledger.accept_copy(at(0)).await.unwrap();
        assert_eq!(ledger.take_place().await.unwrap(), None);
        ledger.close().await;
    }

    /// Copies a file; into one that is there, as `cp` does.
    fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    /// Puts a copy in the place of a file, as `rsync` does.
    fn replace(&self, from: &str, to: &str) {
        self.copy(from, "fresh");
        fs::rename(self.path("fresh"), self.path(to)).unwrap();
    }
}

async fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path, Durability::None).await.unwrap()
}

async fn take(path: &Path) -> Option<Copied> {
    let ledger = open(path).await;
    let found = ledger.take_place().await.unwrap();
    ledger.close().await;
    found
}

#[tokio::test]
async fn a_backup_that_is_put_back_is_known_by_what_was_sent_since() {
    for put_back in [Shelf::copy, Shelf::replace] {
        let shelf = Shelf::new().await;
        shelf.send("ledger.db", 0..3).await;
        shelf.copy("ledger.db", "backup.db");
        shelf.send("ledger.db", 3..5).await;
        put_back(&shelf, "backup.db", "ledger.db");
        let copied = take(&shelf.path("ledger.db")).await.unwrap();
        assert_eq!(copied.known_until, Some(at(2)));
        let sent_until = Some(at(4));
        assert_eq!(copied.sign, Sign::Behind { sent_until });
        // Asked again until a person has said so; then every older copy is one.
        assert_eq!(take(&shelf.path("ledger.db")).await, Some(copied));
        shelf.accept("ledger.db").await;
        shelf.send("ledger.db", 6..7).await;
        shelf.at_home("ledger.db").await;
        put_back(&shelf, "backup.db", "ledger.db");
        assert_eq!(shelf.sign("ledger.db").await, Sign::OtherLedger);
    }
}

#[tokio::test]
async fn a_backup_from_before_the_first_message_is_known_too() {
    let shelf = Shelf::new().await;
    shelf.copy("ledger.db", "backup.db");
    shelf.send("ledger.db", 0..3).await;
    shelf.copy("backup.db", "ledger.db");
    let sent_until = Some(at(2));
    assert_eq!(shelf.sign("ledger.db").await, Sign::Behind { sent_until });
}

#[tokio::test]
async fn a_backup_as_new_as_the_last_message_is_the_ledger_itself() {
    let shelf = Shelf::new().await;
    shelf.send("ledger.db", 0..3).await;
    shelf.copy("ledger.db", "backup.db");
    shelf.copy("backup.db", "ledger.db");
    shelf.at_home("ledger.db").await;
}

#[tokio::test]
async fn a_copy_is_known_with_the_note_beside_it_and_without() {
    let shelf = Shelf::new().await;
    shelf.send("ledger.db", 0..3).await;
    shelf.copy("ledger.db", "other.db");
    assert_eq!(shelf.sign("other.db").await, Sign::NoNote);
    shelf.copy("ledger.db-place", "other.db-place");
    assert_eq!(shelf.sign("other.db").await, Sign::OtherFile);
    // The original is where it was.
    shelf.at_home("ledger.db").await;
    shelf.accept("other.db").await;
    shelf.send("other.db", 3..5).await;
    shelf.send("ledger.db", 3..4).await;
    // Brought back over the original, it is none.
    shelf.copy("other.db", "ledger.db");
    assert_eq!(shelf.sign("ledger.db").await, Sign::OtherLedger);
}

#[tokio::test]
async fn a_ledger_that_moves_with_its_folder_stays_at_home() {
    let shelf = Shelf::new().await;
    shelf.send("ledger.db", 0..3).await;
    fs::create_dir(shelf.path("moved")).unwrap();
    for file in ["ledger.db", "ledger.db-place"] {
        fs::rename(shelf.path(file), shelf.path("moved").join(file)).unwrap();
    }
    shelf.at_home("moved/ledger.db").await;
}

#[tokio::test]
async fn what_was_never_sent_from_can_be_copied_about_and_made_anew() {
    let shelf = Shelf::new().await;
    shelf.at_home("ledger.db").await;
    for file in ["ledger.db", "ledger.db-place"] {
        shelf.copy(file, &file.replace("ledger", "other"));
    }
    shelf.at_home("other.db").await;
    shelf.send("other.db", 0..2).await;
    // Another one over it is another ledger, and a new one a new beginning.
    shelf.send("ledger.db", 0..9).await;
    shelf.copy("ledger.db", "other.db");
    assert_eq!(shelf.sign("other.db").await, Sign::OtherLedger);
    fs::remove_file(shelf.path("other.db")).unwrap();
    shelf.at_home("other.db").await;
}

#[tokio::test]
async fn a_note_that_cannot_be_read_is_none_and_one_that_is_behind_is_good() {
    let shelf = Shelf::new().await;
    shelf.send("ledger.db", 0..2).await;
    let note = shelf.path("ledger.db-place");
    let early = fs::read(&note).unwrap();
    shelf.send("ledger.db", 2..5).await;
    let late = fs::read(&note).unwrap();
    assert!(late > early, "{}", String::from_utf8_lossy(&late));
    // Power was lost before it had reached the disk.
    fs::write(&note, &early).unwrap();
    shelf.at_home("ledger.db").await;
    assert_eq!(fs::read(&note).unwrap(), late, "it has caught up");
    for bad in [b"".as_slice(), b"\0\0\0", &late[..20], &[0xff; 9_000]] {
        fs::write(&note, bad).unwrap();
        assert_eq!(shelf.sign("ledger.db").await, Sign::NoNote);
    }
    shelf.accept("ledger.db").await;
    assert_eq!(fs::read(&note).unwrap().len(), late.len());
    shelf.at_home("ledger.db").await;
}

/// A rehearsal neither asks nor covers the traces.
#[tokio::test]
async fn who_never_asked_leaves_no_mark() {
    let shelf = Shelf::new().await;
    shelf.send("ledger.db", 0..3).await;
    shelf.copy("ledger.db", "backup.db");
    shelf.send("ledger.db", 3..5).await;
    shelf.copy("backup.db", "ledger.db");
    let ledger = open(&shelf.path("ledger.db")).await;
    let bench = Bench {
        ledger: std::sync::Arc::new(ledger),
        run: shelf.run.clone(),
        me: owner("rehearsal"),
    };
    bench.ledger.enlist(&bench.me, at(0)).await.unwrap();
    for n in 3..9 {
        bench.settle_one(n, sent()).await;
    }
    bench.ledger.close().await;
    let sign = shelf.sign("ledger.db").await;
    assert!(matches!(sign, Sign::Behind { .. }), "{sign:?}");
}
