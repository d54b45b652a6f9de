//! Sending, and what becomes of a message (huechat §7, §8, §12).

use sendoff::sandbox::HueWindow;

use super::*;

#[tokio::test]
async fn a_text_is_answered_as_sent_and_is_delivered_and_read_as_time_goes_on() {
    let hue = Hue::with(HueConfig {
        read_percent: 100,
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Your table is ready.").await;
    assert_eq!(
        sent,
        json!({
            "id": sent["id"], "conversation_id": sent["conversation_id"], "contact_id": id,
            "channel": "whatsapp", "message_type": "text", "content": "Your table is ready.",
            "status": "sent", "sent_by": "user", "sent_at": "2026-06-10T09:15:00.000Z",
            "delivered_at": null, "read_at": null, "error": null,
        })
    );
    assert!(id_of(&sent).starts_with("msg_"));
    let path = format!(
        "/conversation/{}/messages",
        sent["conversation_id"].as_str().unwrap()
    );
    for (after, status, delivered, read) in [
        (199, "sent", Value::Null, Value::Null),
        (
            1,
            "delivered",
            json!("2026-06-10T09:15:00.200Z"),
            Value::Null,
        ),
        (
            300,
            "read",
            json!("2026-06-10T09:15:00.200Z"),
            json!("2026-06-10T09:15:00.500Z"),
        ),
    ] {
        hue.step_ms(after);
        let row = hue.read(&path).await["data"][0].clone();
        assert_eq!(row["status"], status);
        assert_eq!((&row["delivered_at"], &row["read_at"]), (&delivered, &read));
    }
    let contact = hue.read(&format!("/contact/{id}")).await;
    assert_eq!(contact["last_contacted"], "2026-06-10T09:15:00.000Z");
    let record = &hue.sent()[0];
    assert_eq!(record.account, hue.sandbox.hue_account(KEY));
    assert_eq!(
        (record.phone.as_deref(), record.status),
        (Some(PAT), "read")
    );
    hue.close().await;
}

#[tokio::test]
async fn two_equal_requests_send_two_messages_whatever_key_they_carry() {
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}/message");
    let send = || {
        hue.keyed(Method::POST, &path)
            .header("Idempotency-Key", "k1")
            .body(whatsapp("Hello").to_string())
    };
    let (first, second) = (answer(send()).await.json(), answer(send()).await.json());
    assert_ne!(first["id"], second["id"]);
    assert_eq!(first["conversation_id"], second["conversation_id"]);
    assert_eq!(hue.sent().len(), 2);
    assert_eq!(hue.totals().repeated_keys, 1, "the record tells of it");
    hue.close().await;
}

#[tokio::test]
async fn a_key_is_honoured_where_the_sandbox_is_told_to() {
    let hue = Hue::with(HueConfig {
        honour_keys: true,
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}/message");
    let send = |text: &str| {
        hue.keyed(Method::POST, &path)
            .header("Idempotency-Key", "k1")
            .body(whatsapp(text).to_string())
    };
    let (first, second) = (
        answer(send("Hello")).await.json(),
        answer(send("Hello")).await.json(),
    );
    assert_eq!(first["id"], second["id"]);
    answer(send("Other"))
        .await
        .refused((409, "conflict"), "another text");
    assert_eq!(hue.sent().len(), 1);
    hue.close().await;
}

#[tokio::test]
async fn a_template_is_filled_in_and_needs_no_window() {
    let hue = Hue::with(HueConfig {
        plan: HuePlan::Unlimited,
        ..HueConfig::default()
    })
    .await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}/message");
    let template = |name: &str, parameters: Value| json!({ "channel": "whatsapp", "message_type": "template", "template_name": name, "template_parameters": parameters });
    let sent = hue
        .made(&path, &template("welcome", json!({ "1": "Pat" })))
        .await;
    assert_eq!(sent["content"], "Welcome, Pat. Write to us at any time.");
    for (body, name) in [
        (template("nope", json!({})), "template_not_found"),
        (
            template("pending_promo", json!({ "1": "Pat" })),
            "template_not_approved",
        ),
        (
            template("welcome", json!({})),
            "template_parameters_mismatch",
        ),
        (
            template("welcome", json!({ "1": "Pat", "2": "x" })),
            "template_parameters_mismatch",
        ),
        (
            template("welcome", json!({ "1": "" })),
            "template_parameters_mismatch",
        ),
    ] {
        hue.refused(&path, &body, (422, name)).await;
    }
    hue.step_ms(200);
    let record = &hue.sent()[0];
    assert_eq!(
        (record.status, record.template.as_deref()),
        ("delivered", Some("welcome"))
    );
    assert_eq!(record.parameters["1"], "Pat");
    assert_eq!(hue.sent().len(), 1);
    hue.close().await;
}

#[tokio::test]
async fn outside_the_window_a_text_fails_later_or_at_once_as_the_sandbox_is_told() {
    for (window, refused) in [(HueWindow::Async, false), (HueWindow::Sync, true)] {
        let hue = Hue::with(HueConfig {
            window,
            ..unlimited()
        })
        .await;
        let id = hue.contact(PAT).await;
        let path = format!("/contact/{id}/message");
        if refused {
            let expected = (422, "outside_messaging_window");
            hue.refused(&path, &whatsapp("Hello"), expected).await;
        } else {
            assert_eq!(hue.write(&id, "Hello").await["status"], "sent");
            hue.step_ms(200);
            let record = &hue.sent()[0];
            assert_eq!(
                record.error.as_deref(),
                Some("131047: Re-engagement message")
            );
            assert_eq!(record.status, "failed");
        }
        let before = hue.sent().len();
        hue.hear(PAT, "Hi");
        hue.step(SignedDuration::from_millis(24 * 3_600_000 - 1));
        hue.write(&id, "Hello").await;
        hue.step_ms(200);
        assert_ne!(hue.sent()[before].status, "failed", "the window was open");
        let after = hue.post(&path, &whatsapp("Hello")).await;
        assert_eq!(after.status == 422, refused, "24 hours later it is not");
        let sms = json!({ "channel": "sms", "message_type": "text", "content": "Hello" });
        hue.made(&path, &sms).await;
        hue.close().await;
    }
}

#[tokio::test]
async fn a_message_that_its_channel_cannot_carry_is_refused() {
    let hue = Hue::with(HueConfig {
        channels: vec![Channel::Whatsapp, Channel::Sms, Channel::Instagram],
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}/message");
    let message = |channel: &str, kind: &str| {
        json!({ "channel": channel, "message_type": kind, "content": "x",
            "media_url": "https://bistro.example/menu.png" })
    };
    let long = |channel: &str, length: usize| json!({ "channel": channel, "message_type": "text", "content": "ü".repeat(length) });
    for body in [
        json!({}),
        json!({ "channel": "whatsapp" }),
        json!({ "channel": "fax", "message_type": "text", "content": "x" }),
        json!({ "channel": "sms", "message_type": "poem", "content": "x" }),
        json!({ "channel": "sms", "message_type": "text" }),
        json!({ "channel": "sms", "message_type": "text", "content": "" }),
        json!({ "channel": "whatsapp", "message_type": "image" }),
        json!({ "channel": "whatsapp", "message_type": "image", "media_url": "http://x.example/a" }),
        json!({ "channel": "whatsapp", "message_type": "template" }),
        json!({ "channel": "whatsapp", "message_type": "template", "template_name": "No" }),
        long("whatsapp", 4_097),
        long("sms", 1_601),
    ] {
        hue.refused(&path, &body, (400, "invalid_input")).await;
    }
    for (body, name) in [
        (message("email", "text"), "channel_not_connected"),
        (message("sms", "image"), "unprocessable"),
        (
            json!({ "channel": "sms", "message_type": "template", "template_name": "welcome" }),
            "unprocessable",
        ),
        (message("instagram", "document"), "unprocessable"),
        (message("instagram", "text"), "recipient_not_reachable"),
    ] {
        hue.refused(&path, &body, (422, name)).await;
    }
    for body in [
        long("whatsapp", 4_096),
        long("sms", 1_600),
        message("whatsapp", "document"),
    ] {
        hue.made(&path, &body).await;
    }
    hue.put(&format!("/contact/{id}"), &json!({ "status": "inactive" }))
        .await;
    hue.refused(&path, &whatsapp("Hello"), (422, "recipient_not_reachable"))
        .await;
    hue.close().await;
}

#[tokio::test]
async fn a_months_messages_can_be_used_up() {
    let hue = Hue::with(HueConfig {
        monthly_messages: Some(1),
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    hue.write(&id, "Hello").await;
    let path = format!("/contact/{id}/message");
    hue.refused(&path, &whatsapp("Again"), (403, "quota_exceeded"))
        .await;
    hue.sandbox.step_clock(SignedDuration::from_hours(24 * 21));
    hue.write(&id, "Next month").await;
    hue.close().await;
}

/// What a message to `+1202555010N` comes to: the first answer's status, the second's, how many
/// were sent, and the status of the first of them a second later.
async fn outcome(hue: &Hue, nn: &str) -> (Option<u16>, u16, usize, Option<&'static str>) {
    let phone = format!("+120255501{nn}");
    let id = hue.contact(&phone).await;
    let path = format!("/contact/{id}/message");
    let request = || {
        hue.keyed(Method::POST, &path)
            .body(whatsapp("Hello").to_string())
    };
    let first = request().timeout(PATIENCE).send().await;
    let first = first.ok().map(|response| response.status().as_u16());
    let second = answer(request()).await.status;
    hue.step_ms(1_000);
    let sent = hue.sent();
    let ours: Vec<_> = sent
        .iter()
        .filter(|one| one.phone.as_deref() == Some(&phone))
        .collect();
    (
        first,
        second,
        ours.len(),
        ours.first().map(|one| one.status),
    )
}

#[tokio::test]
async fn the_numbers_of_fiction_come_to_what_the_table_says() {
    let hue = Hue::with(HueConfig {
        window: HueWindow::Async,
        ..unlimited()
    })
    .await;
    for (nn, first, second, count, status) in [
        ("01", Some(201), 201, 2, Some("read")),
        ("06", Some(500), 201, 1, Some("failed")),
        ("07", Some(500), 201, 2, Some("failed")),
        ("08", None, 201, 2, Some("failed")),
        ("09", Some(503), 201, 1, Some("failed")),
        ("10", Some(429), 201, 1, Some("failed")),
        ("11", Some(422), 422, 0, None),
        ("15", Some(502), 201, 1, Some("failed")),
    ] {
        assert_eq!(
            outcome(&hue, nn).await,
            (first, second, count, status),
            "{nn}"
        );
    }
    hue.close().await;
    let hue = Hue::new().await;
    for (nn, status) in [
        ("02", "delivered"),
        ("03", "sent"),
        ("04", "failed"),
        ("05", "failed"),
    ] {
        assert_eq!(
            outcome(&hue, nn).await,
            (Some(201), 201, 2, Some(status)),
            "{nn}"
        );
    }
    let errors: Vec<_> = hue.sent().into_iter().filter_map(|one| one.error).collect();
    assert_eq!(errors[0], "131026: Message undeliverable");
    assert_eq!(errors[2], "131049: Held back for engagement");
    hue.close().await;
}

#[tokio::test]
async fn two_of_the_numbers_reply_once_their_message_is_delivered() {
    let hue = Hue::new().await;
    for (phone, said) in [("+12025550112", "Thanks"), ("+12025550113", "STOP")] {
        let id = hue.contact(phone).await;
        let sent = hue.write(&id, "Hello").await;
        hue.step_ms(1_000);
        let path = format!(
            "/conversation/{}/messages",
            sent["conversation_id"].as_str().unwrap()
        );
        let row = hue.read(&path).await["data"][0].clone();
        assert_eq!(
            (&row["content"], &row["sent_by"]),
            (&json!(said), &json!("contact"))
        );
    }
    let heard: Vec<_> = hue
        .sandbox
        .hue_heard()
        .into_iter()
        .map(|one| one.content)
        .collect();
    assert_eq!(heard, ["Thanks", "STOP"]);
    hue.close().await;
}

#[tokio::test]
async fn a_fault_plan_strikes_huechat_as_it_does_chert() {
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let path = format!("/contact/{id}/message");
    let plan = json!([
        { "kind": "error", "status": 503, "retry_after": 7, "times": 1 },
        { "kind": "throttle", "wait": 5, "times": 1 },
        { "kind": "non_json", "times": 1 },
        { "kind": "error_after_accept", "status": 500, "times": 1 },
        { "kind": "error", "status": 422, "error": "unprocessable", "match": { "route": "hue_new_contact" } },
    ]);
    hue.faults(&plan);
    let refused = hue.post(&path, &whatsapp("Hello")).await;
    refused.refused((503, "service_unavailable"), "error");
    assert_eq!(refused.header("retry-after"), Some("7"));
    let refused = hue.post(&path, &whatsapp("Hello")).await;
    assert_eq!(
        refused.refused((429, "rate_limited"), "throttle")["retry_after"],
        5
    );
    let page = hue.post(&path, &whatsapp("Hello")).await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (502, Some("text/html; charset=utf-8"))
    );
    assert!(hue.sent().is_empty());
    let refused = hue.post(&path, &whatsapp("Hello")).await;
    refused.refused((500, "internal_error"), "after");
    assert_eq!(hue.sent().len(), 1);
    let sam = json!({ "phone": "+447700900124", "first_name": "Sam" });
    hue.refused("/contact", &sam, (422, "unprocessable")).await;
    hue.faults(&json!([{ "kind": "drop", "match": { "to": PAT } }]));
    let lost = hue
        .keyed(Method::POST, &path)
        .body(whatsapp("Hello").to_string());
    assert!(lost.timeout(PATIENCE).send().await.is_err());
    assert_eq!(hue.sent().len(), 2);
    let posts = hue.totals();
    assert_eq!(
        (posts.message_posts, posts.messages, posts.most_per_person),
        (5, 2, 2)
    );
    hue.close().await;
}

#[tokio::test]
async fn one_of_the_numbers_takes_the_message_at_once_and_answers_late() {
    let hue = Hue::new().await;
    let id = hue.contact("+12025550114").await;
    let path = format!("/contact/{id}/message");
    let request = hue
        .keyed(Method::POST, &path)
        .body(whatsapp("Hello").to_string());
    let asked = tokio::spawn(answer(request));
    hue.until_waiting(1).await;
    assert_eq!(hue.sent().len(), 1);
    // Lets go of whatever lies under a delay.
    hue.sandbox.reset();
    assert_eq!(asked.await.unwrap().status, 201);
    hue.close().await;
}

#[test]
fn the_manual_lists_the_numbers_in_the_same_words() {
    let manual = include_str!("../../../../docs/sandbox-huechat.md");
    for number in sendoff::sandbox::hue_numbers() {
        let row = format!("| {} | {} |", number.ends_in, number.outcome);
        assert!(manual.lines().any(|line| line == row), "{row}");
    }
}
