//! The ways to a person that a HueChat account offers, and what each of them asks of a message
//! (huechat §7.1, §8). A Chert account has one way and no name for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::email::{Email, EmailError};
use super::phone::{HomeRegion, Phone, PhoneError};

/// A way to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Whatsapp,
    Sms,
    Email,
    Instagram,
}

impl Channel {
    pub const ALL: [Self; 4] = [Self::Whatsapp, Self::Sms, Self::Email, Self::Instagram];

    /// The provider's name for it, which is also that of campaigns and of the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Instagram => "instagram",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|channel| channel.as_str() == text)
    }

    /// As people write it.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Whatsapp => "WhatsApp",
            Self::Sms => "SMS",
            Self::Email => "e-mail",
            Self::Instagram => "Instagram",
        }
    }

    /// Whether people are reached by an e-mail address; by a phone number otherwise.
    pub fn is_mail(self) -> bool {
        self == Self::Email
    }

    /// Reads a cell as an address of this channel.
    pub fn address(
        self,
        raw: &str,
        region: Option<HomeRegion>,
    ) -> Result<Address, super::address::AddressError> {
        if self.is_mail() {
            Email::parse(raw)
                .map(Address::from)
                .map_err(EmailError::into)
        } else {
            Phone::parse(raw, region)
                .map(Address::from)
                .map_err(PhoneError::into)
        }
    }

    /// The longest text in characters (huechat §7.1).
    pub fn max_text_chars(self) -> usize {
        match self {
            Self::Whatsapp => 4_096,
            Self::Sms => 1_600,
            Self::Email => 100_000,
            Self::Instagram => 1_000,
        }
    }

    /// Whether a text of one's own may only go to people who have written within the last day
    /// (huechat §8).
    pub fn has_reply_window(self) -> bool {
        matches!(self, Self::Whatsapp | Self::Instagram)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long after a person's message free text may still be sent (huechat §8).
pub const REPLY_WINDOW: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for channel in Channel::ALL {
            assert_eq!(Channel::parse(channel.as_str()), Some(channel));
            assert_eq!(
                serde_json::to_value(channel).unwrap(),
                serde_json::json!(channel.as_str())
            );
        }
        assert_eq!(Channel::parse("WhatsApp"), None);
    }

    #[test]
    fn mail_goes_to_addresses_and_everything_else_to_numbers() {
        for channel in Channel::ALL {
            let to_mail = channel.address("dana@example.com", None).is_ok();
            let to_phone = channel.address("+12025550143", None).is_ok();
            assert_eq!((to_mail, to_phone), (channel.is_mail(), !channel.is_mail()));
        }
    }
}
