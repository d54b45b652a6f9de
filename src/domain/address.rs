//! Where a message to a person goes: a phone number, or an e-mail address. Which of the two a
//! campaign needs is its channel's to say.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::email::{Email, EmailError};
use super::phone::{HomeRegion, Phone, PhoneError};

/// A person's address. `Debug` shows the masked form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    Phone(Phone),
    Email(Email),
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error(transparent)]
    Phone(#[from] PhoneError),
    #[error(transparent)]
    Email(#[from] EmailError),
}

impl Address {
    /// Takes a text that [`Address::expose`] gave: E.164 to the letter, or an e-mail address.
    pub fn stored(text: &str) -> Result<Self, AddressError> {
        if text.contains('@') {
            Ok(Self::Email(Email::parse(text)?))
        } else {
            Ok(Self::Phone(Phone::from_e164(text)?))
        }
    }

    /// Reads an address as people write it: whatever has an `@` in it is meant as e-mail.
    pub fn parse(raw: &str, region: Option<HomeRegion>) -> Result<Self, AddressError> {
        if raw.contains('@') {
            Ok(Self::Email(Email::parse(raw)?))
        } else {
            Ok(Self::Phone(Phone::parse(raw, region)?))
        }
    }

    /// The whole address, for the wire and the ledger. Never for a log or an error.
    pub fn expose(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.expose(),
            Self::Email(email) => email.expose(),
        }
    }

    /// Enough to recognise one's own customer, not enough to reach them.
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => phone.masked(),
            Self::Email(email) => email.masked(),
        }
    }

    /// The number, where it is one.
    pub fn phone(&self) -> Option<&Phone> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::Email(_) => None,
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl From<Phone> for Address {
    fn from(phone: Phone) -> Self {
        Self::Phone(phone)
    }
}

impl From<Email> for Address {
    fn from(email: Email) -> Self {
        Self::Email(email)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::stored(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        match address {
            Address::Phone(phone) => phone.into(),
            Address::Email(email) => email.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_reads_back_as_itself() {
        let phone: Address = Phone::from_e164("+12025550143").unwrap().into();
        let email: Address = Email::parse("dana@example.com").unwrap().into();
        for address in [&phone, &email] {
            assert_eq!(Address::stored(address.expose()).as_ref(), Ok(address));
        }
        assert!(phone.phone().is_some() && email.phone().is_none());
        assert!(Address::stored("dana").is_err());
    }
}
