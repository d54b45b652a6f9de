//! What the operating system said, in words for people. Says nothing of what was being done.

use std::io::{self, ErrorKind};

/// Too many files open in this process, or on this machine; the same on Linux and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
/// The device itself failed.
const EIO: i32 = 5;

/// Whether a limit on open files, and nothing about the file, is the cause.
pub fn is_too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Why, in a few words: lower case, no full stop.
pub fn because(error: &io::Error) -> String {
    match (error.raw_os_error(), error.kind()) {
        _ if is_too_many_files(error) => {
            "too many files are open; raise the limit, see `ulimit -n`".to_owned()
        }
        (_, ErrorKind::StorageFull) => "the disk is full".to_owned(),
        (Some(EIO), _) => "the disk answers with an error".to_owned(),
        (_, kind) => kind.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cause_is_an_error_number() {
        for number in 1..=133 {
            let words = because(&io::Error::from_raw_os_error(number));
            assert!(!words.contains("os error") && !words.is_empty(), "{words}");
        }
        let full = because(&io::Error::from_raw_os_error(24));
        assert!(full.contains("too many files"), "{full}");
    }
}
