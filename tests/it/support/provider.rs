//! The sandbox in a process of its own, and its record as the tests read it: what was asked,
//! what people received. Knows no campaign.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{PATIENCE, Process, Project, SECRET_VARIABLE, until};

/// A request in the sandbox's record.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    /// When the whole of it had arrived, to the millisecond.
    pub(crate) at: Timestamp,
    /// The same by the provider's clock.
    pub(crate) provider_at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) to: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body_sha256: Option<String>,
    pub(crate) status: Option<u16>,
}

impl Request {
    /// It carries a message of Chert's.
    pub(crate) fn is_post(&self) -> bool {
        self.method == "POST" && self.key.is_some()
    }

    /// It carries a message of HueChat's.
    pub(crate) fn is_hue_post(&self) -> bool {
        let sends = self.path.starts_with("/v2/contact/") && self.path.ends_with("/message");
        self.method == "POST" && sends
    }

    /// It makes somebody known to HueChat.
    pub(crate) fn is_new_contact(&self) -> bool {
        self.method == "POST" && self.path == "/v2/contact"
    }
}

/// A message that a person received.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Received {
    pub(crate) to: Vec<String>,
    pub(crate) from: Option<String>,
    pub(crate) chat_id: String,
    pub(crate) message_id: String,
    pub(crate) key: Option<String>,
    pub(crate) body_sha256: String,
    pub(crate) parts: Value,
}

/// A message that a person received over HueChat.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HueReceived {
    pub(crate) message_id: String,
    pub(crate) conversation_id: String,
    pub(crate) phone: Option<String>,
}

/// Sums over the sandbox's record.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Totals {
    pub(crate) requests: usize,
    pub(crate) message_posts: usize,
    pub(crate) messages: usize,
    pub(crate) people: usize,
    pub(crate) most_per_person: usize,
    pub(crate) repeated_keys: usize,
    pub(crate) files: usize,
    pub(crate) waiting: usize,
}

/// The sandbox's whole record.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Journal {
    pub(crate) requests: Vec<Request>,
    pub(crate) messages: Vec<Received>,
    pub(crate) hue_messages: Vec<HueReceived>,
    pub(crate) totals: Totals,
}

impl Journal {
    /// The requests that carry a message, in the order of their arrival.
    pub(crate) fn posts(&self) -> Vec<&Request> {
        let mut posts: Vec<_> = self.requests.iter().filter(|one| one.is_post()).collect();
        posts.sort_by_key(|post| post.at);
        posts
    }

    /// How often the account's lines were asked for.
    pub(crate) fn looks_at_lines(&self) -> usize {
        let path = |one: &&Request| one.path.ends_with("/phone-numbers");
        self.requests.iter().filter(path).count()
    }
}

/// `sendoff sandbox` in a process of its own.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Ends with this value.
    process: Process,
    /// Kept for the process's output.
    _home: Project,
    control: String,
    /// The part of `sendoff.yaml` that it printed.
    pub(crate) settings: String,
    pub(crate) secret: String,
    client: reqwest::Client,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// One with further flags of `sendoff sandbox`.
    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let home = Project::new();
        let fixed = ["sandbox", "--listen", "127.0.0.1:0", "--rate", "none"];
        let mut process = home.spawn(&[&fixed, flags].concat());
        let words = until("the sandbox", async || {
            let words = process.out();
            assert!(process.is_running(), "{words}{}", process.err());
            words.contains("Ctrl-C ends it.").then_some(words)
        })
        .await;
        let line_with = |mark: &str| {
            let found = words.lines().find_map(|line| line.split_once(mark));
            found.expect("the sandbox prints it").1.trim().to_owned()
        };
        let settings = words
            .lines()
            .skip_while(|line| !line.starts_with("gateways:"))
            .take_while(|line| !line.is_empty())
            .fold(String::new(), |text, line| text + line + "\n");
        let base = line_with("base_url: ");
        Self {
            control: base.replace("/api/v1", "/_sandbox"),
            secret: line_with(&format!("{SECRET_VARIABLE}=")),
            settings,
            process,
            _home: home,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> String {
        self.process.id()
    }

    async fn control(&self, request: reqwest::RequestBuilder) -> Value {
        let answer = request.timeout(PATIENCE).send().await.unwrap();
        let status = answer.status();
        let json: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(status.is_success(), "{json}");
        json
    }

    async fn look(&self, what: &str) -> Value {
        let url = format!("{}/{what}", self.control);
        self.control(self.client.get(url)).await
    }

    pub(crate) async fn journal(&self) -> Journal {
        serde_json::from_value(self.look("journal").await).unwrap()
    }

    pub(crate) async fn totals(&self) -> Totals {
        serde_json::from_value(self.look("totals").await).unwrap()
    }

    /// Puts rules in force, in place of those before. No rules: nothing goes wrong any more,
    /// and what lies under a delay is let go.
    pub(crate) async fn faults(&self, seed: u64, rules: &Value) {
        let url = format!("{}/faults", self.control);
        let plan = serde_json::json!({ "seed": seed, "rules": rules }).to_string();
        self.control(self.client.post(url).body(plan)).await;
    }

    /// A line takes no part in messaging from now on.
    pub(crate) async fn switch_off(&self, line: &str) {
        self.change_line(line, r#"{ "is_active": false }"#).await;
    }

    pub(crate) async fn switch_on(&self, line: &str) {
        self.change_line(line, r#"{ "is_active": true }"#).await;
    }

    async fn change_line(&self, line: &str, change: &'static str) {
        let url = format!("{}/lines/{line}", self.control);
        self.control(self.client.put(url).body(change)).await;
    }

    /// The provider's time goes on at once.
    pub(crate) async fn step(&self, by: Duration) {
        let url = format!("{}/clock/step", self.control);
        let step = serde_json::json!({ "by": format!("{}ms", by.as_millis()) });
        self.control(self.client.post(url).body(step.to_string()))
            .await;
    }

    /// The address of the HueChat account.
    pub(crate) fn huechat_url(&self) -> String {
        self.control.replace("/_sandbox", "/v2")
    }

    /// Whom HueChat knows, by their numbers.
    pub(crate) async fn hue_contacts(&self) -> Vec<String> {
        let known = self.look("huechat").await;
        let contacts = known["contacts"].as_array().unwrap().iter();
        contacts
            .map(|one| one["phone"].as_str().unwrap().to_owned())
            .collect()
    }

    /// A person writes to a line.
    pub(crate) async fn says(&self, from: &str, text: &str) {
        self.tells(&serde_json::json!({ "from": from, "text": text }))
            .await;
    }

    /// The same, with everything that the sandbox takes.
    pub(crate) async fn tells(&self, answer: &Value) {
        let url = format!("{}/inbound", self.control);
        self.control(self.client.post(url).body(answer.to_string()))
            .await;
    }

    /// Waits until so many posts of messages have been answered or dropped.
    pub(crate) async fn until_posts(&self, count: usize) {
        until(&format!("{count} posts"), async || {
            (self.totals().await.message_posts >= count).then_some(())
        })
        .await;
    }

    /// Waits until so many people have received something.
    pub(crate) async fn until_people(&self, count: usize) {
        until(&format!("{count} people"), async || {
            (self.totals().await.people >= count).then_some(())
        })
        .await;
    }

    /// Waits until so many requests lie in the sandbox under a delay.
    pub(crate) async fn until_waiting(&self, count: usize) {
        until(&format!("{count} requests under way"), async || {
            (self.totals().await.waiting >= count).then_some(())
        })
        .await;
    }
}
