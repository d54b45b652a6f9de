//! A configured provider account, as the settings describe it: no secret value in here, only
//! where to find it.

use std::num::NonZeroU32;
use std::path::PathBuf;

use jiff::SignedDuration;

use super::cap::Cap;
use super::pace::{Limit, Rate};

/// Where a secret is kept. The value itself never stands in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `{ env: NAME }`
    Env(String),
    /// `{ file: path }`, resolved against the settings file's folder; its text, trimmed.
    File(PathBuf),
}

/// How requests to Chert prove who sends them (chert §2). Uploads always use bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChertAuth {
    /// Each try is signed; needs the tenant's name.
    #[default]
    Hmac,
    Bearer,
}

/// A Chert account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChertAccount {
    /// Ends in `/api/v1`, without a slash behind.
    pub base_url: String,
    pub tenant: Option<String>,
    pub auth: ChertAuth,
    pub signing_secret: SecretSource,
    /// All runs through this account together.
    pub limit: Option<Limit>,
    /// People whom the account has not written to before, each line by itself.
    pub first_touch: Option<Cap>,
    /// Connect and answer of one request.
    pub timeout: SignedDuration,
    /// How long the provider is trusted to remember an idempotency key (chert §5: assume 24 h).
    pub idempotency_retention: SignedDuration,
}

impl ChertAccount {
    /// Whose chats, keys and uploads these are: the provider's host, and the tenant where it is
    /// known. Ports and secrets may change; the account stays the same.
    pub fn identity(&self) -> AccountId {
        AccountId {
            host: host_of(&self.base_url),
            tenant: self.tenant.clone(),
        }
    }
}

/// The host of an address, in small letters and without its port.
fn host_of(base_url: &str) -> String {
    let address = base_url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = address.split('/').next().unwrap_or_default();
    let host = match authority.split_once(']') {
        Some((host, _)) => host.trim_start_matches('['),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.to_ascii_lowercase()
}

/// A HueChat account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HueChatAccount {
    /// Ends in `/v2`, without a slash behind.
    pub base_url: String,
    pub api_key: SecretSource,
    /// How many requests the account may make, everything together.
    pub plan: Plan,
    /// Connect and answer of one request; 30 s or more, since the answer to a message comes only
    /// after it was handed on (huechat §13).
    pub timeout: SignedDuration,
    /// How what the provider tells by itself is known to be from it; `None`: nothing is taken.
    pub webhook: Option<Webhook>,
}

impl HueChatAccount {
    /// Whose contacts, conversations and templates these are, as far as an address tells.
    pub fn identity(&self) -> AccountId {
        AccountId {
            host: host_of(&self.base_url),
            tenant: None,
        }
    }
}

/// How many requests an account may make (huechat §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Within any minute; `None`: as many as there are.
    pub per_minute: Option<NonZeroU32>,
    /// On one UTC day; `None`: as many as there are.
    pub per_day: Option<NonZeroU32>,
}

impl Plan {
    /// `plan: free` (huechat §3).
    pub const FREE: Self = Self {
        per_minute: NonZeroU32::new(100),
        per_day: NonZeroU32::new(10_000),
    };
    /// `plan: pro` (huechat §3).
    pub const PRO: Self = Self {
        per_minute: NonZeroU32::new(1_000),
        per_day: NonZeroU32::new(100_000),
    };
    /// No limit at all: that of a sandbox without one.
    pub const NONE: Self = Self {
        per_minute: None,
        per_day: None,
    };

    /// The pace that uses the minutes of the plan up and never asks for more: evenly, and a little
    /// slower, so that requests which arrive early or late by some hundred milliseconds never make
    /// one too many between two moments that only the provider knows.
    pub fn limit(self) -> Option<Limit> {
        /// Of a thousand; what is left makes up for 0.9 s in every minute.
        const SHARE: u64 = 985;
        let per_minute = self.per_minute?;
        let most = u64::from(per_minute.get()) * SHARE / 1_000;
        let most = u32::try_from(most).ok().and_then(NonZeroU32::new);
        Some(Limit::steady(Rate::per_minute(
            most.unwrap_or(NonZeroU32::MIN),
        )))
    }
}

/// How a delivery of events is known to be the provider's own (huechat §10.5). The provider
/// publishes none of it, so each part can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub secret: SecretSource,
    /// The header with the signature.
    pub header: String,
    /// What stands before the signature in it.
    pub prefix: String,
    pub algorithm: SignatureAlgorithm,
    pub signed: SignedContent,
}

/// The header where the settings name none (huechat §10.5).
pub const SIGNATURE_HEADER: &str = "X-HueChat-Signature";
/// What stands before the signature where the settings say nothing (huechat §10.5).
pub const SIGNATURE_PREFIX: &str = "sha256=";

/// How a signature is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureAlgorithm {
    #[default]
    HmacSha256,
    HmacSha512,
}

/// Over what it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignedContent {
    /// The body as it came.
    #[default]
    Body,
    /// The value of a header `X-HueChat-Timestamp`, a full stop, and the body.
    TimestampAndBody,
}

/// Which account a gateway's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountId {
    pub host: String,
    pub tenant: Option<String>,
}

impl AccountId {
    /// As [`std::fmt::Display`] writes it.
    pub fn parse(text: &str) -> Self {
        match text.split_once(" at ") {
            Some((tenant, host)) => Self {
                host: host.to_owned(),
                tenant: Some(tenant.to_owned()),
            },
            None => Self {
                host: text.to_owned(),
                tenant: None,
            },
        }
    }

    /// Whether both can be one account: a tenant that is not named may be any.
    pub fn may_be(&self, other: &Self) -> bool {
        let tenants = self.tenant.as_ref().zip(other.tenant.as_ref());
        self.host == other.host && tenants.is_none_or(|(one, other)| one == other)
    }
}

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant} at {}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// A provider account, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    Chert(ChertAccount),
    HueChat(HueChatAccount),
}

impl Account {
    pub fn identity(&self) -> AccountId {
        match self {
            Self::Chert(account) => account.identity(),
            Self::HueChat(account) => account.identity(),
        }
    }

    /// The cap on people whom the account has not written to before, for each line.
    pub fn first_touch(&self) -> Option<&Cap> {
        match self {
            Self::Chert(account) => account.first_touch.as_ref(),
            // It has no lines.
            Self::HueChat(_) => None,
        }
    }
}

/// The production address of HueChat (huechat §1).
pub const HUECHAT_BASE_URL: &str = "https://api.huechat.ai/v2";
/// The address of HueChat's own sandbox (huechat §1).
pub const HUECHAT_SANDBOX_URL: &str = "https://sandbox.huechat.ai/v2";

/// The production address of Chert (chert §1).
pub const CHERT_BASE_URL: &str = "https://console.trychert.com/api/v1";
/// The timeout of one request where the settings name none.
pub const DEFAULT_TIMEOUT: SignedDuration = SignedDuration::from_secs(30);
/// How long an idempotency key is remembered where the settings say nothing (chert §5).
pub const DEFAULT_RETENTION: SignedDuration = SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    fn account(base_url: &str, tenant: Option<&str>) -> AccountId {
        ChertAccount {
            base_url: base_url.to_owned(),
            tenant: tenant.map(str::to_owned),
            auth: ChertAuth::Bearer,
            signing_secret: SecretSource::Env(String::new()),
            limit: None,
            first_touch: None,
            timeout: DEFAULT_TIMEOUT,
            idempotency_retention: DEFAULT_RETENTION,
        }
        .identity()
    }

    #[test]
    fn a_plan_is_used_up_to_more_than_97_of_100_and_never_over() {
        for (plan, per_minute) in [(Plan::FREE, 100), (Plan::PRO, 1_000)] {
            let interval = plan.limit().unwrap().rate.interval_us();
            assert!(60_000_000 * 100 > per_minute * 97 * interval, "{interval}");
            // However a minute is cut, and though one be 0.9 s early and another 0.9 s late.
            assert!((60_000_000 + 900_000) / interval < per_minute, "{interval}");
        }
        assert_eq!(Plan::NONE.limit(), None);
    }

    #[test]
    fn an_account_is_its_host_and_its_tenant() {
        let acme = account("https://Console.trychert.com/api/v1", Some("acme-7a3f"));
        assert_eq!(acme.to_string(), "acme-7a3f at console.trychert.com");
        assert_eq!(AccountId::parse(&acme.to_string()), acme);
        assert!(acme.may_be(&account("https://console.trychert.com:443/api/v1", None)));
        assert!(!acme.may_be(&account("https://console.trychert.com/api/v1", Some("b-1"))));
        assert!(!acme.may_be(&account("http://127.0.0.1:4010/api/v1", Some("acme-7a3f"))));
        let local = account("http://[::1]:4010/api/v1", None);
        assert_eq!(local.to_string(), "::1");
        assert_eq!(AccountId::parse("::1"), local);
    }
}
