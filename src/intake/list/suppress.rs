//! Do-not-contact lists: the phones of a file in any form that a recipient list may have, or with
//! no header at all. Does not know what is done with them.

use std::fmt::{self, Debug};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::encoding::TextReader;
use super::super::template::include::io_in_words;
use super::frame::{Block, Failure, Framer};
use super::header::{Header, Kind};
use crate::domain::address::{Address, AddressError};
use crate::domain::email::{Email, EmailError};
use crate::domain::phone::HomeRegion;
use crate::domain::problem::{Place, Problem, Problems};

/// The phones of a do-not-contact list, each as often as it is there. A row without a usable
/// phone is an error: someone may stand there who must not be written to.
pub fn suppressions(path: &Path, region: Option<HomeRegion>) -> (Vec<Address>, Problems) {
    let mut problems = Problems::default();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            // Without a place: it is a mistake of whoever names the file.
            let (name, why) = (path.display(), io_in_words(&error));
            let words = format!("cannot open the do-not-contact list '{name}': {why}");
            let help = "the path is relative to the campaign's folder";
            return (Vec::new(), Problem::error(words).help(help).into());
        }
    };
    let mut phones = Vec::new();
    let mut list = DoNotContact::new(path, Box::new(file), region);
    for chunk in list.by_ref() {
        phones.extend(chunk.entries.into_iter().map(|entry| entry.phone));
        problems.extend(chunk.problems);
    }
    if list.is_broken() {
        phones.clear();
    }
    (phones, problems)
}

/// A row of a do-not-contact list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub phone: Address,
    /// What stands in a column `reason`.
    pub reason: Option<String>,
    /// What stands in a column `at`, where that is an instant (RFC 3339).
    pub at: Option<Timestamp>,
}

/// Rows that follow each other, and what is wrong with those that are left out.
#[derive(Debug, Default)]
pub struct EntryChunk {
    pub entries: Vec<Entry>,
    pub problems: Problems,
}

/// A do-not-contact list, read piece by piece.
#[derive(Debug)]
pub struct DoNotContact {
    path: PathBuf,
    region: Option<HomeRegion>,
    at: Reached,
}

#[derive(Debug)]
enum Reached {
    Beginning(Box<dyn Source>),
    Rows(Box<Framer>, Columns),
    /// With an error that leaves the rest unread, or without one.
    End(Ended),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Whole,
    Broken,
}

/// What a list is read from.
trait Source: Read + Send {}

impl<R: Read + Send> Source for R {}

impl Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// Where what stands, by position.
#[derive(Debug, Clone, Copy, Default)]
struct Columns {
    /// Where every row has an address, of either kind.
    phone: usize,
    /// Where it may have an e-mail address besides.
    email: Option<usize>,
    reason: Option<usize>,
    at: Option<usize>,
}

/// What one row says.
#[derive(Debug)]
struct Named {
    entries: Vec<Entry>,
    /// Why the e-mail address beside the phone is none.
    unread: Option<EmailError>,
}

impl DoNotContact {
    /// `path` names the list in problems.
    pub fn new(path: &Path, source: Box<dyn Read + Send>, region: Option<HomeRegion>) -> Self {
        Self {
            path: path.to_owned(),
            region,
            at: Reached::Beginning(Box::new(source)),
        }
    }

    /// An error has left rows unread.
    pub fn is_broken(&self) -> bool {
        matches!(self.at, Reached::End(Ended::Broken))
    }

    fn chunk(&mut self) -> Result<Option<EntryChunk>, Failure> {
        match std::mem::replace(&mut self.at, Reached::End(Ended::Broken)) {
            Reached::Beginning(source) => {
                let reader = TextReader::new(source).map_err(|cause| (cause.into(), 1))?;
                self.header(Framer::new(reader)?).map(Some)
            }
            Reached::Rows(mut framer, columns) => {
                let mut block = Block::default();
                framer.fill_block(&mut block, 1_000, 256 * 1024)?;
                if block.starts.is_empty() {
                    self.at = Reached::End(Ended::Whole);
                    return Ok(None);
                }
                let chunk = self.rows(&block, framer.delimiter(), columns);
                self.at = Reached::Rows(framer, columns);
                Ok(Some(chunk))
            }
            Reached::End(how) => {
                self.at = Reached::End(how);
                Ok(None)
            }
        }
    }

    /// A first row with a phone in it is no header.
    fn header(&mut self, mut framer: Framer) -> Result<EntryChunk, Failure> {
        let mut chunk = EntryChunk::default();
        let Some((first, line)) = framer.header()? else {
            self.at = Reached::End(Ended::Whole);
            return Ok(chunk);
        };
        let cells = cells_of(&first, framer.delimiter());
        let mut columns = Columns::default();
        if let Some(phone) = cells
            .iter()
            .position(|cell| Address::parse(cell, self.region).is_ok())
        {
            columns.phone = phone;
            chunk.entries.extend(
                self.row(&cells, columns)
                    .map(|row| row.entries)
                    .into_iter()
                    .flatten(),
            );
        } else if cells.len() > 1 {
            let at = place(&self.path, line);
            let (header, found) = Header::new(cells, &at);
            chunk.problems.extend(found);
            columns.reason = header.find("reason");
            columns.at = header.find("at");
            let mail = header.usual(Kind::Mail).ok();
            match (header.usual(Kind::Phone), mail) {
                (Ok(phone), _) => (columns.phone, columns.email) = (phone, mail),
                // Which of several phone columns counts is not for the e-mail column to decide.
                (Err(_), Some(mail)) if header.all_usual(Kind::Phone).is_empty() => {
                    columns.phone = mail;
                }
                (Err(problem), _) => chunk.problems.push(problem.at(at)),
            }
            if chunk.problems.has_errors() {
                return Ok(chunk);
            }
        }
        self.at = Reached::Rows(Box::new(framer), columns);
        Ok(chunk)
    }

    fn rows(&self, block: &Block, delimiter: u8, columns: Columns) -> EntryChunk {
        let mut chunk = EntryChunk::default();
        let ends = block
            .starts
            .iter()
            .skip(1)
            .map(|(at, _)| *at)
            .chain([block.text.len()]);
        for ((from, line), to) in block.starts.iter().zip(ends) {
            let record = block.text.get(*from..to).unwrap_or_default();
            match self.row(&cells_of(record, delimiter), columns) {
                Ok(row) => {
                    chunk.entries.extend(row.entries);
                    if let Some(error) = row.unread {
                        let problem = unread(error).at(place(&self.path, *line));
                        chunk.problems.push(problem);
                    }
                }
                Err(error) => {
                    let problem = bad_row(error).at(place(&self.path, *line));
                    chunk.problems.push(problem);
                }
            }
        }
        chunk
    }

    /// Whom a row names, by phone, by e-mail or by both. Where it gives an e-mail address alone,
    /// that is enough.
    fn row(&self, cells: &[String], columns: Columns) -> Result<Named, AddressError> {
        let cell = |at: usize| cells.get(at).map_or("", |cell| cell.trim());
        let mail = columns.email.map(cell).filter(|cell| !cell.is_empty());
        let (mail, unread) = match mail.map(Email::parse) {
            Some(Ok(mail)) => (Some(Address::from(mail)), None),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let phone = match Address::parse(cell(columns.phone), self.region) {
            Ok(phone) => Some(phone),
            Err(_) if mail.is_some() && cell(columns.phone).is_empty() => None,
            Err(error) => return Err(error),
        };
        let reason = columns.reason.map(cell).filter(|cell| !cell.is_empty());
        let entry = |phone| Entry {
            phone,
            reason: reason.map(str::to_owned),
            at: columns.at.and_then(|at| cell(at).parse().ok()),
        };
        Ok(Named {
            entries: mail.into_iter().chain(phone).map(entry).collect(),
            unread,
        })
    }
}

impl Iterator for DoNotContact {
    type Item = EntryChunk;

    fn next(&mut self) -> Option<EntryChunk> {
        match self.chunk() {
            Ok(chunk) => chunk,
            Err((fault, line)) => {
                let problem = Problem::error(fault.to_string()).help(fault.remedy());
                Some(EntryChunk {
                    entries: Vec::new(),
                    problems: problem.at(place(&self.path, line)).into(),
                })
            }
        }
    }
}

fn place(path: &Path, line: u64) -> Place {
    Place {
        file: path.display().to_string(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: 1,
        width: 0,
        excerpt: None,
    }
}

fn bad_row(error: AddressError) -> Problem {
    Problem::error(format!("no usable phone number in this row: {error}"))
        .help("whoever stands here could be written to; mend the row or remove it")
}

/// The phone is known, so nobody is called; by e-mail the person could still be written to.
fn unread(error: EmailError) -> Problem {
    Problem::warning(format!(
        "the e-mail address beside the phone cannot be read: {error}"
    ))
    .help("only the phone of this row is heeded; mend the address, or empty the cell")
}

fn cells_of(record: &str, delimiter: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(record.as_bytes());
    let first = reader.records().next().and_then(Result::ok);
    first
        .map(|record| record.iter().map(str::to_owned).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> (Vec<String>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("do-not-contact.csv");
        std::fs::write(&path, content).unwrap();
        let (phones, problems) = suppressions(&path, HomeRegion::parse("US"));
        let lines = problems
            .iter()
            .map(|p| format!("{}: {}", p.place.as_ref().unwrap().line, p.message));
        (
            phones.into_iter().map(String::from).collect(),
            lines.collect(),
        )
    }

    #[test]
    fn phones_are_read_with_and_without_a_header() {
        let expected = vec!["+12025550143".to_owned(), "+12025550144".to_owned()];
        for content in [
            "(202) 555-0143\n202-555-0144\n",
            "phone\n(202) 555-0143\n202-555-0144\n",
            "do not call\n(202) 555-0143\n202-555-0144\n",
            "name;Mobile\nA;(202) 555-0143\nB;202-555-0144\n",
            "A,(202) 555-0143\nB,202-555-0144\n",
        ] {
            assert_eq!(read(content), (expected.clone(), vec![]), "{content:?}");
        }
        assert_eq!(read(""), (vec![], vec![]));
    }

    #[test]
    fn an_exported_list_keeps_its_reasons_and_times() {
        let content = "phone,source,reason,at,run\n\
                       +12025550143,reply,STOP,2026-11-20T10:00:00.000Z,spring@once\n\
                       +12025550144,operator,,yesterday,\n";
        let source = Box::new(std::io::Cursor::new(content));
        let list = DoNotContact::new(Path::new("list.csv"), source, None);
        let entries: Vec<Entry> = list.flat_map(|chunk| chunk.entries).collect();
        let told: Vec<(Option<&str>, bool)> = entries
            .iter()
            .map(|entry| (entry.reason.as_deref(), entry.at.is_some()))
            .collect();
        assert_eq!(told, [(Some("STOP"), true), (None, false)]);
    }

    #[test]
    fn what_can_be_read_is_read_up_to_a_broken_row() {
        let content = "phone\n2025550143\nask Bob\n2025550144\n\"never closed\n";
        let region = HomeRegion::parse("US");
        let source = Box::new(std::io::Cursor::new(content));
        let mut list = DoNotContact::new(Path::new("list.csv"), source, region);
        let (mut people, mut lines) = (0, Vec::new());
        for chunk in list.by_ref() {
            people += chunk.entries.len();
            let of_chunk = chunk.problems.iter();
            lines.extend(of_chunk.map(|problem| problem.place.as_ref().unwrap().line));
        }
        assert!(list.is_broken());
        assert!(people <= 2 && lines.ends_with(&[5]), "{people} {lines:?}");
        assert!(
            read(content).0.is_empty(),
            "a campaign takes all or nothing"
        );
    }

    #[test]
    fn people_are_known_by_their_phone_their_e_mail_address_or_both() {
        let (people, problems) =
            read("phone,E-Mail\n2025550143,Dana@Example.com\n,lee@example.com\n2025550144,n/a\n");
        assert_eq!(
            people,
            [
                "dana@example.com",
                "+12025550143",
                "lee@example.com",
                "+12025550144"
            ]
        );
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("4: the e-mail address beside the phone cannot be read"));
        assert_eq!(read("mail,why\na@example.com,x\n").0, ["a@example.com"]);
        // A phone that is none is not made up for by an address.
        assert_eq!(read("phone,mail\nask Bob,bob@example.com\n").0.len(), 0);
        let (people, problems) = read("phone,mobile,mail\n2025550143,,a@example.com\n");
        assert!(people.is_empty());
        assert!(
            problems[0].contains("more than one phone column"),
            "{problems:?}"
        );
    }

    #[test]
    fn a_row_without_a_phone_is_an_error() {
        let (phones, problems) = read("phone\n2025550143\nask Bob\n");
        assert_eq!(phones.len(), 1);
        assert_eq!(
            problems,
            ["3: no usable phone number in this row: this is not a phone number"]
        );
    }
}
