//! The shapes that scripts rely on: JSON of `run`, `status`, `check` and `report`, and the CSV.

use serde_json::{Value, json};

use crate::support::{CAMPAIGN, RUN, Stage};

/// Every state of a delivery.
const STATES: [&str; 9] = [
    "pending",
    "sending",
    "sent",
    "delivered",
    "read",
    "failed",
    "uncertain",
    "skipped",
    "cancelled",
];

const CSV: &str = "row,recipient,phone,line,state,reason,code,attempts,idempotency_key,message_id,\
    chat_id,sent_at,delivered_at,read_at,detail,due_at";

/// What every object about a run holds: nine states that add up to the total.
fn assert_run(json: &Value, run: &str, state: &str, total: u64) {
    assert_eq!(json["run"], run, "{json}");
    assert_eq!(json["state"], state, "{json}");
    assert_eq!(json["total"], total, "{json}");
    let counts = json["counts"].as_object().unwrap();
    let mut named: Vec<&str> = counts.keys().map(String::as_str).collect();
    named.sort_unstable();
    let mut states = STATES;
    states.sort_unstable();
    assert_eq!(named, states);
    let sum: u64 = counts.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(sum, total);
}

#[tokio::test]
async fn a_run_is_the_same_object_at_its_end_in_its_status_and_in_its_report() {
    let stage = Stage::new(3).await;
    let begun = stage
        .start(&["--limit", "1", "--format", "json"])
        .end()
        .await;
    assert_eq!(begun.code, Some(4), "{begun:?}");
    assert_run(&begun.json(), RUN, "running", 3);
    assert_eq!(begun.json()["counts"]["pending"], 2);
    let args = ["resume", RUN, "--yes", "--format", "json"];
    let ended = stage.project.run(&args).await.json();
    assert_run(&ended, RUN, "finished", 3);
    assert_eq!(ended["counts"]["sent"], 3);
    for args in [["status", RUN], ["report", RUN]] {
        let args = [&args[..], &["--format", "json"]].concat();
        assert_eq!(stage.project.run(&args).await.json(), ended, "{args:?}");
    }
    let again = stage.start(&["--format", "json"]).end().await;
    assert_eq!(again.json(), ended);
}

#[tokio::test]
async fn the_status_of_all_runs_is_a_list_with_the_newest_first() {
    let stage = Stage::new(2).await;
    assert_eq!(stage.send().await.code, Some(0));
    for _ in 0..2 {
        let rehearsal = stage.project.run(&["run", CAMPAIGN, "--sandbox"]).await;
        assert_eq!(rehearsal.code, Some(0), "{rehearsal:?}");
    }
    let json = stage
        .project
        .run(&["status", "--format", "json"])
        .await
        .json();
    let runs = json["runs"].as_array().unwrap();
    let names = ["hello@rehearsal-2", "hello@rehearsal-1", RUN];
    assert_eq!(runs.len(), names.len());
    for (run, name) in runs.iter().zip(names) {
        assert_run(run, name, "finished", 2);
        assert_eq!(run["rehearsal"], json!(name != RUN));
    }
    let text = stage.project.run(&["status"]).await.out;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("RUN ") && lines[1].starts_with(names[0]),
        "{text}"
    );
}

#[tokio::test]
async fn check_has_an_object_for_each_campaign() {
    let stage = Stage::new(2).await;
    stage
        .project
        .write("campaigns/bad.yaml", "name: bad\nnmae: x\n");
    let args = ["check", CAMPAIGN, "campaigns/bad.yaml", "--format", "json"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(1), "one of them is wrong");
    assert_eq!(ended.err, "");
    let json = ended.json();
    let [good, bad] = json["campaigns"].as_array().unwrap().as_slice() else {
        panic!("{json}");
    };
    assert_eq!(good["file"], CAMPAIGN);
    assert_eq!(good["campaign"], "hello");
    assert_eq!((&good["rows"], &good["to_send"]), (&json!(2), &json!(2)));
    assert_eq!(
        (&good["errors"], &good["problems"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(bad["to_send"], Value::Null);
    let unknown = bad["problems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|problem| problem["message"].as_str().unwrap().contains("nmae"))
        .unwrap();
    assert_eq!(unknown["file"], "campaigns/bad.yaml");
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(unknown["severity"], "error");
    assert!(unknown["help"].as_str().unwrap().contains("name"));
}

#[tokio::test]
async fn the_csv_has_one_line_for_each_row_under_a_header_that_does_not_change() {
    let stage = Stage::new(3).await;
    assert_eq!(stage.send().await.code, Some(0));
    let args = ["report", RUN, "--format", "csv", "-o", "out.csv"];
    let ended = stage.project.run(&args).await;
    assert_eq!((ended.code, &*ended.out), (Some(0), ""));
    let text = stage.project.read("out.csv");
    assert_eq!(text.lines().next(), Some(CSV));
    assert_eq!(text.lines().count(), 4);
    let shown = stage.project.run(&["report", RUN, "--format", "csv"]).await;
    assert_eq!(shown.out, text);
}
