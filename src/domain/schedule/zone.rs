//! Time zones by name, and the one rule by which a wall-clock time becomes an instant. Does not
//! know schedules or windows.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The text names no time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is no time zone; {}", self.remedy())]
pub struct UnknownZone {
    pub name: String,
    /// The name that was probably meant.
    pub near: Option<String>,
}

impl UnknownZone {
    /// What to write instead.
    pub fn remedy(&self) -> String {
        match &self.near {
            Some(near) => format!("did you mean {near}?"),
            None => "write a name such as America/Chicago or Europe/Berlin".to_owned(),
        }
    }
}

/// How much two names must resemble each other (Jaro-Winkler, 0 to 1) to be worth a question.
const RESEMBLANCE: f64 = 0.9;

/// Reads an IANA name such as `America/Chicago`, or `UTC`. Names without a place (`EST`, `CET`) and
/// offsets are refused: the one is taken for a zone with daylight saving and is none, the other
/// cannot have any.
pub fn parse(name: &str) -> Result<TimeZone, UnknownZone> {
    find(name).ok_or_else(|| UnknownZone {
        name: name.trim().to_owned(),
        near: near(name.trim()),
    })
}

/// As [`parse`], without looking for the name that was meant: for the cells of a long list.
pub fn find(name: &str) -> Option<TimeZone> {
    TimeZone::get(name.trim()).ok().filter(|zone| {
        zone.iana_name()
            .is_some_and(|name| name == "UTC" || name.contains('/'))
            && !zone.is_unknown()
    })
}

/// `Chicago` and `America/Chigaco` are probably `America/Chicago`.
fn near(name: &str) -> Option<String> {
    let wanted = name.to_ascii_lowercase().replace(' ', "_");
    let score = |known: &str| {
        let known = known.to_ascii_lowercase();
        if known.rsplit('/').next() == Some(wanted.as_str()) {
            1.0
        } else {
            strsim::jaro_winkler(&known, &wanted)
        }
    };
    jiff::tz::db()
        .available()
        .map(|known| known.as_str().to_owned())
        .filter(|known| known.contains('/'))
        .map(|known| (score(&known), known))
        .filter(|(score, _)| *score >= RESEMBLANCE)
        .max_by(|(a, known), (b, other)| a.total_cmp(b).then_with(|| other.cmp(known)))
        .map(|(_, known)| known)
}

/// The name as it was given; zones of this program always have one.
pub fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// The instant of a wall-clock time: the first moment after the gap for a time that the clocks
/// jump over, the first of the two for a time that comes twice. `None` outside the years that can
/// be told (-9999 to 9999).
pub fn instant(zone: &TimeZone, civil: DateTime) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        AmbiguousOffset::Gap { before, after } => {
            // The jump lies between the two readings of the skipped time.
            let (low, high) = (
                after.to_timestamp(civil).ok()?,
                before.to_timestamp(civil).ok()?,
            );
            Some(
                zone.following(low)
                    .take_while(|jump| jump.timestamp() <= high)
                    .find(|jump| jump.offset() == after)
                    .map_or(high, |jump| jump.timestamp()),
            )
        }
    }
}

/// A zone as its IANA name, for serde.
pub(crate) mod name {
    use jiff::tz::TimeZone;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(zone: &TimeZone, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(super::name_of(zone))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
        let name = String::deserialize(from)?;
        super::parse(&name).map_err(de::Error::custom)
    }
}
