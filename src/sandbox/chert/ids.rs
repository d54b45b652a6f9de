//! Ids of chats, messages, lines, slots and tenants, as Chert writes them. [`derive`] makes them.

use crate::domain::digest::hex;
pub(super) use crate::sandbox::ids::{Id, derive};

/// 32 hex characters, the shape of messages and attachments (chert §1).
pub(super) fn message_text(id: Id) -> String {
    hex(&id.to_be_bytes())
}

/// A UUID, the shape of chats (chert §1).
pub(super) fn chat_text(id: Id) -> String {
    let mut text = message_text(id);
    for dash in [8, 13, 18, 23] {
        text.insert(dash, '-');
    }
    text
}

/// `pl_…`, the shape of lines (chert §12).
pub(super) fn line_text(id: Id) -> String {
    let mut text = message_text(id);
    text.truncate(16);
    text.insert_str(0, "pl_");
    text
}

/// Reads what [`message_text`] writes, to the letter.
pub(super) fn parse_message(text: &str) -> Option<Id> {
    let id = Id::from_str_radix(text, 16).ok()?;
    (message_text(id) == text).then_some(id)
}

/// Reads what [`chat_text`] writes, to the letter.
pub(super) fn parse_chat(text: &str) -> Option<Id> {
    let id = Id::from_str_radix(&text.replace('-', ""), 16).ok()?;
    (chat_text(id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_only_as_they_were_written() {
        let id = derive(7, "message", &[b"a", b"b"]);
        assert_eq!(parse_message(&message_text(id)), Some(id));
        assert_eq!(parse_chat(&chat_text(id)), Some(id));
        assert_eq!(parse_chat(&message_text(id)), None);
        assert_eq!(parse_message(&message_text(id).to_uppercase()), None);
        assert_eq!(parse_message("+1"), None);
    }
}
