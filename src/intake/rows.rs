//! A campaign with its templates, ready to read its list: every row becomes a verdict. Does not
//! know who was written to before, or who stands in the list twice; that is the ledger's.

mod cells;
mod check;
mod contact;
mod desk;
mod pipeline;
mod shape;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use pipeline::{ListFacts, Rows};
use shape::Table;
pub use shape::list_alone;

use super::campaign_file::CampaignFile;
use super::list::frame::Fault;
use super::message_file::{MessageFile, PartBody};
use super::template::compile::{Compiled, compile};
use super::template::media::Shelf;
use super::template::render::Probe;
use super::template::scope::{Known, Scope};
use crate::domain::campaign::{Campaign, FrozenFile};
use crate::domain::channel::Channel;
use crate::domain::problem::{Place, Problem, Problems};
use crate::domain::run::RunId;

/// A campaign and its compiled message.
#[derive(Debug, Clone)]
pub struct Loaded {
    kit: Arc<Kit>,
}

/// What stays the same for every list that the campaign is run with.
#[derive(Debug)]
struct Kit {
    campaign: Campaign,
    compiled: Compiled,
    probe: Probe,
    /// Where the campaign names each column.
    places: BTreeMap<String, Place>,
    /// Where the campaign names the list.
    list: Option<Place>,
    files: Vec<FrozenFile>,
}

/// An opened list.
pub struct ListInput {
    name: String,
    source: Box<dyn Read + Send>,
}

impl std::fmt::Debug for ListInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListInput({})", self.name)
    }
}

impl ListInput {
    /// `name` is how problems call it.
    pub fn new(name: impl Into<String>, source: Box<dyn Read + Send>) -> Self {
        Self {
            name: name.into(),
            source,
        }
    }
}

/// Room for what is inside each other in a template, as deep as it may go: expressions when they
/// are compiled, included files and components when they are rendered.
const STACK: usize = 16 * 1024 * 1024;

/// Reads and compiles the message of a campaign. The result is there exactly when no error was
/// found.
pub fn load(file: &CampaignFile) -> (Option<Loaded>, Problems) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        match thread.spawn_scoped(scope, || compiled(file)) {
            Ok(thread) => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(error) => {
                let problem = Problem::error(format!("cannot start a thread: {error}"));
                (None, problem.into())
            }
        }
    })
}

fn compiled(file: &CampaignFile) -> (Option<Loaded>, Problems) {
    let (message, mut problems) = file.message();
    let Some(message) = message else {
        return (None, problems);
    };
    let filter = file.text("recipients.where");
    let (compiled, found) = compile(&message, &file.campaign.message, filter.as_ref());
    problems.extend(found);
    if let Some(script) = compiled.filter.and_then(|n| compiled.scripts.get(n)) {
        for token in script.scan.quoted() {
            if !cells::is_text(&token.text) {
                let mut warning = Problem::warning(format!(
                    "in `where`, '{}' in quotes is a text, and a cell like it is not",
                    token.text
                ))
                .help(format!("write {} without quotes", token.text));
                warning.place = compiled.place_of(&script.name, token);
                problems.push(warning);
            }
        }
    }
    if problems.has_errors() {
        return (None, problems);
    }
    problems.extend(bare_links(&message, file.campaign.terms.channel));
    let mut files = vec![file.file.clone(), message.file.clone()];
    files.extend(compiled.files());
    let kit = Kit {
        probe: Probe::new(&compiled),
        campaign: file.campaign.clone(),
        places: shape::column_places(file),
        list: file.place("recipients.csv"),
        compiled,
        files,
    };
    (Some(Loaded { kit: Arc::new(kit) }), problems)
}

/// What is left of a link where the provider shows no cards.
fn bare_links(message: &MessageFile, channel: Option<Channel>) -> Problems {
    let mut problems = Problems::default();
    let Some(channel) = channel else {
        return problems;
    };
    for part in &message.parts {
        if let PartBody::RichLink { .. } = part.body {
            let by = channel.in_words();
            problems.push(
                Problem::warning(format!(
                    "by {by} this link is its address on a line of its own; its title, summary and \
                     pictures are not shown"
                ))
                .at(part.place.clone())
                .help("say in a part of `type: text` what the address is for"),
            );
        }
    }
    problems
}

impl Loaded {
    /// The files that a run is frozen from, but for the list and the media.
    pub fn files(&self) -> Vec<FrozenFile> {
        self.kit.files.clone()
    }

    /// Opens the list that the campaign names; `-` is the process's standard input.
    pub fn open_list(&self) -> Result<ListInput, Problems> {
        let place = self.kit.list.as_ref();
        shape::open_list(&self.kit.campaign.recipients.source, place)
    }

    /// Starts to read a list: its header is checked and bound to the templates here, its rows
    /// stream from what is returned. One pass; the source is never rewound.
    pub fn rows(&self, run: &RunId, input: ListInput) -> Result<Rows, Problems> {
        let kit = &self.kit;
        let table = Table::open(input, &kit.campaign, &kit.places)?;
        let Table {
            name,
            mut framer,
            header,
            roles,
            mut problems,
        } = table;
        let known = Known {
            header: &header,
            roles: &roles,
            vars: &kit.campaign.vars,
            run,
        };
        let filter = kit.compiled.filter;
        let of_message: Vec<usize> = (0..kit.compiled.scripts.len())
            .filter(|n| Some(*n) != filter)
            .collect();
        let (message_scope, found) = Scope::bind(&kit.compiled, &of_message, known);
        problems.extend(found);
        let (filter_scope, found) = Scope::bind(
            &kit.compiled,
            &filter.into_iter().collect::<Vec<_>>(),
            known,
        );
        problems.extend(found);
        if problems.has_errors() {
            problems.extend(shape::walk(&mut framer, &name, header.len()));
            return Err(problems);
        }
        let folder = kit
            .campaign
            .message
            .parent()
            .unwrap_or_else(|| Path::new(""));
        let desk = desk::Desk {
            kit: Arc::clone(kit),
            shelf: Shelf::new(folder),
            list: name,
            delimiter: framer.delimiter(),
            header,
            roles,
            message_scope,
            filter_scope,
        };
        Ok(Rows::new(framer, desk, problems))
    }
}

/// A place in a list. The line itself is not shown: it is about a person.
fn list_place(name: &str, line: u64) -> Place {
    Place {
        file: name.to_owned(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: 1,
        width: 0,
        excerpt: None,
    }
}

fn list_problem(name: &str, fault: &Fault, line: u64) -> Problem {
    Problem::error(fault.to_string())
        .at(list_place(name, line))
        .help(fault.remedy())
}

#[cfg(test)]
mod tests;
