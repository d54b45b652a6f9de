//! `suppress`: the ledger's own do-not-contact list, and the answers that wait for a person to
//! judge them. Sends nothing; what the list means for a run is the ledger's.

mod import;
mod lists;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{App, Exit, Format, Stop, open};
use crate::domain::address::Address;
use crate::domain::opt_out::Source;
use crate::domain::phone::HomeRegion;
use crate::ledger::{Asked, Lifted, Lifting, NewSuppression, Suppressing, Suppression};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress add '(202) 555-0143' --region US --reason 'asked at the counter'
  sendoff suppress remove +12025550143 --reason 'typed wrongly'
  sendoff suppress list --format csv
  sendoff suppress review                              answers that only a person can judge
  sendoff suppress import old-list.csv --region US
  sendoff suppress export -o do-not-contact.csv

Who stands on the list gets nothing more, on any gateway and in any run, from the moment the
command has ended; what was on the wire by then is finished. Whoever answers STOP is put on it by
themselves.")]
pub(super) struct SuppressArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Put people on the list
    Add(AddArgs),
    /// Take a person off the list
    Remove(RemoveArgs),
    /// Who is on the list, by whose word and since when
    List(lists::ListArgs),
    /// Answers that read like a wish not to be written to
    Review(lists::ReviewArgs),
    /// Add everybody in a CSV file; never takes anybody off
    Import(import::ImportArgs),
    /// The list as CSV, for another ledger or program
    Export(lists::ExportArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress add +12025550143
  sendoff suppress add '(202) 555-0143' --region US --reason 'asked at the counter'")]
struct AddArgs {
    /// Phone numbers or e-mail addresses
    #[arg(value_name = "PHONE", required = true)]
    people: Vec<String>,
    /// Why; shown by `list` and `explain`
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    home: HomeArgs,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sendoff suppress remove +12025550143 --reason 'typed wrongly'
  sendoff suppress remove +12025550143 --reason 'called us' --person-asked")]
struct RemoveArgs {
    /// The person's phone number or e-mail address
    #[arg(value_name = "PHONE")]
    person: String,
    /// Why; kept in the person's history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The person has asked to be written to again: takes back their own STOP, too
    #[arg(long)]
    person_asked: bool,
    #[command(flatten)]
    home: HomeArgs,
    /// How the result is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How numbers without a country code are read.
#[derive(Debug, Clone, Args)]
struct HomeArgs {
    /// The country of numbers written nationally, such as US
    #[arg(long, value_name = "COUNTRY")]
    region: Option<String>,
}

impl HomeArgs {
    fn region(&self) -> Result<Option<HomeRegion>, Stop> {
        let Some(code) = &self.region else {
            return Ok(None);
        };
        match HomeRegion::parse(code) {
            Some(region) => Ok(Some(region)),
            None => Err(
                Stop::could_not_start(format!("--region '{code}' is no country"))
                    .help("write its two letters, such as US"),
            ),
        }
    }

    fn address(&self, text: &str) -> Result<Address, Stop> {
        Address::parse(text, self.region()?).map_err(|error| {
            Stop::could_not_start(format!("'{text}': {error}"))
                .help("write it with its country code, such as +12025550143, or give --region US")
        })
    }
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Text,
    Json,
    Csv,
}

impl From<ListFormat> for crate::report::ListFormat {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::Text => Self::Text,
            ListFormat::Json => Self::Json,
            ListFormat::Csv => Self::Csv,
        }
    }
}

pub(super) async fn suppress(app: &App, args: SuppressArgs) -> Result<Exit, Stop> {
    match args.what {
        What::Add(args) => add(app, args).await,
        What::Remove(args) => remove(app, args).await,
        What::List(args) => lists::list(app, args).await,
        What::Review(args) => lists::review(app, args).await,
        What::Import(args) => import::import(app, args).await,
        What::Export(args) => lists::export(app, args).await,
    }
}

async fn add(app: &App, args: AddArgs) -> Result<Exit, Stop> {
    let mut people = Vec::with_capacity(args.people.len());
    // All of them are read before anybody is added: a slip in one is mended and the whole repeated.
    for text in &args.people {
        people.push(NewSuppression {
            phone: args.home.address(text)?,
            source: Source::Operator,
            reason: args.reason.clone(),
            at: None,
        });
    }
    let found = open::settings(app)?;
    let ledger = open::ledger(app, &found.settings).await?;
    let done = ledger.suppress(&people, app.clock.now()).await?;
    let added = done
        .iter()
        .filter(|one| **one == Suppressing::Added)
        .count();
    match args.format {
        Format::Json => {
            let people: Vec<_> = people
                .iter()
                .zip(&done)
                .map(|(one, done)| json!({ "phone": one.phone.expose(), "added": *done == Suppressing::Added }))
                .collect();
            app.out.data(&format!(
                "{:#}\n",
                json!({ "added": added, "people": people })
            ))?;
        }
        Format::Text => {
            for (one, done) in people.iter().zip(&done) {
                let who = one.phone.masked();
                app.out.note(&match done {
                    Suppressing::Added => format!("{who} gets nothing more."),
                    Suppressing::Already(_) => format!("{who} was on the list already."),
                });
            }
        }
    }
    Ok(Exit::Done)
}

async fn remove(app: &App, args: RemoveArgs) -> Result<Exit, Stop> {
    let phone = args.home.address(&args.person)?;
    if args.reason.trim().is_empty() {
        return Err(Stop::could_not_start("--reason is empty")
            .help("say why this person may be written to again; it stays in their history"));
    }
    let ledger = open::existing_ledger(app).await?;
    let lifting = Lifting {
        reason: args.reason.clone(),
        asked: if args.person_asked {
            Asked::Person
        } else {
            Asked::Operator
        },
    };
    let who = phone.masked();
    match ledger.lift(&phone, &lifting, app.clock.now()).await? {
        Lifted::Done => {}
        Lifted::NotListed => {
            return Err(Stop::could_not_start(format!("{who} is not on the list"))
                .help("`sendoff suppress list` shows who is"));
        }
        Lifted::SaidByPerson(said) => return Err(refused(&who, &said)),
    }
    match args.format {
        Format::Text => app.out.note(&format!(
            "{who} may be written to again. What was left out stays so in its run."
        )),
        Format::Json => {
            let removed = json!({ "phone": phone.expose(), "removed": true });
            app.out.data(&format!("{removed:#}\n"))?;
        }
    }
    Ok(Exit::Done)
}

fn refused(who: &str, said: &Suppression) -> Stop {
    Stop::could_not_start(format!("{who} {}", said.in_words())).help(
        "only the person takes that back: by answering START, or by asking you, and then \
         --person-asked takes them off the list",
    )
}
