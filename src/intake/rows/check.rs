//! One row at a time: address, `where`, message, provider's rules. Runs on several threads; what
//! concerns the list as a whole is the pipeline's.

use std::collections::BTreeMap;

use csv::StringRecord;
use tera::Context;

use super::super::list::frame::Block;
use super::super::template::render::{Cells as _, Draft, Renderer, decide, fit};
use super::super::template::report::FaultKind;
use super::super::template::scope::Person;
use super::cells::{RowCells, reader, typed};
use super::contact;
use super::desk::{At, Checked, Desk, Stop};
use super::list_place;
use crate::domain::address::Address;
use crate::domain::campaign::OnEmpty;
use crate::domain::delivery::SkipReason;
use crate::domain::problem::Severity;
use crate::domain::recipient::{Recipient, Row, Verdict};

/// Zones that are remembered; there are some six hundred.
const MOST_ZONES: usize = 1_024;

/// A row and the person it is about, as far as it is known.
struct Subject<'a> {
    at: At,
    cells: &'a RowCells<'a>,
    address: Option<&'a Address>,
    /// From its column; without one, the address.
    key: Option<&'a str>,
}

impl<'a> Subject<'a> {
    fn person(&self) -> Person<'a> {
        Person {
            address: self.address.map_or("", Address::expose),
            key: self.key.unwrap_or_default(),
        }
    }
}

/// One thread's tools.
#[derive(Debug)]
pub(super) struct Checker<'a> {
    desk: &'a Desk,
    renderer: Renderer<'a>,
    filter: Context,
    zones: BTreeMap<String, bool>,
    record: StringRecord,
}

impl<'a> Checker<'a> {
    pub(super) fn new(desk: &'a Desk) -> Self {
        let kit = &desk.kit;
        Self {
            desk,
            renderer: Renderer::new(&kit.compiled, &desk.message_scope, &kit.probe),
            filter: desk.filter_scope.context(),
            zones: BTreeMap::new(),
            record: StringRecord::new(),
        }
    }

    /// Checks the rows of a block, in order.
    pub(super) fn check(&mut self, block: &Block) -> Checked {
        let mut checked = Checked {
            rows: Vec::with_capacity(block.starts.len()),
            ..Checked::default()
        };
        let mut reader = reader(&block.text, self.desk.delimiter);
        let mut record = std::mem::take(&mut self.record);
        for (number, (_, line)) in (block.first..).zip(&block.starts) {
            let at = At {
                number,
                line: *line,
            };
            if !reader.read_record(&mut record).unwrap_or(false) {
                break;
            }
            if record.len() == self.desk.header.len() {
                self.row(at, &record, &mut checked);
            } else {
                checked.found.push(self.desk.ragged(at, record.len()));
            }
        }
        self.record = record;
        checked
    }

    fn row(&mut self, at: At, record: &StringRecord, checked: &mut Checked) {
        let cells = RowCells(record);
        let roles = self.desk.roles;
        let address = self.desk.address(cells.cell(roles.address));
        let key = roles.key.map(|column| cells.cell(column).trim());
        let subject = Subject {
            at,
            address: address.as_ref().ok(),
            key: key.or(address.as_ref().ok().map(Address::expose)),
            cells: &cells,
        };
        let sent = match &address {
            Ok(address) => self.verdict(&subject, address, checked),
            // A row that is left out on purpose is not blamed for its address.
            Err(error) => self.filtered(&subject).and_then(|()| {
                let column = self.desk.header.name(roles.address);
                let reason = if roles.is_mail {
                    SkipReason::InvalidEmail
                } else {
                    SkipReason::InvalidPhone
                };
                Err(Stop::Skip(reason, format!("'{column}': {error}")))
            }),
        };
        let verdict = match sent {
            Ok(verdict) => verdict,
            Err(Stop::Skip(reason, detail)) => Verdict::Skip {
                key: subject.key.filter(|key| !key.is_empty()).map(str::to_owned),
                phone: address.ok(),
                reason,
                detail,
            },
            Err(Stop::Found(found)) => {
                checked.found.push(*found);
                return;
            }
        };
        checked.rows.push(Row {
            number: at.number,
            line: at.line,
            verdict,
        });
    }

    /// The message to a person who can be written to, or why there is none.
    fn verdict(
        &mut self,
        subject: &Subject<'_>,
        address: &Address,
        checked: &mut Checked,
    ) -> Result<Verdict, Stop> {
        self.filtered(subject)?;
        self.key_is_usable(subject)?;
        let contact = contact::of(self.desk, subject.at, subject.cells)?;
        checked.tried += 1;
        let drafts = match self.renderer.render(subject.cells, subject.person()) {
            Ok(drafts) => drafts,
            Err(fault) => {
                let stop = self.desk.failed(subject.at, subject.cells.0, &fault);
                if let Stop::Skip(_, detail) = &stop {
                    checked.failed += 1;
                    checked.failure.get_or_insert_with(|| detail.clone());
                }
                return Err(stop);
            }
        };
        self.nothing_is_missing(subject, &drafts)?;
        let message = self
            .desk
            .message(subject.at, drafts, contact, &mut checked.files)?;
        let recipient = Recipient {
            key: subject.key.unwrap_or_default().to_owned(),
            phone: address.clone(),
            timezone: self.timezone(subject, checked),
        };
        Ok(Verdict::Send { recipient, message })
    }

    fn filtered(&mut self, subject: &Subject<'_>) -> Result<(), Stop> {
        let compiled = &self.desk.kit.compiled;
        let Some(script) = compiled.filter else {
            return Ok(());
        };
        let scope = &self.desk.filter_scope;
        let cells = subject.cells;
        scope.fill(&mut self.filter, subject.person(), |column| {
            typed(cells.cell(column))
        });
        match fit(scope, cells).and_then(|()| decide(compiled, script, &self.filter)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Skip(
                SkipReason::Filtered,
                "`where` is not true for this row".to_owned(),
            )),
            Err(fault) => {
                let empty = scope
                    .cells()
                    .iter()
                    .find(|column| cells.cell(**column).is_empty());
                match (fault.kind, empty) {
                    (FaultKind::Data, Some(column)) => Err(Stop::Skip(
                        SkipReason::Filtered,
                        format!(
                            "`where` cannot be true for this row: '{}' is empty",
                            self.desk.header.name(*column)
                        ),
                    )),
                    _ => Err(self.desk.failed(subject.at, subject.cells.0, &fault)),
                }
            }
        }
    }

    fn key_is_usable(&self, subject: &Subject<'_>) -> Result<(), Stop> {
        let at = subject.at;
        let (Some(key), Some(column)) = (subject.key, self.desk.roles.key) else {
            return Ok(());
        };
        let column = self.desk.header.name(column);
        if key.is_empty() {
            return Err(self.desk.missing(
                at,
                format!("'{column}', the key of the recipient, is empty"),
            ));
        }
        // The parts of the idempotency key are told apart by line ends.
        if key.chars().any(char::is_control) {
            return Err(Stop::Found(self.desk.found(
                at,
                &format!("'{column}', the key of the recipient, has a line end or another control character in it"),
                list_place(&self.desk.list, at.line),
            )));
        }
        Ok(())
    }

    fn nothing_is_missing(&mut self, subject: &Subject<'_>, drafts: &[Draft]) -> Result<(), Stop> {
        if self.desk.kit.campaign.recipients.on_empty == OnEmpty::Allow {
            return Ok(());
        }
        let needed = self
            .renderer
            .needed(subject.cells, subject.person(), drafts);
        if needed.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = needed
            .iter()
            .map(|column| format!("'{}'", self.desk.header.name(*column)))
            .collect();
        let (are, them) = if names.len() == 1 {
            ("is", "it")
        } else {
            ("are", "them")
        };
        let names = names.join(" and ");
        Err(self.desk.missing(
            subject.at,
            format!("{names} {are} empty and the message prints {them}"),
        ))
    }

    /// The row's zone; one that does not exist counts as unknown, with a warning.
    fn timezone(&mut self, subject: &Subject<'_>, checked: &mut Checked) -> Option<String> {
        let column = self.desk.roles.timezone?;
        let zone = subject.cells.cell(column).trim();
        if zone.is_empty() {
            return None;
        }
        if let Some(known) = self.zones.get(zone) {
            return known.then(|| zone.to_owned());
        }
        let known = jiff::tz::TimeZone::get(zone).is_ok();
        if self.zones.len() < MOST_ZONES {
            self.zones.insert(zone.to_owned(), known);
        }
        if !known {
            let shown: String = zone.chars().take(40).collect();
            let message = format!("'{shown}' is no time zone; the row is sent as if it had none");
            let at = subject.at;
            let mut found = self
                .desk
                .found(at, &message, list_place(&self.desk.list, at.line));
            found.problem.severity = Severity::Warning;
            found.problem.help = Some("write names such as America/Chicago".to_owned());
            checked.found.push(*found);
        }
        known.then(|| zone.to_owned())
    }
}
