//! Files that people send to a line, and reading them back (chert §10.4). Kept whole, unlike
//! what is uploaded: a client has no other copy of them.

use std::collections::HashMap;

use axum::http::HeaderValue;
use bytes::Bytes;

use super::Chert;
use super::errors::{Refusal, code};
use super::exchange::{Call, Done};
use super::ids::{self, Id};
use super::store::Store;
use super::tenants::TenantNo;

/// The longest file that a person can send in the sandbox, in bytes.
const LONGEST: usize = 3_000_000;
/// Of all files together, so that a forgotten loop does not fill the memory.
const MOST: usize = 200_000_000;

/// Why a file cannot be sent by a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFile {
    #[error("the file is empty, or longer than 3 MB")]
    Size,
    #[error("the file needs a `content_type`, such as image/png")]
    Kind,
    #[error("the sandbox keeps 200 MB of people's files, and has them; a reset makes room")]
    Full,
}

#[derive(Debug)]
struct Picture {
    /// Whose line it was sent to; absent until somebody sends it.
    tenant: Option<TenantNo>,
    content_type: HeaderValue,
    bytes: Bytes,
}

/// Everything that people have sent, or are about to.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    kept: HashMap<Id, Picture>,
    bytes: usize,
}

/// `in_<32 hex digits>`, the shape of what was received (chert §1).
fn text_of(id: Id) -> String {
    format!("in_{}", ids::message_text(id))
}

fn parse(text: &str) -> Option<Id> {
    ids::parse_message(text.strip_prefix("in_")?)
}

impl Pictures {
    fn keep(&mut self, seed: u64, picture: Picture) -> Result<String, BadFile> {
        let bytes = self.bytes + picture.bytes.len();
        if bytes > MOST {
            return Err(BadFile::Full);
        }
        self.bytes = bytes;
        let nth = self.kept.len().to_be_bytes();
        let id = ids::derive(seed, "picture", &[&nth]);
        self.kept.insert(id, picture);
        Ok(text_of(id))
    }

    /// Gives files to the tenant whose line they are sent to; none of them, and false, when one
    /// is not there or another's.
    pub(super) fn hand_to(&mut self, tenant: TenantNo, files: &[String]) -> bool {
        let ids: Option<Vec<Id>> = files.iter().map(|id| parse(id)).collect();
        let ids = ids.unwrap_or_default();
        let free = |id: &Id| {
            let picture = self.kept.get(id);
            picture.is_some_and(|picture| picture.tenant.is_none_or(|owner| owner == tenant))
        };
        if ids.len() < files.len() || !ids.iter().all(free) {
            return false;
        }
        for id in ids {
            if let Some(picture) = self.kept.get_mut(&id) {
                picture.tenant = Some(tenant);
            }
        }
        true
    }

    /// For whoever looks at the phones: with its type.
    pub(super) fn shown(&self, tenant: TenantNo, id: &str) -> Option<(String, Bytes)> {
        let picture = self.of(tenant, id)?;
        let kind = picture.content_type.to_str().ok()?;
        Some((kind.to_owned(), picture.bytes.clone()))
    }

    fn of(&self, tenant: TenantNo, id: &str) -> Option<&Picture> {
        let picture = self.kept.get(&parse(id)?)?;
        (picture.tenant == Some(tenant)).then_some(picture)
    }
}

impl Store {
    fn keep_picture(&mut self, picture: Picture) -> Result<String, BadFile> {
        let seed = self.seed();
        self.pictures.keep(seed, picture)
    }
}

impl Chert {
    /// Keeps a file until a person sends it; answers its id.
    pub(in crate::sandbox) fn keep_file(
        &self,
        content_type: &str,
        bytes: Bytes,
    ) -> Result<String, BadFile> {
        if bytes.is_empty() || bytes.len() > LONGEST {
            return Err(BadFile::Size);
        }
        let content_type = content_type.trim();
        let parts = content_type.split_once('/');
        if !parts.is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty()) {
            return Err(BadFile::Kind);
        }
        self.store().keep_picture(Picture {
            tenant: None,
            content_type: HeaderValue::from_str(content_type).map_err(|_| BadFile::Kind)?,
            bytes,
        })
    }
}

impl Call {
    /// `GET /attachments/{id}/content`.
    pub(super) fn content(&self) -> Result<Done, Refusal> {
        let store = self.chert.store();
        let picture = store.pictures.of(self.tenant, &self.id);
        let picture = picture.ok_or_else(|| Refusal::new(code::ATTACHMENT_NOT_FOUND))?;
        Ok(Done {
            file: Some((picture.content_type.clone(), picture.bytes.clone())),
            ..Done::new(String::new())
        })
    }
}
