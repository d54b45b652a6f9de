//! The codes of Chert (chert §3.2): which of them concern the whole account, and what each means
//! to the person who sends. Never decides whether to try again.

/// Too many requests.
pub(super) const RATE_LIMITED: u32 = 1007;
/// No line has capacity for this recipient.
pub(super) const LINES_BUSY: u32 = 4002;
/// The time in the signature is more than 300 s off.
pub(super) const CLOCK: u32 = 2013;
/// There is no such message.
pub(super) const MESSAGE_UNKNOWN: u32 = 2003;
/// The sender line is not this account's, or not now; sent with HTTP 400 or 403 (chert §17.5).
pub(super) const LINE_NOT_OURS: u32 = 2006;

/// There is no such event, list or route.
pub(super) const NO_SUCH_RESOURCE: u32 = 2011;

const TENANT_UNKNOWN: u32 = 2001;
const BAD_CREDENTIALS: u32 = 2004;
const FORBIDDEN: u32 = 2005;
const EMAIL_NOT_VERIFIED: u32 = 2007;
const ACCOUNT_LIMIT: u32 = 2008;
const NO_CREDENTIALS: u32 = 2012;
const INTERNAL: u32 = 3001;
const NOT_CONFIGURED: u32 = 3003;
const DELIVERY_SERVICE_ERROR: u32 = 3004;

const ATTACHMENT_UNKNOWN: u32 = 5001;
const ATTACHMENT_NOT_UPLOADED: u32 = 5004;

/// The provider refuses the account, not this message: everyone else would fare the same.
/// A line that is not ours is no such thing, even under 403: other lines may go on.
pub(super) fn stops_the_run(code: Option<u32>, http: u16) -> bool {
    match code {
        Some(
            TENANT_UNKNOWN | BAD_CREDENTIALS | FORBIDDEN | EMAIL_NOT_VERIFIED | ACCOUNT_LIMIT
            | NO_CREDENTIALS | CLOCK | NOT_CONFIGURED,
        ) => true,
        Some(LINE_NOT_OURS) => false,
        Some(_) | None => matches!(http, 401..=403),
    }
}

/// Something broke inside, and nothing says how far the message had come by then. All other
/// codes are given before it is passed on, or for want of success.
pub(super) fn leaves_doubt(code: Option<u32>, http: u16) -> bool {
    match code {
        Some(INTERNAL | DELIVERY_SERVICE_ERROR) => true,
        Some(_) => false,
        None => http >= 500 && http != 503,
    }
}

pub(super) fn is_media_lost(code: Option<u32>) -> bool {
    matches!(code, Some(ATTACHMENT_UNKNOWN | ATTACHMENT_NOT_UPLOADED))
}

/// One sentence: ours where the code is known, the provider's own words beside it where they say
/// more than the code does.
pub(super) fn describe(code: Option<u32>, words: Option<&str>, http: u16) -> String {
    let words = words.filter(|words| !words.is_empty());
    let known = code.and_then(meaning);
    match (known, words) {
        (Some((ours, Words::Ours)), _) | (Some((ours, Words::Both)), None) => ours.to_owned(),
        (Some((ours, Words::Both)), Some(words)) => format!("{ours} (Chert says: {words})"),
        (None, Some(words)) => format!("Chert refused it: {words}"),
        (None, None) => of_status(http),
    }
}

/// What an answer without a readable word means.
pub(super) fn of_status(http: u16) -> String {
    let meaning = match http {
        401 | 403 => "the provider refuses these credentials; check tenant and signing secret",
        402 => "the account's limit is reached",
        404 | 405 => "the provider does not know this address; check `base_url`",
        408 => "the provider gave up waiting; it may have taken the message",
        413 => "the request is too large for the provider",
        429 => "the provider asks for fewer requests",
        400..=499 => "the provider refused it without saying why",
        500..=599 => "the provider had a fault and did not say whether it took the message",
        _ => "the provider gave an answer that makes no sense here",
    };
    format!("HTTP {http}: {meaning}")
}

enum Words {
    /// The code says it all.
    Ours,
    /// The code covers several things; the provider's words tell which.
    Both,
}

fn meaning(code: u32) -> Option<(&'static str, Words)> {
    use Words::{Both, Ours};
    Some(match code {
        1001 => ("a field that Chert needs is missing", Both),
        1002 => ("a field has a value that Chert does not take", Both),
        1003 => ("Chert does not take this phone number", Ours),
        1004 => ("Chert could not read the request", Both),
        1005 => (
            "a first message must not have a web address in its text",
            Ours,
        ),
        1006 => ("more parts or recipients than Chert takes", Both),
        RATE_LIMITED => ("Chert asks for fewer requests", Ours),
        1008 => (
            "two texts follow each other; merge them into one part",
            Ours,
        ),
        1009 => ("a text is longer than Chert takes", Ours),
        1010 => ("this number cannot get an iMessage through Chert", Ours),
        1011 => ("a media part points to nothing that Chert can use", Both),
        1012 => ("Chert cannot do this in its present state", Both),
        TENANT_UNKNOWN => ("Chert does not know this tenant; check `tenant`", Ours),
        2002 => ("Chert does not know this chat", Ours),
        BAD_CREDENTIALS => (
            "Chert refuses the credentials; check `tenant` and the signing secret",
            Ours,
        ),
        FORBIDDEN => (
            "Chert has suspended this account or does not permit this",
            Both,
        ),
        LINE_NOT_OURS => (
            "the sender line is not active, or not this account's any more",
            Ours,
        ),
        EMAIL_NOT_VERIFIED => ("the account's e-mail address is not verified yet", Ours),
        ACCOUNT_LIMIT => ("the account's limit is reached", Both),
        NO_CREDENTIALS => ("Chert saw no credentials; check `auth`", Ours),
        CLOCK => (
            "this machine's clock is more than five minutes off; set it, then resume",
            Ours,
        ),
        INTERNAL => ("Chert had an internal fault", Ours),
        3002 => ("Chert's delivery is down for the moment", Ours),
        NOT_CONFIGURED => (
            "this account is not fully set up; ask Chert's support",
            Ours,
        ),
        DELIVERY_SERVICE_ERROR => ("Chert's delivery service had a fault", Ours),
        4001 => ("the message was rejected on its way to the device", Both),
        LINES_BUSY => ("no sender line has capacity for this recipient now", Ours),
        4099 => ("Chert cannot do this on this line or chat", Both),
        ATTACHMENT_UNKNOWN => ("Chert no longer has an uploaded file of this message", Ours),
        5002 => ("the file is larger than Chert takes (100 MB)", Ours),
        5003 => ("Chert does not take files of this kind", Both),
        ATTACHMENT_NOT_UPLOADED => ("a file of this message was not uploaded completely", Ours),
        _ => return None,
    })
}
