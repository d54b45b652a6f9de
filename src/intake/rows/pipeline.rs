//! A list in motion: one thread cuts it into blocks, a few check the rows, and the chunks come
//! out in the order of the list. What is in flight is bounded, so memory does not grow with the
//! list.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::super::encoding::Encoding;
use super::super::list::frame::{Block, Fault, Framer};
use super::check::Checker;
use super::desk::{Checked, Desk, Found};
use super::{STACK, list_place, list_problem};
use crate::domain::campaign::FrozenFile;
use crate::domain::problem::{Problem, Problems, SHOWN, Severity};
use crate::domain::recipient::Chunk;

/// Rows of a chunk: enough that handing over costs nothing, few enough to hold a dozen of them.
/// A power of two, which ledgers take in one piece.
pub(super) const ROWS: usize = 512;
/// Text of a chunk, when its rows are long.
pub(super) const BYTES: usize = 256 * 1024;
/// Blocks that wait for each thread, so that none idles.
const AHEAD: usize = 2;
/// More threads than this only wait for the one that reads.
const MOST_THREADS: usize = 8;
/// Rows that are named for one and the same problem.
pub(super) const NAMED: u64 = 3;

/// What is known of a list once it has been read to its end.
#[derive(Debug, Clone)]
pub struct ListFacts {
    /// Name and digest of the list; its text is not kept.
    pub file: FrozenFile,
    /// Rows, the header and blank rows not counted.
    pub records: u64,
    pub encoding: Encoding,
    /// The character between two cells.
    pub delimiter: char,
}

/// The rows of a list, chunk by chunk. Must be driven on a thread that may block.
#[derive(Debug)]
pub struct Rows {
    framer: Framer,
    desk: Arc<Desk>,
    workers: Vec<Worker>,
    threads: usize,
    sent: usize,
    received: usize,
    /// Nothing more is to be read.
    ended: bool,
    fault: Option<(Fault, u64)>,
    /// What was found before the first row.
    early: Problems,
    /// The same problem in many rows is told for the first few.
    repeated: HashMap<String, u64>,
    /// Problems that were told, and rows whose problem was not, for there were too many.
    told: usize,
    untold: u64,
    tried: u64,
    failed: u64,
    failure: Option<String>,
    closed: bool,
}

#[derive(Debug)]
struct Worker {
    blocks: SyncSender<Block>,
    results: Receiver<Checked>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(desk: &Arc<Desk>) -> std::io::Result<Self> {
        let (blocks, todo) = sync_channel::<Block>(AHEAD);
        let (done, results) = sync_channel(AHEAD);
        let desk = Arc::clone(desk);
        // Ends when either side of its channels is dropped.
        let thread = std::thread::Builder::new()
            .name("rows".to_owned())
            .stack_size(STACK)
            .spawn(move || {
                let mut checker = Checker::new(&desk);
                for block in todo {
                    if done.send(checker.check(&block)).is_err() {
                        break;
                    }
                }
            })?;
        Ok(Self {
            blocks,
            results,
            thread,
        })
    }
}

impl Rows {
    pub(super) fn new(framer: Framer, desk: Desk, early: Problems) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            framer,
            desk: Arc::new(desk),
            workers: Vec::new(),
            threads: threads.min(MOST_THREADS),
            sent: 0,
            received: 0,
            ended: false,
            fault: None,
            early,
            repeated: HashMap::new(),
            told: 0,
            untold: 0,
            tried: 0,
            failed: 0,
            failure: None,
            closed: false,
        }
    }

    /// What the list turned out to be. Complete once the last chunk has been taken.
    pub fn finish(self) -> ListFacts {
        let reader = self.framer.reader();
        ListFacts {
            file: FrozenFile {
                role: "list".to_owned(),
                name: self.desk.list.clone(),
                sha256: reader.sha256(),
                text: None,
            },
            records: self.framer.records(),
            encoding: reader.encoding(),
            delimiter: char::from(self.framer.delimiter()),
        }
    }

    /// Reads on until every thread has enough to do.
    fn feed(&mut self) {
        while !self.ended && self.sent - self.received < self.threads * AHEAD {
            let mut block = Block::default();
            if let Err(fault) = self.framer.fill_block(&mut block, ROWS, BYTES) {
                self.fault = Some(fault);
                self.ended = true;
            }
            if block.starts.is_empty() || !self.send(block) {
                self.ended = true;
            }
        }
    }

    fn send(&mut self, block: Block) -> bool {
        let turn = self.sent % self.threads;
        if turn == self.workers.len() {
            match Worker::start(&self.desk) {
                Ok(worker) => self.workers.push(worker),
                // No thread to be had: those there are must do.
                Err(_) if turn > 0 && self.sent == turn => {
                    self.threads = turn;
                    return self.send(block);
                }
                Err(error) => {
                    self.early
                        .push(Problem::error(format!("cannot start a thread: {error}")));
                    return false;
                }
            }
        }
        let worker = self.workers.get(self.sent % self.threads);
        let sent = worker.is_some_and(|worker| worker.blocks.send(block).is_ok());
        self.sent += usize::from(sent);
        sent
    }

    fn receive(&mut self) -> Chunk {
        let turn = self.received % self.threads;
        let result = self
            .workers
            .get(turn)
            .and_then(|worker| worker.results.recv().ok());
        let mut problems = std::mem::take(&mut self.early);
        let Some(checked) = result else {
            problems.push(Problem::error(
                "the check of the list broke off; this is a fault in sendoff",
            ));
            self.ended = true;
            self.received = self.sent;
            return Chunk {
                problems,
                ..Chunk::default()
            };
        };
        self.received += 1;
        self.tried += checked.tried;
        self.failed += checked.failed;
        self.failure = self.failure.take().or(checked.failure);
        for found in checked.found {
            self.tell(found, &mut problems);
        }
        let media = checked
            .files
            .into_iter()
            .filter_map(|sha256| self.desk.shelf.hand_out(sha256));
        Chunk {
            rows: checked.rows,
            media: media.collect(),
            problems,
        }
    }

    /// Names the first rows with a problem; of a warning, the first.
    fn tell(&mut self, Found { same, problem }: Found, problems: &mut Problems) {
        let known = self.repeated.get(&same).copied().unwrap_or(0);
        let named = match problem.severity {
            Severity::Error => NAMED,
            Severity::Warning => 1,
        };
        if known < named && self.told >= SHOWN {
            self.untold += u64::from(problem.severity == Severity::Error);
            return;
        }
        if problem.severity == Severity::Error || known == 0 {
            self.repeated.insert(same, known + 1);
        }
        if known < named {
            self.told += 1;
            problems.push(problem);
        }
    }

    /// What can be said only at the end.
    fn close(&mut self) -> Option<Chunk> {
        self.closed = true;
        let mut problems = std::mem::take(&mut self.early);
        let list = &self.desk.list;
        let mut repeated: Vec<_> = self
            .repeated
            .drain()
            .filter(|(_, times)| *times > NAMED)
            .collect();
        repeated.sort_unstable();
        for (same, times) in repeated {
            let more = times - NAMED;
            let message = match same.as_str() {
                "ragged" => format!("{more} more rows have too many or too few cells"),
                same => format!("{more} more rows: {same}"),
            };
            problems.push(Problem::error(message).at(list_place(list, 1)));
        }
        if self.untold > 0 {
            let message = format!("{} more rows have problems of their own", self.untold);
            problems.push(Problem::error(message).at(list_place(list, 1)));
        }
        if let Some((fault, line)) = self.fault.take() {
            problems.push(list_problem(list, &fault, line));
        } else if self.framer.records() == 0 {
            problems.push(
                Problem::error("the list has a header but no rows")
                    .at(list_place(list, 1))
                    .help("add one row for each recipient"),
            );
        }
        if self.tried > 0 && self.failed == self.tried {
            problems.push(
                Problem::error(format!(
                    "the template fails for every row of the list: {}",
                    self.failure.take().unwrap_or_default()
                ))
                .help("most likely the template is wrong, or it reads the wrong column"),
            );
        }
        if self.framer.reader().encoding() == Encoding::Windows1252 {
            problems.push(
                Problem::warning("the list is not UTF-8 and was read as Windows-1252")
                    .at(list_place(list, 1))
                    .help("look at the names with accents; \"CSV UTF-8\" is the safe format"),
            );
        }
        (!problems.is_empty()).then(|| Chunk {
            problems,
            ..Chunk::default()
        })
    }
}

impl Iterator for Rows {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        if self.closed {
            return None;
        }
        self.feed();
        if self.received < self.sent {
            return Some(self.receive());
        }
        self.close()
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        for Worker {
            blocks,
            results,
            thread,
        } in self.workers.drain(..)
        {
            drop((blocks, results));
            // A thread that broke off has shown itself by its missing result.
            drop(thread.join());
        }
    }
}
