//! Schedules and their occurrences in words. Only makes text; commands print it.

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::duration;
use crate::domain::schedule::{CatchUp, CronDays, CronExpr, Fire, Overlap, Schedule, When, zone};

/// `Fri 20 Nov 2026, 21:00 in Chicago (in 3 h 12 min)`
pub fn fire(fire: &Fire, zone: &TimeZone, now: Timestamp) -> String {
    let local = zone.to_datetime(fire.at).strftime("%a %-d %b %Y, %H:%M");
    let place = place(zone);
    let link = if place == "UTC" { "" } else { "in " };
    format!("{local} {link}{place} ({})", distance(now, fire.at))
}

/// `at 10:00 on Monday to Friday, Chicago time`; the expression itself where words would be longer
/// than it.
pub fn schedule(schedule: &Schedule) -> String {
    let clock = clock(&schedule.timezone);
    match &schedule.when {
        When::At(civil) => {
            let day = civil.strftime("%a %-d %b %Y");
            format!("once, at {} on {day}, {clock}", hour_minute(civil.time()))
        }
        When::Cron(cron) => match words(cron) {
            Some(words) => format!("{words}, {clock}"),
            None => format!("by the cron expression {cron}, {clock}"),
        },
    }
}

/// What happens to late, overlapping and simultaneous starts, one sentence each.
pub fn rules(schedule: &Schedule) -> Vec<String> {
    let mut rules = vec![
        match schedule.catch_up {
            CatchUp::Latest => "after downtime only the newest missed occurrence runs",
            CatchUp::All => "after downtime every missed occurrence runs, oldest first",
            CatchUp::None => "after downtime no missed occurrence runs",
        }
        .to_owned(),
    ];
    if let Some(start_by) = schedule.start_by {
        rules.push(format!(
            "an occurrence more than {} late is recorded as missed",
            duration::format(start_by)
        ));
    }
    rules.push(
        match schedule.overlap {
            Overlap::Skip => "while the previous run is going, a new occurrence is missed",
            Overlap::Queue => "while the previous run is going, a new occurrence waits for its end",
        }
        .to_owned(),
    );
    if let Some(jitter) = schedule.jitter {
        rules.push(format!(
            "a run starts up to {} after its time",
            duration::format(jitter)
        ));
    }
    rules
}

/// `in 3 h 12 min`, `2 d 4 h ago`, `now`: two units, the rest is left out.
pub fn distance(now: Timestamp, at: Timestamp) -> String {
    let apart = at.duration_since(now);
    let words = length(apart.abs());
    match words.as_str() {
        "" => "now".to_owned(),
        words if apart.is_negative() => format!("{words} ago"),
        words => format!("in {words}"),
    }
}

fn length(apart: SignedDuration) -> String {
    let seconds = apart.as_secs();
    let minutes = seconds / 60;
    let (hours, days) = (minutes / 60, minutes / (24 * 60));
    let pair = |more: i64, unit: &str, less: i64, small: &str| match less {
        0 => format!("{more} {unit}"),
        _ => format!("{more} {unit} {less} {small}"),
    };
    match (days, hours, minutes, seconds) {
        (0, 0, 0, 0) => String::new(),
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, _) => format!("{minutes} min"),
        (0, hours, minutes, _) => pair(hours, "h", minutes % 60, "min"),
        (days, hours, ..) => pair(days, "d", hours % 24, "h"),
    }
}

/// `Chicago`, `St Johns`, `UTC`
fn place(zone: &TimeZone) -> String {
    let name = zone::name_of(zone);
    name.rsplit('/').next().unwrap_or(name).replace('_', " ")
}

fn clock(zone: &TimeZone) -> String {
    match place(zone) {
        place if place == "UTC" => place,
        place => format!("{place} time"),
    }
}

fn hour_minute(time: Time) -> String {
    time.strftime("%H:%M").to_string()
}

fn words(cron: &CronExpr) -> Option<String> {
    let (times, days) = (times(cron)?, days(cron)?);
    // "every hour" needs no "every day"
    let all_day = times.starts_with("every") && !times.contains(" to ");
    Some(if all_day && days == "every day" {
        times
    } else {
        format!("{times} {days}")
    })
}

/// The times of a day: up to four by name, or a steady beat.
fn times(cron: &CronExpr) -> Option<String> {
    let all = cron.times();
    if let [first, .., last] = all
        && all.len() > 4
    {
        let step = beat(all)?;
        let every = match step {
            1 => "every minute".to_owned(),
            60 => "every hour".to_owned(),
            step if step % 60 == 0 => format!("every {} hours", step / 60),
            step => format!("every {step} minutes"),
        };
        let whole_day = minutes(*first) < step && minutes(*last) + step >= 24 * 60;
        return Some(match (whole_day, minutes(*first)) {
            (true, 0) => every,
            (true, _) => format!("{every} from {}", hour_minute(*first)),
            (false, _) => format!(
                "{every} from {} to {}",
                hour_minute(*first),
                hour_minute(*last)
            ),
        });
    }
    let names: Vec<String> = all.iter().map(|time| hour_minute(*time)).collect();
    Some(format!("at {}", list(&names)))
}

fn minutes(time: Time) -> i32 {
    i32::from(time.hour()) * 60 + i32::from(time.minute())
}

/// The one distance between all times, in minutes.
fn beat(times: &[Time]) -> Option<i32> {
    let mut steps = times
        .iter()
        .zip(times.iter().skip(1))
        .map(|(a, b)| minutes(*b) - minutes(*a));
    let first = steps.next()?;
    steps.all(|step| step == first).then_some(first)
}

fn days(cron: &CronExpr) -> Option<String> {
    let months = cron.months();
    let in_months = match months.len() {
        12 => None,
        1..=4 => {
            let names: Vec<String> = months.iter().map(|month| month_name(*month)).collect();
            Some(list(&names))
        }
        _ => return None,
    };
    let of = in_months.as_deref().unwrap_or("every month");
    let named = match cron.days() {
        CronDays::Every => "every day".to_owned(),
        CronDays::Weekdays(days) => format!("on {}", weekdays(&days)),
        CronDays::OfMonth(days) if days.len() <= 4 => {
            let days: Vec<String> = days.iter().map(|day| ordinal(*day)).collect();
            return Some(format!("on the {} of {of}", list(&days)));
        }
        CronDays::LastOfMonth => return Some(format!("on the last day of {of}")),
        CronDays::OfMonth(_) | CronDays::Other => return None,
    };
    Some(match in_months {
        Some(months) => format!("{named} in {months}"),
        None => named,
    })
}

/// `Monday to Friday`, `Saturday and Sunday`
fn weekdays(days: &[Weekday]) -> String {
    let mut days = days.to_vec();
    days.sort_by_key(|day| day.to_monday_zero_offset());
    let names: Vec<String> = days.iter().map(|day| format!("{day:?}")).collect();
    let in_a_row = days
        .iter()
        .zip(days.iter().skip(1))
        .all(|(day, next)| day.next() == *next);
    match names.as_slice() {
        [first, _, .., last] if in_a_row => format!("{first} to {last}"),
        names => list(names),
    }
}

/// `1st`, `22nd`, `13th`
fn ordinal(day: i8) -> String {
    let ending = match (day / 10, day % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        (_, _) => "th",
    };
    format!("{day}{ending}")
}

fn month_name(month: i8) -> String {
    jiff::civil::Date::new(2000, month, 1)
        .map(|date| date.strftime("%B").to_string())
        .unwrap_or_default()
}

/// `a`, `a and b`, `a, b and c`
fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cron(expression: &str, zone: &str) -> Schedule {
        Schedule {
            when: When::Cron(CronExpr::parse(expression).unwrap()),
            timezone: zone::parse(zone).unwrap(),
            catch_up: CatchUp::Latest,
            start_by: None,
            overlap: Overlap::Skip,
            jitter: None,
        }
    }

    #[test]
    fn common_schedules_are_said_in_words() {
        for (expression, words) in [
            ("0 10 * * MON-FRI", "at 10:00 on Monday to Friday"),
            (
                "0 9,17 * * 6,7",
                "at 09:00 and 17:00 on Saturday and Sunday",
            ),
            ("@daily", "at 00:00 every day"),
            ("@hourly", "every hour"),
            ("*/15 * * * *", "every 15 minutes"),
            (
                "*/15 9-17 * * 1-5",
                "every 15 minutes from 09:00 to 17:45 on Monday to Friday",
            ),
            ("30 */2 * * *", "every 2 hours from 00:30"),
            ("* * * * SUN", "every minute on Sunday"),
            (
                "0 8 1,15 * *",
                "at 08:00 on the 1st and 15th of every month",
            ),
            ("0 8 22 12 *", "at 08:00 on the 22nd of December"),
            ("0 8 L * *", "at 08:00 on the last day of every month"),
            (
                "0 8 * 6-8 2",
                "at 08:00 on Tuesday in June, July and August",
            ),
        ] {
            assert_eq!(
                schedule(&cron(expression, "America/Chicago")),
                format!("{words}, Chicago time"),
                "{expression}"
            );
        }
    }

    #[test]
    fn anything_else_is_said_by_its_expression() {
        for expression in [
            "0 9 15 * FRI",
            "0 9 * * 5L",
            "0 9 15W * *",
            "1,2,4,8,16 9 * * *",
        ] {
            assert_eq!(
                schedule(&cron(expression, "UTC")),
                format!("by the cron expression {expression}, UTC")
            );
        }
    }

    #[test]
    fn a_moment_is_said_with_its_day() {
        let once = Schedule {
            when: When::At(jiff::civil::date(2026, 11, 24).at(10, 0, 0, 0)),
            ..cron("@daily", "America/St_Johns")
        };
        assert_eq!(
            schedule(&once),
            "once, at 10:00 on Tue 24 Nov 2026, St Johns time"
        );
    }

    #[test]
    fn an_occurrence_is_said_with_its_place_and_distance() {
        let nightly = cron("0 21 * * *", "America/Chicago");
        let now: Timestamp = "2026-11-20T23:48:00Z".parse().unwrap();
        let next = nightly.next_after(now).unwrap();
        assert_eq!(
            fire(&next, &nightly.timezone, now),
            "Fri 20 Nov 2026, 21:00 in Chicago (in 3 h 12 min)"
        );
        assert_eq!(
            fire(&next, &TimeZone::UTC, next.at),
            "Sat 21 Nov 2026, 03:00 UTC (now)"
        );
    }

    #[test]
    fn a_distance_has_two_units_at_most() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        for (seconds, words) in [
            (0, "now"),
            (59, "in 59 s"),
            (-60, "1 min ago"),
            (3_600, "in 1 h"),
            (-7_500, "2 h 5 min ago"),
            (90_000, "in 1 d 1 h"),
            (86_400, "in 1 d"),
        ] {
            let at = now + SignedDuration::from_secs(seconds);
            assert_eq!(distance(now, at), words);
        }
    }

    #[test]
    fn the_rules_name_only_what_is_set() {
        let mut schedule = cron("@daily", "UTC");
        assert_eq!(rules(&schedule).len(), 2);
        schedule.start_by = Some(SignedDuration::from_hours(2));
        schedule.jitter = Some(SignedDuration::from_mins(5));
        let rules = rules(&schedule).join("; ");
        assert!(rules.contains("more than 2h late") && rules.contains("up to 5m after"));
    }
}
