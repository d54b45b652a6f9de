//! Phone numbers in E.164, and how people really write them. Does not know what a line or a
//! recipient is.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, Region};
use serde::{Deserialize, Serialize};

/// A phone number in E.164 (`+` and 7 to 15 digits, ITU-T E.164 §6).
///
/// `Debug` shows the masked form, so that a number cannot slip into a log; [`Phone::expose`]
/// is the one way to the digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// Why a text is not a phone number that can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    #[error("the cell is empty")]
    Empty,
    /// `4.15556E+09`: the digits are gone, no one can bring them back.
    #[error("a spreadsheet has turned this number into scientific notation; its digits are lost")]
    Spreadsheet,
    #[error("this is not a phone number")]
    NotANumber,
    #[error("this number has no country code and the campaign names no `region`")]
    NoRegion,
    #[error("too few digits for a phone number")]
    TooShort,
    #[error("too many digits for a phone number")]
    TooLong,
    #[error("no such number can exist in its country's numbering plan")]
    NotInUse,
}

/// The two-letter country in which a number without country code is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HomeRegion(Region);

impl HomeRegion {
    /// Reads an ISO 3166-1 code such as `US`; `None` when no numbering plan is known for it.
    pub fn parse(code: &str) -> Option<Self> {
        code.to_ascii_uppercase()
            .parse::<Region>()
            .ok()
            .filter(|region| {
                PHONE_NUMBER_UTIL
                    .get_country_code_for_region(*region)
                    .is_some()
            })
            .map(Self)
    }
}

impl fmt::Debug for HomeRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Phone {
    /// Reads a number as people write it: `+1 (202) 555-0143`, `0044 20 …`, or nationally
    /// when `region` is given.
    pub fn parse(raw: &str, region: Option<HomeRegion>) -> Result<Self, PhoneError> {
        let text = raw.trim().trim_start_matches('\'').trim();
        if text.is_empty() {
            return Err(PhoneError::Empty);
        }
        if is_scientific(text) {
            return Err(PhoneError::Spreadsheet);
        }
        if let Ok(phone) = Self::from_e164(text)
            && phone.plausible()
        {
            return Ok(phone);
        }
        // `00` is the international prefix nearly everywhere but in North America, where a
        // number never begins with 0: reading it as `+` is safe in both.
        let international = text.strip_prefix("00").map(|rest| format!("+{rest}"));
        let text = international.as_deref().unwrap_or(text);
        if text.chars().any(char::is_alphabetic) {
            // "1-800-FLOWERS" and "555 0100 ext. 4" are no addresses for a message.
            return Err(PhoneError::NotANumber);
        }
        let parsed = PHONE_NUMBER_UTIL
            .parse(text, region.map(|home| home.0))
            .map_err(|error| {
                use rlibphonenumber::ParseError as E;
                match error {
                    E::InvalidCountryCode if region.is_none() && !text.starts_with('+') => {
                        PhoneError::NoRegion
                    }
                    E::InvalidCountryCode => PhoneError::NotInUse,
                    E::NotANumber(_) => PhoneError::NotANumber,
                    E::TooShortAfterIdd | E::TooShortNsn => PhoneError::TooShort,
                    E::TooLongNsn => PhoneError::TooLong,
                }
            })?;
        Self::accept(&parsed)
    }

    fn accept(parsed: &PhoneNumber) -> Result<Self, PhoneError> {
        let phone = Self(
            PHONE_NUMBER_UTIL
                .format(parsed, PhoneNumberFormat::E164)
                .into_owned(),
        );
        if is_fictional(&phone.0) || PHONE_NUMBER_UTIL.is_valid_number(parsed) {
            return Ok(phone);
        }
        let digits = phone.0.len() - 1;
        Err(match digits {
            ..7 => PhoneError::TooShort,
            16.. => PhoneError::TooLong,
            _ => PhoneError::NotInUse,
        })
    }

    /// Takes a text that already is E.164 to the letter; for lines and stored values.
    pub fn from_e164(text: &str) -> Result<Self, PhoneError> {
        let digits = text.strip_prefix('+').ok_or(PhoneError::NotANumber)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
            return Err(PhoneError::NotANumber);
        }
        match digits.len() {
            ..7 => Err(PhoneError::TooShort),
            7..=15 => Ok(Self(text.to_owned())),
            _ => Err(PhoneError::TooLong),
        }
    }

    /// Full check of a number that is E.164 already, without building a new string.
    fn plausible(&self) -> bool {
        is_fictional(&self.0)
            || PHONE_NUMBER_UTIL
                .parse(&self.0, None)
                .is_ok_and(|parsed| PHONE_NUMBER_UTIL.is_valid_number(&parsed))
    }

    /// The digits, for the wire and the ledger. Never for a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `+1415•••1234`: enough to recognise one's own customer, not enough to call them.
    pub fn masked(&self) -> String {
        let digits = self.0.len().saturating_sub(1);
        let tail = digits.saturating_sub(7).min(4);
        let head = digits.saturating_sub(3 + tail).min(4);
        let start = self.0.get(..=head).unwrap_or_default();
        let end = self.0.get(self.0.len() - tail..).unwrap_or_default();
        format!("{start}•••{end}")
    }
}

/// North American numbers `555-01xx` (any area code, 555 too) are set aside for fiction, and
/// some of them stand outside the numbering plan. Samples and rehearsals use them.
fn is_fictional(e164: &str) -> bool {
    e164.len() == 12 && e164.starts_with("+1") && e164.get(5..10) == Some("55501")
}

/// `4.15556E+09` and `4,15556E9`, the traces of a spreadsheet.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return false;
    };
    let digit_or_point = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let exponent = exponent.trim_start_matches(['+', '-']);
    !mantissa.is_empty()
        && mantissa.trim_start_matches('+').chars().all(digit_or_point)
        && !exponent.is_empty()
        && exponent.bytes().all(|b| b.is_ascii_digit())
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl TryFrom<String> for Phone {
    type Error = PhoneError;
    fn try_from(text: String) -> Result<Self, PhoneError> {
        Self::from_e164(&text)
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn us(raw: &str) -> Result<String, PhoneError> {
        Phone::parse(raw, HomeRegion::parse("US")).map(String::from)
    }

    #[test]
    fn the_ways_people_write_a_number_come_to_one() {
        for raw in [
            "+12025550143",
            "(202) 555-0143",
            "202.555.0143",
            " 1 202 555 0143 ",
            "0012025550143",
            "'+12025550143",
        ] {
            assert_eq!(us(raw).as_deref(), Ok("+12025550143"), "{raw}");
        }
        assert_eq!(us("00 44 20 7946 0958").as_deref(), Ok("+442079460958"));
        let german = Phone::parse("030 123456", HomeRegion::parse("DE")).unwrap();
        assert_eq!(german.expose(), "+4930123456");
    }

    #[test]
    fn a_number_that_cannot_be_written_to_says_why() {
        assert_eq!(us(""), Err(PhoneError::Empty));
        assert_eq!(us("4.15556E+09"), Err(PhoneError::Spreadsheet));
        assert_eq!(us("4,15556E9"), Err(PhoneError::Spreadsheet));
        assert_eq!(us("call me"), Err(PhoneError::NotANumber));
        assert_eq!(us("555-0143 ext 3"), Err(PhoneError::NotANumber));
        assert_eq!(Phone::parse("2025550143", None), Err(PhoneError::NoRegion));
        assert_eq!(us("12"), Err(PhoneError::TooShort));
        assert_eq!(us("1234567890"), Err(PhoneError::NotInUse));
    }

    #[test]
    fn numbers_of_fiction_are_accepted() {
        assert_eq!(us("+15555550100").as_deref(), Ok("+15555550100"));
        assert_eq!(us("(555) 555-0100").as_deref(), Ok("+15555550100"));
    }

    #[test]
    fn a_masked_number_hides_three_digits_at_least() {
        assert_eq!(
            Phone::from_e164("+14155551234").unwrap().masked(),
            "+1415•••1234"
        );
        assert_eq!(
            Phone::from_e164("+4915112345678").unwrap().masked(),
            "+4915•••5678"
        );
        assert_eq!(
            format!("{:?}", Phone::from_e164("+1234567").unwrap()),
            "+1234•••"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(raw in "\\PC{0,24}") {
            drop(us(&raw));
        }

        #[test]
        fn masking_never_shows_more_than_eight_digits(digits in "[1-9][0-9]{6,14}") {
            let phone = Phone::from_e164(&format!("+{digits}")).unwrap();
            let shown = phone.masked().chars().filter(char::is_ascii_digit).count();
            prop_assert!(shown <= 8 && shown + 3 <= digits.len());
        }
    }
}
