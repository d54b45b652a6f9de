//! One gateway of the settings: a provider account. Does not connect to it.

use std::num::NonZeroU32;
use std::path::Path;

use jiff::SignedDuration;

use super::address::{Api, base_url};
use super::{Node, Reader, huechat, secret};
use crate::domain::account::{
    Account, CHERT_BASE_URL, ChertAccount, ChertAuth, DEFAULT_RETENTION, DEFAULT_TIMEOUT,
};
use crate::domain::cap::Cap;
use crate::domain::pace::Limit;
use crate::domain::problem::Problem;
use crate::intake::campaign_file::burst;
use crate::intake::yaml::Fields;

const API: Api = Api {
    provider: "Chert",
    end: "/api/v1",
    usual: CHERT_BASE_URL,
};

#[derive(Clone, Copy)]
enum AccountKind {
    Chert,
    HueChat,
}

pub(super) fn read(reader: &Reader, node: &Node, path: &Path) -> Option<Account> {
    let mut fields = reader.fields(node, "a gateway")?;
    let kind = fields
        .require(reader, "kind", "kind: chert")
        .and_then(|node| {
            reader.choice(
                node,
                &[
                    ("chert", AccountKind::Chert),
                    ("huechat", AccountKind::HueChat),
                ],
            )
        })?;
    match kind {
        AccountKind::Chert => chert(reader, fields, path).map(Account::Chert),
        AccountKind::HueChat => huechat::read(reader, fields, path).map(Account::HueChat),
    }
}

fn chert(reader: &Reader, mut fields: Fields<'_>, path: &Path) -> Option<ChertAccount> {
    let base_url = match fields.get(reader, "base_url") {
        Some(node) => base_url(reader, node, API),
        None => Some(CHERT_BASE_URL.to_owned()),
    };
    let auth = fields
        .get(reader, "auth")
        .map_or(Some(ChertAuth::default()), |node| {
            reader.choice(
                node,
                &[("hmac", ChertAuth::Hmac), ("bearer", ChertAuth::Bearer)],
            )
        });
    let tenant = match auth {
        Some(ChertAuth::Hmac) => fields.require(reader, "tenant", "tenant: acme-7a3f"),
        Some(ChertAuth::Bearer) | None => fields.get(reader, "tenant"),
    };
    let tenant = tenant
        .and_then(|node| reader.text(node, "the tenant's name"))
        .map(|text| text.trim().to_owned());
    let signing_secret = fields
        .require(
            reader,
            "signing_secret",
            "signing_secret: { env: CHERT_SIGNING_SECRET }",
        )
        .and_then(|node| secret::read(reader, node, path, "CHERT_SIGNING_SECRET"));
    let rate = fields
        .get(reader, "rate")
        .and_then(|node| reader.rate(node));
    let burst = burst(reader, &mut fields);
    let mut time = |name, usual| {
        fields
            .get(reader, name)
            .map_or(Some(usual), |node| reader.duration(node))
    };
    let timeout = time("timeout", DEFAULT_TIMEOUT);
    let idempotency_retention = time("idempotency_retention", DEFAULT_RETENTION);
    let first_touch = first_touch(reader, &mut fields);
    fields.finish(reader);
    Some(ChertAccount {
        base_url: base_url?,
        tenant,
        auth: auth?,
        signing_secret: signing_secret?,
        limit: rate.map(|rate| Limit {
            rate,
            burst: burst.unwrap_or(NonZeroU32::MIN),
        }),
        first_touch: first_touch?,
        timeout: timeout?,
        idempotency_retention: idempotency_retention?,
    })
}

/// First messages of a line on one day; more is no limit.
const MAX_FIRST_TOUCHES: u32 = 1_000_000;

/// The cap on first messages of each line: what the provider publishes, unless the settings know
/// better or say `none`. The outer `None`: there is something wrong with it.
#[expect(
    clippy::option_option,
    reason = "whether it can be read, and whether there is a cap, are two questions"
)]
fn first_touch(reader: &Reader, fields: &mut Fields<'_>) -> Option<Option<Cap>> {
    let usual = Cap::first_touch();
    let Some(node) = fields.get(reader, "first_touch") else {
        return Some(Some(usual));
    };
    if is_none(node) {
        return Some(None);
    }
    if matches!(&node.kind, super::Kind::Scalar(_)) {
        reader.report(
            &node.range,
            Problem::error("the cap on first messages is not such a value")
                .label("neither `none` nor a cap")
                .help("write `first_touch: { per_day: 30, gap: 10m }`, or `first_touch: none`"),
        );
        return None;
    }
    let mut fields = reader.fields(node, "'first_touch'")?;
    let per_day = match fields.get(reader, "per_day") {
        Some(node) => reader
            .whole(node, 1, MAX_FIRST_TOUCHES)
            .and_then(NonZeroU32::new),
        None => usual.per_day,
    };
    let gap = match fields.get(reader, "gap") {
        Some(node) if is_none(node) => Some(SignedDuration::ZERO),
        Some(node) => reader.duration(node),
        None => Some(usual.gap),
    };
    fields.finish(reader);
    Some(Some(Cap {
        per_day: Some(per_day?),
        gap: gap?,
        ..usual
    }))
}

fn is_none(node: &Node) -> bool {
    matches!(&node.kind, super::Kind::Scalar(scalar) if scalar.text == "none")
}
