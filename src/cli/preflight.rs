//! What is proved before the first message: the account's secret is there, the provider takes
//! it, and the lines are ours.

use std::sync::Arc;

use super::open::FoundSettings;
use super::{App, Stop};
use crate::domain::account::{Account, AccountId};
use crate::domain::cap::Cap;
use crate::domain::outcome::Outcome;
use crate::domain::pace::DayLimit;
use crate::domain::phone::Phone;
use crate::domain::problem::{Problem, Problems};
use crate::gateway::chert::Chert;
use crate::gateway::huechat::HueChat;
use crate::gateway::{Gateway, GatewayError, Line, Now};
use crate::ledger::{AccountLimits, Ledger};
use crate::settings;

/// A gateway that is ready, with the account's own limit.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) gateway: Arc<dyn Gateway>,
    pub(super) limits: AccountLimits,
    /// The account's cap on people whom it has not written to before, for each line.
    pub(super) first_touch: Option<Cap>,
    /// Its name in the settings and in the ledger.
    pub(super) name: String,
    /// The account behind the name; `None` in a rehearsal.
    pub(super) account: Option<AccountId>,
}

/// Builds the gateway called `name` from the settings.
pub(super) fn gateway(app: &App, found: &FoundSettings, name: &str) -> Result<Ready, Stop> {
    let Some(account) = found.settings.gateways.get(name) else {
        let help = match &found.path {
            Some(path) => format!("describe it in {} under `gateways`", path.display()),
            None => "there is no sendoff.yaml here; describe it there under `gateways`".to_owned(),
        };
        return Err(
            Stop::could_not_start(format!("the settings know no gateway '{name}'")).help(help),
        );
    };
    let (source, field) = match account {
        Account::Chert(account) => (&account.signing_secret, "signing_secret"),
        Account::HueChat(account) => (&account.api_key, "api_key"),
    };
    let secret = settings::secret(source, &|name| app.variable(name)).map_err(|error| {
        let place = found.settings.place(&format!("gateways.{name}.{field}"));
        let problem = Problem::error(error.to_string())
            .help("set it, or rehearse without an account: --sandbox");
        Stop::from(match place {
            Some(place) => problem.at(place).label("read from here"),
            None => problem,
        })
    })?;
    if let Some(warning) = secret.warning {
        app.out.problems(&warning.into());
    }
    let clock = app.clock.clone();
    let now: Now = Arc::new(move || clock.now());
    let (first_touch, limits) = (account.first_touch().cloned(), limits(account));
    let made: Result<Arc<dyn Gateway>, GatewayError> = match account {
        Account::Chert(account) => Chert::new(account.clone(), secret.value, now)
            .map(|gateway| Arc::new(gateway) as Arc<dyn Gateway>),
        Account::HueChat(account) => HueChat::new(account, secret.value, now)
            .map(|gateway| Arc::new(gateway) as Arc<dyn Gateway>),
    };
    let gateway = made.map_err(|error| {
        Stop::could_not_start(format!("the gateway '{name}' cannot be used: {error}"))
    })?;
    Ok(Ready {
        gateway,
        limits,
        first_touch,
        name: name.to_owned(),
        account: Some(account.identity()),
    })
}

/// What every request of the account is under, by the settings.
pub(super) fn limits(account: &Account) -> AccountLimits {
    match account {
        Account::Chert(account) => AccountLimits::from(account.limit),
        Account::HueChat(account) => AccountLimits {
            rate: account.plan.limit(),
            per_day: account.plan.per_day.map(DayLimit),
        },
    }
}

/// The gateway's name stands for the same account as ever in this ledger: another one knows
/// neither the chats nor the keys that are kept under the name.
pub(super) async fn same_account(ledger: &dyn Ledger, ready: &Ready) -> Result<(), Stop> {
    match &ready.account {
        Some(account) => same_identity(ledger, &ready.name, account).await,
        None => Ok(()),
    }
}

/// The same of the account that `name` stands for in the settings.
pub(super) async fn same_identity(
    ledger: &dyn Ledger,
    name: &str,
    now: &AccountId,
) -> Result<(), Stop> {
    let Some(before) = ledger.account(name).await? else {
        return Ok(());
    };
    if before.may_be(now) {
        return Ok(());
    }
    Err(Stop::could_not_start(format!(
        "in this ledger the gateway '{name}' is the account {before}, and now it is {now}"
    ))
    .help(
        "give the new account a gateway of its own in the settings, or use another ledger; what \
         this one knows of chats and messages belongs to the old account",
    ))
}

/// Asks the provider for the account's lines: the credentials are good, and every line of the
/// campaign is there and active. `place` finds where the campaign names the n-th line.
pub(super) async fn prove(
    ready: &Ready,
    lines: &[Phone],
    place: impl Fn(usize) -> Option<crate::domain::problem::Place>,
) -> Result<(), Stop> {
    let ours = ready
        .gateway
        .lines()
        .await
        .map_err(|outcome| refused(ready, &outcome))?;
    let mut problems = Problems::default();
    for (n, line) in lines.iter().enumerate() {
        if let Some(problem) = line_problem(ready, &ours, line) {
            problems.push(match place(n) {
                Some(place) => problem.at(place),
                None => problem,
            });
        }
    }
    if problems.has_errors() {
        Err(problems.into())
    } else {
        Ok(())
    }
}

fn refused(ready: &Ready, outcome: &Outcome) -> Stop {
    let name = &ready.name;
    let failure = outcome.failure().cloned().unwrap_or_default();
    let code = failure
        .code
        .map(|code| format!(" (code {code})"))
        .unwrap_or_default();
    let text = failure.text;
    match outcome {
        Outcome::StopRun { .. } => Stop::could_not_start(format!(
            "the provider refuses the credentials of the gateway '{name}': {text}{code}"
        ))
        .help("check the tenant and the secret in the settings; nothing was sent"),
        Outcome::Accepted { .. }
        | Outcome::Retry { .. }
        | Outcome::Permanent { .. }
        | Outcome::Uncertain { .. }
        | Outcome::LineBusy { .. }
        | Outcome::LineInactive { .. }
        | Outcome::MediaLost { .. } => Stop::could_not_start(format!(
            "the gateway '{name}' cannot be asked for its lines: {text}{code}"
        ))
        .help("check its `base_url` and the network, or try again later; nothing was sent"),
    }
}

/// Lines are our own numbers, so they are shown whole.
fn line_problem(ready: &Ready, ours: &[Line], line: &Phone) -> Option<Problem> {
    let good: Vec<&str> = ours
        .iter()
        .filter(|one| one.active)
        .map(|one| one.phone.expose())
        .collect();
    let help = match good.as_slice() {
        [] => "no line of this account is active".to_owned(),
        good => format!("the lines that can send are {}", good.join(", ")),
    };
    let known = ours.iter().find(|one| one.phone == *line);
    let what = match known {
        Some(one) if one.active => return None,
        Some(_) => "is not active now",
        None => "does not belong to this account",
    };
    let text = format!(
        "the line {} {what} (gateway '{}')",
        line.expose(),
        ready.name
    );
    Some(Problem::error(text).label(what).help(help))
}
