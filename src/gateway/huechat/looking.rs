//! Looks for a message that may have been sent, among those of the person's conversations (huechat
//! §13). Whoever says that it is not there makes it be sent again: so that is said only of lists
//! that were read as far as it could stand, in an order that was seen, without a gap.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Sighting, Sought, Turns};
use super::likeness::{self, Likeness, Since, time};
use super::pages::Pages;
use super::{HueChat, answer, body};
use crate::domain::outcome::Outcome;

/// How far the provider's clock and ours may be apart, past what its answers show (huechat §13).
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// A clock that is said to be further behind than this may be that of something in between.
const MOST_BEHIND: SignedDuration = SignedDuration::from_mins(10);
/// Pages of conversations, and of the messages of one, that are read for one message.
const MOST_PAGES: usize = 20;

const MANY_CONVERSATIONS: Sighting = unclear("there are too many conversations to look through");
const LONG_CONVERSATION: Sighting = unclear("the conversation is too long to look through");
const SEVERAL: Sighting = unclear("the conversation shows more than one message that it may be");
const UNSURE: Sighting =
    unclear("the conversation shows a message of which nobody can say whether it is this one");
const TORN: Sighting = unclear("the list of them was not the same from page to page");
const STRANGER: Sighting = unclear("the provider's name for the person is not known any more");
const NAMELESS: Sighting = unclear("there is a conversation of which nobody can say whose it is");

const fn unclear(why: &'static str) -> Sighting {
    Sighting::Unclear { why }
}

impl HueChat {
    /// Looks through the conversation that is known, and through all with the person over the
    /// channel where the message may stand in another one.
    pub(super) async fn sight(
        &self,
        sought: &Sought<'_>,
        turns: &dyn Turns,
    ) -> Result<Sighting, Outcome> {
        let mut look = Look {
            gateway: self,
            sought,
            turns,
            behind: self.behind(),
            looked_through: HashSet::new(),
        };
        let Some(known) = sought.chat_id else {
            return look.through_all().await;
        };
        if let Some(sighting) = look.through(known).await? {
            return Ok(sighting);
        }
        if look.is_open(known).await? {
            Ok(Sighting::Absent)
        } else {
            look.through_all().await
        }
    }
}

/// One search.
struct Look<'a> {
    gateway: &'a HueChat,
    sought: &'a Sought<'a>,
    turns: &'a dyn Turns,
    /// By how much the provider's clock is behind ours, as far as any answer has shown.
    behind: SignedDuration,
    looked_through: HashSet<String>,
}

impl Look<'_> {
    /// Reckoned after each answer: the first one of a process tells how the provider's clock goes.
    fn since(&mut self) -> Since {
        self.behind = self.behind.max(self.gateway.behind());
        Since {
            earliest: earlier(self.sought.since, SKEW + self.behind),
            surely: earlier(self.sought.since, SKEW + self.behind.min(MOST_BEHIND)),
        }
    }

    /// The messages of one conversation. `None`: each that it could be was seen, and is another.
    async fn through(&mut self, conversation: &str) -> Result<Option<Sighting>, Outcome> {
        self.looked_through.insert(conversation.to_owned());
        let pages = Pages::of(self.gateway, body::messages_of(conversation), Vec::new());
        let mut list = List::of(pages, "sent_at");
        let mut matching: Vec<String> = Vec::new();
        let mut unsure = false;
        let end = loop {
            match list.next(self.turns).await? {
                Step::Rows(rows) => {
                    let since = self.since();
                    for row in &rows {
                        match likeness::of(row, self.sought, since) {
                            Likeness::Same(id) => matching.push(id),
                            Likeness::Unsure => unsure = true,
                            Likeness::Other => {}
                        }
                    }
                    if list.is_past(since.earliest) {
                        break None;
                    }
                }
                Step::End => break None,
                Step::Torn => break Some(TORN),
                Step::TooLong => break Some(LONG_CONVERSATION),
            }
        };
        Ok(match matching.as_slice() {
            [_, _, ..] => Some(SEVERAL),
            _ if unsure => Some(UNSURE),
            _ if end.is_some() => end,
            [one] => Some(Sighting::Found {
                message_id: one.clone(),
                chat_id: Some(conversation.to_owned()),
            }),
            [] => None,
        })
    }

    /// Whether what is sent to the person goes into this conversation: into another one only when
    /// this one was closed (huechat §7.1).
    async fn is_open(&mut self, conversation: &str) -> Result<bool, Outcome> {
        self.turns.next().await?;
        let path = body::conversation(conversation);
        let answer = self.gateway.get(&path, &[]).await?;
        let shown: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let text = |name: &str| shown.as_ref()?.get(name)?.as_str();
        Ok(text("id") == Some(conversation) && text("status") == Some("open"))
    }

    /// Every conversation with the person over the channel in which anything was said since.
    /// They come by their newest message, so one moves to the top when something is said in it,
    /// maybe past the place that is being read: what took several pages is begun again at the top,
    /// until one page holds all that has moved meanwhile.
    async fn through_all(&mut self) -> Result<Sighting, Outcome> {
        let Some(contact_id) = self.sought.contact_id else {
            return Ok(STRANGER);
        };
        let mut moved_since = None;
        let mut pages_left = MOST_PAGES;
        loop {
            let begun = self.gateway.now();
            let pages = Pages::of(self.gateway, body::CONVERSATIONS.to_owned(), self.query());
            let mut list = List::of(pages, "last_message_at");
            list.most = pages_left;
            loop {
                match list.next(self.turns).await? {
                    Step::Rows(rows) => {
                        let earliest = self.since().earliest;
                        for row in &rows {
                            match self.whose(row, contact_id, earliest) {
                                Whose::Theirs(id) if !self.looked_through.contains(&id) => {
                                    if let Some(sighting) = self.through(&id).await? {
                                        return Ok(sighting);
                                    }
                                }
                                Whose::Nobodys => return Ok(NAMELESS),
                                Whose::Theirs(_) | Whose::Others => {}
                            }
                        }
                        if list.is_past(moved_since.unwrap_or(earliest)) {
                            break;
                        }
                    }
                    Step::End => break,
                    Step::Torn => return Ok(TORN),
                    Step::TooLong => return Ok(MANY_CONVERSATIONS),
                }
            }
            if list.read <= 1 {
                return Ok(Sighting::Absent);
            }
            pages_left -= list.read;
            moved_since = Some(earlier(begun, SKEW + self.behind));
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("status", "all".to_owned()),
            ("sort", "last_message_at:desc".to_owned()),
        ];
        let channel = self.sought.channel;
        query.extend(channel.map(|channel| ("channel", channel.to_string())));
        query
    }

    fn whose(&self, row: &Value, contact_id: &str, since: Timestamp) -> Whose {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let with = text("contact_id").or_else(|| row.get("contact")?.get("id")?.as_str());
        let channel = self.sought.channel.map(|channel| channel.as_str());
        let elsewhere = text("channel")
            .is_some_and(|theirs| channel.is_some_and(|ours| !ours.eq_ignore_ascii_case(theirs)));
        let silent = time(row, "last_message_at").is_some_and(|at| at < since);
        if elsewhere || silent || with.is_some_and(|with| with != contact_id) {
            return Whose::Others;
        }
        match answer::usable(text("id").map(str::to_owned)) {
            Some(id) if with.is_some() => Whose::Theirs(id),
            _ => Whose::Nobodys,
        }
    }
}

/// Whose a conversation is.
enum Whose {
    Theirs(String),
    /// It does not say, or has no name that it can be read by.
    Nobodys,
    Others,
}

/// A list that is to prove something.
struct List<'a> {
    pages: Pages<'a>,
    time: &'static str,
    seen: HashSet<String>,
    newest_first: NewestFirst,
    /// Pages that were read, and may be.
    read: usize,
    most: usize,
}

enum Step {
    /// Those that were not there before.
    Rows(Vec<Value>),
    /// There are no more, without a doubt.
    End,
    /// Rows may be missing.
    Torn,
    TooLong,
}

impl<'a> List<'a> {
    fn of(pages: Pages<'a>, time: &'static str) -> Self {
        Self {
            pages: pages.overlapping(),
            time,
            seen: HashSet::new(),
            newest_first: NewestFirst::default(),
            read: 0,
            most: MOST_PAGES,
        }
    }

    async fn next(&mut self, turns: &dyn Turns) -> Result<Step, Outcome> {
        if self.read > 0 && self.pages.is_whole() {
            return Ok(Step::End);
        }
        if self.read >= self.most {
            return Ok(Step::TooLong);
        }
        let overlaps = self.pages.overlaps();
        let Some(rows) = self.pages.next(turns).await? else {
            // Nothing comes, and something says that there is more.
            return Ok(Step::Torn);
        };
        self.read += 1;
        let mut new = Vec::new();
        let mut joins = false;
        for row in rows {
            let name = row.get("id").and_then(Value::as_str);
            let name = name.map_or_else(|| row.to_string(), str::to_owned);
            if self.seen.insert(name) {
                self.newest_first.take(time(&row, self.time));
                new.push(row);
            } else {
                joins = true;
            }
        }
        Ok(if overlaps && !joins {
            Step::Torn
        } else {
            Step::Rows(new)
        })
    }

    /// Whether everything further down is older than `since`.
    fn is_past(&self, since: Timestamp) -> bool {
        self.newest_first.is_past(since)
    }
}

/// Whether a list comes newest first, as it should, as far as it was read.
#[derive(Debug, Default)]
struct NewestFirst {
    first: Option<Timestamp>,
    oldest: Option<Timestamp>,
    broken: bool,
}

impl NewestFirst {
    fn take(&mut self, at: Option<Timestamp>) {
        let Some(at) = at else {
            return;
        };
        self.first = self.first.or(Some(at));
        self.broken |= self.oldest.is_some_and(|oldest| oldest < earlier(at, SKEW));
        self.oldest = Some(self.oldest.map_or(at, |oldest| oldest.min(at)));
    }

    /// Only a list that has been seen to fall is believed to go on falling.
    fn is_past(&self, since: Timestamp) -> bool {
        let (Some(first), Some(oldest)) = (self.first, self.oldest) else {
            return false;
        };
        !self.broken && oldest < earlier(first, SKEW) && oldest < earlier(since, SKEW)
    }
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_past(seconds: &[i64], since: i64) -> bool {
        let mut list = NewestFirst::default();
        for second in seconds {
            list.take(Timestamp::from_second(*second).ok());
        }
        list.is_past(Timestamp::from_second(since).unwrap())
    }

    #[test]
    fn a_list_is_past_a_moment_only_where_it_was_seen_to_fall_below_it() {
        assert!(is_past(&[100, 90, 60], 70));
        assert!(is_past(&[100, 102, 60], 70));
        for (list, why) in [
            (&[100, 90, 80][..], "not there yet"),
            (&[100, 90, 66], "within the skew"),
            (&[60, 90, 100], "it rises"),
            (&[100, 60, 90], "it rises later"),
            (&[60], "nothing to compare it with"),
            (&[60, 60, 57], "it hardly falls"),
            (&[], "nothing"),
        ] {
            assert!(!is_past(list, 70), "{why}");
        }
    }
}
