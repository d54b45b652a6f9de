//! A configured provider account, as the settings describe it: no secret value in here, only
//! where to find it.

use std::path::PathBuf;

use jiff::SignedDuration;

use super::cap::Cap;
use super::pace::Limit;

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
        let address = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = address.split('/').next().unwrap_or_default();
        let host = match authority.split_once(']') {
            Some((host, _)) => host.trim_start_matches('['),
            None => authority.split(':').next().unwrap_or_default(),
        };
        AccountId {
            host: host.to_ascii_lowercase(),
            tenant: self.tenant.clone(),
        }
    }
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
}

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
