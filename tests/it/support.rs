//! What the tests of the real program share: a project in a folder of its own, the program run
//! or spawned in it, and a sandbox in a process of its own whose record is the oracle. Asserts
//! no promise itself.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// No test waits longer for anything; far more than any needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// The lines of a sandbox that is told none.
pub(crate) const LINES: [&str; 2] = ["+15555550100", "+15555550101"];
/// The variable that the settings read the secret from.
const SECRET_VARIABLE: &str = "SENDOFF_SANDBOX_SECRET";

/// The `n`-th invented person: 100 fictional numbers in each of ten area codes.
pub(crate) fn phone(n: usize) -> String {
    const AREAS: [u32; 10] = [202, 303, 312, 404, 415, 503, 512, 617, 713, 718];
    format!("+1{}55501{:02}", AREAS[n / 100], n % 100)
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A folder with settings, campaigns, lists and templates.
#[derive(Debug)]
pub(crate) struct Project {
    folder: TempDir,
    secret: Option<String>,
    outputs: AtomicU32,
}

impl Project {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            secret: None,
            outputs: AtomicU32::new(0),
        }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders on the way to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program, about to be run in this folder, with no variable of the caller's that it
    /// would look at.
    pub(crate) fn sendoff(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sendoff"));
        command.args(args).current_dir(self.folder.path());
        for variable in ["SENDOFF_LEDGER", "SENDOFF_LOG", "RUST_LOG", SECRET_VARIABLE] {
            command.env_remove(variable);
        }
        command.env("NO_COLOR", "1").env("TZ", "UTC");
        if let Some(secret) = &self.secret {
            command.env(SECRET_VARIABLE, secret);
        }
        command
    }

    /// Starts the program; it is killed when the value goes.
    pub(crate) fn spawn(&self, args: &[&str]) -> Process {
        let number = self.outputs.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (
            self.path(format!(".out-{number}")),
            self.path(format!(".err-{number}")),
        );
        let child = self
            .sendoff(args)
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let words = args.join(" ");
        Process {
            child,
            out,
            err,
            words,
        }
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, args: &[&str]) -> Ended {
        self.spawn(args).end().await
    }

    /// The run's CSV report, one row per line of the list.
    pub(crate) async fn rows(&self, run: &str) -> Vec<Row> {
        let report = self.run(&["report", run, "--format", "csv"]).await;
        assert_eq!(report.code, Some(0), "{report:?}");
        let mut reader = csv::Reader::from_reader(report.out.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    }
}

/// A line of the CSV report.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Row {
    pub(crate) row: u64,
    pub(crate) phone: String,
    pub(crate) line: String,
    pub(crate) state: String,
    pub(crate) reason: String,
    pub(crate) code: Option<u32>,
    pub(crate) attempts: u32,
    pub(crate) idempotency_key: String,
    pub(crate) message_id: String,
    pub(crate) chat_id: String,
}

/// The program at work. Its output goes to files, so that it never waits for a reader.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    words: String,
}

/// What a process left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None: a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }
}

impl Process {
    pub(crate) fn out(&self) -> String {
        fs::read_to_string(&self.out).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name, such as `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "{name} to {}", self.words);
    }

    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "'{}' does not end; it said\n{}\n{}",
                self.words,
                self.out(),
                self.err()
            );
            tokio::time::sleep(LOOK).await;
        };
        Ended {
            code: status.code(),
            out: self.out(),
            err: self.err(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A request in the sandbox's record.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Request {
    /// When the whole of it had arrived, to the millisecond.
    pub(crate) at: Timestamp,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) to: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) body_sha256: Option<String>,
    pub(crate) status: Option<u16>,
    pub(crate) fault: Option<String>,
}

impl Request {
    /// It carries a message.
    pub(crate) fn is_post(&self) -> bool {
        self.method == "POST" && self.key.is_some()
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

/// Sums over the sandbox's record.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Totals {
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
    pub(crate) totals: Totals,
}

impl Journal {
    /// The requests that carry a message, in the order of their arrival.
    pub(crate) fn posts(&self) -> Vec<&Request> {
        let mut posts: Vec<_> = self.requests.iter().filter(|one| one.is_post()).collect();
        posts.sort_by_key(|post| post.at);
        posts
    }
}

/// `sendoff sandbox` in a process of its own.
#[derive(Debug)]
pub(crate) struct Provider {
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

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

/// A project whose settings point at a sandbox in another process.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) provider: Provider,
    people: usize,
}

/// The campaign of every stage.
pub(crate) const CAMPAIGN: &str = "campaigns/hello.yaml";
/// Its one-off run.
pub(crate) const RUN: &str = "hello@once";

impl Stage {
    /// A campaign to `people` people, one text each.
    pub(crate) async fn new(people: usize) -> Self {
        Self::with(people, "", "").await
    }

    /// The same, with further lines in the campaign and in the gateway's settings (without
    /// their indentation).
    pub(crate) async fn with(people: usize, campaign: &str, gateway: &str) -> Self {
        let provider = Provider::start().await;
        let mut project = Project::new();
        project.secret = Some(provider.secret.clone());
        let more: String = gateway.lines().fold(String::new(), |text, line| {
            text + "    " + line.trim_start() + "\n"
        });
        project.write("sendoff.yaml", format!("{}{more}", provider.settings));
        let stage = Self {
            project,
            provider,
            people,
        };
        stage.campaign("hello", campaign);
        stage.list(people);
        stage.project.write(
            "templates/hello.yaml",
            "parts:\n  - type: text\n    value: \"Hi {{ first_name }}, your table is ready.\"\n",
        );
        stage
    }

    /// Writes `campaigns/NAME.yaml` for the stage's list and template, with further lines.
    pub(crate) fn campaign(&self, name: &str, more: &str) {
        let text = format!(
            "name: {name}\ngateway: chert\nfrom: [\"{}\", \"{}\"]\n\
             recipients: {{ csv: people.csv }}\nmessage: ../templates/hello.yaml\n{more}\n",
            LINES[0], LINES[1]
        );
        self.project.write(&format!("campaigns/{name}.yaml"), text);
    }

    /// Writes the list anew, with so many people.
    pub(crate) fn list(&self, people: usize) {
        let list = (0..people).fold("Phone,First Name\n".to_owned(), |mut list, n| {
            writeln!(list, "{},Person {n}", phone(n)).unwrap();
            list
        });
        self.project.write("campaigns/people.csv", list);
    }

    /// Starts `sendoff run`, with further arguments.
    pub(crate) fn start(&self, more: &[&str]) -> Process {
        let args = [&["run", CAMPAIGN, "--yes"], more].concat();
        self.project.spawn(&args)
    }

    /// `sendoff run` to its end.
    pub(crate) async fn send(&self) -> Ended {
        self.start(&[]).end().await
    }

    /// `sendoff resume` to its end.
    pub(crate) async fn resume(&self) -> Ended {
        self.project.run(&["resume", RUN, "--yes"]).await
    }

    /// Everybody has received the message once, no key has served two bodies, and the ledger
    /// says the same as the provider, person by person.
    pub(crate) async fn assert_everybody_once(&self) -> Journal {
        let journal = self.assert_nobody_twice().await;
        assert_eq!(journal.totals.people, self.people, "somebody was left out");
        let rows = self.project.rows(RUN).await;
        assert_eq!(rows.len(), self.people);
        for row in &rows {
            assert_eq!(row.state, "sent", "{row:?}");
            let received = journal
                .messages
                .iter()
                .find(|one| one.to == [row.phone.clone()])
                .unwrap_or_else(|| panic!("never received: {row:?}"));
            assert_eq!(received.message_id, row.message_id, "{row:?}");
            assert_eq!(received.chat_id, row.chat_id, "{row:?}");
            assert_eq!(received.from.as_deref(), Some(&*row.line), "{row:?}");
            assert_eq!(received.key.as_deref(), Some(&*row.idempotency_key));
        }
        journal
    }

    /// Whatever has happened so far: nobody has two messages, and no key has served two bodies.
    pub(crate) async fn assert_nobody_twice(&self) -> Journal {
        let journal = self.provider.journal().await;
        assert!(journal.totals.most_per_person <= 1, "somebody got it twice");
        assert_eq!(journal.totals.repeated_keys, 0);
        assert_eq!(journal.totals.messages, journal.totals.people);
        let mut bodies = std::collections::HashMap::new();
        for post in journal.posts() {
            let first = bodies.entry(post.key.clone()).or_insert(&post.body_sha256);
            assert_eq!(*first, &post.body_sha256, "a key with two bodies: {post:?}");
        }
        journal
    }
}
