//! `pace` and `retry`: how fast, and how often again. Does not know the gateway's own limits.

use std::num::NonZeroU32;

use super::Reader;
use crate::domain::duration;
use crate::domain::pace::Pace;
use crate::domain::problem::Problem;
use crate::domain::retry::RetryPolicy;
use crate::intake::yaml::{Fields, Node};

/// Requests on the wire at the same time; more than this only piles up at the provider.
const MAX_CONCURRENCY: u32 = 1_024;
/// Messages at once after a quiet time.
const MAX_BURST: u32 = 10_000;
/// Tries of one delivery.
const MAX_ATTEMPTS: u32 = 100;

pub(super) fn pace(reader: &Reader, node: &Node) -> Pace {
    let Some(mut fields) = reader.fields(node, "'pace'") else {
        return Pace::default();
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
    fields.unsupported(
        reader,
        "daily_cap",
        "remove it; `rate: 500/d` spreads as many over the day, `run --limit 500` stops after them",
    );
    fields.unsupported(
        reader,
        "ramp",
        "remove it; `run --limit N` sends N and leaves the rest for the next call",
    );
    fields.finish(reader);
    let usual = Pace::default();
    Pace {
        rate,
        burst,
        concurrency: concurrency.unwrap_or(usual.concurrency),
        per_line,
    }
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
