//! The control surface's side of HueChat: inbound, templates, the record, reset (huechat §12).

use super::*;

#[tokio::test]
async fn a_contact_writes_through_the_control_surface_to_the_account_that_wrote_last() {
    let hue = Hue::new().await;
    let inbound =
        |body: Value| answer(hue.control(Method::POST, "/inbound").body(body.to_string()));
    let none = inbound(json!({ "from": PAT, "channel": "whatsapp", "text": "Hi" })).await;
    assert_eq!(none.status, 400, "nobody has used a key yet");
    let id = hue.contact(PAT).await;
    let other = hue
        .bare(Method::POST, "/contact")
        .header("x-api-key", "sk_test_b");
    answer(other.body(json!({ "phone": PAT, "first_name": "Pat" }).to_string())).await;
    hue.write(&id, "Hello").await;
    let heard = inbound(json!({ "from": PAT, "channel": "whatsapp", "text": "Hi" })).await;
    assert_eq!(heard.status, 200, "{}", heard.text);
    assert!(
        heard.json()["message_id"]
            .as_str()
            .unwrap()
            .starts_with("msg_")
    );
    let mail = json!({ "from": "sam@bistro.example", "channel": "email", "text": "Hi",
        "account": hue.sandbox.hue_account("sk_test_b") });
    assert_eq!(
        inbound(mail).await.status,
        200,
        "somebody new becomes a contact"
    );
    let heard = hue.sandbox.hue_heard();
    let accounts: Vec<_> = heard.iter().map(|one| one.account.clone()).collect();
    assert_eq!(
        accounts,
        [KEY, "sk_test_b"].map(|key| hue.sandbox.hue_account(key))
    );
    for wrong in [
        json!({ "from": PAT, "channel": "fax", "text": "Hi" }),
        json!({ "from": PAT, "channel": "sms", "text": "" }),
        json!({ "from": "pat", "channel": "sms", "text": "Hi" }),
        json!({ "from": "+447700900124", "channel": "instagram", "text": "Hi" }),
        json!({ "from": PAT, "channel": "sms", "text": "Hi", "account": "org_0" }),
    ] {
        assert_eq!(inbound(wrong.clone()).await.status, 400, "{wrong}");
    }
    hue.close().await;
}

#[tokio::test]
async fn templates_are_put_read_and_reset() {
    let hue = Hue::new().await;
    let names = |json: &Value, list: &str| -> Vec<String> {
        let rows = json[list].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let usual = [
        "order_confirmation",
        "appointment_reminder",
        "welcome",
        "pending_promo",
    ];
    let listed = hue.read("/channels/whatsapp/templates").await;
    assert_eq!(names(&listed, "data"), usual);
    assert_eq!(
        listed["data"][1],
        json!({ "name": "appointment_reminder", "language": "en_US", "category": "utility",
            "status": "approved", "parameter_count": 3,
            "body": "Hello {{1}}, this is about your appointment on {{2}} at {{3}}." })
    );
    let put = |body: Value| {
        answer(
            hue.control(Method::PUT, "/templates")
                .body(body.to_string()),
        )
    };
    let own =
        json!({ "templates": [{ "name": "table_ready", "status": "approved", "body": "{{1}}!" }] });
    assert_eq!(put(own).await.status, 200);
    assert_eq!(
        names(&hue.read("/channels/whatsapp/templates").await, "data"),
        ["table_ready"]
    );
    for wrong in [
        json!({ "templates": [{ "name": "No", "status": "approved", "body": "x" }] }),
        json!({ "templates": [{ "name": "a", "status": "maybe", "body": "x" }] }),
        json!({ "templates": [{ "name": "a", "status": "approved", "body": "" }] }),
        json!([]),
    ] {
        assert_eq!(put(wrong.clone()).await.status, 400, "{wrong}");
    }
    assert_eq!(
        names(&hue.look("/templates").await, "templates"),
        ["table_ready"]
    );
    answer(hue.control(Method::POST, "/reset")).await;
    assert_eq!(
        names(&hue.read("/channels/whatsapp/templates").await, "data"),
        usual
    );
    let channels = hue.read("/channels").await;
    assert_eq!(
        channels["data"][0],
        json!({ "type": "whatsapp", "status": "connected" })
    );
    assert_eq!(channels["data"].as_array().unwrap().len(), 4);
    hue.close().await;
}

/// One message by Chert, three by HueChat and one answer, then a request too many; answers the
/// contact and the first message.
async fn busy() -> (Hue, String, Value) {
    let hue = Hue::with(HueConfig {
        plan: HuePlan::Own {
            per_minute: 4,
            per_day: 9,
        },
        ..unlimited()
    })
    .await;
    hue.greet(DANA, "k1").await;
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Hello").await;
    hue.write(&id, "Hello").await;
    hue.hear(PAT, "Stop");
    hue.step_ms(1_000);
    hue.write(&id, "Again").await;
    assert_eq!(
        hue.post(&format!("/contact/{id}/message"), &whatsapp("Hi"))
            .await
            .status,
        429
    );
    (hue, id, sent)
}

#[tokio::test]
async fn the_record_holds_both_providers_and_a_reset_empties_it() {
    let (hue, id, sent) = busy().await;
    let journal = hue.look("/journal").await;
    let request = &journal["requests"][2];
    assert_eq!(request["path"], format!("/v2/contact/{id}/message"));
    assert_eq!(
        (&request["to"], &request["tenant"]),
        (&json!(PAT), &json!(hue.sandbox.hue_account(KEY)))
    );
    assert_eq!(
        (&request["status"], &request["message_id"]),
        (&json!(201), &sent["id"])
    );
    assert_eq!(journal["requests"][5]["error"], "rate_limited");
    assert_eq!(journal["hue_messages"][0]["content"], "Hello");
    assert_eq!(journal["hue_inbound"][0]["content"], "Stop");
    assert!(!journal.to_string().contains(KEY), "no key is kept");
    let of_pat = hue.look("/journal?to=%2B447700900123").await;
    assert_eq!(of_pat["hue_messages"].as_array().unwrap().len(), 3);
    assert_eq!(of_pat["messages"], json!([]));
    let received = hue.look("/received").await;
    let counts: Vec<_> = received["people"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["count"].clone())
        .collect();
    assert_eq!(counts, [1, 3]);
    let totals = hue.look("/huechat").await["totals"].clone();
    assert_eq!(totals["requests"]["POST /v2/contact/{id}/message"], 4);
    assert_eq!(
        (
            &totals["answers"]["201"],
            &totals["refusals"]["rate_limited"]
        ),
        (&json!(4), &json!(1))
    );
    assert_eq!(
        (&totals["sent"], &totals["received"], &totals["contacts"]),
        (&json!(3), &json!(1), &json!(1))
    );
    answer(hue.control(Method::POST, "/reset")).await;
    assert!(hue.sandbox.hue_contacts().is_empty() && hue.sent().is_empty());
    hue.get(&format!("/contact/{id}"))
        .await
        .refused((404, "not_found"), "forgotten");
    assert_eq!(hue.totals().messages, 0);
    hue.close().await;
}

#[tokio::test]
async fn assertions_are_about_both_providers() {
    let (hue, ..) = busy().await;
    for (assertion, status) in [
        ("received?to=%2B447700900123&count=3", 200),
        ("received?people=2&at_least=1", 200),
        ("duplicates?by=content", 417),
        ("duplicates?by=key", 200),
        ("stopped", 417),
        ("rate?most=3&window=1m&of=messages", 417),
        ("rate?most=4&window=1m&of=messages", 200),
    ] {
        let judged = answer(hue.control(Method::GET, &format!("/assert/{assertion}"))).await;
        assert_eq!(judged.status, status, "{assertion}: {}", judged.text);
    }
    hue.close().await;
}
