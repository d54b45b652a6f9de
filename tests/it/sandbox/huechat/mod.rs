//! The sandbox's HueChat as a client sees it: raw HTTP over loopback. Uses no gateway code, so that
//! a mistake on one side cannot hide in the other.

mod access;
mod contacts;
mod control;
mod conversations;
mod memory;
mod messages;
mod webhooks;

use sendoff::domain::channel::Channel;
use sendoff::sandbox::{HueConfig, HueIncoming, HueMessageRecord, HuePlan};

use super::*;

const KEY: &str = "sk_test_bistro";
/// Whose numbers decide nothing.
const PAT: &str = "+447700900123";

/// A sandbox whose HueChat has no limits unless the test says so.
fn unlimited() -> HueConfig {
    HueConfig {
        plan: HuePlan::Unlimited,
        window: sendoff::sandbox::HueWindow::Off,
        ..HueConfig::default()
    }
}

/// A sandbox, seen over `/v2`.
struct Hue(Stage);

impl std::ops::Deref for Hue {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.0
    }
}

impl Hue {
    async fn new() -> Self {
        Self::with(unlimited()).await
    }

    async fn with(huechat: HueConfig) -> Self {
        Self(
            Stage::with(SandboxConfig {
                huechat,
                ..config()
            })
            .await,
        )
    }

    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sandbox.huechat_url());
        self.client.request(method, url)
    }

    fn keyed(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("X-API-Key", KEY)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = self.keyed(method, path);
        let request = match body {
            Some(body) => request
                .header("Content-Type", "application/json")
                .body(body.to_string()),
            None => request,
        };
        answer(request).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn made(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
        answer.json()
    }

    async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    /// Posts what has to be refused, in the envelope, with this status and name.
    async fn refused(&self, path: &str, body: &Value, expected: (u16, &str)) -> Value {
        let answer = self.post(path, body).await;
        answer.refused(expected, &format!("{path} {body}"))
    }

    /// A contact with this number; answers its id.
    async fn contact(&self, phone: &str) -> String {
        let body = json!({ "phone": phone, "first_name": "Pat", "last_name": "Lin" });
        id_of(&self.made("/contact", &body).await)
    }

    /// Sends a text by WhatsApp, and expects it to be taken.
    async fn write(&self, contact: &str, text: &str) -> Value {
        self.made(&format!("/contact/{contact}/message"), &whatsapp(text))
            .await
    }

    fn hear(&self, from: &str, text: &str) {
        let incoming = HueIncoming {
            from: from.to_owned(),
            channel: Channel::Whatsapp,
            text: text.to_owned(),
            account: None,
        };
        self.sandbox.hue_receive(&incoming).unwrap();
    }

    fn step_ms(&self, length: i64) {
        self.step(SignedDuration::from_millis(length));
    }

    /// What was sent, in the order of acceptance.
    fn sent(&self) -> Vec<HueMessageRecord> {
        self.sandbox.hue_messages()
    }

    async fn close(self) {
        self.0.close().await;
    }
}

impl Answer {
    /// The envelope of a refusal with this status and name.
    fn refused(&self, (status, name): (u16, &str), what: &str) -> Value {
        assert_eq!(self.status, status, "{what}: {}", self.text);
        let json = self.json();
        assert_eq!(json["error"], name, "{what}: {}", self.text);
        assert_eq!(json["code"], status, "{what}");
        assert!(
            json["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        if status != 429 {
            assert_eq!(
                Some(json["request_id"].as_str().unwrap()),
                self.header("x-request-id")
            );
            let at: Timestamp = json["timestamp"].as_str().unwrap().parse().unwrap();
            assert!(at.as_microsecond() >= MORNING_US);
        }
        json
    }
}

fn id_of(json: &Value) -> String {
    json["id"].as_str().unwrap().to_owned()
}

fn whatsapp(text: &str) -> Value {
    json!({ "channel": "whatsapp", "message_type": "text", "content": text })
}
