//! `sandbox`: the local providers, alone. Prints settings that are ready to paste.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::interrupts::Interrupts;
use super::{App, Exit, Stop};
use crate::domain::duration;
use crate::domain::pace::{Limit, Rate};
use crate::domain::phone::Phone;
use crate::sandbox::{
    Capacity, Clock, DEFAULT_LISTEN, HueConfig, HuePlan, HueWindow, Numbers, Paste, Profile,
    Sandbox, SandboxConfig, default_rate,
};

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
    /// `realistic`: 30 first touches per line and day, 10 minutes apart, and receipts after
    /// seconds to hours, some never; --delivered-after and --read-after do not apply
    #[arg(long, value_name = "PROFILE", value_enum, default_value = "instant")]
    profile: ProfileName,
    /// First touches per line and day [default: no limit, or 30 if realistic]
    #[arg(long, value_name = "N")]
    first_touches: Option<u32>,
    /// Between two first touches of a line [default: none, or 10m if realistic]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    first_touch_gap: Option<SignedDuration>,
    /// Where a line's day begins at midnight
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    day_zone: TimeZone,
    /// `lab`: +17755550100 to +17755550139, and +1XXX5550101 to +1XXX5550116 over HueChat, always
    /// behave in one way each; `plain`: as everybody
    #[arg(long, value_name = "KIND", value_enum, default_value = "lab")]
    numbers: NumbersName,
    /// HueChat's requests per account: `free`: 100 a minute, 10,000 a day; `pro`: ten times that
    #[arg(long, value_name = "PLAN", value_enum, default_value = "free")]
    huechat_plan: PlanName,
    /// A free text by HueChat's WhatsApp to somebody who has not written within 24 hours: `async`:
    /// accepted, fails later; `sync`: refused; `off`: taken
    #[arg(long, value_name = "KIND", value_enum, default_value = "async")]
    huechat_window: WindowName,
    /// Remember in this file what was received, across restarts and crashes; begun where there
    /// is none
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How many seconds of the provider's time pass in one of this machine's
    #[arg(long, value_name = "N", default_value = "1")]
    clock_rate: NonZeroU32,
}

fn line(text: &str) -> Result<Phone, String> {
    Phone::from_e164(text).map_err(|error| error.to_string())
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| format!("'{text}' is no time zone, such as America/Chicago"))
}

/// [`Profile`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProfileName {
    Instant,
    Realistic,
}

/// [`Numbers`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NumbersName {
    Lab,
    Plain,
}

impl From<NumbersName> for Numbers {
    fn from(name: NumbersName) -> Self {
        match name {
            NumbersName::Lab => Self::Lab,
            NumbersName::Plain => Self::Plain,
        }
    }
}

/// [`HuePlan`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanName {
    Free,
    Pro,
    None,
}

/// [`HueWindow`] as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WindowName {
    Async,
    Sync,
    Off,
}

impl SandboxArgs {
    /// How HueChat behaves: the flags, and otherwise as usual.
    fn huechat(&self) -> HueConfig {
        HueConfig {
            plan: match self.huechat_plan {
                PlanName::Free => HuePlan::Free,
                PlanName::Pro => HuePlan::Pro,
                PlanName::None => HuePlan::Unlimited,
            },
            window: match self.huechat_window {
                WindowName::Async => HueWindow::Async,
                WindowName::Sync => HueWindow::Sync,
                WindowName::Off => HueWindow::Off,
            },
            numbers: self.numbers.into(),
            ..HueConfig::default()
        }
    }

    /// What a line can do: as the profile has it, and the flags that differ from it.
    fn capacity(&self, usual: Option<Capacity>) -> Option<Capacity> {
        let given = self.first_touches.is_some() || self.first_touch_gap.is_some();
        if usual.is_none() && !given {
            return None;
        }
        let usual = usual.unwrap_or(Capacity {
            per_day: u32::MAX,
            gap: SignedDuration::ZERO,
            zone: TimeZone::UTC,
        });
        Some(Capacity {
            per_day: self.first_touches.unwrap_or(usual.per_day),
            gap: self.first_touch_gap.unwrap_or(usual.gap),
            zone: self.day_zone.clone(),
        })
    }
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
    let profile = SandboxConfig::of(match args.profile {
        ProfileName::Instant => Profile::Instant,
        ProfileName::Realistic => Profile::Realistic,
    });
    let huechat = args.huechat();
    let config = SandboxConfig {
        seed: args.seed,
        capacity: args.capacity(profile.capacity.clone()),
        lines: args.lines,
        rate: match args.rate {
            Throttle::Off => None,
            Throttle::At(limit) => Some(limit),
        },
        delivered_after: Some(args.delivered_after),
        read_after: Some(args.read_after),
        numbers: args.numbers.into(),
        huechat,
        clock: Clock::new(move || clock.now()),
        clock_rate: args.clock_rate,
        ..profile
    };
    let sandbox = Sandbox::new(config, address).map_err(|error| fault(&error))?;
    if let Some(path) = &args.state {
        recall(app, &sandbox, path).await?;
    }
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

/// Reads the state file, and says what was in it.
async fn recall(app: &App, sandbox: &Sandbox, path: &Path) -> Result<(), Stop> {
    let shown = path.display();
    let recalled = sandbox.keep(path).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        let cause = cause.map_or(String::new(), |cause| format!(": {cause}"));
        Stop::could_not_start(format!("the state file '{shown}': {error}{cause}"))
    })?;
    if recalled.torn > 0 {
        app.out.note(&format!(
            "the last line of '{shown}' was not finished and is dropped; nobody had an answer to it"
        ));
    }
    if recalled.acts > 0 {
        let messages = sandbox.totals().messages;
        app.out
            .note(&format!("'{shown}' holds {messages} messages"));
    }
    Ok(())
}

fn in_words(sandbox: &Sandbox, paste: &Paste) -> String {
    let huechat = sandbox.paste_huechat("huechat");
    format!(
        "The sandbox listens at {}\n\n# sendoff.yaml\n{}\n# in the campaign\n{}\n\
         # in the shell that runs sendoff\n{}\n\
         # or a HueChat account: sendoff.yaml\n{}\n# in the shell\n{}\nThe phones of those who received something: {}\n\
         What was received: {}/received   Ctrl-C ends it.\n",
        sandbox.base_url(),
        paste.settings,
        paste.campaign,
        paste.export,
        huechat.settings,
        huechat.export,
        sandbox.page_url(),
        sandbox.control_url(),
    )
}
