//! `serve`: receives what providers tell by themselves, for as long as it is left to run. Sends
//! nothing. Which deliveries are taken and what they change is the service's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::interrupts::Interrupts;
use super::open::FoundSettings;
use super::{App, Exit, Format, Stop, open, preflight};
use crate::domain::account::{Account, Webhook};
use crate::domain::cause::because;
use crate::gateway::huechat::signature::Verifier;
use crate::service::inbox::Inbox;
use crate::service::receiver::{Receiver, path_of};
use crate::settings;

/// Where it listens unless it is told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:4020";

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff serve                              on 127.0.0.1:4020, until Ctrl-C
  sendoff serve --listen 127.0.0.1:0         on a free port
  sendoff serve --format json                the addresses as JSON, for a script

Receives the webhooks of every HueChat gateway that has a `webhook` in the settings, at
/hooks/NAME: receipts, and what people answer, of which STOP is obeyed at once, also by runs in
other processes. Each event is in the ledger before the provider is answered, and nothing is sent.
The provider calls it by https, so a reverse proxy goes in front; docs/webhooks.md says how.

Exit codes: 0 ended when told to; 1 could not start; 5 the network or the ledger failed.")]
pub(super) struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// How the addresses are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

pub(super) async fn serve(app: &App, args: ServeArgs) -> Result<Exit, Stop> {
    let mut interrupts = Interrupts::listen();
    let found = open::settings(app)?;
    let hooks = hooks(app, &found)?;
    let gateways: Vec<String> = hooks.keys().cloned().collect();
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Stop::could_not_start(format!(
            "cannot listen on {} ({})",
            args.listen,
            error.kind()
        ))
        .help("another receiver may be running; --listen 127.0.0.1:0 takes a free port")
    })?;
    let address = listener.local_addr().map_err(|error| fault(&error))?;
    let ledger = open::ledger(app, &found.settings).await?;
    for gateway in &gateways {
        if let Some(account) = found.settings.gateways.get(gateway) {
            preflight::same_identity(&*ledger, gateway, &account.identity()).await?;
        }
    }
    let inbox = Arc::new(Inbox::new(ledger, app.clock.clone()));
    let receiver = Arc::new(Receiver::new(hooks, inbox.clone()));
    app.out.data(&addresses(&gateways, address, args.format))?;
    warn(app, address);
    let stop = CancellationToken::new();
    let told = stop.clone();
    let signals = AbortOnDropHandle::new(tokio::spawn(async move {
        interrupts.next().await;
        told.cancel();
    }));
    let served = {
        let receiving = async {
            let served = receiver.clone().serve(listener, stop.clone()).await;
            // A receiver that has failed ends the handling as well.
            stop.cancel();
            served
        };
        tokio::join!(receiving, inbox.work(&gateways, &stop)).0
    };
    drop(signals);
    served.map_err(|error| fault(&error))?;
    let came = receiver.received();
    let left = inbox.left(&gateways).await?;
    app.out.note(&format!(
        "Ended: {} taken, {} refused; {left} wait in the ledger.",
        events(came.taken),
        came.refused
    ));
    Ok(Exit::Done)
}

fn fault(error: &std::io::Error) -> Stop {
    Stop::Error {
        exit: Exit::Fault,
        text: format!("the receiver failed: {}", because(error)),
        help: None,
    }
}

fn events(n: u64) -> String {
    if n == 1 {
        "1 event".to_owned()
    } else {
        format!("{n} events")
    }
}

/// The gateways that take events, with how theirs are known.
fn hooks(app: &App, found: &FoundSettings) -> Result<BTreeMap<String, Verifier>, Stop> {
    let mut hooks = BTreeMap::new();
    for (name, webhook) in webhooks(found) {
        let secret = settings::secret(&webhook.secret, &|name| app.variable(name));
        let secret = secret.map_err(|error| {
            let problem = crate::domain::problem::Problem::error(error.to_string())
                .help("set it to the `signing_secret` that the provider gave with the webhook");
            let place = found
                .settings
                .place(&format!("gateways.{name}.webhook.secret"));
            Stop::from(match place {
                Some(place) => problem.at(place).label("read from here"),
                None => problem,
            })
        })?;
        if let Some(warning) = secret.warning {
            app.out.problems(&warning.into());
        }
        hooks.insert(name.to_owned(), Verifier::new(webhook, secret.value));
    }
    if hooks.is_empty() {
        let help = match &found.path {
            Some(path) => format!(
                "give a gateway of `kind: huechat` in {} a `webhook`; docs/webhooks.md says how",
                path.display()
            ),
            None => "there is no sendoff.yaml here; describe the gateway there".to_owned(),
        };
        return Err(Stop::could_not_start(
            "no gateway of the settings has a `webhook`, so there is nothing to receive",
        )
        .help(help));
    }
    Ok(hooks)
}

/// The webhooks of the settings, by the gateway's name.
pub(super) fn webhooks(found: &FoundSettings) -> impl Iterator<Item = (&str, &Webhook)> {
    let gateways = found.settings.gateways.iter();
    gateways.filter_map(|(name, account)| match account {
        Account::HueChat(account) => Some((name.as_str(), account.webhook.as_ref()?)),
        Account::Chert(_) => None,
    })
}

/// Where each gateway's events go.
fn addresses(gateways: &[String], address: SocketAddr, format: Format) -> String {
    let url = |gateway: &String| format!("http://{address}{}", path_of(gateway));
    match format {
        Format::Json => {
            let hooks: Vec<_> = gateways
                .iter()
                .map(|gateway| {
                    json!({ "gateway": gateway, "path": path_of(gateway), "url": url(gateway) })
                })
                .collect();
            format!(
                "{}\n",
                json!({ "listening": address.to_string(), "hooks": hooks })
            )
        }
        Format::Text => {
            let hooks = gateways.iter().map(|gateway| {
                let path = path_of(gateway);
                format!(
                    "{gateway}: {}\n  to the provider: https://YOUR-HOST{path}\n",
                    url(gateway)
                )
            });
            format!(
                "Receiving at {address}; Ctrl-C ends it.\n{}",
                hooks.collect::<String>()
            )
        }
    }
}

/// What comes over a network comes without encryption.
fn warn(app: &App, address: SocketAddr) {
    if !address.ip().is_loopback() {
        app.out.note(
            "It is reached from outside this machine, and without encryption: let nobody but a \
             reverse proxy with https reach it.",
        );
    }
}
