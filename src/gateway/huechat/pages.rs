//! Lists of the provider, page by page (huechat §5). Rows may move while they are read: whoever
//! reads on drops what was there before, and stops where nothing comes any more. What a page says
//! about the end is believed only where all that it says agrees.

use serde_json::Value;

use super::super::Turns;
use super::{HueChat, answer};
use crate::domain::outcome::Outcome;

/// The most that a page holds (huechat §5).
const PAGE: usize = 100;

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    gateway: &'a HueChat,
    path: String,
    query: Vec<(&'static str, String)>,
    offset: usize,
    has_more: bool,
    /// The end was reached, and nothing said that there is more behind it.
    is_whole: bool,
    /// The next page is the caller's to pace.
    paced: bool,
    /// Each page begins with the last row of the one before.
    overlapping: bool,
    /// The next page does.
    overlaps: bool,
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
            is_whole: false,
            paced: false,
            overlapping: false,
            overlaps: false,
        }
    }

    /// The same, where the first page has its turn already.
    pub(super) fn paced(self) -> Self {
        Self {
            paced: true,
            ..self
        }
    }

    /// The same, where each page shows that no row got lost between it and the one before.
    pub(super) fn overlapping(self) -> Self {
        Self {
            overlapping: true,
            ..self
        }
    }

    /// Whether the next page begins with a row that was there already, if none was lost.
    pub(super) fn overlaps(&self) -> bool {
        self.overlaps
    }

    /// Whether it was read to an end about which there is no doubt.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
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
        let pagination = |name: &str| body.as_ref()?.get("pagination")?.get(name);
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
        self.has_more = more && !rows.is_empty();
        self.is_whole = !more;
        self.overlaps = self.overlapping && rows.len() > 1;
        self.offset = end - usize::from(self.overlaps);
        Ok(Some(rows.clone()))
    }
}
