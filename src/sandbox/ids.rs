//! Ids that are derived from the seed and from what they name, so that they come out the same
//! whatever the order of concurrent requests. Draws no random numbers; how an id is written is
//! each provider's own.

use crate::domain::digest::Digest;

/// An id before it is written out.
pub(in crate::sandbox) type Id = u128;

/// The id that the subject has under this seed.
pub(in crate::sandbox) fn derive(seed: u64, kind: &str, subject: &[&[u8]]) -> Id {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_and_the_seed_make_another_id() {
        let id = derive(7, "message", &[b"ab", b"c"]);
        assert_ne!(id, derive(7, "message", &[b"a", b"bc"]));
        assert_ne!(id, derive(8, "message", &[b"ab", b"c"]));
        assert_ne!(id, derive(7, "chat", &[b"ab", b"c"]));
    }
}
