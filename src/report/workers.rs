//! Who is at work, a line each: since when, when last heard of, what they hold. Says nothing of
//! how a run is.

use serde_json::{Map, Value, json};

use super::View;
use super::json::instant;
use super::status::{Column, Side, lines};
use super::style::Tone;
use super::words::{Calendar, Fine, lasting, thousands};
use crate::domain::run::RunId;
use crate::ledger::AtWork;
use jiff::SignedDuration;

/// A worker is heard of about once a second; one that is silent for longer is worth a look.
const SILENT: SignedDuration = SignedDuration::from_secs(5);

/// `status`: every worker, one line each, with the number of runs that it works on; nothing where
/// nobody is at work. With `run`, only those on it and what they hold of it.
///
/// Of what does not fit, the times go first, the names and what they hold never.
pub fn workers_table(workers: &[AtWork], run: Option<&RunId>, view: &View) -> String {
    let of_run: Vec<AtWork>;
    let workers = match run {
        None => workers,
        Some(run) => {
            of_run = workers.iter().filter_map(|one| one.on(run)).collect();
            &of_run
        }
    };
    if workers.is_empty() {
        return String::new();
    }
    let calendar = Calendar {
        now: view.now,
        timezone: &view.timezone,
    };
    let column = |title, side, leaves, cell: &dyn Fn(&AtWork) -> (Tone, String)| Column {
        title,
        side,
        leaves,
        cells: workers.iter().map(cell).collect(),
    };
    let number = |n: u64| {
        let tone = if n == 0 { Tone::Faint } else { Tone::Plain };
        (tone, thousands(n))
    };
    let mut columns = vec![
        column("WORKER", Side::Left, 0, &|one| {
            (Tone::Plain, one.worker.to_string())
        }),
        column("HEARD", Side::Left, 1, &heard),
        column("SINCE", Side::Left, 2, &|one| {
            (Tone::Plain, calendar.moment(one.since, Fine::Minutes))
        }),
        column("HOLDS", Side::Right, 0, &|one| number(one.leased())),
        column("ON THE WIRE", Side::Right, 0, &|one| number(one.on_wire())),
    ];
    if run.is_none() {
        columns.push(column("RUNS", Side::Right, 0, &|one| {
            number(u64::try_from(one.holds.len()).unwrap_or(u64::MAX))
        }));
    }
    lines(columns, workers.len(), view)
}

fn heard(one: &AtWork) -> (Tone, String) {
    match one.silent {
        None => (Tone::Faint, "not known".to_owned()),
        Some(silent) if silent < SILENT => (Tone::Plain, "just now".to_owned()),
        Some(silent) => (Tone::Warn, format!("{} ago", lasting(silent))),
    }
}

/// The workers on a run, each with what it holds of it.
pub fn workers_on(workers: &[AtWork], run: &RunId) -> Value {
    let of_run = workers.iter().filter_map(|one| one.on(run));
    of_run.map(|one| Value::Object(fields(&one))).collect()
}

/// All workers, each with its runs.
pub(super) fn workers_json(workers: &[AtWork]) -> Value {
    workers
        .iter()
        .map(|one| {
            let runs = one.holds.iter().map(|of_run| {
                json!({
                    "run": of_run.run.as_str(),
                    "leased": of_run.leased,
                    "on_wire": of_run.on_wire,
                })
            });
            let mut fields = fields(one);
            fields.insert("runs".to_owned(), runs.collect());
            Value::Object(fields)
        })
        .collect()
}

fn fields(one: &AtWork) -> Map<String, Value> {
    let silent_ms = one
        .silent
        .map(|silent| i64::try_from(silent.as_millis()).unwrap_or(i64::MAX));
    [
        ("name", json!(one.worker.0)),
        ("since", json!(instant(one.since))),
        ("silent_ms", json!(silent_ms)),
        ("leased", json!(one.leased())),
        ("on_wire", json!(one.on_wire())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::style::Style;
    use super::*;
    use crate::ledger::{Holding, Worker};
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn view(width: usize) -> View {
        View {
            now: at("2026-11-20T22:30:00-06:00"),
            timezone: TimeZone::get("America/Chicago").unwrap(),
            style: Style {
                width,
                ..Style::PLAIN
            },
        }
    }

    fn worker(host: &str, silent: Option<i64>, holds: &[(&str, u64, u64)]) -> AtWork {
        AtWork {
            worker: Worker::new(host, 4711, 0xf3a),
            since: at("2026-11-20T10:00:00-06:00"),
            silent: silent.map(SignedDuration::from_millis),
            holds: holds
                .iter()
                .map(|(run, leased, on_wire)| Holding {
                    run: RunId::parse(run).unwrap(),
                    leased: *leased,
                    on_wire: *on_wire,
                })
                .collect(),
        }
    }

    fn three() -> [AtWork; 3] {
        [
            worker(
                "web-1",
                Some(700),
                &[("hello@once", 1_312, 16), ("spring@once", 40, 4)],
            ),
            worker("web-2", Some(12_400), &[("hello@once", 7, 0)]),
            worker("web-3", None, &[]),
        ]
    }

    #[test]
    fn workers_are_told_with_what_they_hold_and_who_is_silent() {
        insta::assert_snapshot!(workers_table(&three(), None, &view(100)), @r"
        WORKER           HEARD           SINCE         HOLDS  ON THE WIRE  RUNS
        web-1:4711:0f3a  just now        today, 10:00  1,352           20     2
        web-2:4711:0f3a  12 seconds ago  today, 10:00      7            0     1
        web-3:4711:0f3a  not known       today, 10:00      0            0     0
        ");
        insta::assert_snapshot!(workers_table(&three(), None, &view(60)), @r"
        WORKER           HEARD           HOLDS  ON THE WIRE  RUNS
        web-1:4711:0f3a  just now        1,352           20     2
        web-2:4711:0f3a  12 seconds ago      7            0     1
        web-3:4711:0f3a  not known           0            0     0
        ");
        let run = RunId::parse("hello@once").unwrap();
        insta::assert_snapshot!(workers_table(&three(), Some(&run), &view(100)), @r"
        WORKER           HEARD           SINCE         HOLDS  ON THE WIRE
        web-1:4711:0f3a  just now        today, 10:00  1,312           16
        web-2:4711:0f3a  12 seconds ago  today, 10:00      7            0
        ");
        let other = RunId::parse("other@once").unwrap();
        assert_eq!(workers_table(&three(), Some(&other), &view(100)), "");
    }

    #[test]
    fn scripts_get_the_same() {
        insta::assert_snapshot!(format!("{:#}", workers_json(&three()[..1])), @r#"
        [
          {
            "leased": 1352,
            "name": "web-1:4711:0f3a",
            "on_wire": 20,
            "runs": [
              {
                "leased": 1312,
                "on_wire": 16,
                "run": "hello@once"
              },
              {
                "leased": 40,
                "on_wire": 4,
                "run": "spring@once"
              }
            ],
            "silent_ms": 700,
            "since": "2026-11-20T16:00:00.000Z"
          }
        ]
        "#);
        let run = RunId::parse("hello@once").unwrap();
        let on = workers_on(&three(), &run);
        assert_eq!(on.as_array().map(Vec::len), Some(2));
        assert_eq!(on[0]["leased"], 1_312);
        assert_eq!(on[1]["silent_ms"], 12_400);
    }
}
