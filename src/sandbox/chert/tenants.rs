//! The tenants of the sandbox and their secrets: who may call, and who registers by calling.
//! Reads no header and decides no answer; [`super::auth`] does.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::ids;
use crate::domain::digest::{Digest, hex};

/// At most this many tenants: whoever can reach the sandbox may register, so registration must
/// not be a way to fill its memory.
const MAX_TENANTS: usize = 1_000;

/// How a tenant's bearer calls are told apart (chert §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TenantKind {
    /// The token alone finds the tenant.
    #[default]
    Single,
    /// Registered with `multi_tenant: true`: every call names the tenant.
    Multi,
}

/// Whether a tenant may call at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    #[default]
    Active,
    /// Every call is refused with 2005.
    Suspended,
}

/// A tenant that the sandbox knows from the start.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The name that goes into `x-chert-tenant`.
    pub slug: String,
    /// The `signing_secret`, as text.
    pub secret: SecretString,
    pub kind: TenantKind,
    pub standing: Standing,
}

impl Tenant {
    /// An active tenant of the ordinary kind.
    pub fn new(slug: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self {
            slug: slug.into(),
            secret: secret.into(),
            kind: TenantKind::default(),
            standing: Standing::default(),
        }
    }

    /// The tenant that a sandbox of this seed has when none is named: the same for ever, so
    /// that pasted settings survive a restart.
    pub fn of_seed(seed: u64) -> Self {
        Self::new(slug(seed, "sandbox", "", 0), secret(seed, "", 0))
    }
}

/// A readable name and a short hex suffix (chert §2).
fn slug(seed: u64, readable: &str, subject: &str, round: u32) -> String {
    let id = ids::derive(seed, "tenant", &[subject.as_bytes(), &round.to_be_bytes()]);
    let [a, b, ..] = id.to_be_bytes();
    format!("{readable}-{}", hex(&[a, b]))
}

/// 32 hex characters (chert §2).
fn secret(seed: u64, subject: &str, round: u32) -> String {
    ids::message_text(ids::derive(
        seed,
        "secret",
        &[subject.as_bytes(), &round.to_be_bytes()],
    ))
}

/// A tenant by its place in the list; places are never reused.
pub(super) type TenantNo = usize;

/// A tenant as the checks see it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) no: TenantNo,
    pub(super) slug: Arc<str>,
    pub(super) kind: TenantKind,
    pub(super) standing: Standing,
    /// Absent while only the name is known, which happens where strangers are admitted.
    key: Option<SigningKey>,
}

/// A secret, and the HMAC state after it was taken in: that half of the work is the same for
/// every request.
struct SigningKey {
    secret: SecretString,
    mac: Hmac<Sha256>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    fn new(secret: SecretString) -> Option<Self> {
        // HMAC takes keys of every length; the error exists in the type only.
        let mac = Hmac::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
        Some(Self { secret, mac })
    }
}

impl Known {
    /// The HMAC to verify with; `None` while no secret is known.
    pub(super) fn mac(&self) -> Option<Hmac<Sha256>> {
        self.key.as_ref().map(|key| key.mac.clone())
    }

    /// Compares in constant time (chert §2); `None` while no secret is known.
    pub(super) fn holds(&self, token: &str) -> Option<bool> {
        let key = self.key.as_ref()?;
        let same = key
            .secret
            .expose_secret()
            .as_bytes()
            .ct_eq(token.as_bytes());
        Some(same.into())
    }
}

/// All tenants.
#[derive(Debug)]
pub(super) struct Tenants {
    seed: u64,
    known: Vec<Arc<Known>>,
    by_slug: HashMap<Arc<str>, TenantNo>,
    /// By digest, so that finding a token takes no time that depends on a secret.
    by_token: HashMap<Digest, TenantNo>,
    by_email: HashMap<String, TenantNo>,
}

/// There is no room for one more tenant.
#[derive(Debug)]
pub(super) struct Full;

/// What registering came to.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) slug: Arc<str>,
    /// Shown once; absent when the e-mail address is known already (chert §15).
    pub(super) secret: Option<String>,
}

impl Tenants {
    pub(super) fn new(seed: u64, tenants: &[Tenant]) -> Self {
        let mut all = Self {
            seed,
            known: Vec::new(),
            by_slug: HashMap::new(),
            by_token: HashMap::new(),
            by_email: HashMap::new(),
        };
        for tenant in tenants {
            all.put(tenant.clone());
        }
        all
    }

    /// Every name, in the order of the numbers.
    pub(super) fn slugs(&self) -> Vec<String> {
        self.known
            .iter()
            .map(|known| known.slug.to_string())
            .collect()
    }

    pub(super) fn by_slug(&self, slug: &str) -> Option<Arc<Known>> {
        self.known.get(*self.by_slug.get(slug)?).cloned()
    }

    /// Empty for a place that nobody has.
    pub(super) fn slug_of(&self, no: TenantNo) -> Arc<str> {
        let known = self.known.get(no);
        known.map_or_else(|| "".into(), |known| Arc::clone(&known.slug))
    }

    pub(super) fn by_token(&self, token: &str) -> Option<Arc<Known>> {
        let no = self.by_token.get(&Digest::of(token.as_bytes()))?;
        self.known.get(*no).cloned()
    }

    /// Takes in a tenant of which only the name is known: it came with a signature, and a
    /// signature does not tell the secret behind it.
    pub(super) fn admit_name(&mut self, slug: &str) -> Result<Arc<Known>, Full> {
        match self.by_slug(slug) {
            Some(known) => Ok(known),
            None => {
                self.room(|all| all.insert(slug.into(), TenantKind::Single, Standing::Active, None))
            }
        }
    }

    /// Takes `token` as the secret of the tenant named, or of a new one when none is named. A
    /// tenant that has a secret keeps it.
    pub(super) fn admit_token(
        &mut self,
        slug: Option<&str>,
        token: &str,
    ) -> Result<Arc<Known>, Full> {
        let known = slug.and_then(|slug| self.by_slug(slug));
        match known {
            Some(known) if known.key.is_some() => Ok(known),
            Some(known) => Ok(self.adopt(&known, token.into())),
            None => self.room(|all| {
                let name = slug.map_or_else(|| all.vacant_slug("guest", token).0, str::to_owned);
                all.put(Tenant::new(name, token))
            }),
        }
    }

    /// `POST /register` (chert §15).
    pub(super) fn register(&mut self, email: &str, kind: TenantKind) -> Result<Registered, Full> {
        let email = email.to_ascii_lowercase();
        let registered = self.by_email.get(&email).and_then(|no| self.known.get(*no));
        if let Some(known) = registered {
            return Ok(Registered {
                slug: Arc::clone(&known.slug),
                secret: None,
            });
        }
        self.room(|all| {
            let readable: String = email
                .chars()
                .take_while(|c| *c != '@')
                .filter(char::is_ascii_alphanumeric)
                .take(16)
                .collect();
            let (slug, round) = all.vacant_slug(&readable, &email);
            let secret = secret(all.seed, &email, round);
            let known = all.put(Tenant {
                kind,
                ..Tenant::new(slug, secret.clone())
            });
            all.by_email.insert(email, known.no);
            Registered {
                slug: Arc::clone(&known.slug),
                secret: Some(secret),
            }
        })
    }

    fn room<T>(&mut self, take_in: impl FnOnce(&mut Self) -> T) -> Result<T, Full> {
        if self.known.len() < MAX_TENANTS {
            Ok(take_in(self))
        } else {
            Err(Full)
        }
    }

    /// A slug that nobody has, and the round in which it was found.
    fn vacant_slug(&self, readable: &str, subject: &str) -> (String, u32) {
        let mut round = 0;
        loop {
            let slug = slug(self.seed, readable, subject, round);
            if !self.by_slug.contains_key(slug.as_str()) {
                return (slug, round);
            }
            round += 1;
        }
    }

    fn put(&mut self, tenant: Tenant) -> Arc<Known> {
        let digest = Digest::of(tenant.secret.expose_secret().as_bytes());
        self.by_token.insert(digest, self.known.len());
        self.insert(
            tenant.slug.into(),
            tenant.kind,
            tenant.standing,
            SigningKey::new(tenant.secret),
        )
    }

    fn insert(
        &mut self,
        slug: Arc<str>,
        kind: TenantKind,
        standing: Standing,
        key: Option<SigningKey>,
    ) -> Arc<Known> {
        let known = Arc::new(Known {
            no: self.known.len(),
            slug: Arc::clone(&slug),
            kind,
            standing,
            key,
        });
        self.by_slug.insert(slug, known.no);
        self.known.push(Arc::clone(&known));
        known
    }

    fn adopt(&mut self, known: &Known, secret: SecretString) -> Arc<Known> {
        let digest = Digest::of(secret.expose_secret().as_bytes());
        self.by_token.insert(digest, known.no);
        let adopted = Arc::new(Known {
            no: known.no,
            slug: Arc::clone(&known.slug),
            kind: known.kind,
            standing: known.standing,
            key: SigningKey::new(secret),
        });
        if let Some(place) = self.known.get_mut(known.no) {
            *place = Arc::clone(&adopted);
        }
        adopted
    }
}
