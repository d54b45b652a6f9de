//! `serve` as a process of its own: what it has answered outlives its kill, and what people say
//! through it holds for the runs of other processes.

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::assert_armed;
use crate::support::{Ended, KILL, On, PATIENCE, Process, RUN, Stage, phone, until};

const SECRET: &str = "whsec_3f9a17";
const WITH_SECRET: (&str, &str) = ("HOOK_SECRET", SECRET);
const API_KEY: (&str, &str) = ("HUECHAT_API_KEY", "sk_test_hooks");
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--format", "json"];
const GATEWAY: &str = "
  whatsapp:
    kind: huechat
    api_key: { env: HUECHAT_API_KEY }
    plan: pro
    webhook: { secret: { env: HOOK_SECRET } }
";

/// The points at which a receiver is killed here.
pub(super) const POINTS: [&str; 2] = ["event.kept", "event.applied"];

/// A stage whose settings have a gateway with a webhook besides.
async fn stage(on: On, people: usize, campaign: &str) -> Stage {
    assert_armed();
    let stage = Stage::on(on, people, campaign, "").await;
    let settings = stage.project.read("sendoff.yaml");
    let settings = settings.trim_end().to_owned() + GATEWAY;
    stage.project.write("sendoff.yaml", settings);
    stage
}

/// A receiver at work, and where it takes the gateway's events.
struct Receiver {
    process: Process,
    url: String,
}

impl Receiver {
    async fn start(stage: &Stage, variables: &[(&str, &str)]) -> Self {
        let variables = [&[WITH_SECRET][..], variables].concat();
        let mut process = stage.project.spawn_with(&SERVE, &variables);
        let url = until("the receiver's address", async || {
            let said: Option<Value> = serde_json::from_str(&process.out()).ok();
            assert!(said.is_some() || process.is_running(), "{}", process.err());
            Some(said?["hooks"][0]["url"].as_str()?.to_owned())
        })
        .await;
        Self { process, url }
    }

    /// Delivers an event; `None`: no answer came.
    async fn deliver(&self, event: &Value) -> Option<u16> {
        let body = event.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let bytes = mac.finalize().into_bytes();
        let signature = sendoff::domain::digest::hex(&bytes);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .post(&self.url)
            .header("X-HueChat-Signature", format!("sha256={signature}"))
            .body(body)
            .timeout(PATIENCE);
        Some(request.send().await.ok()?.status().as_u16())
    }

    async fn leave(self) -> Ended {
        self.process.signal("TERM");
        let ended = self.process.end().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

fn says(name: &str, person: usize, words: &str) -> Value {
    let now = Timestamp::now().to_string();
    json!({ "id": format!("evt_{name}"), "type": "message.received", "timestamp": now,
        "retry_count": 0, "organization_id": "org_1",
        "data": { "id": format!("msg_{name}"), "conversation_id": "conv_1", "channel": "whatsapp",
            "contact": { "id": "cnt_1", "phone": phone(person) }, "sent_by": "contact",
            "content": words, "sent_at": now } })
}

/// The phones on the list, in order.
async fn listed(stage: &Stage) -> Vec<String> {
    let args = ["suppress", "list", "--format", "json"];
    let ended = stage.project.run(&args).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let list = ended.json();
    let list = list["suppressions"].as_array().unwrap().iter();
    list.map(|one| one["phone"].as_str().unwrap().to_owned())
        .collect()
}

pub(super) async fn a_stop_through_the_receiver_holds_for_a_run_of_another_process(on: On) {
    let people = 12;
    let stage = stage(on, people, "pace: { rate: 2/s, burst: 1, concurrency: 1 }").await;
    let receiver = Receiver::start(&stage, &[]).await;
    let run = stage.start(&[]);
    until("the first message", async || {
        (stage.provider.totals().await.messages > 0).then_some(())
    })
    .await;
    let last = people - 1;
    assert_eq!(receiver.deliver(&says("1", last, "STOP")).await, Some(200));
    let ended = run.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows = stage.project.rows(RUN).await;
    let row = &rows[last];
    let fate = (row.state.as_str(), row.reason.as_str(), row.attempts);
    assert_eq!(fate, ("skipped", "opted_out", 0), "{row:?}");
    assert_eq!(stage.provider.totals().await.messages, people - 1);
    assert_eq!(listed(&stage).await, [phone(last)]);
    let ended = receiver.leave().await;
    assert!(ended.err.contains("1 event taken, 0 refused"), "{ended:?}");
    for secret in [SECRET, "STOP", &phone(last)] {
        assert!(!ended.err.contains(secret), "{ended:?}");
    }
}

pub(super) async fn an_event_outlives_a_kill_in_either_window(on: On) {
    for point in POINTS {
        let stage = stage(on, 1, "").await;
        let at = [("SENDOFF_CRASH_AT", point)];
        let receiver = Receiver::start(&stage, &at).await;
        let answered = receiver.deliver(&says("1", 7, "STOP")).await;
        let dead = receiver.process.end().await;
        assert_eq!(dead.signal, Some(KILL), "{point}: {dead:?}");
        let applied: &[String] = if point == "event.kept" {
            assert_eq!(answered, None, "nobody was told that it is kept");
            &[]
        } else {
            &[phone(7)]
        };
        assert_eq!(listed(&stage).await, applied, "{point}");
        // The next one handles it, though nobody calls; told again, it is no news.
        let receiver = Receiver::start(&stage, &[]).await;
        until("it to be handled", async || {
            (listed(&stage).await == [phone(7)]).then_some(())
        })
        .await;
        assert_eq!(receiver.deliver(&says("1", 7, "STOP")).await, Some(200));
        let ended = receiver.leave().await;
        assert!(ended.err.contains("0 wait"), "{point}: {ended:?}");
        assert_eq!(listed(&stage).await, [phone(7)]);
    }
}

pub(super) async fn what_was_answered_with_200_is_there_after_a_kill(on: On) {
    let stage = stage(on, 1, "").await;
    let mut receiver = Receiver::start(&stage, &[]).await;
    for n in 0..20 {
        let told = receiver.deliver(&says(&n.to_string(), n, "STOP")).await;
        assert_eq!(told, Some(200));
    }
    assert!(receiver.process.kill());
    // Whatever was not handled by then is, without a receiver as well.
    let synced = stage.project.run(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let mut all: Vec<String> = (0..20).map(phone).collect();
    all.sort();
    assert_eq!(listed(&stage).await, all);
}

/// The address of the stage's sandbox, without a path.
fn sandbox(stage: &Stage) -> String {
    let mut lines = stage.provider.settings.lines();
    let url = lines.find_map(|line| line.trim().strip_prefix("base_url: "));
    url.unwrap().trim_end_matches("/api/v1").to_owned()
}

async fn post(url: &str, body: &Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).header("X-API-Key", API_KEY.1);
    let request = request.body(body.to_string()).timeout(PATIENCE);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

pub(super) async fn what_the_provider_tells_of_a_run_is_known_without_asking(on: On) {
    let stage = stage(on, 1, "").await;
    let sandbox = sandbox(&stage);
    let settings = stage.project.read("sendoff.yaml");
    let settings = settings.replace(
        "plan: pro",
        &format!("plan: none\n    base_url: {sandbox}/v2"),
    );
    stage.project.write("sendoff.yaml", settings);
    stage.project.write(
        "campaigns/hue.yaml",
        "name: hue\ngateway: whatsapp\nchannel: sms\nrecipients: { csv: hue.csv }\n\
         message: ../templates/hello.yaml\n",
    );
    let people = ["+12025550120", "+12025550121", "+12025550122"];
    let list = people.map(|phone| format!("{phone},Dana\n")).concat();
    let list = format!("Phone,First Name\n{list}");
    stage.project.write("campaigns/hue.csv", list);
    // The secret is known only once the address is registered.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let hook = json!({ "url": format!("http://{address}/hooks/whatsapp"),
        "events": ["message.received", "message.delivered", "message.read"] });
    let hook = post(&format!("{sandbox}/v2/webhooks"), &hook).await;
    let secret = hook["signing_secret"].as_str().unwrap().to_owned();
    let variables = [("HOOK_SECRET", secret.as_str()), API_KEY];
    let serve = ["serve", "--listen", &address];
    let receiver = stage.project.spawn_with(&serve, &variables);
    let run = ["run", "campaigns/hue.yaml", "--yes"];
    let ended = stage.project.spawn_with(&run, &variables).end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    until("everybody's receipt", async || {
        let status = ["status", "hue@once", "--format", "json"];
        let status = stage.project.run(&status).await.json();
        let of = |state: &str| status["counts"][state].as_u64().unwrap();
        (of("delivered") + of("read") == 3).then_some(())
    })
    .await;
    let said = json!({ "from": people[1], "channel": "sms", "text": "Stop" });
    post(&format!("{sandbox}/_sandbox/inbound"), &said).await;
    until("the STOP", async || {
        (listed(&stage).await == [people[1]]).then_some(())
    })
    .await;
    receiver.signal("TERM");
    let ended = receiver.end().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.err.contains(" 0 refused; 0 wait"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_with_nothing_to_receive_says_what_is_missing() {
    let bare = Stage::new(1).await;
    let ended = bare.project.run(&SERVE).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("`webhook`"), "{ended:?}");

    let stage = stage(On::Sqlite, 1, "").await;
    let ended = stage.project.run(&SERVE).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("HOOK_SECRET"), "{ended:?}");

    let receiver = Receiver::start(&stage, &[]).await;
    let taken = receiver.url.trim_start_matches("http://");
    let (taken, _) = taken.split_once('/').unwrap();
    let args = ["serve", "--listen", taken];
    let second = stage.project.spawn_with(&args, &[WITH_SECRET]);
    let second = second.end().await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.err.contains("cannot listen"), "{second:?}");
    receiver.leave().await;
}
