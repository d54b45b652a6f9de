//! Whether a message without an answer went out: all that the provider shows is its conversations
//! (huechat §13). "It did not" makes it go out once more, so that needs proof: every conversation
//! with the person that is new enough, read whole, and nothing of ours in it that nobody knows.
//! Neither the order of a list nor the words in which a message is shown are promised, so neither
//! proves anything by itself.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::{Sighting, Sought, Turns};
use super::pages::{LAST, Pages, earlier, is_older, nothing_newer, time};
use super::{HueChat, answer, body};
use crate::domain::channel::Channel;
use crate::domain::outcome::Outcome;
use crate::domain::single::Single;

/// How far the provider's clock and ours may be apart, past what its answers show (huechat §13).
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// A clock that is said to be further behind than this may be that of something in between.
const MOST_BEHIND: SignedDuration = SignedDuration::from_mins(10);
/// Pages of conversations, and of messages, that are read for one message.
const MOST_PAGES: usize = 20;
/// So often the list of conversations is gone through: one that comes to the top while the others
/// are read is seen the next time.
const MOST_WALKS: usize = 3;

const TOO_LONG: &str = "the conversation is too long to look through";
const TOO_MANY: &str = "there are too many conversations to look through";
const CHANGED: &str = "what the provider lists was not whole, or changed while it was read";
const NAMELESS: &str = "there is a conversation of which nobody can say whose it is";

/// From when on a message can be the one, in the provider's time.
#[derive(Debug, Clone, Copy)]
struct Since {
    /// Nothing that is older is it.
    earliest: Timestamp,
    /// What is older than this is it only if the provider's clock is as wrong as it looks.
    surely: Timestamp,
}

/// What has been seen so far.
#[derive(Debug, Default)]
struct Seen {
    /// Its conversation stands beside each.
    matching: Vec<(String, String)>,
    /// A message of ours that nobody knows, and that may be the one.
    doubtful: bool,
    /// Not everything could be read.
    partial: Option<&'static str>,
}

impl HueChat {
    /// Looks into the conversation that the person was last written to in, and then into all that
    /// are new enough: where that one was closed, the provider opens another (huechat §7.1).
    pub(super) async fn sight(
        &self,
        sought: &Sought<'_>,
        turns: &dyn Turns,
    ) -> Result<Sighting, Outcome> {
        let mut seen = Seen::default();
        if let Some(known) = sought.chat_id {
            self.look_into(known, sought, turns, &mut seen).await?;
            if let [_] = seen.matching.as_slice() {
                return Ok(seen.verdict());
            }
        }
        let Some(contact_id) = sought.contact_id else {
            seen.partial = Some("the provider's contact that it was sent to is not known any more");
            return Ok(seen.verdict());
        };
        let found = self.conversations_with(contact_id, sought, turns).await?;
        for id in found.ids {
            if sought.chat_id != Some(&*id) {
                self.look_into(&id, sought, turns, &mut seen).await?;
            }
        }
        seen.partial = seen.partial.or(found.partial);
        Ok(seen.verdict())
    }

    /// Reckoned after each answer: the first one of a process tells how the provider's clock goes.
    fn since(&self, sought: &Sought<'_>) -> Since {
        let behind = self.behind();
        Since {
            earliest: earlier(sought.since, SKEW + behind),
            surely: earlier(sought.since, SKEW + behind.min(MOST_BEHIND)),
        }
    }

    async fn look_into(
        &self,
        conversation: &str,
        sought: &Sought<'_>,
        turns: &dyn Turns,
        seen: &mut Seen,
    ) -> Result<(), Outcome> {
        let pages = Pages::of(self, body::messages_of(conversation), Vec::new());
        let mut pages = pages.proving();
        for _ in 0..MOST_PAGES {
            let Some(rows) = pages.next(turns).await? else {
                seen.partial = seen.partial.or((!pages.is_whole()).then_some(CHANGED));
                return Ok(());
            };
            let since = self.since(sought);
            for row in &rows {
                seen.add(row, conversation, sought, since);
            }
            if pages.is_torn() {
                seen.partial = Some(CHANGED);
                return Ok(());
            }
            if nothing_newer(&rows, "sent_at", since.earliest) {
                return Ok(());
            }
        }
        seen.partial = Some(TOO_LONG);
        Ok(())
    }

    /// The conversations with a person over the channel in which anything was said since then.
    async fn conversations_with(
        &self,
        contact_id: &str,
        sought: &Sought<'_>,
        turns: &dyn Turns,
    ) -> Result<Conversations, Outcome> {
        let mut found = Conversations::default();
        let mut from = None;
        for _ in 0..MOST_WALKS {
            let begun = self.now();
            let mut pages = Pages::of_conversations(self, sought.channel).proving();
            let mut count = 0;
            loop {
                let Some(rows) = pages.next(turns).await? else {
                    if !pages.is_whole() {
                        return Ok(found.but(CHANGED));
                    }
                    break;
                };
                count += usize::from(!rows.is_empty());
                let since = self.since(sought).earliest;
                for row in rows.iter().filter(|row| !is_older(row, LAST, since)) {
                    found.add(row, contact_id, sought.channel);
                }
                if pages.is_torn() {
                    return Ok(found.but(CHANGED));
                }
                if nothing_newer(&rows, LAST, from.unwrap_or(since)) {
                    break;
                }
                if count >= MOST_PAGES {
                    return Ok(found.but(TOO_MANY));
                }
            }
            if count <= 1 {
                return Ok(found);
            }
            from = Some(earlier(begun, SKEW + self.behind()));
        }
        Ok(found.but(TOO_MANY))
    }
}

#[derive(Debug, Default)]
struct Conversations {
    ids: Vec<String>,
    /// Why these may not be all.
    partial: Option<&'static str>,
}

impl Conversations {
    fn but(self, why: &'static str) -> Self {
        Self {
            partial: Some(why),
            ..self
        }
    }

    fn add(&mut self, row: &Value, contact_id: &str, channel: Option<Channel>) {
        let text = |name: &str| row.get(name).and_then(Value::as_str);
        let another = text("channel").is_some_and(|theirs| {
            channel.is_some_and(|ours| !ours.as_str().eq_ignore_ascii_case(theirs))
        });
        let whose = text("contact_id").or_else(|| row.pointer("/contact/id")?.as_str());
        if another || whose.is_some_and(|whose| whose != contact_id) {
            return;
        }
        let id = text("id").filter(|_| whose.is_some());
        match answer::usable(id.map(str::to_owned)) {
            Some(id) if self.ids.contains(&id) => {}
            Some(id) => self.ids.push(id),
            // It does not say whose it is, or by what name it could be read.
            None => self.partial = Some(NAMELESS),
        }
    }
}

impl Seen {
    fn add(&mut self, row: &Value, conversation: &str, sought: &Sought<'_>, since: Since) {
        match likeness(row, sought, since) {
            Likeness::Other => {}
            Likeness::Doubtful => self.doubtful = true,
            Likeness::Same(id) => {
                if self.matching.iter().all(|(other, _)| *other != id) {
                    self.matching.push((id, conversation.to_owned()));
                }
            }
        }
    }

    fn verdict(self) -> Sighting {
        let why = match (self.matching.as_slice(), self.partial) {
            ([(message_id, chat_id)], _) => {
                return Sighting::Found {
                    message_id: message_id.clone(),
                    chat_id: Some(chat_id.clone()),
                };
            }
            ([], None) if !self.doubtful => return Sighting::Absent,
            ([], None) => "the conversation shows a message that may be it, in other words",
            ([], Some(why)) => why,
            _ => "the conversation shows more than one message that it may be",
        };
        Sighting::Unclear { why }
    }
}

/// What a message of a conversation is to the one that is looked for.
#[derive(Debug, PartialEq, Eq)]
enum Likeness {
    /// It says what was to be said, by this id.
    Same(String),
    /// Of ours, maybe in time, known to nobody, and of the same kind, but not in the same words, or
    /// without a time: a provider may show them trimmed, filled in or not at all.
    Doubtful,
    Other,
}

fn likeness(row: &Value, sought: &Sought<'_>, since: Since) -> Likeness {
    let text = |name: &str| row.get(name).and_then(Value::as_str);
    let id = answer::usable(text("id").map(str::to_owned));
    let is_known = id.as_ref().is_some_and(|id| sought.others.contains(id));
    // One that does not say when it was written may be any.
    let at = time(row, "sent_at");
    let is_before = at.is_some_and(|at| at < since.earliest);
    let in_time = at.is_some_and(|at| at >= since.surely);
    if text("sent_by") == Some("contact") || is_known || is_before {
        return Likeness::Other;
    }
    let single = sought.message.single();
    let content = text("content").unwrap_or_default();
    let says_it = match &single {
        Single::Text { content: ours, .. } => content == *ours,
        Single::Image { caption, .. } | Single::Document { caption, .. } => {
            content == caption.as_deref().unwrap_or_default()
        }
        // The provider may show the words that it was filled into: then the values are what can
        // be compared (huechat §13).
        Single::Template { parameters, .. } => {
            content.is_empty() || parameters.values().all(|value| content.contains(value))
        }
    };
    // The quickstart's messages have no type.
    let kind = body::message_type(&single);
    let same_kind = text("message_type").is_none_or(|theirs| theirs == kind);
    let by_user = text("sent_by").is_none_or(|by| by == "user");
    match id {
        Some(id) if same_kind && by_user && in_time && says_it => Likeness::Same(id),
        _ if same_kind || (says_it && !content.is_empty()) => Likeness::Doubtful,
        _ => Likeness::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Message;
    use std::collections::HashSet;

    const AT: &str = "2026-06-10T16:00:01Z";

    fn row(id: &str, kind: &str, content: &str, at: &str) -> Value {
        serde_json::json!({ "id": id, "message_type": kind, "content": content,
            "sent_by": "user", "sent_at": at, "status": "sent" })
    }

    fn likeness_to(message: &str, row: &Value, others: &[&str]) -> Likeness {
        let since = "2026-06-10T16:00:00Z".parse().unwrap();
        let message: Message = serde_json::from_str(message).unwrap();
        let others: HashSet<String> = others.iter().map(|id| (*id).to_owned()).collect();
        let sought = Sought {
            chat_id: Some("conv_1"),
            contact_id: Some("cnt_1"),
            channel: None,
            message: &message,
            since,
            now: since,
            others: &others,
        };
        let since = Since {
            earliest: since,
            surely: since,
        };
        likeness(row, &sought, since)
    }

    fn same() -> Likeness {
        Likeness::Same("m1".to_owned())
    }

    const TEXT: &str = r#"[{"type":"text","value":"Hi Dana"}]"#;
    const TEMPLATE: &str =
        r#"[{"type":"template","name":"parcel_ready","parameters":{"1":"Asha","2":"PX-204"}}]"#;

    #[test]
    fn a_message_is_known_by_its_words_and_its_time() {
        let good = row("m1", "text", "Hi Dana", AT);
        assert_eq!(likeness_to(TEXT, &good, &[]), same());
        let known = likeness_to(TEXT, &good, &["m1"]);
        assert_eq!(known, Likeness::Other, "another delivery's");
        let old = row("m1", "text", "Hi Dana", "2026-06-10T15:59:59Z");
        assert_eq!(likeness_to(TEXT, &old, &[]), Likeness::Other);
        let mut theirs = good;
        theirs["sent_by"] = "contact".into();
        assert_eq!(likeness_to(TEXT, &theirs, &[]), Likeness::Other);
    }

    #[test]
    fn nothing_of_ours_that_nobody_knows_proves_that_it_was_not_sent() {
        for doubtful in [
            row("m1", "text", "Hi Dana ", AT),
            row("m1", "text", "", AT),
            row("m1", "image", "Hi Dana", AT),
            row("", "text", "Hi Dana", AT),
            serde_json::json!({ "id": "m1", "content": "Hi" }),
            serde_json::json!({ "id": "m1", "message_type": "text", "content": "Hi Dana",
                "sent_by": "system", "sent_at": AT }),
        ] {
            assert_eq!(
                likeness_to(TEXT, &doubtful, &[]),
                Likeness::Doubtful,
                "{doubtful}"
            );
        }
        let another = row("m1", "image", "A picture", AT);
        assert_eq!(likeness_to(TEXT, &another, &[]), Likeness::Other);
    }

    #[test]
    fn a_template_is_known_by_the_values_in_its_words() {
        let filled = row("m1", "template", "Hello Asha, parcel PX-204 is ready.", AT);
        assert_eq!(likeness_to(TEMPLATE, &filled, &[]), same());
        assert_eq!(
            likeness_to(TEMPLATE, &row("m1", "template", "", AT), &[]),
            same()
        );
        let other = row("m1", "template", "Hello Asha, parcel PX-205 is ready.", AT);
        assert_eq!(likeness_to(TEMPLATE, &other, &[]), Likeness::Doubtful);
        let as_text = row("m1", "text", "Hello Asha, parcel PX-204 is ready.", AT);
        assert_eq!(likeness_to(TEMPLATE, &as_text, &[]), Likeness::Doubtful);
    }
}
