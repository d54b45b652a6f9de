//! The HueChat gateway against bytes written by hand after the contract: what it puts on the wire,
//! and what it makes of every kind of answer and of every kind of list.

mod allowance;
mod answers;
mod broken;
mod contacts;
mod conversations;
mod keys;
mod likeness;
pub(crate) mod lists;
mod model;
mod pages;
mod replies;
mod requests;
mod secrets;
mod standing;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use sendoff::domain::account::{HueChatAccount, Plan, SecretSource};
use sendoff::domain::address::Address;
use sendoff::domain::channel::Channel;
use sendoff::domain::key::IdempotencyKey;
use sendoff::domain::message::Message;
use sendoff::domain::outcome::{Outcome, Scope};
use sendoff::domain::run::RunId;
use sendoff::gateway::huechat::HueChat;
use sendoff::gateway::{Envelope, Gateway, GatewayError, Now, Request, Sought};

use super::server::{Reply, Server};

/// Invented, in the shape of huechat §2.
pub(crate) const KEY: &str = "sk_test_0b9Zq7Lw44TnVd81";
/// 1781082900 in Unix seconds.
pub(crate) const NOW: &str = "2026-06-10T09:15:00Z";
/// What the quickstart shows of a message (huechat §7.1).
const TAKEN: &str = concat!(
    r#"{"id":"msg_0b7e44c1d2","conversation_id":"conv_91af3d","contact_id":"cnt_5f","#,
    r#""channel":"whatsapp","content":"Hi Dana","status":"sent","sent_at":"2026-06-10T09:15:01Z"}"#
);
const TEXT: &str = r#"[{"type":"text","value":"Hi Dana, your parcel is here"}]"#;

pub(crate) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn account(base_url: &str) -> HueChatAccount {
    HueChatAccount {
        base_url: base_url.to_owned(),
        api_key: SecretSource::Env("HUECHAT_API_KEY".to_owned()),
        plan: Plan::PRO,
        timeout: SignedDuration::from_secs(20),
        webhook: None,
    }
}

fn gateway_of(account: &HueChatAccount, key: &str) -> Result<HueChat, GatewayError> {
    let now: Now = Arc::new(now);
    HueChat::new(account, SecretString::from(key), now)
}

/// A gateway that talks to whatever is at the address.
pub(crate) fn gateway_at(address: SocketAddr) -> HueChat {
    gateway_of(&account(&format!("http://{address}/v2")), KEY).unwrap()
}

/// The same three minutes later, when what was begun at [`NOW`] is looked for.
pub(crate) fn looker_at(address: SocketAddr) -> HueChat {
    let later: Now = Arc::new(|| now() + SignedDuration::from_mins(3));
    let account = account(&format!("http://{address}/v2"));
    HueChat::new(&account, SecretString::from(KEY), later).unwrap()
}

/// A server with this script, and a gateway that talks to it.
fn pair(replies: Vec<Reply>) -> (Server, HueChat) {
    let server = Server::start(replies);
    let gateway = gateway_at(server.address);
    (server, gateway)
}

fn message(parts: &str) -> Message {
    serde_json::from_str(parts).unwrap()
}

/// The request of a delivery to Dana.
fn request_for(channel: Channel, to: &str, contact_id: Option<&str>, parts: &str) -> Request {
    let run = RunId::parse("order-update@once").unwrap();
    sendoff::gateway::huechat::request(&Envelope {
        to: &Address::stored(to).unwrap(),
        contact_id,
        channel: Some(channel),
        chat_id: Some("conv_91af3d"),
        line: None,
        message: &message(parts),
        attachments: &BTreeMap::new(),
        key: &IdempotencyKey::derive(&run, "C-1", 0, 0),
    })
}

pub(crate) fn request() -> Request {
    request_for(Channel::Whatsapp, "+12025550143", Some("cnt_5f"), TEXT)
}

/// Sends one message to a server with this script.
async fn outcome_of(replies: Vec<Reply>) -> Outcome {
    let (_server, gateway) = pair(replies);
    gateway.send(&request()).await
}

/// Of an outcome, what the engine acts by: its class, whom a wait is for, and its seconds.
fn gist(outcome: &Outcome) -> (&'static str, Option<Scope>, Option<i64>) {
    let scope = match outcome {
        Outcome::Retry { scope, .. } => Some(*scope),
        Outcome::Accepted { .. }
        | Outcome::Permanent { .. }
        | Outcome::Uncertain { .. }
        | Outcome::StopRun { .. }
        | Outcome::LineBusy { .. }
        | Outcome::LineInactive { .. }
        | Outcome::MediaLost { .. } => None,
    };
    let wait = outcome.asked_wait().map(|wait| wait.as_secs());
    (outcome.class().as_str(), scope, wait)
}

/// A refusal in the provider's envelope (huechat §4).
fn refusal(status: u16, name: &str) -> String {
    format!(
        r#"{{"error":"{name}","message":"No","code":{status},"details":{{"field":"phone"}},"request_id":"req_9Zt41c","timestamp":"2026-06-10T09:15:00Z"}}"#
    )
}

/// What is looked for: a message to Dana that was begun at [`NOW`].
pub(crate) fn sought<'a>(
    message: &'a Message,
    chat_id: Option<&'a str>,
    others: &'a HashSet<String>,
) -> Sought<'a> {
    Sought {
        chat_id,
        contact_id: Some("cnt_5f"),
        channel: Some(Channel::Whatsapp),
        message,
        since: now(),
        now: now() + SignedDuration::from_secs(60),
        others,
    }
}
