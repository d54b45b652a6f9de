//! A gateway of `kind: huechat`: the key's place, the plan, and how the provider's own messages
//! are known to be from it. Whether the key fits the address is for who reads the key.

use std::num::NonZeroU32;
use std::path::Path;

use jiff::SignedDuration;

use super::address::{Api, base_url, is_local};
use super::{Kind, Node, Reader, secret};
use crate::domain::account::{
    DEFAULT_TIMEOUT, HUECHAT_BASE_URL, HueChatAccount, Plan, SIGNATURE_HEADER, SIGNATURE_PREFIX,
    SignatureAlgorithm, SignedContent, Webhook,
};
use crate::domain::problem::Problem;
use crate::intake::yaml::Fields;

const API: Api = Api {
    provider: "HueChat",
    end: "/v2",
    usual: HUECHAT_BASE_URL,
};
/// The answer to a message comes only after it was handed on (huechat §13).
const MIN_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);
/// Requests of one minute or day; more is no limit.
const MAX_REQUESTS: u32 = 100_000_000;
/// Characters of a header's name, and of what stands before a signature in it.
const MAX_HEADER: usize = 128;

pub(super) fn read(reader: &Reader, mut fields: Fields<'_>, path: &Path) -> Option<HueChatAccount> {
    let base_url = match fields.get(reader, "base_url") {
        Some(node) => base_url(reader, node, API),
        None => Some(HUECHAT_BASE_URL.to_owned()),
    };
    let api_key = fields
        .require(reader, "api_key", "api_key: { env: HUECHAT_API_KEY }")
        .and_then(|node| secret::read(reader, node, path, "HUECHAT_API_KEY"));
    let plan = fields
        .require(reader, "plan", "plan: free")
        .and_then(|node| plan(reader, node));
    let timeout = match fields.get(reader, "timeout") {
        Some(node) => timeout(reader, node, base_url.as_deref()),
        None => Some(DEFAULT_TIMEOUT),
    };
    let webhook = match fields.get(reader, "webhook") {
        Some(node) => webhook(reader, node, path).map(Some),
        None => Some(None),
    };
    fields.finish(reader);
    Some(HueChatAccount {
        base_url: base_url?,
        api_key: api_key?,
        plan: plan?,
        timeout: timeout?,
        webhook: webhook?,
    })
}

/// A plan by its name, or the numbers of one's own.
fn plan(reader: &Reader, node: &Node) -> Option<Plan> {
    if !matches!(&node.kind, Kind::Map(_)) {
        let names = [
            ("free", Plan::FREE),
            ("pro", Plan::PRO),
            ("none", Plan::NONE),
        ];
        return reader.choice(node, &names);
    }
    let mut fields = reader.fields(node, "'plan'")?;
    let mut requests = |name, example| {
        fields
            .require(reader, name, example)
            .and_then(|node| reader.whole(node, 1, MAX_REQUESTS))
            .and_then(NonZeroU32::new)
    };
    let per_minute = requests("per_minute", "per_minute: 1000");
    let per_day = requests("per_day", "per_day: 100000");
    fields.finish(reader);
    Some(Plan {
        per_minute: Some(per_minute?),
        per_day: Some(per_day?),
    })
}

/// Who hangs up before the answer does not know whether the message went out.
fn timeout(reader: &Reader, node: &Node, base_url: Option<&str>) -> Option<SignedDuration> {
    let timeout = reader.duration(node)?;
    if timeout >= MIN_TIMEOUT || base_url.is_none_or(is_local) {
        return Some(timeout);
    }
    reader.report(
        &node.range,
        Problem::error(
            "HueChat answers only when a message has been handed on, which may take 30 seconds; \
             who hangs up before does not know whether it went out",
        )
        .label("shorter than that")
        .help("write `timeout: 30s` or more, or remove the line"),
    );
    None
}

fn webhook(reader: &Reader, node: &Node, path: &Path) -> Option<Webhook> {
    let mut fields = reader.fields(node, "'webhook'")?;
    let secret = fields
        .require(reader, "secret", "secret: { env: HUECHAT_WEBHOOK_SECRET }")
        .and_then(|node| secret::read(reader, node, path, "HUECHAT_WEBHOOK_SECRET"));
    let header = match fields.get(reader, "header") {
        Some(node) => header(reader, node),
        None => Some(SIGNATURE_HEADER.to_owned()),
    };
    let prefix = match fields.get(reader, "prefix") {
        Some(node) => prefix(reader, node),
        None => Some(SIGNATURE_PREFIX.to_owned()),
    };
    let algorithm = match fields.get(reader, "algorithm") {
        Some(node) => reader.choice(
            node,
            &[
                ("hmac-sha256", SignatureAlgorithm::HmacSha256),
                ("hmac-sha512", SignatureAlgorithm::HmacSha512),
            ],
        ),
        None => Some(SignatureAlgorithm::default()),
    };
    let signed = match fields.get(reader, "signed") {
        Some(node) => reader.choice(
            node,
            &[
                ("body", SignedContent::Body),
                ("timestamp-and-body", SignedContent::TimestampAndBody),
            ],
        ),
        None => Some(SignedContent::default()),
    };
    fields.finish(reader);
    Some(Webhook {
        secret: secret?,
        header: header?,
        prefix: prefix?,
        algorithm: algorithm?,
        signed: signed?,
    })
}

fn header(reader: &Reader, node: &Node) -> Option<String> {
    let text = reader.text(node, "the name of a header")?.trim();
    let name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.len() <= MAX_HEADER && text.chars().all(name) {
        return Some(text.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error("the name of a header has letters, digits and `-` only")
            .label("not such a name")
            .help(format!(
                "write `header: {SIGNATURE_HEADER}`, or remove the line"
            )),
    );
    None
}

/// What stands before the signature; `""` where it is nothing.
fn prefix(reader: &Reader, node: &Node) -> Option<String> {
    let text = match &node.kind {
        Kind::Scalar(scalar) => scalar.text.as_str(),
        Kind::List(_) | Kind::Map(_) | Kind::Broken => {
            reader.expected(node, "what stands before the signature");
            return None;
        }
    };
    if text.len() <= MAX_HEADER && text.chars().all(|c| c.is_ascii() && !c.is_ascii_control()) {
        return Some(text.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error("what stands before a signature is one line of plain characters")
            .label("more than that")
            .help(format!(
                "write `prefix: \"{SIGNATURE_PREFIX}\"`, or remove the line"
            )),
    );
    None
}
