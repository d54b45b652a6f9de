//! From a message file to compiled templates. Every fault of every string is collected with its
//! place; files that templates include are read here, from the template's own folder only.

use std::collections::BTreeMap;
use std::path::Path;

use tera::Tera;

use super::filters;
use super::include::Include;
use super::meter::{self, Metered, metered};
use super::report::{self, Fault, Spot};
use super::scan::{Scan, Token};
use crate::domain::problem::{Place, Problem, Problems, nearest};
use crate::intake::message_file::{MessageFile, PartBody, Text};

/// The tag around an expression; takes six columns of the first line.
const BEFORE: &str = "{% if ";
const AFTER: &str = " %}1{% endif %}";

/// A string of a part.
#[derive(Debug, Clone)]
pub enum Slot {
    /// Has no tag in it: the same for everybody.
    Fixed(String),
    /// A compiled template, by position in [`Compiled::scripts`].
    Script(usize),
}

/// A part, ready to be rendered.
#[derive(Debug, Clone)]
pub struct PartPlan {
    pub place: Place,
    pub when: Option<usize>,
    pub body: BodyPlan,
}

#[derive(Debug, Clone)]
pub enum BodyPlan {
    Text {
        value: Slot,
        subject: Option<Slot>,
    },
    Template {
        name: String,
        language: Option<String>,
        parameters: Vec<(String, Slot)>,
    },
    Media {
        file: Slot,
        /// What stands before the first tag.
        literal: String,
        place: Place,
    },
    MediaUrl {
        url: Slot,
    },
    RichLink {
        url: Slot,
        rest: Box<[Option<Slot>; 4]>,
    },
}

/// A template or expression and where it came from.
#[derive(Debug, Clone)]
pub struct Script {
    /// Tera's name for it.
    pub name: String,
    pub text: Text,
    /// An expression stands behind [`BEFORE`].
    expression: bool,
    pub scan: Scan,
}

/// The templates of a message and the `where` of its campaign.
#[derive(Debug)]
pub struct Compiled {
    pub tera: Tera,
    pub scripts: Vec<Script>,
    pub parts: Vec<PartPlan>,
    /// The script of `where`.
    pub filter: Option<usize>,
    pub(super) includes: BTreeMap<String, Include>,
    /// What the engine was given for each, by its name.
    given: BTreeMap<String, Metered>,
}

/// Compiles a message; `path` is the message file, whose folder holds what it includes.
pub fn compile(message: &MessageFile, path: &Path, filter: Option<&Text>) -> (Compiled, Problems) {
    let mut tera = Tera::default();
    // Nothing is escaped; so the meter sees what is printed.
    tera.autoescape_on([""]);
    tera.set_escape_fn(meter::pass);
    meter::register(&mut tera);
    filters::register(&mut tera);
    let mut compiled = Compiled {
        tera,
        scripts: Vec::new(),
        parts: Vec::new(),
        filter: None,
        includes: BTreeMap::new(),
        given: BTreeMap::new(),
    };
    let mut problems = Problems::default();
    compiled.plan(message);
    if let Some(text) = filter {
        compiled.filter = compiled.add_expression("where", text, &mut problems);
    }
    for (n, part) in message.parts.iter().enumerate() {
        if let Some(text) = &part.when {
            let when =
                compiled.add_expression(&format!("part {} when", n + 1), text, &mut problems);
            if let Some(plan) = compiled.parts.get_mut(n) {
                plan.when = when;
            }
        }
    }
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    compiled.load_includes(folder, &mut problems);
    compiled.build(&mut problems);
    (compiled, problems)
}

impl Compiled {
    fn plan(&mut self, message: &MessageFile) {
        for (n, part) in message.parts.iter().enumerate() {
            let mut slot =
                |field: &str, text: &Text| self.slot(&format!("part {} {field}", n + 1), text);
            let body = match &part.body {
                PartBody::Text { value, subject } => BodyPlan::Text {
                    value: slot("value", value),
                    subject: subject.as_ref().map(|text| slot("subject", text)),
                },
                PartBody::Template {
                    name,
                    language,
                    parameters,
                } => BodyPlan::Template {
                    name: name.clone(),
                    language: language.clone(),
                    parameters: parameters
                        .iter()
                        .map(|(key, text)| (key.clone(), slot(&format!("parameter {key}"), text)))
                        .collect(),
                },
                PartBody::Media { file } => BodyPlan::Media {
                    file: slot("file", file),
                    literal: file.value.split("{{").next().unwrap_or_default().to_owned(),
                    place: file.place(),
                },
                PartBody::MediaUrl { url } => BodyPlan::MediaUrl {
                    url: slot("url", url),
                },
                PartBody::RichLink {
                    url,
                    title,
                    summary,
                    image_url,
                    icon_url,
                } => {
                    let url = slot("url", url);
                    let mut optional = |field: &str, text: &Option<Text>| {
                        text.as_ref().map(|text| slot(field, text))
                    };
                    BodyPlan::RichLink {
                        url,
                        rest: Box::new([
                            optional("title", title),
                            optional("summary", summary),
                            optional("image_url", image_url),
                            optional("icon_url", icon_url),
                        ]),
                    }
                }
            };
            self.parts.push(PartPlan {
                place: part.place.clone(),
                when: None,
                body,
            });
        }
    }

    fn slot(&mut self, name: &str, text: &Text) -> Slot {
        if !text.value.contains('{') {
            return Slot::Fixed(text.value.clone());
        }
        self.scripts.push(Script {
            // No file can have this name, so none can be shadowed by it.
            name: format!("\0{name}"),
            text: text.clone(),
            expression: false,
            scan: Scan::new(&text.value),
        });
        Slot::Script(self.scripts.len() - 1)
    }

    fn add_expression(
        &mut self,
        name: &str,
        text: &Text,
        problems: &mut Problems,
    ) -> Option<usize> {
        if ["{{", "}}", "{%", "%}"]
            .iter()
            .any(|tag| text.value.contains(tag))
        {
            problems.push(
                Problem::error(format!(
                    "'{}' is an expression, not a template",
                    word_of(name)
                ))
                .at(text.place())
                .help("write it without braces, such as `visits > 0`"),
            );
            return None;
        }
        self.scripts.push(Script {
            name: format!("\0{name}"),
            text: text.clone(),
            expression: true,
            scan: Scan::new(&wrapped(&text.value)),
        });
        Some(self.scripts.len() - 1)
    }

    /// Where in the user's files a place of a compiled template is.
    pub fn place(&self, spot: &Spot) -> Option<Place> {
        if let Some(script) = self
            .scripts
            .iter()
            .find(|script| script.name == spot.template)
        {
            let before = u32::try_from(BEFORE.len()).unwrap_or(0);
            let first = script.expression && spot.line == 1;
            let column = if first {
                spot.column.saturating_sub(before).max(1)
            } else {
                spot.column
            };
            let mut place = script.text.locate(spot.line, column);
            place.width = spot.width;
            return Some(place);
        }
        let include = self.includes.get(&spot.template)?;
        let line = usize::try_from(spot.line).ok()?.checked_sub(1)?;
        Some(Place {
            file: include.shown.clone(),
            line: spot.line,
            column: spot.column,
            width: spot.width,
            excerpt: include.source.lines().nth(line).map(str::to_owned),
        })
    }

    /// Where a word that [`Scan`] found in `template` is.
    pub fn place_of(&self, template: &str, token: &Token) -> Option<Place> {
        self.place(&Spot {
            template: template.to_owned(),
            line: token.line,
            column: token.column,
            width: token.width(),
        })
    }

    /// A script's own scan and those of every file it could include, with their names.
    pub fn scans(&self, script: usize) -> Vec<(&str, &Scan)> {
        let Some(script) = self.scripts.get(script) else {
            return Vec::new();
        };
        let mut found = vec![(script.name.as_str(), &script.scan)];
        let mut next = 0;
        while let Some((_, scan)) = found.get(next).copied() {
            for file in scan.files() {
                if let Some((name, include)) = self.includes.get_key_value(&file.text)
                    && !found.iter().any(|(known, _)| known == name)
                {
                    found.push((name, &include.scan));
                }
            }
            next += 1;
        }
        found
    }

    fn build(&mut self, problems: &mut Problems) {
        self.check_words(problems);
        let files = self.includes.iter();
        self.given = files
            .map(|(name, file)| (name.clone(), metered(file.body(), &file.scan)))
            .collect();
        let files = self.given.iter();
        let files = files.map(|(name, given)| (name.as_str(), given.source.as_str()));
        if let Err(error) = self.tera.add_raw_templates(files) {
            self.report(&error, problems);
            return;
        }
        self.check_depth(problems);
        for script in &self.scripts {
            let given = if script.expression {
                metered(&wrapped(&script.text.value), &Scan::default())
            } else {
                metered(&script.text.value, &script.scan)
            };
            self.given.insert(script.name.clone(), given);
        }
        for n in 0..self.scripts.len() {
            let name = self.scripts.get(n).map(|script| script.name.clone());
            let Some((name, given)) = name.and_then(|name| self.given.get_key_value(&name)) else {
                break;
            };
            if let Err(error) = self.tera.add_raw_template(name, &given.source) {
                self.report(&error, problems);
            }
        }
    }

    /// A fault of what the engine was given, at its place in what the user wrote.
    pub(super) fn as_written(&self, mut fault: Fault) -> Fault {
        if let Some(spot) = &mut fault.at
            && let Some(given) = self.given.get(&spot.template)
        {
            given.to_written(spot);
        }
        fault
    }

    fn report(&self, error: &tera::Error, problems: &mut Problems) {
        for fault in report::of_compiling(error) {
            let fault = self.as_written(fault);
            // Files that are not there have been reported with the reason.
            if !fault.message.starts_with("unknown template") {
                problems.push(self.problem(&fault));
            }
        }
    }

    /// A fault as a problem at its place.
    pub fn problem(&self, fault: &Fault) -> Problem {
        let filter = fault
            .message
            .strip_prefix("unknown filter '")
            .and_then(|rest| rest.strip_suffix('\''));
        let problem = match filter {
            None if fault.message == report::EXPRESSION_ENDS => {
                Problem::error(fault.message.clone())
                    .help("write a whole condition, such as `visits > 0 and not complained`")
            }
            None if ["is expected", "too early"]
                .iter()
                .any(|word| fault.message.contains(word)) =>
            {
                Problem::error(fault.message.clone()).help(
                    "a value is written `{{ name }}`, a condition `{% if name %}…{% endif %}`",
                )
            }
            None => Problem::error(fault.message.clone()),
            Some(name) => {
                let problem = Problem::error(format!("there is no filter '{name}'"));
                match nearest(name, filters::NAMES) {
                    Some(near) => problem.help(format!("did you mean '{near}'?")),
                    None => problem.help(format!("there are: {}", filters::NAMES.join(", "))),
                }
            }
        };
        at(problem, fault.at.as_ref().and_then(|spot| self.place(spot)))
    }
}

/// With its place, where there is one.
pub(super) fn at(problem: Problem, place: Option<Place>) -> Problem {
    match place {
        Some(place) => problem.at(place),
        None => problem,
    }
}

fn wrapped(expression: &str) -> String {
    format!("{BEFORE}{expression}{AFTER}")
}

fn word_of(name: &str) -> &str {
    name.rsplit(' ').next().unwrap_or(name)
}
