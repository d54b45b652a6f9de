//! State that survives a restart: what was answered is there again, also after `kill -9`, and a
//! file that cannot be trusted is refused.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::*;
use crate::support::{Process, Project, until};
use sendoff::sandbox::{Capacity, SECRET_VARIABLE, Strangers};

const SEND_FORM: &str = "+12025550147";

/// A folder with a state file in it, and the machine's time.
struct Shelf {
    folder: TempDir,
    at_us: i64,
}

impl Shelf {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            at_us: MORNING_US,
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("sandbox.state")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    async fn try_open(&self, config: SandboxConfig) -> Result<Stage, String> {
        let begun = Stage::begin(config, self.at_us, Some(&self.file())).await;
        begun.map_err(|error| error.to_string())
    }

    async fn open(&self) -> Stage {
        self.try_open(config()).await.unwrap()
    }

    /// Ends the sandbox and starts it again an hour later.
    async fn restart(&mut self, stage: Stage) -> Stage {
        self.at_us = stage.now_us.load(Ordering::SeqCst) + 3_600_000_000;
        stage.close().await;
        self.open().await
    }

    /// Why the file is refused. It is not changed.
    async fn refusal(&self, config: SandboxConfig) -> String {
        let before = self.bytes();
        let refusal = self.try_open(config).await.map(|_| ()).unwrap_err();
        assert_eq!(self.bytes(), before);
        refusal
    }
}

impl Stage {
    async fn steer(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.sandbox.control_url());
        let answer = answer(self.client.request(method, url).body(body.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Everything that is remembered; of the requests those that changed something.
    async fn memory(&self) -> Value {
        let journal = serde_json::to_value(self.sandbox.journal(&Filter::default())).unwrap();
        let requests = journal["requests"].as_array().unwrap().iter();
        let changes: Vec<_> = requests
            .filter(|one| one["method"] != "GET" && one["status"] != json!(null))
            .filter(|one| one["code"] == json!(null) && one["replay"] == json!(false))
            .map(|one| {
                let mut one = one.clone();
                one["seq"] = Value::Null;
                one
            })
            .collect();
        json!({
            "changes": changes,
            "messages": journal["messages"],
            "actions": journal["actions"],
            "files": journal["files"],
            "chats": self.sandbox.chats(&Filter::default()),
            "lines": self.sandbox.line_reports(),
            "received": self.sandbox.received(&Filter::default()).people,
            "events": self.get("/events?limit=200").await.json(),
        })
    }
}

/// Does something of every kind.
#[expect(clippy::too_many_lines, reason = "one kind after the other")]
async fn busy(stage: &Stage) -> Vec<(String, Value, Value)> {
    let mut keyed = Vec::new();
    for (to, key) in [(DANA, "k1"), (SAM, "k2"), ("+17755550112", "k3")] {
        let body = hello(to, key);
        let done = stage.post("/chats", &body).await;
        assert_eq!(done.status, 200, "{}", done.text);
        keyed.push(("/chats".to_owned(), body, done.json()));
    }
    let chat = keyed[0].2["chat"]["id"].as_str().unwrap().to_owned();
    let keyless = json!({ "message": { "parts": [{ "type": "text", "value": "Still on?" }] } });
    let path = format!("/chats/{chat}/messages");
    let follow_up = stage.done(&path, &keyless).await;
    let message = follow_up["message"]["id"].as_str().unwrap();
    stage
        .done(
            &format!("/messages/{message}/react"),
            &json!({ "reaction": "love" }),
        )
        .await;
    let edit = json!({ "new_text": "Still on today?", "edited_part_index": 0 });
    stage
        .done(&format!("/messages/{message}/edit"), &edit)
        .await;
    let mut group = hello(DANA, "k4");
    group["to"] = json!([DANA, SAM, "+12025550145"]);
    let group = stage.done("/chats", &group).await;
    let group = group["chat"]["id"].as_str().unwrap();
    let more = json!({ "address": "+12025550146" });
    stage
        .done(&format!("/chats/{group}/participants"), &more)
        .await;
    let file = json!({ "filename": "a.png", "content_type": "image/png", "size_bytes": 3 });
    let slot = stage.done("/attachments", &file).await;
    let slot = slot["attachment_id"].as_str().unwrap();
    let put = stage.bearer(Method::PUT, &format!("/attachments/{slot}/upload"));
    let put = answer(put.header("content-type", "image/png").body("abc")).await;
    assert_eq!(put.status, 200, "{}", put.text);
    let lead =
        json!({ "phone": SEND_FORM, "body": "Your table is ready.", "idempotency_key": "k5" });
    stage.done("/send", &lead).await;
    let registered = stage.bare(Method::POST, "/register");
    let registered = answer(registered.body(r#"{"email":"dana@example.com"}"#)).await;
    assert_eq!(registered.status, 200, "{}", registered.text);
    // Of a number that refuses the first try of each key.
    assert_eq!(
        stage
            .post("/chats", &hello("+17755550120", "k6"))
            .await
            .code(),
        4001
    );
    stage
        .steer(
            Method::POST,
            "/inbound",
            &json!({ "from": SAM, "text": "Thanks!" }),
        )
        .await;
    stage
        .steer(
            Method::PUT,
            &format!("/lines/{LINE}"),
            &json!({ "is_active": true }),
        )
        .await;
    stage
        .steer(Method::POST, "/clock/step", &json!({ "by": "10m" }))
        .await;
    stage.step(SignedDuration::from_secs(30));
    stage
        .steer(Method::PUT, "/clock", &json!({ "rate": 2 }))
        .await;
    stage.step(SignedDuration::from_secs(30));
    keyed
}

#[tokio::test]
async fn everything_comes_back_after_a_restart_and_again_after_another() {
    let mut shelf = Shelf::new();
    let mut stage = shelf.open().await;
    let keyed = busy(&stage).await;
    stage
        .steer(Method::PUT, "/clock", &json!({ "stopped": true }))
        .await;
    let before = (stage.memory().await, stage.sandbox.clock().now);
    assert_eq!(before.0["events"]["count"], 1, "{}", before.0["events"]);
    for _ in 0..2 {
        stage = shelf.restart(stage).await;
        assert_eq!(stage.memory().await, before.0);
        assert_eq!(stage.sandbox.clock().now, before.1);
        assert!(stage.sandbox.clock().stopped);
        for (path, body, first) in &keyed {
            let again = stage.post(path, body).await;
            assert_eq!(again.header("x-idempotent-replay"), Some("true"));
            assert_eq!(again.json(), *first);
        }
    }
    // What was still to come comes, and a number that refuses once has done so.
    stage
        .steer(Method::POST, "/clock/step", &json!({ "by": "1h" }))
        .await;
    let events = stage.get("/events").await.json();
    assert_eq!(events["count"], 2, "{events}");
    assert_eq!(
        stage
            .post("/chats", &hello("+17755550120", "k6"))
            .await
            .status,
        200
    );
    stage.close().await;
}

#[tokio::test]
async fn ids_and_traces_do_not_repeat_after_a_restart() {
    let mut shelf = Shelf::new();
    let mut stage = shelf.open().await;
    let keyless = json!({
        "from": LINE, "to": [DANA], "message": { "parts": [{ "type": "text", "value": "Hi" }] },
    });
    let mut ids = HashSet::new();
    let mut traces = HashSet::new();
    for _ in 0..3 {
        for _ in 0..3 {
            let sent = stage.post("/chats", &keyless).await;
            assert!(traces.insert(sent.header("x-trace-id").unwrap().to_owned()));
            assert!(ids.insert(sent.json()["message"]["id"].to_string()));
            let looked = stage.get("/phone-numbers").await;
            assert!(traces.insert(looked.header("x-trace-id").unwrap().to_owned()));
        }
        stage = shelf.restart(stage).await;
    }
    assert_eq!(stage.totals().messages, 9);
    stage.close().await;
}

#[tokio::test]
async fn a_running_clock_has_gone_on_meanwhile() {
    let mut shelf = Shelf::new();
    let stage = shelf.open().await;
    stage
        .steer(Method::PUT, "/clock", &json!({ "rate": 60 }))
        .await;
    stage.greet("+17755550111", "k1").await;
    // Down for an hour of the machine's, 60 of the provider's.
    let stage = shelf.restart(stage).await;
    assert_eq!(stage.sandbox.clock().now, "2026-06-12T21:15:00.000Z");
    let events = stage.get("/events").await.json();
    assert_eq!(
        events["events"][0]["created_at"],
        "2026-06-10T09:15:03.000Z"
    );
    stage.close().await;
}

#[tokio::test]
async fn a_reset_is_remembered_too() {
    let mut shelf = Shelf::new();
    let stage = shelf.open().await;
    stage.stop_clock().await;
    stage.greet(DANA, "k1").await;
    stage.steer(Method::POST, "/reset", &json!({})).await;
    stage.greet(SAM, "k2").await;
    let before = stage.memory().await;
    let stage = shelf.restart(stage).await;
    assert_eq!(stage.memory().await, before);
    assert_eq!(stage.totals().messages, 1);
    stage.close().await;
}

#[tokio::test]
async fn a_line_that_was_never_finished_is_dropped_wherever_it_breaks_off() {
    let shelf = Shelf::new();
    let stage = shelf.open().await;
    stage.greet(DANA, "k1").await;
    let one = shelf.bytes();
    stage.greet(SAM, "k2").await;
    stage.close().await;
    let two = shelf.bytes();
    assert_eq!(&two[..one.len()], &one[..]);
    for end in (one.len() + 1..two.len())
        .step_by(97)
        .chain([two.len() - 1])
    {
        fs::write(shelf.file(), &two[..end]).unwrap();
        let address = "127.0.0.1:9".parse().unwrap();
        let sandbox = Sandbox::new(config(), address).unwrap();
        let recalled = sandbox.keep(&shelf.file()).await.unwrap();
        assert_eq!(
            (recalled.acts, recalled.torn),
            (1, (end - one.len()) as u64)
        );
        assert_eq!(sandbox.totals().messages, 1);
        assert_eq!(shelf.bytes(), one, "cut at {end}");
    }
    // Nothing was lost by that for those who come later.
    fs::write(shelf.file(), &two[..two.len() - 1]).unwrap();
    let stage = shelf.open().await;
    stage.greet(SAM, "k2").await;
    assert_eq!(stage.totals().messages, 2);
    stage.close().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_trusted_is_refused_in_words_and_left_alone() {
    let shelf = Shelf::new();
    let stage = shelf.open().await;
    for (to, key) in [(DANA, "k1"), (SAM, "k2"), ("+12025550145", "k3")] {
        stage.greet(to, key).await;
    }
    let taken = shelf.try_open(config()).await.map(|_| ()).unwrap_err();
    assert_eq!(taken, "another sandbox is using it");
    stage.close().await;
    let good = shelf.bytes();
    let other = |change: &dyn Fn(&mut SandboxConfig)| {
        let mut config = config();
        change(&mut config);
        config
    };
    let seed = shelf.refusal(other(&|config| config.seed = 8)).await;
    assert!(seed.contains("another seed"), "{seed}");
    let lines = other(&|config| config.lines = vec![Phone::from_e164(DANA).unwrap()]);
    let lines = shelf.refusal(lines).await;
    assert!(lines.contains("other lines"), "{lines}");
    let strict = other(&|config| config.capacity = Some(Capacity::default()));
    let strict = shelf.refusal(strict).await;
    assert!(
        strict.starts_with("line 3 comes out differently"),
        "{strict}"
    );
    let strangers = other(&|config| config.strangers = Strangers::Admit);
    let strangers = shelf.refusal(strangers).await;
    assert!(strangers.contains("admits strangers"), "{strangers}");
    // One byte in the middle, in a text, where the line still reads well.
    let middle = good.windows(5).position(|five| five == b"table").unwrap();
    let mut damaged = good.clone();
    damaged[middle] = b'T';
    fs::write(shelf.file(), &damaged).unwrap();
    assert!(
        shelf
            .refusal(config())
            .await
            .starts_with("line 2 is damaged")
    );
    let text = String::from_utf8(good.clone()).unwrap();
    fs::write(shelf.file(), text.replace("\"version\":1", "\"version\":2")).unwrap();
    let version = shelf.refusal(config()).await;
    assert!(
        version.contains("format 2, of another version"),
        "{version}"
    );
    let rows: Vec<_> = text.split_inclusive('\n').collect();
    fs::write(shelf.file(), [rows[0], rows[1], rows[3]].concat()).unwrap();
    shelf.try_open(config()).await.unwrap().close().await;
    for foreign in [
        "Mobile,Name\n+12025550143,Dana\n",
        "Mobile",
        "0123456789abcdef {\"other\":1}\n",
    ] {
        fs::write(shelf.file(), foreign).unwrap();
        let refusal = shelf.refusal(config()).await;
        assert!(refusal.contains("no state file"), "{refusal}");
    }
    // The beginning of a first line is a file in which nothing was ever answered.
    fs::write(shelf.file(), &good[..30]).unwrap();
    shelf.try_open(config()).await.unwrap().close().await;
}

/// `sendoff sandbox --state`, as a process.
struct Kept {
    process: Process,
    door: Door,
}

/// Where it is reached.
#[derive(Clone)]
struct Door {
    client: Client,
    base: String,
    secret: String,
}

impl Kept {
    async fn start(home: &Project) -> Self {
        let fixed = ["sandbox", "--listen", "127.0.0.1:0", "--rate", "none"];
        let mut process = home.spawn(&[&fixed[..], &["--state", "kept"]].concat());
        let words = until("the sandbox", async || {
            let words = process.out();
            assert!(process.is_running(), "{words}{}", process.err());
            words.contains("Ctrl-C ends it.").then_some(words)
        })
        .await;
        let behind = |mark: &str| {
            let found = words.lines().find_map(|line| line.split_once(mark));
            found.expect("the sandbox prints it").1.trim().to_owned()
        };
        let door = Door {
            client: Client::new(),
            base: behind("base_url: "),
            secret: behind(&format!("{SECRET_VARIABLE}=")),
        };
        Self { process, door }
    }
}

impl Door {
    /// One message of its own to one of a hundred people.
    fn post(&self, nth: usize) -> RequestBuilder {
        let body = json!({
            "from": "+15555550100",
            "to": [format!("+12025550{:03}", 100 + nth % 100)],
            "message": {
                "parts": [{ "type": "text", "value": format!("Hello {nth}") }],
                "idempotency_key": format!("so1-{nth}"),
            },
        });
        let url = format!("{}/chats", self.base);
        let request = self.client.post(url).bearer_auth(&self.secret);
        request.body(body.to_string()).timeout(PATIENCE)
    }

    async fn look(&self, what: &str) -> Value {
        let url = self.base.replace("/api/v1", "/_sandbox");
        answer(self.client.get(format!("{url}/{what}")))
            .await
            .json()
    }
}

#[tokio::test]
async fn every_answered_message_is_there_after_kill_9_in_the_middle_of_a_load() {
    const ROUNDS: usize = 3;
    const SENDERS: usize = 8;
    /// Answers of each round before the kill.
    const ENOUGH: usize = 100;
    let home = Project::new();
    let mut answered: BTreeMap<usize, Value> = BTreeMap::new();
    for round in 0..=ROUNDS {
        let Kept { mut process, door } = Kept::start(&home).await;
        let known = answered.len() as u64;
        let totals = door.look("totals").await;
        let messages = totals["messages"].as_u64().unwrap();
        // Each sender had at most one request on its way at each kill.
        let open = (SENDERS * round) as u64;
        assert!(
            (known..=known + open).contains(&messages),
            "{messages} for {known}"
        );
        // Whatever was answered has the same answer now, and is no second message.
        for (nth, first) in &answered {
            let again = answer(door.post(*nth)).await;
            assert_eq!(again.header("x-idempotent-replay"), Some("true"), "{nth}");
            assert_eq!(again.json(), *first);
        }
        let totals = door.look("totals").await;
        assert_eq!(totals["messages"], messages);
        assert_eq!(totals["repeated_keys"], 0);
        let (tell, mut told) = tokio::sync::mpsc::channel(SENDERS);
        let mut senders = JoinSet::new();
        for sender in 0..SENDERS {
            let (door, tell) = (door.clone(), tell.clone());
            senders.spawn(async move {
                let first = (round * SENDERS + sender) * 10_000;
                for nth in first.. {
                    let Ok(response) = door.post(nth).send().await else {
                        return;
                    };
                    assert_eq!(response.status(), 200);
                    let Ok(text) = response.text().await else {
                        return;
                    };
                    let json = serde_json::from_str(&text).unwrap();
                    // Closed once there are enough: the load goes on until the kill.
                    drop(tell.send((nth, json)).await);
                }
            });
        }
        drop(tell);
        for _ in 0..ENOUGH {
            let (nth, json) = told.recv().await.expect("an answer comes");
            answered.insert(nth, json);
        }
        assert!(process.kill());
        while let Some((nth, json)) = told.recv().await {
            answered.insert(nth, json);
        }
        while let Some(ended) = senders.join_next().await {
            ended.unwrap();
        }
    }
    let ids: HashSet<_> = answered
        .values()
        .map(|one| one["message"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), answered.len());
    assert!(answered.len() >= ENOUGH * (ROUNDS + 1));
}

#[tokio::test]
async fn a_state_file_that_is_refused_ends_the_start_with_its_name_and_the_reason() {
    let home = Project::new();
    fs::write(home.path("kept"), "Mobile,Name\n").unwrap();
    let done = home
        .sendoff(&["sandbox", "--listen", "127.0.0.1:0", "--state", "kept"])
        .output();
    let done = done.unwrap();
    assert_eq!(done.status.code(), Some(1));
    let words = String::from_utf8(done.stderr).unwrap();
    assert!(
        words.contains("'kept'") && words.contains("no state file"),
        "{words}"
    );
}
