//! `schedule` and `window`: when a run starts, and in which hours it may send. The rules of time
//! themselves are the domain's.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::Reader;
use crate::domain::campaign::{Columns, Terms};
use crate::domain::channel::Channel;
use crate::domain::problem::{Problem, nearest};
use crate::domain::schedule::zone::{self, UnknownZone};
use crate::domain::schedule::{CatchUp, CronExpr, Overlap, Schedule, When};
use crate::domain::window::{BadWindow, DayTime, Days, Window, WindowZone};
use crate::intake::yaml::{Fields, Kind, Node, Text, items};

pub(super) fn schedule(reader: &Reader, node: &Node) -> Option<Schedule> {
    let mut fields = reader.fields(node, "'schedule'")?;
    let when = when(reader, &mut fields);
    let timezone = fields
        .require(reader, "timezone", "timezone: America/Chicago")
        .and_then(|node| time_zone(reader, node));
    let catch_up = fields.get(reader, "catch_up").and_then(|node| {
        reader.choice(
            node,
            &[
                ("latest", CatchUp::Latest),
                ("all", CatchUp::All),
                ("none", CatchUp::None),
            ],
        )
    });
    let start_by = fields
        .get(reader, "start_by")
        .and_then(|node| reader.duration(node));
    let overlap = fields.get(reader, "overlap").and_then(|node| {
        reader.choice(node, &[("skip", Overlap::Skip), ("queue", Overlap::Queue)])
    });
    let jitter = fields
        .get(reader, "jitter")
        .and_then(|node| reader.duration(node));
    if fields.has("at") && !fields.has("cron") {
        for name in ["catch_up", "overlap"] {
            if fields.has(name) {
                reader.report(
                    &fields.key(name),
                    Problem::error(format!(
                        "'{name}' says nothing about a campaign that runs once"
                    ))
                    .label("only with `cron`")
                    .help("remove it; `start_by` decides how late a single run may still start"),
                );
            }
        }
    }
    fields.finish(reader);
    Some(Schedule {
        when: when?,
        timezone: timezone?,
        catch_up: catch_up.unwrap_or_default(),
        start_by,
        overlap: overlap.unwrap_or_default(),
        jitter,
    })
}

/// `cron` or `at`: exactly one of them.
fn when(reader: &Reader, fields: &mut Fields<'_>) -> Option<When> {
    let cron = fields.get(reader, "cron");
    let at = fields.get(reader, "at");
    match (cron, at) {
        (Some(_), Some(_)) => {
            let line = reader.source.place(&fields.key("cron")).line;
            reader.report(
                &fields.key("at"),
                Problem::error("a schedule has either 'cron' or 'at', not both")
                    .label(format!("'cron' is in line {line}"))
                    .help("keep `cron` to repeat, `at` to run once"),
            );
            None
        }
        (Some(node), None) => cron_expression(reader, node).map(When::Cron),
        (None, Some(node)) => moment(reader, node).map(When::At),
        (None, None) if fields.has("cron") || fields.has("at") => None,
        (None, None) => {
            reader.report(
                fields.range(),
                Problem::error("the schedule does not say when")
                    .label("neither 'cron' nor 'at'")
                    .help(
                        "add `cron: \"0 10 * * MON-FRI\"` or `at: 2026-11-24T10:00`; \
                         without a schedule the campaign runs when you start it",
                    ),
            );
            None
        }
    }
}

fn cron_expression(reader: &Reader, node: &Node) -> Option<CronExpr> {
    let text = reader.text(node, "a cron expression")?;
    CronExpr::parse(text)
        .inspect_err(|bad| {
            let problem = Problem::error(bad.message.clone())
                .label(if bad.field.is_some() {
                    "in this field"
                } else {
                    "not a cron expression"
                })
                .help(bad.help.clone());
            let place = Text::of(node, &reader.source).map(|text| {
                let column = u32::try_from(bad.column + 1).unwrap_or(1);
                let mut place = text.locate(1, column);
                place.width = u32::try_from(bad.width).unwrap_or(0);
                place
            });
            match place {
                Some(place) => reader.report_at(place, problem),
                None => reader.report(&node.range, problem),
            }
        })
        .ok()
}

/// A wall-clock time; its zone is a field of its own.
fn moment(reader: &Reader, node: &Node) -> Option<DateTime> {
    const EXAMPLE: &str = "write it as 2026-11-24T10:00, on the clocks of `timezone`";
    let text = reader.text(node, "a date and a time of day")?.trim();
    let offset = text
        .get(11..)
        .is_some_and(|time| time.contains(['Z', 'z', '+', '-', '[']));
    let problem = if offset {
        Problem::error("the time must not carry an offset").label("ends in an offset")
    } else if let Ok(at) = text.parse::<DateTime>()
        && text.contains(':')
    {
        return Some(at);
    } else {
        Problem::error("this is no date and time of day").label("not such a time")
    };
    reader.report(&node.range, problem.help(EXAMPLE));
    None
}

fn time_zone(reader: &Reader, node: &Node) -> Option<TimeZone> {
    let text = reader.text(node, "a time zone")?;
    zone::parse(text)
        .inspect_err(|unknown| report_zone(reader, node, unknown, unknown.remedy()))
        .ok()
}

fn report_zone(reader: &Reader, node: &Node, unknown: &UnknownZone, remedy: String) {
    reader.report(
        &node.range,
        Problem::error(format!("'{}' is no time zone", unknown.name))
            .label("unknown time zone")
            .help(remedy),
    );
}

pub(super) fn window(reader: &Reader, node: &Node) -> Option<Window> {
    let mut fields = reader.fields(node, "'window'")?;
    let days = match fields.get(reader, "days") {
        Some(node) => days(reader, node),
        None if fields.has("days") => None,
        None => Some(Days::ALL),
    };
    let from = fields
        .require(reader, "from", "from: \"09:00\"")
        .and_then(|node| reader.parsed(node, "a time of day", DayTime::parse));
    let to = fields
        .require(reader, "to", "to: \"20:00\"")
        .and_then(|node| reader.parsed(node, "a time of day", DayTime::parse));
    let zone = fields
        .require(reader, "timezone", "timezone: recipient")
        .and_then(|node| window_zone(reader, node));
    let at = fields.key("to");
    fields.finish(reader);
    Window::new(days?, from?, to?, zone?)
        .inspect_err(|error| {
            reader.report(
                &at,
                Problem::error(error.to_string())
                    .label("no hour is left")
                    .help("a window lies within one day; `to: \"24:00\"` is its end"),
            );
        })
        .ok()
}

/// `MON-SAT`, or a list of such.
fn days(reader: &Reader, node: &Node) -> Option<Days> {
    let items = items(node);
    if items.is_empty() && node.kind != Kind::Broken {
        reader.report(
            &node.range,
            Problem::error("the window has no day")
                .label("empty")
                .help("write the days, such as `MON-SAT`, or remove the line for all of them"),
        );
        return None;
    }
    let texts: Option<Vec<&str>> = items
        .iter()
        .map(|item| {
            let text = reader.text(item, "a day of the week")?;
            reader
                .parsed(item, "a set of weekdays", Days::parse)
                .map(|_| text)
        })
        .collect();
    Days::parse(&texts?.join(",")).ok()
}

fn window_zone(reader: &Reader, node: &Node) -> Option<WindowZone> {
    let text = reader.text(node, "`recipient` or a time zone")?;
    WindowZone::parse(text)
        .inspect_err(|error| match error {
            BadWindow::Zone(unknown) => {
                let remedy = match nearest(text, ["recipient"]) {
                    Some(_) => "did you mean `recipient`?".to_owned(),
                    None => format!("{}; `recipient` means each one's own", unknown.remedy()),
                };
                report_zone(reader, node, unknown, remedy);
            }
            BadWindow::Days(_) | BadWindow::Time(_) | BadWindow::Empty { .. } => {
                reader.report(&node.range, Problem::error(error.to_string()));
            }
        })
        .ok()
}

/// A window on everybody's own clock needs to know the clock: a number tells where it may be, an
/// e-mail address does not.
pub(super) fn zones_are_known(
    reader: &Reader,
    fields: &Fields<'_>,
    terms: &Terms,
    columns: &Columns,
) {
    let own = terms
        .window
        .as_ref()
        .is_some_and(|window| *window.zone() == WindowZone::Recipient);
    if own && terms.channel.is_some_and(Channel::is_mail) && columns.timezone.is_none() {
        reader.report(
            &fields.key("window"),
            Problem::error(
                "the window is on each recipient's own clock, and an e-mail address does not tell \
                 where somebody lives",
            )
            .label("whose time zone?")
            .help(
                "name the column with the time zones, `columns: { timezone: … }` under \
                 `recipients`, or write a zone into the window, such as `timezone: America/Chicago`",
            ),
        );
    }
}
