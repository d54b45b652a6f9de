//! Who a person is to a provider that writes to contacts (huechat §6): made of the list's columns,
//! frozen with the message, and told to the provider when it does not know the person yet.

use serde::{Deserialize, Serialize};

/// What a contact is made of, besides the address that the channel writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// A contact has one, always (huechat §6).
    pub first_name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_name: Option<String>,
}

/// Longest name in characters (huechat §6.1).
pub const MAX_NAME_CHARS: usize = 100;
