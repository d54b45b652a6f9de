//! Faults do what they are called, and the record says what happened.

use serde_json::json;

use super::*;

/// Sends and expects no answer.
async fn lost(stage: &Stage, body: &Value) {
    let request = stage
        .bearer(Method::POST, "/chats")
        .body(body.to_string())
        .send()
        .await;
    let error = match request {
        Ok(response) => response.text().await.expect_err("no whole answer comes"),
        Err(error) => error,
    };
    assert!(!error.is_timeout() && !error.is_builder(), "{error:?}");
}

#[tokio::test]
async fn a_dropped_answer_is_a_closed_connection_and_a_received_message() {
    let stage = Stage::new().await;
    for kind in ["drop", "half_answer"] {
        stage.faults(&json!([{ "kind": kind, "attempts": 1 }]));
        let body = hello(DANA, kind);
        lost(&stage, &body).await;
        assert!(stage.received(DANA).contains(&Some(kind.to_owned())));
        let before = stage.totals().messages;
        let again = stage.post("/chats", &body).await;
        assert_eq!(again.status, 200);
        assert_eq!(again.header("x-idempotent-replay"), Some("true"));
        assert_eq!(stage.totals().messages, before);
    }
    let requests = stage.sandbox.journal(&Filter::default()).requests;
    let first = &requests[0];
    assert_eq!((first.fault, first.status), (Some("drop"), None));
    assert!(first.message_id.is_some());
    assert_eq!((requests[1].fault, requests[1].status), (None, Some(200)));
    assert_eq!(requests[1].message_id, first.message_id);
    stage.close().await;
}

#[tokio::test]
async fn a_dropped_request_reaches_nobody() {
    let stage = Stage::new().await;
    stage.faults(&json!([{ "kind": "drop_before", "attempts": 1 }]));
    lost(&stage, &hello(DANA, "k1")).await;
    assert!(stage.received(DANA).is_empty());
    stage.greet(DANA, "k1").await;
    stage.close().await;
}

#[tokio::test]
async fn refusals_on_demand_say_what_the_rule_says() {
    let stage = Stage::new().await;
    for (rule, status, code, retryable, wait) in [
        (
            json!({ "kind": "throttle", "wait": 3 }),
            429,
            1007,
            true,
            Some("3"),
        ),
        (
            json!({ "kind": "line_busy", "wait": 7200 }),
            503,
            4002,
            true,
            Some("7200"),
        ),
        (
            json!({ "kind": "error", "code": 4001 }),
            502,
            4001,
            true,
            None,
        ),
        (
            json!({ "kind": "error", "code": 4001, "retryable": false }),
            502,
            4001,
            false,
            None,
        ),
        (
            json!({ "kind": "error", "code": 3003, "status": 507 }),
            507,
            3003,
            false,
            None,
        ),
        (
            json!({ "kind": "error", "code": 2005 }),
            403,
            2005,
            false,
            None,
        ),
    ] {
        stage.faults(&json!([rule]));
        let answer = stage.post("/chats", &hello(DANA, "k1")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{rule}");
        assert_eq!(answer.json()["error"]["retryable"], retryable, "{rule}");
        assert_eq!(answer.header("retry-after"), wait, "{rule}");
    }
    assert!(stage.received(DANA).is_empty());
    stage.close().await;
}

#[tokio::test]
async fn an_error_after_acceptance_does_not_lead_to_a_second_message() {
    let stage = Stage::new().await;
    for (kind, status) in [("error_after_accept", 500), ("non_json_after_accept", 502)] {
        stage.faults(&json!([{ "kind": kind, "attempts": 1 }]));
        let body = hello(DANA, kind);
        assert_eq!(stage.post("/chats", &body).await.status, status);
        assert_eq!(stage.post("/chats", &body).await.status, 200);
    }
    assert_eq!(stage.totals().messages, 2);
    assert_eq!(stage.totals().repeated_keys, 0);
    stage.close().await;
}

#[tokio::test]
async fn a_page_of_html_comes_instead_of_json() {
    let stage = Stage::new().await;
    stage.faults(&json!([{ "kind": "non_json" }]));
    let answer = stage.post("/chats", &hello(DANA, "k1")).await;
    assert_eq!(answer.status, 502);
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(answer.text.starts_with("<!doctype html>"));
    assert!(stage.received(DANA).is_empty());
    stage.close().await;
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_take_its_message_back() {
    let stage = Stage::new().await;
    stage.faults(&json!([{ "kind": "slow", "delay_ms": 600_000, "attempts": 1 }]));
    let body = hello(DANA, "k1");
    let gone = stage.post("/chats", &body);
    tokio::select! {
        _ = gone => panic!("it lies for ten minutes"),
        () = stage.until_waiting(1) => {}
    }
    assert!(stage.received(DANA).is_empty());
    stage.faults(&json!([]));
    stage.until_waiting(0).await;
    let again = stage.post("/chats", &body).await;
    assert_eq!(again.header("x-idempotent-replay"), Some("true"));
    assert_eq!(stage.received(DANA).len(), 1);
    stage.close().await;
}

#[tokio::test]
async fn a_late_answer_leaves_the_message_received_at_once() {
    let stage = Stage::new().await;
    stage.faults(&json!([{ "kind": "slow_after_accept", "delay_ms": 600_000, "times": 1 }]));
    let body = hello(DANA, "k1");
    let late = stage.post("/chats", &body);
    let look = async {
        stage.until_waiting(1).await;
        let received = stage.received(DANA).len();
        stage.faults(&json!([]));
        received
    };
    let (late, received) = tokio::join!(late, look);
    assert_eq!((late.status, received), (200, 1));
    stage.close().await;
}

#[tokio::test]
async fn a_rule_for_one_person_or_route_leaves_the_others_alone() {
    let stage = Stage::new().await;
    stage.faults(&json!([
        { "kind": "error", "match": { "to": SAM } },
        { "kind": "error", "code": 3002, "match": { "route": "phone_numbers" } },
    ]));
    let chat = stage.greet(DANA, "k1").await["chat"].clone();
    assert_eq!(stage.post("/chats", &hello(SAM, "k2")).await.code(), 3001);
    assert_eq!(stage.get("/phone-numbers").await.code(), 3002);
    stage.faults(&json!([{ "kind": "error", "match": { "to": DANA, "route": "messages" } }]));
    let path = format!("/chats/{}/messages", chat["id"].as_str().unwrap());
    assert_eq!(stage.post(&path, &json!({})).await.code(), 3001);
    assert_eq!(stage.get(&path).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn the_same_plan_strikes_the_same_keys_whatever_the_order() {
    let rules = json!([{ "kind": "error", "share": 0.5 }]);
    let mut fates = Vec::new();
    for backwards in [false, true] {
        let stage = Stage::new().await;
        stage.faults(&rules);
        let mut keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
        if backwards {
            keys.reverse();
        }
        let posts = keys.iter().map(|key| async {
            let answer = stage.post("/chats", &hello(DANA, key)).await;
            (key.clone(), answer.status)
        });
        let mut fate = futures_util::future::join_all(posts).await;
        fate.sort();
        fates.push(fate);
        stage.close().await;
    }
    assert_eq!(fates[0], fates[1]);
    let struck = fates[0].iter().filter(|(_, status)| *status == 500).count();
    assert!((8..=32).contains(&struck), "{struck}");
}

#[tokio::test]
async fn a_stop_ends_what_lies_and_what_is_open() {
    let stage = Stage::new().await;
    stage.faults(&json!([{ "kind": "slow", "delay_ms": 600_000 }]));
    let body = hello(DANA, "k1");
    let lying = stage.post("/chats", &body);
    let stop = async {
        stage.until_waiting(1).await;
        stage.shutdown.cancel();
    };
    // A connection on which only half a request ever comes must not hold the server up.
    let mut half = stage.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut half, b"POST /api/v1/chats HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let (answer, ()) = tokio::join!(lying, stop);
    assert_eq!(answer.code(), 3002);
    let ended = tokio::time::timeout(PATIENCE, stage.server).await;
    ended.expect("it stops").unwrap();
    drop(half);
}

#[test]
fn the_plan_in_the_manual_is_one_that_is_taken() {
    let manual = include_str!("../../../docs/sandbox.md");
    let (_, faults) = manual.split_once("\n## Faults\n").unwrap();
    let (_, rest) = faults.split_once("```json\n").unwrap();
    let (plan, _) = rest.split_once("```").unwrap();
    assert_eq!(FaultPlan::parse(plan.as_bytes()).unwrap().rules.len(), 3);
}
