//! `PUT` of an attachment's bytes (chert §10.2): read as a stream, hashed and counted; of pictures
//! the [`Album`] gets a print.

use axum::body::{Body, HttpBody};
use axum::http::Response;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use futures_util::StreamExt;

use super::album::{self, Album, Print};
use super::auth::Proof;
use super::errors::{Refusal, code};
use super::exchange::{Call, Done, Ending, Payload};
use super::ids;
use crate::domain::digest::{Digest, Hasher};

/// Checks what can be checked before the first byte, reads, and hands over.
pub(super) async fn handle(mut call: Call, head: Parts, body: Body) -> Response<Body> {
    let read = match open(&mut call, &head, &body) {
        Ok(most) => read(body, most, content_type(&head).filter(Album::wants)).await,
        Err(refusal) => Err(Ending::Refuse(refusal)),
    };
    match read {
        Ok((digest, size, bytes)) => {
            if let (Some(bytes), Some(kind)) = (bytes, content_type(&head)) {
                let print = Print {
                    content_type: kind.to_owned(),
                    bytes: bytes.into(),
                };
                let mut store = call.chert.store();
                store.album.keep(call.tenant, &call.id, print);
            }
            call.entry.body = Some(digest);
            call.entry.bytes = size;
            call.run(Payload::File(digest, size)).await
        }
        Err(ending) => call.end(ending),
    }
}

/// How many bytes may come. A body that announces more is refused before it is read.
fn open(call: &mut Call, head: &Parts, body: &Body) -> Result<u64, Refusal> {
    call.enter(head, Proof::BearerOnly)?;
    let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
    let mut store = call.chert.store();
    let most =
        store
            .slots(call.tenant)
            .open(&call.id, header(CONTENT_TYPE), call.entry.provider_us)?;
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let announced = announced.or(body.size_hint().exact());
    if announced.is_some_and(|announced| announced > most) {
        return Err(too_large());
    }
    Ok(most)
}

fn content_type(head: &Parts) -> Option<&str> {
    head.headers.get(CONTENT_TYPE)?.to_str().ok()
}

/// Digest and size, and the bytes of a `picture`, if they are not too many.
async fn read(
    body: Body,
    most: u64,
    picture: Option<&str>,
) -> Result<(Digest, u64, Option<Vec<u8>>), Ending> {
    let (mut hash, mut size) = (Hasher::default(), 0u64);
    let mut bytes = picture.map(|_| Vec::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Ending::SILENCE)?;
        size += chunk.len() as u64;
        if size > most {
            return Err(Ending::Refuse(too_large()));
        }
        hash.update(&chunk);
        bytes = bytes.filter(|kept| kept.len() + chunk.len() <= album::LONGEST);
        if let Some(bytes) = &mut bytes {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok((hash.finish(), size, bytes))
}

fn too_large() -> Refusal {
    Refusal::new(code::ATTACHMENT_TOO_LARGE).because("The body is larger than was registered")
}

/// Closes the slot.
pub(super) fn finish(call: &Call, file: (Digest, u64)) -> Result<Done, Refusal> {
    let id = call.chert.store().slots(call.tenant).fill(&call.id, file)?;
    let id = ids::message_text(id);
    Ok(Done::new(format!(
        "{{\"attachment_id\":\"{id}\",\"status\":\"uploaded\"}}"
    )))
}
