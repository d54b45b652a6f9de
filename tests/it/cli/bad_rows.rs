//! A bad row does not stop a run: it is left out with its reason, and counted wherever the run is.

use serde_json::json;

use crate::cli::shipped;
use crate::support::{CAMPAIGN, RUN, Stage, accepted};

/// One good row, and one of each kind that is left out.
const LIST: &str = "\
Phone,First Name,Wanted
(202) 555-0100,Ann,yes
555-01,Too Short,yes
4.15E+09,Spreadsheet,yes
+1 202-555-0100,Ann again,yes
202-555-0102,,yes
,Nobody,yes
202-555-0104,Not Wanted,no
202-555-0105,Stop,yes
";

const SKIPPED: [(&str, u64); 5] = [
    ("duplicate", 1),
    ("filtered", 1),
    ("invalid_phone", 3),
    ("missing_value", 1),
    ("suppressed", 1),
];

async fn stage() -> Stage {
    let stage = Stage::new(1).await;
    let campaign = stage.project.read(CAMPAIGN).replace(
        "{ csv: people.csv }",
        "{ csv: people.csv, region: US, where: wanted == \"yes\" }",
    );
    let project = &stage.project;
    project.write(CAMPAIGN, campaign + "suppress: stop.csv\n");
    project.write("campaigns/people.csv", LIST);
    project.write("campaigns/stop.csv", "+12025550105\n");
    stage
}

#[tokio::test]
async fn check_counts_the_rows_that_are_left_out_and_says_why() {
    let stage = stage().await;
    let check = stage.project.run(&["check", CAMPAIGN]).await;
    assert_eq!(check.code, Some(0), "{check:?}");
    insta::assert_snapshot!(check.out);
    let args = ["check", CAMPAIGN, "--format", "json"];
    let json = stage.project.run(&args).await.json();
    let campaign = &json["campaigns"][0];
    assert_eq!(campaign["rows"], 8);
    assert_eq!(campaign["to_send"], 1);
    assert_eq!(campaign["errors"], 0);
    for (reason, count) in SKIPPED {
        assert_eq!(campaign["skipped"][reason], json!(count), "{reason}");
    }
}

#[tokio::test]
async fn a_run_sends_to_the_good_rows_and_names_the_others() {
    let stage = stage().await;
    let ended = stage.send().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let totals = stage.provider.totals().await;
    assert_eq!((totals.messages, totals.people), (1, 1));
    for words in [
        "Sent to 1 of the 8 rows",
        "3  no usable phone number (invalid_phone)",
        "1  already further up in the list (duplicate)",
        "(missing_value)",
        "(filtered)",
        "(suppressed)",
    ] {
        assert!(ended.out.contains(words), "no '{words}' in\n{}", ended.out);
    }
    let status = stage
        .project
        .run(&["status", RUN, "--format", "json"])
        .await;
    let json = status.json();
    for (reason, count) in SKIPPED {
        assert_eq!(json["skipped"][reason], json!(count), "{reason}");
    }
    let rows = stage.project.rows(RUN).await;
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            format!("{} {} {}", row.number, row.state, row.reason)
                .trim()
                .to_owned()
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 sent",
            "2 skipped invalid_phone",
            "3 skipped invalid_phone",
            "4 skipped duplicate",
            "5 skipped missing_value",
            "6 skipped invalid_phone",
            "7 skipped filtered",
            "8 skipped suppressed",
        ]
    );
}

#[tokio::test]
async fn the_shipped_list_has_such_rows_and_its_rehearsal_succeeds() {
    let project = shipped();
    let args = [
        "run",
        "campaigns/review-request.yaml",
        "--sandbox",
        "--format",
        "json",
    ];
    let ended = project.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let json = ended.json();
    assert_eq!((&json["total"], accepted(&json)), (&json!(44), 41));
    for reason in ["duplicate", "filtered", "invalid_phone"] {
        assert_eq!(json["skipped"][reason], 1, "{reason}");
    }
}
