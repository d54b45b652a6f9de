//! Contacts (huechat §5, §6).

use super::*;

#[tokio::test]
async fn a_contact_is_created_whole_and_found_by_id_number_and_e_mail() {
    let hue = Hue::new().await;
    let body = json!({
        "phone": PAT, "email": "Pat.Lin@bistro.example", "first_name": "Pat", "last_name": "Lin",
        "preferred_channel": "whatsapp", "metadata": { "crm_id": "c-4410" }, "unknown": 1,
    });
    let made = hue.made("/contact", &body).await;
    let id = id_of(&made);
    assert!(id.starts_with("cnt_"));
    assert_eq!(
        made,
        json!({
            "id": id, "phone": PAT, "email": "Pat.Lin@bistro.example", "first_name": "Pat",
            "last_name": "Lin", "full_name": "Pat Lin", "preferred_channel": "whatsapp",
            "metadata": { "crm_id": "c-4410" }, "status": "active",
            "created_at": "2026-06-10T09:15:00.000Z", "updated_at": "2026-06-10T09:15:00.000Z",
            "last_contacted": null,
        })
    );
    for named in [
        id.as_str(),
        "%2B447700900123",
        "pat.lin@bistro.example",
        "Pat.Lin%40bistro.example",
    ] {
        assert_eq!(
            hue.read(&format!("/contact/{named}")).await,
            made,
            "{named}"
        );
    }
    for named in ["cnt_0", "%2B447700900124", "lin@bistro.example", "%FF"] {
        let refused = hue.get(&format!("/contact/{named}")).await;
        refused.refused((404, "not_found"), named);
    }
    hue.close().await;
}

#[tokio::test]
async fn a_contact_needs_a_name_and_an_address_in_order() {
    let hue = Hue::new().await;
    for (field, body) in [
        ("first_name", json!({ "phone": PAT })),
        ("first_name", json!({ "phone": PAT, "first_name": " " })),
        (
            "first_name",
            json!({ "phone": PAT, "first_name": "x".repeat(101) }),
        ),
        (
            "last_name",
            json!({ "phone": PAT, "first_name": "P", "last_name": 7 }),
        ),
        ("phone", json!({ "first_name": "P" })),
        (
            "phone",
            json!({ "first_name": "P", "phone": "447700900123" }),
        ),
        (
            "phone",
            json!({ "first_name": "P", "phone": "+0447700900123" }),
        ),
        ("phone", json!({ "first_name": "P", "phone": "+12345" })),
        ("email", json!({ "first_name": "P", "email": "pat" })),
        ("email", json!({ "first_name": "P", "email": "a@b@c" })),
        (
            "preferred_channel",
            json!({ "first_name": "P", "phone": PAT, "preferred_channel": "fax" }),
        ),
        (
            "metadata",
            json!({ "first_name": "P", "phone": PAT, "metadata": [] }),
        ),
        (
            "metadata",
            json!({ "first_name": "P", "phone": PAT, "metadata": { "a": "x".repeat(16 << 10) } }),
        ),
    ] {
        let refused = hue.refused("/contact", &body, (400, "invalid_input")).await;
        assert_eq!(refused["details"]["field"], field, "{refused}");
    }
    assert!(hue.sandbox.hue_contacts().is_empty());
    hue.close().await;
}

#[tokio::test]
async fn an_address_belongs_to_one_contact_of_an_account_until_that_is_deleted() {
    let hue = Hue::new().await;
    let first = json!({ "phone": PAT, "email": "pat@bistro.example", "first_name": "Pat" });
    let id = id_of(&hue.made("/contact", &first).await);
    for (field, body) in [
        ("phone", json!({ "phone": PAT, "first_name": "Sam" })),
        (
            "email",
            json!({ "email": "PAT@bistro.example", "first_name": "Sam" }),
        ),
    ] {
        let refused = hue.refused("/contact", &body, (409, "conflict")).await;
        assert_eq!(refused["details"], json!({ "field": field }));
    }
    let other = hue
        .bare(Method::POST, "/contact")
        .header("x-api-key", "sk_test_b");
    assert_eq!(answer(other.body(first.to_string())).await.status, 201);
    let sam = id_of(
        &hue.made(
            "/contact",
            &json!({ "email": "sam@bistro.example", "first_name": "Sam" }),
        )
        .await,
    );
    let refused = hue
        .put(&format!("/contact/{sam}"), &json!({ "phone": PAT }))
        .await;
    refused.refused((409, "conflict"), "a change");

    let deleted = hue
        .ask(Method::DELETE, &format!("/contact/{id}"), None)
        .await;
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    hue.get(&format!("/contact/{id}"))
        .await
        .refused((404, "not_found"), "gone");
    hue.refused(
        &format!("/contact/{id}/message"),
        &whatsapp("Hello"),
        (404, "not_found"),
    )
    .await;
    let again = id_of(&hue.made("/contact", &first).await);
    assert_ne!(again, id, "whoever takes over the address is somebody else");
    hue.close().await;
}

#[tokio::test]
async fn an_update_changes_only_what_it_names_and_merges_metadata() {
    let hue = Hue::new().await;
    let body = json!({
        "phone": PAT, "email": "pat@bistro.example", "first_name": "Pat", "last_name": "Lin",
        "metadata": { "tier": "gold", "table": 4 },
    });
    let id = id_of(&hue.made("/contact", &body).await);
    hue.step_ms(1_000);
    let change = json!({ "email": "pat@new.example", "last_name": null, "metadata": { "tier": null, "seat": "w" } });
    let changed = hue.put(&format!("/contact/{id}"), &change).await.json();
    assert_eq!(changed["email"], "pat@new.example");
    assert_eq!(
        (&changed["phone"], &changed["full_name"]),
        (&json!(PAT), &json!("Pat"))
    );
    assert_eq!(changed["metadata"], json!({ "table": 4, "seat": "w" }));
    assert_eq!(changed["updated_at"], "2026-06-10T09:15:01.000Z");
    hue.get("/contact/pat@bistro.example")
        .await
        .refused((404, "not_found"), "the old address");
    let patched = hue
        .ask(
            Method::PATCH,
            "/contact/pat@new.example",
            Some(&json!({ "status": "inactive" })),
        )
        .await;
    assert_eq!(patched.json()["status"], "inactive");
    for (field, change) in [
        ("status", json!({ "status": "deleted" })),
        ("first_name", json!({ "first_name": null })),
        ("phone", json!({ "phone": null, "email": null })),
    ] {
        let refused = hue.put(&format!("/contact/{id}"), &change).await;
        let refused = refused.refused((400, "invalid_input"), field);
        assert_eq!(refused["details"]["field"], field);
    }
    hue.close().await;
}

#[tokio::test]
async fn the_list_of_contacts_is_paged_filtered_and_sorted() {
    let hue = Hue::new().await;
    for n in 0..5 {
        let body =
            json!({ "phone": format!("+44770090010{n}"), "first_name": format!("Guest {n}") });
        hue.made("/contact", &body).await;
        hue.step_ms(1_000);
    }
    let names = |page: &Value| -> Vec<String> {
        let rows = page["data"].as_array().unwrap().iter();
        rows.map(|row| row["first_name"].as_str().unwrap().replace("Guest ", ""))
            .collect()
    };
    let page = hue.read("/contacts?limit=2&offset=1").await;
    assert_eq!(names(&page), ["3", "2"]);
    assert_eq!(
        page["pagination"],
        json!({ "limit": 2, "offset": 1, "total": 5, "has_more": true })
    );
    let page = hue.read("/contacts?sort=created_at:asc&offset=3").await;
    assert_eq!(names(&page), ["3", "4"]);
    assert_eq!(
        page["pagination"],
        json!({ "limit": 20, "offset": 3, "total": 5, "has_more": false })
    );
    hue.ask(Method::DELETE, "/contact/%2B447700900104", None)
        .await;
    hue.put(
        "/contact/%2B447700900103",
        &json!({ "status": "inactive", "preferred_channel": "sms" }),
    )
    .await;
    for (query, expected) in [
        ("", &["2", "1", "0"][..]),
        ("?status=all", &["4", "3", "2", "1", "0"]),
        ("?status=deleted", &["4"]),
        ("?status=all&channel=sms", &["3"]),
        ("?search=GUEST%201", &["1"]),
        ("?search=900102", &["2"]),
    ] {
        assert_eq!(
            names(&hue.read(&format!("/contacts{query}")).await),
            expected,
            "{query}"
        );
    }
    for query in [
        "limit=0",
        "limit=101",
        "offset=-1",
        "status=gone",
        "sort=name",
        "channel=fax",
    ] {
        let refused = hue.get(&format!("/contacts?{query}")).await;
        refused.refused((400, "invalid_input"), query);
    }
    hue.close().await;
}
