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

#[cfg(test)]
mod tests {
    use super::super::{Settings, read_source};
    use super::*;
    use crate::domain::account::{Account, SecretSource};
    use crate::domain::problem::Problems;
    use crate::intake::yaml::Source;

    fn read(fields: &str) -> (Option<Settings>, Problems) {
        let text = format!("gateways:\n  wa:\n    kind: huechat\n{fields}");
        read_source(Path::new("s.yaml"), Source::new("s.yaml".to_owned(), text))
    }

    fn account(fields: &str) -> HueChatAccount {
        let (settings, problems) = read(fields);
        assert!(problems.is_empty(), "{problems:?}");
        match settings.unwrap().gateways.remove("wa") {
            Some(Account::HueChat(account)) => account,
            other => panic!("{other:?}"),
        }
    }

    const LEAST: &str = "    api_key: { env: HUECHAT_API_KEY }\n    plan: free\n";

    #[test]
    fn what_is_left_out_is_as_usual() {
        let account = account(LEAST);
        assert_eq!(account.base_url, HUECHAT_BASE_URL);
        assert_eq!(
            account.api_key,
            SecretSource::Env("HUECHAT_API_KEY".to_owned())
        );
        assert_eq!(
            (account.plan, account.timeout),
            (Plan::FREE, DEFAULT_TIMEOUT)
        );
        assert_eq!(account.webhook, None);
    }

    #[test]
    fn every_field_of_an_account_arrives() {
        let account = account(
            "    base_url: http://127.0.0.1:4010/v2/\n    api_key: { file: key }\n    \
             plan: { per_minute: 300, per_day: 20000 }\n    timeout: 5s\n    webhook:\n      \
             secret: { env: HOOK }\n      header: X-Sig\n      prefix: \"\"\n      \
             algorithm: hmac-sha512\n      signed: timestamp-and-body\n",
        );
        assert_eq!(account.base_url, "http://127.0.0.1:4010/v2");
        assert_eq!(account.timeout, SignedDuration::from_secs(5));
        assert_eq!(account.plan.per_minute.map(NonZeroU32::get), Some(300));
        assert_eq!(account.plan.per_day.map(NonZeroU32::get), Some(20_000));
        let webhook = account.webhook.unwrap();
        assert_eq!(webhook.secret, SecretSource::Env("HOOK".to_owned()));
        assert_eq!(
            (webhook.header.as_str(), webhook.prefix.as_str()),
            ("X-Sig", "")
        );
        assert_eq!(webhook.algorithm, SignatureAlgorithm::HmacSha512);
        assert_eq!(webhook.signed, SignedContent::TimestampAndBody);
        let usual = self::account(&format!("{LEAST}    webhook: {{ secret: {{ env: H }} }}\n"));
        let webhook = usual.webhook.unwrap();
        assert_eq!(webhook.header, SIGNATURE_HEADER);
        assert_eq!(webhook.prefix, SIGNATURE_PREFIX);
    }

    #[test]
    fn what_cannot_work_is_refused_with_a_remedy() {
        for (fields, words) in [
            ("    plan: free\n", "a gateway has no 'api_key'"),
            ("    api_key: { env: K }\n", "a gateway has no 'plan'"),
            (
                "    api_key: sk_live_0123\n    plan: pro\n",
                "a secret must not stand in the settings file",
            ),
            (
                "    api_key: { env: K }\n    plan: gold\n",
                "one of free, pro, none is expected here",
            ),
        ] {
            let (settings, problems) = read(fields);
            assert!(settings.is_none());
            let said: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
            assert_eq!(said, [words]);
            assert!(!format!("{problems:?}").contains("sk_live"), "{problems:?}");
        }
        for (line, words) in [
            (
                "base_url: https://api.huechat.ai",
                "HueChat's API ends in /v2",
            ),
            ("base_url: http://api.huechat.ai/v2", "must be encrypted"),
            ("timeout: 29s", "HueChat answers only when"),
            ("tenant: x", "a gateway has no field 'tenant'"),
            (
                "webhook: { secret: { env: H }, header: \"a b\" }",
                "the name of a header",
            ),
        ] {
            let (settings, problems) = read(&format!("{LEAST}    {line}\n"));
            assert!(settings.is_none(), "{line}");
            let said: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
            assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
            assert!(problems.iter().all(|p| p.help.is_some()), "{line}");
        }
    }
}
