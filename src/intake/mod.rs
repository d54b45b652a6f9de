//! From files to domain: campaign, settings, template and list. Every problem of all of them is
//! collected with its place before anything is done. Does not know the ledger or the wire.

mod paths;
mod yaml;

pub mod campaign_file;
pub mod message_file;
pub mod schema;

pub mod settings_file;

pub mod encoding;
pub mod list;
pub mod rows;
pub mod template;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::domain::digest::{Digest, Hasher};

/// The digest of a file's bytes, read in pieces: lists may be long.
pub fn digest_of_file(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::default();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut piece)?;
        let Some(read) = piece.get(..n).filter(|read| !read.is_empty()) else {
            return Ok(hasher.finish());
        };
        hasher.update(read);
    }
}
