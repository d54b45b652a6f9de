//! The pictures that were uploaded, for whoever looks at the phones: the newest ones, as many as
//! fit. The provider itself needs only their digests.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::ids::{self, Id};
use super::tenants::TenantNo;

/// A longer picture is not kept, in bytes.
pub(super) const LONGEST: usize = 10_000_000;
/// Of all pictures together; the oldest go first.
const MOST: usize = 64_000_000;

type Key = (TenantNo, Id);

#[derive(Debug, Clone)]
pub(super) struct Print {
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Album {
    kept: HashMap<Key, Print>,
    /// Oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Album {
    /// Whether a file of this type is worth keeping.
    pub(super) fn wants(content_type: &&str) -> bool {
        let kind = content_type.trim().to_ascii_lowercase();
        kind.starts_with("image/")
    }

    pub(super) fn keep(&mut self, tenant: TenantNo, id: &str, print: Print) {
        let Some(id) = ids::parse_message(id) else {
            return;
        };
        let key = (tenant, id);
        self.bytes += print.bytes.len();
        if let Some(before) = self.kept.insert(key, print) {
            self.bytes -= before.bytes.len();
        } else {
            self.order.push_back(key);
        }
        while self.bytes > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.kept.remove(&oldest);
            self.bytes -= gone.map_or(0, |gone| gone.bytes.len());
        }
    }

    pub(super) fn of(&self, tenant: TenantNo, id: &str) -> Option<&Print> {
        self.kept.get(&(tenant, ids::parse_message(id)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(bytes: usize) -> Print {
        Print {
            content_type: "image/png".to_owned(),
            bytes: vec![0; bytes].into(),
        }
    }

    #[test]
    fn the_oldest_go_when_it_is_full_and_one_that_comes_again_counts_once() {
        let mut album = Album::default();
        let id = |n: u128| ids::message_text(n);
        for n in 0..6 {
            album.keep(0, &id(n), print(LONGEST));
            album.keep(0, &id(n), print(LONGEST));
        }
        assert!((0..6).all(|n| album.of(0, &id(n)).is_some()));
        album.keep(0, &id(6), print(LONGEST));
        assert!(album.of(0, &id(0)).is_none());
        assert!((1..7).all(|n| album.of(0, &id(n)).is_some()));
        assert!(album.of(1, &id(6)).is_none(), "another account's");
        assert!(album.bytes <= MOST);
    }
}
