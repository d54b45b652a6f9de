//! Webhooks as a receiver on loopback sees them: who is told, how it is signed, and when it is
//! tried again (chert §13). The signature is computed here by hand, as everywhere in these tests.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect};
use serde_json::json;
use tokio::sync::mpsc;

use super::*;

/// What a receiver does with a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Manner {
    Answers(u16),
    /// Says: look elsewhere.
    Redirects,
    NeverAnswers,
}

/// A call, as it came.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Told {
    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.expect("the header is there").to_str().unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn event_id(&self) -> &str {
        self.header("x-webhook-event-id")
    }
}

/// Somebody who subscribed.
pub(super) struct Receiver {
    pub(super) url: String,
    calls: mpsc::UnboundedReceiver<Told>,
    server: JoinHandle<()>,
}

impl Receiver {
    /// Does with the first calls as it is told, with all others as with the last.
    pub(super) async fn new(manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (tell, calls) = mpsc::unbounded_channel();
        let manners = Arc::new(Mutex::new(VecDeque::from(manners.to_vec())));
        let handle = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let manner = {
                let mut manners = manners.lock().unwrap();
                let first = *manners.front().unwrap();
                if manners.len() > 1 {
                    manners.pop_front();
                }
                first
            };
            let told = Told {
                path: uri.path().to_owned(),
                headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
            };
            drop(tell.send(told));
            async move {
                match manner {
                    Manner::Answers(status) => axum::http::StatusCode::from_u16(status)
                        .unwrap()
                        .into_response(),
                    Manner::Redirects => Redirect::temporary("/elsewhere").into_response(),
                    Manner::NeverAnswers => std::future::pending().await,
                }
            }
        };
        let app = Router::new().fallback(handle);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, calls, server }
    }

    pub(super) async fn next(&mut self) -> Told {
        let call = tokio::time::timeout(PATIENCE, self.calls.recv()).await;
        call.expect("a call comes").expect("the receiver is there")
    }

    /// How many calls came that nobody has looked at.
    pub(super) fn left(&mut self) -> usize {
        let mut left = 0;
        while self.calls.try_recv().is_ok() {
            left += 1;
        }
        left
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stage {
    pub(super) async fn subscribe(&self, body: &Value) -> Value {
        let answer = self.post("/webhook-subscriptions", body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["subscription"].clone()
    }

    /// The newest event, once it is as wanted.
    pub(super) async fn event_when(&self, there: impl Fn(&Value) -> bool) -> Value {
        let look = async {
            loop {
                let row = self.get("/events?limit=1").await.json()["events"][0].clone();
                if there(&row) {
                    return row;
                }
            }
        };
        let row = tokio::time::timeout(PATIENCE, look).await;
        row.expect("it comes to that")
    }

    pub(super) async fn event_is(&self, status: &str) -> Value {
        self.event_when(|row| row["delivery"]["status"] == status)
            .await
    }

    /// Waits until the newest event was tried so often.
    async fn tried(&self, times: usize) -> Value {
        let attempts = |row: &Value| row["delivery"]["attempts"].as_array().map(Vec::len);
        self.event_when(|row| attempts(row) == Some(times)).await
    }
}

fn column(row: &Value, name: &str) -> Vec<Value> {
    let attempts = row["delivery"]["attempts"].as_array().unwrap();
    attempts.iter().map(|one| one[name].clone()).collect()
}

#[tokio::test]
async fn a_call_carries_the_envelope_of_the_log_signed_with_the_secret_of_its_subscription() {
    let stage = Stage::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(200)]).await;
    let sub = stage.subscribe(&json!({ "url": receiver.url })).await;
    let event_id = stage.hear(DANA, "On my way");
    let told = receiver.next().await;
    let row = stage.event_is("delivered").await;
    assert_eq!(told.json(), row["payload"]);
    assert_eq!(told.header("x-webhook-event"), "message.received");
    assert_eq!(told.event_id(), event_id);
    assert_eq!(told.header("x-webhook-subscription-id"), sub["id"]);
    assert_eq!(told.header("content-type"), "application/json");
    let secret = sub["secret"].as_str().unwrap();
    let second = told.header("x-webhook-timestamp").to_owned();
    assert_eq!(second, stage.now_s().to_string());
    let mac = hmac(
        secret.as_bytes(),
        format!("{second}.{}", told.body).as_bytes(),
    );
    assert_eq!(
        told.header("x-webhook-signature"),
        format!("t={second},v1={mac}")
    );
    assert_eq!(
        told.header("x-chert-signature"),
        format!("v1,{second},{mac}")
    );
    assert_ne!(
        told.header("x-chert-signature"),
        signature(stage.secret(), stage.now_s(), &told.body),
        "the secret of the API is not the key"
    );
    let delivery = &row["delivery"];
    assert_eq!(delivery["url"], receiver.url);
    assert_eq!(delivery["delivered_at"], "2026-06-10T09:15:00.000Z");
    assert_eq!(column(&row, "status"), [json!(200)]);
    assert_eq!(column(&row, "subscription_id"), [sub["id"].clone()]);
    stage.close().await;
}

#[tokio::test]
async fn a_receiver_in_trouble_is_tried_again_when_the_providers_clock_gets_there() {
    let stage = Stage::new().await;
    let manners = [
        Manner::Answers(500),
        Manner::Answers(503),
        Manner::Answers(204),
    ];
    let mut receiver = Receiver::new(&manners).await;
    stage.subscribe(&json!({ "url": receiver.url })).await;
    stage.hear(DANA, "hello");
    let first = receiver.next().await;
    stage.tried(1).await;
    // One millisecond before the second try: it would be seen in the times below.
    stage.sandbox.step_clock(SignedDuration::from_millis(999));
    stage.sandbox.step_clock(SignedDuration::from_millis(1));
    let second = receiver.next().await;
    let row = stage.tried(2).await;
    assert_eq!(row["delivery"]["status"], "pending");
    stage.sandbox.step_clock(SignedDuration::from_millis(1_999));
    stage.sandbox.step_clock(SignedDuration::from_millis(1));
    let third = receiver.next().await;
    let row = stage.event_is("delivered").await;
    assert_eq!(
        column(&row, "at"),
        [
            "2026-06-10T09:15:00.000Z",
            "2026-06-10T09:15:01.000Z",
            "2026-06-10T09:15:03.000Z"
        ]
    );
    assert_eq!(column(&row, "status"), [500, 503, 204]);
    assert_eq!(row["delivery"]["delivered_at"], "2026-06-10T09:15:03.000Z");
    for again in [&second, &third] {
        assert_eq!(again.event_id(), first.event_id());
        assert_eq!(again.body, first.body, "the same bytes");
    }
    stage.close().await;
}

#[tokio::test]
async fn three_tries_are_all_that_a_receiver_gets() {
    let stage = Stage::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(500)]).await;
    stage.subscribe(&json!({ "url": receiver.url })).await;
    stage.hear(DANA, "hello");
    for times in 1..=3 {
        receiver.next().await;
        stage.tried(times).await;
        stage.sandbox.step_clock(SignedDuration::from_hours(1));
    }
    let row = stage.event_is("failed").await;
    assert_eq!(column(&row, "status"), [500, 500, 500]);
    assert_eq!(row["delivery"]["delivered_at"], Value::Null);
    // A later event passes all that could still be on its way of the first.
    stage.hear(DANA, "and?");
    receiver.next().await;
    assert_eq!(receiver.left(), 0);
    stage.close().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_or_points_elsewhere_is_called_once() {
    for (manner, status) in [
        (Manner::Answers(400), 400),
        (Manner::Answers(429), 429),
        (Manner::Redirects, 307),
    ] {
        let stage = Stage::new().await;
        let mut receiver = Receiver::new(&[manner, Manner::Answers(200)]).await;
        stage.subscribe(&json!({ "url": receiver.url })).await;
        stage.hear(DANA, "hello");
        assert_eq!(receiver.next().await.path, "/hook");
        let row = stage.event_is("failed").await;
        assert_eq!(column(&row, "status"), [json!(status)]);
        stage.sandbox.step_clock(SignedDuration::from_hours(1));
        let next = stage.hear(DANA, "and?");
        let told = receiver.next().await;
        assert_eq!((told.event_id(), told.path.as_str()), (&*next, "/hook"));
        stage.close().await;
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_or_silent_is_tried_three_times_and_the_log_says_why() {
    for (silent, why) in [
        (true, "the receiver did not answer in time"),
        (false, "the receiver cannot be reached"),
    ] {
        let stage = Stage::with(SandboxConfig {
            webhook_timeout: Duration::from_millis(200),
            ..config()
        })
        .await;
        let receiver = Receiver::new(&[Manner::NeverAnswers]).await;
        let url = receiver.url.clone();
        let kept = silent.then_some(receiver);
        stage.subscribe(&json!({ "url": url })).await;
        stage.hear(DANA, "hello");
        for times in 1..=3 {
            stage.tried(times).await;
            stage.sandbox.step_clock(SignedDuration::from_secs(2));
        }
        let row = stage.event_is("failed").await;
        assert_eq!(column(&row, "error"), [why, why, why]);
        assert_eq!(column(&row, "status"), vec![Value::Null; 3]);
        drop(kept);
        stage.close().await;
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_neither_the_others_nor_the_api_nor_the_end() {
    let stage = Stage::with(SandboxConfig {
        webhook_timeout: PATIENCE * 10,
        ..config()
    })
    .await;
    let hanging = Receiver::new(&[Manner::NeverAnswers]).await;
    let mut well = Receiver::new(&[Manner::Answers(200)]).await;
    stage.subscribe(&json!({ "url": hanging.url })).await;
    stage.subscribe(&json!({ "url": well.url })).await;
    for n in 0..100 {
        stage.hear(DANA, &format!("answer {n}"));
    }
    for _ in 0..100 {
        well.next().await;
    }
    stage.greet(DANA, "k0").await;
    let status = stage.get("/events?limit=1").await.json()["events"][0]["delivery"].clone();
    assert_eq!(status["status"], "pending", "one of the two hangs");
    stage.close().await;
}

#[tokio::test]
async fn what_is_meant_for_another_machine_stays_in_the_log() {
    let stage = Stage::new().await;
    stage
        .subscribe(&json!({ "url": "https://hooks.bistro.example/chert" }))
        .await;
    stage.hear(DANA, "hello");
    let row = stage.event_is("failed").await;
    let why = "not sent: this sandbox delivers to its own machine alone";
    assert_eq!(column(&row, "error"), [why]);
    stage.close().await;
}

#[tokio::test]
async fn each_subscription_is_told_of_what_it_asked_for_by_its_exact_name() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k0").await;
    let message = sent["message"]["id"].as_str().unwrap();
    let mut all = Receiver::new(&[Manner::Answers(200)]).await;
    let mut some = Receiver::new(&[Manner::Answers(200)]).await;
    let mut old = Receiver::new(&[Manner::Answers(200)]).await;
    stage
        .subscribe(&json!({ "url": all.url, "events": [] }))
        .await;
    stage
        .subscribe(&json!({ "url": some.url, "events": ["reaction.added"] }))
        .await;
    stage
        .subscribe(&json!({ "url": old.url, "events": ["lead_reply", "reaction"] }))
        .await;
    stage.hear(DANA, "On my way");
    let path = "/reactions";
    let body = json!({ "from": DANA, "message_id": message, "reaction": "love" });
    let reacted = answer(stage.control(Method::POST, path).body(body.to_string())).await;
    assert_eq!(reacted.status, 200, "{}", reacted.text);
    let kind = async |receiver: &mut Receiver| {
        let told = receiver.next().await;
        told.header("x-webhook-event").to_owned()
    };
    // No order is promised, so none is looked for.
    let mut kinds = [
        kind(&mut all).await,
        kind(&mut all).await,
        kind(&mut all).await,
    ];
    kinds.sort();
    assert_eq!(kinds, ["lead_reply", "message.received", "reaction.added"]);
    assert_eq!(kind(&mut some).await, "reaction.added");
    let told = old.next().await.json();
    assert_eq!(told["event"], "lead_reply");
    assert_eq!((&told["from"], &told["to"]), (&json!(DANA), &json!(LINE)));
    assert_eq!(told["text"], "On my way");
    assert_eq!(told["message_guid"], told["data"]["message"]["id"]);
    stage.event_is("delivered").await;
    assert_eq!((all.left(), some.left(), old.left()), (0, 0, 0));
    stage.close().await;
}

#[tokio::test]
async fn a_subscription_that_is_off_or_deleted_is_told_of_nothing_more() {
    let stage = Stage::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(500)]).await;
    let sub = stage.subscribe(&json!({ "url": receiver.url })).await;
    let path = format!("/webhook-subscriptions/{}", sub["id"].as_str().unwrap());
    stage.hear(DANA, "one");
    receiver.next().await;
    stage.tried(1).await;
    let off = answer(
        stage
            .bearer(Method::PATCH, &path)
            .body(r#"{"is_active":false}"#),
    )
    .await;
    assert_eq!(off.json()["subscription"]["is_active"], false);
    stage.event_is("failed").await;
    stage.sandbox.step_clock(SignedDuration::from_hours(1));
    stage.hear(DANA, "two");
    assert_eq!(
        stage.event_is("pending").await["delivery"]["url"],
        Value::Null
    );
    let on = answer(
        stage
            .bearer(Method::PATCH, &path)
            .body(r#"{"is_active":true}"#),
    )
    .await;
    assert_eq!(on.status, 200);
    let third = stage.hear(DANA, "three");
    assert_eq!(receiver.next().await.event_id(), third);
    stage.tried(1).await;
    let gone = answer(stage.bearer(Method::DELETE, &path)).await;
    assert_eq!(gone.json(), json!({ "id": sub["id"], "deleted": true }));
    stage.event_is("failed").await;
    assert_eq!(stage.get(&path).await.code(), 2011);
    assert_eq!(receiver.left(), 0);
    stage.close().await;
}
