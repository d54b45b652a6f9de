//! The lab's numbers and what falls due by the provider's clock: people who always behave in the
//! same way, at moments that a step of the clock brings about.

use super::*;
use sendoff::sandbox::{Numbers, ReceiptStyle, lab_numbers};

impl Stage {
    /// A sandbox whose clocks both stand still until they are stepped.
    async fn lab() -> Self {
        let stage = Self::new().await;
        stage.stop_clock().await;
        stage
    }

    pub(super) async fn stop_clock(&self) {
        let url = format!("{}/clock", self.sandbox.control_url());
        let turn = self.client.put(url).body(r#"{"stopped":true}"#);
        assert_eq!(answer(turn).await.status, 200);
    }

    async fn state_of(&self, sent: &Value) -> Value {
        let id = sent["message"]["id"].as_str().unwrap();
        self.get(&format!("/messages/{id}")).await.json()["message"].clone()
    }

    /// What people wrote, oldest first: event, text and moment.
    async fn heard(&self) -> Vec<(String, String, String)> {
        let events = self.get("/events?limit=200").await.json();
        let mut heard: Vec<_> = events["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| {
                let text = |at: &str| event.pointer(at).unwrap().as_str().unwrap().to_owned();
                (
                    text("/event_id"),
                    text("/payload/data/message/parts/0/value"),
                    text("/created_at"),
                )
            })
            .collect();
        heard.reverse();
        heard
    }

    async fn texts(&self) -> Vec<String> {
        let heard = self.heard().await;
        heard.into_iter().map(|(_, text, _)| text).collect()
    }

    /// Sends until the sandbox takes it or has refused it so often; the codes on the way. Null
    /// stands for no answer that could be read.
    async fn tries(&self, to: &str, key: &str, most: usize) -> Vec<Option<u64>> {
        let mut codes = Vec::new();
        for _ in 0..most {
            let request = self.bearer(Method::POST, "/chats");
            let sent = request.body(hello(to, key).to_string()).send().await;
            let body = match sent {
                Ok(response) => response.text().await.ok(),
                Err(_) => None,
            };
            let json = body.and_then(|body| serde_json::from_str::<Value>(&body).ok());
            let code = json.map(|json| {
                json.pointer("/error/code")
                    .map_or(0, |c| c.as_u64().unwrap())
            });
            codes.push(code);
            if code == Some(0) {
                break;
            }
        }
        codes
    }
}

fn lab(number: u8) -> String {
    format!("+177555501{number:02}")
}

#[tokio::test]
async fn receipts_of_the_labs_numbers_are_what_the_table_says() {
    let stage = Stage::lab().await;
    let mut sent = Vec::new();
    for number in 0..7 {
        sent.push(stage.greet(&lab(number), &format!("k{number}")).await);
    }
    let mut seen = Vec::new();
    for step in ["1s", "1s", "8s", "2h", "4h", "3d"] {
        stage.step_clock(step).await;
        let mut row = String::new();
        for one in &sent {
            let status = stage.state_of(one).await["status"].clone();
            row.push(status.as_str().unwrap().chars().next().unwrap());
        }
        seen.push(row);
    }
    // s(ent), d(elivered), r(ead), f(ailed); one column for each number.
    let table = [
        "sssssss", "ddssssd", "rdsfssd", "rdsffsd", "rdsffdd", "rdsffrr",
    ];
    assert_eq!(seen, table);
    let late = stage.state_of(&sent[5]).await;
    assert_eq!(late["delivered_at"], "2026-06-10T15:15:00.000Z");
    assert_eq!(late["read_at"], "2026-06-10T15:16:00.000Z");
    let failed = stage.state_of(&sent[3]).await;
    assert_eq!(
        (&failed["delivered_at"], &failed["read_at"]),
        (&Value::Null, &Value::Null)
    );
    stage.close().await;
}

#[tokio::test]
async fn a_step_makes_happen_at_once_and_in_order_what_falls_due() {
    let stage = Stage::lab().await;
    for number in [10, 11, 12, 14, 16] {
        stage.greet(&lab(number), &format!("k{number}")).await;
    }
    // The clock stands: nothing happens, however long the machine waits.
    stage.step(SignedDuration::from_hours(50));
    assert_eq!(stage.heard().await, []);
    stage.step_clock("3s").await;
    assert_eq!(stage.texts().await, ["STOP"]);
    stage.step_clock("1d").await;
    let heard = stage.heard().await;
    let moments: Vec<_> = heard
        .iter()
        .map(|(_, text, at)| (&**text, &at[11..19]))
        .collect();
    assert_eq!(
        moments,
        [
            ("STOP", "09:15:03"),
            ("Thanks", "09:15:15"),
            ("STOP", "09:15:15"),
            ("Who is this?", "09:15:15"),
            ("STOP", "09:15:20"),
            ("STOP", "10:15:00"),
            ("START", "10:15:00"),
        ]
    );
    // What somebody wrote stands in the chat, too, and nothing comes twice.
    stage.step_clock("300d").await;
    assert_eq!(stage.heard().await, heard);
    stage.close().await;
}

#[tokio::test]
async fn an_event_told_twice_has_one_name() {
    let stage = Stage::lab().await;
    stage.greet(&lab(15), "k1").await;
    stage.step_clock("1h").await;
    let heard = stage.heard().await;
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].0, heard[1].0);
    assert_ne!(heard[0].2, heard[1].2);
    stage.close().await;
}

#[tokio::test]
async fn every_message_gets_its_own_reply_and_a_reset_calls_off_what_is_to_come() {
    let stage = Stage::lab().await;
    let chat = stage.greet(&lab(10), "k1").await["chat"]["id"].clone();
    let path = format!("/chats/{}/messages", chat.as_str().unwrap());
    let body = json!({ "message": { "parts": [{ "type": "text", "value": "Still on?" }] } });
    assert_eq!(stage.post(&path, &body).await.status, 200);
    stage.step_clock("1m").await;
    let heard = stage.heard().await;
    assert_eq!(heard.len(), 2);
    assert_ne!(heard[0].0, heard[1].0);
    let history = stage.get(&path).await.json();
    let directions = history["messages"].as_array().unwrap().iter();
    let inbound = directions
        .filter(|row| row["direction"] == "inbound")
        .count();
    assert_eq!(inbound, 2);
    stage.greet(&lab(10), "k2").await;
    stage.sandbox.reset();
    stage.step_clock("1m").await;
    assert_eq!(stage.heard().await, []);
    stage.close().await;
}

#[tokio::test]
async fn requests_for_the_labs_numbers_fare_as_the_table_says() {
    let stage = Stage::lab().await;
    for (number, codes) in [
        (20, vec![Some(4001), Some(0)]),
        (21, vec![Some(4001); 6]),
        (22, vec![Some(4001); 6]),
        (23, vec![Some(4002), Some(0)]),
        (25, vec![Some(1007), Some(0)]),
        (26, vec![Some(3001), Some(0)]),
        (27, vec![Some(3001), Some(3001), Some(3001), Some(0)]),
        (28, vec![Some(3001); 6]),
        (29, vec![Some(3001), Some(0)]),
        (30, vec![None, Some(0)]),
        (31, vec![None, Some(0)]),
        (32, vec![Some(3001), Some(0)]),
        (33, vec![None, Some(0)]),
        (34, vec![None, Some(0)]),
        (35, vec![None, Some(0)]),
        (39, vec![None; 6]),
    ] {
        let to = lab(number);
        assert_eq!(
            stage.tries(&to, &format!("k{number}"), 6).await,
            codes,
            "{to}"
        );
        let received = stage.received(&to).len();
        let refused = [21, 22, 28].contains(&number);
        assert_eq!(received, usize::from(!refused), "{to}");
    }
    assert_eq!(stage.totals().repeated_keys, 0);
    stage.close().await;
}

#[tokio::test]
async fn a_busy_number_says_how_long_and_takes_the_message_after_its_hours() {
    let stage = Stage::lab().await;
    let refused = stage.post("/chats", &hello(&lab(24), "k1")).await;
    assert_eq!((refused.status, refused.code()), (503, 4002));
    assert_eq!(refused.header("retry-after"), Some("14400"));
    stage.step_clock("3h").await;
    let refused = stage.post("/chats", &hello(&lab(24), "k1")).await;
    assert_eq!(refused.header("retry-after"), Some("3600"));
    stage.step_clock("1h").await;
    stage.greet(&lab(24), "k1").await;
    stage.close().await;
}

#[tokio::test]
async fn a_slow_answer_comes_late_and_its_client_may_leave_meanwhile() {
    let stage = Stage::lab().await;
    let request = stage.bearer(Method::POST, "/chats");
    let request = request.body(hello(&lab(36), "k1").to_string());
    let pending = tokio::spawn(request.send());
    stage.until_waiting(1).await;
    assert_eq!(stage.received(&lab(36)).len(), 1);
    pending.abort();
    // A reset lets go of whatever lies.
    stage.sandbox.reset();
    stage.until_waiting(0).await;
    stage.close().await;
}

#[tokio::test]
async fn plain_numbers_are_people_like_any_other() {
    let stage = Stage::with(SandboxConfig {
        numbers: Numbers::Plain,
        ..config()
    })
    .await;
    for number in [3, 11, 21, 30] {
        stage.greet(&lab(number), &format!("k{number}")).await;
    }
    stage.step(SignedDuration::from_hours(5));
    assert_eq!(stage.heard().await, []);
    let statuses = stage.sandbox.journal(&Filter::default()).messages;
    assert!(statuses.iter().all(|message| message.status == "read"));
    stage.close().await;
}

/// Everything that a sandbox tells of a fixed series of calls.
async fn record(seed: u64) -> Value {
    let stage = Stage::with(SandboxConfig {
        seed,
        receipts: ReceiptStyle::Human,
        ..config()
    })
    .await;
    stage.stop_clock().await;
    let plan = json!({ "seed": seed, "rules": [{ "kind": "error", "share": 0.3, "attempts": 1 }] });
    stage
        .sandbox
        .set_faults(FaultPlan::parse(plan.to_string().as_bytes()).unwrap());
    let mut answers = Vec::new();
    for nth in 0..40 {
        let to = match nth {
            0..30 => format!("+120255501{:02}", 50 + nth),
            _ => lab(u8::try_from(10 + nth % 10 % 8).unwrap()),
        };
        let body = hello(&to, &format!("so1-{nth}"));
        for _ in 0..2 {
            let answer = stage.post("/chats", &body).await;
            answers.push(json!([
                answer.status,
                answer.header("x-trace-id"),
                answer.json()
            ]));
        }
        stage.step_clock("30s").await;
    }
    let keyless = json!({ "from": LINE, "to": [DANA], "message": { "parts": [{ "type": "text", "value": "Hi" }] } });
    answers.push(stage.post("/chats", &keyless).await.json());
    stage.step_clock("2h").await;
    let journal = serde_json::to_value(stage.sandbox.journal(&Filter::default())).unwrap();
    let events = stage.get("/events?limit=200").await.json();
    stage.close().await;
    json!({ "answers": answers, "journal": journal, "events": events })
}

#[tokio::test]
async fn the_same_seed_makes_the_same_record_and_another_one_another() {
    let first = record(7).await;
    assert_eq!(first, record(7).await);
    let other = record(8).await;
    // Where chance decides, another seed decides otherwise.
    let codes = |record: &Value| {
        let answers = record["answers"].as_array().unwrap().clone();
        let codes: Vec<_> = answers.iter().map(|answer| answer[0].clone()).collect();
        codes
    };
    let receipts = |record: &Value| {
        let messages = record["journal"]["messages"].as_array().unwrap().clone();
        let statuses: Vec<_> = messages.iter().map(|one| one["status"].clone()).collect();
        statuses
    };
    let replies = |record: &Value| {
        let events = record["events"]["events"].as_array().unwrap().clone();
        let drawn = |event: &&Value| {
            event["payload"]["data"]["message"]["parts"][0]["value"] == "Sounds good"
        };
        let moments: Vec<_> = events
            .iter()
            .filter(drawn)
            .map(|e| e["created_at"].clone())
            .collect();
        assert!(!moments.is_empty());
        moments
    };
    assert_ne!(codes(&first), codes(&other));
    assert_ne!(receipts(&first), receipts(&other));
    assert_ne!(replies(&first), replies(&other));
}

#[test]
fn the_docs_show_the_table_of_the_labs_numbers() {
    let page = std::fs::read_to_string("docs/sandbox.md").unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| `+1775555"))
        .map(str::to_owned)
        .collect();
    let table: Vec<_> = lab_numbers()
        .into_iter()
        .map(|one| format!("| `{}` | {} |", one.number, one.outcome))
        .collect();
    assert_eq!(rows, table);
}
