//! The event stream as a client reads it: raw bytes over loopback (chert §14).

use reqwest::Response;
use sendoff::sandbox::StreamTiming;

use super::*;

/// Longer than any test, where the end is not the matter.
const FOR_EVER: Duration = Duration::from_hours(1);

/// A stream as far as it was read.
struct Reading {
    response: Response,
    text: String,
}

impl Reading {
    async fn of(stage: &Stage, query: &str) -> Self {
        let request = stage.bearer(Method::GET, &format!("/events/stream{query}"));
        let opened = tokio::time::timeout(PATIENCE, request.send()).await;
        let response = opened.expect("it opens").unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(response.headers().contains_key("x-trace-id"));
        Self {
            response,
            text: String::new(),
        }
    }

    /// Reads until the text has so many of `mark`.
    async fn until(&mut self, mark: &str, count: usize) -> &str {
        while self.text.matches(mark).count() < count {
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let chunk = chunk.expect("something comes").unwrap();
            let chunk = chunk.expect("the stream goes on");
            self.text += std::str::from_utf8(&chunk).unwrap();
        }
        &self.text
    }

    /// Reads to the end; whether that was in order.
    async fn rest(&mut self) -> bool {
        loop {
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            match chunk.expect("it ends") {
                Err(_) => return false,
                Ok(None) => return true,
                Ok(Some(chunk)) => self.text += std::str::from_utf8(&chunk).unwrap(),
            }
        }
    }

    fn rows(&self) -> Vec<Value> {
        let data = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "{}")
            .map(|data| serde_json::from_str(data).expect("a row on one line"))
            .collect()
    }

    fn texts(&self) -> Vec<String> {
        let text = |row: &Value| row["payload"]["data"]["message"]["parts"][0]["value"].clone();
        let rows = self.rows();
        rows.iter()
            .map(|row| text(row).as_str().unwrap().to_owned())
            .collect()
    }
}

async fn stage(heartbeat: Duration, life: Duration) -> Stage {
    Stage::with(SandboxConfig {
        stream: StreamTiming { heartbeat, life },
        ..config()
    })
    .await
}

#[tokio::test]
async fn what_comes_is_told_at_once_as_the_log_has_it() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    stage.hear(DANA, "before");
    let mut reading = Reading::of(&stage, "").await;
    let event_id = stage.hear(DANA, "STOP");
    stage.hear(SAM, "two\nlines");
    reading.until("\n\n", 2).await;
    assert_eq!(reading.texts(), ["STOP", "two\nlines"]);
    let row = reading.rows().remove(0);
    assert_eq!(row["event_id"], event_id);
    let id = row["id"].as_str().unwrap();
    assert_eq!(stage.get(&format!("/events/{id}")).await.json(), row);
    let head = format!("id: {id}\nevent: message.received\ndata: {{");
    assert!(reading.text.starts_with(&head), "{}", reading.text);
    stage.close().await;
}

#[tokio::test]
async fn from_a_moment_on_what_was_comes_first() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    for n in 0..3 {
        stage.hear(DANA, &format!("answer {n}"));
        stage.step(SignedDuration::from_secs(1));
    }
    let mut reading = Reading::of(&stage, "?since=2026-06-10T09:15:00Z").await;
    reading.until("\n\n", 2).await;
    stage.hear(SAM, "now");
    reading.until("\n\n", 3).await;
    assert_eq!(reading.texts(), ["answer 1", "answer 2", "now"]);
    stage.close().await;
}

#[tokio::test]
async fn more_than_is_written_at_once_comes_whole_and_in_order() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    let expected: Vec<String> = (0..150).map(|n| format!("answer {n}")).collect();
    for text in &expected {
        stage.hear(DANA, text);
    }
    let mut reading = Reading::of(&stage, "?since=2020-01-01T00:00:00Z").await;
    reading.until("\n\n", 150).await;
    assert_eq!(reading.texts(), expected);
    stage.close().await;
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_is_alive_and_closes_when_its_time_is_over() {
    let published = StreamTiming::default();
    assert_eq!(published.heartbeat, Duration::from_secs(15));
    assert_eq!(published.life, Duration::from_mins(1));
    let stage = stage(Duration::from_millis(30), Duration::from_millis(400)).await;
    let mut reading = Reading::of(&stage, "").await;
    assert!(reading.rest().await, "it ends in order");
    let (alive, close) = reading
        .text
        .split_once("event: close\n")
        .expect("it closes");
    assert!(
        alive.starts_with(": ")
            && alive
                .lines()
                .all(|line| line.is_empty() || line.starts_with(':'))
    );
    assert_eq!(close, "data: {}\n\n");
    stage.close().await;
}

#[tokio::test]
async fn a_reset_leaves_the_stream_open() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    stage.hear(DANA, "before");
    let mut reading = Reading::of(&stage, "").await;
    stage.sandbox.reset();
    stage.hear(DANA, "after");
    reading.until("\n\n", 1).await;
    assert_eq!(reading.texts(), ["after"]);
    stage.close().await;
}

#[tokio::test]
async fn an_open_stream_ends_with_the_sandbox() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    let mut reading = Reading::of(&stage, "").await;
    stage.shutdown.cancel();
    assert!(reading.rest().await, "it ends in order");
    assert_eq!(reading.text, "event: close\ndata: {}\n\n");
    stage.close().await;
}

#[tokio::test]
async fn who_may_not_read_the_log_may_not_follow_it() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    let stranger = answer(stage.bare(Method::GET, "/events/stream")).await;
    assert_eq!((stranger.status, stranger.code()), (401, 2012));
    let mistaken = stage.get("/events/stream?since=x").await;
    assert_eq!((mistaken.status, mistaken.code()), (400, 1002));
    stage.close().await;
}

#[tokio::test]
async fn a_fault_breaks_the_stream_off_in_the_middle_of_an_event() {
    let stage = stage(FOR_EVER, FOR_EVER).await;
    stage.faults(
        &json!([{ "kind": "half_answer", "times": 1, "match": { "route": "event_stream" } }]),
    );
    let mut reading = Reading::of(&stage, "").await;
    stage.hear(DANA, "STOP");
    assert!(!reading.rest().await, "the connection breaks");
    assert!(reading.text.starts_with("id: evt_") && !reading.text.contains("\n\n"));
    let mut again = Reading::of(&stage, "?since=2026-06-10T09:14:59Z").await;
    again.until("\n\n", 1).await;
    assert_eq!(again.texts(), ["STOP"]);
    stage.close().await;
}
