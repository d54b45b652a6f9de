//! Who sends a request, and whether they may (chert §2). Does not read bodies beyond signing
//! them, and is written without looking at the client: each side checks the other.

use std::sync::{Arc, PoisonError, RwLock};

use axum::http::HeaderMap;
use hmac::Mac;

use super::errors::{Refusal, code};
use super::tenants::{Full, Known, Standing, TenantKind, TenantNo, Tenants};

/// A signature may be this old or early, in seconds (chert §2).
const SKEW_S: i64 = 300;

/// What the route lets a caller prove itself with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Proof<'a> {
    /// A signature over these bytes, or the bearer token.
    SignatureOver(&'a [u8]),
    /// Uploads: the bearer token only (chert §2).
    BearerOnly,
}

/// What happens to a caller whom the sandbox has never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strangers {
    /// As the contract says: 2001 or 2004.
    #[default]
    Refuse,
    /// The first call registers tenant and secret. A signature alone does not tell the secret:
    /// until the tenant has used its token once, its signatures are checked for shape and
    /// time only.
    Admit,
}

/// Finds and checks the caller.
#[derive(Debug)]
pub(super) struct Doorman {
    pub(super) tenants: RwLock<Tenants>,
    pub(super) strangers: Strangers,
}

impl Doorman {
    /// Checks in the contract's order: credentials present, tenant resolved, timestamp window,
    /// signature or token, tenant state (chert §2).
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        proof: Proof<'_>,
        now_us: i64,
    ) -> Result<Arc<Known>, Refusal> {
        let slug = text(headers, "x-chert-tenant");
        let signature = headers.get("x-chert-signature");
        let known = match (proof, signature) {
            (Proof::SignatureOver(body), Some(signature)) => {
                let known = self.signer(slug)?;
                let signature = signature.to_str().ok().and_then(Signature::parse);
                signature
                    .ok_or_else(|| Refusal::new(code::INVALID_AUTH))?
                    .verify(&known, body, now_us)?;
                known
            }
            (Proof::SignatureOver(_) | Proof::BearerOnly, _) => {
                let token = bearer(headers).ok_or_else(|| Refusal::new(code::AUTH_MISSING))?;
                self.bearer(slug, token)?
            }
        };
        match known.standing {
            Standing::Active => Ok(known),
            Standing::Suspended => Err(Refusal::new(code::FORBIDDEN)),
        }
    }

    fn signer(&self, slug: Option<&str>) -> Result<Arc<Known>, Refusal> {
        let unknown = || Refusal::new(code::TENANT_NOT_FOUND);
        let slug = slug.ok_or_else(unknown)?;
        let found = self.read().by_slug(slug);
        match (found, self.strangers) {
            (Some(known), _) => Ok(known),
            (None, Strangers::Refuse) => Err(unknown()),
            (None, Strangers::Admit) => self.write().admit_name(slug).map_err(full),
        }
    }

    fn bearer(&self, slug: Option<&str>, token: &str) -> Result<Arc<Known>, Refusal> {
        let found = match slug {
            Some(slug) => self.read().by_slug(slug),
            None => self.read().by_token(token),
        };
        match (found, self.strangers) {
            (Some(known), strangers) => match (known.holds(token), strangers) {
                (Some(true), _) if slug.is_none() && known.kind == TenantKind::Multi => {
                    Err(Refusal::new(code::TENANT_NOT_FOUND))
                }
                (Some(true), _) => Ok(known),
                (None, Strangers::Admit) => self.write().admit_token(slug, token).map_err(full),
                (Some(false), _) | (None, Strangers::Refuse) => {
                    Err(Refusal::new(code::INVALID_AUTH))
                }
            },
            (None, Strangers::Admit) => self.write().admit_token(slug, token).map_err(full),
            (None, Strangers::Refuse) if slug.is_some() => {
                Err(Refusal::new(code::TENANT_NOT_FOUND))
            }
            (None, Strangers::Refuse) => Err(Refusal::new(code::INVALID_AUTH)),
        }
    }

    /// The name of a tenant.
    pub(super) fn slug_of(&self, no: TenantNo) -> Arc<str> {
        self.read().slug_of(no)
    }

    /// The tenant of this name.
    pub(super) fn no_of(&self, slug: &str) -> Option<TenantNo> {
        self.read().by_slug(slug).map(|known| known.no)
    }

    pub(super) fn read(&self) -> std::sync::RwLockReadGuard<'_, Tenants> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> std::sync::RwLockWriteGuard<'_, Tenants> {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn full(_: Full) -> Refusal {
    Refusal::new(code::ACCOUNT_LIMIT).because("The sandbox has no room for another tenant")
}

/// `v1,<unix_seconds>,<64 lower-case hex digits>`.
struct Signature<'a> {
    time: &'a str,
    seconds: i64,
    mac: [u8; 32],
}

impl<'a> Signature<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (time, hex) = text.strip_prefix("v1,")?.split_once(',')?;
        let digits = hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != 64 || !digits || !time.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut mac = [0; 32];
        for (byte, pair) in mac.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self {
            time,
            seconds: time.parse().ok()?,
            mac,
        })
    }

    fn verify(&self, known: &Known, body: &[u8], now_us: i64) -> Result<(), Refusal> {
        if self.seconds.abs_diff(now_us.div_euclid(1_000_000)) > SKEW_S.unsigned_abs() {
            return Err(Refusal::new(code::AUTH_TIMESTAMP_SKEW));
        }
        let Some(mut mac) = known.mac() else {
            return Ok(());
        };
        mac.update(self.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        // `verify_slice` compares in constant time.
        mac.verify_slice(&self.mac)
            .map_err(|_| Refusal::new(code::INVALID_AUTH))
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The token of `Authorization: Bearer …`; another scheme is no credential here.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, "authorization")?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}
