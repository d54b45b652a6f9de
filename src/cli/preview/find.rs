//! Finds one row by streaming the list, and decides about it as a run would: window,
//! do-not-contact lists and earlier rows of the same person included. Holds no more than a few
//! rows at a time. Asks a ledger only who has opted out, not who was written to before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use tempfile::NamedTempFile;

use super::super::Stop;
use crate::domain::address::Address;
use crate::domain::campaign::ListSource;
use crate::domain::delivery::SkipReason;
use crate::domain::digest::Digest;
use crate::domain::message::Media;
use crate::domain::problem::{Problem, Problems};
use crate::domain::recipient::{Recipient, Row, Verdict};
use crate::domain::run::RunId;
use crate::domain::window::Window;
use crate::engine::plan;
use crate::intake::rows::{ListInput, Loaded, Rows};
use crate::ledger::{Ledger, LedgerError};

/// Which row is to be shown.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// The first that would be sent.
    First,
    /// By number, from 1.
    Row(u64),
    /// The first that would be sent to this phone, else the first that names it.
    To(Address),
}

/// The row, decided.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) row: Row,
    /// Messages of earlier rows: whose turn it is among the lines.
    pub(super) before: u64,
    /// The files that the message names.
    pub(super) media: Vec<Media>,
    /// Problems of this and other rows, as far as the list was read.
    pub(super) problems: Problems,
}

/// What besides the row itself decides whether it is sent.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) window: Option<Window>,
    pub(super) starts_at: Timestamp,
    /// Everybody who must not be written to.
    pub(super) suppressed: HashSet<Address>,
    pub(super) opt_outs: Option<OptOuts>,
}

/// Where it is asked who has opted out.
#[derive(Debug)]
pub(super) struct OptOuts {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) gateway: String,
    pub(super) runtime: tokio::runtime::Handle,
}

impl Rules {
    /// In the order of a run.
    fn judge(&self, mut rows: Vec<Row>) -> Result<Vec<Row>, LedgerError> {
        plan::skip_suppressed(&mut rows, &self.suppressed);
        if let Some(asked) = &self.opt_outs {
            let skipping = plan::skip_opted_out(&mut rows, &*asked.ledger, &asked.gateway);
            asked.runtime.block_on(skipping)?;
        }
        if let Some(window) = &self.window {
            plan::skip_unreachable(&mut rows, window, self.starts_at);
        }
        Ok(rows)
    }
}

fn skip(recipient: &Recipient, reason: SkipReason, detail: String) -> Verdict {
    Verdict::Skip {
        key: Some(recipient.key.clone()),
        phone: Some(recipient.phone.clone()),
        reason,
        detail,
    }
}

/// A list that can be read more than once.
#[derive(Debug)]
pub(super) struct List {
    loaded: Loaded,
    run: RunId,
    /// What came in on standard input, which cannot be rewound.
    spool: Option<NamedTempFile>,
}

impl List {
    pub(super) fn new(loaded: Loaded, run: RunId, source: &ListSource) -> Result<Self, Stop> {
        let spool = match source {
            ListSource::File(_) => None,
            ListSource::StandardInput => Some(spool().map_err(|error| unspooled(&error))?),
        };
        Ok(Self { loaded, run, spool })
    }

    fn rows(&self) -> Result<Rows, Stop> {
        let input = match &self.spool {
            None => self.loaded.open_list()?,
            Some(file) => {
                let file = file.reopen().map_err(|error| unspooled(&error))?;
                ListInput::new("standard input", Box::new(file))
            }
        };
        Ok(self.loaded.rows(&self.run, input)?)
    }
}

fn spool() -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    Ok(file)
}

fn unspooled(error: &std::io::Error) -> Stop {
    Stop::could_not_start(format!(
        "the list on standard input cannot be kept in a temporary file ({})",
        error.kind()
    ))
}

/// Must be called on a thread that may block.
pub(super) fn find(list: &List, wanted: &Wanted, rules: &Rules) -> Result<Found, Stop> {
    let mut found = search(list, wanted, rules)?;
    if let Verdict::Send { recipient, message } = &found.row.verdict {
        let recipient = recipient.clone();
        let files = message.files().into_iter().collect();
        let (first, media) = same_person(list, rules, &found.row, &recipient, &files)?;
        found.media = media;
        if let Some(first) = first {
            let detail = format!("row {first} is the same person");
            found.row.verdict = skip(&recipient, SkipReason::Duplicate, detail);
        }
    }
    Ok(found)
}

fn search(list: &List, wanted: &Wanted, rules: &Rules) -> Result<Found, Stop> {
    let mut search = Search {
        wanted,
        before: 0,
        skipped: BTreeMap::new(),
        second_best: None,
    };
    let mut problems = Problems::default();
    let mut rows = list.rows()?;
    for chunk in rows.by_ref() {
        problems.extend(chunk.problems);
        for row in rules.judge(chunk.rows)? {
            match search.look(row) {
                Looked::On => {}
                Looked::Found(row, before) => {
                    return Ok(Found {
                        row: *row,
                        before,
                        media: Vec::new(),
                        problems,
                    });
                }
                Looked::Past => return Err(search.not_there(problems, u64::MAX)),
            }
        }
    }
    match search.second_best.take() {
        Some((row, before)) => Ok(Found {
            row,
            before,
            media: Vec::new(),
            problems,
        }),
        None => Err(search.not_there(problems, rows.finish().records)),
    }
}

/// One pass over the list.
struct Search<'a> {
    wanted: &'a Wanted,
    before: u64,
    skipped: BTreeMap<SkipReason, u64>,
    second_best: Option<(Row, u64)>,
}

enum Looked {
    On,
    Found(Box<Row>, u64),
    /// The row should have come by: something is wrong with it.
    Past,
}

impl Search<'_> {
    fn look(&mut self, row: Row) -> Looked {
        let (sent, phone) = match &row.verdict {
            Verdict::Send { recipient, .. } => (true, Some(&recipient.phone)),
            Verdict::Skip { phone, reason, .. } => {
                *self.skipped.entry(*reason).or_default() += 1;
                (false, phone.as_ref())
            }
        };
        match self.wanted {
            Wanted::First if sent => return Looked::Found(Box::new(row), self.before),
            Wanted::Row(number) if row.number == *number => {
                return Looked::Found(Box::new(row), self.before);
            }
            Wanted::Row(number) if row.number > *number => return Looked::Past,
            Wanted::To(to) if Some(to) == phone => {
                if sent {
                    return Looked::Found(Box::new(row), self.before);
                }
                self.second_best.get_or_insert((row, self.before));
            }
            Wanted::First | Wanted::Row(_) | Wanted::To(_) => {}
        }
        self.before += u64::from(sent);
        Looked::On
    }

    /// `rows` is how many the list has.
    fn not_there(&self, mut problems: Problems, rows: u64) -> Stop {
        let broken = problems.has_errors();
        let (text, help) = match self.wanted {
            // What is wrong with the rows says it all.
            Wanted::First if broken => return problems.into(),
            Wanted::First => {
                let why = self
                    .skipped
                    .iter()
                    .map(|(why, n)| format!("{n} × {}", why.in_words()));
                let why = why.collect::<Vec<_>>().join(", ");
                let text = format!("no row of the list would be sent: {why}");
                (text, "`--row 1` shows what becomes of the first row")
            }
            Wanted::Row(number) if *number > rows => (
                format!("row {number}: the list has {}", counted(rows)),
                "rows count from 1, the header not included",
            ),
            Wanted::Row(number) => (
                format!("row {number} makes no message: something is wrong with it"),
                "mend it; `sendoff check` looks at every row",
            ),
            Wanted::To(phone) => (
                format!("{} is not in the list of {}", phone.masked(), counted(rows)),
                if broken {
                    "it may stand in a row with a problem; `sendoff check` looks at every row"
                } else {
                    "--to takes a phone number that stands in the list"
                },
            ),
        };
        if problems.is_empty() {
            return Stop::could_not_start(text).help(help);
        }
        problems.push(Problem::error(text).help(help));
        problems.into()
    }
}

fn counted(rows: u64) -> String {
    if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    }
}

/// The earlier row that takes this one's place, if any, and the files of `wanted`.
///
/// A row is a duplicate when an earlier one *that is sent itself* has its phone or its key. So
/// the circle of rows that share phones or keys is followed until it grows no more, then told in
/// the order of the list.
fn same_person(
    list: &List,
    rules: &Rules,
    row: &Row,
    recipient: &Recipient,
    wanted: &HashSet<Digest>,
) -> Result<(Option<u64>, Vec<Media>), Stop> {
    let mut media: Vec<Media> = Vec::new();
    let mut circle = Circle::default();
    circle.widen(recipient);
    loop {
        let mut kin = Vec::new();
        let mut rows = list.rows()?;
        'list: for chunk in rows.by_ref() {
            for file in chunk.media {
                if wanted.contains(&file.sha256) && media.iter().all(|m| m.sha256 != file.sha256) {
                    media.push(file);
                }
            }
            for earlier in rules.judge(chunk.rows)? {
                if earlier.number >= row.number {
                    break 'list;
                }
                if let Verdict::Send { recipient, .. } = earlier.verdict
                    && circle.touches(&recipient)
                {
                    kin.push((earlier.number, recipient));
                }
            }
        }
        let grown = kin
            .iter()
            .fold(false, |grown, (_, person)| circle.widen(person) || grown);
        if !grown {
            return Ok((first_of(&kin, recipient), media));
        }
    }
}

/// The row among `kin` that is sent in place of `recipient`'s.
fn first_of(kin: &[(u64, Recipient)], recipient: &Recipient) -> Option<u64> {
    let mut phones: HashMap<&Address, u64> = HashMap::new();
    let mut keys: HashMap<&str, u64> = HashMap::new();
    for (number, person) in kin {
        if !phones.contains_key(&person.phone) && !keys.contains_key(person.key.as_str()) {
            phones.insert(&person.phone, *number);
            keys.insert(&person.key, *number);
        }
    }
    let by_phone = phones.get(&recipient.phone);
    by_phone
        .into_iter()
        .chain(keys.get(recipient.key.as_str()))
        .min()
        .copied()
}

/// People who may be one and the same.
#[derive(Default)]
struct Circle {
    phones: HashSet<Address>,
    keys: HashSet<String>,
}

impl Circle {
    fn touches(&self, person: &Recipient) -> bool {
        self.phones.contains(&person.phone) || self.keys.contains(&person.key)
    }

    /// True when something was new.
    fn widen(&mut self, person: &Recipient) -> bool {
        let phone = self.phones.insert(person.phone.clone());
        self.keys.insert(person.key.clone()) || phone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(phone: &str, key: &str) -> Recipient {
        Recipient {
            key: key.to_owned(),
            phone: Address::stored(phone).unwrap(),
            timezone: None,
        }
    }

    #[test]
    fn a_duplicate_of_a_duplicate_is_sent() {
        let kin = [
            (1, person("+12025550143", "A")),
            (2, person("+12025550144", "A")),
        ];
        assert_eq!(first_of(&kin, &person("+12025550144", "B")), None);
        assert_eq!(first_of(&kin, &person("+12025550143", "B")), Some(1));
        assert_eq!(first_of(&kin, &person("+12025550145", "A")), Some(1));
    }
}
