//! The report of every kind of mistake in a file, as the user sees it.

use std::path::Path;

use super::{Paint, render};
use crate::domain::problem::Problems;
use crate::intake::{campaign_file, message_file, settings_file};

const CAMPAIGN: &str = "\
# yaml-language-server: $schema=./campaign.schema.json
name: review-request
gateway: chert
from: [\"+15555550100\"]
recipients:
  csv: people.csv
message: ../templates/hello.yaml
";

const MESSAGE: &str = "\
parts:
  - type: text
    value: Hi {{ first_name }}
";

const SETTINGS: &str = "\
gateways:
  chert:
    kind: chert
    tenant: acme-7a3f
    signing_secret: { env: CHERT_SIGNING_SECRET }
";

/// The report on a file `name` with this text.
fn report(name: &str, text: &str, read: impl FnOnce(&Path) -> Problems) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let shown = render(&read(&path), Paint::Plain, 80);
    shown.replace(&format!("{}/", folder.path().display()), "")
}

fn campaign(text: &str) -> String {
    report("x.yaml", text, |path| campaign_file::read(path).1)
}

/// The report on the sample campaign with some lines more.
fn campaign_and(lines: &str) -> String {
    campaign(&format!("{CAMPAIGN}{lines}"))
}

fn message(text: &str) -> String {
    report("hello.yaml", text, |path| message_file::read(path).1)
}

fn settings(text: &str) -> String {
    report("sendoff.yaml", text, |path| settings_file::read(path).1)
}

#[test]
fn the_samples_have_no_problem() {
    assert_eq!(campaign_and(""), "no problems\n");
    assert_eq!(message(MESSAGE), "no problems\n");
    assert_eq!(settings(SETTINGS), "no problems\n");
}

#[test]
fn unknown_fields() {
    let text = CAMPAIGN.replace(
        "csv: people.csv",
        "csv: people.csv\n  Region: US\n  columns:\n    Phone: Mobile\n    handy: 1",
    );
    insta::assert_snapshot!(campaign(&format!("{text}descripton: x\nbanana: 1\n")));
}

#[test]
fn duplicate_keys() {
    insta::assert_snapshot!(campaign_and(
        "vars:\n  a: 1\n  deep: { b: 1, b: 2 }\ngateway: other\n"
    ));
}

#[test]
fn wrong_units() {
    insta::assert_snapshot!(campaign_and(
        "expires: 48\npace: { rate: 5, per_line: 10 per second }\nretry: { base: 1 sec, max: 5/s }\n"
    ));
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(campaign_and(
        "pace: fast\nretry:\n  attempts: many\n  base: [1s]\nvars: [a]\nexpires: {}\nwindow:\n"
    ));
}

#[test]
fn bad_cron() {
    insta::assert_snapshot!(campaign_and(
        "schedule:\n  cron: \"0 25 * * MON-FRI\"\n  timezone: America/Chicago\n"
    ));
}

#[test]
fn unknown_zones() {
    insta::assert_snapshot!(campaign_and(
        "schedule: { cron: \"0 10 * * *\", timezone: Chicago }\n\
         window: { from: 09:00, to: 20:00, timezone: recipent }\n"
    ));
}

#[test]
fn impossible_combinations() {
    insta::assert_snapshot!(campaign_and(
        "schedule:\n  cron: \"0 10 * * *\"\n  at: 2026-11-24T10:00\n\
         window: { days: [], from: \"20:00\", to: \"09:00\", timezone: recipient }\n\
         pace: { burst: 5 }\n\
         retry: { base: 10m, attempts: 0 }\n"
    ));
}

#[test]
fn a_schedule_that_runs_once_or_never() {
    insta::assert_snapshot!(
        "once",
        campaign_and(
            "schedule:\n  at: 2026-11-24T10:00-06:00\n  catch_up: latest\n  overlap: queue\n"
        )
    );
    insta::assert_snapshot!("never", campaign_and("schedule:\n  timezone: UTC\n"));
}

#[test]
fn a_window_that_ends_before_it_begins() {
    insta::assert_snapshot!(campaign_and(
        "window:\n  days: MON-SAT\n  from: \"20:00\"\n  to: \"09:00\"\n  timezone: recipient\n"
    ));
}

#[test]
fn missing_fields() {
    insta::assert_snapshot!(campaign("description: nothing else\n"));
}

#[test]
fn an_invalid_name() {
    insta::assert_snapshot!(campaign(
        &CAMPAIGN.replace("review-request", "\"Review Request, May!\"")
    ));
}

#[test]
fn bad_lines() {
    insta::assert_snapshot!(campaign(&CAMPAIGN.replace(
        "[\"+15555550100\"]",
        "[\"+15555550100\", \"+15555550100\", 5555550101, \"+1 555 555 0102\"]"
    )));
}

#[test]
fn settings_that_this_version_cannot_honour() {
    insta::assert_snapshot!(
        "campaign",
        campaign_and("guard: { max_failure_rate: 20% }\n")
    );
}

#[test]
fn bad_caps() {
    insta::assert_snapshot!(
        "caps",
        campaign_and("pace: { daily_cap: 0, ramp: [50, many] }\n")
    );
    insta::assert_snapshot!(
        "ramp",
        campaign_and("pace: { daily_cap: 90, ramp: [50, 100] }\n")
    );
    insta::assert_snapshot!(
        "first_touch",
        settings(&format!(
            "{SETTINGS}    first_touch: 30\n  other:\n    kind: chert\n    auth: bearer\n    \
             signing_secret: {{ env: S }}\n    first_touch: {{ per_day: 30/d, gap: 10 }}\n"
        ))
    );
}

#[test]
fn broken_yaml() {
    let cases = [
        ("tab", "vars:\n\ta: 1\n"),
        ("colon", "description: Ask: now\n"),
        ("no_colon", "description\nvars: {}\n"),
        ("quote", "description: \"Ask\nvars: {}\n"),
        ("bracket", "suppress: [a, b\nvars: {}\n"),
        ("indentation", "pace:\n    rate: 5/s\n  burst: 5\n"),
        ("character", "description: @home\n"),
        ("documents", "---\nname: y\n"),
        ("alias", "description: *missing\n"),
        ("tag", "description: !secret x\n"),
    ];
    for (name, lines) in cases {
        insta::assert_snapshot!(name, campaign_and(lines));
    }
}

#[test]
fn a_template_value_without_quotes() {
    insta::assert_snapshot!(
        "alone",
        message("parts:\n  - type: text\n    value: {{ first_name }}\n")
    );
    insta::assert_snapshot!(
        "with_text",
        message("parts:\n  - type: text\n    value: {{ first_name }}, hello\n")
    );
}

#[test]
fn broken_parts() {
    insta::assert_snapshot!(message(
        "parts:\n  - type: texd\n    value: x\n  - type: text\n    valeu: x\n  - type: media\n  \
         - type: media\n    file: a.png\n    url: https://example.com/a.png\n  - type: rich_link\n    \
         url:\n    titel: x\n  - just a text\n  - value: x\n"
    ));
}

#[test]
fn several_mistakes_at_once_each_with_its_place() {
    let text = campaign(
        "name: Review Request\ngateway: chert\nfrom: []\nrecipents: {}\nrecipients: { csv: a.csv, region: Texas }\n\
         message: m.yaml\nmessage: n.yaml\npace: { rate: 10 }\nwindow: { days: MON-SAT, from: 9am, to: \"20:00\", timezone: recipient }\n",
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_secret_in_plain_is_refused_and_never_shown() {
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    let env = "{ env: CHERT_SIGNING_SECRET }";
    let plain = settings(&SETTINGS.replace(env, SECRET));
    insta::assert_snapshot!("plain", plain);
    let cases = [
        SETTINGS.replace(env, &format!("\"{SECRET}\"")),
        SETTINGS.replace(env, &format!("\"{SECRET}")),
        SETTINGS.replace(env, &format!("{{ env: {SECRET} }}")),
        SETTINGS.replace(env, &format!("{{ value: {SECRET} }}")),
        SETTINGS.replace(env, &format!("[{SECRET}]")),
        SETTINGS.replace(env, &format!("|\n      {SECRET}\n      {SECRET}")),
        SETTINGS.replace(env, &format!("# {SECRET}")),
        SETTINGS.replace(env, &format!("{SECRET}: x: y")),
        SETTINGS
            .replace("signing_secret", "signing_secrt")
            .replace(env, SECRET),
        SETTINGS
            .replace("hmac", "x")
            .replace("kind: chert", &format!("kind: {SECRET}")),
        SETTINGS.replace(
            "kind: chert",
            &format!("kind: chert\n    auth: bearer {SECRET}"),
        ),
        SETTINGS.replace(
            "kind: chert",
            &format!("kind: chert\n    base_url: https://me:{SECRET}@example.com/api/v1"),
        ),
        format!("{SETTINGS}    signing_secret: {SECRET}\n"),
        format!("{SETTINGS}    api_key: !x {SECRET}\n"),
        format!("ledger: postgress://me:{SECRET}@db.example/x\n{SETTINGS}"),
        format!("ledger: [postgres://me:{SECRET}@db.example/x]\n{SETTINGS}"),
        format!("secret: &s {SECRET}\n{SETTINGS}    rate: *s\n"),
        format!("gateways: {SECRET}\n"),
        format!("{SECRET}\n"),
        format!("{SETTINGS}{SECRET}\n"),
    ];
    for text in cases {
        let shown = settings(&text);
        assert!(shown.contains("nothing was sent"), "accepted:\n{text}");
        assert!(!shown.contains("0123456789abcdef"), "{text}\n{shown}");
        assert!(shown.contains("sendoff.yaml:"), "{shown}");
    }
}

#[test]
fn broken_settings() {
    insta::assert_snapshot!(settings(
        "ledger: sendoff.db\ngateways:\n  My Gateway:\n    kind: chert\n    base_url: http://example.com/api/v1\n    \
         auth: hmca\n    signing_secret: { env: A, file: b }\n    burst: 5\n    timeout: 30\n  other: {}\n"
    ));
}

#[test]
fn a_file_that_unfolds_without_end_is_refused() {
    let levels = (1..10).map(|n| {
        let before = vec![format!("*a{}", n - 1); 10].join(", ");
        format!("a{n}: &a{n} [{before}]\n")
    });
    let text: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain(levels)
        .collect();
    insta::assert_snapshot!(campaign(&text));
}

#[test]
fn files_that_cannot_be_read() {
    let missing = |path: &Path| {
        std::fs::remove_file(path).unwrap();
        campaign_file::read(path).1
    };
    insta::assert_snapshot!("missing", report("x.yaml", "", missing));
    insta::assert_snapshot!("empty", campaign("\n"));
    insta::assert_snapshot!("only_comments", campaign("# nothing yet\n"));
    insta::assert_snapshot!("not_utf8", {
        report("x.yaml", "", |path| {
            std::fs::write(path, b"name: caf\xe9\n").unwrap();
            campaign_file::read(path).1
        })
    });
}

#[test]
fn a_missing_template_is_shown_where_the_campaign_names_it() {
    let text = report("x.yaml", CAMPAIGN, |path| {
        campaign_file::read(path).0.unwrap().message().1
    });
    assert!(text.contains("x.yaml:7:10"), "{text}");
}

#[test]
fn an_unknown_gateway_is_shown_where_the_campaign_names_it() {
    let text = report(
        "x.yaml",
        &CAMPAIGN.replace("gateway: chert", "gateway: chrt"),
        |path| {
            let campaign = campaign_file::read(path).0.unwrap();
            let at = path.with_file_name("sendoff.yaml");
            std::fs::write(&at, SETTINGS).unwrap();
            let settings = settings_file::read(&at).0.unwrap();
            campaign.account(&settings).unwrap_err()
        },
    );
    insta::assert_snapshot!(text);
}
