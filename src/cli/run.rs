//! `run`: starts a campaign's run, or continues it.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::caps::{self, Prospect};
use super::drive::{self, Portion, drive};
use super::freeze::{self, Birth, Source};
use super::interrupts::Interrupts;
use super::open::FoundSettings;
use super::place::Place;
use super::preflight::{self, Ready};
use super::{App, Exit, Format, Stop, open, phones, rehearsal, when};
use crate::domain::address::Address;
use crate::domain::delivery::SkipReason;
use crate::domain::duration;
use crate::domain::run::{RunId, RunState, is_occurrence};
use crate::engine::dispatch::WhenIdle;
use crate::ledger::{FreezeFacts, Ledger, RunRecord};

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[command(after_help = "\
Examples:
  sendoff run campaigns/review-request.yaml --sandbox        rehearse in a local sandbox
  sendoff run campaigns/review-request.yaml --sandbox --phones
                                                             and see what everybody gets
  sendoff run campaigns/review-request.yaml --only +12025550143
                                                             the real thing, to one person first
  sendoff run campaigns/review-request.yaml                  everybody; asks before it sends
  sendoff run campaigns/review-request.yaml --track 10m      and see who has got and read it
  sendoff run campaigns/nightly-reminder.yaml --due --yes    from cron: what is due now, once

A run exists once: the same command again continues it, and sends nothing that was sent.
To send a campaign again on purpose, give the run a name of its own with --occurrence.")]
pub(super) struct RunArgs {
    /// The campaign file
    #[arg(value_name = "CAMPAIGN")]
    campaign: PathBuf,
    /// Rehearse: send to a sandbox inside this program; nothing leaves the machine
    #[arg(long, conflicts_with_all = ["due", "occurrence"])]
    sandbox: bool,
    /// Show the people's phones in a browser, and let them answer there, until Ctrl-C
    #[arg(long, requires = "sandbox")]
    phones: bool,
    /// At most so many messages this time; the rest stays pending (exit code 4)
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,
    /// To this person alone; everybody else stays pending (exit code 4)
    #[arg(long, value_name = "PHONE", conflicts_with = "limit")]
    only: Option<String>,
    /// A name for this run, to send the campaign again on purpose
    #[arg(long, value_name = "NAME")]
    occurrence: Option<String>,
    /// Do not ask before sending
    #[arg(long)]
    yes: bool,
    /// Leave when nothing is due, instead of waiting (exit code 4)
    #[arg(long)]
    until_idle: bool,
    /// Ignore the schedule, never the window
    #[arg(long, conflicts_with = "due")]
    now: bool,
    /// For system cron: send what is due now, once; record what was missed
    #[arg(long, conflicts_with = "occurrence")]
    due: bool,
    /// Keep on after the last message for so long, looking for receipts and answers
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "due")]
    track: Option<SignedDuration>,
    #[command(flatten)]
    place: Place,
    /// How the summary is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

impl RunArgs {
    fn portion(&self, source: &Source) -> Result<Portion, Stop> {
        let only = self.only.as_deref().map(|text| {
            Address::parse(text, source.campaign().recipients.region)
                .map_err(|error| Stop::could_not_start(format!("--only '{text}': {error}")))
        });
        Ok(Portion {
            limit: self.limit.map(NonZeroU64::get),
            only: only.transpose()?,
            when_idle: if self.until_idle || self.due {
                WhenIdle::Leave
            } else {
                WhenIdle::Wait
            },
            format: self.format,
            track: self.track,
        })
    }
}

pub(super) async fn run(app: &App, args: RunArgs) -> Result<Exit, Stop> {
    let found = open::settings(app)?;
    let settings = (!args.sandbox).then_some(&found.settings);
    let source = freeze::read(&args.campaign, settings)?;
    app.out.problems(&source.warnings);
    let portion = args.portion(&source)?;
    if args.sandbox {
        return rehearse(app, &args, &found, &source, &portion).await;
    }
    let ready = preflight::gateway(app, &found, &source.campaign().gateway)?;
    if let Some(name) = &args.occurrence
        && !is_occurrence(name)
    {
        return Err(Stop::could_not_start(format!("'{name}' cannot name a run"))
            .help("letters, digits and - _ . : + are allowed, 64 at most"));
    }
    let ledger = open::ledger(app, &found.settings).await?;
    let live = Live {
        app,
        args: &args,
        source: &source,
        found: &found,
        ready: &ready,
        ledger,
        portion: &portion,
    };
    if args.due {
        return live.due().await;
    }
    let run = match live.occurrence().await? {
        when::Occurrence::Now { run, starts_at } => (run, starts_at),
        when::Occurrence::Nothing { words } => {
            app.out.note(&words);
            return Ok(Exit::Stopped);
        }
    };
    live.send(run.0, run.1).await
}

async fn rehearse(
    app: &App,
    args: &RunArgs,
    found: &FoundSettings,
    source: &Source,
    portion: &Portion,
) -> Result<Exit, Stop> {
    let ledger = open::ledger(app, &found.settings).await?;
    let campaign = source.campaign();
    let rehearsal = rehearsal::start(app, &campaign.terms).await?;
    let number = ledger.next_rehearsal(&campaign.name).await?;
    let run = RunId::rehearsal(&campaign.name, number)
        .map_err(|error| Stop::could_not_start(error.to_string()))?;
    let birth = Birth {
        gateway: format!("sandbox {run}"),
        account: None,
        run,
        starts_at: app.clock.now(),
        only: portion.only.clone(),
    };
    let with = (&*ledger, &*rehearsal.ready.gateway);
    let record = freeze::freeze(app, with, source, &birth).await?;
    if args.format == Format::Text {
        app.out.note(&format!(
            "Rehearsal {} in a sandbox: nothing leaves this machine.",
            record.run
        ));
    }
    let facts = ledger.facts(&record.run, app.clock.now()).await?;
    if args.phones {
        app.out
            .note(&format!("The phones: {} in a browser.", rehearsal.page));
    }
    // One that comes while it is still being sent ends all of it.
    let end = Interrupts::listen();
    let run = record.clone();
    let known = (record, facts.counts);
    let exit = drive(app, ledger.clone(), &rehearsal.ready, known, portion).await?;
    if args.phones {
        phones::hear_until(app, &ledger, (&rehearsal, &run), end).await?;
    }
    Ok(exit)
}

/// A run against a real account.
struct Live<'a> {
    app: &'a App,
    args: &'a RunArgs,
    source: &'a Source,
    found: &'a FoundSettings,
    ready: &'a Ready,
    ledger: Arc<dyn Ledger>,
    portion: &'a Portion,
}

impl Live<'_> {
    async fn occurrence(&self) -> Result<when::Occurrence, Stop> {
        let campaign = self.source.campaign();
        let now = self.app.clock.now();
        if let Some(name) = &self.args.occurrence {
            return when::named(campaign, name, now);
        }
        if self.args.now {
            return when::now(campaign, now);
        }
        when::next(self.app, &*self.ledger, campaign, self.portion.when_idle).await
    }

    /// Everything that is due, oldest first; what was missed is recorded with its reason.
    async fn due(&self) -> Result<Exit, Stop> {
        let campaign = self.source.campaign();
        let due = when::due(self.app, &*self.ledger, campaign).await?;
        for words in &due.words {
            self.app.out.note(words);
        }
        let mut exit = None;
        for (run, starts_at) in &due.run {
            let one = self.send(run.clone(), *starts_at).await?;
            exit = Some(exit.map_or(one, |before: Exit| worse(before, one)));
        }
        self.ledger
            .handled(&campaign.name, due.until, &due.missed)
            .await?;
        Ok(exit.unwrap_or_else(|| {
            self.app.out.note("Nothing is due now.");
            Exit::Stopped
        }))
    }

    async fn at_home(&self, ready: &Ready) -> Result<(), Stop> {
        self.args.place.prove(self.app, &*self.ledger, ready).await
    }

    /// Continues the run if it exists, else freezes and starts it.
    async fn send(&self, run: RunId, starts_at: Timestamp) -> Result<Exit, Stop> {
        if let Some(record) = self.ledger.run(&run).await? {
            return self.go_on(record).await;
        }
        preflight::same_account(&*self.ledger, self.ready).await?;
        self.at_home(self.ready).await?;
        let lines = &self.source.campaign().terms.lines;
        preflight::prove(self.ready, lines, |n| {
            self.source.file.place(&format!("from[{n}]"))
        })
        .await?;
        let birth = Birth {
            run,
            gateway: self.ready.name.clone(),
            account: self.ready.account.clone(),
            starts_at,
            only: self.portion.only.clone(),
        };
        if !self.args.yes {
            if !self.app.out.interactive {
                return Err(nobody_to_ask());
            }
            // Counted before it is frozen, so that a no leaves nothing behind.
            let trial = freeze::trial(self.app, Some(&*self.ledger), self.source, &birth).await?;
            if trial.problems.has_errors() {
                return Err(trial.problems.into());
            }
            let how_long = self.how_long(&birth, &trial.facts).await?;
            ask(
                self.app,
                &question(&birth, self.ready, (&trial.facts, how_long)),
            )?;
        }
        let with = (&*self.ledger, &*self.ready.gateway);
        let frozen = freeze::freeze(self.app, with, self.source, &birth).await;
        let record = match frozen {
            Ok(record) => record,
            Err(stop) => match self.ledger.run(&birth.run).await? {
                // Another process froze it meanwhile: it is shared, as if it had always been there.
                Some(record) => return self.go_on(record).await,
                None => return Err(stop),
            },
        };
        let facts = self.ledger.facts(&record.run, self.app.clock.now()).await?;
        drive(
            self.app,
            self.ledger.clone(),
            self.ready,
            (record, facts.counts),
            self.portion,
        )
        .await
    }

    /// Under the caps of the campaign and of its lines.
    async fn how_long(&self, birth: &Birth, facts: &FreezeFacts) -> Result<Option<String>, Stop> {
        let campaign = self.source.campaign();
        let prospect = Prospect {
            campaign: &campaign.name,
            gateway: &birth.gateway,
            terms: &campaign.terms,
            first_touch: self.ready.first_touch.as_ref(),
            facts,
        };
        let now = birth.starts_at.max(self.app.clock.now());
        caps::how_long(Some(&*self.ledger), prospect, now).await
    }

    async fn go_on(&self, record: RunRecord) -> Result<Exit, Stop> {
        let run = &record.run;
        let facts = self.ledger.facts(run, self.app.clock.now()).await?;
        if !matches!(record.state, RunState::Finished | RunState::Cancelled) {
            freeze::tell_changed(self.app, run, &freeze::changed_since(self.source, &record));
        }
        match record.state {
            RunState::Running => {
                // The run stays with the account that it was frozen for: its keys are known there.
                let ready = if record.gateway == self.ready.name {
                    self.ready.clone()
                } else {
                    preflight::gateway(self.app, self.found, &record.gateway)?
                };
                preflight::same_account(&*self.ledger, &ready).await?;
                self.at_home(&ready).await?;
                let (sent, open) = (facts.counts.accepted(), facts.counts.open());
                let question = format!(
                    "Continue {run}: {sent} sent, {open} to go through '{}'?",
                    ready.name
                );
                if !self.args.yes {
                    ask(self.app, &question)?;
                }
                only_is_there(&*self.ledger, &record, self.portion).await?;
                let known = (record, facts.counts);
                drive(self.app, self.ledger.clone(), &ready, known, self.portion).await
            }
            RunState::Paused | RunState::Halted => {
                let reason = record.reason.as_deref().unwrap_or("no reason was kept");
                self.app.out.note(&format!(
                    "{run} is {}: {reason}. `sendoff resume {run}` continues it.",
                    record.state
                ));
                Ok(Exit::Stopped)
            }
            RunState::Finished | RunState::Cancelled => {
                self.app.out.note(&format!(
                    "{run} is {} already: nothing is sent. To send the campaign again on purpose, \
                     name the new run with --occurrence.",
                    record.state
                ));
                if let Some(time) = self.portion.track {
                    let (known, how) = ((record, facts.counts), (time, self.portion.format));
                    let ledger = self.ledger.clone();
                    return drive::look_on(self.app, ledger, self.found, known, how).await;
                }
                drive::summary(self.app, &record, &facts, self.portion.format)?;
                Ok(drive::finished(&facts))
            }
        }
    }
}

/// `--only` names somebody who is in the run and was not left out of it.
async fn only_is_there(
    ledger: &dyn Ledger,
    record: &RunRecord,
    portion: &Portion,
) -> Result<(), Stop> {
    let Some(phone) = &portion.only else {
        return Ok(());
    };
    let mut after = None;
    loop {
        let page = ledger.deliveries(&record.run, after, 2_000).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let theirs = page.iter().filter(|one| one.phone.as_ref() == Some(phone));
        if theirs
            .into_iter()
            .any(|one| one.reason != Some(SkipReason::Duplicate))
        {
            return Ok(());
        }
    }
    Err(
        Stop::could_not_start(format!("{} is not in {}", phone.masked(), record.run))
            .help("--only takes a phone number that stands in the list"),
    )
}

fn worse(one: Exit, other: Exit) -> Exit {
    if other as u8 > one as u8 { other } else { one }
}

fn question(
    birth: &Birth,
    ready: &Ready,
    (facts, how_long): (&FreezeFacts, Option<String>),
) -> String {
    let open = facts.counts.open();
    let skipped: u64 = facts.skipped.values().sum();
    let people = if open == 1 { "person" } else { "people" };
    let aside = if skipped > 0 {
        format!(" ({skipped} rows skipped)")
    } else {
        String::new()
    };
    format!(
        "{}: send to {open} {people}{aside} through the gateway '{}'?\n\
         {}It cannot be taken back.",
        birth.run,
        ready.name,
        how_long.map_or_else(String::new, |words| format!("{words}\n"))
    )
}

/// Asks before a live send. Without a terminal there is nobody to ask.
pub(super) fn ask(app: &App, question: &str) -> Result<(), Stop> {
    if !app.out.interactive {
        return Err(nobody_to_ask());
    }
    if app.out.confirm(question) {
        return Ok(());
    }
    Err(Stop::could_not_start("nothing was sent"))
}

fn nobody_to_ask() -> Stop {
    Stop::could_not_start("this would send real messages")
        .help("say --yes where there is no terminal to ask on, or rehearse with --sandbox")
}
