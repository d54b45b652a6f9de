//! What all threads share while a list is checked, and what a row can come to besides a verdict.
//! Does not decide whom a message goes to.

use std::collections::BTreeMap;
use std::sync::Arc;

use csv::StringRecord;

use super::super::list::header::{Header, Roles};
use super::super::template::compile::BodyPlan;
use super::super::template::media::Shelf;
use super::super::template::render::{Draft, DraftBody};
use super::super::template::report::{Fault, FaultKind};
use super::super::template::scope::Scope;
use super::cells::redacted;
use super::{Kit, list_place};
use crate::domain::address::{Address, AddressError};
use crate::domain::campaign::OnEmpty;
use crate::domain::contact::Contact;
use crate::domain::delivery::SkipReason;
use crate::domain::digest::Digest;
use crate::domain::message::{MediaSource, Message, Part};
use crate::domain::phone::Phone;
use crate::domain::problem::{Place, Problem};
use crate::domain::recipient::Row;

/// Everything that the threads share while they check one list.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) kit: Arc<Kit>,
    pub(super) shelf: Shelf,
    pub(super) list: String,
    pub(super) delimiter: u8,
    pub(super) header: Header,
    pub(super) roles: Roles,
    pub(super) message_scope: Scope,
    pub(super) filter_scope: Scope,
}

/// What some rows came to.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) rows: Vec<Row>,
    /// Files that the rows name, in order.
    pub(super) files: Vec<Digest>,
    pub(super) found: Vec<Found>,
    /// Rows that got as far as the template.
    pub(super) tried: u64,
    /// Those of them that it failed for.
    pub(super) failed: u64,
    /// How, the first time.
    pub(super) failure: Option<String>,
}

/// A problem of a row; `same` tells which rows have the same one.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) same: String,
    pub(super) problem: Problem,
}

/// A row that comes to nothing.
#[derive(Debug)]
pub(super) enum Stop {
    /// Left out, with the detail.
    Skip(SkipReason, String),
    /// Something is wrong; nothing may be sent.
    Found(Box<Found>),
}

/// Where a row stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) number: u64,
    pub(super) line: u64,
}

impl Desk {
    /// The message that a row's drafts make: files are read, the provider's rules checked. What
    /// it names is noted in `files`.
    pub(super) fn message(
        &self,
        at: At,
        drafts: Vec<Draft>,
        contact: Option<Contact>,
        files: &mut Vec<Digest>,
    ) -> Result<Message, Stop> {
        let order: Vec<usize> = drafts.iter().map(|draft| draft.part).collect();
        let mut parts = Vec::with_capacity(drafts.len());
        for draft in drafts {
            parts.push(match draft.body {
                DraftBody::Text { value, subject } => Part::Text { value, subject },
                DraftBody::Template {
                    name,
                    language,
                    parameters,
                } => {
                    self.parameters_are_there(at, &parameters)?;
                    Part::Template {
                        name,
                        language,
                        parameters,
                    }
                }
                DraftBody::MediaUrl(url) => Part::Media {
                    source: MediaSource::Url { url },
                },
                DraftBody::RichLink {
                    url,
                    rest: [title, summary, image_url, icon_url],
                } => Part::RichLink {
                    url,
                    title,
                    summary,
                    image_url,
                    icon_url,
                },
                DraftBody::File(path) => {
                    let sha256 = self.file(at, draft.part, &path)?;
                    if !files.contains(&sha256) {
                        files.push(sha256);
                    }
                    Part::Media {
                        source: MediaSource::File { sha256 },
                    }
                }
            });
        }
        let message = Message { parts, contact };
        let channel = self.kit.campaign.terms.channel;
        let Some(breach) = message.breaches_on(channel).into_iter().next() else {
            return Ok(message);
        };
        let parts = &self.kit.compiled.parts;
        let plan = breach
            .part()
            .and_then(|part| parts.get(*order.get(part)?))
            .or_else(|| parts.first());
        let place = plan.map_or_else(
            || list_place(&self.list, at.line),
            |plan| plan.place.clone(),
        );
        let mut found = self.found(at, &breach.to_string(), place);
        found.problem.help = breach.remedy().map(str::to_owned);
        Err(Stop::Found(found))
    }

    /// A template with an empty parameter is refused, so what left it empty is treated like an
    /// empty cell, be it a condition or a default.
    fn parameters_are_there(
        &self,
        at: At,
        parameters: &BTreeMap<String, String>,
    ) -> Result<(), Stop> {
        let empty = parameters.iter().find(|(_, text)| text.trim().is_empty());
        match (empty, self.kit.campaign.recipients.on_empty) {
            // What is allowed to be empty is a breach of the provider's rules all the same.
            (None, _) | (Some(_), OnEmpty::Allow) => Ok(()),
            (Some((name, _)), OnEmpty::Skip | OnEmpty::Error) => Err(self.missing(
                at,
                format!("the parameter \"{name}\" of the template comes out empty"),
            )),
        }
    }

    /// A cell as an address of the campaign's channel.
    pub(super) fn address(&self, cell: &str) -> Result<Address, AddressError> {
        let region = self.kit.campaign.recipients.region;
        match self.kit.campaign.terms.channel {
            Some(channel) => channel.address(cell, region),
            None => Ok(Phone::parse(cell, region)?.into()),
        }
    }

    fn file(&self, at: At, part: usize, path: &str) -> Result<Digest, Stop> {
        let plan = self.kit.compiled.parts.get(part).map(|plan| &plan.body);
        let Some(BodyPlan::Media { literal, place, .. }) = plan else {
            return Err(Stop::Skip(
                SkipReason::RenderError,
                "the part has no file".to_owned(),
            ));
        };
        self.shelf.digest(path, literal).map_err(|bad| {
            let mut found = self.found(at, &bad.message, place.clone());
            found.problem.help = Some(bad.help);
            Stop::Found(found)
        })
    }

    /// An empty cell, by the campaign's `on_empty`.
    pub(super) fn missing(&self, at: At, detail: String) -> Stop {
        match self.kit.campaign.recipients.on_empty {
            OnEmpty::Skip | OnEmpty::Allow => Stop::Skip(SkipReason::MissingValue, detail),
            OnEmpty::Error => {
                let mut found = self.found(at, &detail, list_place(&self.list, at.line));
                found.problem.help = Some(
                    "fill the cell, or write `on_empty: skip` to leave such rows out".to_owned(),
                );
                Stop::Found(found)
            }
        }
    }

    /// A row with too many or too few cells.
    pub(super) fn ragged(&self, at: At, cells: usize) -> Found {
        ragged(&self.list, at, self.header.len(), cells)
    }

    /// A template that failed: for this row alone when its values are to blame.
    pub(super) fn failed(&self, at: At, record: &StringRecord, fault: &Fault) -> Stop {
        let message = redacted(&fault.message, record);
        match fault.kind {
            FaultKind::Data => {
                let place = fault
                    .at
                    .as_ref()
                    .and_then(|spot| self.kit.compiled.place(spot));
                let place = place.map(|place| format!(" ({}:{})", place.file, place.line));
                Stop::Skip(
                    SkipReason::RenderError,
                    format!("{message}{}", place.unwrap_or_default()),
                )
            }
            FaultKind::Template | FaultKind::Undefined | FaultKind::TooLong => {
                let fault = Fault {
                    message,
                    ..fault.clone()
                };
                let mut problem = self.kit.compiled.problem(&fault);
                let same = std::mem::take(&mut problem.message);
                problem.message = self.of_row(at, &same);
                Stop::Found(Box::new(Found { same, problem }))
            }
        }
    }

    /// A problem of one row.
    pub(super) fn found(&self, at: At, message: &str, place: Place) -> Box<Found> {
        let problem = Problem::error(self.of_row(at, message)).at(place);
        Box::new(Found {
            same: message.to_owned(),
            problem,
        })
    }

    fn of_row(&self, at: At, message: &str) -> String {
        format!(
            "row {} (line {} of {}): {message}",
            at.number, at.line, self.list
        )
    }
}

/// A row of a list with `cells` cells under a header of `columns`.
pub(super) fn ragged(list: &str, at: At, columns: usize, cells: usize) -> Found {
    let cells = if cells == 1 {
        "1 cell".to_owned()
    } else {
        format!("{cells} cells")
    };
    let message = format!("this row has {cells}, the header has {columns}");
    Found {
        same: "ragged".to_owned(),
        problem: Problem::error(message)
            .at(list_place(list, at.line))
            .help("a cell that holds the delimiter must stand in quotes"),
    }
}
