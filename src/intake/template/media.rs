//! Files that messages name: read once each, checked, hashed. Holds no bytes longer than until
//! they are handed out with the first rows that need them.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::include::io_in_words;
use crate::domain::digest::Digest;
use crate::domain::message::{MAX_MEDIA_BYTES, Media};

/// Paths whose digest is remembered; a list with a file for each row would fill memory else.
const REMEMBERED: usize = 10_000;

/// Why a file cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadMedia {
    pub message: String,
    pub help: String,
}

/// The files of one run.
#[derive(Debug, Default)]
pub struct Shelf {
    folder: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<PathBuf, Result<Digest, BadMedia>>,
    waiting: HashMap<Digest, Media>,
    handed_out: BTreeSet<Digest>,
}

impl Shelf {
    /// `folder` is the template's.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
            inner: Mutex::default(),
        }
    }

    /// The digest of the file that a template's `file:` came to; `literal` is what stands before
    /// its first tag. A path leaves the folder only where the template itself says so.
    pub fn digest(&self, rendered: &str, literal: &str) -> Result<Digest, BadMedia> {
        let path = self.resolve(rendered, literal)?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inner.known.get(&path) {
            return known.clone();
        }
        // Read under the lock: two threads that need the same file read it once.
        let read = read(&path, rendered);
        if inner.known.len() >= REMEMBERED {
            inner.known.clear();
        }
        let digest = read.map(|media| {
            let sha256 = media.sha256;
            if !inner.handed_out.contains(&sha256) {
                inner.waiting.insert(sha256, media);
            }
            sha256
        });
        inner.known.insert(path, digest.clone());
        digest
    }

    /// The file itself, the first time it is asked for.
    pub fn hand_out(&self, sha256: Digest) -> Option<Media> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let media = inner.waiting.remove(&sha256)?;
        inner.handed_out.insert(sha256);
        Some(media)
    }

    fn resolve(&self, rendered: &str, literal: &str) -> Result<PathBuf, BadMedia> {
        let start = literal.rfind('/').map_or(0, |at| at + 1);
        let (base, rest) = match rendered.split_at_checked(start) {
            Some((base, rest)) if literal.starts_with(base) => (base, rest),
            _ => ("", rendered),
        };
        let written = rendered == literal.trim();
        let tame = Path::new(rest)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if rendered.is_empty() || rendered.contains('\0') || !(tame || written) {
            return Err(BadMedia {
                message: format!(
                    "'{}' is not a file of the template's folder",
                    short(rendered)
                ),
                help: "a value from the list must not lead out of the folder".to_owned(),
            });
        }
        Ok(self.folder.join(base).join(rest))
    }
}

fn short(path: &str) -> String {
    path.chars().take(80).collect()
}

fn read(path: &Path, shown: &str) -> Result<Media, BadMedia> {
    let shown = short(shown);
    let bad = |message: String, help: &str| BadMedia {
        message,
        help: help.to_owned(),
    };
    let unreadable = |error: &std::io::Error| {
        bad(
            format!("cannot read the file '{shown}': {}", io_in_words(error)),
            "paths are relative to the template's folder",
        )
    };
    let Some(content_type) = content_type(path) else {
        return Err(bad(
            format!("the provider does not take files such as '{shown}'"),
            "send an image, video, sound, PDF, text, contact card, office file or zip",
        ));
    };
    let found = std::fs::metadata(path).map_err(|e| unreadable(&e))?;
    if !found.is_file() {
        return Err(bad(
            format!("'{shown}' is not a file"),
            "name the file itself",
        ));
    }
    if found.len() > MAX_MEDIA_BYTES {
        return Err(bad(
            format!("the file '{shown}' has {} MB", found.len() / 1_000_000),
            "the provider takes at most 100 MB",
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(&e))?;
    if bytes.is_empty() {
        return Err(bad(
            format!("the file '{shown}' is empty"),
            "put the right file there",
        ));
    }
    if let Some(kind) = contradicted(&content_type, &bytes) {
        return Err(bad(
            format!("the file '{shown}' is no {kind} inside"),
            "save it anew in the format that its name says",
        ));
    }
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    Ok(Media {
        sha256: Digest::of(&bytes),
        filename: name.unwrap_or_else(|| "file".to_owned()),
        content_type,
        bytes: Bytes::from(bytes),
    })
}

/// Besides images, video, sound and the XML office formats.
const WHOLE: [&str; 7] = [
    "application/pdf",
    "text/plain",
    "text/csv",
    "application/msword",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/zip",
];

/// The media type by the file's name, if the provider takes it (chert §10.3).
fn content_type(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    if extension == "vcf" {
        return Some("text/vcard".to_owned());
    }
    let guess = mime_guess::from_ext(&extension).first()?;
    let whole = guess.essence_str();
    let office = whole.starts_with("application/vnd.openxmlformats-officedocument.")
        || whole.starts_with("application/vnd.oasis.opendocument.");
    let family = ["image", "video", "audio"].contains(&guess.type_().as_str());
    (family || office || WHOLE.contains(&whole)).then(|| whole.to_owned())
}

/// The kind that the name promises and the first bytes deny.
fn contradicted(content_type: &str, bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    let (kind, right) = match content_type {
        "image/png" => ("PNG", starts(b"\x89PNG\r\n\x1a\n")),
        "image/jpeg" => ("JPEG", starts(b"\xFF\xD8\xFF")),
        "image/gif" => ("GIF", starts(b"GIF87a") || starts(b"GIF89a")),
        "image/webp" => ("WebP", starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")),
        "application/pdf" => ("PDF", starts(b"%PDF")),
        _ => return None,
    };
    (!right).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let dir = tempfile::tempdir().unwrap();
        let templates = dir.path().join("templates");
        std::fs::create_dir(&templates).unwrap();
        std::fs::write(templates.join("a.png"), PNG).unwrap();
        std::fs::write(templates.join("copy.png"), PNG).unwrap();
        std::fs::write(templates.join("fake.png"), "hello").unwrap();
        std::fs::write(templates.join("run.exe"), "MZ").unwrap();
        std::fs::write(templates.join("empty.jpg"), "").unwrap();
        std::fs::write(dir.path().join("logo.png"), PNG).unwrap();
        let shelf = Shelf::new(&templates);
        (dir, shelf)
    }

    #[test]
    fn one_content_is_handed_out_once() {
        let (_dir, shelf) = shelf();
        let digest = shelf.digest("a.png", "a.png").unwrap();
        assert_eq!(shelf.digest("copy.png", "copy.png"), Ok(digest));
        let media = shelf.hand_out(digest).unwrap();
        assert_eq!(
            (media.filename.as_str(), media.content_type.as_str()),
            ("copy.png", "image/png")
        );
        assert_eq!(shelf.hand_out(digest), None);
        assert_eq!(shelf.digest("./a.png", "./a.png"), Ok(digest));
        assert_eq!(shelf.hand_out(digest), None);
    }

    #[test]
    fn files_that_cannot_be_sent_say_why() {
        let (_dir, shelf) = shelf();
        let message = |file: &str| shelf.digest(file, file).unwrap_err().message;
        assert_eq!(
            message("none.png"),
            "cannot read the file 'none.png': there is no such file"
        );
        assert_eq!(message("fake.png"), "the file 'fake.png' is no PNG inside");
        assert_eq!(
            message("run.exe"),
            "the provider does not take files such as 'run.exe'"
        );
        assert_eq!(message("empty.jpg"), "the file 'empty.jpg' is empty");
    }

    #[test]
    fn a_value_from_the_list_cannot_lead_out_of_the_folder() {
        let (_dir, shelf) = shelf();
        assert!(shelf.digest("../logo.png", "../logo.png").is_ok());
        assert!(shelf.digest("../logo.png", "../").is_ok());
        for (rendered, literal) in [
            ("../logo.png", ""),
            ("/etc/x.png", ""),
            ("x/../../logo.png", "x/"),
        ] {
            let bad = shelf.digest(rendered, literal).unwrap_err();
            assert!(
                bad.message.contains("not a file of the template's folder"),
                "{rendered}"
            );
        }
    }
}
