//! A HueChat campaign, its sandbox in a process of its own, and real processes to send it; and
//! what every test with them ends with. No process lives through a step of time: it passes while
//! all are dead and nothing is on the wire, for those who come after, for the provider and for the
//! ledger's server alike.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::sleep;

use crate::send_path::books::{self, Books};
use crate::support::{
    CAMPAIGN, Ended, HueReceived, Journal, On, PostgresDatabase, Process, Project, Provider,
    Request, Row, phone, until,
};

/// What opens the sandbox's account.
const KEY: (&str, &str) = ("HUECHAT_API_KEY", "sk_test_bistro");
/// The provider shows a message by then, or has not taken it.
pub(super) const SHOWN_AFTER: Duration = Duration::from_mins(1);
/// What is in doubt is looked for by then: it left within ten seconds of its begin, or not at all.
pub(super) const LOOKED_FOR_AFTER: Duration = Duration::from_secs(75);
/// Longer than what lies in a socket is on its way to the sandbox.
const QUIET: Duration = Duration::from_millis(100);

/// The time that tests hand to the ledger's server: a name that is found before its own. A sequence
/// is the same for everybody at once, whatever they have read before.
const HOURS: &str = "
    CREATE SCHEMA hours;
    CREATE SEQUENCE hours.ahead_ms MINVALUE 0 START 0;
    CREATE FUNCTION hours.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
        SELECT pg_catalog.clock_timestamp()
            + (SELECT last_value FROM hours.ahead_ms) * interval '1 millisecond'
    $$;";

/// What the campaign of a stage sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// A template that was approved beforehand.
    Whatsapp,
    /// A text.
    Sms,
}

/// A project whose settings point at HueChat in another process.
#[derive(Debug)]
pub(super) struct HueStage {
    pub(super) project: Project,
    pub(super) provider: Provider,
    pub(super) database: Option<PostgresDatabase>,
    ahead_ms: AtomicU64,
}

impl HueStage {
    /// A campaign, so far to nobody, with further lines; a request may last for so long.
    pub(super) async fn new(on: On, by: By, terms: &str, timeout: &str) -> Self {
        let flags = ["--huechat-plan", "none", "--huechat-window", "off"];
        let provider = Provider::start_with(&[&flags[..], &["--numbers", "plain"]].concat()).await;
        let project = Project::new();
        let mut ledger = String::new();
        let database = (on == On::Postgres).then(PostgresDatabase::default);
        if let Some(database) = &database {
            ledger = format!("ledger: {}\n", database.url().await);
            database.run(HOURS).await;
            database.find_before_its_own("hours").await;
        }
        project.write(
            "sendoff.yaml",
            format!(
                "{ledger}gateways:\n  post:\n    kind: huechat\n    base_url: {}\n    \
                 api_key: {{ env: {} }}\n    plan: none\n    timeout: {timeout}\n",
                provider.huechat_url(),
                KEY.0
            ),
        );
        let channel = match by {
            By::Whatsapp => "whatsapp",
            By::Sms => "sms",
        };
        project.write(
            CAMPAIGN,
            format!(
                "name: hello\ngateway: post\nchannel: {channel}\n\
                 recipients: {{ csv: people.csv }}\nmessage: ../templates/hello.yaml\n{terms}\n"
            ),
        );
        project.write("templates/hello.yaml", message(by));
        Self {
            project,
            provider,
            database,
            ahead_ms: AtomicU64::new(0),
        }
    }

    /// Writes the list anew, with these of the invented people.
    pub(super) fn list(&self, people: impl Iterator<Item = usize>) {
        let head = "Phone,First Name,Order,Item,Arrives\n".to_owned();
        let list = people.fold(head, |mut list, n| {
            writeln!(list, "{},Person {n},A-{n},Kitchen tap,Monday", phone(n)).unwrap();
            list
        });
        self.project.write("campaigns/people.csv", list);
    }

    fn start(&self, args: &[&str], more: Option<(&str, &str)>) -> Process {
        let ahead = self.ahead_ms.load(Ordering::SeqCst).to_string();
        let variables: Vec<_> = [KEY, ("SENDOFF_CLOCK_AHEAD", &*ahead)]
            .into_iter()
            .chain(more)
            .collect();
        self.project.spawn_with(args, &variables)
    }

    /// One process on an occurrence of the campaign, which is frozen if it is not there yet.
    pub(super) fn worker(&self, occurrence: &str) -> Process {
        self.start(&run(occurrence), None)
    }

    /// One that ends itself at a crash point, such as `begin.committed:3`.
    pub(super) fn doomed(&self, occurrence: &str, at: &str) -> Process {
        self.start(&run(occurrence), Some(("SENDOFF_CRASH_AT", at)))
    }

    /// Sends what is due now, and no more.
    pub(super) async fn send_what_is_due(&self, occurrence: &str) -> Ended {
        let args = [&run(occurrence)[..], &["--until-idle"]].concat();
        self.start(&args, None).end().await
    }

    /// Waits until somebody has seen that a doubt cannot be settled for now.
    pub(super) async fn until_put_off(&self) {
        let ahead = i64::try_from(self.ahead_ms.load(Ordering::SeqCst)).unwrap();
        let soon = Timestamp::now().as_millisecond() + ahead + 30_000;
        let file = self.project.path(books::LEDGER);
        until("the doubt to be put off", async || {
            let put_off = books::put_off(&file, self.database.as_ref(), soon).await;
            (put_off > 0).then_some(())
        })
        .await;
    }

    /// On a server, whoever was killed is silent for long enough to count as gone.
    pub(super) async fn bury_the_killed(&self) {
        if let Some(database) = &self.database {
            database.run("UPDATE owners SET alive_until = 0").await;
        }
    }

    /// The same of one of several, by the id of its process.
    pub(super) async fn bury(&self, id: &str) {
        if let Some(database) = &self.database {
            let one = format!("UPDATE owners SET alive_until = 0 WHERE owner LIKE '%-{id}'");
            database.run(one).await;
        }
    }

    /// Nothing is on its way to the provider any more, and nothing lies there.
    async fn quiet(&self) {
        let mut before = usize::MAX;
        until("the wire to be empty", async || {
            let totals = self.provider.totals().await;
            let is_quiet = totals.waiting == 0 && totals.requests == before;
            before = totals.requests;
            if !is_quiet {
                sleep(QUIET).await;
            }
            is_quiet.then_some(())
        })
        .await;
    }

    /// Lets so much time pass. Everybody has been killed, or has ended.
    pub(super) async fn later(&self, by: Duration) {
        self.quiet().await;
        let ms = u64::try_from(by.as_millis()).unwrap();
        let ahead = self.ahead_ms.fetch_add(ms, Ordering::SeqCst) + ms;
        self.provider.step(by).await;
        if let Some(database) = &self.database {
            let step = format!("SELECT setval('hours.ahead_ms', {ahead})");
            database.run(step).await;
        }
    }

    pub(super) async fn books(&self) -> Books {
        Books::at(&self.project, self.database.as_ref()).await
    }

    /// The run's rows against the provider's record: nobody has two messages, whoever is said to
    /// have been sent one has that one, whoever has one is said to, or is listed as uncertain;
    /// nobody is left out, and nobody was made known twice.
    pub(super) async fn compare(&self, occurrence: &str, people: usize) -> Compared {
        let journal = self.provider.journal().await;
        let mut received: HashMap<&str, &HueReceived> = HashMap::new();
        for message in &journal.hue_messages {
            let to = message.phone.as_deref().unwrap();
            let before = received.insert(to, message);
            assert!(before.is_none(), "{to} got it twice");
        }
        let posts = posts(&journal);
        let run = format!("hello@{occurrence}");
        let rows: Vec<Row> = self.project.rows(&run).await;
        assert_eq!(rows.len(), people);
        let mut compared = Compared::default();
        for row in &rows {
            let got = received.remove(&*row.phone);
            match row.state.as_str() {
                "sent" => {
                    let got = got.unwrap_or_else(|| panic!("never received: {row:?}"));
                    let theirs = (&*got.message_id, &*got.conversation_id);
                    assert_eq!(theirs, (&*row.message_id, &*row.chat_id), "{row:?}");
                    compared.sent += 1;
                }
                "uncertain" if got.is_some() => compared.uncertain_with += 1,
                "uncertain" => compared.uncertain_without += 1,
                _ => panic!("neither sent nor in doubt: {row:?}"),
            }
            let posts = posts.get(&*row.phone).map_or(&[][..], Vec::as_slice);
            let begun = usize::try_from(row.attempts).unwrap();
            assert!(posts.len() <= begun, "sent without a begin: {row:?}");
            assert_patient(posts);
            compared.posts += posts.len();
        }
        let mut known = self.provider.hue_contacts().await;
        known.sort_unstable();
        let before = known.len();
        known.dedup();
        assert_eq!(known.len(), before, "somebody was made known twice");
        let proof = self.project.run(&["verify", &run]).await;
        assert_eq!(proof.code, Some(0), "{proof:?}");
        compared
    }
}

/// How a run came out, by the provider's record and the ledger's.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) sent: usize,
    /// Listed as uncertain: they have the message.
    pub(super) uncertain_with: usize,
    /// The same, and they have not.
    pub(super) uncertain_without: usize,
    /// Requests that have carried a message.
    pub(super) posts: usize,
}

/// The arguments of a process on an occurrence.
fn run(occurrence: &str) -> [&str; 5] {
    ["run", CAMPAIGN, "--yes", "--occurrence", occurrence]
}

fn message(by: By) -> &'static str {
    match by {
        By::Whatsapp => {
            "parts:\n  - type: template\n    name: order_confirmation\n    parameters:\n      \
             \"1\": \"{{ first_name }}\"\n      \"2\": \"{{ order }}\"\n      \
             \"3\": \"{{ item }}\"\n      \"4\": \"{{ arrives }}\"\n"
        }
        By::Sms => {
            "parts:\n  - type: text\n    value: \"Hi {{ first_name }}, {{ item }} comes on \
             {{ arrives }}.\"\n"
        }
    }
}

/// What has carried a message, by person and in the order of arrival.
pub(super) fn posts(journal: &Journal) -> BTreeMap<&str, Vec<&Request>> {
    let mut posts: BTreeMap<&str, Vec<&Request>> = BTreeMap::new();
    for post in journal.requests.iter().filter(|one| one.is_hue_post()) {
        let to = post.to.as_deref().unwrap();
        posts.entry(to).or_default().push(post);
    }
    for of_one in posts.values_mut() {
        of_one.sort_by_key(|post| post.at);
    }
    posts
}

/// A request whose fate the sender cannot know is followed by another one only when the provider
/// would have shown what it took.
fn assert_patient(posts: &[&Request]) {
    for pair in posts.windows(2) {
        let [before, next] = pair else { continue };
        let is_known = before.status.is_some_and(|status| status < 500);
        let apart = next.provider_at.duration_since(before.provider_at);
        // It arrived later than its attempt was begun.
        let waited = apart + jiff::SignedDuration::from_secs(2);
        let enough = jiff::SignedDuration::try_from(SHOWN_AFTER).unwrap();
        assert!(is_known || waited >= enough, "too soon: {pair:?}");
    }
}

/// A whole answer of the control surface, for rules that are written as JSON.
pub(super) fn rule(kind: &str, route: &str, more: &Value) -> Value {
    let mut rule = serde_json::json!({ "kind": kind, "match": { "route": route } });
    let fields = rule.as_object_mut().unwrap();
    fields.extend(more.as_object().cloned().unwrap_or_default());
    rule
}
