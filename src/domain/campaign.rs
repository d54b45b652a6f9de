//! A campaign: what the user asked for, checked and complete. The raw file shape is intake's.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::cap::Cap;
use super::channel::Channel;
use super::digest::Digest;
use super::pace::Pace;
use super::phone::{HomeRegion, Phone};
use super::retry::RetryPolicy;
use super::schedule::Schedule;
use super::window::Window;

/// A campaign whose file is right in itself; paths are resolved, nothing is opened yet.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The first half of every run id; see [`super::run::is_campaign_name`].
    pub name: String,
    pub description: Option<String>,
    /// The name of a gateway in the settings.
    pub gateway: String,
    pub recipients: Recipients,
    /// The message template's file, resolved against the campaign's folder.
    pub message: std::path::PathBuf,
    /// Values for the template, the same for everybody.
    pub vars: BTreeMap<String, serde_json::Value>,
    /// Absent: now, once.
    pub schedule: Option<Schedule>,
    /// Do-not-contact lists, resolved against the campaign's folder.
    pub suppress: Vec<std::path::PathBuf>,
    pub terms: Terms,
}

/// Where the recipients come from and how their rows are read.
#[derive(Debug, Clone)]
pub struct Recipients {
    pub source: ListSource,
    pub columns: Columns,
    /// For numbers written nationally.
    pub region: Option<HomeRegion>,
    /// A Tera expression; rows for which it is false are skipped as `filtered`.
    pub filter: Option<String>,
    pub on_empty: OnEmpty,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListSource {
    /// Resolved against the campaign's folder.
    File(std::path::PathBuf),
    /// `csv: "-"`
    StandardInput,
}

/// Which column holds what, by its header. Only `phone` must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    pub phone: Option<String>,
    /// Defaults to the phone in E.164.
    pub key: Option<String>,
    pub timezone: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub email: Option<String>,
}

/// What to do when a cell that the message needs is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnEmpty {
    /// The row is skipped as `missing_value`.
    #[default]
    Skip,
    /// The campaign does not start.
    Error,
    /// The message goes out with the gap.
    Allow,
}

/// What of a campaign the engine needs while a run goes on. Frozen with the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Terms {
    /// Sender lines; new recipients go round among them.
    pub lines: Vec<Phone>,
    pub pace: Pace,
    pub retry: RetryPolicy,
    pub window: Option<Window>,
    /// From the start of the run; what is not sent by then is skipped as `expired`.
    pub expires: Option<SignedDuration>,
    /// How many people the campaign newly writes to on one day, all its runs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// The way to people where the account offers several (HueChat); `None`: Chert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    #[serde(default, skip_serializing_if = "is_hold")]
    pub on_uncertain: OnUncertain,
}

impl Terms {
    /// Whether the provider honours keys, so that an attempt without an answer can be repeated. An
    /// account with channels knows none (huechat §7.1).
    pub fn has_keys(&self) -> bool {
        self.channel.is_none()
    }

    /// What is done about an attempt without an answer, in words: it is, or was, …
    pub fn settled_by(&self) -> &'static str {
        if self.has_keys() {
            "asked again with the same key"
        } else {
            "looked for in its conversation"
        }
    }

    /// What that is for, to be put behind it; nothing where the campaign accepts a second message.
    pub fn settled_for(&self) -> &'static str {
        match self.on_uncertain {
            OnUncertain::Hold => ", so that nobody gets it twice",
            OnUncertain::Resend => "",
        }
    }
}

/// What happens to a message of which nobody can tell whether it was sent, where the provider
/// knows no keys to ask with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUncertain {
    /// It waits for a person's word: `resolve`.
    #[default]
    Hold,
    /// It is sent again: somebody may get it twice.
    Resend,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what is skipped when it is written is asked by reference"
)]
fn is_hold(policy: &OnUncertain) -> bool {
    *policy == OnUncertain::Hold
}

/// A file that a run was frozen from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrozenFile {
    /// `campaign`, `message`, `include`, `list`, `suppress`.
    pub role: String,
    /// The path as the campaign names it.
    pub name: String,
    pub sha256: Digest,
    /// The text, for files small enough to keep (campaign and templates); not for lists.
    pub text: Option<String>,
}
