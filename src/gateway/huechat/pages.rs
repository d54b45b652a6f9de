//! Lists of the provider, page by page (huechat §5). Rows may move while they are read: whoever
//! reads on drops what was there before, and stops where nothing comes any more. What a page says
//! about the end is believed only where all that it says agrees.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::Turns;
use super::{HueChat, answer, body};
use crate::domain::channel::Channel;
use crate::domain::outcome::Outcome;

/// The most that a page holds (huechat §5).
const PAGE: usize = 100;

/// When the newest message of a conversation was written.
pub(super) const LAST: &str = "last_message_at";

pub(super) fn time(row: &Value, name: &str) -> Option<Timestamp> {
    row.get(name)?.as_str()?.parse().ok()
}

/// So much before a moment, or as long ago as can be.
pub(super) fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// A row that does not tell its time may be of any.
pub(super) fn is_older(row: &Value, name: &str, since: Timestamp) -> bool {
    time(row, name).is_some_and(|at| at < since)
}

/// Whether whatever comes after these rows is older than `since`: they come newest first, as far
/// as they show, and have come past it. In which order a list comes is not stated (huechat §5,
/// §7.3): one in another order has to be read to its end.
pub(super) fn nothing_newer(rows: &[Value], name: &str, since: Timestamp) -> bool {
    let times = || rows.iter().filter_map(|row| time(row, name));
    let falls = times().is_sorted_by(|one, next| one >= next);
    let (first, last) = (times().next(), times().next_back());
    falls && last.is_some_and(|last| last < since) && first > last
}

/// What a row is known by when it comes again.
fn name_of(row: &Value) -> String {
    let id = row.get("id").and_then(Value::as_str);
    id.map_or_else(|| row.to_string(), str::to_owned)
}

/// What is known of the rows behind those that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// There are more.
    Some,
    /// There are none.
    None,
    /// None come, and something says that there are more.
    Unclear,
}

/// What shows that a list was read without a gap: each page begins with the last row of the one
/// before.
#[derive(Debug, Default)]
struct Proof {
    seen: HashSet<String>,
    /// The next page has to begin with a row that was there.
    overlaps: bool,
    /// One did not: rows were lost between the two.
    is_torn: bool,
}

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    gateway: &'a HueChat,
    path: String,
    query: Vec<(&'static str, String)>,
    offset: usize,
    rest: Rest,
    /// The next page is the caller's to pace.
    paced: bool,
    proof: Option<Proof>,
}

impl<'a> Pages<'a> {
    pub(super) fn of(
        gateway: &'a HueChat,
        path: String,
        query: Vec<(&'static str, String)>,
    ) -> Self {
        Self {
            gateway,
            path,
            query,
            offset: 0,
            rest: Rest::Some,
            paced: false,
            proof: None,
        }
    }

    /// The conversations of the account, or of one channel, in whatever state; the newest first, as
    /// far as the provider keeps to that (huechat §9.1).
    pub(super) fn of_conversations(gateway: &'a HueChat, channel: Option<Channel>) -> Self {
        let mut query = vec![
            ("status", "all".to_owned()),
            ("sort", "last_message_at:desc".to_owned()),
        ];
        query.extend(channel.map(|channel| ("channel", channel.to_string())));
        Self::of(gateway, body::CONVERSATIONS.to_owned(), query)
    }

    /// The same, where the first page has its turn already.
    pub(super) fn paced(self) -> Self {
        Self {
            paced: true,
            ..self
        }
    }

    /// The same, where the list is to prove something: a row that is lost between two pages is
    /// noticed.
    pub(super) fn proving(self) -> Self {
        Self {
            proof: Some(Proof::default()),
            ..self
        }
    }

    /// Whether rows may have been lost while it was read.
    pub(super) fn is_torn(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.is_torn)
    }

    /// Whether it was read to an end about which there is no doubt.
    pub(super) fn is_whole(&self) -> bool {
        self.rest == Rest::None
    }

    /// The next rows, after their turn; `None`: there are no more.
    pub(super) async fn next(&mut self, turns: &dyn Turns) -> Result<Option<Vec<Value>>, Outcome> {
        if self.rest != Rest::Some {
            return Ok(None);
        }
        if !std::mem::take(&mut self.paced) {
            turns.next().await?;
        }
        let mut query = self.query.clone();
        query.push(("limit", PAGE.to_string()));
        query.push(("offset", self.offset.to_string()));
        let answer = self.gateway.get(&self.path, &query).await?;
        let page: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let rows = page.as_ref().and_then(|page| page.get("data")?.as_array());
        let Some(rows) = rows else {
            return Err(answer::unusable(answer.status, "a list without rows"));
        };
        let pagination = |name: &str| page.as_ref()?.get("pagination")?.get(name);
        let told = pagination("has_more").and_then(Value::as_bool);
        let total = pagination("total").and_then(Value::as_u64);
        let end = self.offset + rows.len();
        // Where nothing is told, only a page without rows is the end.
        let counted = total.map(|total| usize::try_from(total).is_ok_and(|total| total <= end));
        let more = match (told, counted) {
            (Some(told), Some(all)) => told || !all,
            (Some(told), None) => told,
            (None, Some(all)) => !all,
            (None, None) => !rows.is_empty(),
        };
        self.rest = match more {
            true if rows.is_empty() => Rest::Unclear,
            true => Rest::Some,
            false => Rest::None,
        };
        self.offset = end;
        if let Some(proof) = &mut self.proof {
            let new = rows.iter().filter(|row| proof.seen.insert(name_of(row)));
            proof.is_torn |= new.count() == rows.len() && proof.overlaps;
            proof.overlaps = rows.len() > 1;
            self.offset -= usize::from(proof.overlaps);
        }
        Ok(Some(rows.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_list_that_comes_newest_first_is_left_before_its_end() {
        let row = |minute: i8| match minute {
            0.. => serde_json::json!({ "at": format!("2026-06-10T16:{minute:02}:00Z") }),
            _ => serde_json::json!({ "at": null }),
        };
        for (minutes, left) in [
            (&[30, 20, 10][..], true),
            (&[30, 20], false),
            (&[-1, 30, 10], true),
            (&[12, 11, 10], true),
            (&[10, 20, 30], false),
            (&[10, 11, 12], false),
            (&[30, 10, 30], false),
            (&[30, 10, 11], false),
            (&[10], false),
            (&[10, 10], false),
            (&[-1], false),
            (&[], false),
        ] {
            let rows: Vec<Value> = minutes.iter().map(|minute| row(*minute)).collect();
            let since = "2026-06-10T16:15:00Z".parse().unwrap();
            assert_eq!(nothing_newer(&rows, "at", since), left, "{minutes:?}");
        }
    }
}
