//! A preview for scripts: one documented, stable shape (`docs/preview.md`). `request.body` is the
//! body byte for byte.

use std::collections::BTreeMap;

use serde::Serialize;

use super::sheet::{METHOD, Piece, Sheet, Shown};
use crate::domain::address::Address;
use crate::domain::channel::Channel;

#[derive(Serialize)]
struct Preview<'a> {
    campaign: &'a str,
    run: &'a str,
    starts: Option<&'a str>,
    list: &'a str,
    row: u64,
    list_line: u64,
    recipient: Recipient<'a>,
    /// `send` or `skip`.
    verdict: &'static str,
    #[serde(flatten)]
    shown: Body<'a>,
}

#[derive(Serialize)]
struct Recipient<'a> {
    key: Option<&'a str>,
    phone: Option<&'a str>,
    timezone: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Body<'a> {
    Send {
        line: Option<&'a str>,
        channel: Option<Channel>,
        idempotency_key: &'a str,
        parts: Vec<PieceBody<'a>>,
        request: Request<'a>,
        warnings: &'a [String],
        notes: &'a [String],
    },
    Skip {
        reason: &'static str,
        reason_in_words: &'static str,
        detail: &'a str,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PieceBody<'a> {
    Text {
        value: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<&'a str>,
    },
    Template {
        name: &'a str,
        parameters: &'a BTreeMap<String, String>,
    },
    Media {
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<File<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
    },
    RichLink {
        url: &'a str,
        host: String,
        title: Option<&'a str>,
        summary: Option<&'a str>,
        image_url: Option<&'a str>,
        icon_url: Option<&'a str>,
    },
}

#[derive(Serialize)]
struct File<'a> {
    name: &'a str,
    content_type: &'a str,
    bytes: usize,
    sha256: String,
}

#[derive(Serialize)]
struct Request<'a> {
    method: &'static str,
    path: &'a str,
    body: &'a str,
}

pub(super) fn json(sheet: &Sheet) -> String {
    let (verdict, shown) = match &sheet.shown {
        Shown::Message(letter) => (
            "send",
            Body::Send {
                line: letter
                    .from
                    .as_ref()
                    .map(crate::domain::phone::Phone::expose),
                channel: sheet.channel,
                idempotency_key: letter.idempotency_key.as_str(),
                parts: letter.parts.iter().map(piece).collect(),
                request: Request {
                    method: METHOD,
                    path: &letter.path,
                    body: &letter.body,
                },
                warnings: &letter.warnings,
                notes: &letter.notes,
            },
        ),
        Shown::Skipped { reason, detail } => (
            "skip",
            Body::Skip {
                reason: reason.as_str(),
                reason_in_words: reason.in_words(),
                detail,
            },
        ),
    };
    let preview = Preview {
        campaign: sheet.run.campaign(),
        run: sheet.run.as_str(),
        starts: sheet.starts.as_deref(),
        list: &sheet.list,
        row: sheet.row,
        list_line: sheet.list_line,
        recipient: Recipient {
            key: sheet.recipient_key.as_deref(),
            phone: sheet.phone.as_ref().map(Address::expose),
            timezone: sheet.timezone.as_deref(),
        },
        verdict,
        shown,
    };
    // Strings and numbers under fixed names: there is nothing that could fail.
    serde_json::to_string_pretty(&preview).unwrap_or_default() + "\n"
}

fn piece(piece: &Piece) -> PieceBody<'_> {
    match piece {
        Piece::Text { value, subject } => PieceBody::Text {
            value,
            subject: subject.as_deref(),
        },
        Piece::Template { name, parameters } => PieceBody::Template { name, parameters },
        Piece::File(media) => PieceBody::Media {
            file: Some(File {
                name: &media.filename,
                content_type: &media.content_type,
                bytes: media.bytes.len(),
                sha256: media.sha256.to_string(),
            }),
            url: None,
        },
        Piece::Remote { url } => PieceBody::Media {
            file: None,
            url: Some(url),
        },
        Piece::Link(link) => PieceBody::RichLink {
            url: &link.url,
            host: link.host(),
            title: link.title.as_deref(),
            summary: link.summary.as_deref(),
            image_url: link.image_url.as_deref(),
            icon_url: link.icon_url.as_deref(),
        },
    }
}
