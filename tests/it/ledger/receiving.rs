//! The receiver of webhooks, at a real socket: what it takes and what it refuses, and what the
//! events come to when they are handled, in whatever order and however often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::{
    SIGNATURE_HEADER, SIGNATURE_PREFIX, SecretSource, SignatureAlgorithm, SignedContent, Webhook,
};
use sendoff::domain::address::Address;
use sendoff::domain::channel::Channel;
use sendoff::domain::delivery::DeliveryState::{self, Delivered, Failed, Pending, Read, Sent};
use sendoff::engine::clock::Clock;
use sendoff::gateway::huechat::signature::Verifier;
use sendoff::ledger::{NewRun, Next};
use sendoff::service::inbox::{Handled, Inbox};
use sendoff::service::receiver::Receiver;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, at, freeze, new_run, owner, phone, rows};
use super::proving::assert_proved;
use super::store::Store;
use crate::support::{PATIENCE, until};

const GATEWAY: &str = "whatsapp";
const SECRET: &str = "whsec_9d2f6c1ab04e77";

/// A clock that shows what it is told.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        at(self.0.load(Ordering::SeqCst))
    }
}

/// A receiver at work, and a run whose messages it hears of.
struct Scene {
    bench: Bench,
    clock: Arc<Hand>,
    inbox: Arc<Inbox>,
    url: String,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

fn webhook() -> Webhook {
    Webhook {
        secret: SecretSource::Env(String::new()),
        header: SIGNATURE_HEADER.to_owned(),
        prefix: SIGNATURE_PREFIX.to_owned(),
        algorithm: SignatureAlgorithm::HmacSha256,
        signed: SignedContent::Body,
    }
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let bytes = mac.finalize().into_bytes();
    sendoff::domain::digest::hex(&bytes)
}

impl Scene {
    /// Three people, to whom `msg_1` to `msg_3` were sent.
    async fn new(store: &dyn Store) -> Self {
        let ledger = store.open().await;
        let run = NewRun {
            gateway: GATEWAY.to_owned(),
            ..new_run("spring@once")
        };
        let run = freeze(&*ledger, &run, rows(1..=4, "whatsapp")).await;
        let me = owner("me");
        ledger.enlist(&me, at(0)).await.unwrap();
        let bench = Bench { ledger, run, me };
        for n in 1..=3 {
            let sent = Next::Sent {
                message_id: Some(format!("msg_{n}")),
                chat_id: Some(format!("conv_{n}")),
            };
            bench.settle_one(0, sent).await;
        }
        let clock = Arc::new(Hand::default());
        let inbox = Arc::new(Inbox::new(bench.ledger.clone(), clock.clone()));
        let verifier = Verifier::new(&webhook(), SECRET.to_owned().into());
        let hooks = BTreeMap::from([(GATEWAY.to_owned(), verifier)]);
        let receiver = Arc::new(Receiver::new(hooks, inbox.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hooks/", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let server = tokio::spawn(receiver.serve(listener, stop.clone()));
        Self {
            bench,
            clock,
            inbox,
            url,
            stop,
            server,
        }
    }

    /// Delivers a body; the status of the answer.
    async fn post(&self, gateway: &str, headers: &[(&str, &str)], body: String) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = headers.iter().fold(
            client.post(format!("{}{gateway}", self.url)),
            |request, (name, value)| request.header(*name, *value),
        );
        let answer = request.body(body).timeout(PATIENCE);
        answer.send().await.unwrap().status().as_u16()
    }

    async fn deliver(&self, event: &Value) -> u16 {
        let body = event.to_string();
        let signed = format!("sha256={}", signature(&body));
        self.post(GATEWAY, &[(SIGNATURE_HEADER, &signed)], body)
            .await
    }

    /// Delivers and handles.
    async fn tell(&self, event: &Value) -> Handled {
        assert_eq!(self.deliver(event).await, 200, "{event}");
        self.handle().await
    }

    async fn handle(&self) -> Handled {
        let gateways = [GATEWAY.to_owned()];
        let end = CancellationToken::new();
        self.inbox.handle_all(&gateways, &end).await.unwrap()
    }

    async fn waiting(&self) -> u64 {
        self.bench.ledger.events_left(GATEWAY).await.unwrap()
    }

    async fn state(&self, row: u64) -> DeliveryState {
        self.bench.row(row).await.state
    }

    async fn end(self) {
        assert_proved(&*self.bench.ledger, &self.bench.run.run).await;
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
    }
}

/// An event of this moment.
fn event(id: &str, kind: &str, data: &Value) -> Value {
    json!({ "id": id, "type": kind, "timestamp": at(0).to_string(), "retry_count": 0,
        "data": data, "organization_id": "org_1" })
}

fn about(message: &str, kind: &str) -> Value {
    let id = format!("evt_{message}_{kind}");
    event(
        &id,
        &format!("message.{kind}"),
        &json!({ "id": message, "status": kind }),
    )
}

fn says(message: &str, person: u32, words: &str) -> Value {
    let data = json!({ "id": message, "conversation_id": "conv_1", "channel": "whatsapp",
        "contact": { "id": "cnt_1", "phone": phone(person).expose() }, "sent_by": "contact",
        "content": words, "sent_at": at(0).to_string() });
    event(&format!("evt_{message}"), "message.received", &data)
}

pub(super) async fn only_what_the_provider_signed_is_taken(store: &dyn Store) {
    let scene = Scene::new(store).await;
    let body = || about("msg_1", "read").to_string();
    let right = format!("sha256={}", signature(&body()));
    let bare = signature(&body());
    let wrong = format!("sha256={}", signature("something else"));
    for headers in [
        &[][..],
        &[(SIGNATURE_HEADER, wrong.as_str())],
        &[(SIGNATURE_HEADER, "sha256=")],
        &[("X-Other-Signature", right.as_str())],
    ] {
        assert_eq!(
            scene.post(GATEWAY, headers, body()).await,
            401,
            "{headers:?}"
        );
    }
    let signed = [(SIGNATURE_HEADER, right.as_str())];
    assert_eq!(scene.post(GATEWAY, &signed, body() + " ").await, 401);
    assert_eq!(scene.post("nobody", &signed, body()).await, 404);
    assert_eq!(scene.waiting().await, 0, "nothing of it is left");
    assert_eq!(scene.post(GATEWAY, &signed, body()).await, 200);
    let bare = [(SIGNATURE_HEADER, bare.as_str())];
    assert_eq!(scene.post(GATEWAY, &bare, body()).await, 200);
    assert_eq!(scene.waiting().await, 1, "it was the same event");
    scene.end().await;
}

pub(super) async fn what_is_too_long_or_no_event_is_refused(store: &dyn Store) {
    let scene = Scene::new(store).await;
    for (body, expected) in [
        ("not JSON".to_owned(), 400),
        ("[]".to_owned(), 400),
        ("x".repeat(1024 * 1024 + 1), 413),
    ] {
        let signed = format!("sha256={}", signature(&body));
        let headers = [(SIGNATURE_HEADER, signed.as_str())];
        assert_eq!(scene.post(GATEWAY, &headers, body).await, expected);
    }
    assert_eq!(scene.waiting().await, 0);
    // As long as may be.
    let mut long = about("msg_1", "read");
    long["padding"] = "x".repeat(1024 * 1024 - 1_000).into();
    assert_eq!(scene.deliver(&long).await, 200);
    scene.end().await;
}

pub(super) async fn an_old_first_delivery_is_refused_and_a_late_retry_is_not(store: &dyn Store) {
    let scene = Scene::new(store).await;
    scene.clock.0.store(6 * 60_000, Ordering::SeqCst);
    let mut old = about("msg_1", "read");
    assert_eq!(scene.deliver(&old).await, 401);
    old["retry_count"] = 1.into();
    assert_eq!(scene.deliver(&old).await, 200);
    scene.end().await;
}

pub(super) async fn a_status_never_goes_back_in_whatever_order_it_is_told(store: &dyn Store) {
    let scene = Scene::new(store).await;
    for (message, kind, handled, state) in [
        ("msg_1", "sent", 0, Sent),
        ("msg_1", "delivered", 1, Delivered),
        ("msg_1", "read", 1, Read),
        // Backwards: read is known first.
        ("msg_2", "read", 1, Read),
        ("msg_2", "delivered", 0, Read),
        ("msg_2", "sent", 0, Read),
    ] {
        let told = scene.tell(&about(message, kind)).await;
        assert_eq!(
            (told.events, told.receipts),
            (1, handled),
            "{message} {kind}"
        );
        let row = if message == "msg_1" { 1 } else { 2 };
        assert_eq!(scene.state(row).await, state, "{message} {kind}");
    }
    // The same once more, and under another name.
    assert_eq!(
        scene.tell(&about("msg_1", "delivered")).await,
        Handled::default()
    );
    let mut again = about("msg_1", "delivered");
    again["id"] = "evt_another".into();
    assert_eq!(scene.tell(&again).await.receipts, 0);
    assert_eq!(scene.state(1).await, Read);
    let row = scene.bench.row(2).await;
    assert_eq!(row.read_at, Some(at(0)));
    scene.end().await;
}

pub(super) async fn a_failure_is_kept_with_the_platforms_code(store: &dyn Store) {
    let scene = Scene::new(store).await;
    let failed = |id, message| {
        let data = json!({ "id": message, "status": "failed",
            "error": "131026: Message undeliverable" });
        event(id, "message.sent", &data)
    };
    assert_eq!(scene.tell(&failed("evt_1", "msg_1")).await.receipts, 1);
    let row = scene.bench.row(1).await;
    assert_eq!((row.state, row.code), (Failed, Some(131_026)));
    // What has arrived has arrived.
    scene.tell(&about("msg_2", "delivered")).await;
    assert_eq!(scene.tell(&failed("evt_2", "msg_2")).await.receipts, 0);
    assert_eq!(scene.state(2).await, Delivered);
    // Of a type that is not published: taken, and nothing is changed.
    let mut later = failed("evt_3", "msg_3");
    later["type"] = "message.failed".into();
    assert_eq!(scene.tell(&later).await.events, 1);
    assert_eq!(scene.state(3).await, Sent);
    scene.end().await;
}

pub(super) async fn stop_is_obeyed_before_the_next_message_is_begun(store: &dyn Store) {
    let scene = Scene::new(store).await;
    // The fourth is claimed, and about to be begun.
    let claim = scene.bench.take_one(10).await;
    let told = scene.tell(&says("msg_70", 4, "Stop")).await;
    assert_eq!(told.answers, 1);
    let begun = scene.bench.begin(&claim, 20).await;
    assert_eq!(begun, sendoff::ledger::Written::LeftOut);
    let suppressed = scene.bench.ledger.suppressions(None, 5).await.unwrap();
    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0].phone, phone(4));
    assert_eq!(suppressed[0].event_id.as_deref(), Some("msg_70"));
    let (ledger, person) = (&scene.bench.ledger, phone(4));
    let last = ledger
        .last_replies(GATEWAY, Channel::Whatsapp, &[&person])
        .await;
    assert_eq!(last.unwrap().remove(person.expose()), Some(at(0)));
    // The same answer under the name of another event.
    let mut again = says("msg_70", 4, "Stop");
    again["id"] = "evt_other".into();
    assert_eq!(scene.tell(&again).await.answers, 0);
    assert_ne!(scene.state(4).await, Pending);
    scene.end().await;
}

pub(super) async fn an_answer_of_a_contact_is_the_persons_behind_it(store: &dyn Store) {
    let scene = Scene::new(store).await;
    let mail = Address::stored("dana@example.com").unwrap();
    let ledger = scene.bench.ledger.clone();
    let known = async |address: &Address| {
        let kept = ledger.keep_contact(GATEWAY, address, "cnt_4").await;
        kept.unwrap();
    };
    let says = |message: &str, channel: &str| {
        let data = json!({ "id": message, "contact_id": "cnt_4", "channel": channel,
            "sent_by": "contact", "content": "STOP", "sent_at": at(0).to_string() });
        event(&format!("evt_{message}"), "message.received", &data)
    };
    known(&mail).await;
    let told = scene.tell(&says("msg_80", "whatsapp")).await;
    assert_eq!(
        (told.put_off, told.answers),
        (1, 0),
        "nobody's number is known"
    );
    let listed = async || {
        let listed = ledger.suppressions(None, 5).await.unwrap();
        listed.into_iter().map(|one| one.phone).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, []);
    known(&phone(4)).await;
    scene.clock.0.store(5_000, Ordering::SeqCst);
    assert_eq!(scene.handle().await.answers, 1);
    assert_eq!(listed().await, [phone(4)]);
    assert_eq!(scene.tell(&says("msg_81", "email")).await.answers, 1);
    assert_eq!(listed().await, [phone(4), mail]);
    scene.end().await;
}

pub(super) async fn an_event_that_comes_before_its_message_waits_for_it(store: &dyn Store) {
    let scene = Scene::new(store).await;
    let claim = scene.bench.take_one(10).await;
    assert_eq!(scene.tell(&about("msg_4", "delivered")).await.put_off, 1);
    assert_eq!(scene.waiting().await, 1);
    let sent = Next::Sent {
        message_id: Some("msg_4".to_owned()),
        chat_id: None,
    };
    scene.bench.settle(&claim, 20, sent).await;
    scene.clock.0.store(5_000, Ordering::SeqCst);
    assert_eq!(scene.handle().await.receipts, 1);
    assert_eq!(scene.state(4).await, Delivered);
    // One that nobody ever sent is let go after a while.
    scene.clock.0.store(0, Ordering::SeqCst);
    assert_eq!(scene.tell(&about("msg_9", "read")).await.put_off, 1);
    let much_later = SignedDuration::from_mins(16).as_millis();
    let much_later = i64::try_from(much_later).unwrap();
    scene.clock.0.store(much_later, Ordering::SeqCst);
    assert_eq!(scene.handle().await.events, 1);
    assert_eq!(scene.waiting().await, 0);
    scene.end().await;
}

pub(super) async fn what_cannot_be_kept_is_not_answered_with_200(store: &dyn Store) {
    let scene = Scene::new(store).await;
    scene.bench.ledger.close().await;
    assert_eq!(scene.deliver(&about("msg_1", "read")).await, 503);
    // Told again when the ledger is there, it is news.
    let ledger = store.open().await;
    assert_eq!(ledger.events_left(GATEWAY).await.unwrap(), 0);
    scene.stop.cancel();
    scene.server.await.unwrap().unwrap();
}

pub(super) async fn a_receiver_that_is_told_to_end_waits_for_nobody_for_long(store: &dyn Store) {
    let scene = Scene::new(store).await;
    let address = scene.url.trim_start_matches("http://");
    let (address, _) = address.split_once('/').unwrap();
    // One that says nothing, and one that breaks off in the middle.
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut broken = TcpStream::connect(address).await.unwrap();
    let half = "POST /hooks/whatsapp HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    broken.write_all(half.as_bytes()).await.unwrap();
    assert_eq!(scene.deliver(&about("msg_1", "read")).await, 200);
    scene.stop.cancel();
    let ended = tokio::time::timeout(PATIENCE, scene.server).await;
    ended.expect("it ends").unwrap().unwrap();
}

pub(super) async fn what_was_kept_and_not_handled_is_handled_after_a_restart(store: &dyn Store) {
    let scene = Scene::new(store).await;
    assert_eq!(scene.deliver(&about("msg_1", "read")).await, 200);
    assert_eq!(scene.deliver(&says("msg_71", 4, "STOP")).await, 200);
    assert_eq!(scene.state(1).await, Sent, "kept, and nothing more");
    // Two others start at once, on what is left.
    let gateways = [GATEWAY.to_owned()];
    let end = CancellationToken::new();
    let ledgers = (store.open().await, store.open().await);
    let one = Inbox::new(ledgers.0, scene.clock.clone());
    let two = Inbox::new(ledgers.1, scene.clock.clone());
    let both = async { tokio::join!(one.work(&gateways, &end), two.work(&gateways, &end)) };
    let done = async {
        until("both to be handled", async || {
            (scene.waiting().await == 0).then_some(())
        })
        .await;
        end.cancel();
    };
    tokio::join!(both, done);
    assert_eq!(scene.state(1).await, Read);
    let listed = scene.bench.ledger.suppressions(None, 5).await.unwrap();
    assert_eq!(listed.len(), 1);
    scene.end().await;
}
