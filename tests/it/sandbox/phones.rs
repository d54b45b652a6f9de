//! What the page of the phones asks for, and who is kept from it and from the control surface.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_phones_are_listed_newest_first_and_found_by_their_digits() {
    let stage = Stage::new().await;
    let empty = stage.look("/phones").await;
    assert_eq!(
        (&empty["people"], &empty["phones"]),
        (&json!(0), &json!([]))
    );
    stage.greet(DANA, "k1").await;
    stage.step(SignedDuration::from_secs(5));
    stage.greet(SAM, "k2").await;
    let list = stage.look("/phones").await;
    let order = |list: &Value| -> Vec<String> {
        let phones = list["phones"].as_array().unwrap().iter();
        phones
            .map(|one| one["phone"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(order(&list), [SAM, DANA]);
    stage.step(SignedDuration::from_secs(5));
    stage.hear(DANA, "stop");
    let after = stage.look("/phones").await;
    assert_eq!(order(&after), [DANA, SAM]);
    assert_eq!(after["phones"][0]["text"], "stop");
    assert_eq!(after["phones"][0]["opted_out"], true);
    assert_ne!(after["version"], list["version"]);
    let found = stage.look("/phones?search=555-0144").await;
    assert_eq!(
        (order(&found), &found["people"]),
        (vec![SAM.to_owned()], &json!(2))
    );
    let known = format!("/phones?version={}", after["version"].as_str().unwrap());
    assert_eq!(answer(stage.control(Method::GET, &known)).await.status, 304);
    stage.close().await;
}

#[tokio::test]
async fn a_phone_shows_both_sides_with_receipts_and_edits_in_their_order() {
    let stage = Stage::new().await;
    let sent = stage.greet(DANA, "k1").await;
    let chat = chat_of(&sent);
    stage.step(SignedDuration::from_secs(3));
    stage.hear(DANA, "Who is this?");
    let edit = json!({ "new_text": "Hello again", "edited_part_index": 0 });
    let message = message_of(&sent);
    stage
        .done(&format!("/messages/{message}/edit"), &edit)
        .await;
    stage.step(SignedDuration::from_secs(10));
    let view = stage.look(&format!("/phones/{DANA}")).await;
    let bubbles = view["bubbles"].as_array().unwrap();
    assert_eq!(bubbles.len(), 2);
    let [first, second] = [&bubbles[0], &bubbles[1]];
    assert_eq!(
        (&first["mine"], &second["mine"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["line"], LINE);
    assert_eq!(
        (&first["edited"], &first["status"]),
        (&json!(true), &json!("read"))
    );
    assert_eq!(first["parts"][0]["value"], "Hello again");
    assert_eq!(second["parts"][0]["value"], "Who is this?");
    assert!(chat.len() > 8);
    let other = stage.look(&format!("/phones/{SAM}")).await;
    assert_eq!(other["bubbles"], json!([]));
    let nobody = answer(stage.control(Method::GET, "/phones/12")).await;
    assert_eq!(nobody.status, 400);
    stage.close().await;
}

#[tokio::test]
async fn a_picture_is_shown_and_can_run_nothing() {
    let stage = Stage::new().await;
    let announced =
        json!({ "filename": "a.svg", "content_type": "image/svg+xml", "size_bytes": 6 });
    let slot = stage.done("/attachments", &announced).await;
    let put = stage
        .client
        .put(slot["upload_url"].as_str().unwrap())
        .header("content-type", "image/svg+xml")
        .bearer_auth(stage.secret())
        .body("<svg/>");
    assert_eq!(answer(put).await.status, 200);
    let id = slot["attachment_id"].as_str().unwrap();
    let shown = answer(stage.control(Method::GET, &format!("/phones/media/0/{id}"))).await;
    assert_eq!((shown.status, &*shown.text), (200, "<svg/>"));
    assert_eq!(shown.header("content-type"), Some("image/svg+xml"));
    assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
    let policy = shown.header("content-security-policy").unwrap();
    assert!(policy.contains("sandbox") && policy.contains("default-src 'none'"));
    let none = answer(stage.control(Method::GET, &format!("/phones/media/1/{id}"))).await;
    assert_eq!(none.status, 404, "another account's");
    stage.close().await;
}

#[tokio::test]
async fn strangers_reach_neither_the_page_nor_the_control_surface() {
    let stage = Stage::new().await;
    let page = |host: &str| {
        stage
            .client
            .get(stage.sandbox.page_url())
            .header("host", host)
    };
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        assert_eq!(answer(page(host)).await.status, 403, "{host}");
        let look = stage.control(Method::GET, "/received").header("host", host);
        let refused = answer(look).await;
        assert_eq!(refused.status, 403, "{host}");
        assert!(
            refused.json()["error"]
                .as_str()
                .unwrap()
                .contains("localhost")
        );
    }
    assert_eq!(answer(page("localhost:4010")).await.status, 200);
    let write = |origin: &str| {
        let body = json!({ "from": DANA, "text": "STOP" }).to_string();
        let post = stage.control(Method::POST, "/inbound").body(body);
        post.header("origin", origin)
    };
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(answer(write(origin)).await.status, 403, "{origin}");
    }
    assert_eq!(stage.look("/phones").await["people"], 0, "nothing came in");
    let own = stage.sandbox.page_url();
    assert_eq!(answer(write(own.trim_end_matches('/'))).await.status, 200);
    stage.close().await;
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let stage = Stage::new().await;
    let page = answer(stage.client.get(stage.sandbox.page_url())).await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    for file in ["phones.css", "phones.js"] {
        let file = answer(stage.control(Method::GET, &format!("/page/{file}"))).await;
        assert_eq!(file.status, 200);
        assert!(!file.text.contains("http://") && !file.text.contains("https://"));
        assert!(!file.text.contains("innerHTML"));
    }
    stage.close().await;
}
