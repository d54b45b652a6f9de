//! What stands behind the `?`, and the pages of a list (huechat §5). Knows no list.

use std::collections::HashMap;

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Value, json};

use super::errors::{Refusal, invalid};

/// The longest page.
pub(super) const LONGEST_PAGE: usize = 100;
/// How long a page is when nobody says.
const USUAL_PAGE: usize = 20;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Asked(HashMap<String, String>);

/// A part of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    limit: usize,
    offset: usize,
}

impl Asked {
    pub(super) fn parse(query: &str) -> Result<Self, Refusal> {
        let unreadable = || invalid("query", "cannot be read");
        let uri: Uri = format!("/?{query}").parse().map_err(|_| unreadable())?;
        let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| unreadable())?;
        Ok(Self(pairs))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// One of a few words; `usual` where nobody says.
    pub(super) fn word<T>(
        &self,
        name: &str,
        usual: T,
        (read, words): (impl Fn(&str) -> Option<T>, &str),
    ) -> Result<T, Refusal> {
        match self.text(name) {
            None => Ok(usual),
            Some(text) => {
                read(text).ok_or_else(|| invalid(name, &format!("must be one of {words}")))
            }
        }
    }

    fn number(&self, name: &str, usual: usize) -> Result<usize, Refusal> {
        match self.text(name) {
            None => Ok(usual),
            Some(text) => {
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits);
                number.ok_or_else(|| invalid(name, "must be a whole number, not below 0"))
            }
        }
    }

    pub(super) fn page(&self) -> Result<Page, Refusal> {
        let limit = self.number("limit", USUAL_PAGE)?;
        if !(1..=LONGEST_PAGE).contains(&limit) {
            return Err(invalid("limit", "must be from 1 to 100"));
        }
        Ok(Page {
            limit,
            offset: self.number("offset", 0)?,
        })
    }
}

impl Page {
    /// The envelope of a list: its part, and where that stands in the whole.
    pub(super) fn of<T>(self, all: &[T], show: impl Fn(&T) -> Value) -> Value {
        let part = all.iter().skip(self.offset).take(self.limit);
        let data: Vec<Value> = part.map(show).collect();
        let has_more = self.offset.saturating_add(data.len()) < all.len();
        json!({
            "pagination": {
                "limit": self.limit,
                "offset": self.offset,
                "total": all.len(),
                // Nothing comes behind the end of a list.
                "has_more": has_more && !data.is_empty(),
            },
            "data": data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_pages_of_a_list_are_the_list(length in 0usize..300, limit in 1usize..=100) {
            let all: Vec<usize> = (0..length).collect();
            let (mut seen, mut offset) = (Vec::new(), 0);
            loop {
                let asked = Asked::parse(&format!("limit={limit}&offset={offset}")).unwrap();
                let page = asked.page().unwrap().of(&all, |one| json!(one));
                let data = page["data"].as_array().unwrap();
                seen.extend(data.iter().map(|one| usize::try_from(one.as_u64().unwrap()).unwrap()));
                offset += data.len();
                prop_assert_eq!(&page["pagination"]["total"], length);
                if page["pagination"]["has_more"] == false {
                    break;
                }
            }
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_page_out_of_bounds_is_refused() {
        for query in [
            "limit=0",
            "limit=101",
            "limit=+5",
            "limit=x",
            "offset=-1",
            "offset=",
        ] {
            let refused = Asked::parse(query).unwrap().page().unwrap_err();
            assert_eq!(refused.status, 400, "{query}");
        }
    }
}
