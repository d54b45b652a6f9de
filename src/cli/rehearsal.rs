//! The gateway of a rehearsal: a sandbox inside this process, on a free port of this machine,
//! with credentials made up for it. Nothing leaves the machine.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::preflight::Ready;
use super::{App, Exit, Stop};
use crate::domain::account::{
    ChertAccount, ChertAuth, DEFAULT_RETENTION, DEFAULT_TIMEOUT, HueChatAccount, Plan, SecretSource,
};
use crate::domain::campaign::Terms;
use crate::gateway::chert::Chert;
use crate::gateway::huechat::HueChat;
use crate::gateway::{Gateway, GatewayError, Now};
use crate::ledger::AccountLimits;
use crate::sandbox::{Clock, HueConfig, HuePlan, Sandbox, SandboxConfig, Tenant};

/// A sandbox that ends with this value.
#[derive(Debug)]
pub(super) struct Rehearsal {
    pub(super) ready: Ready,
    /// Where the phones of its people are looked at.
    pub(super) page: String,
    _end: DropGuard,
}

/// Starts a sandbox of the provider that a campaign of these terms is sent through, with its
/// lines.
pub(super) async fn start(app: &App, terms: &Terms) -> Result<Rehearsal, Stop> {
    let failed = |error: &dyn std::fmt::Display| Stop::Error {
        exit: Exit::Fault,
        text: format!("the sandbox cannot start: {error}"),
        help: None,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .map_err(|error| failed(&error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    let tenant = Tenant::of_seed(fastrand::u64(..));
    let clock = app.clock.clone();
    let config = SandboxConfig {
        tenants: vec![tenant.clone()],
        lines: terms.lines.clone(),
        // The campaign's own pace is what is rehearsed, not the sandbox's guess at a limit.
        rate: None,
        huechat: HueConfig {
            plan: HuePlan::Unlimited,
            ..HueConfig::default()
        },
        clock: Clock::new(move || clock.now()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::new(config, address).map_err(|error| failed(&error))?;
    let page = sandbox.page_url();
    let base_url = match terms.channel {
        Some(_) => sandbox.huechat_url(),
        None => sandbox.base_url(),
    };
    tracing::info!(%base_url, "the sandbox listens");
    let end = CancellationToken::new();
    let shutdown = end.clone();
    tokio::spawn(async move {
        if let Err(error) = sandbox.serve(listener, shutdown).await {
            tracing::error!(%error, "the sandbox ended");
        }
    });
    let clock = app.clock.clone();
    let now: Now = Arc::new(move || clock.now());
    let made = match terms.channel {
        Some(_) => huechat(base_url, now),
        None => chert(base_url, &tenant, now),
    };
    let ready = Ready {
        gateway: made.map_err(|error| failed(&error))?,
        limits: AccountLimits::default(),
        first_touch: None,
        name: "sandbox".to_owned(),
        account: None,
    };
    Ok(Rehearsal {
        ready,
        page,
        _end: end.drop_guard(),
    })
}

fn huechat(base_url: String, now: Now) -> Result<Arc<dyn Gateway>, GatewayError> {
    let account = HueChatAccount {
        base_url,
        api_key: SecretSource::Env(String::new()),
        plan: Plan::NONE,
        timeout: DEFAULT_TIMEOUT,
        webhook: None,
    };
    let key = format!("sk_test_{:016x}", fastrand::u64(..));
    let gateway = HueChat::new(&account, key.into(), now)?;
    Ok(Arc::new(gateway))
}

fn chert(base_url: String, tenant: &Tenant, now: Now) -> Result<Arc<dyn Gateway>, GatewayError> {
    let account = ChertAccount {
        base_url,
        tenant: Some(tenant.slug.clone()),
        auth: ChertAuth::Hmac,
        signing_secret: SecretSource::Env(String::new()),
        limit: None,
        first_touch: None,
        timeout: DEFAULT_TIMEOUT,
        idempotency_retention: DEFAULT_RETENTION,
    };
    let gateway = Chert::new(account, tenant.secret.clone(), now)?;
    Ok(Arc::new(gateway))
}
