//! The caps of the day in the words of commands: how long a run takes under them, and what is
//! known of a run together with the bounds that only the settings know. Counts nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Stop, preflight};
use crate::domain::account::Account;
use crate::domain::campaign::Terms;
use crate::domain::cap::{Cap, Room, Subject, Used};
use crate::domain::duration;
use crate::domain::pace::DayLimit;
use crate::intake::settings_file::Settings;
use crate::ledger::{
    AccountLimits, CapState, FreezeFacts, Gate, Held, Ledger, Outlook, RunFacts, RunRecord, Turn,
};

const A_MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// What of a gateway only the settings know.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds<'s> {
    pub(super) first_touch: Option<&'s Cap>,
    pub(super) account: AccountLimits,
}

impl<'s> Bounds<'s> {
    /// None, where the settings do not know the gateway.
    pub(super) fn of(settings: &'s Settings, gateway: &str) -> Self {
        let account = settings.gateways.get(gateway);
        Self {
            first_touch: account.and_then(Account::first_touch),
            account: account.map(preflight::limits).unwrap_or_default(),
        }
    }
}

/// Everything about a run, with the caps of its lines and the plan of its account.
pub(super) async fn facts(
    ledger: &dyn Ledger,
    record: &RunRecord,
    bounds: Bounds<'_>,
    now: Timestamp,
) -> Result<RunFacts, Stop> {
    let mut facts = ledger.facts(&record.run, now).await?;
    if facts.counts.open() > 0 {
        let used_up = used_up(
            ledger,
            &record.gateway,
            (&bounds.account, &facts.gates),
            now,
        );
        facts.gates.extend(used_up.await?);
        facts.outlook = held(facts.outlook, &facts.gates);
    }
    if let Some(cap) = bounds.first_touch {
        let lines = record.terms.lines.iter();
        let lines: Vec<(Subject, Cap)> = lines
            .map(|line| (Subject::Line(line.expose().to_owned()), cap.clone()))
            .collect();
        facts
            .caps
            .extend(ledger.caps(&record.gateway, &lines, now).await?);
    }
    Ok(facts)
}

/// Until when the account may be asked nothing more, where the requests that its plan allows for a
/// day are used up: shown as if the provider had said so, unless one of these waits lasts as long.
/// The count itself keeps everybody back, so a larger plan counts at once.
pub(super) async fn used_up(
    ledger: &dyn Ledger,
    gateway: &str,
    (account, waits): (&AccountLimits, &[Gate]),
    now: Timestamp,
) -> Result<Option<Gate>, Stop> {
    let Some(DayLimit(per_day)) = account.per_day else {
        return Ok(None);
    };
    // None is given for a time that is over: it is only told when the next one is.
    let past = now.saturating_sub(A_MINUTE).unwrap_or(Timestamp::MIN);
    let turn = ledger.take_turn(gateway, account, now, past).await?;
    let until = match turn {
        Turn::NotBefore(at) if at.duration_since(now) > A_MINUTE => at,
        Turn::NotBefore(_) | Turn::At { .. } => return Ok(None),
    };
    let is_known = |gate: &Gate| gate.held == Held::Account && gate.until >= until;
    Ok((!waits.iter().any(is_known)).then(|| Gate {
        gateway: gateway.to_owned(),
        held: Held::Account,
        until,
        inactive_since: None,
        reason: format!("the {per_day} requests that its plan allows for a day (UTC) are used up"),
    }))
}

/// When something is next to be done, waits of the whole account included.
pub(super) fn held(outlook: Outlook, gates: &[Gate]) -> Outlook {
    let account = gates.iter().filter(|gate| gate.held == Held::Account);
    let until = account.map(|gate| gate.until).max();
    Outlook {
        next_due_at: outlook
            .next_due_at
            .map(|due| until.map_or(due, |until| due.max(until))),
        ..outlook
    }
}

/// What a run would be under its caps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Prospect<'a> {
    pub(super) campaign: &'a str,
    pub(super) gateway: &'a str,
    pub(super) terms: &'a Terms,
    pub(super) first_touch: Option<&'a Cap>,
    pub(super) facts: &'a FreezeFacts,
}

/// How long a run takes, where that is long; one sentence, or two.
pub(super) async fn how_long(
    ledger: Option<&dyn Ledger>,
    prospect: Prospect<'_>,
    now: Timestamp,
) -> Result<Option<String>, Stop> {
    let Prospect {
        campaign, terms, ..
    } = prospect;
    let day = terms.cap.iter();
    let day = day.map(|cap| (Subject::Campaign(campaign.to_owned()), cap.clone()));
    let first = prospect.first_touch.into_iter().flat_map(|cap| {
        let lines = prospect.facts.first_touches.keys();
        lines.map(|line| (Subject::Line(line.clone()), cap.clone()))
    });
    let caps: Vec<(Subject, Cap)> = day.chain(first).collect();
    let states = match ledger {
        Some(ledger) => ledger.caps(prospect.gateway, &caps, now).await?,
        None => fresh(caps),
    };
    Ok(in_words(
        &states,
        (
            prospect.facts.counts.open(),
            &prospect.facts.first_touches,
            terms.expires,
        ),
    ))
}

/// Nothing of them is used.
fn fresh(caps: Vec<(Subject, Cap)>) -> Vec<CapState> {
    let fresh = caps.into_iter().map(|(subject, cap)| CapState {
        subject,
        cap,
        used: Used::default(),
        room: Room::Open(u32::MAX),
    });
    fresh.collect()
}

fn in_words(
    states: &[CapState],
    (open, first, expires): (u64, &BTreeMap<String, u64>, Option<SignedDuration>),
) -> Option<String> {
    let people = |state: &CapState| match &state.subject {
        Subject::Campaign(_) => open,
        Subject::Line(line) => first.get(line).copied().unwrap_or(0),
    };
    let days = |state: &CapState| state.cap.days_for(people(state), state.used);
    let longest = states.iter().max_by_key(|state| days(state))?;
    let (days, gaps) = (days(longest), people(longest).saturating_sub(1));
    let gaps = i32::try_from(gaps).ok();
    let in_gaps = gaps.and_then(|gaps| longest.cap.gap.checked_mul(gaps));
    let hour = SignedDuration::from_hours(1);
    let time = if days > 1 {
        format!("about {days} days")
    } else {
        let hours = in_gaps.filter(|time| *time >= hour)?.as_hours();
        format!(
            "at least {hours} {}",
            if hours == 1 { "hour" } else { "hours" }
        )
    };
    let text = format!("That takes {time}: {}.", why(longest));
    let whole_days = i64::try_from(days).unwrap_or(i64::MAX).saturating_sub(1);
    match expires {
        Some(kept) if kept.as_hours() / 24 < whole_days => Some(format!(
            "{text} What is not sent {} after the start is skipped (`expires`).",
            duration::format(kept)
        )),
        Some(_) | None => Some(text),
    }
}

fn why(state: &CapState) -> String {
    let cap = &state.cap;
    match &state.subject {
        Subject::Campaign(_) => {
            let ramp: Vec<String> = cap.ramp.iter().map(ToString::to_string).collect();
            let after = cap.per_day.map(|n| format!("{n} people a day"));
            match (ramp.is_empty(), after) {
                (true, after) => format!(
                    "the campaign newly writes to at most {}",
                    after.unwrap_or_default()
                ),
                (false, Some(after)) => format!(
                    "the campaign newly writes to at most {} people on its first days, then {after}",
                    ramp.join(", ")
                ),
                (false, None) => format!(
                    "the campaign newly writes to at most {} people on its first days",
                    ramp.join(", ")
                ),
            }
        }
        Subject::Line(_) => {
            let most = cap
                .on_day(u32::MAX)
                .map_or_else(String::new, |n| format!("{n} "));
            let gap = if cap.gap.is_positive() {
                format!(", {} apart", duration::format(cap.gap))
            } else {
                String::new()
            };
            format!(
                "a line writes to at most {most}people a day whom the account has not written to \
                 before{gap} (`first_touch` in the settings)"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use std::num::NonZeroU32;

    const LINE: &str = "+15555550100";

    fn lines(people: u64, expires: Option<SignedDuration>) -> Option<String> {
        let state = CapState {
            subject: Subject::Line(LINE.to_owned()),
            cap: Cap::first_touch(),
            used: Used::default(),
            room: Room::Open(30),
        };
        let first = [(LINE.to_owned(), people)].into();
        in_words(&[state], (people, &first, expires))
    }

    #[test]
    fn a_long_run_says_how_long_and_why() {
        assert_eq!(lines(5, None), None);
        insta::assert_snapshot!(lines(21, None).unwrap(), @"That takes at least 3 hours: a line writes to at most 30 people a day whom the account has not written to before, 10m apart (`first_touch` in the settings).");
        insta::assert_snapshot!(lines(41, Some(SignedDuration::from_hours(12))).unwrap(), @"That takes about 2 days: a line writes to at most 30 people a day whom the account has not written to before, 10m apart (`first_touch` in the settings). What is not sent 12h after the start is skipped (`expires`).");
    }

    #[test]
    fn the_slowest_cap_is_the_one_that_counts() {
        let campaign = CapState {
            subject: Subject::Campaign("spring".to_owned()),
            cap: Cap {
                ramp: vec![NonZeroU32::MIN],
                per_day: NonZeroU32::new(20),
                timezone: TimeZone::UTC,
                gap: SignedDuration::ZERO,
            },
            used: Used::default(),
            room: Room::Open(30),
        };
        let text = in_words(&[campaign], (41, &BTreeMap::new(), None)).unwrap();
        insta::assert_snapshot!(text, @"That takes about 3 days: the campaign newly writes to at most 1 people on its first days, then 20 people a day.");
    }
}
