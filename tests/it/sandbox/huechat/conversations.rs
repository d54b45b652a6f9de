//! Conversations (huechat §7.3, §9).

use super::*;

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(id_of).collect()
}

#[tokio::test]
async fn a_conversation_is_that_of_one_contact_and_channel_and_counts_both_sides() {
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let first = hue.write(&id, "Your parcel is here.").await;
    let conversation = first["conversation_id"].as_str().unwrap().to_owned();
    hue.step_ms(1_000);
    hue.hear(PAT, "Thanks, on my way");
    let shown = hue.read(&format!("/conversation/{conversation}")).await;
    assert_eq!(
        shown,
        json!({
            "id": conversation, "contact_id": id, "channel": "whatsapp", "subject": null,
            "contact": { "id": id, "full_name": "Pat Lin", "phone": PAT, "email": null },
            "status": "open", "priority": "medium", "assigned_to": null, "labels": [], "tags": [],
            "message_count": 2, "unread_count": 1,
            "created_at": "2026-06-10T09:15:00.000Z", "updated_at": "2026-06-10T09:15:01.000Z",
            "last_message_at": "2026-06-10T09:15:01.000Z", "last_message_preview": "Thanks, on my way",
        })
    );
    let history = hue
        .read(&format!("/conversation/{conversation}/messages?limit=1"))
        .await;
    assert_eq!(history["data"][0]["sent_by"], "contact", "newest first");
    assert_eq!(
        history["pagination"],
        json!({ "limit": 1, "offset": 0, "total": 2, "has_more": true })
    );
    let sms = json!({ "channel": "sms", "message_type": "text", "content": "Hello" });
    let sms = hue.made(&format!("/contact/{id}/message"), &sms).await;
    assert_ne!(sms["conversation_id"], first["conversation_id"]);
    let other = hue.bare(Method::GET, &format!("/conversation/{conversation}"));
    let other = answer(other.header("x-api-key", "sk_test_b")).await;
    other.refused((404, "not_found"), "another account's");
    hue.close().await;
}

#[tokio::test]
async fn the_list_of_conversations_is_filtered_sorted_and_paged() {
    let hue = Hue::new().await;
    let mut made = Vec::new();
    for n in 0..3 {
        let id = hue.contact(&format!("+44770090010{n}")).await;
        made.push(
            hue.write(&id, &format!("Table {n}")).await["conversation_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        hue.step_ms(1_000);
    }
    let (a, b, c) = (&made[0], &made[1], &made[2]);
    hue.hear("+447700900100", "Coming");
    assert_eq!(
        ids(&hue.read("/conversations").await),
        [a, c, b].map(Clone::clone)
    );
    assert_eq!(
        ids(&hue.read("/conversations?sort=created_at:desc").await),
        [c, b, a].map(Clone::clone)
    );
    hue.post(
        &format!("/conversation/{c}/assign"),
        &json!({ "user_id": "usr_mina" }),
    )
    .await;
    let change = json!({ "status": "archived", "labels": ["vip"], "subject": "Birthday" });
    assert_eq!(
        hue.put(&format!("/conversation/{b}"), &change).await.status,
        200
    );
    for (query, expected) in [
        ("status=archived", vec![b]),
        ("status=all&limit=2&offset=1", vec![c, b]),
        ("assigned_to=usr_mina", vec![c]),
        ("assigned_to=none", vec![a]),
        ("status=all&label=vip", vec![b]),
        ("status=all&search=BIRTH", vec![b]),
        ("search=table%202", vec![c]),
        ("channel=sms", vec![]),
        ("channel=whatsapp", vec![a, c]),
    ] {
        let expected: Vec<String> = expected.into_iter().cloned().collect();
        assert_eq!(
            ids(&hue.read(&format!("/conversations?{query}")).await),
            expected,
            "{query}"
        );
    }
    let contact = hue.read(&format!("/conversation/{a}")).await["contact_id"].clone();
    let query = format!("/conversations?contact_id={}", contact.as_str().unwrap());
    assert_eq!(ids(&hue.read(&query).await).as_slice(), [a.as_str()]);
    for query in [
        "status=gone",
        "channel=fax",
        "sort=name",
        "assigned_to=mina",
        "limit=101",
    ] {
        let refused = hue.get(&format!("/conversations?{query}")).await;
        refused.refused((400, "invalid_input"), query);
    }
    hue.close().await;
}

#[tokio::test]
async fn a_resolved_conversation_is_closed_and_the_next_message_opens_another() {
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let first = hue.write(&id, "Hello").await;
    let path = format!(
        "/conversation/{}",
        first["conversation_id"].as_str().unwrap()
    );
    let resolved = hue.post(&format!("{path}/resolve"), &json!({})).await;
    assert_eq!(
        (resolved.status, &resolved.json()["status"]),
        (200, &json!("closed"))
    );
    let second = hue.write(&id, "Hello again").await;
    assert_ne!(second["conversation_id"], first["conversation_id"]);
    let assign = format!("{path}/assign");
    for body in [
        json!({}),
        json!({ "user_id": "mina" }),
        json!({ "user_id": 7 }),
    ] {
        hue.refused(&assign, &body, (400, "invalid_input")).await;
    }
    hue.post(&assign, &json!({ "user_id": "usr_mina" })).await;
    let nobody = hue.post(&assign, &json!({ "user_id": null })).await;
    assert_eq!(nobody.json()["assigned_to"], Value::Null);
    for body in [
        json!({ "status": "gone" }),
        json!({ "priority": "urgent" }),
        json!({ "labels": "vip" }),
    ] {
        hue.put(&path, &body)
            .await
            .refused((400, "invalid_input"), &body.to_string());
    }
    hue.put("/conversation/conv_0", &json!({}))
        .await
        .refused((404, "not_found"), "unknown");
    hue.close().await;
}

#[tokio::test]
async fn a_message_by_itself_is_read_only_where_the_sandbox_offers_that() {
    let hue = Hue::with(HueConfig {
        single_messages: true,
        ..unlimited()
    })
    .await;
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Hello").await;
    assert_eq!(hue.read(&format!("/message/{}", id_of(&sent))).await, sent);
    hue.close().await;
    let hue = Hue::new().await;
    let id = hue.contact(PAT).await;
    let sent = hue.write(&id, "Hello").await;
    let refused = hue.get(&format!("/message/{}", id_of(&sent))).await;
    refused.refused((404, "not_found"), "by default");
    hue.close().await;
}
