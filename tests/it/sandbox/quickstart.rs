//! The providers' published quickstarts, step by step, as a newcomer takes them: the real `curl`
//! against a sandbox process, with what it printed.

use std::process::{Command, Stdio};

use super::*;
use crate::support::{Process, Project, until};

/// `sendoff sandbox`, and what it printed.
struct Started {
    process: Process,
    words: String,
}

impl Started {
    async fn new(home: &Project) -> Self {
        let mut process = home.spawn(&["sandbox", "--listen", "127.0.0.1:0"]);
        let words = until("the sandbox", async || {
            let words = process.out();
            assert!(process.is_running(), "{words}{}", process.err());
            words.contains("Ctrl-C ends it.").then_some(words)
        });
        Self {
            words: words.await,
            process,
        }
    }

    /// What stands behind a mark, the `nth` time that it is there.
    fn behind(&self, mark: &str, nth: usize) -> &str {
        let found = self.words.lines().filter_map(|line| line.split_once(mark));
        found.map(|(_, rest)| rest.trim()).nth(nth).expect(mark)
    }
}

/// Runs `curl` with these arguments, and expects this status and JSON.
fn curl(status: u16, arguments: &[&str]) -> Value {
    let mut command = Command::new("curl");
    command
        .args([
            "-sS",
            "--max-time",
            "60",
            "-w",
            "\n%{http_code}",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .stdin(Stdio::null());
    let done = command.output().expect("this test needs curl");
    let words = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{arguments:?}: {words}");
    let out = String::from_utf8(done.stdout).unwrap();
    let (body, code) = out.rsplit_once('\n').unwrap();
    assert_eq!(code, status.to_string(), "{arguments:?}: {body}");
    serde_json::from_str(body).expect("the answer is JSON")
}

/// These fields are there, with these values.
fn assert_has(json: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&json[name], value, "{name} of {json}");
    }
}

fn is_moment(json: &Value) -> bool {
    let text = json.as_str().unwrap_or_default();
    text.ends_with('Z') && text.parse::<Timestamp>().is_ok()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one step after the other")]
async fn the_quickstart_of_chert_works_with_curl_as_it_is_written() {
    let home = Project::new();
    let mut started = Started::new(&home).await;
    let base = started.behind("base_url: ", 0).to_owned();
    let json = ["-H", "Content-Type: application/json"];
    let registered = curl(
        200,
        &[
            "-X",
            "POST",
            &format!("{base}/register"),
            json[0],
            json[1],
            "-d",
            r#"{"email":"owner@bistro.example"}"#,
        ],
    );
    let secret = registered["signing_secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32);
    assert!(registered["tenant_slug"].as_str().unwrap().contains('-'));
    let token = format!("Authorization: Bearer {secret}");
    let lines = curl(200, &[&format!("{base}/phone-numbers"), "-H", &token]);
    let line = lines["phone_numbers"][0]["phone_number"].as_str().unwrap();

    let chat = json!({
        "from": line, "to": ["+12025550143"],
        "message": {
            "parts": [
                { "type": "text", "value": "Hi Dana, your table is ready." },
                { "type": "rich_link", "url": "https://bistro.example/menu" },
            ],
            "idempotency_key": "june-invite:+12025550143:1",
        },
    })
    .to_string();
    let create = [
        "-X",
        "POST",
        &format!("{base}/chats"),
        "-H",
        &token,
        json[0],
        json[1],
        "-d",
        &chat,
    ];
    let created = curl(200, &create);
    assert_eq!(created["chat"]["is_group"], false);
    let message =
        json!({ "status": "sent", "direction": "outbound", "delivered_at": null, "read_at": null });
    assert_has(&created["message"], &message);
    assert_eq!(created["message"]["chat_id"], created["chat"]["id"]);
    assert_eq!(curl(200, &create), created, "the same key is a safe retry");

    let id = created["chat"]["id"].as_str().unwrap();
    let messages = format!("{base}/chats/{id}/messages");
    let follow_up = r#"{"message":{"parts":[{"type":"text","value":"See you soon."}]}}"#;
    let followed = curl(
        200,
        &[
            "-X", "POST", &messages, "-H", &token, json[0], json[1], "-d", follow_up,
        ],
    );
    assert!(is_moment(&followed["message"]["created_at"]));
    let listed = curl(200, &[&messages, "-H", &token]);
    assert_eq!(listed["has_more"], false);
    let rows = listed["messages"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[1]["id"]),
        (2, &followed["message"]["id"]),
        "oldest first"
    );
    let top = r#"{"parts":[{"type":"text","value":"See you soon."}]}"#;
    let refused = curl(
        400,
        &[
            "-X", "POST", &messages, "-H", &token, json[0], json[1], "-d", top,
        ],
    );
    assert_has(
        &refused["error"],
        &json!({ "status": 400, "code": 1001, "retryable": false }),
    );
    assert!(started.process.kill());
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one step after the other")]
async fn the_quickstart_of_huechat_works_with_curl_as_it_is_written() {
    let home = Project::new();
    let mut started = Started::new(&home).await;
    let base = started.behind("base_url: ", 1).to_owned();
    assert!(base.ends_with("/v2"), "{base}");
    let key = format!(
        "X-API-Key: {}",
        started.behind("export HUECHAT_API_KEY=", 0)
    );
    let json = ["-H", "Content-Type: application/json"];
    let contact = json!({
        "phone": "+447700900123", "first_name": "Asha", "last_name": "Rao",
        "email": "asha.rao@bistro.example", "preferred_channel": "whatsapp",
    });
    let created = curl(
        201,
        &[
            "-X",
            "POST",
            &format!("{base}/contact"),
            "-H",
            &key,
            json[0],
            json[1],
            "-d",
            &contact.to_string(),
        ],
    );
    assert_has(&created, &contact);
    assert_has(
        &created,
        &json!({ "full_name": "Asha Rao", "status": "active" }),
    );
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("cnt_") && is_moment(&created["created_at"]));

    let text = json!({ "channel": "whatsapp", "message_type": "text", "content": "Your parcel is at the front desk." });
    let message = format!("{base}/contact/{id}/message");
    let sent = curl(
        201,
        &[
            "-X",
            "POST",
            &message,
            "-H",
            &key,
            json[0],
            json[1],
            "-d",
            &text.to_string(),
        ],
    );
    assert_has(&sent, &text);
    assert_has(&sent, &json!({ "contact_id": id, "status": "sent" }));
    assert!(sent["id"].as_str().unwrap().starts_with("msg_") && is_moment(&sent["sent_at"]));

    let list = format!("{base}/conversations?status=open&limit=20");
    let listed = curl(200, &["-X", "GET", &list, "-H", &key]);
    assert_eq!(
        listed["pagination"],
        json!({ "limit": 20, "offset": 0, "total": 1, "has_more": false })
    );
    assert_has(
        &listed["data"][0],
        &json!({ "id": sent["conversation_id"], "contact_id": id, "channel": "whatsapp", "status": "open" }),
    );

    let hook = json!({ "url": "https://hooks.bistro.example/huechat", "events": ["message.received", "message.delivered"] });
    let made = curl(
        201,
        &[
            "-X",
            "POST",
            &format!("{base}/webhooks"),
            "-H",
            &key,
            json[0],
            json[1],
            "-d",
            &hook.to_string(),
        ],
    );
    assert_has(&made, &hook);
    assert!(
        made["signing_secret"]
            .as_str()
            .unwrap()
            .starts_with("whsec_")
    );
    let refused = curl(401, &["-X", "GET", &list]);
    assert_has(&refused, &json!({ "error": "unauthorized", "code": 401 }));
    let live = curl(
        401,
        &["-X", "GET", &list, "-H", "X-API-Key: sk_live_anything"],
    );
    assert_eq!(live["error"], "unauthorized");
    assert!(started.process.kill());
}
