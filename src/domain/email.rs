//! E-mail addresses, as far as a sender has to know them: enough to be sure that a cell holds one
//! and that two spellings are one person. Whether anybody reads it, only sending can tell.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An address such as `dana@example.com`, in small letters.
///
/// `Debug` shows the masked form; [`Email::expose`] is the one way to the whole.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

/// Why a text is no e-mail address that can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("the cell is empty")]
    Empty,
    #[error("an e-mail address has exactly one '@', with something on both sides")]
    Shape,
    /// `Dana <dana@example.com>` or two addresses in one cell.
    #[error("only the address itself may stand here: no name, no space, no second address")]
    MoreThanOne,
    #[error("what stands after the '@' is no name of a mail server")]
    Server,
    #[error("an e-mail address has at most {MAX} characters")]
    TooLong,
}

/// The longest address (RFC 5321 §4.5.3.1.3, less the brackets; huechat §6.1).
const MAX: usize = 254;

impl Email {
    /// Reads an address as people write it; capitals do not matter. Case before the `@` could tell
    /// two people apart in theory (RFC 5321 §2.4); no provider of mail makes use of it, and a
    /// list that did would write to one person twice.
    pub fn parse(raw: &str) -> Result<Self, EmailError> {
        let text = raw.trim();
        if text.is_empty() {
            return Err(EmailError::Empty);
        }
        let stray = |c: char| c.is_whitespace() || c.is_control() || ",;<>()[]\\\"".contains(c);
        if text.contains(stray) {
            return Err(EmailError::MoreThanOne);
        }
        let (local, server) = text.split_once('@').ok_or(EmailError::Shape)?;
        if local.is_empty() || server.is_empty() || server.contains('@') {
            return Err(EmailError::Shape);
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        if !server.contains('.') || !server.split('.').all(is_label) {
            return Err(EmailError::Server);
        }
        if text.chars().count() > MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self(text.to_lowercase()))
    }

    /// The whole address, for the wire and the ledger. Never for a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `d•••@example.com`: enough to recognise one's own customer, not enough to write to them.
    pub fn masked(&self) -> String {
        let (local, server) = self.0.split_once('@').unwrap_or_default();
        let first: String = local.chars().take(1).collect();
        format!("{first}•••@{server}")
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl TryFrom<String> for Email {
    type Error = EmailError;
    fn try_from(text: String) -> Result<Self, EmailError> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn two_spellings_are_one_person() {
        let email = Email::parse(" Dana.Ruiz+shop@Example.COM ").unwrap();
        assert_eq!(email.expose(), "dana.ruiz+shop@example.com");
        assert_eq!(Email::parse("dana.ruiz+shop@example.com"), Ok(email));
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (raw, why) in [
            ("", EmailError::Empty),
            ("dana", EmailError::Shape),
            ("@example.com", EmailError::Shape),
            ("dana@", EmailError::Shape),
            ("a@b@example.com", EmailError::Shape),
            ("Dana <dana@example.com>", EmailError::MoreThanOne),
            ("a@example.com, b@example.com", EmailError::MoreThanOne),
            ("dana@localhost", EmailError::Server),
            ("dana@-x.example", EmailError::Server),
            ("dana@example..com", EmailError::Server),
        ] {
            assert_eq!(Email::parse(raw), Err(why), "{raw}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        assert_eq!(Email::parse(&long), Err(EmailError::TooLong));
    }

    #[test]
    fn a_log_never_shows_it() {
        let email = Email::parse("dana@example.com").unwrap();
        assert_eq!(format!("{email:?}"), "d•••@example.com");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_is_taken_again_unchanged(raw in ".{0,40}@?.{0,20}[.]?.{0,10}") {
            if let Ok(email) = Email::parse(&raw) {
                prop_assert_eq!(Email::parse(email.expose()), Ok(email));
            }
        }
    }
}
