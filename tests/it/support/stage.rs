//! A project with one campaign and a sandbox to send it to, and the promise that every test of
//! the send path ends with.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{
    Ended, Journal, LINES, Machine, PostgresDatabase, Process, Project, Provider, Watch, phone,
};

/// Where a stage keeps its ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    /// A database of its own on the tests' server.
    Postgres,
}

/// A project whose settings point at a sandbox in another process.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) project: Project,
    pub(crate) provider: Provider,
    /// None: the ledger is a file in the project.
    pub(crate) database: Option<PostgresDatabase>,
    pub(crate) watch: Watch,
    people: usize,
}

/// The campaign of every stage.
pub(crate) const CAMPAIGN: &str = "campaigns/hello.yaml";
/// How one of several processes on its run is started.
const WORKER: [&str; 3] = ["run", CAMPAIGN, "--yes"];
/// A worker, which waits for runs and stays when they have ended.
const SERVICE: [&str; 3] = ["work", "--runs", RUN];
/// Its one-off run.
pub(crate) const RUN: &str = "hello@once";

impl Stage {
    /// A campaign to `people` people, one text each, with the ledger in a file.
    pub(crate) async fn new(people: usize) -> Self {
        Self::with(people, "", "").await
    }

    /// The same, with further lines in the campaign and in the gateway's settings (without
    /// their indentation).
    pub(crate) async fn with(people: usize, campaign: &str, gateway: &str) -> Self {
        Self::on(On::Sqlite, people, campaign, gateway).await
    }

    /// The same, with the ledger where it is told.
    pub(crate) async fn on(on: On, people: usize, campaign: &str, gateway: &str) -> Self {
        let database = (on == On::Postgres).then(PostgresDatabase::default);
        Self::in_database(database, people, campaign, gateway).await
    }

    /// The same, in a database of the caller's.
    pub(crate) async fn in_database(
        database: Option<PostgresDatabase>,
        people: usize,
        campaign: &str,
        gateway: &str,
    ) -> Self {
        let provider = Provider::start().await;
        let mut project = Project::new();
        project.secret = Some(provider.secret.clone());
        let more: String = gateway.lines().fold(String::new(), |text, line| {
            text + "    " + line.trim_start() + "\n"
        });
        let ledger = match &database {
            None => String::new(),
            Some(database) => format!("ledger: {}\n", database.url().await),
        };
        let settings = format!("{ledger}{}{more}", provider.settings);
        project.write("sendoff.yaml", settings);
        let stage = Self {
            project,
            provider,
            database,
            watch: Watch::start(),
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

    /// Starts one more process on the run, which is frozen if it is not there yet.
    pub(crate) fn worker(&self) -> Process {
        self.project.spawn(&WORKER)
    }

    /// Starts a worker on another machine.
    pub(crate) fn service_on(&self, machine: &Machine) -> Process {
        self.project.spawn_on(machine, &SERVICE)
    }

    /// Whether nothing of the run is open any more.
    pub(crate) async fn is_finished(&self) -> bool {
        let status = self.project.run(&["status", RUN, "--format", "json"]).await;
        assert_eq!(status.code, Some(0), "{status:?}");
        let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
        status["state"] == "finished"
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
    /// says the same as the provider, person by person, and is proved.
    pub(crate) async fn assert_everybody_once(&self) -> Journal {
        let journal = self.assert_nobody_twice().await;
        assert_eq!(journal.totals.people, self.people, "somebody was left out");
        let rows = self.project.rows(RUN).await;
        assert_eq!(rows.len(), self.people);
        for (number, row) in (1..).zip(&rows) {
            assert_eq!(
                (row.number, row.state.as_str()),
                (number, "sent"),
                "{row:?}"
            );
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
        let proof = self.project.run(&["verify", RUN]).await;
        assert_eq!(proof.code, Some(0), "{proof:?}");
        journal
    }

    /// Whatever has happened so far: nobody has two messages, and no key has served two bodies.
    pub(crate) async fn assert_nobody_twice(&self) -> Journal {
        let journal = self.provider.journal().await;
        assert!(journal.totals.most_per_person <= 1, "somebody got it twice");
        assert_eq!(journal.totals.repeated_keys, 0);
        assert_eq!(journal.totals.messages, journal.totals.people);
        let mut bodies = HashMap::new();
        for post in journal.posts() {
            let first = bodies.entry(post.key.clone()).or_insert(&post.body_sha256);
            assert_eq!(*first, &post.body_sha256, "a key with two bodies: {post:?}");
        }
        for message in &journal.messages {
            assert_eq!(bodies[&message.key], &Some(message.body_sha256.clone()));
        }
        journal
    }
}
