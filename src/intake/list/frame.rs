//! Text to records: where each row of a list begins and ends, and on which line. Cells are not
//! taken apart here, only counted to find the delimiter.

use super::super::encoding::{TextReader, Unreadable};

/// A record longer than this is a broken quote or no list at all: 1 MiB.
pub const MAX_RECORD: usize = 1024 * 1024;
/// Enough text to find the delimiter by.
const SAMPLE: usize = 64 * 1024;
const SAMPLE_RECORDS: usize = 50;
/// In the order in which a tie is decided.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// Why the records cannot be told apart; the list ends there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("a quoted cell begins here and is never closed")]
    UnclosedQuote,
    #[error("there is text right after the closing quote of a cell")]
    AfterQuote,
    #[error("this row is longer than 1 MiB")]
    TooLong,
    #[error("{0}")]
    Unreadable(#[from] Unreadable),
}

impl Fault {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::UnclosedQuote => {
                "close the quote, or double a quote that belongs to the text (\"\")"
            }
            Self::AfterQuote => "a quote inside a quoted cell must be doubled (\"\")",
            Self::TooLong => "look for a quote that is opened in this row and not closed",
            Self::Unreadable(cause) => cause.remedy(),
        }
    }
}

/// A number of records in a row, as they stand in the list.
#[derive(Debug, Default)]
pub struct Block {
    pub text: String,
    /// One for each record: where it begins in `text`, and on which line of the list.
    pub starts: Vec<(usize, u64)>,
    /// The number of the first of them; rows count from 1.
    pub first: u64,
}

/// Cuts a list into records. Blank rows are dropped and not counted.
#[derive(Debug)]
pub struct Framer {
    reader: TextReader,
    buffer: String,
    /// Up to here the buffer is done with.
    at: usize,
    line: u64,
    records: u64,
    delimiter: u8,
    tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    CellStart,
    Plain,
    Quoted,
    AfterQuote,
}

/// What went wrong, and on which line.
pub type Failure = (Fault, u64);

/// Whether more text may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Open,
    Ended,
}

/// A record in the buffer.
struct Span {
    start: usize,
    end: usize,
    line: u64,
}

/// Where one record was found.
struct Found {
    end: usize,
    lines: u64,
}

impl Framer {
    /// Reads the first piece, finds the delimiter by it. A first line `sep=;`, as one office
    /// program writes it, is obeyed.
    pub fn new(reader: TextReader) -> Result<Self, Failure> {
        let mut framer = Self {
            reader,
            buffer: String::new(),
            at: 0,
            line: 1,
            records: 0,
            delimiter: b',',
            tail: Tail::Open,
        };
        while framer.buffer.len() < SAMPLE && framer.tail == Tail::Open {
            framer.fill()?;
        }
        let first = framer.buffer.lines().next().unwrap_or_default();
        if let [b's', b'e', b'p', b'=', delimiter] = first.as_bytes()
            && *delimiter != b'"'
        {
            framer.delimiter = *delimiter;
            framer.step()?;
        } else {
            framer.delimiter = find_delimiter(&framer.buffer);
        }
        Ok(framer)
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub fn reader(&self) -> &TextReader {
        &self.reader
    }

    /// Records handed out so far, the header not included.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The header: the first record, and its line.
    pub fn header(&mut self) -> Result<Option<(String, u64)>, Failure> {
        Ok(self.record()?.map(|Span { start, end, line }| {
            (
                self.buffer.get(start..end).unwrap_or_default().to_owned(),
                line,
            )
        }))
    }

    /// The next records, at most `records` of them or about `bytes` of text. Empty at the end.
    /// On a fault the block holds what came before it.
    pub fn fill_block(
        &mut self,
        block: &mut Block,
        records: usize,
        bytes: usize,
    ) -> Result<(), Failure> {
        block.first = self.records + 1;
        while block.starts.len() < records && block.text.len() < bytes {
            let Some(Span { start, end, line }) = self.record()? else {
                break;
            };
            block.starts.push((block.text.len(), line));
            block
                .text
                .push_str(self.buffer.get(start..end).unwrap_or_default());
            self.records += 1;
        }
        Ok(())
    }

    /// The next record that is not blank: its range in the buffer and its first line.
    fn record(&mut self) -> Result<Option<Span>, Failure> {
        loop {
            let line = self.line;
            let Some((start, end)) = self.step()? else {
                return Ok(None);
            };
            let text = self.buffer.as_bytes().get(start..end).unwrap_or_default();
            let blank = |b: &u8| *b == self.delimiter || b.is_ascii_whitespace();
            if !text.iter().all(blank) {
                return Ok(Some(Span { start, end, line }));
            }
        }
    }

    fn step(&mut self) -> Result<Option<(usize, usize)>, Failure> {
        let found = loop {
            let rest = self.buffer.as_bytes().get(self.at..).unwrap_or_default();
            match scan(rest, self.delimiter, self.tail) {
                Ok(Some(found)) => break found,
                Ok(None) if self.tail == Tail::Ended => return Ok(None),
                Ok(None) => {
                    if rest.len() > MAX_RECORD {
                        return Err((Fault::TooLong, self.line));
                    }
                    self.fill()?;
                }
                Err((fault, lines)) => return Err((fault, self.line + lines)),
            }
        };
        if found.end > MAX_RECORD {
            return Err((Fault::TooLong, self.line));
        }
        let start = self.at;
        self.at += found.end;
        self.line += found.lines;
        Ok(Some((start, self.at)))
    }

    fn fill(&mut self) -> Result<(), Failure> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        match self.reader.read_into(&mut self.buffer) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.tail = Tail::Ended;
                Ok(())
            }
            Err(cause) => {
                let rest = self.buffer.as_bytes().get(self.at..).unwrap_or_default();
                Err((cause.into(), self.line + line_ends(rest)))
            }
        }
    }
}

/// One record from the start of `text`; `None` when its end is not there yet.
fn scan(text: &[u8], delimiter: u8, tail: Tail) -> Result<Option<Found>, Failure> {
    let (mut state, mut lines, mut quote_line) = (Scan::CellStart, 0, 0);
    let mut bytes = text.iter().copied().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        let line_end = match byte {
            b'\n' => Some(1),
            b'\r' => match bytes.peek() {
                Some((_, b'\n')) => Some(2),
                Some(_) => Some(1),
                None if tail == Tail::Ended => Some(1),
                None => return Ok(None),
            },
            _ => None,
        };
        if state == Scan::Quoted {
            if byte == b'"' {
                state = Scan::AfterQuote;
            } else if let Some(length) = line_end {
                lines += 1;
                if length == 2 {
                    bytes.next();
                }
            }
            continue;
        }
        if let Some(length) = line_end {
            return Ok(Some(Found {
                end: at + length,
                lines: lines + 1,
            }));
        }
        state = match (state, byte) {
            (_, b) if b == delimiter => Scan::CellStart,
            (Scan::CellStart, b'"') => {
                quote_line = lines;
                Scan::Quoted
            }
            (Scan::AfterQuote, b'"') => Scan::Quoted,
            (Scan::AfterQuote, b' ' | b'\t') | (Scan::CellStart | Scan::Plain, _) => Scan::Plain,
            (Scan::AfterQuote | Scan::Quoted, _) => return Err((Fault::AfterQuote, lines)),
        };
    }
    match (tail, state) {
        (Tail::Ended, Scan::Quoted) => Err((Fault::UnclosedQuote, quote_line)),
        (Tail::Ended, _) if !text.is_empty() => Ok(Some(Found {
            end: text.len(),
            lines: lines + 1,
        })),
        (Tail::Open | Tail::Ended, _) => Ok(None),
    }
}

fn line_ends(text: &[u8]) -> u64 {
    let ends = text
        .iter()
        .enumerate()
        .filter(|(at, b)| **b == b'\n' || (**b == b'\r' && text.get(at + 1) != Some(&b'\n')));
    ends.count() as u64
}

/// The delimiter that cuts the first rows into the most equal and most numerous cells.
fn find_delimiter(sample: &str) -> u8 {
    let score = |delimiter: u8| {
        let counts = count_cells(sample.as_bytes(), delimiter);
        let header = counts.first().copied().unwrap_or(0);
        let alike = counts.iter().filter(|n| **n == header).count();
        // In whole per cent, so that one ragged row of many does not decide.
        let share = alike * 100 / counts.len().max(1);
        (header > 1).then_some((share, header))
    };
    let mut best = (b',', None);
    for delimiter in DELIMITERS {
        let score = score(delimiter);
        if score > best.1 {
            best = (delimiter, score);
        }
    }
    best.0
}

fn count_cells(mut text: &[u8], delimiter: u8) -> Vec<usize> {
    let mut counts = Vec::new();
    while counts.len() < SAMPLE_RECORDS {
        let found = match scan(text, delimiter, Tail::Open) {
            Ok(Some(found)) => found,
            Ok(None) => break,
            // Quotes that make no sense with this delimiter speak against it.
            Err(_) => {
                counts.push(0);
                break;
            }
        };
        let (record, rest) = text.split_at(found.end);
        text = rest;
        let mut quoted = false;
        let mut cells = 1;
        for byte in record {
            quoted ^= *byte == b'"';
            cells += usize::from(*byte == delimiter && !quoted);
        }
        if !record.iter().all(u8::is_ascii_whitespace) {
            counts.push(cells);
        }
    }
    if counts.is_empty() {
        // A single line without an end.
        counts.push(text.split(|b| *b == delimiter).count());
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framer(text: &str) -> Result<Framer, Failure> {
        let bytes = std::io::Cursor::new(text.to_owned().into_bytes());
        Framer::new(TextReader::new(Box::new(bytes)).map_err(|e| (e.into(), 1))?)
    }

    fn records(text: &str) -> Result<Vec<(String, u64)>, Failure> {
        let mut framer = framer(text)?;
        let mut block = Block::default();
        framer.fill_block(&mut block, 1000, 1_000_000)?;
        let ends = block
            .starts
            .iter()
            .skip(1)
            .map(|s| s.0)
            .chain([block.text.len()]);
        let cut = block.starts.iter().zip(ends);
        Ok(cut
            .map(|((from, line), to)| (block.text[*from..to].trim_end().to_owned(), *line))
            .collect())
    }

    #[test]
    fn records_know_their_line_whatever_ends_it() {
        let expected = vec![
            ("a,b".to_owned(), 1),
            ("1,\"x\ny\"".to_owned(), 3),
            ("2,z".to_owned(), 5),
        ];
        for end in ["\n", "\r\n"] {
            let text = "a,b\n\n1,\"x\ny\"\n2,z\n".replace('\n', end);
            let found = records(&text).unwrap();
            let plain = found.iter().map(|(t, l)| (t.replace("\r\n", "\n"), *l));
            assert_eq!(plain.collect::<Vec<_>>(), expected, "{end:?}");
        }
        assert_eq!(
            records("a,b\r1,2\r").unwrap(),
            [("a,b".to_owned(), 1), ("1,2".to_owned(), 2)]
        );
    }

    #[test]
    fn blank_rows_are_dropped() {
        assert_eq!(
            records("a,b\n,\n  \n\n1,2").unwrap(),
            [("a,b".to_owned(), 1), ("1,2".to_owned(), 5)]
        );
    }

    #[test]
    fn broken_quotes_are_named_with_the_line_they_begin_on() {
        assert_eq!(records("a,b\n1,\"x\n2,y\n"), Err((Fault::UnclosedQuote, 2)));
        assert_eq!(records("a,b\n1,\"x\"y\n"), Err((Fault::AfterQuote, 2)));
        let long = format!("a,b\n1,\"{}", "x\n".repeat(MAX_RECORD));
        assert_eq!(records(&long), Err((Fault::TooLong, 2)));
        assert_eq!(records("a,b\n1,6\" pipe\n").unwrap().len(), 2);
    }

    #[test]
    fn the_delimiter_is_found_by_looking() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2\n3,5;4\n", b';'),
            ("a\tb\n1, x\t2\n", b'\t'),
            ("a|b\n1|2\n", b'|'),
            ("\"Last, first\";phone\n\"Roe, Jane\";1\n", b';'),
            ("phone\n+1\n", b','),
            ("sep=;\na;b\n1;2\n", b';'),
            ("name,note\nA,x;y;z\nB,x\n", b','),
        ] {
            assert_eq!(framer(text).unwrap().delimiter(), delimiter, "{text:?}");
        }
    }
}
