//! Lists of the provider, page by page (huechat §5). Rows may move while they are read: whoever
//! reads on drops what was there before, and stops where nothing comes any more.

use jiff::Timestamp;
use serde_json::Value;

use super::super::Turns;
use super::{HueChat, answer};
use crate::domain::outcome::Outcome;

/// The most that a page holds (huechat §5).
const PAGE: usize = 100;

pub(super) fn time(row: &Value, name: &str) -> Option<Timestamp> {
    row.get(name)?.as_str()?.parse().ok()
}

/// Whether whatever comes after these rows is older than `since`: they come newest first, as far
/// as they show, and have come past it. In which order a list comes is not stated (huechat §5,
/// §7.3): one in another order has to be read to its end.
pub(super) fn nothing_newer(rows: &[Value], name: &str, since: Timestamp) -> bool {
    let times = || rows.iter().filter_map(|row| time(row, name));
    let falls = times().is_sorted_by(|one, next| one >= next);
    let (first, last) = (times().next(), times().last());
    falls && last.is_some_and(|last| last < since) && first > last
}

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    gateway: &'a HueChat,
    path: String,
    query: Vec<(&'static str, String)>,
    offset: usize,
    has_more: bool,
    /// The next page is the caller's to pace.
    paced: bool,
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
            has_more: true,
            paced: false,
        }
    }

    /// The same, where the first page has its turn already.
    pub(super) fn paced(self) -> Self {
        Self {
            paced: true,
            ..self
        }
    }

    /// The next rows, after their turn; `None`: there are no more.
    pub(super) async fn next(&mut self, turns: &dyn Turns) -> Result<Option<Vec<Value>>, Outcome> {
        if !self.has_more {
            return Ok(None);
        }
        if !std::mem::take(&mut self.paced) {
            turns.next().await?;
        }
        let mut query = self.query.clone();
        query.push(("limit", PAGE.to_string()));
        query.push(("offset", self.offset.to_string()));
        let answer = self.gateway.get(&self.path, &query).await?;
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let rows = body.as_ref().and_then(|body| body.get("data")?.as_array());
        let Some(rows) = rows else {
            return Err(answer::unusable(answer.status, "a list without rows"));
        };
        let told = body
            .as_ref()
            .and_then(|body| body.pointer("/pagination/has_more")?.as_bool());
        self.has_more = !rows.is_empty() && told.unwrap_or(rows.len() == PAGE);
        self.offset += rows.len();
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
