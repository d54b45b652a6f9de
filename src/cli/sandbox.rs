//! `sandbox`: the local providers, alone. Prints settings that are ready to paste.

use std::net::SocketAddr;

use clap::Args;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::interrupts::Interrupts;
use super::{App, Exit, Stop};
use crate::domain::duration;
use crate::domain::pace::{Limit, Rate};
use crate::domain::phone::Phone;
use crate::sandbox::{Clock, DEFAULT_LISTEN, Paste, Sandbox, SandboxConfig, default_rate};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff sandbox                              on 127.0.0.1:4010, until Ctrl-C
  sendoff sandbox --listen 127.0.0.1:0         on a free port
  curl 127.0.0.1:4010/_sandbox/received        what every person has received
  curl 127.0.0.1:4010/_sandbox/faults -d '{\"rules\":[{\"kind\":\"drop\",\"share\":0.1}]}'
                                               lose every tenth answer")]
pub(super) struct SandboxArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Ids, credentials and faults follow from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Requests per tenant, such as 10/s; `none` for no limit
    #[arg(long, value_name = "RATE", default_value = "10/s", value_parser = throttle)]
    rate: Throttle,
    /// A sender line; may be given several times [default: two of the shipped examples]
    #[arg(long = "line", value_name = "PHONE", value_parser = line)]
    lines: Vec<Phone>,
    /// When a message counts as delivered
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration::parse)]
    delivered_after: SignedDuration,
    /// When a message counts as read
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration::parse)]
    read_after: SignedDuration,
}

fn line(text: &str) -> Result<Phone, String> {
    Phone::from_e164(text).map_err(|error| error.to_string())
}

/// `10/s` or `none`.
#[derive(Debug, Clone, Copy)]
enum Throttle {
    Off,
    At(Limit),
}

fn throttle(text: &str) -> Result<Throttle, String> {
    if text == "none" {
        return Ok(Throttle::Off);
    }
    let rate = Rate::parse(text).map_err(|error| error.to_string())?;
    Ok(Throttle::At(Limit {
        rate,
        ..default_rate()
    }))
}

pub(super) async fn serve(app: &App, args: SandboxArgs) -> Result<Exit, Stop> {
    let listener = TcpListener::bind(args.listen).await.map_err(|error| {
        Stop::could_not_start(format!(
            "cannot listen on {} ({})",
            args.listen,
            error.kind()
        ))
        .help("another sandbox may be running; --listen 127.0.0.1:0 takes a free port")
    })?;
    let fault = |error: &dyn std::fmt::Display| Stop::could_not_start(error.to_string());
    let address = listener.local_addr().map_err(|error| fault(&error))?;
    let clock = app.clock.clone();
    let config = SandboxConfig {
        seed: args.seed,
        lines: args.lines,
        rate: match args.rate {
            Throttle::Off => None,
            Throttle::At(limit) => Some(limit),
        },
        delivered_after: Some(args.delivered_after),
        read_after: Some(args.read_after),
        clock: Clock::new(move || clock.now()),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::new(config, address).map_err(|error| fault(&error))?;
    app.out.data(&in_words(&sandbox, &sandbox.paste("chert")))?;
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let mut interrupts = Interrupts::listen();
    let signals = tokio::spawn(async move {
        interrupts.next().await;
        stop.cancel();
    });
    let served = sandbox.serve(listener, shutdown).await;
    signals.abort();
    served.map(|()| Exit::Done).map_err(|error| fault(&error))
}

fn in_words(sandbox: &Sandbox, paste: &Paste) -> String {
    format!(
        "The sandbox listens at {}\n\n# sendoff.yaml\n{}\n# in the campaign\n{}\n\
         # in the shell that runs sendoff\n{}\nWhat was received: {}/received   Ctrl-C ends it.\n",
        sandbox.base_url(),
        paste.settings,
        paste.campaign,
        paste.export,
        sandbox.control_url(),
    )
}
