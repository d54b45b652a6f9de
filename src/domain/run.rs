//! A run: one execution of a campaign, and the states it goes through.

use std::fmt;

use serde::{Deserialize, Serialize};

/// `<campaign>@<occurrence>`: exists once, whoever starts it and however often.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId {
    text: String,
    at: usize,
}

/// The text is not `<campaign>@<occurrence>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a run; write CAMPAIGN@OCCURRENCE, such as review-request@once")]
pub struct BadRunId(String);

/// The occurrence of a campaign without a repeating schedule.
pub const ONCE: &str = "once";

impl RunId {
    pub fn new(campaign: &str, occurrence: &str) -> Result<Self, BadRunId> {
        let text = format!("{campaign}@{occurrence}");
        if is_campaign_name(campaign) && is_occurrence(occurrence) {
            Ok(Self {
                at: campaign.len(),
                text,
            })
        } else {
            Err(BadRunId(text))
        }
    }

    pub fn parse(text: &str) -> Result<Self, BadRunId> {
        let (campaign, occurrence) = text
            .split_once('@')
            .ok_or_else(|| BadRunId(text.to_owned()))?;
        Self::new(campaign, occurrence)
    }

    /// The `n`-th rehearsal of a campaign.
    pub fn rehearsal(campaign: &str, n: u32) -> Result<Self, BadRunId> {
        Self::new(campaign, &format!("rehearsal-{n}"))
    }

    pub fn campaign(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    pub fn occurrence(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn is_rehearsal(&self) -> bool {
        self.occurrence().starts_with("rehearsal-")
    }
}

/// Lower-case letters, digits, `-` and `_`, beginning with a letter or digit, at most 64.
pub fn is_campaign_name(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&text.len())
        && text.bytes().all(word)
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
}

/// Letters, digits and `-_.:+`, at most 64: fits a URL, a file name and a time with offset.
pub fn is_occurrence(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.:+".contains(&b))
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for RunId {
    type Error = BadRunId;
    fn try_from(text: String) -> Result<Self, BadRunId> {
        Self::parse(&text)
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.text
    }
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Deliveries may be claimed.
    Running,
    /// The operator holds it; nothing is claimed.
    Paused,
    /// A guard or the provider stopped it; the reason is kept beside it.
    Halted,
    /// Every delivery is in a final state, `uncertain` or beyond `sent`.
    Finished,
    /// The operator ended it; what was not sent is `cancelled`.
    Cancelled,
}

impl RunState {
    pub const ALL: [Self; 5] = [
        Self::Running,
        Self::Paused,
        Self::Halted,
        Self::Finished,
        Self::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Halted => "halted",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a run may go from `self` to `next`. A finished run opens again only when a
    /// delivery of it is put back to `pending`.
    pub fn may_become(self, next: Self) -> bool {
        use RunState::{Cancelled, Finished, Halted, Paused, Running};
        matches!(
            (self, next),
            (Running, Paused | Halted | Finished | Cancelled)
                | (Paused | Halted, Running | Cancelled)
                | (Halted, Paused)
                | (Finished, Running)
        )
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_read_as_it_is_written() {
        let run = RunId::parse("nightly@2026-11-20T21:00-06:00").unwrap();
        assert_eq!(run.campaign(), "nightly");
        assert_eq!(run.occurrence(), "2026-11-20T21:00-06:00");
        for bad in ["nightly", "@once", "a@", "A b@once", "a@b@c", "a@b\n"] {
            assert!(RunId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_cancelled_run_stays_cancelled() {
        assert!(
            RunState::ALL
                .iter()
                .all(|next| !RunState::Cancelled.may_become(*next))
        );
        assert!(RunState::Finished.may_become(RunState::Running));
    }

    #[test]
    fn every_state_reads_back() {
        for state in RunState::ALL {
            assert_eq!(RunState::parse(state.as_str()), Some(state));
        }
    }
}
