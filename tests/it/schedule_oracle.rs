//! Every occurrence of many expressions in many zones over ten years, compared with an independent
//! implementation (`tests/oracle/schedule_oracle.py`, Python's `zoneinfo`). Both sides read the
//! system's time zone database.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan as _};
use sendoff::domain::schedule::{CatchUp, CronExpr, Overlap, Schedule, When, zone};

use crate::support::tied;

/// Chosen for their trouble: hour and half-hour daylight saving, both hemispheres, gaps at
/// midnight, odd offsets, rules that change from year to year, countries that gave it up.
const ZONES: [&str; 16] = [
    "UTC",
    "America/Chicago",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Tehran",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

/// Few enough occurrences for ten years in every zone; many lie in gaps and folds.
const TEN_YEARS: [&str; 14] = [
    "30 2 * * *",
    "30 1 * * SUN",
    "0,30 0 * * 0",
    "15 0 * mar,apr,oct,nov *",
    "45 2 * 3,10 *",
    "0 10 * * MON-FRI",
    "0 9 1,15 * FRI",
    "0 9 */2 * MON",
    "0 8 L * *",
    "0 8 15W * *",
    "5 4 LW * *",
    "0 12 * * FRI#2",
    "0 0 29 2 *",
    "30 23 * * FRI-SUN",
];

/// Many a day: over two years that hold every kind of change of clocks.
const TWO_YEARS: [&str; 8] = [
    "*/15 0-3 * * *",
    "30 * * * *",
    "0 */2 * * *",
    "@hourly",
    "7-59/20 1-3 * * 6,7",
    "0 2,3 * * *",
    "59 23 31 12 *",
    "0 9 * * TUEL",
];

fn requests() -> Vec<[&'static str; 4]> {
    let mut requests = Vec::new();
    for zone in ZONES {
        for expression in TEN_YEARS {
            requests.push([zone, expression, "2016-01-01", "2025-12-31"]);
        }
        for expression in TWO_YEARS {
            requests.push([zone, expression, "2018-01-01", "2018-12-31"]);
            requests.push([zone, expression, "2024-01-01", "2024-12-31"]);
        }
    }
    // The day that Samoa left out.
    for expression in ["0 9 * * *", "*/30 * * * *", "0 0 30 * *", "0 12 * * FRI"] {
        requests.push(["Pacific/Apia", expression, "2011-12-01", "2012-01-31"]);
    }
    requests
}

fn oracle(requests: &[[&str; 4]]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/schedule_oracle.py");
    let mut child = tied("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3 (3.9 or later) on the PATH, with the system's tzdata");
    let mut input = child.stdin.take().unwrap();
    for request in requests {
        writeln!(input, "{}", request.join("\t")).unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "the oracle failed; it needs Python 3.9 or later and the system's tzdata"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn ours(requests: &[[&str; 4]]) -> String {
    let mut text = String::new();
    for [name, expression, first, last] in requests {
        let schedule = Schedule {
            when: When::Cron(CronExpr::parse(expression).unwrap()),
            timezone: zone::parse(name).unwrap(),
            catch_up: CatchUp::Latest,
            start_by: None,
            overlap: Overlap::Skip,
            jitter: None,
        };
        let midnight = |date: Date| {
            let start = zone::instant(&schedule.timezone, date.to_datetime(jiff::civil::Time::MIN));
            start.unwrap() - SignedDuration::from_millis(1)
        };
        let first: Date = first.parse().unwrap();
        let last: Date = last.parse().unwrap();
        writeln!(text, "> {name}\t{expression}").unwrap();
        for fire in schedule.fires(midnight(first), midnight(last + 1.day())) {
            writeln!(text, "{} {}", fire.at.as_millisecond(), fire.occurrence).unwrap();
        }
    }
    text
}

#[test]
fn every_occurrence_agrees_with_an_independent_implementation() {
    let requests = requests();
    let theirs = oracle(&requests);
    let ours = ours(&requests);
    let mut heading = "";
    let mut count = 0;
    let (mut left, mut right) = (ours.lines(), theirs.lines());
    loop {
        let (ours, theirs) = (left.next(), right.next());
        assert_eq!(ours, theirs, "after {count} that agree, under '{heading}'");
        let Some(line) = ours else { break };
        if line.starts_with('>') {
            heading = line;
        }
        count += 1;
    }
    assert!(count > 300_000, "only {count} lines were compared");
}
