//! Which conversations are worth a request of their own when answers are read: every message of a
//! campaign makes its conversation newer, and most of them say nothing that is not known. That
//! nothing is unread proves little, since somebody at the account may have read it first.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::domain::opt_out::{Heard, hear};

/// So many conversations are remembered; then they are begun anew.
const MOST: usize = 100_000;

/// What is known of the conversations without reading them.
#[derive(Debug, Default)]
pub(super) struct Talks(Mutex<HashMap<String, Talk>>);

#[derive(Debug, Clone, Copy, Default)]
struct Talk {
    /// Messages in it when answers were last read to the end.
    listed: Option<u64>,
    /// Messages that went into it from here since then.
    sent: u64,
}

/// The conversations of one reading as they were listed. Dropped where the reading breaks off: the
/// next one finds the same news.
#[derive(Debug, Default)]
pub(super) struct Listing(HashMap<String, Talk>);

impl Talks {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Talk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message was taken into the conversation.
    pub(super) fn sent(&self, id: &str) {
        let mut talks = self.lock();
        if talks.len() >= MOST {
            talks.clear();
        }
        talks.entry(id.to_owned()).or_default().sent += 1;
    }

    /// Whether there may be something in a conversation, as a list shows it, that was not read
    /// here: something is unread; or its last message is a word that ends or begins it; or more
    /// was said since it was last listed than was sent from here.
    pub(super) fn has_news(&self, id: &str, row: &Value, listing: &mut Listing) -> bool {
        let count = |name: &str| row.get(name).and_then(Value::as_u64);
        let preview = row.get("last_message_preview").and_then(Value::as_str);
        let is_word = |words| matches!(hear(words), Heard::Stop | Heard::Start);
        let talk = self.lock().get(id).copied().unwrap_or_default();
        let listed = count("message_count");
        let grown = match (talk.listed, listed) {
            (Some(before), Some(now)) => now.saturating_sub(before) > talk.sent,
            _ => false,
        };
        let sent = talk.sent;
        listing.0.insert(id.to_owned(), Talk { listed, sent });
        count("unread_count") != Some(0) || preview.is_some_and(is_word) || grown
    }

    /// Everything in the listing was read.
    pub(super) fn read(&self, listing: Listing) {
        let mut talks = self.lock();
        if talks.len() + listing.0.len() > MOST {
            talks.clear();
        }
        for (id, Talk { listed, sent }) in listing.0 {
            let talk = talks.entry(id).or_default();
            talk.listed = listed;
            talk.sent = talk.sent.saturating_sub(sent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(messages: u64, unread: u64, preview: &str) -> Value {
        serde_json::json!({ "message_count": messages, "unread_count": unread,
            "last_message_preview": preview })
    }

    /// Whether one reading, which goes to its end, finds news in it.
    fn news(talks: &Talks, id: &str, row: &Value) -> bool {
        let mut listing = Listing::default();
        let news = talks.has_news(id, row, &mut listing);
        talks.read(listing);
        news
    }

    #[test]
    fn what_we_sent_ourselves_is_no_news() {
        let talks = Talks::default();
        assert!(!news(&talks, "c1", &row(4, 0, "Your parcel is ready.")));
        talks.sent("c1");
        talks.sent("c1");
        assert!(!news(&talks, "c1", &row(6, 0, "Your parcel is ready.")));
        assert!(!news(&talks, "c1", &row(6, 0, "Your parcel is ready.")));
    }

    #[test]
    fn what_somebody_at_the_account_has_read_is_read_here_too() {
        let talks = Talks::default();
        assert!(news(&talks, "c1", &row(2, 0, "STOP")), "the last word");
        assert!(!news(&talks, "c2", &row(1, 0, "Your parcel is ready.")));
        talks.sent("c2");
        let answered = row(4, 0, "We took you off the list.");
        assert!(news(&talks, "c2", &answered), "it grew by more than ours");
        assert!(!news(&talks, "c2", &answered), "and only once");
    }

    #[test]
    fn a_reading_that_broke_off_takes_no_news_away() {
        let talks = Talks::default();
        news(&talks, "c1", &row(1, 0, "Your parcel is ready."));
        let answered = row(3, 0, "We took you off the list.");
        assert!(talks.has_news("c1", &answered, &mut Listing::default()));
        assert!(news(&talks, "c1", &answered));
    }

    #[test]
    fn what_goes_out_while_answers_are_read_is_ours_too() {
        let talks = Talks::default();
        news(&talks, "c1", &row(1, 0, "Hi"));
        let mut listing = Listing::default();
        talks.has_news("c1", &row(1, 0, "Hi"), &mut listing);
        talks.sent("c1");
        talks.read(listing);
        assert!(!news(&talks, "c1", &row(2, 0, "Hi again")));
    }

    #[test]
    fn what_is_unread_or_not_counted_is_read() {
        let talks = Talks::default();
        assert!(news(&talks, "c1", &row(2, 1, "Thanks")));
        assert!(news(&talks, "c1", &serde_json::json!({})));
    }
}
