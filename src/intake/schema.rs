//! The published JSON Schemas of the files, for editors. The shapes here have the fields that the
//! readers ask for, and a test holds both together; what is checked beyond shape is the readers'.

mod gateways;

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use gateways::GatewayShape;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    Campaign,
    Message,
    /// `sendoff.yaml`
    Config,
}

/// The JSON Schema (draft 2020-12) of a file format.
pub fn schema(kind: SchemaKind) -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let schema: Schema = match kind {
        SchemaKind::Campaign => generator.into_root_schema_for::<CampaignShape>(),
        SchemaKind::Message => generator.into_root_schema_for::<MessageShape>(),
        SchemaKind::Config => generator.into_root_schema_for::<ConfigShape>(),
    };
    let mut schema = schema.into();
    refuse_null(&mut schema);
    schema
}

/// A field may be left out, but not left empty: the readers refuse a name without a value.
fn refuse_null(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(types)) = fields.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    fields.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(schemas)) = fields.get_mut("anyOf") {
                schemas.retain(|schema| schema.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(only)] = schemas.as_slice() {
                    let only = only.clone();
                    fields.remove("anyOf");
                    fields.extend(only);
                }
            }
            fields.values_mut().for_each(refuse_null);
        }
        Value::Array(values) => values.iter_mut().for_each(refuse_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A length of time: a number and a unit, such as `500ms`, `30s`, `10m`, `2h` or `1h30m`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Duration", transparent)]
pub struct DurationShape(
    #[schemars(
        regex(pattern = r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$"),
        length(min = 2)
    )]
    pub String,
);

/// A speed: a count per unit of time, such as `10/s`, `30/m`, `500/h` or `1000/d`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Rate", transparent)]
pub struct RateShape(
    #[schemars(regex(pattern = r"^\d+\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)$"))] pub String,
);

/// One text, or a list of them.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Texts", untagged)]
pub enum TextsShape {
    One(String),
    Many(Vec<String>),
}

/// A bulk message campaign: who gets which message, when, and how fast.
#[derive(Debug, JsonSchema)]
#[schemars(
    rename = "Campaign",
    deny_unknown_fields,
    extend("oneOf" = [{ "required": ["from"] }, { "required": ["channel"] }])
)]
pub struct CampaignShape {
    /// The campaign's name: lower-case letters, digits, `-` and `_`, at most 64. The first half of
    /// every run's id.
    #[schemars(regex(pattern = r"^[a-z0-9][a-z0-9_-]{0,63}$"))]
    pub name: String,
    /// What it is for, in a sentence.
    pub description: Option<String>,
    /// The name of a gateway in sendoff.yaml.
    pub gateway: String,
    /// The lines of a Chert account to send from, in E.164. One recipient always keeps its line.
    pub from: Option<TextsShape>,
    /// The way to people through a HueChat account, in place of `from`.
    pub channel: Option<ChannelShape>,
    /// What becomes of a message of which nobody can tell whether it was sent: `hold`, where this
    /// is left out, until somebody decides; or `resend`, which may send it twice. Only with
    /// `channel`.
    pub uncertain: Option<UncertainShape>,
    /// Must be `true` beside `uncertain: resend`.
    #[schemars(rename = "i-accept-duplicates")]
    pub i_accept_duplicates: Option<bool>,
    pub recipients: RecipientsShape,
    /// The message template, relative to this file.
    pub message: String,
    /// Values for the template, the same for everybody.
    pub vars: Option<BTreeMap<String, Value>>,
    pub schedule: Option<ScheduleShape>,
    pub window: Option<WindowShape>,
    /// What is not sent by then, from the start of the run, is skipped.
    pub expires: Option<DurationShape>,
    pub pace: Option<PaceShape>,
    pub retry: Option<RetryShape>,
    /// Do-not-contact lists, relative to this file.
    pub suppress: Option<TextsShape>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Channel", rename_all = "lowercase")]
pub enum ChannelShape {
    Whatsapp,
    Sms,
    Email,
    Instagram,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Uncertain", rename_all = "lowercase")]
pub enum UncertainShape {
    Hold,
    Resend,
}

/// The list, and how its rows are read.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Recipients", deny_unknown_fields)]
pub struct RecipientsShape {
    /// A CSV file, relative to this file; `-` reads standard input.
    pub csv: String,
    pub columns: Option<ColumnsShape>,
    /// The country of numbers written nationally, such as `US`.
    #[schemars(regex(pattern = r"^[A-Za-z]{2}$"))]
    pub region: Option<String>,
    /// A Tera expression; rows for which it is false are skipped.
    pub r#where: Option<String>,
    /// What to do with a row when a cell that the message needs is empty.
    pub on_empty: Option<OnEmptyShape>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "OnEmpty", rename_all = "lowercase")]
pub enum OnEmptyShape {
    Skip,
    Error,
    Allow,
}

/// Which column holds what, by its header.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Columns", deny_unknown_fields)]
pub struct ColumnsShape {
    pub phone: Option<String>,
    /// What makes a person the same in every run; the address where this is left out.
    pub key: Option<String>,
    /// IANA time zones such as `America/Chicago`.
    pub timezone: Option<String>,
    /// Everybody has one who is written to through HueChat.
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    /// Where `channel: email` writes to.
    pub email: Option<String>,
}

/// When it runs: `cron` to repeat or `at` to run once. Without a schedule: when you start it.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Schedule", deny_unknown_fields)]
pub struct ScheduleShape {
    /// Five fields with crontab's meaning, such as `0 10 * * MON-FRI`.
    pub cron: Option<String>,
    /// A local time, such as `2026-11-24T10:00`.
    pub at: Option<String>,
    /// The IANA time zone of the times, such as `America/Chicago`.
    pub timezone: String,
    /// Which of the occurrences that were missed are made up for.
    pub catch_up: Option<CatchUpShape>,
    /// An occurrence later than this is recorded as missed, not sent.
    pub start_by: Option<DurationShape>,
    /// What to do when the previous run is still going.
    pub overlap: Option<OverlapShape>,
    /// Starts up to this long after its time, so that many campaigns do not start at once.
    pub jitter: Option<DurationShape>,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "CatchUp", rename_all = "lowercase")]
pub enum CatchUpShape {
    Latest,
    All,
    None,
}

#[derive(Debug, JsonSchema)]
#[schemars(rename = "Overlap", rename_all = "lowercase")]
pub enum OverlapShape {
    Skip,
    Queue,
}

/// The hours in which a message may leave.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Window", deny_unknown_fields)]
pub struct WindowShape {
    /// Days of the week: `MON-SAT`, `MON,WED,FRI`, or a list; all of them where this is left out.
    pub days: Option<TextsShape>,
    /// The first minute, such as `09:00`.
    #[schemars(regex(pattern = r"^\d{1,2}:\d{2}$"))]
    pub from: String,
    /// The first minute in which no message leaves any more, such as `20:00`; `24:00` at most.
    #[schemars(regex(pattern = r"^\d{1,2}:\d{2}$"))]
    pub to: String,
    /// `recipient` for each recipient's own clock, or an IANA time zone.
    pub timezone: String,
}

/// How fast.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Pace", deny_unknown_fields)]
pub struct PaceShape {
    /// All lines together; the gateway's own rate holds besides.
    pub rate: Option<RateShape>,
    /// Messages at once after a quiet time; only with `rate`.
    #[schemars(range(min = 1, max = 10_000))]
    pub burst: Option<u32>,
    /// Requests on the wire at the same time; 16 where this is left out.
    #[schemars(range(min = 1, max = 1_024))]
    pub concurrency: Option<u32>,
    /// Each line by itself.
    pub per_line: Option<RateShape>,
    /// At most so many people are newly written to on one day, by all runs of the campaign
    /// together. A day is that of the schedule's time zone, else of the window's, else of UTC.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub daily_cap: Option<u32>,
    /// The caps of the first days on which anybody is written to; after them `daily_cap` holds,
    /// or none.
    #[schemars(length(min = 1, max = 366), inner(range(min = 1, max = 10_000_000)))]
    pub ramp: Option<Vec<u32>>,
}

/// How often a failed attempt is tried again.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Retry", deny_unknown_fields)]
pub struct RetryShape {
    /// Tries of one delivery, the first among them; 5 where this is left out.
    #[schemars(range(min = 1, max = 100))]
    pub attempts: Option<u32>,
    /// The wait before the second try, doubling from there; `1s` where this is left out.
    pub base: Option<DurationShape>,
    /// The longest wait; `5m` where this is left out.
    pub max: Option<DurationShape>,
    /// From the first attempt; `24h` where this is left out.
    pub give_up_after: Option<DurationShape>,
}

/// A message template. Every text is a Tera template over the row, `vars`, `recipient` and `run`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Message", deny_unknown_fields)]
pub struct MessageShape {
    /// In the order in which the recipient sees them.
    #[schemars(length(min = 1))]
    pub parts: Vec<PartShape>,
}

#[derive(Debug, JsonSchema)]
#[schemars(
    rename = "Part",
    tag = "type",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum PartShape {
    Text {
        value: String,
        /// Of an e-mail.
        subject: Option<String>,
        /// A Tera expression; the part is left out for whom it is false.
        when: Option<String>,
    },
    /// Either `file` or `url`.
    Media {
        /// A file, relative to this file; uploaded once per content.
        file: Option<String>,
        /// Media that the provider fetches.
        url: Option<String>,
        /// A Tera expression; the part is left out for whom it is false.
        when: Option<String>,
    },
    RichLink {
        url: String,
        title: Option<String>,
        summary: Option<String>,
        image_url: Option<String>,
        icon_url: Option<String>,
        /// A Tera expression; the part is left out for whom it is false.
        when: Option<String>,
    },
    /// A text that WhatsApp has approved beforehand; the whole message.
    Template {
        #[schemars(regex(pattern = r"^[a-z0-9_]{1,512}$"))]
        name: String,
        /// Such as `en_US`; the template's own where this is left out.
        #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,16}$"))]
        language: Option<String>,
        /// What is put into it, by the numbers that the text has for it: `"1"`, `"2"`, …
        parameters: Option<BTreeMap<String, String>>,
        /// A Tera expression; the part is left out for whom it is false.
        when: Option<String>,
    },
}

/// Settings: the ledger and the provider accounts.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Config", deny_unknown_fields)]
pub struct ConfigShape {
    /// Where everything sent is recorded: `sqlite://sendoff.db`, or
    /// `postgres://user@host/database`. The variable `SENDOFF_LEDGER` wins.
    pub ledger: Option<String>,
    /// Provider accounts, by the names that campaigns use.
    pub gateways: Option<BTreeMap<String, GatewayShape>>,
}

#[cfg(test)]
mod tests;
