//! Ids of chats, messages, lines, slots and tenants: derived from the seed and from what they
//! name, so that they come out the same whatever the order of concurrent requests. Draws no
//! random numbers.

use crate::domain::digest::{Digest, hex};

/// An id before it is written out.
pub(super) type Id = u128;

/// The id that the subject has under this seed.
pub(super) fn derive(seed: u64, kind: &str, subject: &[&[u8]]) -> Id {
    let mut text = Vec::with_capacity(96);
    text.extend_from_slice(&seed.to_be_bytes());
    for field in std::iter::once(kind.as_bytes()).chain(subject.iter().copied()) {
        // A length before each field keeps `ab` + `c` and `a` + `bc` apart.
        text.extend_from_slice(&(field.len() as u64).to_be_bytes());
        text.extend_from_slice(field);
    }
    let digest = Digest::of(&text);
    let (half, _) = digest.bytes().split_at(16);
    half.iter().fold(0, |id, byte| (id << 8) | Id::from(*byte))
}

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

    #[test]
    fn every_field_and_the_seed_make_another_id() {
        let id = derive(7, "message", &[b"ab", b"c"]);
        assert_ne!(id, derive(7, "message", &[b"a", b"bc"]));
        assert_ne!(id, derive(8, "message", &[b"ab", b"c"]));
        assert_ne!(id, derive(7, "chat", &[b"ab", b"c"]));
    }
}
