//! What people answered, out of the conversations: for accounts that no webhook reaches (huechat
//! §9.1, §7.3). Conversations come by their newest message, so those in which nothing was said
//! since are not read.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Replies, Reply, Turns};
use super::pages::{LAST, Pages, earlier, is_older, nothing_newer, time};
use super::talks::Listing;
use super::{HueChat, answer, body};
use crate::domain::address::Address;
use crate::domain::channel::{Channel, REPLY_WINDOW};
use crate::domain::email::Email;
use crate::domain::outcome::{Failure, Outcome, Scope};
use crate::domain::phone::Phone;

/// Where lists do not end: so many pages are read, and then it is an error. A season without a
/// reading must not be one: this is a quarter of a million conversations.
const MOST_PAGES: usize = 2_500;
/// What was said so long before the last reading began is read again.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// The longest text that is kept.
const MAX_TEXT: usize = 20_000;

impl HueChat {
    pub(super) async fn read_replies(
        &self,
        since: Option<Timestamp>,
        turns: &dyn Turns,
    ) -> Result<Replies, Outcome> {
        let begun = self.now();
        // Before anybody was written to by this ledger, nothing older opens a window, and a list of
        // everything costs a request for every hundred people.
        let since = since.unwrap_or_else(|| earlier(begun, REPLY_WINDOW + OVERLAP));
        // A conversation that came to the top while a list was read is not in it: it is in the next
        // one, with words that are older than that reading.
        let words_since = earlier(since, REPLY_WINDOW);
        let mut all = Replies::default();
        let mut seen = HashSet::new();
        let mut listing = Listing::default();
        let mut pages = Pages::of_conversations(self, None).proving();
        for _ in 0..MOST_PAGES {
            let rows = pages.next(turns).await.map_err(answer::of_the_account)?;
            let rows = rows.unwrap_or_default();
            if pages.is_torn() {
                // Somebody in a row that was lost may have said STOP.
                return Err(unreadable("changed while it was read"));
            }
            let newer = |row: &&Value| !is_older(row, LAST, since);
            let ends = rows.is_empty() || nothing_newer(&rows, LAST, since);
            for row in rows.iter().filter(newer) {
                let Some(id) = answer::usable(text(row, "id")) else {
                    all.unreadable += 1;
                    continue;
                };
                if seen.insert(id.clone()) && self.talks.has_news(&id, row, &mut listing) {
                    self.answers_in(row, &id, words_since, (turns, &mut all))
                        .await?;
                }
            }
            if ends {
                // By now it is known how far behind the provider's clock is.
                self.talks.read(listing);
                all.read_to = Some(earlier(begun, OVERLAP + self.behind()));
                all.replies.sort_by_key(|reply| reply.at);
                return Ok(all);
            }
        }
        Err(unreadable("does not end"))
    }

    /// What the person said in one conversation.
    async fn answers_in(
        &self,
        conversation: &Value,
        id: &str,
        since: Timestamp,
        (turns, all): (&dyn Turns, &mut Replies),
    ) -> Result<(), Outcome> {
        let mut pages = Pages::of(self, body::messages_of(id), Vec::new());
        let mut from = None;
        for _ in 0..MOST_PAGES {
            let rows = pages.next(turns).await.map_err(answer::of_the_account)?;
            let Some(rows) = rows else {
                return Ok(());
            };
            for row in &rows {
                let theirs = text(row, "sent_by").as_deref() == Some("contact");
                if !theirs || is_older(row, "sent_at", since) {
                    continue;
                }
                if from.is_none() {
                    from = self.person(conversation, turns).await?;
                }
                let channel = text(conversation, "channel");
                let channel = channel.as_deref().and_then(Channel::parse);
                match from
                    .as_ref()
                    .and_then(|from| reply(row, from, (id, channel)))
                {
                    Some(reply) if reply.text.is_empty() => {}
                    Some(reply) => all.replies.push(reply),
                    None => all.unreadable += 1,
                }
            }
            if nothing_newer(&rows, "sent_at", since) {
                return Ok(());
            }
        }
        Err(unreadable("does not end"))
    }

    /// Whom a conversation is with. A list shows a phone at most; an e-mail address has to be
    /// looked up.
    async fn person(
        &self,
        conversation: &Value,
        turns: &dyn Turns,
    ) -> Result<Option<Address>, Outcome> {
        let channel = text(conversation, "channel");
        let channel = channel.as_deref().and_then(Channel::parse);
        if let Some(contact) = conversation.get("contact")
            && let Some(address) = address(contact, channel)
        {
            return Ok(Some(address));
        }
        let Some(id) = answer::usable(text(conversation, "contact_id")) else {
            return Ok(None);
        };
        turns.next().await?;
        match self.get(&body::contact(&id), &[]).await {
            Ok(answer) => {
                let contact: Option<Value> = serde_json::from_slice(&answer.body).ok();
                Ok(contact.and_then(|contact| address(&contact, channel)))
            }
            // Whoever was taken out meanwhile can be written to no more.
            Err(Outcome::Permanent { .. }) => Ok(None),
            Err(outcome) => Err(outcome),
        }
    }
}

fn address(contact: &Value, channel: Option<Channel>) -> Option<Address> {
    if channel.is_some_and(Channel::is_mail) {
        Email::parse(&text(contact, "email")?).ok().map(Into::into)
    } else {
        let phone = text(contact, "phone")?;
        Phone::from_e164(&phone).ok().map(Into::into)
    }
}

fn text(row: &Value, name: &str) -> Option<String> {
    row.get(name)?.as_str().map(str::to_owned)
}

/// A message of a contact. It is known by its own id, whether an event tells of it or a list.
fn reply(
    row: &Value,
    from: &Address,
    (conversation_id, channel): (&str, Option<Channel>),
) -> Option<Reply> {
    let words = text(row, "content").unwrap_or_default();
    Some(Reply {
        event_id: answer::usable(text(row, "id"))?,
        phone: from.clone(),
        line: String::new(),
        channel,
        chat_id: Some(conversation_id.to_owned()),
        text: words
            .trim()
            .chars()
            .filter(|c| *c != '\0')
            .take(MAX_TEXT)
            .collect(),
        at: time(row, "sent_at")?,
    })
}

fn unreadable(why: &str) -> Outcome {
    Outcome::Retry {
        after: None,
        scope: Scope::Recipient,
        failure: Failure {
            text: format!("the provider's list of conversations {why}"),
            ..Failure::default()
        },
    }
}
