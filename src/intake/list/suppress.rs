//! Do-not-contact lists: the phones of a file in any form that a recipient list may have, or with
//! no header at all. Does not know what is done with them.

use std::fs::File;
use std::path::Path;

use super::super::encoding::TextReader;
use super::super::template::include::io_in_words;
use super::frame::{Block, Failure, Fault, Framer};
use super::header::Header;
use crate::domain::campaign::Columns;
use crate::domain::phone::{HomeRegion, Phone, PhoneError};
use crate::domain::problem::{Place, Problem, Problems};

/// The phones of a do-not-contact list, each as often as it is there. A row without a usable
/// phone is an error: someone may stand there who must not be written to.
pub fn suppressions(path: &Path, region: Option<HomeRegion>) -> (Vec<Phone>, Problems) {
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
    let phones = match read(path, file, region, &mut problems) {
        Ok(phones) => phones,
        Err((fault, line)) => {
            let problem = Problem::error(fault.to_string()).help(fault.remedy());
            problems.push(problem.at(place(path, line)));
            Vec::new()
        }
    };
    (phones, problems)
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

fn read(
    path: &Path,
    file: File,
    region: Option<HomeRegion>,
    problems: &mut Problems,
) -> Result<Vec<Phone>, Failure> {
    let unreadable = |cause| (Fault::Unreadable(cause), 1);
    let mut framer = Framer::new(TextReader::new(Box::new(file)).map_err(unreadable)?)?;
    let Some((first, line)) = framer.header()? else {
        return Ok(Vec::new());
    };
    let cells = cells_of(&first, framer.delimiter());
    let mut phones = Vec::new();
    let mut column = 0;
    // A first row with a phone in it is no header.
    if let Some(at) = cells
        .iter()
        .position(|cell| Phone::parse(cell, region).is_ok())
    {
        column = at;
        phones.extend(Phone::parse(
            cells.get(at).map_or("", String::as_str),
            region,
        ));
    } else if cells.len() > 1 {
        let at = place(path, line);
        let (header, mut found) = Header::new(cells, &at);
        match header.roles(&Columns::default(), &std::collections::BTreeMap::new(), &at) {
            Ok(roles) => column = roles.phone,
            Err(more) => found.extend(more),
        }
        let stop = found.has_errors();
        problems.extend(found);
        if stop {
            return Ok(Vec::new());
        }
    }
    loop {
        let mut block = Block::default();
        framer.fill_block(&mut block, 1_000, 256 * 1024)?;
        if block.starts.is_empty() {
            return Ok(phones);
        }
        let ends = block
            .starts
            .iter()
            .skip(1)
            .map(|(at, _)| *at)
            .chain([block.text.len()]);
        for ((from, line), to) in block.starts.iter().zip(ends) {
            let record = block.text.get(*from..to).unwrap_or_default();
            let cells = cells_of(record, framer.delimiter());
            let cell = cells.get(column).map_or("", String::as_str);
            match Phone::parse(cell, region) {
                Ok(phone) => phones.push(phone),
                Err(error) => problems.push(bad_row(error).at(place(path, *line))),
            }
        }
    }
}

fn bad_row(error: PhoneError) -> Problem {
    Problem::error(format!("no usable phone number in this row: {error}"))
        .help("whoever stands here could be written to; mend the row or remove it")
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
    fn a_row_without_a_phone_is_an_error() {
        let (phones, problems) = read("phone\n2025550143\nask Bob\n");
        assert_eq!(phones.len(), 1);
        assert_eq!(
            problems,
            ["3: no usable phone number in this row: this is not a phone number"]
        );
    }
}
