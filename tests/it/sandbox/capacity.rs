//! Line capacity: who is turned away, for how long, and who is not counted.

use jiff::tz::TimeZone;
use sendoff::sandbox::{Capacity, Profile};

use super::*;

const OTHER_LINE: &str = "+12025550189";

fn capacity(per_day: u32, gap: SignedDuration) -> Capacity {
    Capacity {
        per_day,
        gap,
        zone: TimeZone::UTC,
    }
}

async fn stage(capacity: Capacity) -> Stage {
    Stage::with(SandboxConfig {
        lines: [LINE, OTHER_LINE]
            .map(|line| Phone::from_e164(line).unwrap())
            .into(),
        capacity: Some(capacity),
        ..config()
    })
    .await
}

fn from(line: &str, to: &str, key: &str) -> Value {
    let mut body = hello(to, key);
    body["from"] = line.into();
    body
}

fn person(n: usize) -> String {
    format!("+1202555{:04}", 100 + n)
}

/// Asserts 4002 with exactly this wait, in both places.
fn busy_for(answer: &Answer, seconds: u64) {
    assert_eq!(
        (answer.status, answer.code()),
        (503, 4002),
        "{}",
        answer.text
    );
    let json = answer.json();
    let json = json.get("error").filter(|e| e.is_object()).unwrap_or(&json);
    assert_eq!(json["retry_after"], seconds);
    assert_eq!(json["retryable"], true);
    assert_eq!(answer.header("retry-after"), Some(&*seconds.to_string()));
}

#[tokio::test]
async fn a_line_touches_somebody_new_every_ten_minutes_and_says_the_exact_wait() {
    let stage = stage(Capacity::default()).await;
    stage.greet(DANA, "k1").await;
    busy_for(&stage.post("/chats", &hello(SAM, "k2")).await, 600);
    stage.step_clock("9m59s").await;
    busy_for(&stage.post("/chats", &hello(SAM, "k2")).await, 1);
    stage.step_clock("1s").await;
    stage.greet(SAM, "k2").await;
    stage.close().await;
}

#[tokio::test]
async fn a_spent_day_lasts_until_midnight() {
    let stage = stage(capacity(2, SignedDuration::ZERO)).await;
    stage.greet(DANA, "k1").await;
    stage.greet(SAM, "k2").await;
    // From 09:15 to midnight.
    let hours = (14 * 60 + 45) * 60;
    busy_for(&stage.post("/chats", &hello(&person(1), "k3")).await, hours);
    stage.step_clock("14h45m").await;
    stage.greet(&person(1), "k3").await;
    stage.close().await;
}

#[tokio::test]
async fn the_thirty_of_a_day_and_no_more() {
    let stage = stage(Capacity::default()).await;
    stage.step_clock("14h45m").await;
    for n in 0..30 {
        stage.greet(&person(n), &n.to_string()).await;
        stage.step_clock("10m").await;
    }
    let left = 24 * 3_600 - 30 * 600;
    busy_for(&stage.post("/chats", &hello(&person(30), "k")).await, left);
    stage.close().await;
}

#[tokio::test]
async fn follow_ups_replays_and_refusals_are_not_counted() {
    let stage = stage(Capacity::default()).await;
    let sent = stage.greet(DANA, "k1").await;
    let chat = sent["chat"]["id"].as_str().unwrap();
    let more = json!({ "message": { "parts": [{ "type": "text", "value": "And?" }] } });
    let path = format!("/chats/{chat}/messages");
    assert_eq!(stage.post(&path, &more).await.status, 200);
    assert_eq!(stage.greet(DANA, "k1").await, sent);
    stage.greet(DANA, "k2").await;
    stage.step_clock("10m").await;
    let bad = stage.post("/chats", &hello("12", "k3")).await;
    assert_eq!(bad.code(), 1003);
    stage.greet(SAM, "k3").await;
    stage.close().await;
}

#[tokio::test]
async fn cards_pins_and_whoever_joins_a_group_are_counted_like_messages() {
    let stage = stage(Capacity::default()).await;
    let robin = person(45);
    let mut group = hello(DANA, "k1");
    group["to"] = json!([DANA, SAM]);
    let first = stage.done("/chats", &group).await;
    let path = format!("/chats/{}", chat_of(&first));
    let follow = json!({ "message": { "parts": [{ "type": "text", "value": "Hi" }] } });
    let follow = async || stage.post(&format!("{path}/messages"), &follow).await;
    assert_eq!(follow().await.status, 200);
    let members = format!("{path}/participants");
    stage.done(&members, &json!({ "address": robin })).await;
    busy_for(&follow().await, 600);
    let gone = format!("{members}/{}", robin.replace('+', "%2B"));
    let gone = answer(stage.bearer(Method::DELETE, &gone)).await;
    assert_eq!(gone.status, 200, "{}", gone.text);
    assert_eq!(follow().await.status, 200);
    assert_eq!(stage.done("/chats", &group).await, first, "as it began");
    let card = json!({ "to": robin, "contact": { "full_name": "Texas Prime Plumbing" } });
    let pin = json!({ "phone": person(46), "latitude": 1, "longitude": 2 });
    // Both lines have room once; the group took that of the first.
    stage.done("/chats/send-contact", &card).await;
    busy_for(&stage.post("/locations", &pin).await, 600);
    stage.step_clock("10m").await;
    assert_eq!(stage.post("/locations", &pin).await.status, 202);
    stage.close().await;
}

#[tokio::test]
async fn a_refusal_gives_the_key_back() {
    let stage = stage(Capacity::default()).await;
    stage.greet(DANA, "k1").await;
    busy_for(&stage.post("/chats", &hello(SAM, "k2")).await, 600);
    stage.step_clock("10m").await;
    assert_eq!(stage.greet(SAM, "k2").await["chat"]["is_group"], false);
    assert_eq!(stage.received(SAM).len(), 1);
    stage.close().await;
}

#[tokio::test]
async fn a_send_that_names_a_line_waits_for_it_and_one_that_names_none_only_for_all() {
    let stage = stage(Capacity::default()).await;
    stage.greet(DANA, "k1").await;
    busy_for(&stage.post("/chats", &from(LINE, SAM, "k2")).await, 600);
    let lead = |n: usize| json!({ "phone": person(n), "body": "Hello" });
    stage.step_clock("1m").await;
    assert_eq!(stage.post("/send", &lead(1)).await.status, 200);
    assert_eq!(stage.totals().lines[OTHER_LINE], 1);
    // The first line is free again in nine minutes, the other in ten.
    busy_for(&stage.post("/send", &lead(2)).await, 540);
    busy_for(
        &stage.post("/chats", &from(OTHER_LINE, SAM, "k2")).await,
        600,
    );
    // Who is known to a line is written to, saturated or not.
    assert_eq!(stage.post("/send", &lead(1)).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn the_wait_is_told_in_the_clients_seconds() {
    let stage = stage(Capacity::default()).await;
    stage.greet(DANA, "k1").await;
    let turn = sendoff::sandbox::Turn::parse(br#"{"rate":60}"#).unwrap();
    stage.sandbox.turn_clock(&turn).unwrap();
    busy_for(&stage.post("/chats", &hello(SAM, "k2")).await, 10);
    stage.step(SignedDuration::from_secs(10));
    stage.greet(SAM, "k2").await;
    stage.close().await;
}

#[tokio::test]
async fn one_tenant_does_not_use_up_the_lines_of_another() {
    let tenants = ["one-0001", "two-0002"].map(|slug| Tenant::new(slug, slug.repeat(4)));
    let stage = Stage::with(SandboxConfig {
        tenants: tenants.to_vec(),
        capacity: Some(Capacity::default()),
        ..config()
    })
    .await;
    for tenant in &tenants {
        let request = stage
            .bare(Method::POST, "/chats")
            .bearer_auth(tenant.secret.expose_secret())
            .body(hello(DANA, "k1").to_string());
        assert_eq!(answer(request).await.status, 200);
    }
    stage.close().await;
}

#[tokio::test]
async fn the_realistic_profile_has_the_contracts_numbers_and_receipts_of_its_own() {
    let realistic = SandboxConfig::of(Profile::Realistic);
    let limits = realistic.capacity.clone().unwrap();
    assert_eq!((limits.per_day, limits.gap.as_mins()), (30, 10));
    let stage = Stage::with(SandboxConfig {
        seed: 7,
        rate: None,
        lines: vec![Phone::from_e164(LINE).unwrap()],
        ..realistic
    })
    .await;
    for n in 0..25 {
        stage.greet(&person(n), &n.to_string()).await;
        stage.step_clock("10m").await;
    }
    stage.step_clock("2d").await;
    let messages = stage.sandbox.journal(&Filter::default()).messages;
    let count = |status| messages.iter().filter(|m| m.status == status).count();
    assert_eq!(count("read") + count("delivered") + count("sent"), 25);
    assert!(count("read") > 10, "{} read", count("read"));
    assert!(count("delivered") > 0, "some are never read");
    stage.close().await;
}
