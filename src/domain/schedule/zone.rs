//! Time zones by name, and the one rule by which a wall-clock time becomes an instant. Does not
//! know schedules or windows.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The text names no time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time zone; write a name such as America/Chicago or Europe/Berlin")]
pub struct UnknownZone(pub String);

/// Reads an IANA name such as `America/Chicago`, or `UTC`. Abbreviations and fixed offsets are
/// refused: neither knows about daylight saving.
pub fn parse(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name.trim())
        .ok()
        .filter(|zone| zone.iana_name().is_some() && !zone.is_unknown())
        .ok_or_else(|| UnknownZone(name.trim().to_owned()))
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
