//! Whatever comes in, on whatever path, is answered with a code of the contract's table.

use serde_json::json;

use super::codes::TABLE;
use super::*;

/// What a path may name: a chat, a group, a message, and things that were never given out.
async fn names(stage: &Stage) -> Vec<String> {
    let sent = stage.greet(DANA, "k1").await;
    let mut body = hello(DANA, "k2");
    body["to"] = json!([DANA, SAM]);
    let group = stage.done("/chats", &body).await;
    let long = "9".repeat(4_000);
    let odd = ["%FF", "%00", "%2F", "evt_00000000", &long];
    let mut names = vec![chat_of(&sent), chat_of(&group), message_of(&sent)];
    names.extend(odd.map(str::to_owned));
    names
}

/// Bodies that somebody could send by mistake or on purpose.
fn bodies() -> Vec<String> {
    let number = "9".repeat(400);
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let mut bodies = vec![String::new(), "{".into(), deep, number.clone()];
    let odd = [
        json!(null),
        json!([]),
        json!({}),
        json!(""),
        json!(-1),
        json!(1e300),
        json!("\u{0}\u{feff}🦀"),
        json!([{}, [], null]),
        json!({ "": { "": [] } }),
    ];
    bodies.extend(odd.iter().map(Value::to_string));
    let fields = [
        "from",
        "to",
        "message",
        "phone",
        "body",
        "chat_id",
        "latitude",
        "longitude",
        "label",
        "expires_at",
        "fallback_mode",
        "idempotency_key",
        "attachments",
        "effect",
        "state",
        "reaction",
        "new_text",
        "edited_part_index",
        "display_name",
        "group_chat_icon",
        "address",
        "contact",
        "vcard_text",
        "filename",
        "content_type",
        "size_bytes",
    ];
    for value in &odd {
        let all = fields.map(|field| (field.to_owned(), value.clone()));
        bodies.push(Value::Object(all.into_iter().collect()).to_string());
    }
    bodies
}

#[tokio::test]
async fn whatever_comes_in_is_taken_or_refused_with_a_code_of_the_table() {
    let stage = Stage::new().await;
    let register = stage.bare(Method::POST, "/register");
    let registered = answer(register.body(json!({ "email": "dana@bistro.example" }).to_string()));
    let paths = registered.await.json()["endpoints_available"].clone();
    let (names, bodies) = (names(&stage).await, bodies());
    let mut seen = 0;
    for path in paths.as_array().unwrap() {
        let path = path.as_str().unwrap().strip_prefix("/api/v1").unwrap();
        let named = if path.contains('{') { names.len() } else { 1 };
        for name in names.iter().take(named) {
            let path = path.replace("{id}", name).replace("{address}", name);
            for (n, body) in bodies.iter().enumerate() {
                let method = match n % 4 {
                    0 => Method::PUT,
                    1 => Method::DELETE,
                    _ => Method::POST,
                };
                let what = format!("{method} {path:.80} {body:.80}");
                let told = answer(stage.bearer(method, &path).body(body.clone())).await;
                seen += 1;
                if told.status < 300 {
                    continue;
                }
                let json = told.json();
                let flag = json.get("retryable");
                let flag = flag.or_else(|| json.pointer("/error/retryable"));
                let known = TABLE.iter().any(|(code, ..)| *code == told.code());
                assert!(known && told.status < 500, "{what}: {}", told.text);
                assert_eq!(flag, Some(&json!(false)), "{what}: no retry would help");
            }
        }
    }
    assert!(seen > 1_000, "{seen}");
    stage.close().await;
}
