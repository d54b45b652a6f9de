//! Every format over the same runs, and over a real ledger. Words and columns are compared
//! letter by letter: both are promises.

mod end_to_end;
mod summary;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::domain::address::Address;
use crate::domain::campaign::Terms;
use crate::domain::delivery::{Counts, DeliveryState, Hold, SkipReason};
use crate::domain::run::{RunId, RunState};
use crate::ledger::{
    DeliveryRecord, FailureGroup, Gate, Held, Outlook, Owner, Present, RunFacts, Worker,
};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn view() -> View {
    View {
        now: at("2026-11-20T22:30:00-06:00"),
        timezone: TimeZone::get("America/Chicago").unwrap(),
        style: Style::PLAIN,
    }
}

fn run(id: &str, state: RunState, total: u64) -> RunRecord {
    RunRecord {
        id: 1,
        run: RunId::parse(id).unwrap(),
        gateway: "chert".into(),
        state,
        reason: None,
        terms: Terms {
            lines: vec![
                crate::domain::phone::Phone::from_e164("+15555550100").unwrap(),
                crate::domain::phone::Phone::from_e164("+15555550101").unwrap(),
            ],
            ..Terms::default()
        },
        files: vec![],
        total,
        created_at: at("2026-11-20T10:00:00-06:00"),
        starts_at: at("2026-11-20T10:00:00-06:00"),
        finished_at: None,
    }
}

fn counts(of: &[(DeliveryState, u64)]) -> Counts {
    let mut counts = Counts::default();
    for (state, n) in of {
        counts.add(*state, *n);
    }
    counts
}

fn group(state: DeliveryState, code: Option<u32>, count: u64, text: &str) -> FailureGroup {
    FailureGroup {
        state,
        code,
        text: text.into(),
        count,
    }
}

/// A run as it ends well, but for some.
fn finished() -> (RunRecord, RunFacts) {
    use DeliveryState as S;
    let record = RunRecord {
        finished_at: Some(at("2026-11-20T10:04:05-06:00")),
        ..run("review-request@once", RunState::Finished, 1_250)
    };
    let of = [
        (S::Sent, 104),
        (S::Delivered, 788),
        (S::Read, 312),
        (S::Failed, 3),
        (S::Uncertain, 1),
        (S::Skipped, 42),
    ];
    let long = "the text of a first message must not hold a web address; put it into a part of \
                its own of the type rich_link";
    let facts = RunFacts {
        counts: counts(&of),
        skipped: BTreeMap::from([
            (SkipReason::Duplicate, 11),
            (SkipReason::InvalidPhone, 1),
            (SkipReason::Filtered, 30),
        ]),
        failures: vec![
            group(S::Failed, Some(1005), 2, long),
            group(S::Failed, None, 1, "no connection to the provider"),
            group(
                S::Uncertain,
                None,
                1,
                "the connection broke before an answer",
            ),
        ],
        first_sent_at: Some(at("2026-11-20T10:00:01-06:00")),
        last_sent_at: Some(at("2026-11-20T10:04:02-06:00")),
        uncertain: vec![uncertain(17)],
        ..RunFacts::default()
    };
    (record, facts)
}

fn uncertain(row: u64) -> DeliveryRecord {
    DeliveryRecord {
        id: 1,
        row,
        recipient_key: None,
        phone: Some(Address::stored("+12025550143").unwrap()),
        line: "+15555550100".into(),
        step: 0,
        revision: 0,
        state: DeliveryState::Uncertain,
        reason: None,
        detail: None,
        hold: None,
        due_at: at("2026-11-20T10:00:00-06:00"),
        code: None,
        attempts: 1,
        message_id: None,
        chat_id: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        no_confirmation: false,
    }
}

fn glance(run: RunRecord, facts: &RunFacts) -> Glance {
    Glance {
        run,
        counts: facts.counts,
        outlook: facts.outlook.clone(),
    }
}

/// A run in the middle of its night.
fn waiting(state: RunState) -> (RunRecord, RunFacts) {
    use DeliveryState as S;
    let facts = RunFacts {
        counts: counts(&[(S::Sent, 6_000), (S::Pending, 4_000), (S::Sending, 2)]),
        holds: vec![
            (None, 2_499, at("2026-11-20T10:00:00-06:00")),
            (Some(Hold::Window), 1_500, at("2026-11-21T09:00:00-06:00")),
            (Some(Hold::Throttled), 1, at("2026-11-20T22:30:45-06:00")),
        ],
        gates: vec![
            Gate {
                gateway: "chert".into(),
                held: Held::Account,
                until: at("2026-11-20T22:30:45-06:00"),
                inactive_since: None,
                reason: "too many requests".into(),
            },
            Gate {
                gateway: "chert".into(),
                held: Held::Line("+15555550101".into()),
                until: at("2026-11-21T00:00:00-06:00"),
                inactive_since: None,
                reason: "daily limit of new conversations reached".into(),
            },
        ],
        first_sent_at: Some(at("2026-11-20T10:00:01-06:00")),
        last_sent_at: Some(at("2026-11-20T22:29:59-06:00")),
        ..RunFacts::default()
    };
    (run("nightly@2026-11-20T10:00-06:00", state, 10_002), facts)
}

#[test]
fn all_runs_stand_in_one_table() {
    let (one, facts) = finished();
    let (two, more) = waiting(RunState::Paused);
    let runs = [glance(two, &more), glance(one, &facts)];
    let wide = View {
        style: Style {
            width: 120,
            ..Style::PLAIN
        },
        ..view()
    };
    insta::assert_snapshot!(status_table(&runs, &wide), @r"
    RUN                             STATE             SENT  FAILED  UNCERTAIN  SKIPPED  WAITING  STARTED
    nightly@2026-11-20T10:00-06:00  paused    6,000/10,002       0          0        0    4,002  today, 10:00
    review-request@once             finished   1,204/1,250       3          1       42        0  today, 10:00
    ");
    insta::assert_snapshot!(status_table(&runs, &view()), @r"
    RUN                             STATE             SENT  FAILED  UNCERTAIN  WAITING
    nightly@2026-11-20T10:00-06:00  paused    6,000/10,002       0          0    4,002
    review-request@once             finished   1,204/1,250       3          1        0
    ");
    insta::assert_snapshot!(status_table(&[], &view()), @r"
    There is no run yet. `sendoff run CAMPAIGN` starts one.
    ");
}

#[test]
fn the_table_tells_a_run_that_nobody_works_on() {
    let present = Present {
        owner: Owner("0f3a-812".into()),
        worker: Worker::new("web-2", 812, 0xf3a),
        since: at("2026-11-20T22:00:00-06:00"),
    };
    let (now, tomorrow) = (view().now, at("2026-11-21T09:00:00-06:00"));
    let runs =
        [(vec![present], now), (vec![], now), (vec![], tomorrow)].map(|(present, next_due_at)| {
            let (record, mut facts) = waiting(RunState::Running);
            facts.outlook = Outlook {
                present,
                next_due_at: Some(next_due_at),
            };
            (text(&record, &facts, &view()), glance(record, &facts))
        });
    let headlines: Vec<&str> = runs
        .iter()
        .filter_map(|(text, _)| text.lines().next())
        .collect();
    assert_eq!(
        headlines,
        [
            "nightly@2026-11-20T10:00-06:00 is running (process 812 on web-2).",
            "nightly@2026-11-20T10:00-06:00 was interrupted: no process is on it.",
            "nightly@2026-11-20T10:00-06:00 waits for what is due later, and no process is on",
        ]
    );
    let wide = View {
        style: Style {
            width: 120,
            ..Style::PLAIN
        },
        ..view()
    };
    let glances = runs.map(|(_, glance)| glance);
    let table = status_table(&glances, &wide);
    let states: Vec<&str> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    assert_eq!(states, ["running", "interrupted", "waiting"]);
    assert!(
        table.contains("NEXT") && table.contains("tomorrow, 09:00"),
        "{table}"
    );
    let json = runs_json(&glances, &[], &[]);
    assert_eq!(json["runs"][0]["workers"][0]["name"], "web-2:812:0f3a");
    assert_eq!(json["runs"][2]["next_due_at"], "2026-11-21T15:00:00.000Z");
}

#[test]
fn a_narrow_table_keeps_every_column_that_tells_of_trouble() {
    let (one, facts) = finished();
    let style = Style {
        width: 20,
        ..Style::PLAIN
    };
    let table = status_table(&[glance(one, &facts)], &View { style, ..view() });
    let titles: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(
        titles,
        ["RUN", "STATE", "SENT", "FAILED", "UNCERTAIN", "WAITING"]
    );
}

/// Takes the parts about answers and caps out.
fn nobody_answered_or_waits_for_a_day(json: &mut serde_json::Value) {
    let answers = json.as_object_mut().unwrap().remove("answers").unwrap();
    let none = serde_json::json!({
        "first_opted_out": [],
        "opted_out": 0,
        "replies": 0,
        "to_review": 0,
    });
    assert_eq!(answers, none);
    let caps = json.as_object_mut().unwrap().remove("caps").unwrap();
    assert_eq!(caps, serde_json::json!([]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "every field is there to be read")]
fn a_run_as_json_has_every_state_also_at_zero() {
    let (record, facts) = finished();
    let mut json = run_json(&record, &facts);
    nobody_answered_or_waits_for_a_day(&mut json);
    for state in DeliveryState::ALL {
        assert!(json["counts"][state.as_str()].is_u64(), "{state}");
    }
    insta::assert_snapshot!(format!("{json:#}"), @r#"
    {
      "campaign": "review-request",
      "counts": {
        "cancelled": 0,
        "delivered": 788,
        "failed": 3,
        "pending": 0,
        "read": 312,
        "sending": 0,
        "sent": 104,
        "skipped": 42,
        "uncertain": 1
      },
      "created_at": "2026-11-20T16:00:00.000Z",
      "failures": [
        {
          "code": 1005,
          "count": 2,
          "state": "failed",
          "text": "the text of a first message must not hold a web address; put it into a part of its own of the type rich_link"
        },
        {
          "code": null,
          "count": 1,
          "state": "failed",
          "text": "no connection to the provider"
        },
        {
          "code": null,
          "count": 1,
          "state": "uncertain",
          "text": "the connection broke before an answer"
        }
      ],
      "failures_not_listed": 0,
      "finished_at": "2026-11-20T16:04:05.000Z",
      "first_sent_at": "2026-11-20T16:00:01.000Z",
      "gates": [],
      "gateway": "chert",
      "holds": [],
      "last_sent_at": "2026-11-20T16:04:02.000Z",
      "lines": [],
      "next_due_at": null,
      "no_confirmation": 0,
      "occurrence": "once",
      "reason": null,
      "rehearsal": false,
      "run": "review-request@once",
      "skipped": {
        "duplicate": 11,
        "expired": 0,
        "filtered": 30,
        "invalid_email": 0,
        "invalid_phone": 1,
        "missing_value": 0,
        "no_window": 0,
        "opted_out": 0,
        "render_error": 0,
        "suppressed": 0,
        "window_closed": 0
      },
      "starts_at": "2026-11-20T16:00:00.000Z",
      "state": "finished",
      "total": 1250,
      "workers": []
    }
    "#);
}

#[test]
fn what_a_run_waits_for_is_in_its_json() {
    let (record, facts) = waiting(RunState::Running);
    let json = run_json(&record, &facts);
    insta::assert_snapshot!(format!("{:#}", json["holds"]), @r#"
    [
      {
        "count": 2499,
        "due_at": "2026-11-20T16:00:00.000Z",
        "hold": null
      },
      {
        "count": 1500,
        "due_at": "2026-11-21T15:00:00.000Z",
        "hold": "window"
      },
      {
        "count": 1,
        "due_at": "2026-11-21T04:30:45.000Z",
        "hold": "throttled"
      }
    ]
    "#);
    insta::assert_snapshot!(format!("{:#}", json["gates"]), @r#"
    [
      {
        "inactive_since": null,
        "line": null,
        "reason": "too many requests",
        "until": "2026-11-21T04:30:45.000Z"
      },
      {
        "inactive_since": null,
        "line": "+15555550101",
        "reason": "daily limit of new conversations reached",
        "until": "2026-11-21T06:00:00.000Z"
      }
    ]
    "#);
}

#[test]
fn a_list_of_runs_as_json_keeps_the_order_and_the_shape() {
    let (one, facts) = finished();
    let (two, more) = waiting(RunState::Paused);
    let whole = run_json(&two, &more);
    let json = runs_json(&[glance(two, &more), glance(one, &facts)], &[], &[]);
    assert_eq!(json["runs"][1]["run"], "review-request@once");
    for (name, value) in json["runs"][0].as_object().unwrap() {
        assert_eq!(value, &whole[name], "{name}");
    }
}

#[test]
fn the_documentation_names_every_column_and_field() {
    let docs = include_str!("../../docs/reports.md");
    assert!(docs.contains(&CSV_HEADER.join(",")));
    for column in CSV_HEADER {
        assert!(docs.contains(&format!("| `{column}` |")), "{column}");
    }
    let (record, facts) = finished();
    for name in run_json(&record, &facts).as_object().unwrap().keys() {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
}
