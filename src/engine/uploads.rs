//! Files that messages name, uploaded once per distinct content and gateway and remembered in
//! the ledger.
//!
//! A crash between the upload and its record costs a second upload, never a second message.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::clock::Clock;
use crate::crash_points;
use crate::domain::digest::Digest;
use crate::domain::message::Message;
use crate::domain::outcome::{Failure, Outcome};
use crate::gateway::Gateway;
use crate::ledger::{Ledger, LedgerError};

/// Why a message's files are not ready.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The provider's word.
    Refused(Outcome),
    Ledger(LedgerError),
}

/// One slot a file: whoever comes second waits for the first instead of uploading again.
type Slot = Arc<Mutex<Option<String>>>;

#[derive(Debug)]
pub(super) struct Uploads {
    ledger: Arc<dyn Ledger>,
    gateway: Arc<dyn Gateway>,
    clock: Arc<dyn Clock>,
    account: String,
    slots: Mutex<HashMap<Digest, Slot>>,
}

impl Uploads {
    pub(super) fn new(
        ledger: Arc<dyn Ledger>,
        gateway: Arc<dyn Gateway>,
        clock: Arc<dyn Clock>,
        account: String,
    ) -> Self {
        Self {
            ledger,
            gateway,
            clock,
            account,
            slots: Mutex::default(),
        }
    }

    /// The provider's ids of the files that `message` names.
    pub(super) async fn of(
        &self,
        message: &Message,
    ) -> Result<BTreeMap<Digest, String>, UploadError> {
        let mut ids = BTreeMap::new();
        for sha256 in message.files() {
            ids.insert(sha256, self.one(sha256).await?);
        }
        Ok(ids)
    }

    async fn one(&self, sha256: Digest) -> Result<String, UploadError> {
        let slot = self.slots.lock().await.entry(sha256).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(id) = &*slot {
            return Ok(id.clone());
        }
        let known = self
            .ledger
            .upload(&self.account, sha256)
            .await
            .map_err(UploadError::Ledger)?;
        let id = match known {
            Some(id) => id,
            None => self.upload(sha256).await?,
        };
        *slot = Some(id.clone());
        Ok(id)
    }

    async fn upload(&self, sha256: Digest) -> Result<String, UploadError> {
        let media = self
            .ledger
            .media(sha256)
            .await
            .map_err(UploadError::Ledger)?;
        let media = media
            .filter(|media| Digest::of(&media.bytes) == sha256)
            .ok_or_else(|| {
                UploadError::Ledger(LedgerError::Damaged(format!(
                    "the file {sha256} has changed"
                )))
            })?;
        let id = self
            .gateway
            .upload(&media)
            .await
            .map_err(UploadError::Refused)?;
        crash_points::reach("upload.done").await;
        let now = self.clock.now();
        let kept = self
            .ledger
            .keep_upload(&self.account, sha256, &id, now)
            .await;
        kept.map_err(UploadError::Ledger)?;
        crash_points::reach("upload.kept").await;
        tracing::info!(file = %media.filename, bytes = media.bytes.len(), "file uploaded");
        Ok(id)
    }

    /// Forgets ids that the provider no longer knows, here and in the ledger. Nobody can look a
    /// file up in between and find the lost id again; one that has replaced it stays.
    pub(super) async fn forget(&self, ids: &BTreeMap<Digest, String>) -> Result<(), LedgerError> {
        for (sha256, lost) in ids {
            let slot = self.slots.lock().await.entry(*sha256).or_default().clone();
            let mut slot = slot.lock().await;
            self.ledger
                .forget_uploads(&self.account, std::slice::from_ref(lost))
                .await?;
            if slot.as_ref() == Some(lost) {
                *slot = None;
            }
        }
        Ok(())
    }
}

/// The outcome of a delivery whose file could not be uploaded, in the domain's words: nothing
/// was sent, so an unanswered upload is simply tried again.
pub(super) fn as_outcome(refused: Outcome) -> Outcome {
    match refused {
        Outcome::Uncertain { failure } => Outcome::Retry {
            after: None,
            scope: crate::domain::outcome::Scope::Recipient,
            failure,
        },
        Outcome::Accepted { .. } => Outcome::Permanent {
            failure: Failure {
                text: "the upload gave no file id".into(),
                ..Failure::default()
            },
        },
        other @ (Outcome::Retry { .. }
        | Outcome::Permanent { .. }
        | Outcome::StopRun { .. }
        | Outcome::LineBusy { .. }
        | Outcome::LineInactive { .. }
        | Outcome::MediaLost { .. }) => other,
    }
}
