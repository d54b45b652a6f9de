//! A list by itself: opened, its header bound to the campaign's columns, every row's number of
//! cells counted. Needs no template, so a mistake elsewhere does not hide those in the list.

use std::collections::BTreeMap;
use std::fs::File;

use super::super::campaign_file::CampaignFile;
use super::super::encoding::{TextReader, Unreadable};
use super::super::list::frame::{Block, Failure, Framer};
use super::super::list::header::{Header, Roles};
use super::super::template::include::io_in_words;
use super::desk::{At, ragged};
use super::pipeline::{BYTES, NAMED, ROWS};
use super::{ListInput, cells, list_place, list_problem};
use crate::domain::campaign::{Campaign, ListSource};
use crate::domain::problem::{Place, Problem, Problems};

/// The columns that a campaign may name.
const ROLES: [&str; 6] = [
    "phone",
    "key",
    "timezone",
    "first_name",
    "last_name",
    "email",
];

/// Where the campaign names each column.
pub(super) fn column_places(file: &CampaignFile) -> BTreeMap<String, Place> {
    let place = |role: &str| file.place(&format!("recipients.columns.{role}"));
    ROLES
        .into_iter()
        .filter_map(|role| Some((role.to_owned(), place(role)?)))
        .collect()
}

/// Opens a list that the campaign names at `place`; `-` is the process's standard input.
pub(super) fn open_list(source: &ListSource, place: Option<&Place>) -> Result<ListInput, Problems> {
    let path = match source {
        ListSource::StandardInput => {
            let stdin = Box::new(std::io::stdin());
            return Ok(ListInput::new("standard input", stdin));
        }
        ListSource::File(path) => path,
    };
    let name = path.display().to_string();
    let cannot = |reason: String| {
        let problem = Problem::error(format!("cannot open the list '{name}': {reason}"))
            .help("the path is relative to the campaign's folder");
        Problems::from(match place {
            Some(place) => problem.at(place.clone()),
            None => problem,
        })
    };
    if path.is_dir() {
        return Err(cannot("this is a folder".to_owned()));
    }
    let file = File::open(path).map_err(|error| cannot(io_in_words(&error)))?;
    Ok(ListInput::new(name, Box::new(file)))
}

/// Characters of a header that are shown; a terminal has fewer.
const EXCERPT: usize = 1_000;

/// A list whose header has been read.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) framer: Framer,
    pub(super) header: Header,
    pub(super) roles: Roles,
    /// Warnings.
    pub(super) problems: Problems,
}

impl Table {
    /// Reads the header and finds the columns. Where that fails, the rows are counted
    /// through all the same.
    pub(super) fn open(
        input: ListInput,
        campaign: &Campaign,
        places: &BTreeMap<String, Place>,
    ) -> Result<Self, Problems> {
        let name = input.name;
        let stopped = |(fault, line): Failure| Problems::from(list_problem(&name, &fault, line));
        let reader = TextReader::new(input.source)
            .map_err(|cause: Unreadable| stopped((cause.into(), 1)))?;
        let mut framer = Framer::new(reader).map_err(stopped)?;
        let Some((first, line)) = framer.header().map_err(stopped)? else {
            let problem = Problem::error("the list is empty")
                .help("its first line names the columns, such as `phone,first_name`");
            return Err(problem.at(list_place(&name, 1)).into());
        };
        let mut place = list_place(&name, line);
        let line = first.lines().next();
        place.excerpt = line.map(|line| line.chars().take(EXCERPT).collect());
        let cells = cells::cells_of(&first, framer.delimiter());
        let (header, mut problems) = Header::new(cells, &place);
        let roles = if problems.has_errors() {
            Err(Problems::default())
        } else {
            header.roles(
                &campaign.recipients.columns,
                campaign.terms.channel,
                places,
                &place,
            )
        };
        match roles {
            Ok(roles) => Ok(Self {
                name,
                framer,
                header,
                roles,
                problems,
            }),
            Err(found) => {
                problems.extend(found);
                problems.extend(walk(&mut framer, &name, header.len()));
                Err(problems)
            }
        }
    }
}

/// Reads the rest of a list and looks at nothing but the number of cells in each row.
pub(super) fn walk(framer: &mut Framer, name: &str, columns: usize) -> Problems {
    let mut problems = Problems::default();
    let mut wrong = 0;
    loop {
        let mut block = Block::default();
        let filled = framer.fill_block(&mut block, ROWS, BYTES);
        let mut records = cells::reader(&block.text, framer.delimiter()).into_records();
        for (number, (_, line)) in (block.first..).zip(&block.starts) {
            let Some(Ok(record)) = records.next() else {
                break;
            };
            if record.len() == columns {
                continue;
            }
            wrong += 1;
            if wrong <= NAMED {
                let at = At {
                    number,
                    line: *line,
                };
                problems.push(ragged(name, at, columns, record.len()).problem);
            }
        }
        if let Err((fault, line)) = filled {
            problems.push(list_problem(name, &fault, line));
            break;
        }
        if block.starts.is_empty() {
            break;
        }
    }
    if wrong > NAMED {
        let more = format!("{} more rows have too many or too few cells", wrong - NAMED);
        problems.push(Problem::error(more).at(list_place(name, 1)));
    }
    problems
}

/// What is wrong with the list of a campaign that cannot be used for another reason.
pub fn list_alone(file: &CampaignFile) -> Problems {
    let recipients = &file.campaign.recipients;
    let place = file.place("recipients.csv");
    let table = open_list(&recipients.source, place.as_ref())
        .and_then(|input| Table::open(input, &file.campaign, &column_places(file)));
    match table {
        Ok(mut table) => {
            let mut problems = table.problems;
            let columns = table.header.len();
            problems.extend(walk(&mut table.framer, &table.name, columns));
            problems
        }
        Err(problems) => problems,
    }
}
