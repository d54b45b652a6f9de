//! One row through the templates of a message: the strings of its parts, and which empty cells it
//! could not do without. Reads no file; media are looked up later, by the path made here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;

use tera::{Context, Tera, Value};

use super::compile::{BodyPlan, Compiled, Slot};
use super::meter;
use super::report::{self, Fault, FaultKind};
use super::scope::{Person, Scope};

/// Longest string that a template may grow to, in bytes; a text of the provider's greatest length
/// fits in any script (4 bytes a character), and a runaway loop does not.
pub(super) const MAX_OUTPUT: usize = 64 * 1024;

/// Most empty columns that are named for one row.
const MOST_NAMED: usize = 8;

/// A rendered part; a file is still a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its position in the template, from 0.
    pub part: usize,
    pub body: DraftBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DraftBody {
    Text {
        value: String,
        subject: Option<String>,
    },
    Template {
        name: String,
        language: Option<String>,
        parameters: BTreeMap<String, String>,
    },
    File(String),
    MediaUrl(String),
    RichLink {
        url: String,
        rest: [Option<String>; 4],
    },
}

/// The cells of a row.
pub trait Cells {
    /// The text of a column as it stands in the list; empty when it holds nothing but white space.
    fn cell(&self, column: usize) -> &str;
}

thread_local! {
    /// Raised when the probing renderer prints a value without content.
    static PRINTED_NOTHING: Cell<bool> = const { Cell::new(false) };
}

fn watch(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    if text.trim().is_empty() {
        PRINTED_NOTHING.set(true);
    }
    meter::pass(text, out)
}

/// Renders the messages of one list. Cheap to clone but for its buffers: one for each thread.
#[derive(Debug)]
pub struct Renderer<'a> {
    compiled: &'a Compiled,
    scope: &'a Scope,
    probe: &'a Probe,
    context: Context,
}

/// The same templates in an engine that notices when an empty value is printed, by what it takes
/// for its way of escaping.
#[derive(Debug)]
pub struct Probe {
    tera: Tera,
    compares_empty: bool,
    joins: bool,
}

impl Probe {
    pub fn new(compiled: &Compiled) -> Self {
        let mut tera = compiled.tera.clone();
        tera.set_escape_fn(watch);
        let scans = || {
            (0..compiled.scripts.len())
                .flat_map(|script| compiled.scans(script))
                .map(|(_, scan)| scan)
        };
        Self {
            tera,
            compares_empty: scans().any(super::scan::Scan::compares_empty),
            joins: scans().any(super::scan::Scan::joins),
        }
    }
}

impl<'a> Renderer<'a> {
    pub fn new(compiled: &'a Compiled, scope: &'a Scope, probe: &'a Probe) -> Self {
        Self {
            compiled,
            scope,
            probe,
            context: scope.context(),
        }
    }

    /// The parts of the message for this row.
    pub fn render(&mut self, cells: &impl Cells, person: Person<'_>) -> Result<Vec<Draft>, Fault> {
        fit(self.scope, cells)?;
        self.scope.fill(&mut self.context, person, |column| {
            Value::from(cells.cell(column))
        });
        draft(self.compiled, &self.compiled.tera, &self.context)
    }

    /// The columns whose cell is empty in this row although the message prints them. `drafts` is
    /// what [`Renderer::render`] made of the row.
    ///
    /// A cell is needed when the message would look different with something in its place that
    /// counts as empty, too, but shows: an empty list, printed as `[]`. A guard such as
    /// `{% if company %}` or `| default(…)` makes no difference between the two, a print does.
    pub fn needed(
        &mut self,
        cells: &impl Cells,
        person: Person<'_>,
        drafts: &[Draft],
    ) -> Vec<usize> {
        let empty: Vec<usize> = self
            .scope
            .cells()
            .iter()
            .copied()
            .filter(|c| cells.cell(*c).is_empty())
            .collect();
        if empty.is_empty() || !self.differs(cells, person, drafts, &empty).0 {
            return Vec::new();
        }
        let printed_nothing = self.prints_nothing(cells, person);
        let mut needed = Vec::new();
        // Halves, so that a list of thousands of empty columns is not rendered once for each.
        let mut unsure = vec![empty.as_slice()];
        while let Some(columns) = unsure.pop() {
            if needed.len() == MOST_NAMED {
                break;
            }
            let (differs, failed) = self.differs(cells, person, drafts, columns);
            // The list stood out by itself only where a template asks `== ""`, and made a
            // filter fail where a text would not: there the print itself must be seen.
            let doubtful = if failed {
                !self.probe.joins
            } else {
                self.probe.compares_empty
            };
            match columns {
                _ if !differs => {}
                [column] if printed_nothing || !doubtful => needed.push(*column),
                [_] => {}
                several => {
                    let (first, second) = several.split_at(several.len() / 2);
                    unsure.extend([second, first]);
                }
            }
        }
        needed
    }

    /// Whether the message is another, and whether it fails, with lists in these columns.
    fn differs(
        &mut self,
        cells: &impl Cells,
        person: Person<'_>,
        drafts: &[Draft],
        columns: &[usize],
    ) -> (bool, bool) {
        self.scope.fill(&mut self.context, person, |column| {
            if columns.contains(&column) {
                Value::from(Vec::<Value>::new())
            } else {
                Value::from(cells.cell(column))
            }
        });
        match draft(self.compiled, &self.compiled.tera, &self.context) {
            Ok(other) => (other != drafts, false),
            Err(_) => (true, true),
        }
    }

    fn prints_nothing(&mut self, cells: &impl Cells, person: Person<'_>) -> bool {
        self.scope.fill(&mut self.context, person, |column| {
            Value::from(cells.cell(column))
        });
        PRINTED_NOTHING.set(false);
        let drafts = draft(self.compiled, &self.probe.tera, &self.context);
        drafts.is_err() || PRINTED_NOTHING.get()
    }
}

/// Whether the cells that the templates can reach hold no more text than any message could show.
pub fn fit(scope: &Scope, cells: &impl Cells) -> Result<(), Fault> {
    let reached = scope.cells().iter().map(|column| cells.cell(*column).len());
    if reached.sum::<usize>() <= MAX_OUTPUT {
        return Ok(());
    }
    Err(Fault {
        kind: FaultKind::Data,
        message: "the cells that the template uses hold more than 64 KiB".to_owned(),
        at: None,
    })
}

/// Decides an expression such as `where`.
pub fn decide(compiled: &Compiled, script: usize, context: &Context) -> Result<bool, Fault> {
    Ok(!run(compiled, &compiled.tera, script, context)?.is_empty())
}

fn draft(compiled: &Compiled, tera: &Tera, context: &Context) -> Result<Vec<Draft>, Fault> {
    let mut drafts = Vec::with_capacity(compiled.parts.len());
    let text = |slot: &Slot| match slot {
        Slot::Fixed(text) => Ok(text.clone()),
        Slot::Script(script) => run(compiled, tera, *script, context),
    };
    let trimmed = |slot: &Slot| text(slot).map(|text| text.trim().to_owned());
    // An optional field that renders to nothing is left out.
    let optional = |slot: Option<&Slot>| {
        let text = slot.map(&trimmed).transpose();
        text.map(|text| text.filter(|text| !text.is_empty()))
    };
    for (part, plan) in compiled.parts.iter().enumerate() {
        if let Some(when) = plan.when
            && run(compiled, tera, when, context)?.is_empty()
        {
            continue;
        }
        let body = match &plan.body {
            BodyPlan::Text { value, subject } => {
                // The last line end of a YAML text is nothing to send.
                let mut value = text(value)?;
                value.truncate(value.trim_end().len());
                DraftBody::Text {
                    value,
                    subject: optional(subject.as_ref())?,
                }
            }
            BodyPlan::Template {
                name,
                language,
                parameters,
            } => DraftBody::Template {
                name: name.clone(),
                language: language.clone(),
                parameters: parameters
                    .iter()
                    .map(|(key, slot)| Ok((key.clone(), trimmed(slot)?)))
                    .collect::<Result<_, Fault>>()?,
            },
            BodyPlan::Media { file, .. } => DraftBody::File(trimmed(file)?),
            BodyPlan::MediaUrl { url } => DraftBody::MediaUrl(trimmed(url)?),
            BodyPlan::RichLink { url, rest } => {
                let url = trimmed(url)?;
                let mut made = [None, None, None, None];
                for (slot, made) in rest.iter().zip(&mut made) {
                    *made = optional(slot.as_ref())?;
                }
                DraftBody::RichLink { url, rest: made }
            }
        };
        drafts.push(Draft { part, body });
    }
    Ok(drafts)
}

fn run(
    compiled: &Compiled,
    tera: &Tera,
    script: usize,
    context: &Context,
) -> Result<String, Fault> {
    let Some(script) = compiled.scripts.get(script) else {
        return Ok(String::new());
    };
    meter::refill();
    let mut out = Bounded(Vec::with_capacity(script.text.value.len() + 64));
    let fault = match tera.render_to(&script.name, context, &mut out) {
        Ok(()) => match String::from_utf8(out.0) {
            Ok(text) => return Ok(text),
            Err(_) => Fault {
                kind: FaultKind::Data,
                message: "the text is broken".to_owned(),
                at: None,
            },
        },
        Err(error) => compiled.as_written(report::of_rendering(&error)),
    };
    let at = fault.at.or_else(|| {
        Some(report::Spot {
            template: script.name.clone(),
            line: 1,
            column: 1,
            width: 0,
        })
    });
    Err(Fault { at, ..fault })
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
