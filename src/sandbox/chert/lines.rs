//! Sender lines: whether each takes part in messaging, and what it can do beyond sending
//! (chert §12). How many new people it has room for is [`super::capacity`]'s.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Chert;
use super::errors::{Refusal, code};
use super::ids;
use super::store::{LineNo, Store};
use crate::domain::phone::Phone;

/// What every line can do, as `GET /phone-numbers` publishes it; cannot be taken away.
const ALWAYS: [&str; 3] = ["imessage", "send", "receive"];

/// What a line may be unable to do. The names are the sandbox's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Contact cards, and the line's own name and photo.
    Contacts,
    Edit,
    /// Making a group, and changing or leaving it.
    Groups,
    Locations,
    MarkRead,
    Typing,
}

impl Capability {
    const ALL: [Self; 6] = [
        Self::Contacts,
        Self::Edit,
        Self::Groups,
        Self::Locations,
        Self::MarkRead,
        Self::Typing,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Contacts => "contacts",
            Self::Edit => "edit",
            Self::Groups => "groups",
            Self::Locations => "locations",
            Self::MarkRead => "mark_read",
            Self::Typing => "typing",
        }
    }
}

/// A capability that a request asks of its line, and the status when it is not there: the
/// routes do not agree on one (chert §17.6).
pub(super) type Need = (Capability, u16);

/// A sender line; every tenant may use every line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) phone: Phone,
    pub(super) is_active: bool,
    able: BTreeSet<Capability>,
}

impl Line {
    /// An active line that can do everything.
    pub(super) fn new(seed: u64, phone: &Phone) -> Self {
        let id = ids::derive(seed, "line", &[phone.expose().as_bytes()]);
        let mut line = Self {
            id: ids::line_text(id),
            phone: phone.clone(),
            is_active: true,
            able: BTreeSet::new(),
        };
        line.restore();
        line
    }

    /// As it was at first.
    pub(super) fn restore(&mut self) {
        self.is_active = true;
        self.able = Capability::ALL.into();
    }

    /// What it can do, as `GET /phone-numbers` shows it.
    pub(super) fn capabilities(&self) -> Vec<&'static str> {
        let able = self.able.iter().map(|capability| capability.name());
        ALWAYS.into_iter().chain(able).collect()
    }

    fn report(&self) -> LineReport {
        LineReport {
            phone: self.phone.expose().to_owned(),
            phone_line_id: self.id.clone(),
            is_active: self.is_active,
            capabilities: self.able.clone(),
        }
    }
}

/// A line as the control surface shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineReport {
    pub phone: String,
    pub phone_line_id: String,
    pub is_active: bool,
    pub capabilities: BTreeSet<Capability>,
}

/// What is to change about a line; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineChange {
    pub is_active: Option<bool>,
    pub capabilities: Option<BTreeSet<Capability>>,
}

impl Store {
    pub(super) fn is_able(&self, line: LineNo, capability: Capability) -> bool {
        let line = self.lines.get(line);
        line.is_some_and(|line| line.able.contains(&capability))
    }

    /// Whether a line can do what a request asks of it: 4099 if not.
    pub(super) fn able(&self, line: LineNo, need: Option<Need>) -> Result<(), Refusal> {
        let Some((capability, status)) = need else {
            return Ok(());
        };
        if self.is_able(line, capability) {
            return Ok(());
        }
        let why = format!("This line cannot do this: {}", capability.name());
        Err(Refusal::new(code::NOT_SUPPORTED)
            .status(status)
            .because(why))
    }

    /// Whether a line takes part in messaging now: 4001 if not, which is the one code for it
    /// that all chat actions list (chert §11).
    pub(super) fn acts(&self, line: LineNo) -> Result<(), Refusal> {
        let line = self.lines.get(line);
        if line.is_some_and(|line| line.is_active) {
            return Ok(());
        }
        Err(Refusal::new(code::DELIVERY_FAILED).because("The line is inactive"))
    }
}

impl Chert {
    pub(in crate::sandbox) fn line_reports(&self) -> Vec<LineReport> {
        self.store().lines.iter().map(Line::report).collect()
    }

    /// `None`: there is no such line.
    pub(in crate::sandbox) fn change_line(
        &self,
        phone: &Phone,
        change: LineChange,
    ) -> Option<LineReport> {
        let mut store = self.store();
        let number = store.line_of(phone)?;
        let line = store.lines.get_mut(number)?;
        if let Some(is_active) = change.is_active {
            line.is_active = is_active;
        }
        if let Some(able) = change.capabilities {
            line.able = able;
        }
        Some(line.report())
    }
}
