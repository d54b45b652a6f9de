//! What a provider that knows no keys shows of its conversations, and what is made of it: who said
//! STOP while nobody listened, and whether a message without an answer went out. The sandbox's
//! conversations are the oracle.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::{HueChatAccount, Plan, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::channel::Channel;
use sendoff::domain::contact::Contact;
use sendoff::domain::key::IdempotencyKey;
use sendoff::domain::message::{Message, Part};
use sendoff::domain::outcome::Outcome;
use sendoff::domain::run::RunId;
use sendoff::engine::clock::Clock as _;
use sendoff::engine::ears::Ears;
use sendoff::engine::limiter::Guard;
use sendoff::engine::listener::Listener;
use sendoff::engine::receipts::Looker;
use sendoff::gateway::huechat::HueChat;
use sendoff::gateway::{AtOnce, Envelope, Gateway as _, Sighting, Sought, Turns};
use sendoff::ledger::sqlite::{Durability, SqliteLedger};
use sendoff::ledger::{Ledger, NewReply};
use sendoff::sandbox::{
    Clock as SandboxClock, HueConfig, HueIncoming, HuePlan, HueWindow, Sandbox, SandboxConfig,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use super::caps::{DayClock, served};
use crate::support::PATIENCE;

const KEY: &str = "sk_test_bistro";
const GATEWAY: &str = "whatsapp";

struct Office {
    folder: TempDir,
    clock: Arc<DayClock>,
    sandbox: Sandbox,
    _end: DropGuard,
}

fn person(n: usize) -> Address {
    Address::stored(&format!("+1{:03}55501{:02}", 200 + n / 80, 20 + n % 80)).unwrap()
}

fn words(text: &str) -> Message {
    Message {
        parts: vec![Part::Text {
            value: text.to_owned(),
            subject: None,
        }],
        contact: None,
    }
}

fn said(n: usize, text: &str) -> HueIncoming {
    HueIncoming {
        channel: Channel::Whatsapp,
        from: person(n).expose().to_owned(),
        text: text.to_owned(),
        account: None,
    }
}

impl Office {
    async fn new() -> Self {
        let clock = Arc::new(DayClock::new());
        let shown = clock.clone();
        let config = SandboxConfig {
            huechat: HueConfig {
                plan: HuePlan::Unlimited,
                window: HueWindow::Off,
                ..HueConfig::default()
            },
            clock: SandboxClock::new(move || shown.now()),
            ..SandboxConfig::default()
        };
        let (sandbox, end) = served(config).await;
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            sandbox,
            _end: end,
        }
    }

    fn gateway(&self) -> HueChat {
        let account = HueChatAccount {
            base_url: self.sandbox.huechat_url(),
            api_key: SecretSource::Env(String::new()),
            plan: Plan::NONE,
            timeout: SignedDuration::from_secs(20),
            webhook: None,
        };
        let shown = self.clock.clone();
        let now = Arc::new(move || shown.now());
        HueChat::new(&account, KEY.to_owned().into(), now).unwrap()
    }

    async fn ledger(&self) -> Arc<dyn Ledger> {
        let path = self.folder.path().join("ledger.db");
        Arc::new(SqliteLedger::open(&path, Durability::None).await.unwrap())
    }

    /// A process of its own that hears what was answered, as `sync` does.
    async fn hear(&self) -> u64 {
        self.ears(Arc::new(self.gateway()))
            .await
            .once()
            .await
            .unwrap()
            .unwrap()
    }

    async fn ears(&self, gateway: Arc<HueChat>) -> Listener {
        let looker = Looker {
            ledger: self.ledger().await,
            gateway,
            clock: self.clock.clone(),
            guard: Guard::default(),
        };
        let heard = Listener::new(looker, GATEWAY, &Ears::default(), 1).await;
        heard.unwrap()
    }

    /// Sends one message as the engine does; its conversation.
    async fn send(&self, gateway: &HueChat, to: &Address, text: &str) -> (String, String) {
        let contact = Contact {
            first_name: "Dana".to_owned(),
            last_name: None,
        };
        let id = gateway.contact(to, &contact, &AtOnce).await.unwrap();
        let run = RunId::parse("order@once").unwrap();
        let key = IdempotencyKey::derive(&run, to.expose(), 0, 0);
        let request = gateway.request(&Envelope {
            to,
            contact_id: id.as_deref(),
            channel: Some(Channel::Whatsapp),
            chat_id: None,
            line: None,
            message: &words(text),
            attachments: &BTreeMap::new(),
            key: &key,
        });
        let outcome = gateway.send(&request).await;
        assert_eq!(outcome.class().as_str(), "accepted", "{outcome:?}");
        let last = self.sandbox.hue_messages().pop().unwrap();
        (id.unwrap(), last.conversation_id)
    }

    fn says(&self, n: usize, text: &str) {
        self.sandbox.hue_receive(&said(n, text)).unwrap();
    }

    async fn post(&self, path: &str, body: Value) {
        let url = format!("{}{path}", self.sandbox.huechat_url());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(url).header("X-API-Key", KEY);
        let request = request.header("content-type", "application/json");
        let request = request.body(body.to_string()).timeout(PATIENCE);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    }

    fn pass(&self, hours: i64) {
        let later = self.clock.now() + SignedDuration::from_hours(hours);
        self.clock.forward_to(later);
    }

    async fn is_listed(&self, n: usize) -> bool {
        let ledger = self.ledger().await;
        let list = ledger.suppressions(None, 100).await.unwrap();
        list.iter().any(|one| one.phone == person(n))
    }

    async fn look(
        &self,
        gateway: &HueChat,
        sought: (&str, Option<&str>),
        since: Timestamp,
    ) -> Sighting {
        self.clock.forward_to(since + SignedDuration::from_secs(60));
        let (contact_id, chat_id) = sought;
        let message = words("Your table is ready.");
        let sought = Sought {
            chat_id,
            contact_id: Some(contact_id),
            channel: Some(Channel::Whatsapp),
            message: &message,
            since,
            now: self.clock.now(),
            others: &HashSet::new(),
        };
        gateway.find(&sought, &AtOnce).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_days_ago_is_heard_though_nobody_listened_and_later_words_were_told() {
    let office = Office::new().await;
    office.hear().await;
    office.send(&office.gateway(), &person(1), "Hello").await;
    office.pass(2);
    office.says(1, "STOP");
    office.pass(70);
    // A webhook tells of somebody else; that nothing was missed before, it does not say.
    let told = NewReply {
        event_id: "msg_told".to_owned(),
        gateway: GATEWAY.to_owned(),
        phone: person(2),
        channel: Some(Channel::Whatsapp),
        line: String::new(),
        chat_id: Some("conv_9".to_owned()),
        text: "Thanks".to_owned(),
        at: office.clock.now(),
    };
    let ledger = office.ledger().await;
    ledger.keep_reply(&told, office.clock.now()).await.unwrap();
    assert!(!office.is_listed(1).await);
    assert_eq!(office.hear().await, 1);
    assert!(office.is_listed(1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_somebody_at_the_account_has_read_and_answered_is_heard() {
    let office = Office::new().await;
    let gateway = Arc::new(office.gateway());
    let ears = office.ears(gateway.clone()).await;
    for (n, answered) in [(1, false), (2, true)] {
        let (contact, conversation) = office.send(&gateway, &person(n), "Hello").await;
        assert_eq!(ears.once().await.unwrap().unwrap(), 0);
        office.says(n, "STOP");
        if answered {
            let body = json!({ "channel": "whatsapp", "message_type": "text",
                "content": "We took you off the list." });
            office
                .post(&format!("/contact/{contact}/message"), body)
                .await;
        }
        office
            .post(&format!("/conversation/{conversation}/resolve"), json!({}))
            .await;
        assert_eq!(ears.once().await.unwrap().unwrap(), 1, "{answered}");
        assert!(office.is_listed(n).await, "{answered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_we_sent_ourselves_costs_no_request_when_answers_are_read() {
    let office = Office::new().await;
    let gateway = Arc::new(office.gateway());
    let ears = office.ears(gateway.clone()).await;
    let asked = || {
        let requests = office.sandbox.hue_report().requests;
        let of = |(route, n): (&String, &usize)| route.ends_with("/messages").then_some(*n);
        requests.iter().filter_map(of).sum::<usize>()
    };
    for round in 0..3 {
        for n in 0..5 {
            office
                .send(&gateway, &person(n), &format!("Round {round}"))
                .await;
        }
        assert_eq!(ears.once().await.unwrap().unwrap(), 0);
    }
    assert_eq!(asked(), 0);
    office.says(3, "Thanks");
    assert_eq!(ears.once().await.unwrap().unwrap(), 1);
    assert_eq!(asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_opened_another_conversation_is_found_there() {
    let office = Office::new().await;
    let gateway = office.gateway();
    let (contact, first) = office.send(&gateway, &person(1), "Hello").await;
    office
        .post(&format!("/conversation/{first}/resolve"), json!({}))
        .await;
    office.pass(1);
    let since = office.clock.now();
    let absent = office.look(&gateway, (&contact, Some(&first)), since).await;
    assert_eq!(absent, Sighting::Absent);
    let since = office.clock.now();
    let (_, second) = office
        .send(&gateway, &person(1), "Your table is ready.")
        .await;
    assert_ne!(first, second);
    for known in [Some(&*first), None] {
        let found = office.look(&gateway, (&contact, known), since).await;
        let Sighting::Found { chat_id, .. } = found else {
            panic!("{known:?}: {found:?}");
        };
        assert_eq!(chat_id.as_deref(), Some(&*second));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_ours_in_other_words_proves_nothing() {
    let office = Office::new().await;
    let gateway = office.gateway();
    let since = office.clock.now();
    let (contact, chat) = office
        .send(&gateway, &person(1), "Your table is ready!")
        .await;
    let seen = office.look(&gateway, (&contact, Some(&chat)), since).await;
    assert!(matches!(seen, Sighting::Unclear { .. }), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_comes_to_the_top_while_others_are_read_is_not_missed() {
    let office = Office::new().await;
    let gateway = office.gateway();
    let since = office.clock.now();
    let (contact, _) = office
        .send(&gateway, &person(0), "Your table is ready.")
        .await;
    // More than a page of others are newer by now.
    for n in 1..150 {
        office.send(&gateway, &person(n), "Another message").await;
    }
    let turns = Interrupting {
        sandbox: office.sandbox.clone(),
        taken: AtomicUsize::new(0),
    };
    let message = words("Your table is ready.");
    office
        .clock
        .forward_to(since + SignedDuration::from_secs(60));
    let sought = Sought {
        chat_id: None,
        contact_id: Some(&contact),
        channel: Some(Channel::Whatsapp),
        message: &message,
        since,
        now: office.clock.now(),
        others: &HashSet::new(),
    };
    let found = gateway.find(&sought, &turns).await.unwrap();
    assert!(matches!(found, Sighting::Found { .. }), "{found:?}");
}

/// Before the second page is read, the person of its last row writes.
#[derive(Debug)]
struct Interrupting {
    sandbox: Sandbox,
    taken: AtomicUsize,
}

#[async_trait]
impl Turns for Interrupting {
    async fn next(&self) -> Result<(), Outcome> {
        if self.taken.fetch_add(1, Ordering::SeqCst) == 1 {
            self.sandbox.hue_receive(&said(0, "Thanks")).unwrap();
        }
        Ok(())
    }

    async fn ready(&self) {}
}
