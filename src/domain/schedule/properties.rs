//! What holds for every schedule, zone and time: nothing lost, nothing twice, always later.

use proptest::prelude::*;

use super::tests::cron;
use super::*;
use crate::domain::run::{RunId, is_occurrence};

fn any_zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "America/Chicago",
        "America/St_Johns",
        "America/Santiago",
        "Europe/London",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ])
}

/// Fields that are right, from every-minute to once a year.
fn any_expression() -> impl Strategy<Value = String> {
    let part = |choices: &[&'static str]| prop::sample::select(choices.to_vec());
    (
        part(&["*", "0", "30", "*/7", "0,15,59", "5-50/9"]),
        part(&["*", "0", "1-3", "2", "*/5", "23"]),
        part(&["*", "1", "L", "15W", "*/2", "8-14"]),
        part(&["*", "3,10,11", "APR", "*/4"]),
        part(&["*", "SUN", "MON-FRI", "5#2", "6L", "*/2"]),
    )
        .prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
}

prop_compose! {
    /// 2010 to 2037, every millisecond of it.
    fn any_time()(ms in 1_262_304_000_000i64..2_145_916_800_000) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }
}

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "[-0-9*/,#LW@A-Z ?ä]{0,20}") {
        drop(CronExpr::parse(&text));
    }

    #[test]
    fn a_fault_lies_within_the_text(text in "\\PC{0,24}") {
        if let Err(bad) = CronExpr::parse(&text) {
            prop_assert!(bad.column + bad.width <= text.chars().count());
        }
    }

    #[test]
    fn the_next_occurrence_is_strictly_later_and_nothing_lies_between(
        expression in any_expression(), zone in any_zone(), after in any_time(),
    ) {
        let schedule = cron(&expression, zone);
        let next = schedule.next_after(after).unwrap();
        prop_assert!(next.at > after);
        prop_assert!(is_occurrence(&next.occurrence));
        prop_assert!(RunId::new("nightly", &next.occurrence).is_ok());
        // Asked again from anywhere before it, the answer is the same.
        let before = next.at - SignedDuration::from_millis(1);
        prop_assert_eq!(schedule.next_after(before), Some(next));
    }

    #[test]
    fn occurrences_are_named_apart_and_two_spans_make_one(
        expression in any_expression(), zone in any_zone(), start in any_time(),
        first in 0i64..400, second in 0i64..400,
    ) {
        let schedule = cron(&expression, zone);
        let (middle, end) = (start + hours(first), start + hours(first + second));
        let whole: Vec<Fire> = schedule.fires(start, end).collect();
        let halves: Vec<Fire> =
            schedule.fires(start, middle).chain(schedule.fires(middle, end)).collect();
        prop_assert_eq!(&whole, &halves);
        let names: std::collections::BTreeSet<&str> =
            whole.iter().map(|fire| fire.occurrence.as_str()).collect();
        prop_assert_eq!(names.len(), whole.len());
        prop_assert!(whole.is_sorted_by(|a, b| a.at < b.at));
    }

    /// Run, missed and older together are what came due, each once; and a second look at the same
    /// moment finds nothing.
    #[test]
    fn what_is_due_is_every_occurrence_once(
        expression in any_expression(), zone in any_zone(), since in any_time(),
        down in 0i64..1_000, start_by in prop::option::of(0i64..500),
        catch_up in prop::sample::select(vec![CatchUp::Latest, CatchUp::All, CatchUp::None]),
    ) {
        let schedule = Schedule {
            catch_up,
            start_by: start_by.map(hours),
            ..cron(&expression, zone)
        };
        let now = since + hours(down);
        let due = schedule.due(since, now);
        let mut told: Vec<Fire> =
            due.run.iter().chain(due.missed.iter().map(|(fire, _)| fire)).cloned().collect();
        told.sort_by_key(|fire| fire.at);
        let all: Vec<Fire> = schedule.fires(since, now).collect();
        let older = due.older.as_ref().map_or(0, |older| usize::try_from(older.count).unwrap());
        prop_assert_eq!(older, all.len().saturating_sub(KEPT));
        prop_assert_eq!(&told, &all[older..]);
        let in_time = |fire: &Fire| schedule.start_by.is_none_or(|limit| now.duration_since(fire.at) <= limit);
        prop_assert!(due.run.iter().all(in_time));
        prop_assert!(catch_up == CatchUp::All || due.run.len() <= 1);
        prop_assert_eq!(schedule.due(now, now), Due::default());
    }
}
