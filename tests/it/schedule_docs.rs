//! The tables of `docs/schedules.md` say what the code does.

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use sendoff::cli::schedule_words;
use sendoff::domain::address::Address;
use sendoff::domain::schedule::{CatchUp, CronExpr, Overlap, Schedule, When, zone};
use sendoff::domain::window::{DayTime, Days, Window, WindowZone};

const DOCS: &str = include_str!("../../docs/schedules.md");

/// The cells of the table under this heading row.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = DOCS.split_once(heading).unwrap();
    let rows: Vec<_> = rest
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(cell).collect())
        .collect();
    assert!(!rows.is_empty(), "no table under {heading}");
    rows
}

fn cell(text: &str) -> &str {
    text.trim().trim_matches('`')
}

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
fn the_words_of_the_guide_are_those_of_the_command() {
    for row in table("| Expression | In words |") {
        let said = schedule_words::schedule(&cron(row[0], "UTC"));
        assert_eq!(said, format!("{}, UTC", row[1]), "{}", row[0]);
    }
}

#[test]
fn daylight_saving_does_what_the_guide_says() {
    for row in table("| Zone | Expression | On | Fires |") {
        let schedule = cron(row[1], row[0]);
        let date: Date = row[2].parse().unwrap();
        let midnight = |date: Date| {
            zone::instant(&schedule.timezone, date.to_datetime(Time::MIN)).unwrap()
                - SignedDuration::from_millis(1)
        };
        let fires: Vec<String> = schedule
            .fires(midnight(date), midnight(date + 1.day()))
            .map(|fire| fire.occurrence)
            .collect();
        assert_eq!(fires.join(", "), row[3], "{row:?}");
    }
}

#[test]
fn the_common_hours_of_a_country_are_those_of_the_guide() {
    let window = Window::new(
        Days::ALL,
        DayTime::parse("09:00").unwrap(),
        DayTime::parse("20:00").unwrap(),
        WindowZone::Recipient,
    )
    .unwrap();
    let numbers = [
        "+12025550143",
        "+18765550143",
        "+4930123456",
        "+74012123456",
    ];
    let rows = table("| Number | Zones |");
    assert_eq!(rows.len(), numbers.len());
    let start: Timestamp = "2026-07-01T05:00Z".parse().unwrap();
    for (row, number) in rows.iter().zip(numbers) {
        let phone = Address::stored(number).unwrap();
        let opens = window.next_open(start, None, &phone).unwrap();
        let closes = (0..24 * 60)
            .map(|minutes| opens + SignedDuration::from_mins(minutes))
            .find(|at| window.next_open(*at, None, &phone) != Ok(*at))
            .unwrap();
        let shown = format!(
            "{} to {} UTC",
            opens.strftime("%H:%M"),
            closes.strftime("%H:%M")
        );
        assert_eq!(shown, row[2], "{number}");
    }
}
