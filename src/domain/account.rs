//! A configured provider account, as the settings describe it: no secret value in here, only
//! where to find it.

use std::path::PathBuf;

use jiff::SignedDuration;

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
    /// Connect and answer of one request.
    pub timeout: SignedDuration,
    /// How long the provider is trusted to remember an idempotency key (chert §5: assume 24 h).
    pub idempotency_retention: SignedDuration,
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
