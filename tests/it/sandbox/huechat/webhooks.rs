//! Webhooks as a receiver on loopback sees them (huechat §10). The signature is computed by hand.

use super::super::webhooks::{Manner, Receiver};
use super::*;

impl Hue {
    /// A webhook for these events; answers it with its secret.
    async fn subscribe(&self, url: &str, events: &[&str]) -> Value {
        self.made("/webhooks", &json!({ "url": url, "events": events }))
            .await
    }

    fn step_clock_ms(&self, length: i64) {
        self.sandbox.step_clock(SignedDuration::from_millis(length));
    }

    /// Waits until so many tries have been noted.
    async fn tried(&self, count: usize) {
        let look = async {
            while self.sandbox.hue_deliveries().len() < count {
                tokio::task::yield_now().await;
            }
        };
        let there = tokio::time::timeout(PATIENCE, look).await;
        there.expect("it comes to that");
    }
}

#[tokio::test]
async fn a_subscriber_is_told_of_a_message_in_a_signed_envelope() {
    let hue = Hue::with(HueConfig {
        read_percent: 100,
        ..unlimited()
    })
    .await;
    let mut receiver = Receiver::new(&[Manner::Answers(204)]).await;
    let events = [
        "message.sent",
        "message.delivered",
        "message.read",
        "message.received",
    ];
    let hook = hue.subscribe(&receiver.url, &events).await;
    let secret = hook["signing_secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"));
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Your table is ready.").await;
    let told = receiver.next().await;
    let event = told.json();
    assert_eq!(
        told.header("x-huechat-signature"),
        format!("sha256={}", hmac(secret.as_bytes(), told.body.as_bytes()))
    );
    assert_eq!(
        event,
        json!({
            "id": event["id"], "type": "message.sent", "timestamp": "2026-06-10T09:15:00.000Z",
            "retry_count": 0, "data": sent, "organization_id": hue.sandbox.hue_account(KEY),
        })
    );
    assert!(id_of(&event).starts_with("evt_"));
    hue.step_clock_ms(500);
    let mut later = [receiver.next().await.json(), receiver.next().await.json()];
    later.sort_by_key(|event| event["type"].to_string());
    assert_eq!(later[0]["type"], "message.delivered");
    assert_eq!(later[0]["data"]["delivered_at"], "2026-06-10T09:15:00.200Z");
    assert_eq!(later[1]["data"]["status"], "read");
    hue.hear(PAT, "Thanks");
    let heard = receiver.next().await.json();
    assert_eq!(
        (&heard["type"], &heard["data"]["content"]),
        (&json!("message.received"), &json!("Thanks"))
    );
    hue.close().await;
}

#[tokio::test]
async fn contacts_and_conversations_are_told_of_by_their_own_events() {
    let hue = Hue::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(200)]).await;
    let events = [
        "contact.created",
        "contact.updated",
        "contact.deleted",
        "conversation.created",
        "conversation.updated",
        "conversation.assigned",
        "conversation.resolved",
    ];
    hue.subscribe(&receiver.url, &events).await;
    let id = hue.contact(PAT).await;
    assert_eq!(receiver.next().await.json()["type"], "contact.created");
    let conversation = hue.write(&id, "Hello").await["conversation_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let made = receiver.next().await.json();
    assert_eq!(
        (&made["type"], &made["data"]["id"]),
        (&json!("conversation.created"), &json!(conversation))
    );
    let path = format!("/conversation/{conversation}");
    hue.put(&path, &json!({ "priority": "high" })).await;
    assert_eq!(receiver.next().await.json()["data"]["priority"], "high");
    hue.post(&format!("{path}/assign"), &json!({ "user_id": "usr_ops2" }))
        .await;
    assert_eq!(
        receiver.next().await.json()["data"]["assigned_to"],
        json!({ "id": "usr_ops2" })
    );
    hue.post(&format!("{path}/resolve"), &json!({})).await;
    assert_eq!(
        receiver.next().await.json()["type"],
        "conversation.resolved"
    );
    hue.put(&format!("/contact/{id}"), &json!({ "last_name": null }))
        .await;
    assert_eq!(receiver.next().await.json()["type"], "contact.updated");
    hue.ask(Method::DELETE, &format!("/contact/{id}"), None)
        .await;
    assert_eq!(receiver.next().await.json()["data"]["status"], "deleted");
    assert_eq!(receiver.left(), 0);
    hue.close().await;
}

#[tokio::test]
async fn a_receiver_in_trouble_is_tried_five_times_more_at_growing_waits_with_the_same_event() {
    let hue = Hue::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(503)]).await;
    hue.subscribe(&receiver.url, &["contact.created"]).await;
    hue.contact(PAT).await;
    let first = receiver.next().await.json();
    for (nth, wait) in [60, 120, 240, 480, 960].into_iter().enumerate() {
        hue.tried(nth + 1).await;
        hue.step_clock_ms(wait * 1_000 - 1);
        hue.step_clock_ms(1);
        let told = receiver.next().await.json();
        assert_eq!(told["retry_count"], nth + 1);
        assert_eq!((&told["id"], &told["data"]), (&first["id"], &first["data"]));
    }
    hue.tried(6).await;
    hue.step_clock_ms(10_000_000);
    assert_eq!(receiver.left(), 0, "then the event is dropped");
    let tries = hue.sandbox.hue_deliveries();
    let at: Vec<Timestamp> = tries.iter().map(|one| one.at.parse().unwrap()).collect();
    let waits: Vec<i64> = at
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).get_seconds())
        .collect();
    assert_eq!(waits, [60, 120, 240, 480, 960]);
    let hooks = hue.read("/webhooks").await;
    assert_eq!(hooks["data"][0]["active"], true, "the webhook stays active");
    hue.close().await;
}

#[tokio::test]
async fn a_linear_webhook_is_tried_again_every_minute_until_it_answers() {
    let hue = Hue::new().await;
    let manners = [
        Manner::Redirects,
        Manner::Answers(404),
        Manner::Answers(201),
    ];
    let mut receiver = Receiver::new(&manners).await;
    let body =
        json!({ "url": receiver.url, "events": ["contact.created"], "retry_policy": "linear" });
    hue.made("/webhooks", &body).await;
    hue.contact(PAT).await;
    receiver.next().await;
    for nth in 1..3 {
        hue.tried(nth).await;
        hue.step_clock_ms(60_000);
        assert_eq!(receiver.next().await.json()["retry_count"], nth);
    }
    hue.tried(3).await;
    let statuses: Vec<_> = hue
        .sandbox
        .hue_deliveries()
        .iter()
        .map(|one| one.status)
        .collect();
    assert_eq!(statuses, [Some(307), Some(404), Some(201)]);
    hue.step_clock_ms(600_000);
    assert_eq!(receiver.left(), 0);
    hue.close().await;
}

#[tokio::test]
async fn a_webhook_can_be_read_changed_switched_off_and_deleted_and_hides_its_secret() {
    let hue = Hue::new().await;
    let mut receiver = Receiver::new(&[Manner::Answers(200)]).await;
    let made = hue
        .subscribe(&receiver.url, &["contact.created", "contact.created"])
        .await;
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("signing_secret");
    assert_eq!(shown["events"], json!(["contact.created"]));
    assert_eq!(
        (&shown["active"], &shown["retry_policy"]),
        (&json!(true), &json!("exponential"))
    );
    assert_eq!(hue.read(&path).await, shown);
    assert_eq!(hue.read("/webhooks").await["data"], json!([shown]));
    let other = answer(
        hue.bare(Method::GET, &path)
            .header("x-api-key", "sk_test_b"),
    )
    .await;
    other.refused((404, "not_found"), "another account's");

    let off = hue.put(&path, &json!({ "active": false })).await.json();
    assert_eq!((&off["active"], &off["url"]), (&json!(false), &made["url"]));
    hue.contact(PAT).await;
    let on = hue
        .ask(Method::PATCH, &path, Some(&json!({ "active": true })))
        .await;
    assert_eq!(on.json()["active"], true);
    hue.contact("+447700900124").await;
    assert_eq!(
        receiver.next().await.json()["data"]["phone"],
        "+447700900124"
    );
    let deleted = hue.ask(Method::DELETE, &path, None).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    hue.get(&path).await.refused((404, "not_found"), "gone");
    hue.contact("+447700900125").await;
    assert_eq!(hue.read("/webhooks").await["data"], json!([]));
    assert_eq!(receiver.left(), 0);
    hue.close().await;
}

#[tokio::test]
async fn a_webhook_needs_an_address_that_may_be_called_and_events_that_exist() {
    let hue = Hue::new().await;
    for (field, body) in [
        ("url", json!({ "events": ["message.sent"] })),
        (
            "url",
            json!({ "url": "nowhere", "events": ["message.sent"] }),
        ),
        (
            "url",
            json!({ "url": "http://hooks.example/x", "events": ["message.sent"] }),
        ),
        ("events", json!({ "url": "https://hooks.example/x" })),
        (
            "events",
            json!({ "url": "https://hooks.example/x", "events": [] }),
        ),
        (
            "events",
            json!({ "url": "https://hooks.example/x", "events": ["message.failed"] }),
        ),
        (
            "active",
            json!({ "url": "https://hooks.example/x", "events": ["message.sent"], "active": 1 }),
        ),
        (
            "retry_policy",
            json!({ "url": "https://hooks.example/x", "events": ["message.sent"], "retry_policy": "never" }),
        ),
    ] {
        let refused = hue
            .refused("/webhooks", &body, (400, "invalid_input"))
            .await;
        assert_eq!(refused["details"]["field"], field, "{refused}");
    }
    hue.close().await;
}

#[tokio::test]
async fn what_is_meant_for_another_machine_does_not_leave_and_is_not_tried_again() {
    let hue = Hue::new().await;
    hue.subscribe("https://hooks.example/x", &["contact.created"])
        .await;
    hue.contact(PAT).await;
    hue.tried(1).await;
    let tries = hue.sandbox.hue_deliveries();
    assert!(tries[0].error.unwrap().starts_with("not sent"), "{tries:?}");
    hue.step_clock_ms(600_000);
    hue.contact("+447700900124").await;
    hue.tried(2).await;
    assert!(
        hue.sandbox
            .hue_deliveries()
            .iter()
            .all(|one| one.retry_count == 0)
    );
    hue.close().await;
}

#[tokio::test]
async fn one_of_the_numbers_has_its_events_told_twice_and_the_later_ones_first() {
    let hue = Hue::with(HueConfig {
        read_percent: 100,
        ..unlimited()
    })
    .await;
    let mut receiver = Receiver::new(&[Manner::Answers(200)]).await;
    let events = ["message.sent", "message.delivered", "message.read"];
    hue.subscribe(&receiver.url, &events).await;
    let id = hue.contact("+12025550116").await;
    hue.write(&id, "Hello").await;
    let mut order = Vec::new();
    // Each due at a moment of its own: read, delivered, sent.
    for step in [500, 10, 290, 10, 190, 10] {
        hue.step_clock_ms(step);
        let event = receiver.next().await.json();
        order.push((event["type"].as_str().unwrap().to_owned(), id_of(&event)));
    }
    let names: Vec<&str> = order.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message.read",
            "message.read",
            "message.delivered",
            "message.delivered",
            "message.sent",
            "message.sent"
        ]
    );
    assert_eq!(order[0], order[1], "it is the same event");
    hue.close().await;
}
