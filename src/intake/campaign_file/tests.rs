use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::campaign::{ListSource, OnEmpty};
use crate::domain::schedule::{CatchUp, Overlap, When, zone};
use crate::domain::window::{DayTime, Days, Window, WindowZone};

fn read_text(text: &str) -> (Option<CampaignFile>, Problems) {
    let source = Source::new("campaigns/x.yaml".to_owned(), text.to_owned());
    read_source(Path::new("campaigns/x.yaml"), source)
}

/// The campaign of the design's own page, without what this version refuses.
const FULL: &str = r#"# yaml-language-server: $schema=./campaign.schema.json
name: review-request
description: Ask last week's customers for a Google review
gateway: chert
from: ["+15555550100", "+15555550101"]
recipients:
  csv: review-request.csv
  columns: { phone: Mobile, key: CustomerID, timezone: TZ }
  region: US
  where: "visits > 0 and not complained"
  on_empty: error
message: ../templates/review-request.yaml
vars: { business: "Texas Prime Plumbing" }
schedule:
  cron: "0 10 * * MON-FRI"
  timezone: America/Chicago
  catch_up: none
  start_by: 2h
  overlap: queue
  jitter: 90s
window: { days: MON-SAT, from: "09:00", to: "20:00", timezone: recipient }
expires: 48h
pace: { rate: 5/s, burst: 5, concurrency: 32, per_line: 1/s }
retry: { attempts: 4, base: 2s, max: 1m, give_up_after: 12h }
suppress: [../lists/do-not-contact.csv, /srv/stop.csv]
"#;

#[test]
fn every_field_of_a_campaign_arrives() {
    let (file, problems) = read_text(FULL);
    assert!(problems.is_empty(), "{problems:?}");
    let CampaignFile { campaign, file, .. } = file.unwrap();
    assert_eq!(file.role, "campaign");
    assert_eq!(file.text.as_deref(), Some(FULL));
    assert_eq!(campaign.name, "review-request");
    assert!(campaign.description.unwrap().starts_with("Ask"));
    assert_eq!(campaign.gateway, "chert");
    let ListSource::File(csv) = campaign.recipients.source else {
        panic!("a file is named");
    };
    assert_eq!(csv, Path::new("campaigns/review-request.csv"));
    let columns = campaign.recipients.columns;
    assert_eq!(columns.phone.as_deref(), Some("Mobile"));
    assert_eq!(columns.key.as_deref(), Some("CustomerID"));
    assert_eq!(columns.timezone.as_deref(), Some("TZ"));
    assert_eq!(columns.email, None);
    assert!(campaign.recipients.region.is_some());
    assert!(campaign.recipients.filter.is_some());
    assert_eq!(campaign.recipients.on_empty, OnEmpty::Error);
    assert_eq!(campaign.message, Path::new("templates/review-request.yaml"));
    assert_eq!(campaign.vars["business"], json!("Texas Prime Plumbing"));
    assert_eq!(
        campaign.suppress,
        [
            Path::new("lists/do-not-contact.csv"),
            Path::new("/srv/stop.csv")
        ]
    );
    let schedule = campaign.schedule.unwrap();
    assert!(matches!(schedule.when, When::Cron(_)));
    assert_eq!(schedule.catch_up, CatchUp::None);
    assert_eq!(schedule.overlap, Overlap::Queue);
    assert_eq!(schedule.start_by, Some(SignedDuration::from_hours(2)));
    assert_eq!(schedule.jitter, Some(SignedDuration::from_secs(90)));
    let terms = campaign.terms;
    assert_eq!(terms.lines.len(), 2);
    let time = |text| DayTime::parse(text).unwrap();
    assert_eq!(
        terms.window,
        Window::new(
            Days::parse("MON-SAT").unwrap(),
            time("09:00"),
            time("20:00"),
            WindowZone::Recipient
        )
        .ok()
    );
    assert_eq!(terms.expires, Some(SignedDuration::from_hours(48)));
    assert_eq!(terms.pace.rate.unwrap().to_string(), "5/s");
    assert_eq!(terms.pace.burst.unwrap().get(), 5);
    assert_eq!(terms.pace.concurrency.get(), 32);
    assert_eq!(terms.pace.per_line.unwrap().to_string(), "1/s");
    assert_eq!(terms.retry.attempts, 4);
    assert_eq!(terms.retry.give_up_after, SignedDuration::from_hours(12));
}

const SHORT: &str =
    "name: x\ngateway: chert\nfrom: +15555550100\nrecipients: { csv: \"-\" }\nmessage: m.yaml\n";

#[test]
fn a_short_campaign_gets_what_is_usual() {
    let campaign = read_text(SHORT).0.unwrap().campaign;
    assert_eq!(campaign.recipients.source, ListSource::StandardInput);
    assert_eq!(campaign.recipients.on_empty, OnEmpty::Skip);
    assert!(campaign.schedule.is_none());
    let lines = campaign.terms.lines.clone();
    assert_eq!(lines, [Phone::from_e164("+15555550100").unwrap()]);
    assert_eq!(
        campaign.terms,
        Terms {
            lines,
            ..Terms::default()
        }
    );
}

#[test]
fn a_day_is_that_of_the_schedule_else_of_the_window_else_of_utc() {
    let window =
        |zone: &str| format!("window: {{ from: \"09:00\", to: \"20:00\", timezone: {zone} }}\n");
    let schedule = "schedule: { at: 2026-11-24T10:00, timezone: Europe/Berlin }\n";
    for (more, zone) in [
        (String::new(), "UTC"),
        (window("recipient"), "UTC"),
        (window("America/Chicago"), "America/Chicago"),
        (window("America/Chicago") + schedule, "Europe/Berlin"),
    ] {
        let text = format!("{SHORT}pace: {{ daily_cap: 500, ramp: [50, 100] }}\n{more}");
        let (file, problems) = read_text(&text);
        assert!(problems.is_empty(), "{problems:?}");
        let cap = file.unwrap().campaign.terms.cap.unwrap();
        assert_eq!(zone::name_of(&cap.timezone), zone);
        let days: Vec<Option<u32>> = (0..3).map(|day| cap.on_day(day)).collect();
        assert_eq!(days, [50, 100, 500].map(Some));
    }
    let ramp = read_text(&format!("{SHORT}pace: {{ ramp: [7] }}\n"))
        .0
        .unwrap();
    assert_eq!(ramp.campaign.terms.cap.unwrap().on_day(1), None);
}

#[test]
fn vars_keep_what_is_written() {
    let text = format!(
        "{SHORT}vars:\n  whole: 12\n  price: 12.50\n  code: 007\n  yes: yes\n  on: true\n  none: ~\n  \
         quoted: \"5\"\n  list: [a, {{ b: 1.5 }}]\n  text: !!str 5\n  when: 2026-11-24\n"
    );
    let (file, problems) = read_text(&text);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(
        json!(file.unwrap().campaign.vars),
        json!({
            "whole": 12, "price": "12.50", "code": "007", "yes": "yes", "on": true, "none": null,
            "quoted": "5", "list": ["a", { "b": 1.5 }], "text": "5", "when": "2026-11-24",
        })
    );
}

#[test]
fn vars_that_a_template_cannot_name_are_refused() {
    let (file, problems) = read_text(&format!("{SHORT}vars: {{ run: 1, my-var: 2, 9th: 3 }}\n"));
    assert!(file.is_none());
    let help: Vec<_> = problems.iter().filter_map(|p| p.help.clone()).collect();
    assert_eq!(problems.errors(), 3);
    assert!(help[0].contains("my_run") && help[1].contains("my_var"));
}

#[test]
fn a_campaign_to_a_group_is_refused_with_its_reason() {
    for (line, why, help) in [
        ("to: group", "does not write to a group", "one by one"),
        ("to: people.csv", "no field 'to'", "`recipients`"),
    ] {
        let (file, problems) = read_text(&format!("{FULL}{line}\n"));
        assert!(file.is_none());
        let problem = problems.iter().next().unwrap();
        assert!(problem.message.contains(why), "{problem:?}");
        assert!(
            problem.help.as_deref().unwrap().contains(help),
            "{problem:?}"
        );
        let place = problem.place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (26, 1));
    }
}

#[test]
fn anchors_aliases_and_merge_keys_are_unfolded() {
    let text = format!(
        "{SHORT}vars: &all\n  base: &base {{ a: 1, b: 2 }}\n  more: {{ <<: *base, b: 3 }}\n  \
         both: {{ <<: [{{ a: 9 }}, *base] }}\n  copy: *base\n"
    );
    let (file, problems) = read_text(&text);
    assert!(problems.is_empty(), "{problems:?}");
    let vars = file.unwrap().campaign.vars;
    assert_eq!(vars["more"], json!({ "a": 1, "b": 3 }));
    assert_eq!(vars["both"], json!({ "a": 9, "b": 2 }));
    assert_eq!(vars["copy"], json!({ "a": 1, "b": 2 }));
    let (file, problems) = read_text(&format!("{SHORT}vars: &all {{ a: *all }}\n"));
    assert!(file.is_none());
    assert!(
        problems
            .iter()
            .any(|p| p.message.contains("contains itself"))
    );
}

#[test]
fn places_are_found_again() {
    let file = read_text(FULL).0.unwrap();
    let at = |path: &str| {
        let place = file.place(path)?;
        Some((place.line, place.column, place.width))
    };
    assert_eq!(at("recipients.columns.phone"), Some((8, 21, 6)));
    assert_eq!(at("from[1]"), Some((5, 24, 14)));
    assert_eq!(at("message"), Some((12, 10, 32)));
    assert_eq!(at("recipients.columns.email"), None);
    assert_eq!(file.place_or_around("recipients.columns.email").line, 8);
    assert_eq!(file.place_or_around("from[7].x").line, 5);
    assert_eq!(file.place_or_around("nowhere").line, 2);
    let filter = file.text("recipients.where").unwrap();
    let place = filter.locate(1, 8);
    assert_eq!((place.line, place.column), (10, 18));
}

/// Ten levels of ten references each: 10^10 values from half a kilobyte.
#[test]
fn a_file_that_unfolds_without_end_costs_no_time() {
    let levels = (1..10).map(|n| {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("a{n}: &a{n} [{before}]\n")
    });
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(levels)
        .collect();
    let wide = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(100_000),
        vec!["*a"; 1_000].join(", ")
    );
    let deep = format!("vars: {}1{}\n", "[".repeat(10_000), "]".repeat(10_000));
    let many = format!("vars: [{}1]\n", "1,".repeat(400_000));
    let merged = format!(
        "a: &a {{ x: 1 }}\nb: {{ <<: [{}] }}\n",
        vec!["*a"; 50_000].join(", ")
    );
    for text in [bomb, wide, deep, many, merged] {
        let (file, problems) = read_text(&text);
        assert!(file.is_none() && problems.errors() == 1, "{problems:?}");
        // Without optimisation and beside other tests; the work itself is below 50 ms.
        let took = fastest(&text);
        assert!(took.as_millis() < 1_000, "{took:?}");
    }
}

/// The best of a few: what other tests on the machine take away is not the reader's.
fn fastest(text: &str) -> std::time::Duration {
    let time = || {
        let started = tokio::time::Instant::now();
        drop(read_text(text));
        started.elapsed()
    };
    (0..4).map(|_| time()).min().unwrap()
}

/// Nothing but mistakes, on one long line: ten times as many take about ten times as long, not
/// a hundred times.
#[test]
fn the_cost_of_mistakes_grows_no_faster_than_their_number() {
    let unknown = |count: usize| {
        let keys: Vec<String> = (0..count).map(|n| format!("k{n}: {{}}")).collect();
        format!("{{ {} }}\n", keys.join(", "))
    };
    let doubles = |count: usize| format!("{{ {} }}\n", vec!["a: 1"; count].join(", "));
    for (few, many) in [
        (unknown(900), unknown(9_000)),
        (doubles(900), doubles(9_000)),
    ] {
        let (file, problems) = read_text(&many);
        assert!(file.is_none() && problems.errors() > 5_000);
        let (few, many) = (fastest(&few), fastest(&many));
        assert!(many < few * 40, "{few:?} and {many:?}");
    }
}

#[test]
fn names_are_mended_to_names() {
    for (text, name) in [
        ("Review Request, May!", "review-request-may"),
        ("_x_", "x_"),
        ("Été", "t"),
        ("!!", ""),
    ] {
        assert_eq!(valid_name(text), name);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        let (file, problems) = read_text(&text);
        prop_assert!(file.is_some() != problems.has_errors());
    }

    /// Pieces of real files, put together at random, get further than random letters.
    #[test]
    fn any_mixture_of_pieces_is_read_without_panic(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "name: ", "x\n", "from: ", "[", "]", "{", "}", ", ", ": ", "- ", "\n", "\n  ", "\n    ",
            "recipients:", "csv: a.csv", "schedule: ", "cron: \"* * * * *\"", "at: ", "window: ",
            "days: MON", "\"", "'", "|", ">-", "&a ", "*a", "<<: ", "!!str ", "!x ", "# c\n", "~",
            "vars: ", "pace: ", "rate: 5/s", "retry: ", "base: 1s", "expires: ", "1h", "\t", "\r\n",
            "---\n", "...\n", "%YAML 1.2\n", "? ", "{{ x }}", "\\u0041", "é漢", "\u{feff}", "\u{0}",
        ]), 0..60)
    ) {
        let text = pieces.concat();
        let (file, problems) = read_text(&text);
        prop_assert!(file.is_some() != problems.has_errors());
        for place in problems.iter().filter_map(|problem| problem.place.as_ref()) {
            let length = place.excerpt.as_ref().unwrap().chars().count();
            prop_assert!(place.line >= 1 && place.column >= 1);
            prop_assert!(usize::try_from(place.column - 1 + place.width).unwrap() <= length);
        }
    }

    /// A good campaign with some bytes changed.
    #[test]
    fn a_damaged_campaign_is_read_without_panic(
        cuts in prop::collection::vec((0usize..FULL.len(), "[ -~\n]{0,3}"), 1..5)
    ) {
        let mut text = FULL.to_owned();
        for (at, piece) in cuts {
            let at = at.min(text.len());
            if text.is_char_boundary(at) {
                text.replace_range(at..(at + 1).min(text.len()), &piece);
            }
        }
        let (file, problems) = read_text(&text);
        prop_assert!(file.is_some() != problems.has_errors());
    }
}
