//! The promises of schedules that the oracle (`tests/it/schedule_oracle.rs`) cannot make: that
//! faults are named, that nothing is lost or doubled, and what is due.

use super::*;

pub(super) fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule {
        when: When::Cron(CronExpr::parse(expression).unwrap()),
        timezone: zone::parse(zone).unwrap(),
        catch_up: CatchUp::Latest,
        start_by: None,
        overlap: Overlap::Skip,
        jitter: None,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn names(fires: &[Fire]) -> Vec<&str> {
    fires.iter().map(|fire| fire.occurrence.as_str()).collect()
}

fn shown(schedule: &Schedule, after: &str, until: &str) -> Vec<String> {
    schedule
        .fires(at(after), at(until))
        .map(|fire| fire.occurrence)
        .collect()
}

#[test]
fn a_time_in_the_gap_fires_at_the_first_moment_after_it() {
    let nightly = cron("30 2 * * *", "America/Chicago");
    assert_eq!(
        shown(&nightly, "2026-03-07T12:00Z", "2026-03-10T00:00Z"),
        ["2026-03-08T03:00-05:00", "2026-03-09T02:30-05:00"]
    );
}

#[test]
fn two_times_in_one_gap_and_the_one_at_its_end_are_one_occurrence() {
    for expression in ["0,30 2 * * *", "0 2,3 * * *", "*/5 2 * * *"] {
        let fires = shown(
            &cron(expression, "America/Chicago"),
            "2026-03-08T07:59Z",
            "2026-03-08T08:00Z",
        );
        assert_eq!(fires, ["2026-03-08T03:00-05:00"], "{expression}");
    }
}

#[test]
fn a_time_that_comes_twice_fires_the_first_time() {
    let nightly = cron("30 1 * * *", "America/Chicago");
    assert_eq!(
        shown(&nightly, "2026-11-01T00:00Z", "2026-11-02T00:00Z"),
        ["2026-11-01T01:30-05:00"]
    );
    // Asked from within the second hour, the first is over.
    let next = nightly.next_after(at("2026-11-01T07:10Z")).unwrap();
    assert_eq!(next.occurrence, "2026-11-02T01:30-06:00");
}

#[test]
fn a_frequent_expression_rests_while_the_clocks_repeat_an_hour() {
    let often = cron("*/30 * * * *", "America/Chicago");
    assert_eq!(
        shown(&often, "2026-11-01T06:00Z", "2026-11-01T08:30Z"),
        [
            "2026-11-01T01:30-05:00",
            "2026-11-01T02:00-06:00",
            "2026-11-01T02:30-06:00"
        ]
    );
    assert_eq!(
        shown(&often, "2026-03-08T07:00Z", "2026-03-08T08:30Z"),
        [
            "2026-03-08T01:30-06:00",
            "2026-03-08T03:00-05:00",
            "2026-03-08T03:30-05:00"
        ]
    );
}

#[test]
fn a_day_that_a_country_left_out_fires_as_the_next_begins() {
    let noon = cron("0 12 30 12 *", "Pacific/Apia");
    assert_eq!(
        noon.next_after(at("2011-12-20T00:00Z")).unwrap().occurrence,
        "2011-12-31T00:00+14:00"
    );
}

#[test]
fn crontab_means_either_day_unless_a_field_begins_with_a_star() {
    let days = |expression: &str| {
        cron(expression, "UTC")
            .fires(at("2026-06-01T00:00Z"), at("2026-06-30T23:59Z"))
            .map(|fire| fire.occurrence.get(8..10).unwrap().parse().unwrap())
            .collect::<Vec<u8>>()
    };
    assert_eq!(days("0 9 15 * FRI"), [5, 12, 15, 19, 26]);
    assert_eq!(days("0 9 */10 * MON"), [1]);
    assert_eq!(days("0 9 1-31 * MON").len(), 30);
    assert_eq!(days("0 9 * * 0"), days("0 9 * * 7"));
    assert_eq!(days("0 9 * * FRI-SUN").len(), 12);
    assert_eq!(days("0 9 * * SUN-SUN"), [7, 14, 21, 28]);
    assert_eq!(days("0 9 * * 5L"), [26]);
    assert_eq!(days("0 9 * * fri#2"), [12]);
    assert_eq!(days("0 9 L * *"), [30]);
    assert_eq!(days("0 9 LW * *"), [30]);
    assert_eq!(days("0 9 13W * *"), [12]);
    assert_eq!(days("@monthly").len(), 0);
    assert_eq!(days("@midnight").len(), 29);
}

/// Text, field, column, width, and a word of the help.
type Fault = (&'static str, Option<CronField>, usize, usize, &'static str);

#[test]
fn every_fault_is_named_with_its_field_and_place() {
    use CronField::{DayOfMonth, DayOfWeek, Hour, Minute, Month};
    let faults: [Fault; 27] = [
        ("", None, 0, 0, "five fields"),
        ("0 9 * *", Some(DayOfWeek), 7, 0, "day of week is missing"),
        ("0 0 9 * * *", None, 10, 1, "no seconds"),
        ("0 0 9 * * * 2026", None, 10, 6, "no years"),
        ("60 9 * * *", Some(Minute), 0, 2, "0 to 59"),
        ("0 24 * * *", Some(Hour), 2, 2, "0 to 23"),
        ("0 9am * * *", Some(Hour), 2, 3, "0 to 23"),
        ("0 9 0 * *", Some(DayOfMonth), 4, 1, "1 to 31"),
        ("0 9 * 13 *", Some(Month), 6, 2, "JAN to DEC"),
        ("0 9 * * 8", Some(DayOfWeek), 8, 1, "0 and 7 are Sunday"),
        ("0 9 * * MON-FUN", Some(DayOfWeek), 12, 3, "SUN to SAT"),
        ("0 9 * * Monday", Some(DayOfWeek), 8, 6, "write MON"),
        ("0 9 * * FRI-MON", Some(DayOfWeek), 8, 7, "FRI-SUN,MON-MON"),
        ("0 17-9 * * *", Some(Hour), 2, 4, "17-23,0-9"),
        ("0,, 9 * * *", Some(Minute), 2, 0, "0 to 59"),
        ("0 , * * *", Some(Hour), 2, 0, "0 to 23"),
        ("*,5 9 * * *", Some(Minute), 0, 1, "* alone"),
        ("5/10 9 * * *", Some(Minute), 0, 4, "5-59/10"),
        ("*/0 9 * * *", Some(Minute), 2, 1, "whole number"),
        ("*/90 * * * *", Some(Minute), 2, 2, "one by one"),
        ("0 9 ? * MON", Some(DayOfMonth), 4, 1, "write *"),
        ("0 9 * * L", Some(DayOfWeek), 8, 1, "FRIL"),
        ("0 9 * * FRI#6", Some(DayOfWeek), 12, 1, "FRI#1"),
        ("@reboot", None, 0, 7, "@daily"),
        ("@daily 5", None, 7, 1, "alone"),
        ("TZ=UTC 0 9 * * *", None, 0, 6, "timezone"),
        (
            "0 9 31 2,4 *",
            Some(DayOfMonth),
            0,
            12,
            "last day of a month is L",
        ),
    ];
    for (text, field, column, width, help) in faults {
        let bad = CronExpr::parse(text).unwrap_err();
        assert_eq!(
            (bad.field, bad.column, bad.width),
            (field, column, width),
            "{text:?}: {bad}"
        );
        assert!(bad.to_string().contains(help), "{text:?}: {bad}");
    }
}

#[test]
fn a_place_is_told_in_characters_of_the_text_as_written() {
    let bad = CronExpr::parse("  0\t9  * * äöü ").unwrap_err();
    assert_eq!((bad.column, bad.width), (11, 3));
}

#[test]
fn the_thirty_first_is_no_fault_where_another_month_has_it() {
    let rare = cron("0 0 31 2,3 *", "UTC");
    assert_eq!(
        rare.next_after(at("2026-01-01T00:00Z")).unwrap().occurrence,
        "2026-03-31T00:00+00:00"
    );
    let leap = cron("0 0 29 2 *", "UTC");
    assert_eq!(
        leap.next_after(at("2096-03-01T00:00Z")).unwrap().occurrence,
        "2104-02-29T00:00+00:00"
    );
}

#[test]
fn a_moment_comes_once_and_is_called_once() {
    let once = Schedule {
        when: When::At(jiff::civil::date(2026, 3, 8).at(2, 30, 0, 0)),
        ..cron("@daily", "America/Chicago")
    };
    let fire = once.next_after(at("2026-03-01T00:00Z")).unwrap();
    assert_eq!(fire.occurrence, ONCE);
    assert_eq!(fire.at, at("2026-03-08T08:00Z"));
    assert_eq!(once.next_after(fire.at), None);
    // First looked at after its time, it still counts.
    let now = at("2027-09-01T00:00Z");
    assert_eq!(names(&once.due(once.first_since(now), now).run), [ONCE]);
    let strict = Schedule {
        start_by: Some(SignedDuration::from_hours(2)),
        ..once
    };
    let due = strict.due(strict.first_since(now), now);
    assert_eq!((due.run.len(), due.missed.len()), (0, 1));
}

#[test]
fn after_downtime_the_newest_occurrence_stands_in_for_the_others() {
    let nightly = cron("0 21 * * *", "UTC");
    let due = nightly.due(at("2026-11-17T21:00Z"), at("2026-11-20T22:00Z"));
    assert_eq!(names(&due.run), ["2026-11-20T21:00+00:00"]);
    let by = "2026-11-20T21:00+00:00".to_owned();
    assert_eq!(due.missed.len(), 2);
    assert!(
        due.missed
            .iter()
            .all(|(_, reason)| *reason == MissReason::Superseded { by: by.clone() })
    );
}

#[test]
fn what_is_later_than_start_by_is_missed() {
    let start_by = SignedDuration::from_hours(2);
    let nightly = Schedule {
        start_by: Some(start_by),
        ..cron("0 21 * * *", "UTC")
    };
    let since = at("2026-11-18T21:00Z");
    let on_the_limit = nightly.due(since, at("2026-11-20T23:00Z"));
    assert_eq!(names(&on_the_limit.run), ["2026-11-20T21:00+00:00"]);
    let past_it = nightly.due(since, at("2026-11-20T23:00:01Z"));
    assert!(past_it.run.is_empty());
    assert!(
        past_it
            .missed
            .iter()
            .all(|(_, reason)| *reason == MissReason::TooLate { start_by })
    );
}

#[test]
fn catch_up_all_runs_each_in_order_and_none_only_what_has_just_come() {
    let since = at("2026-11-20T00:00Z");
    let all = Schedule {
        catch_up: CatchUp::All,
        start_by: Some(SignedDuration::from_mins(90)),
        ..cron("0 * * * *", "UTC")
    };
    let due = all.due(since, at("2026-11-20T04:10Z"));
    assert_eq!(
        names(&due.run),
        ["2026-11-20T03:00+00:00", "2026-11-20T04:00+00:00"]
    );
    assert_eq!(due.missed.len(), 2);
    let none = Schedule {
        catch_up: CatchUp::None,
        ..cron("0 * * * *", "UTC")
    };
    assert_eq!(
        names(&none.due(since, at("2026-11-20T04:05Z")).run),
        ["2026-11-20T04:00+00:00"]
    );
    let due = none.due(since, at("2026-11-20T04:06Z"));
    assert!(due.run.is_empty());
    assert_eq!(due.missed.last().unwrap().1, MissReason::NoCatchUp);
}

#[test]
fn a_year_of_minutes_is_counted_not_listed() {
    let minutely = Schedule {
        catch_up: CatchUp::All,
        ..cron("* * * * *", "Europe/Berlin")
    };
    let due = minutely.due(at("2025-11-20T00:00Z"), at("2026-01-20T00:00Z"));
    assert_eq!(due.run.len(), KEPT);
    let older = due.older.unwrap();
    assert_eq!(older.count + 100, 61 * 24 * 60);
    assert_eq!(older.first.at, at("2025-11-20T00:01Z"));
    assert!(older.last.at < due.run.first().unwrap().at);
    // Never looked at for ages: no more than LOOK_BACK is considered.
    let yearly = cron("@yearly", "UTC");
    assert!(
        yearly
            .due(Timestamp::MIN, at("2026-11-20T00:00Z"))
            .run
            .len()
            == 1
    );
}

#[test]
fn the_first_look_sees_the_occurrence_whose_time_has_just_come_and_no_other() {
    let daily = cron("0 10 * * *", "UTC");
    let due = |schedule: &Schedule, now| {
        let since = schedule.first_since(at(now));
        let due = schedule.due(since, at(now));
        assert!(due.missed.is_empty() && due.older.is_none());
        due.run.len()
    };
    assert_eq!(due(&daily, "2026-11-20T10:00:02Z"), 1);
    assert_eq!(due(&daily, "2026-11-20T11:00Z"), 0);
    let patient = Schedule {
        start_by: Some(SignedDuration::from_hours(2)),
        ..cron("*/10 * * * *", "UTC")
    };
    assert_eq!(due(&patient, "2026-11-20T11:05Z"), 1);
}

#[test]
fn jitter_is_the_same_for_the_same_run_and_stays_below_its_limit() {
    let daily = Schedule {
        jitter: Some(SignedDuration::from_mins(10)),
        ..cron("@daily", "UTC")
    };
    let fire = daily.next_after(at("2026-11-20T00:00Z")).unwrap();
    let mut starts = std::collections::BTreeSet::new();
    for n in 0..50 {
        let run = format!("nightly-{n}@{}", fire.occurrence);
        let start = daily.jittered(&fire, &run);
        assert_eq!(start, daily.jittered(&fire, &run));
        assert!(fire.at <= start && start < fire.at + SignedDuration::from_mins(10));
        starts.insert(start);
    }
    assert!(starts.len() > 40);
    assert_eq!(cron("@daily", "UTC").jittered(&fire, "x@once"), fire.at);
}

#[test]
fn a_schedule_is_stored_and_read_back_with_its_zone_by_name() {
    let schedule = Schedule {
        start_by: Some(SignedDuration::from_hours(2)),
        ..cron("0 10 * * MON-FRI", "America/Chicago")
    };
    let text = serde_json::to_string(&schedule).unwrap();
    assert!(text.contains("\"America/Chicago\"") && text.contains("\"0 10 * * MON-FRI\""));
    assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule);
    assert!(serde_json::from_str::<CronExpr>("\"0 10 * *\"").is_err());
}

#[test]
fn only_names_of_places_are_zones() {
    assert!(zone::parse("UTC").is_ok() && zone::parse("America/Chicago").is_ok());
    for bad in [
        "",
        "+02:00",
        "CST6CDT,M3.2.0,M11.1.0",
        "Mars/Olympus",
        "EST",
        "CET",
        "Etc/Unknown",
    ] {
        assert!(zone::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_zone_mistyped_is_asked_back() {
    for (name, near) in [
        ("America/Chigaco", Some("America/Chicago")),
        ("chicago", Some("America/Chicago")),
        ("New York", Some("America/New_York")),
        ("Mars/Olympus", None),
    ] {
        assert_eq!(zone::parse(name).unwrap_err().near.as_deref(), near);
    }
}
