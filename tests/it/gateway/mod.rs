//! The gateways against bytes written by hand after the contracts: what they put on the wire, and
//! what they make of every kind of answer. What is of Chert stands here, and the classes of its
//! well-formed answers beside its classifier; what is of HueChat stands in `hue`.

mod answers;
pub(crate) mod hue;
mod requests;
pub(crate) mod server;
mod stream;
mod uploads;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use sendoff::domain::account::{ChertAccount, ChertAuth, DEFAULT_RETENTION, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::digest::Digest;
use sendoff::domain::key::IdempotencyKey;
use sendoff::domain::message::Message;
use sendoff::domain::outcome::Outcome;
use sendoff::domain::run::RunId;
use sendoff::gateway::chert::Chert;
use sendoff::gateway::{Envelope, Gateway, GatewayError, Now, Request};

use server::{Reply, Server};

/// Invented, in the shape of chert §2.
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// 1781082900 in Unix seconds.
const NOW: &str = "2026-06-10T09:15:00Z";
const TAKEN: &str =
    r#"{"chat":{"id":"ch_1"},"message":{"id":"msg_1","chat_id":"ch_1","status":"sent"}}"#;

pub(crate) fn account(base_url: &str) -> ChertAccount {
    ChertAccount {
        base_url: base_url.to_owned(),
        tenant: Some("acme-7a3f".to_owned()),
        auth: ChertAuth::Hmac,
        signing_secret: SecretSource::Env("CHERT_SIGNING_SECRET".to_owned()),
        limit: None,
        first_touch: None,
        timeout: SignedDuration::from_secs(20),
        idempotency_retention: DEFAULT_RETENTION,
    }
}

pub(crate) fn gateway_of(account: ChertAccount) -> Result<Chert, GatewayError> {
    let now: Timestamp = NOW.parse().unwrap();
    let now: Now = Arc::new(move || now);
    Chert::new(account, SecretString::from(SECRET), now)
}

/// A server with this script, and a gateway that signs and talks to it.
fn pair(replies: Vec<Reply>) -> (Server, Chert) {
    let server = Server::start(replies);
    let gateway = gateway_of(account(&server.base_url())).unwrap();
    (server, gateway)
}

/// The request of a delivery to Dana: an image, a text, a link.
pub(crate) fn request(gateway: &Chert, chat_id: Option<&str>) -> Request {
    let image = Digest::of(b"png");
    let message = format!(
        r#"[{{"type":"media","sha256":"{image}"}},
            {{"type":"text","value":"Hi Dana, it's “Joe” 🚰"}},
            {{"type":"rich_link","url":"https://search.example/review?placeid=a&b","title":"Review"}}]"#
    );
    let message: Message = serde_json::from_str(&message).unwrap();
    let run = RunId::parse("review-request@once").unwrap();
    gateway.request(&Envelope {
        to: &Address::stored("+12025550143").unwrap(),
        chat_id,
        contact_id: None,
        channel: None,
        line: Some(&sendoff::domain::phone::Phone::from_e164("+12025550188").unwrap()),
        message: &message,
        attachments: &BTreeMap::from([(image, "att_7".to_owned())]),
        key: &IdempotencyKey::derive(&run, "+12025550143", 0, 0),
    })
}

/// Sends one first message to a server with this script.
async fn outcome_of(replies: Vec<Reply>) -> Outcome {
    let (_server, gateway) = pair(replies);
    gateway.send(&request(&gateway, None)).await
}
