//! Proves to Chert who asks (chert §2): an HMAC over the exact bytes, fresh on each try, or the
//! bearer token. Holds the secret; hands out only headers.

use std::fmt;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::super::{GatewayError, Now, wait};
use crate::domain::account::{ChertAccount, ChertAuth};
use crate::domain::digest::hex;

const SIGNATURE: HeaderName = HeaderName::from_static("x-chert-signature");
const TENANT: HeaderName = HeaderName::from_static("x-chert-tenant");

pub(super) struct Signer {
    /// Keyed once; each try works on a copy. Absent in bearer mode.
    mac: Option<Hmac<Sha256>>,
    bearer: HeaderValue,
    tenant: Option<HeaderValue>,
    now: Now,
    /// Seconds that the provider's clock is ahead of ours, as far as we know.
    ahead: AtomicI64,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("signs", &self.mac.is_some())
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(
        account: &ChertAccount,
        secret: &SecretString,
        now: Now,
    ) -> Result<Self, GatewayError> {
        let secret = secret.expose_secret();
        if secret.is_empty() {
            return Err(GatewayError::BadSecret);
        }
        let mut bearer = HeaderValue::try_from(format!("Bearer {secret}"))
            .map_err(|_| GatewayError::BadSecret)?;
        bearer.set_sensitive(true);
        let tenant = account.tenant.as_deref().filter(|name| !name.is_empty());
        let tenant = tenant
            .map(HeaderValue::from_str)
            .transpose()
            .map_err(|_| GatewayError::BadTenant)?;
        let mac = match account.auth {
            ChertAuth::Bearer => None,
            ChertAuth::Hmac if tenant.is_none() => return Err(GatewayError::NoTenant),
            ChertAuth::Hmac => {
                Some(Hmac::new_from_slice(secret.as_bytes()).map_err(|_| GatewayError::BadSecret)?)
            }
        };
        Ok(Self {
            mac,
            bearer,
            tenant,
            now,
            ahead: AtomicI64::new(0),
        })
    }

    /// The time by the provider's clock, as far as we know it.
    pub(super) fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        let now = (self.now)();
        now.checked_add(ahead).unwrap_or(now)
    }

    /// Adds what proves that `body` is ours, now.
    pub(super) fn sign(&self, headers: &mut HeaderMap, body: &[u8]) {
        let Some(mac) = &self.mac else {
            return self.bear(headers);
        };
        // `v1,` + seconds + `,` + 64 hex digits; the middle is signed too, so it is written once.
        let mut value = String::with_capacity(3 + 20 + 1 + 64);
        value.push_str("v1,");
        let seconds = self.now().as_second();
        // Writing to a String cannot fail.
        let _written: fmt::Result = write!(value, "{seconds}");
        let mut mac = mac.clone();
        mac.update(value.get(3..).unwrap_or_default().as_bytes());
        mac.update(b".");
        mac.update(body);
        value.push(',');
        value += &hex(&mac.finalize().into_bytes());
        if let Ok(mut value) = HeaderValue::try_from(value) {
            value.set_sensitive(true);
            headers.insert(SIGNATURE, value);
        }
        self.name_tenant(headers);
    }

    /// Adds the bearer token; the one proof that an upload takes (chert §10.2).
    pub(super) fn bear(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.bearer.clone());
        self.name_tenant(headers);
    }

    fn name_tenant(&self, headers: &mut HeaderMap) {
        if let Some(tenant) = &self.tenant {
            headers.insert(TENANT, tenant.clone());
        }
    }

    /// Sets the clock by an answer's `Date`. False where that cannot help: no date, or nothing
    /// is signed.
    pub(super) fn learn_clock(&self, headers: &HeaderMap) -> bool {
        let (Some(_), Some(date)) = (&self.mac, wait::date(headers)) else {
            return false;
        };
        let ahead = date.duration_since((self.now)()).as_secs();
        self.ahead.store(ahead, Ordering::Relaxed);
        tracing::warn!(
            seconds = ahead,
            "this machine's clock differs from the provider's; signing by the provider's"
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::account::{DEFAULT_RETENTION, DEFAULT_TIMEOUT, SecretSource};
    use std::sync::Arc;

    fn account(auth: ChertAuth, tenant: Option<&str>) -> ChertAccount {
        ChertAccount {
            base_url: "https://chert.example/api/v1".to_owned(),
            tenant: tenant.map(str::to_owned),
            auth,
            signing_secret: SecretSource::Env("CHERT_SIGNING_SECRET".to_owned()),
            limit: None,
            first_touch: None,
            timeout: DEFAULT_TIMEOUT,
            idempotency_retention: DEFAULT_RETENTION,
        }
    }

    fn signer(account: &ChertAccount, secret: &str) -> Result<Signer, GatewayError> {
        let now: Now = Arc::new(|| Timestamp::from_second(1_781_082_900).unwrap());
        Signer::new(account, &SecretString::from(secret), now)
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// Computed with Python: `hmac.new(secret, b"1781082900." + body, "sha256").hexdigest()`.
    #[test]
    fn the_signature_is_the_one_that_another_program_computes() {
        let signer = signer(&account(ChertAuth::Hmac, Some("acme-7a3f")), SECRET).unwrap();
        for (body, hex) in [
            (&b""[..], EMPTY_VECTOR),
            (r#"{"a":"é"}"#.as_bytes(), BODY_VECTOR),
        ] {
            let mut headers = HeaderMap::new();
            signer.sign(&mut headers, body);
            assert_eq!(headers[&SIGNATURE], format!("v1,1781082900,{hex}"));
            assert_eq!(headers[&TENANT], "acme-7a3f");
            assert!(!headers.contains_key(AUTHORIZATION));
        }
    }
    const EMPTY_VECTOR: &str = "e011a101178090bb43507ac00e49628adc9c9b2d551c8813db164a48029aa767";
    const BODY_VECTOR: &str = "a31c0aa575c014290ecd6ed249abedd0b8cf26953878b40a5fe0149249fa0b61";

    #[test]
    fn a_bearer_names_the_tenant_only_when_it_is_known() {
        for tenant in [None, Some("acme-7a3f")] {
            let mut headers = HeaderMap::new();
            let signer = signer(&account(ChertAuth::Bearer, tenant), SECRET).unwrap();
            signer.sign(&mut headers, b"x");
            assert_eq!(headers[AUTHORIZATION], format!("Bearer {SECRET}"));
            assert_eq!(headers.contains_key(TENANT), tenant.is_some());
            assert!(!headers.contains_key(SIGNATURE));
        }
    }

    #[test]
    fn an_account_that_cannot_sign_is_refused() {
        let refused = |account: &ChertAccount, secret| signer(account, secret).unwrap_err();
        let hmac = account(ChertAuth::Hmac, Some("acme"));
        assert_eq!(
            refused(&account(ChertAuth::Hmac, None), SECRET),
            GatewayError::NoTenant
        );
        assert_eq!(
            refused(&account(ChertAuth::Hmac, Some("")), SECRET),
            GatewayError::NoTenant
        );
        assert_eq!(
            refused(&account(ChertAuth::Hmac, Some("a\nb")), SECRET),
            GatewayError::BadTenant
        );
        assert_eq!(refused(&hmac, ""), GatewayError::BadSecret);
        assert_eq!(refused(&hmac, "two\nlines"), GatewayError::BadSecret);
    }

    #[test]
    fn nothing_that_is_shown_has_the_secret() {
        let signer = signer(&account(ChertAuth::Hmac, Some("acme")), SECRET).unwrap();
        let mut headers = HeaderMap::new();
        signer.sign(&mut headers, b"x");
        signer.bear(&mut headers);
        let shown = format!("{signer:?} {headers:?}");
        assert!(
            !shown.contains(&SECRET[..8]) && !shown.contains("v1,"),
            "{shown}"
        );
    }

    #[test]
    fn the_clock_is_set_by_the_date_of_an_answer() {
        let signer = signer(&account(ChertAuth::Hmac, Some("acme")), SECRET).unwrap();
        let date =
            |text: &str| HeaderMap::from_iter([(reqwest::header::DATE, text.parse().unwrap())]);
        assert!(!signer.learn_clock(&HeaderMap::new()));
        assert!(!signer.learn_clock(&date("yesterday")));
        assert!(signer.learn_clock(&date("Wed, 10 Jun 2026 12:00:00 GMT")));
        assert_eq!(signer.now().to_string(), "2026-06-10T12:00:00Z");
    }
}
