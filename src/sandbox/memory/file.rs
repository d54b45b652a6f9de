//! The state file as bytes: one line for each act, each with a check sum, only ever added to.
//! Knows what a line must look like, not what it does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Act, StateError};
use crate::domain::digest::{Digest, hex};
use crate::sandbox::time::{Course, Gait};

/// Of the format of this file. Another one is refused: acts of another kind would be done wrongly.
const VERSION: u32 = 1;
/// What the first line says of the file.
const KIND: &str = "sendoff sandbox state";
/// Hex digits of the check sum before each line.
const SUM: usize = 16;

/// The first line: what the sandbox was when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    file: String,
    version: u32,
    pub(super) seed: u64,
    pub(super) lines: Vec<String>,
    pub(super) tenants: Vec<String>,
    machine_us: i64,
    provider_us: i64,
    rate: std::num::NonZeroU32,
    stopped: bool,
}

impl Header {
    pub(super) fn new(seed: u64, lines: Vec<String>, tenants: Vec<String>, course: Course) -> Self {
        Self {
            file: KIND.to_owned(),
            version: VERSION,
            seed,
            lines,
            tenants,
            machine_us: course.machine_us,
            provider_us: course.provider_us,
            rate: course.rate,
            stopped: course.gait == Gait::Stopped,
        }
    }

    /// How the provider's clock went at first.
    pub(super) fn course(&self) -> Course {
        Course {
            machine_us: self.machine_us,
            provider_us: self.provider_us,
            rate: self.rate,
            gait: if self.stopped {
                Gait::Stopped
            } else {
                Gait::Running
            },
        }
    }
}

/// One act, and when it was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Line {
    /// By the machine's clock.
    pub(super) at_us: i64,
    pub(super) act: Act,
}

/// An open state file, at its end.
#[derive(Debug)]
pub(super) struct Log(File);

/// What was in the file.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) log: Log,
    pub(super) header: Header,
    pub(super) lines: Vec<Line>,
    /// How many bytes of a last line that was never finished were dropped.
    pub(super) torn: u64,
}

/// Only the version, whatever else a later format has.
#[derive(Debug, Deserialize)]
struct Kind {
    file: String,
    version: u32,
}

/// Opens the file, or begins it with `fresh`.
pub(super) fn open(path: &Path, fresh: &Header) -> Result<Kept, StateError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // It holds numbers and messages.
        options.mode(0o600);
    }
    let mut file = options.open(path).map_err(StateError::Open)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StateError::Taken),
        Err(TryLockError::Error(error)) => return Err(StateError::Open(error)),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(StateError::Open)?;
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let (lines, torn) = bytes.split_at(whole);
    let mut lines = lines.split_inclusive(|byte| *byte == b'\n').zip(1..);
    let Some((first, _)) = lines.next() else {
        // A file without a whole first line is one in which nothing was ever answered, unless it
        // is somebody else's.
        let ours = line_of(fresh)?;
        if !is_beginning(&bytes, &ours) {
            return Err(StateError::Foreign);
        }
        cut(&mut file, 0).map_err(StateError::Write)?;
        file.write_all(&ours).map_err(StateError::Write)?;
        return Ok(Kept {
            log: Log(file),
            header: fresh.clone(),
            lines: Vec::new(),
            torn: 0,
        });
    };
    let header = first_line(first)?;
    let lines = lines
        .map(|(line, number)| parse(line).ok_or(StateError::Damaged(number)))
        .collect::<Result<_, _>>()?;
    cut(&mut file, whole as u64).map_err(StateError::Write)?;
    Ok(Kept {
        log: Log(file),
        header,
        lines,
        torn: torn.len() as u64,
    })
}

/// Whether all there is may be the beginning of a first line: its check sum depends on the
/// moment, so only what does not is compared.
fn is_beginning(bytes: &[u8], ours: &[u8]) -> bool {
    let body = |line: &[u8]| line.get(SUM + 1..).unwrap_or_default().to_owned();
    let mark = body(ours);
    let mark = mark.get(..KIND.len() + 10).unwrap_or_default();
    let found = body(bytes);
    let shorter = found.len().min(mark.len());
    let sum = bytes.get(..SUM.min(bytes.len())).unwrap_or_default();
    found.get(..shorter) == mark.get(..shorter) && sum.iter().all(u8::is_ascii_hexdigit)
}

fn cut(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(drop)
}

fn first_line(line: &[u8]) -> Result<Header, StateError> {
    let json = line.get(SUM + 1..).ok_or(StateError::Foreign)?;
    let kind: Kind = serde_json::from_slice(json).map_err(|_| StateError::Foreign)?;
    if kind.file != KIND {
        return Err(StateError::Foreign);
    }
    if kind.version != VERSION {
        return Err(StateError::Version(kind.version));
    }
    parse(line).ok_or(StateError::Damaged(1))
}

fn sum(json: &[u8]) -> String {
    let mut sum = hex(Digest::of(json).bytes());
    sum.truncate(SUM);
    sum
}

/// A line with its check sum and its end.
fn line_of(what: &impl Serialize) -> Result<Vec<u8>, StateError> {
    let json = serde_json::to_vec(what).map_err(|error| StateError::Write(error.into()))?;
    let mut line = sum(&json).into_bytes();
    line.push(b' ');
    line.extend(json);
    line.push(b'\n');
    Ok(line)
}

fn parse<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
    let (found, json) = line.strip_suffix(b"\n")?.split_at_checked(SUM)?;
    let json = json.strip_prefix(b" ")?;
    (sum(json).as_bytes() == found).then_some(())?;
    serde_json::from_slice(json).ok()
}

impl Log {
    /// Hands a line to the operating system: from then on the end of this process cannot undo
    /// it. The loss of power can, until the system has written it out.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), StateError> {
        let line = line_of(line)?;
        self.0.write_all(&line).map_err(StateError::Write)
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
