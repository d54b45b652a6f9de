//! The names a template may use, bound to the columns of one list: found once per list, filled
//! in once per row. Decides what an unknown name is, not what a value means.

use std::collections::{BTreeMap, BTreeSet};

use tera::{Context, Map, Value};

use super::compile::Compiled;
use super::scan::{Guard, Token};
use crate::domain::problem::{Problem, Problems, nearest};
use crate::domain::run::RunId;
use crate::intake::list::header::{Header, Roles};

/// Names that are always there, and go before a column of the same name.
const RESERVED: [&str; 4] = ["recipient", "row", "run", "vars"];
const RECIPIENT: [&str; 6] = [
    "phone",
    "key",
    "first_name",
    "last_name",
    "email",
    "timezone",
];
const RUN: [&str; 3] = ["id", "campaign", "occurrence"];

/// What the names of some templates stand for in one list.
#[derive(Debug, Clone)]
pub struct Scope {
    /// What is the same for every row.
    base: Context,
    /// Variable and column.
    columns: Vec<(String, usize)>,
    /// Header and column, when `row` is used.
    row: Option<Vec<(String, usize)>>,
    /// Field and column (none: the address or key that the row came to), when `recipient` is used.
    recipient: Option<Vec<(&'static str, Option<usize>)>>,
    cells: Vec<usize>,
}

/// What every binding needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub header: &'a Header,
    pub roles: &'a Roles,
    pub vars: &'a BTreeMap<String, serde_json::Value>,
    pub run: &'a RunId,
}

/// The person of a row, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// As the channel takes it.
    pub address: &'a str,
    pub key: &'a str,
}

impl Scope {
    /// Binds every name of these scripts; what cannot be bound is a problem.
    pub fn bind(compiled: &Compiled, scripts: &[usize], known: Known<'_>) -> (Self, Problems) {
        let mut binder = Binder {
            compiled,
            known,
            columns: BTreeMap::new(),
            reserved: BTreeSet::new(),
            row: BTreeMap::new(),
            whole_row: false,
            problems: Problems::default(),
        };
        for script in scripts {
            binder.script(*script);
        }
        binder.finish()
    }

    /// A context to be filled row by row.
    pub fn context(&self) -> Context {
        self.base.clone()
    }

    /// The columns that the templates can reach.
    pub fn cells(&self) -> &[usize] {
        &self.cells
    }

    /// Puts a row in place of the one before.
    pub fn fill(&self, context: &mut Context, person: Person<'_>, cell: impl Fn(usize) -> Value) {
        for (name, column) in &self.columns {
            context.insert_value(name.clone(), cell(*column));
        }
        if let Some(row) = &self.row {
            let map: Map = row
                .iter()
                .map(|(name, column)| (name.clone().into(), cell(*column)))
                .collect();
            context.insert_value("row", Value::from(map));
        }
        if let Some(fields) = &self.recipient {
            let map: Map = fields
                .iter()
                .map(|(field, column)| {
                    let value = match column {
                        Some(column) => cell(*column),
                        None if *field == "key" => Value::from(person.key),
                        None => Value::from(person.address),
                    };
                    ((*field).into(), value)
                })
                .collect();
            context.insert_value("recipient", Value::from(map));
        }
    }
}

struct Binder<'a> {
    compiled: &'a Compiled,
    known: Known<'a>,
    columns: BTreeMap<String, usize>,
    reserved: BTreeSet<&'static str>,
    row: BTreeMap<String, usize>,
    whole_row: bool,
    problems: Problems,
}

impl Binder<'_> {
    fn script(&mut self, script: usize) {
        let Some(name) = self.compiled.scripts.get(script).map(|script| &script.name) else {
            return;
        };
        // A template that did not compile has been reported.
        let Ok(variables) = self.compiled.tera.get_template_variables(name) else {
            return;
        };
        let mut variables: Vec<&str> = variables.into_iter().collect();
        variables.sort_unstable();
        for variable in variables {
            if let Some(reserved) = RESERVED.iter().find(|r| **r == variable) {
                self.reserved.insert(reserved);
                self.attributes(script, reserved);
            } else {
                self.variable(script, variable);
            }
        }
    }

    fn variable(&mut self, script: usize, name: &str) {
        let column = self.known.header.variable(name);
        match (column, self.known.vars.contains_key(name)) {
            (Some(column), true) => {
                let header = self.known.header.name(column);
                let problem = Problem::error(format!(
                    "'{name}' is both the column '{header}' and an entry of `vars`"
                ))
                .help(format!("write `vars.{name}` or `row[\"{header}\"]`"));
                self.report(script, name, problem);
            }
            (Some(column), false) => drop(self.columns.insert(name.to_owned(), column)),
            (None, true) => {}
            (None, false) => self.unknown(script, name),
        }
    }

    fn unknown(&mut self, script: usize, name: &str) {
        let mut guards = Vec::new();
        for (_, scan) in self.compiled.scans(script) {
            guards.extend(scan.uses(name).map(|(_, guard)| guard));
        }
        if guards.contains(&Guard::Tested) {
            return;
        }
        let near = {
            let header = self.known.header;
            let known = header
                .variables()
                .chain(self.known.vars.keys().map(String::as_str))
                .chain(RESERVED);
            nearest(name, known).map(str::to_owned)
        };
        let only_default = !guards.is_empty() && guards.iter().all(|g| *g == Guard::Default);
        let problem = if only_default {
            Problem::warning(format!(
                "there is no column or variable '{name}': everybody gets the default"
            ))
        } else {
            Problem::error(format!("there is no column or variable '{name}'"))
        };
        let help = match near {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the list has {}", self.names()),
        };
        self.report(script, name, problem.help(help));
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.known.header.variables().take(20).collect();
        names.join(", ")
    }

    fn attributes(&mut self, script: usize, base: &'static str) {
        for (template, scan) in self.compiled.scans(script) {
            if base == "row" && scan.used_whole("row") {
                self.whole_row = true;
            }
            for (token, guard) in scan.attributes(base) {
                let known = self.knows(base, &token.text);
                if !known && guard == Guard::None {
                    let problem = self.unknown_attribute(base, token);
                    let problem = match self.compiled.place_of(template, token) {
                        Some(place) => problem.at(place),
                        None => problem,
                    };
                    self.problems.push(problem);
                }
            }
        }
    }

    fn knows(&mut self, base: &str, attribute: &str) -> bool {
        match base {
            "row" => match self.known.header.exact(attribute) {
                Some(column) => {
                    self.row
                        .insert(self.known.header.name(column).to_owned(), column);
                    true
                }
                None => false,
            },
            "vars" => self.known.vars.contains_key(attribute),
            "run" => RUN.contains(&attribute),
            _ => self.fields().iter().any(|(field, _)| *field == attribute),
        }
    }

    fn unknown_attribute(&self, base: &str, token: &Token) -> Problem {
        let (known, problem): (Vec<&str>, Problem) = match base {
            "row" => (
                self.known.header.names().collect(),
                Problem::error(format!("the list has no column '{}'", token.text)),
            ),
            "vars" => (
                self.known.vars.keys().map(String::as_str).collect(),
                Problem::error(format!(
                    "the campaign has no '{}' in its `vars`",
                    token.text
                )),
            ),
            "run" => (
                RUN.to_vec(),
                Problem::error(format!("a run has no '{}'", token.text)),
            ),
            _ => (
                self.fields().iter().map(|(field, _)| *field).collect(),
                if RECIPIENT.contains(&token.text.as_str()) {
                    Problem::error(format!("the campaign names no column for '{}'", token.text))
                } else {
                    Problem::error(format!("a recipient has no '{}'", token.text))
                },
            ),
        };
        match nearest(&token.text, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean '{near}'?")),
            None if known.is_empty() => problem.help("the campaign has no `vars`"),
            None => problem.help(format!("there is: {}", known.join(", "))),
        }
    }

    fn fields(&self) -> Vec<(&'static str, Option<usize>)> {
        let roles = self.known.roles;
        let optional = [
            ("first_name", roles.first_name),
            ("last_name", roles.last_name),
            ("phone", roles.phone),
            ("email", roles.email),
            ("timezone", roles.timezone),
        ];
        let address = if roles.is_mail { "email" } else { "phone" };
        let given = optional
            .into_iter()
            .filter(|(field, column)| column.is_some() && *field != address);
        [(address, None), ("key", None)]
            .into_iter()
            .chain(given)
            .collect()
    }

    /// A problem at the first unguarded use of `name`.
    fn report(&mut self, script: usize, name: &str, problem: Problem) {
        let scans = self.compiled.scans(script);
        let first = |wanted: fn(Guard) -> bool| {
            scans.iter().find_map(|(template, scan)| {
                let (token, _) = scan.uses(name).find(|(_, guard)| wanted(*guard))?;
                self.compiled.place_of(template, token)
            })
        };
        let place = first(|guard| guard == Guard::None).or_else(|| first(|_| true));
        self.problems.push(match place {
            Some(place) => problem.at(place),
            None => problem,
        });
    }

    fn finish(mut self) -> (Scope, Problems) {
        let mut base = Context::new();
        let vars: BTreeMap<&String, &serde_json::Value> = self.known.vars.iter().collect();
        for (name, value) in &vars {
            if !RESERVED.contains(&name.as_str()) {
                base.insert((*name).clone(), value);
            }
        }
        base.insert("vars", &vars);
        let run = self.known.run;
        let facts = [
            ("id", run.as_str()),
            ("campaign", run.campaign()),
            ("occurrence", run.occurrence()),
        ];
        base.insert("run", &BTreeMap::from(facts));
        if self.whole_row {
            let header = self.known.header;
            for column in 0..header.len() {
                self.row.insert(header.name(column).to_owned(), column);
            }
            self.row.remove("");
        }
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|(name, column)| (name.clone(), *column))
            .collect();
        let row = self
            .reserved
            .contains("row")
            .then(|| self.row.clone().into_iter().collect::<Vec<_>>())
            .map(|mut row| {
                // A loop over the row goes as the list does.
                row.sort_by_key(|(_, column)| *column);
                row
            });
        let recipient = self.reserved.contains("recipient").then(|| self.fields());
        let cells: BTreeSet<usize> = columns
            .iter()
            .chain(row.iter().flatten())
            .map(|(_, column)| *column)
            .chain(recipient.iter().flatten().filter_map(|(_, column)| *column))
            .collect();
        let scope = Scope {
            base,
            columns,
            row,
            recipient,
            cells: cells.into_iter().collect(),
        };
        (scope, self.problems)
    }
}
