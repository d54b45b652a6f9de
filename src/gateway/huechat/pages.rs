//! Lists of the provider, page by page (huechat §5). Rows may move while they are read: whoever
//! reads on drops what was there before, and stops where nothing comes any more.

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
