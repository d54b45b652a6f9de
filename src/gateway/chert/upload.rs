//! Uploads a file: asks for a slot, then puts the bytes into it (chert §10). The second request
//! carries the secret itself, so it goes nowhere but to the provider the secret belongs to.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    TRANSFER_ENCODING,
};
use reqwest::{Method, Url};
use serde::Serialize;
use serde_json::Value;

use super::super::http::host_of;
use super::{Chert, answer, body};
use crate::domain::message::Media;
use crate::domain::outcome::{Failure, Outcome, Scope};

/// The slowest line that a file of 100 MB must still get through: it has then 13 minutes.
const SLOWEST_BYTES_PER_SECOND: u64 = 128 * 1024;

#[derive(Serialize)]
struct SlotRequest<'a> {
    filename: &'a str,
    content_type: &'a str,
    size_bytes: usize,
}

/// A place for one file.
struct Slot {
    attachment_id: String,
    url: Url,
    headers: HeaderMap,
}

impl Chert {
    pub(super) async fn upload_file(&self, media: &Media) -> Result<String, Outcome> {
        let slot = self.slot(media).await?;
        let mut request = reqwest::Request::new(Method::PUT, slot.url);
        let headers = request.headers_mut();
        *headers = slot.headers;
        if !headers.contains_key(CONTENT_TYPE) {
            headers.insert(CONTENT_TYPE, content_type(media)?);
        }
        headers.insert(CONTENT_LENGTH, HeaderValue::from(media.bytes.len()));
        self.signer.bear(headers);
        *request.body_mut() = Some(media.bytes.clone().into());
        let seconds = media.bytes.len() as u64 / SLOWEST_BYTES_PER_SECOND;
        *request.timeout_mut() = Some(self.wire.timeout() + Duration::from_secs(seconds));
        let now = || self.signer.now();
        let put = self.wire.exchange(request).await;
        let put = put.map_err(|lost| answer::lost(lost, now))?;
        if put.is_success() {
            Ok(slot.attachment_id)
        } else {
            Err(answer::refused(&put, now))
        }
    }

    async fn slot(&self, media: &Media) -> Result<Slot, Outcome> {
        let ask = body::json(&SlotRequest {
            filename: &media.filename,
            content_type: &media.content_type,
            size_bytes: media.bytes.len(),
        });
        let now = || self.signer.now();
        let called = self.call(Method::POST, "/attachments", Bytes::from(ask));
        let answer = called.await.map_err(|lost| answer::lost(lost, now))?;
        if !answer.is_success() {
            return Err(answer::refused(&answer, now));
        }
        let unreadable = || Outcome::Retry {
            after: None,
            scope: Scope::Recipient,
            failure: said("Chert gave a place to upload a file to that cannot be read"),
        };
        let slot: Value = serde_json::from_slice(&answer.body).map_err(|_| unreadable())?;
        let text = |name: &str| slot.get(name).and_then(Value::as_str);
        let attachment_id = answer::usable(text("attachment_id").map(str::to_owned));
        let attachment_id = attachment_id.ok_or_else(unreadable)?;
        // A relative address is as good as a whole one.
        let url = text("upload_url").and_then(|url| self.base.join(url).ok());
        let url = self.trusted(url.ok_or_else(unreadable)?)?;
        Ok(Slot {
            attachment_id,
            url,
            headers: required_headers(&slot)?,
        })
    }

    /// Refuses an upload address of another scheme, host or port: the request bears the secret.
    fn trusted(&self, url: Url) -> Result<Url, Outcome> {
        if url.origin() == self.base.origin() && url.username().is_empty() {
            return Ok(url);
        }
        let text = format!(
            "Chert wants the file sent to '{}', but the secret goes only to '{}'; check `base_url`",
            host_of(&url),
            host_of(&self.base)
        );
        Err(Outcome::StopRun {
            failure: said(text),
        })
    }
}

/// The headers that the slot asks for, but for those that are ours: `authorization` holds a
/// placeholder (chert §10.1), and the others frame the request.
fn required_headers(slot: &Value) -> Result<HeaderMap, Outcome> {
    let mut headers = HeaderMap::new();
    let asked = slot.get("required_headers").and_then(Value::as_object);
    for (name, value) in asked.into_iter().flatten() {
        let (name, value) = HeaderName::try_from(name)
            .ok()
            .zip(value.as_str().and_then(|value| value.parse().ok()))
            .ok_or_else(|| Outcome::Permanent {
                failure: said("Chert asks for a header with the file that cannot be sent"),
            })?;
        if ![AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING, HOST].contains(&name) {
            headers.insert(name, value);
        }
    }
    Ok(headers)
}

fn content_type(media: &Media) -> Result<HeaderValue, Outcome> {
    media.content_type.parse().map_err(|_| Outcome::Permanent {
        failure: said("the file's media type has a character that cannot be sent"),
    })
}

fn said(text: impl Into<String>) -> Failure {
    Failure {
        text: text.into(),
        ..Failure::default()
    }
}
