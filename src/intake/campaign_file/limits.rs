//! `pace` and `retry`: how fast, how many a day, and how often again. Does not know the gateway's own limits.

use std::num::NonZeroU32;

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::Reader;
use crate::domain::cap::Cap;
use crate::domain::duration;
use crate::domain::pace::Pace;
use crate::domain::problem::Problem;
use crate::domain::retry::RetryPolicy;
use crate::intake::yaml::{Fields, Kind, Node, items};

/// Requests on the wire at the same time; more than this only piles up at the provider.
const MAX_CONCURRENCY: u32 = 1_024;
/// Messages at once after a quiet time.
const MAX_BURST: u32 = 10_000;
/// Tries of one delivery.
const MAX_ATTEMPTS: u32 = 100;

/// The largest cap of a day; who writes to more people has none.
const MAX_PER_DAY: u32 = 10_000_000;
/// Days of a ramp; more is no ramp.
const MAX_RAMP: usize = 366;

/// How many people are newly written to on a day; whose day it is, is the schedule's or the
/// window's to say.
#[derive(Debug, Default)]
pub(super) struct PerDay {
    cap: Option<NonZeroU32>,
    ramp: Vec<NonZeroU32>,
}

impl PerDay {
    /// A cap on the days of a zone; none where the campaign asks for none.
    pub(super) fn on(self, timezone: TimeZone) -> Option<Cap> {
        (self.cap.is_some() || !self.ramp.is_empty()).then_some(Cap {
            ramp: self.ramp,
            per_day: self.cap,
            timezone,
            gap: SignedDuration::ZERO,
        })
    }
}

fn per_day(reader: &Reader, fields: &mut Fields<'_>) -> PerDay {
    let people = |node| {
        let n = reader.whole(node, 1, MAX_PER_DAY)?;
        NonZeroU32::new(n)
    };
    let cap = fields.get(reader, "daily_cap").and_then(people);
    let Some(node) = fields.get(reader, "ramp") else {
        let ramp = Vec::new();
        return PerDay { cap, ramp };
    };
    let days = items(node);
    let problem = if days.is_empty() && node.kind != Kind::Broken {
        Some(Problem::error("the ramp has no day").label("empty"))
    } else if days.len() > MAX_RAMP {
        Some(Problem::error("a ramp has at most 366 days").label("too long"))
    } else {
        None
    };
    if let Some(problem) = problem {
        let help = "write the caps of the first days, such as `ramp: [50, 100, 200]`";
        reader.report(&node.range, problem.help(help));
    }
    let mut ramp = Vec::new();
    for day in days.iter().take(MAX_RAMP) {
        let Some(n) = people(day) else { continue };
        if cap.is_some_and(|cap| n > cap) {
            reader.report(
                &day.range,
                Problem::error("a day of the ramp is above the cap that it leads up to")
                    .label("more than `daily_cap`")
                    .help("raise `daily_cap`, or end the ramp earlier"),
            );
        }
        ramp.push(n);
    }
    PerDay { cap, ramp }
}

pub(super) fn pace(reader: &Reader, node: &Node) -> (Pace, PerDay) {
    let Some(mut fields) = reader.fields(node, "'pace'") else {
        return (Pace::default(), PerDay::default());
    };
    let rate = fields
        .get(reader, "rate")
        .and_then(|node| reader.rate(node));
    let burst = burst(reader, &mut fields);
    let concurrency = fields
        .get(reader, "concurrency")
        .and_then(|node| reader.whole(node, 1, MAX_CONCURRENCY))
        .and_then(NonZeroU32::new);
    let per_line = fields
        .get(reader, "per_line")
        .and_then(|node| reader.rate(node));
    let per_day = per_day(reader, &mut fields);
    fields.finish(reader);
    let usual = Pace::default();
    let pace = Pace {
        rate,
        burst,
        concurrency: concurrency.unwrap_or(usual.concurrency),
        per_line,
    };
    (pace, per_day)
}

/// `burst`, which says nothing without a `rate` beside it.
pub(in crate::intake) fn burst(reader: &Reader, fields: &mut Fields<'_>) -> Option<NonZeroU32> {
    let node = fields.get(reader, "burst")?;
    if !fields.has("rate") {
        reader.report(
            &fields.key("burst"),
            Problem::error("'burst' without 'rate' limits nothing")
                .label("there is no rate to burst above")
                .help("add a line such as `rate: 5/s`, or remove `burst`"),
        );
    }
    reader.whole(node, 1, MAX_BURST).and_then(NonZeroU32::new)
}

pub(super) fn retry(reader: &Reader, node: &Node) -> RetryPolicy {
    let usual = RetryPolicy::default();
    let Some(mut fields) = reader.fields(node, "'retry'") else {
        return usual;
    };
    let attempts = fields
        .get(reader, "attempts")
        .and_then(|node| reader.whole(node, 1, MAX_ATTEMPTS));
    let mut time = |name, usual| {
        fields
            .get(reader, name)
            .map_or(Some(usual), |node| reader.duration(node))
    };
    let base = time("base", usual.base);
    let max = time("max", usual.max);
    let give_up_after = time("give_up_after", usual.give_up_after);
    if let (Some(base), Some(max)) = (base, max)
        && base > max
    {
        let at = if fields.has("base") { "base" } else { "max" };
        reader.report(
            &fields.key(at),
            Problem::error(format!(
                "the first wait ({}) is longer than the longest one ({})",
                duration::format(base),
                duration::format(max)
            ))
            .label("`base` must not be above `max`")
            .help("waits begin at `base` and double up to `max`"),
        );
    }
    fields.finish(reader);
    RetryPolicy {
        attempts: attempts.unwrap_or(usual.attempts),
        base: base.unwrap_or(usual.base),
        max: max.unwrap_or(usual.max),
        give_up_after: give_up_after.unwrap_or(usual.give_up_after),
    }
}
