//! A gateway of `kind: huechat`: its key, how many requests its plan allows, and how its webhooks
//! are known. Does not know the key itself, so not whether it is one for this host.

use std::num::NonZeroU32;
use std::path::Path;

use jiff::SignedDuration;

use super::account::{Api, base_url, is_local};
use super::{Kind, Node, Reader, secret};
use crate::domain::account::{
    DEFAULT_TIMEOUT, HUECHAT_BASE_URL, HueChatAccount, Plan, SIGNATURE_HEADER, SIGNATURE_PREFIX,
    SignatureAlgorithm, SignedContent, Webhook,
};
use crate::domain::duration;
use crate::domain::problem::Problem;
use crate::intake::yaml::Fields;

const API: Api = Api {
    of: "HueChat's",
    end: "/v2",
    usual: HUECHAT_BASE_URL,
};
const KEY: &str = "{ env: HUECHAT_API_KEY }";
const SECRET: &str = "{ env: HUECHAT_WEBHOOK_SECRET }";

/// The answer to a message comes after it was handed on, which may take so long (huechat §13).
const LEAST_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);
/// Requests; more is no limit.
const MOST_REQUESTS: u32 = 1_000_000_000;

pub(super) fn read(reader: &Reader, mut fields: Fields<'_>, path: &Path) -> Option<HueChatAccount> {
    let base_url = match fields.get(reader, "base_url") {
        Some(node) => base_url(reader, node, API),
        None => Some(HUECHAT_BASE_URL.to_owned()),
    };
    let api_key = fields
        .require(reader, "api_key", &format!("api_key: {KEY}"))
        .and_then(|node| secret::read(reader, node, path, KEY));
    let plan = fields
        .require(reader, "plan", "plan: free")
        .and_then(|node| plan(reader, node));
    let timeout = timeout(reader, &mut fields, base_url.as_deref());
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

/// Its name, or the account's own numbers.
fn plan(reader: &Reader, node: &Node) -> Option<Plan> {
    if !matches!(node.kind, Kind::Map(_)) {
        let plans = [
            ("free", Plan::FREE),
            ("pro", Plan::PRO),
            ("none", Plan::NONE),
        ];
        return reader.choice(node, &plans);
    }
    let mut fields = reader.fields(node, "'plan'")?;
    let mut number = |name| match fields.get(reader, name) {
        Some(node) => reader
            .whole(node, 1, MOST_REQUESTS)
            .and_then(NonZeroU32::new)
            .map(Some),
        None => Some(None),
    };
    let (per_minute, per_day) = (number("per_minute"), number("per_day"));
    if !fields.has("per_minute") && !fields.has("per_day") {
        reader.report(
            fields.range(),
            Problem::error("the plan says neither how many requests a minute nor a day")
                .label("limits nothing")
                .help("write `{ per_minute: 1000, per_day: 100000 }`, or `plan: none`"),
        );
    }
    fields.finish(reader);
    Some(Plan {
        per_minute: per_minute?,
        per_day: per_day?,
    })
}

/// Less than the provider may take is refused, unless it is a sandbox on this machine.
fn timeout(
    reader: &Reader,
    fields: &mut Fields<'_>,
    base_url: Option<&str>,
) -> Option<SignedDuration> {
    let Some(node) = fields.get(reader, "timeout") else {
        return Some(DEFAULT_TIMEOUT);
    };
    let timeout = reader.duration(node)?;
    if timeout >= LEAST_TIMEOUT || base_url.is_some_and(is_local) {
        return Some(timeout);
    }
    reader.report(
        &node.range,
        Problem::error(format!(
            "HueChat answers only when the message is handed on, which may take longer than {}",
            duration::format(timeout)
        ))
        .label("messages that were sent would be in doubt")
        .help("write `30s` or more, or remove the line"),
    );
    None
}

fn webhook(reader: &Reader, node: &Node, path: &Path) -> Option<Webhook> {
    let mut fields = reader.fields(node, "'webhook'")?;
    let secret = fields
        .require(reader, "secret", &format!("secret: {SECRET}"))
        .and_then(|node| secret::read(reader, node, path, SECRET));
    let header = match fields.get(reader, "header") {
        Some(node) => header(reader, node),
        None => Some(SIGNATURE_HEADER.to_owned()),
    };
    let prefix = match fields.get(reader, "prefix") {
        Some(node) => prefix(reader, node),
        None => Some(SIGNATURE_PREFIX.to_owned()),
    };
    let algorithm =
        fields
            .get(reader, "algorithm")
            .map_or(Some(SignatureAlgorithm::default()), |node| {
                let names = [
                    ("hmac-sha256", SignatureAlgorithm::HmacSha256),
                    ("hmac-sha512", SignatureAlgorithm::HmacSha512),
                ];
                reader.choice(node, &names)
            });
    let signed = fields
        .get(reader, "signed")
        .map_or(Some(SignedContent::default()), |node| {
            let names = [
                ("body", SignedContent::Body),
                ("timestamp-and-body", SignedContent::TimestampAndBody),
            ];
            reader.choice(node, &names)
        });
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
    let name = reader.text(node, "the name of a header")?.trim();
    let is_name = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if is_name {
        return Some(name.to_owned());
    }
    reader.report(
        &node.range,
        Problem::error("the name of a header has letters, digits, `-` and `_` only")
            .label("not such a name")
            .help(format!("write a name such as `{SIGNATURE_HEADER}`")),
    );
    None
}

/// What stands before the signature; `""` where nothing does.
fn prefix(reader: &Reader, node: &Node) -> Option<String> {
    match &node.kind {
        Kind::Scalar(scalar) => Some(scalar.text.trim().to_owned()),
        Kind::List(_) | Kind::Map(_) | Kind::Broken => {
            reader.expected(node, "a text");
            None
        }
    }
}
