//! Assertions about the record: each passes where it is so, fails where it is not, and says what
//! it found without a whole number.

use std::process::{Command, Stdio};

use super::*;
use sendoff::sandbox::Assertion;

impl Stage {
    async fn assert(&self, question: &str) -> (u16, Value) {
        let url = format!("{}/assert/{question}", self.sandbox.control_url());
        let answer = answer(self.client.get(url)).await;
        (answer.status, answer.json())
    }

    /// That it is so, and what was found.
    async fn holds(&self, question: &str) -> String {
        let (status, verdict) = self.assert(question).await;
        assert_eq!(
            (status, &verdict["pass"], &verdict["against"]),
            (200, &json!(true), &json!([])),
            "{question}: {verdict}"
        );
        verdict["found"].as_str().unwrap().to_owned()
    }

    /// That it is not so, and what is against it.
    async fn fails(&self, question: &str) -> Vec<String> {
        let (status, verdict) = self.assert(question).await;
        assert_eq!(
            (status, &verdict["pass"]),
            (417, &json!(false)),
            "{question}: {verdict}"
        );
        assert!(!verdict.to_string().contains("5550143"), "{verdict}");
        let against = verdict["against"].as_array().unwrap().iter();
        against
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    }

    async fn say(&self, to: &str, key: &str, text: &str) {
        let body = json!({
            "from": LINE,
            "to": [to],
            "message": { "parts": [{ "type": "text", "value": text }], "idempotency_key": key },
        });
        let sent = self.post("/chats", &body).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
    }
}

#[tokio::test]
async fn who_received_how_many_is_asserted_of_one_person_or_of_everybody() {
    let stage = Stage::new().await;
    stage.say(DANA, "k1", "One").await;
    stage.say(DANA, "k2", "Two").await;
    stage.say(SAM, "k3", "One").await;
    let dana = "+12025550143";
    stage.holds(&format!("received?to={dana}&count=2")).await;
    stage.holds("received?at_least=1&at_most=2&people=2").await;
    stage.holds("received?to=+12025550199&count=0").await;
    let against = stage.fails("received?count=1").await;
    assert_eq!(against, ["+1202•••0143 received 2 messages"]);
    let against = stage.fails("received?people=3").await;
    assert_eq!(against, ["2 received any"]);
    let against = stage.fails("received?to=+12025550199&at_least=1").await;
    assert_eq!(against, ["+1202•••0199 received 0 messages"]);
    stage.close().await;
}

#[tokio::test]
async fn a_duplicate_is_found_by_its_content_and_by_its_key() {
    let stage = Stage::new().await;
    stage.say(DANA, "k1", "One").await;
    // Repeated under its key it is no second message.
    stage.say(DANA, "k1", "One").await;
    stage.say(SAM, "k2", "One").await;
    stage.holds("duplicates").await;
    stage.say(DANA, "k3", "One").await;
    let against = stage.fails("duplicates").await;
    assert_eq!(against, ["+1202•••0143 received the same content 2 times"]);
    stage.holds("duplicates?by=key").await;
    // Once its retention is over, a key makes a second message.
    stage.step(SignedDuration::from_hours(25));
    stage.say(DANA, "k3", "Three").await;
    let against = stage.fails("duplicates?by=key").await;
    assert_eq!(against, ["+1202•••0143 received 2 messages of key k3"]);
    stage.close().await;
}

#[tokio::test]
async fn the_order_of_texts_is_asserted_within_each_person() {
    let stage = Stage::new().await;
    stage.say(DANA, "k1", "Hi Dana").await;
    stage.say(SAM, "k2", "Hi Sam").await;
    stage.say(DANA, "k3", "Still there, Dana?").await;
    let found = stage.holds("order?text=Hi&text=Still").await;
    assert_eq!(found, "people: 2, messages with one of the texts: 3");
    stage
        .holds("order?text=Hi&text=Still&to=+12025550144")
        .await;
    let against = stage.fails("order?text=Still&text=Hi").await;
    assert_eq!(against.len(), 3, "{against:?}");
    assert_eq!(against[0], "+1202•••0143: text 2 came before text 1");
    stage.say(DANA, "k4", "Hi again").await;
    let against = stage.fails("order?text=Hi&text=Still").await;
    assert_eq!(against, ["+1202•••0143: text 1 came after text 2"]);
    let against = stage
        .fails("order?text=Hi&text=Still&to=+12025550199")
        .await;
    assert_eq!(against, ["+1202•••0199 received none of the texts"]);
    stage.close().await;
}

#[tokio::test]
async fn the_greatest_rate_is_found_in_any_window_by_line_and_by_either_clock() {
    let other = "+12025550189";
    let stage = Stage::with(SandboxConfig {
        lines: vec![
            Phone::from_e164(LINE).unwrap(),
            Phone::from_e164(other).unwrap(),
        ],
        ..config()
    })
    .await;
    for (nth, pause_ms) in [900, 50, 50, 800, 300, 0].into_iter().enumerate() {
        let mut body = hello(&format!("+120255501{:02}", 50 + nth), &format!("k{nth}"));
        if nth % 3 == 0 {
            body["from"] = json!(other);
        }
        assert_eq!(stage.post("/chats", &body).await.status, 200);
        stage.step(SignedDuration::from_millis(pause_ms));
    }
    // Sent at 0, 900, 950, 1000, 1800 and 2100 ms.
    stage.holds("rate?most=4&window=1s").await;
    let against = stage.fails("rate?most=3&window=1s").await;
    assert_eq!(against, ["4 from 2026-06-10T09:15:00.900Z"]);
    stage.holds("rate?most=3&window=500ms").await;
    stage.fails("rate?most=2&window=101ms").await;
    stage.holds("rate?most=2&window=100ms").await;
    stage.holds("rate?most=4&window=1d&line=each").await;
    let against = stage.fails("rate?most=3&window=1d&line=each").await;
    assert_eq!(
        against,
        ["line +1202•••0188: 4 from 2026-06-10T09:15:00.900Z"]
    );
    stage
        .holds(&format!("rate?most=2&window=1d&line={other}"))
        .await;
    stage
        .fails(&format!("rate?most=1&window=1d&line={other}"))
        .await;
    // A day of the provider's that took the machine no time.
    stage.step_clock("1d").await;
    stage.greet(DANA, "k9").await;
    stage.holds("rate?most=6&window=1d&clock=provider").await;
    stage.fails("rate?most=6&window=1d").await;
    // A repeated answer is a post, not a message.
    stage.greet(DANA, "k9").await;
    stage.holds("rate?most=7&window=1d").await;
    let against = stage.fails("rate?most=7&window=1d&of=posts").await;
    assert_eq!(against, ["8 from 2026-06-10T09:15:00.000Z"]);
    stage.close().await;
}

#[tokio::test]
async fn whoever_is_written_to_after_a_stop_is_found() {
    let stage = Stage::new().await;
    let stopper = "+17755550114";
    stage.say(stopper, "k1", "One").await;
    stage.say(DANA, "k2", "One").await;
    stage.step_clock("20s").await;
    stage.holds("stopped").await;
    stage.say(stopper, "k3", "Two").await;
    stage.say(DANA, "k4", "Two").await;
    stage.holds("stopped?within=10s").await;
    let against = stage.fails("stopped?within=1s").await;
    assert_eq!(
        against,
        ["+1775•••0114 received a message at 2026-06-10T09:15:20.000Z"]
    );
    stage.close().await;
}

#[tokio::test]
async fn a_start_allows_again_what_a_stop_forbade() {
    let stage = Stage::new().await;
    stage.greet(DANA, "k1").await;
    for (text, key) in [("STOP", "k2"), ("START", "k3")] {
        let url = format!("{}/inbound", stage.sandbox.control_url());
        let body = json!({ "from": DANA, "text": text }).to_string();
        assert_eq!(answer(stage.client.post(url).body(body)).await.status, 200);
        stage.step_clock("1m").await;
        let verdict = stage
            .sandbox
            .assert(&Assertion::parse("stopped", "").unwrap());
        assert!(verdict.pass, "{verdict:?}");
        if text == "START" {
            stage.greet(DANA, key).await;
        }
    }
    stage.holds("stopped").await;
    stage.close().await;
}

#[tokio::test]
async fn a_question_with_a_mistake_is_refused_and_is_neither_pass_nor_fail() {
    let stage = Stage::new().await;
    for question in [
        "recieved?count=1",
        "rate?most=1",
        "received?count=1&to=Dana",
    ] {
        let (status, answer) = stage.assert(question).await;
        assert_eq!(status, 400, "{question}");
        assert!(answer["error"].is_string());
    }
    stage.close().await;
}

/// The commands of the docs, run by a shell as they stand there, but for the port.
#[tokio::test]
async fn the_example_of_the_docs_runs_as_it_stands() {
    let stage = Stage::new().await;
    stage.greet(DANA, "k1").await;
    stage.greet(SAM, "k2").await;
    let page = std::fs::read_to_string("docs/sandbox.md").unwrap();
    let (_, section) = page.split_once("## Assertions").unwrap();
    let (_, script) = section.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();
    assert!(script.contains("/_sandbox/assert/"), "{script}");
    let address = stage.sandbox.control_url();
    let address = address
        .strip_prefix("http://")
        .unwrap()
        .strip_suffix("/_sandbox")
        .unwrap();
    let script = format!("set -e\n{}", script.replace("127.0.0.1:4010", address));
    let run = async |script: &str| {
        // Ends by itself, whatever the commands do.
        let mut shell = Command::new("timeout");
        shell.args(["30", "sh", "-c", script]).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || shell.output()).await;
        done.unwrap().expect("there is a shell")
    };
    let passed = run(&script).await;
    assert!(passed.status.success(), "{passed:?}");
    // With a duplicate the very same commands fail.
    stage.greet(DANA, "k3").await;
    let failed = run(&script).await;
    assert_eq!(failed.status.code(), Some(22), "{failed:?}");
    stage.close().await;
}
