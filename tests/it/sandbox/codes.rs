//! Every code of the contract's table (chert §3.2) can be had from the sandbox, and the manual
//! says how.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use sendoff::domain::pace::{Limit, Rate};
use sendoff::sandbox::{Standing, TenantKind};
use serde_json::json;

use super::*;

/// The table: code, status, retryable.
pub(super) const TABLE: [(u64, u16, bool); 38] = [
    (1001, 400, false),
    (1002, 400, false),
    (1003, 400, false),
    (1004, 400, false),
    (1005, 400, false),
    (1006, 400, false),
    (1007, 429, true),
    (1008, 400, false),
    (1009, 400, false),
    (1010, 400, false),
    (1011, 409, false),
    (1012, 409, false),
    (1013, 409, false),
    (2001, 404, false),
    (2002, 404, false),
    (2003, 404, false),
    (2004, 401, false),
    (2005, 403, false),
    (2006, 400, false),
    (2007, 403, false),
    (2008, 402, false),
    (2010, 403, false),
    (2011, 404, false),
    (2012, 401, false),
    (2013, 401, false),
    (2014, 400, false),
    (3001, 500, true),
    (3002, 503, true),
    (3003, 500, false),
    (3004, 502, true),
    (4001, 502, true),
    (4002, 503, true),
    (4098, 400, false),
    (4099, 422, false),
    (5001, 404, false),
    (5002, 400, false),
    (5003, 400, false),
    (5004, 400, false),
];

/// The rows of the manual's table of codes: the code, and how it is had.
fn manual() -> BTreeMap<u64, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sandbox.md");
    let manual = std::fs::read_to_string(path).unwrap();
    let rows = manual.lines().filter_map(|line| {
        let (code, how) = line.strip_prefix("| ")?.split_once(" | ")?;
        Some((code.parse().ok()?, how.to_owned()))
    });
    rows.collect()
}

/// Says what a request came to.
struct Found(BTreeMap<u64, (u16, bool)>);

impl Found {
    fn take(&mut self, answer: &Answer) {
        let json = answer.json();
        let flag = json.get("retryable");
        let retryable = flag.or_else(|| json.pointer("/error/retryable")).unwrap();
        let says = (answer.status, retryable.as_bool().unwrap());
        self.0.entry(answer.code()).or_insert(says);
    }
}

fn parts(parts: &Value) -> Value {
    json!({ "from": LINE, "to": [SAM], "message": { "parts": parts } })
}

fn text(value: &str) -> Value {
    json!({ "type": "text", "value": value })
}

/// By requests alone.
async fn by_requests(stage: &Stage, found: &mut Found) {
    let file =
        |size: u64, kind| json!({ "filename": "a", "content_type": kind, "size_bytes": size });
    let slot = stage.done("/attachments", &file(3, "image/png")).await;
    stage.greet(DANA, "k1").await;
    let pending = json!({ "type": "media", "attachment_id": slot["attachment_id"] });
    let mut other = hello(DANA, "k1");
    other["message"]["subject"] = json!("other");
    let mut foreign = hello(SAM, "k2");
    foreign["from"] = json!("+12025550199");
    for (path, body) in [
        ("/chats", json!({})),
        ("/chats", parts(&json!([{ "type": "fax" }]))),
        ("/chats", hello("555", "k2")),
        (
            "/chats",
            parts(&json!([text("see https://bistro.example")])),
        ),
        ("/chats", parts(&json!(vec![&pending; 11]))),
        ("/chats", parts(&json!([text("a"), text("b")]))),
        ("/chats", parts(&json!([text(&"x".repeat(10_001))]))),
        (
            "/chats",
            parts(
                &json!([{ "type": "media", "attachment_id": "a", "url": "https://bistro.example/a" }]),
            ),
        ),
        ("/chats", other),
        ("/chats", foreign),
        (
            "/chats",
            parts(&json!([{ "type": "media", "attachment_id": "nope" }])),
        ),
        ("/chats", parts(&json!([pending]))),
        ("/attachments", file(100_000_001, "image/png")),
        ("/attachments", file(3, "application/x-msdownload")),
        (
            "/send",
            json!({ "phone": SAM, "body": "Hi", "effect": "sparkle" }),
        ),
        ("/chats/nope/mark-read", json!({})),
        ("/messages/nope/react", json!({ "reaction": "love" })),
        ("/nothing", json!({})),
    ] {
        found.take(&stage.post(path, &body).await);
    }
}

/// By what a request is let in with, or is not.
async fn by_credentials(stage: &Stage, found: &mut Found) {
    found.take(&answer(stage.bearer(Method::POST, "/chats").body("{")).await);
    found.take(&answer(stage.bare(Method::GET, "/phone-numbers")).await);
    found.take(
        &answer(
            stage
                .bare(Method::GET, "/phone-numbers")
                .bearer_auth("wrong"),
        )
        .await,
    );
    let stranger = stage.bearer(Method::GET, "/phone-numbers");
    found.take(&answer(stranger.header("x-chert-tenant", "nobody-0000")).await);
    let late = stage.now_s() - 301;
    let signed = stage
        .bare(Method::GET, "/phone-numbers")
        .header("x-chert-tenant", &stage.tenant.slug)
        .header("x-chert-signature", signature(stage.secret(), late, ""));
    found.take(&answer(signed).await);
}

/// By what is set: the line, the clock, the tenants, the rate.
async fn by_settings(stage: &Stage, found: &mut Found) {
    let chat = chat_of(&stage.greet(DANA, "k1").await);
    let typing = format!("/chats/{chat}/typing");
    let body = json!({ "state": "typing" });
    stage.change_line(&json!({ "capabilities": [] }));
    found.take(&stage.post(&typing, &body).await);
    stage.change_line(&json!({ "capabilities": ["typing"], "is_active": false }));
    found.take(&stage.post(&typing, &body).await);
    let by_any = json!({ "phone": SAM, "body": "Hi" });
    found.take(&stage.post("/send", &by_any).await);
    let suspended = Tenant {
        standing: Standing::Suspended,
        kind: TenantKind::Single,
        ..Tenant::of_seed(8)
    };
    let one = NonZeroU32::MIN;
    let slow = Stage::with(SandboxConfig {
        tenants: vec![Tenant::of_seed(7), suspended.clone()],
        rate: Some(Limit {
            rate: Rate::per_second(one),
            burst: one,
        }),
        ..config()
    })
    .await;
    slow.get("/phone-numbers").await;
    found.take(&slow.get("/phone-numbers").await);
    let barred = slow.bare(Method::GET, "/phone-numbers");
    found.take(&answer(barred.bearer_auth(suspended.secret.expose_secret())).await);
    slow.close().await;
}

#[tokio::test]
async fn every_code_of_the_table_can_be_had_and_the_manual_says_how() {
    let stage = Stage::new().await;
    let (mut asked, mut set, mut planned) = (
        Found(BTreeMap::new()),
        Found(BTreeMap::new()),
        Found(BTreeMap::new()),
    );
    by_requests(&stage, &mut asked).await;
    by_credentials(&stage, &mut asked).await;
    by_settings(&stage, &mut set).await;
    stage.change_line(&json!({ "is_active": true }));
    let manual = manual();
    for (code, ..) in TABLE {
        stage.faults(&json!([{ "kind": "error", "code": code }]));
        planned.take(&stage.post("/chats", &hello(SAM, "k3")).await);
    }
    for (code, status, retryable) in TABLE {
        let expected = Some(&(status, retryable));
        let how = manual.get(&code).map_or("nothing", String::as_str);
        assert_eq!(planned.0.get(&code), expected, "{code} by a fault");
        match (asked.0.get(&code), set.0.get(&code)) {
            (Some(_), _) => {
                assert_eq!(asked.0.get(&code), expected, "{code} by a request");
                assert!(how.starts_with("request"), "{code}: the manual says {how}");
            }
            (None, Some(_)) => {
                assert_eq!(set.0.get(&code), expected, "{code} by a setting");
                assert!(how.starts_with("setting"), "{code}: the manual says {how}");
            }
            (None, None) => assert!(how.starts_with("fault"), "{code}: the manual says {how}"),
        }
    }
    let listed: Vec<u64> = manual.into_keys().collect();
    assert_eq!(
        listed,
        TABLE.map(|(code, ..)| code),
        "the manual lists each, and no other"
    );
    stage.close().await;
}
