//! A campaign file: read, checked in itself, and turned into a [`Campaign`] together with the
//! places of its fields. Opens none of the files that it names, and does not know the settings.

mod channel;
mod limits;
mod recipients;
mod timing;

pub(super) use limits::burst;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::message_file::{self, MessageFile};
use super::paths;
use super::settings_file::Settings;
use super::yaml::{Fields, Kind, Node, Places, Reader, Source, items, parse, to_json};
use crate::domain::account::Account;
use crate::domain::campaign::{Campaign, FrozenFile, Recipients, Terms};
use crate::domain::channel::Channel;
use crate::domain::phone::Phone;
use crate::domain::problem::{Place, Problem, Problems, nearest};
use crate::domain::run::is_campaign_name;
use crate::domain::schedule::Schedule;
use crate::domain::window::{Window, WindowZone};

/// A campaign that is right in itself, and where its file says what.
#[derive(Debug, Clone)]
pub struct CampaignFile {
    pub campaign: Campaign,
    pub file: FrozenFile,
    places: Places,
}

impl CampaignFile {
    /// Where a field stands: `recipients.columns.phone`, `from[1]`; `None` when the file leaves
    /// it out. See also `place_or_around` and `text`.
    pub fn place(&self, path: &str) -> Option<Place> {
        self.places.place(path)
    }

    /// Reads the message template. That it cannot be opened is a problem of the line naming it.
    pub fn message(&self) -> (Option<MessageFile>, Problems) {
        let (message, found) = message_file::read(&self.campaign.message);
        (message, self.pointed(found, "message"))
    }

    /// The account of the campaign's gateway, of the kind that the campaign is written for.
    pub fn account<'s>(&self, settings: &'s Settings) -> Result<&'s Account, Problems> {
        let name = &self.campaign.gateway;
        let account = settings.gateways.get(name).ok_or_else(|| {
            let known = || settings.gateways.keys().map(String::as_str);
            let help = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if settings.gateways.is_empty() => {
                    "describe it in sendoff.yaml under `gateways`, or rehearse with `--sandbox`"
                        .to_owned()
                }
                None => format!(
                    "the gateways are {}",
                    known().collect::<Vec<_>>().join(", ")
                ),
            };
            Problem::error(format!("the settings describe no gateway '{name}'"))
                .at(self.places.place_or_around("gateway"))
                .label("unknown gateway")
                .help(help)
        })?;
        let (channel, named) = (self.campaign.terms.channel, self.places.place("channel"));
        let gateway = (name.as_str(), self.places.place_or_around("gateway"));
        match channel::disagreement(channel, account, named, gateway) {
            Some(problem) => Err(problem.into()),
            None => Ok(account),
        }
    }

    /// The problems, those without a place put at the field at `path`.
    pub fn pointed(&self, problems: Problems, path: &str) -> Problems {
        if problems.iter().all(|problem| problem.place.is_some()) {
            return problems;
        }
        let mut pointed = Problems::default();
        for problem in problems.iter() {
            let mut problem = problem.clone();
            if problem.place.is_none() {
                problem.place = Some(self.places.place_or_around(path));
            }
            pointed.push(problem);
        }
        pointed
    }
}

impl Deref for CampaignFile {
    type Target = Places;
    fn deref(&self) -> &Places {
        &self.places
    }
}

/// Reads a campaign file, `path` as the user named it. The campaign is there exactly when no
/// error was found.
pub fn read(path: &Path) -> (Option<CampaignFile>, Problems) {
    match Source::open(path) {
        Ok(source) => read_source(path, source),
        Err(problems) => (None, problems),
    }
}

/// As [`read`], but gives what can be made of a campaign with errors, too: enough to find those
/// in its template and its list. It must not be run.
pub fn read_flawed(path: &Path) -> (Option<CampaignFile>, Problems) {
    match Source::open(path) {
        Ok(source) => flawed(path, source),
        Err(problems) => (None, problems),
    }
}

fn read_source(path: &Path, source: Source) -> (Option<CampaignFile>, Problems) {
    let (file, problems) = flawed(path, source);
    (file.filter(|_| !problems.has_errors()), problems)
}

fn flawed(path: &Path, source: Source) -> (Option<CampaignFile>, Problems) {
    let mut problems = Problems::default();
    let root = parse(&source, &mut problems);
    let reader = Reader::new(Arc::new(source), problems);
    let campaign = root.as_ref().and_then(|root| campaign(&reader, root, path));
    let source = Arc::clone(&reader.source);
    let problems = reader.finish();
    let file = campaign.zip(root).map(|(campaign, root)| CampaignFile {
        campaign,
        file: source.freeze("campaign"),
        places: Places {
            source,
            root: Arc::new(root),
        },
    });
    (file, problems)
}

fn campaign(reader: &Reader, root: &Node, path: &Path) -> Option<Campaign> {
    let mut fields = reader.fields(root, "a campaign")?;
    let name = fields
        .require(reader, "name", "name: review-request")
        .and_then(|node| name(reader, node));
    let description = fields
        .get(reader, "description")
        .and_then(|node| reader.text(node, "a description"))
        .map(str::to_owned);
    let gateway = fields
        .require(reader, "gateway", "gateway: chert")
        .and_then(|node| reader.text(node, "the name of a gateway"))
        .map(str::to_owned);
    let way = channel::read(reader, &mut fields);
    let lines = lines(reader, &mut fields, way.channel);
    let recipients = fields
        .require(reader, "recipients", "recipients: { csv: people.csv }")
        .and_then(|node| recipients::read(reader, node, path));
    let message = fields
        .require(reader, "message", "message: ../templates/hello.yaml")
        .and_then(|node| reader.text(node, "the path of a message template"))
        .map(|named| paths::beside(path, named));
    let vars = fields
        .get(reader, "vars")
        .map(|node| vars(reader, node))
        .unwrap_or_default();
    let schedule = fields
        .get(reader, "schedule")
        .and_then(|node| timing::schedule(reader, node));
    let terms = Terms {
        lines,
        channel: way.channel,
        on_uncertain: way.on_uncertain,
        ..terms(reader, &mut fields, schedule.as_ref())
    };
    if let Some(recipients) = &recipients {
        timing::zones_are_known(reader, &fields, &terms, &recipients.columns);
    }
    let suppress = suppress(reader, &mut fields, path);
    fields.unsupported(
        reader,
        "guard",
        "remove it, and watch the run: `sendoff pause RUN` stops it",
    );
    fields.refuse(reader, "to", to);
    fields.finish(reader);
    Some(Campaign {
        name: name?,
        description,
        gateway: gateway?,
        recipients: recipients?,
        message: message?,
        vars,
        schedule,
        suppress,
        terms,
    })
}

/// Why nobody is named by `to`, least of all a group: each person has a key, a line and a word of
/// their own, which one conversation of many would mix.
fn to(value: &Node) -> Problem {
    let is_group =
        matches!(&value.kind, Kind::Scalar(scalar) if scalar.text.eq_ignore_ascii_case("group"));
    if is_group {
        Problem::error(
            "a campaign does not write to a group: everybody gets a message of their own, in a \
             conversation of their own, and can say STOP for themselves",
        )
        .label("one conversation for many people")
        .help(
            "remove this line, and the people in `recipients` are written to one by one; a group \
             is made in the provider's own app",
        )
    } else {
        Problem::error("a campaign has no field 'to'")
            .label("unknown field")
            .help("who gets the message is in `recipients`: `recipients: { csv: people.csv }`")
    }
}

fn name(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "the campaign's name")?;
    if is_campaign_name(text) {
        return Some(text.to_owned());
    }
    let problem = Problem::error(
        "a campaign's name has lower-case letters, digits, `-` and `_` only, at most 64",
    )
    .label("not such a name");
    let near = valid_name(text);
    reader.report(
        &node.range,
        if near.is_empty() {
            problem.help("write a name such as `review-request`")
        } else {
            problem.help(format!("write `{near}`"))
        },
    );
    None
}

/// The campaign name that is nearest to a text; empty when nothing of the text can stay.
fn valid_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.trim().chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() || (c == '_' && !name.is_empty()) {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(64);
    name.trim_end_matches('-').to_owned()
}

/// The sender lines. A Chert campaign needs at least one; a channel has none to choose from.
fn lines(reader: &Reader, fields: &mut Fields<'_>, channel: Option<Channel>) -> Vec<Phone> {
    const EXAMPLE: &str = "from: [\"+15555550100\"]";
    if fields.has("channel") {
        if fields.get(reader, "from").is_some() {
            let by = channel.map_or("its channel", Channel::in_words);
            reader.report(
                &fields.key("from"),
                Problem::error(format!(
                    "'from' names lines of a Chert account, and this campaign writes by {by}"
                ))
                .label("not with `channel`")
                .help("remove it: the HueChat account itself decides who the message is from"),
            );
        }
        return Vec::new();
    }
    let Some(node) = fields.require(reader, "from", EXAMPLE) else {
        return Vec::new();
    };
    let items = items(node);
    if items.is_empty() && node.kind != Kind::Broken {
        reader.report(
            &node.range,
            Problem::error("'from' names no line to send from")
                .label("empty")
                .help(format!("write a line of your account, such as `{EXAMPLE}`")),
        );
    }
    let mut lines = Vec::new();
    for item in items {
        let Some(text) = reader.text(item, "a phone number") else {
            continue;
        };
        match Phone::from_e164(text) {
            Ok(line) if lines.contains(&line) => reader.report(
                &item.range,
                Problem::error("this line is named twice")
                    .label("already in the list")
                    .help("remove one; each line takes an equal share of the recipients"),
            ),
            Ok(line) => lines.push(line),
            Err(error) => reader.report(
                &item.range,
                Problem::error(error.to_string())
                    .label("not a line in international form")
                    .help("write `+`, the country code and the number without spaces, in quotes"),
            ),
        }
    }
    lines
}

/// Bytes of all values in `vars`: what a template may make of them, it may as well be given.
const MAX_VARS: usize = 64 * 1024;
/// Names that templates already use for something else.
const RESERVED: [&str; 3] = ["row", "recipient", "run"];

fn vars(reader: &Reader, node: &Node) -> BTreeMap<String, serde_json::Value> {
    let Some(fields) = reader.fields(node, "'vars'") else {
        return BTreeMap::new();
    };
    let mut vars = BTreeMap::new();
    for entry in fields.all() {
        let key = &entry.key;
        let word = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !key.starts_with(|c: char| c.is_ascii_digit());
        if RESERVED.contains(&key.as_str()) {
            reader.report(
                &entry.key_range,
                Problem::error(format!("'{key}' already means something in a template"))
                    .label("taken")
                    .help(format!("call it something else, such as `my_{key}`")),
            );
        } else if !word || key.is_empty() {
            reader.report(
                &entry.key_range,
                Problem::error("a template can only use names of letters, digits and `_`")
                    .label("cannot be used in a template")
                    .help(format!("write `{}`", valid_name(key).replace('-', "_"))),
            );
        } else {
            vars.insert(key.clone(), to_json(&entry.value));
        }
    }
    let size: usize = vars.values().map(|value| value.to_string().len()).sum();
    if size > MAX_VARS {
        let problem = Problem::error("the values in 'vars' are longer than 64 KiB")
            .label("too much for a message")
            .help("move long lists of values into the recipients' CSV file");
        reader.report(&node.range, problem);
    }
    vars
}

/// How a run goes on; who it is from, and by which way, is for the caller to add.
fn terms(reader: &Reader, fields: &mut Fields<'_>, schedule: Option<&Schedule>) -> Terms {
    let mut get = |name| fields.get(reader, name);
    let window = get("window").and_then(|node| timing::window(reader, node));
    let expires = get("expires").and_then(|node| reader.duration(node));
    let pace = get("pace").map(|node| limits::pace(reader, node));
    let retry = get("retry").map(|node| limits::retry(reader, node));
    let (pace, per_day) = pace.unwrap_or_default();
    if pace.per_line.is_some() && fields.has("channel") {
        reader.report(
            &fields.key("pace"),
            Problem::error(
                "'per_line' slows lines of a Chert account down, and a channel has none",
            )
            .label("has a 'per_line'")
            .help("write `rate` instead of it"),
        );
    }
    let day = schedule.map_or_else(|| day_of(window.as_ref()), |one| one.timezone.clone());
    Terms {
        pace,
        retry: retry.unwrap_or_default(),
        window,
        expires,
        cap: per_day.on(day),
        ..Terms::default()
    }
}

/// Whose midnight ends a day where no schedule says so: the window's, unless that is each
/// recipient's own.
fn day_of(window: Option<&Window>) -> TimeZone {
    match window.map(Window::zone) {
        Some(WindowZone::Fixed(zone)) => zone.clone(),
        Some(WindowZone::Recipient) | None => TimeZone::UTC,
    }
}

fn suppress(reader: &Reader, fields: &mut Fields<'_>, path: &Path) -> Vec<PathBuf> {
    let Some(node) = fields.get(reader, "suppress") else {
        return Vec::new();
    };
    items(node)
        .iter()
        .filter_map(|item| reader.text(item, "the path of a do-not-contact list"))
        .map(|named| paths::beside(path, named))
        .collect()
}

#[cfg(test)]
mod tests;
