//! The sandbox as a client sees it: raw HTTP over loopback, with signatures computed by hand.
//! Uses no gateway code, so that a mistake on one side cannot hide in the other.

mod access;
mod actions;
mod asserting;
mod attachments;
mod capacity;
mod cards;
mod clock;
mod codes;
mod control;
mod edits;
mod faults;
mod fields;
mod groups;
mod hostile;
mod huechat;
mod inbound;
mod keys;
mod lab;
mod lines;
mod phones;
mod quickstart;
mod reactions;
mod reading;
mod state;
mod stream;
mod subscriptions;
mod webhooks;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use secrecy::ExposeSecret;
use sendoff::domain::digest::hex;
use sendoff::domain::phone::Phone;
use sendoff::sandbox::{
    Clock, FaultPlan, Filter, Incoming, Sandbox, SandboxConfig, StateError, Tenant, Totals,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// 2026-06-10T09:15:00Z.
const MORNING_US: i64 = 1_781_082_900_000_000;
/// No test waits longer for anything; far more than any needs.
const PATIENCE: Duration = Duration::from_secs(40);
const LINE: &str = "+12025550188";
const DANA: &str = "+12025550143";
const SAM: &str = "+12025550144";

/// A running sandbox with a clock that stands still until it is stepped.
struct Stage {
    sandbox: Sandbox,
    client: Client,
    now_us: Arc<AtomicI64>,
    tenant: Tenant,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the answer is JSON")
    }

    /// The error code, in either shape.
    fn code(&self) -> u64 {
        let json = self.json();
        let code = json.get("code").or_else(|| json.pointer("/error/code"));
        code.and_then(Value::as_u64).expect("the answer has a code")
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn config() -> SandboxConfig {
    SandboxConfig {
        seed: 7,
        rate: None,
        lines: vec![Phone::from_e164(LINE).unwrap()],
        delivered_after: Some(SignedDuration::from_secs(2)),
        read_after: Some(SignedDuration::from_secs(10)),
        ..SandboxConfig::default()
    }
}

impl Stage {
    async fn new() -> Self {
        Self::with(config()).await
    }

    async fn with(config: SandboxConfig) -> Self {
        let begun = Self::begin(config, MORNING_US, None).await;
        begun.expect("it has no state file")
    }

    /// One that begins at a moment, with what a state file tells.
    async fn begin(
        mut config: SandboxConfig,
        at_us: i64,
        state: Option<&Path>,
    ) -> Result<Self, StateError> {
        let now_us = Arc::new(AtomicI64::new(at_us));
        let hand = Arc::clone(&now_us);
        config.clock =
            Clock::new(move || Timestamp::from_microsecond(hand.load(Ordering::SeqCst)).unwrap());
        let tenant = config.tenants.first().cloned();
        let tenant = tenant.unwrap_or_else(|| Tenant::of_seed(config.seed));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = Sandbox::new(config, listener.local_addr().unwrap()).unwrap();
        if let Some(path) = state {
            sandbox.keep(path).await?;
        }
        let shutdown = CancellationToken::new();
        let (serving, stop) = (sandbox.clone(), shutdown.clone());
        let server = tokio::spawn(async move {
            serving.serve(listener, stop).await.expect("it serves");
        });
        Ok(Self {
            sandbox,
            client: Client::new(),
            now_us,
            tenant,
            shutdown,
            server,
        })
    }

    fn step(&self, length: SignedDuration) {
        let us = i64::try_from(length.as_micros()).unwrap();
        self.now_us.fetch_add(us, Ordering::SeqCst);
    }

    fn now_s(&self) -> i64 {
        self.now_us.load(Ordering::SeqCst).div_euclid(1_000_000)
    }

    fn secret(&self) -> &str {
        self.tenant.secret.expose_secret()
    }

    /// A request without credentials.
    fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sandbox.base_url());
        self.client.request(method, url)
    }

    fn bearer(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(self.secret())
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.bearer(Method::POST, path).body(body.to_string())).await
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.bearer(Method::GET, path)).await
    }

    /// Posts what has to be taken.
    async fn done(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Posts what has to be refused, in the envelope, with this code and status.
    async fn refused(&self, path: &str, body: &Value, (code, status): (u64, u16)) -> Value {
        let answer = self.post(path, body).await;
        let what = format!("{path} {body}: {}", answer.text);
        assert_eq!((answer.code(), answer.status), (code, status), "{what}");
        answer.json()["error"].clone()
    }

    fn control(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sandbox.control_url());
        self.client.request(method, url)
    }

    async fn look(&self, path: &str) -> Value {
        answer(self.control(Method::GET, path)).await.json()
    }

    /// What was done in chats: which action, and what it said.
    fn deeds(&self) -> Vec<(&'static str, Value)> {
        let actions = self.sandbox.journal(&Filter::default()).actions;
        let told = actions.into_iter().map(|one| (one.action, one.detail));
        told.collect()
    }

    /// Changes what the line of the tests can do.
    fn change_line(&self, change: &Value) {
        let line = Phone::from_e164(LINE).unwrap();
        let change = serde_json::from_value(change.clone()).unwrap();
        self.sandbox.change_line(&line, change).expect("it is ours");
    }

    /// A person writes; answers the event's name.
    fn hear(&self, from: &str, text: &str) -> String {
        let incoming = Incoming {
            from: Phone::from_e164(from).unwrap(),
            text: text.to_owned(),
            files: Vec::new(),
            to: None,
            event_id: None,
        };
        self.sandbox.receive(&incoming).unwrap()
    }

    /// Sends to a person and expects it to be taken.
    async fn greet(&self, to: &str, key: &str) -> Value {
        let answer = self.post("/chats", &hello(to, key)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    fn faults(&self, rules: &Value) {
        let plan = json!({ "seed": 1, "rules": rules }).to_string();
        self.sandbox
            .set_faults(FaultPlan::parse(plan.as_bytes()).unwrap());
    }

    fn totals(&self) -> Totals {
        self.sandbox.totals()
    }

    /// The keys of the messages that a person received.
    fn received(&self, to: &str) -> Vec<Option<String>> {
        let filter = Filter {
            to: Some(to.to_owned()),
            ..Filter::default()
        };
        let messages = self.sandbox.journal(&filter).messages;
        messages.into_iter().map(|message| message.key).collect()
    }

    /// Waits until so many requests lie in the sandbox.
    async fn until_waiting(&self, count: usize) {
        self.until(|totals| totals.waiting == count).await;
    }

    async fn until(&self, there: impl Fn(&Totals) -> bool) {
        let look = async {
            while !there(&self.totals()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, look)
            .await
            .expect("it comes to that");
    }

    /// A connection of its own, for bytes that no HTTP client would send.
    async fn connect(&self) -> TcpStream {
        let url = reqwest::Url::parse(&self.sandbox.base_url()).unwrap();
        let address = (url.host_str().unwrap(), url.port().unwrap());
        TcpStream::connect(address).await.unwrap()
    }

    async fn close(self) {
        self.shutdown.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.server).await;
        ended.expect("it stops").expect("the server ends in order");
    }
}

async fn answer(request: RequestBuilder) -> Answer {
    let sent = request.timeout(PATIENCE).send().await;
    let response = sent.expect("an answer comes");
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.expect("the whole answer comes"),
    }
}

/// The id of the chat that an answer of `POST /chats` tells.
fn chat_of(answer: &Value) -> String {
    answer["chat"]["id"].as_str().unwrap().to_owned()
}

/// The id of its message.
fn message_of(answer: &Value) -> String {
    answer["message"]["id"].as_str().unwrap().to_owned()
}

fn hello(to: &str, key: &str) -> Value {
    json!({
        "from": LINE,
        "to": [to],
        "message": {
            "parts": [{ "type": "text", "value": "Your table is ready." }],
            "idempotency_key": key,
        },
    })
}

/// HMAC-SHA256 as RFC 2104 writes it, without the crate that the sandbox uses.
fn hmac(key: &[u8], message: &[u8]) -> String {
    let mut block = [0u8; 64];
    for (place, byte) in block.iter_mut().zip(key) {
        *place = *byte;
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message);
    let outer = Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner.finalize());
    hex(&outer.finalize())
}

/// The value of `x-chert-signature`.
fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let signed = format!("{seconds}.{body}");
    let mac = hmac(secret.as_bytes(), signed.as_bytes());
    format!("v1,{seconds},{mac}")
}

#[test]
fn the_signature_of_the_tests_is_the_published_one() {
    // RFC 4231, test case 2.
    assert_eq!(
        hmac(b"Jefe", b"what do ya want for nothing?"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
}
