//! What the sandbox was asked and what it answered, request by request, in the order of the
//! answers. Holds no messages: those are the provider's, which alone knows who received them.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::faults::RouteMatch;
use crate::domain::digest::Digest;

/// One request, as kept.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// When its last byte had arrived (of an upload: its headers), in microseconds since the
    /// epoch by the machine's clock.
    pub(super) at_us: i64,
    /// The same moment by the provider's clock.
    pub(super) provider_us: i64,
    pub(super) method: Box<str>,
    pub(super) path: Box<str>,
    pub(super) route: Option<RouteMatch>,
    pub(super) tenant: Option<Arc<str>>,
    pub(super) to: Option<Box<str>>,
    pub(super) key: Option<Arc<str>>,
    /// Absent where the body was not read to its end.
    pub(super) body: Option<Digest>,
    pub(super) bytes: u64,
    pub(super) trace: u64,
    pub(super) answer: Answered,
}

/// What a request came to.
#[derive(Debug, Clone, Default)]
pub(super) struct Answered {
    /// Absent where the connection was closed instead.
    pub(super) status: Option<u16>,
    /// Chert's number of the error.
    pub(super) code: Option<u16>,
    /// HueChat's name of it.
    pub(super) error: Option<Box<str>>,
    pub(super) fault: Option<&'static str>,
    /// The message that the person has received by this request, or had received before.
    pub(super) message_id: Option<u128>,
    pub(super) replay: bool,
}

/// All requests since the start or the last reset. Grows by about 400 bytes a request;
/// `POST /_sandbox/reset` empties it.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Vec<Entry>,
}

/// A request as the control surface shows it.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    /// From 1, in the order of the answers.
    pub seq: u64,
    /// When the request had arrived, by the machine's clock.
    pub at: String,
    /// The same moment by the provider's clock.
    pub provider_at: String,
    pub method: String,
    pub path: String,
    pub tenant: Option<String>,
    /// The person written to.
    pub to: Option<String>,
    pub key: Option<String>,
    pub body_sha256: Option<Digest>,
    pub bytes: u64,
    /// Absent where the connection was closed without an answer, by a fault or by the client.
    pub status: Option<u16>,
    /// The error code that the answer gave; Chert has numbers.
    pub code: Option<u16>,
    /// The error that the answer named; HueChat has names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The name of the fault that was applied.
    pub fault: Option<&'static str>,
    pub message_id: Option<String>,
    /// The answer repeats that of an earlier request with the same key.
    pub replay: bool,
    pub trace_id: String,
}

/// Which records are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only those about this person, in E.164.
    pub to: Option<String>,
    /// Only those with a higher number.
    pub after: u64,
    /// At most so many of each.
    pub limit: Option<usize>,
}

/// When a request came, and what it brought.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) at_us: i64,
    pub(super) provider_us: i64,
    /// It was to send a message.
    pub(super) is_post: bool,
    pub(super) message_id: Option<String>,
    pub(super) replay: bool,
}

impl Filter {
    pub(super) fn wants(&self, to: Option<&str>) -> bool {
        self.to.is_none() || self.to.as_deref() == to
    }

    /// Whether a record about all of these people is wanted.
    pub(super) fn wants_any(&self, people: impl FnOnce() -> Vec<String>) -> bool {
        self.to.is_none() || people().iter().any(|one| self.wants(Some(one)))
    }

    pub(super) fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }

    pub(super) fn skipped(&self) -> usize {
        usize::try_from(self.after).unwrap_or(usize::MAX)
    }
}

impl Journal {
    pub(super) fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn clear(&mut self) {
        self.entries = Vec::new();
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn records(&self, filter: &Filter) -> Vec<RequestRecord> {
        let entries = (1..).zip(&self.entries).skip(filter.skipped());
        entries
            .filter(|(_, entry)| filter.wants(entry.to.as_deref()))
            .take(filter.most())
            .map(|(seq, entry)| entry.record(seq))
            .collect()
    }

    /// Every POST of a message, whatever came of it.
    fn posts(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_post())
    }

    /// Every request, in few words.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let moment = |entry: &Entry| Moment {
            at_us: entry.at_us,
            provider_us: entry.provider_us,
            is_post: entry.is_post(),
            message_id: entry.message_text(),
            replay: entry.answer.replay,
        };
        self.entries.iter().map(moment).collect()
    }

    /// What was asked under a path: method and path without ids, status, and the error's name.
    pub(super) fn asked_under(&self, under: &str) -> Vec<(String, Option<u16>, Option<String>)> {
        let entries = self.entries.iter();
        let ours = entries.filter(|entry| entry.path.starts_with(under));
        let asked = ours.map(|entry| {
            let name = format!("{} {}", entry.method, without_ids(&entry.path));
            let error = entry.answer.error.as_deref().map(str::to_owned);
            (name, entry.answer.status, error)
        });
        asked.collect()
    }

    pub(super) fn post_count(&self) -> usize {
        self.posts().count()
    }

    /// The most message posts that arrived within any one second: the width of the window is
    /// a second, its start is wherever the count is highest.
    pub(super) fn busiest_second(&self) -> usize {
        const SECOND_US: i64 = 1_000_000;
        let mut times: Vec<i64> = self.posts().map(|entry| entry.at_us).collect();
        times.sort_unstable();
        let mut window = std::collections::VecDeque::new();
        let mut most = 0;
        for time in times {
            window.push_back(time);
            while window
                .front()
                .is_some_and(|first| time - first >= SECOND_US)
            {
                window.pop_front();
            }
            most = most.max(window.len());
        }
        most
    }
}

impl Entry {
    /// Whether it was to send a message.
    fn is_post(&self) -> bool {
        matches!(
            self.route,
            Some(
                RouteMatch::Send
                    | RouteMatch::Chats
                    | RouteMatch::Messages
                    | RouteMatch::Locations
                    | RouteMatch::SendContact
                    | RouteMatch::HueSend
            )
        )
    }

    /// As its provider writes it.
    fn message_text(&self) -> Option<String> {
        let id = self.answer.message_id?;
        Some(match self.route {
            Some(RouteMatch::HueSend) => format!("msg_{id:016x}"),
            _ => format!("{id:032x}"),
        })
    }

    fn record(&self, seq: u64) -> RequestRecord {
        RequestRecord {
            seq,
            at: time_text(self.at_us),
            provider_at: time_text(self.provider_us),
            method: self.method.to_string(),
            path: self.path.to_string(),
            tenant: self.tenant.as_deref().map(str::to_owned),
            to: self.to.as_deref().map(str::to_owned),
            key: self.key.as_deref().map(str::to_owned),
            body_sha256: self.body,
            bytes: self.bytes,
            status: self.answer.status,
            code: self.answer.code,
            error: self.answer.error.as_deref().map(str::to_owned),
            fault: self.answer.fault,
            message_id: self.message_text(),
            replay: self.answer.replay,
            trace_id: trace_text(self.trace),
        }
    }
}

/// A path whose third piece, where there is one, is an id.
fn without_ids(path: &str) -> String {
    let pieces = path.trim_start_matches('/').split('/').enumerate();
    let mut text = String::with_capacity(path.len());
    for (nth, piece) in pieces {
        text.push('/');
        text.push_str(if nth == 2 { "{id}" } else { piece });
    }
    text
}

/// ISO 8601 in UTC, to the millisecond.
pub(super) fn time_text(at_us: i64) -> String {
    let at = Timestamp::from_microsecond(at_us).unwrap_or_default();
    format!("{at:.3}")
}

/// The value of `X-Trace-ID`.
pub(super) fn trace_text(trace: u64) -> String {
    format!("{trace:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(at_us: i64) -> Entry {
        Entry {
            at_us,
            provider_us: at_us,
            method: "POST".into(),
            path: "/api/v1/chats".into(),
            route: Some(RouteMatch::Chats),
            tenant: None,
            to: Some("+12025550143".into()),
            key: None,
            body: None,
            bytes: 0,
            trace: 1,
            answer: Answered::default(),
        }
    }

    #[test]
    fn the_busiest_second_slides_and_excludes_its_end() {
        let mut journal = Journal::default();
        for at in [0, 1_400_000, 900_000, 1_000_000, 1_899_999, 1_900_000] {
            journal.push(post(at));
        }
        // 900 000 up to, but not including, 1 900 000.
        assert_eq!(journal.busiest_second(), 4);
        journal.clear();
        assert_eq!(journal.busiest_second(), 0);
    }

    #[test]
    fn times_are_written_to_the_millisecond_in_utc() {
        assert_eq!(time_text(1_781_082_900_000_000), "2026-06-10T09:15:00.000Z");
    }
}
