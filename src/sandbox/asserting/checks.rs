//! The checks of assertions, over plain evidence. Read no store and no clock.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::SignedDuration;
use serde_json::Value;

use super::{Assertion, By, Counted, LISTED, Lines, Pace, Sameness, Verdict};
use crate::domain::duration;
use crate::domain::opt_out::{self, Heard};
use crate::domain::phone::Phone;
use crate::sandbox::chert::{MessageRecord, Written};
use crate::sandbox::journal::{Moment, time_text};
use crate::sandbox::time::micros;

/// What there is to go by.
#[derive(Debug)]
pub(super) struct Evidence {
    /// In the order of acceptance.
    pub(super) messages: Vec<MessageRecord>,
    /// What people wrote, in the order of arrival.
    pub(super) written: Vec<Written>,
    pub(super) moments: Vec<Moment>,
}

/// What each person received, in order.
type ByPerson<'a> = BTreeMap<&'a str, Vec<&'a MessageRecord>>;

fn verdict(asserted: String, found: String, against: Vec<String>) -> Verdict {
    Verdict {
        pass: against.is_empty(),
        asserted,
        found,
        against_total: against.len(),
        against: against.into_iter().take(LISTED).collect(),
    }
}

fn masked(phone: &str) -> String {
    Phone::from_e164(phone).map_or_else(|_| "•••".to_owned(), |phone| phone.masked())
}

fn plural(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}

impl Evidence {
    pub(super) fn judge(&self, assertion: &Assertion) -> Verdict {
        match assertion {
            Assertion::Received {
                to,
                at_least,
                at_most,
                people,
            } => self.received(to.as_ref(), (*at_least, *at_most), *people),
            Assertion::NoDuplicates(by) => self.duplicates(*by),
            Assertion::Order { to, texts } => self.order(to.as_ref(), texts),
            Assertion::Rate(pace) => self.rate(pace),
            Assertion::Stopped { within } => self.stopped(*within),
        }
    }

    fn by_person(&self) -> ByPerson<'_> {
        let mut people = ByPerson::new();
        for message in &self.messages {
            for to in &message.to {
                people.entry(to).or_default().push(message);
            }
        }
        people
    }

    fn received(
        &self,
        to: Option<&Phone>,
        (least, most): (u64, u64),
        people: Option<usize>,
    ) -> Verdict {
        let received = self.by_person();
        let count = |messages: &Vec<_>| messages.len() as u64;
        let counts: Vec<(&str, u64)> = match to {
            Some(to) => vec![(to.expose(), received.get(to.expose()).map_or(0, count))],
            None => received.iter().map(|(to, all)| (*to, count(all))).collect(),
        };
        let mut against: Vec<String> = counts
            .iter()
            .filter(|(_, count)| !(least..=most).contains(count))
            .map(|(to, count)| format!("{} received {}", masked(to), plural(*count, "message")))
            .collect();
        if people.is_some_and(|people| people != received.len()) {
            let everybody = received.len() as u64;
            against.push(format!("{everybody} received any"));
        }
        let whom = to.map_or("everybody who received any".to_owned(), Phone::masked);
        let range = match (least, most) {
            (least, most) if least == most => format!("exactly {least}"),
            (least, u64::MAX) => format!("at least {least}"),
            (0, most) => format!("at most {most}"),
            (least, most) => format!("{least} to {most}"),
        };
        let people = people.map_or(String::new(), |people| format!("; people: {people}"));
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let found = format!(
            "people: {}, messages: {total}, most for one: {}",
            counts.iter().filter(|(_, count)| *count > 0).count(),
            counts.iter().map(|(_, count)| *count).max().unwrap_or(0),
        );
        verdict(
            format!("messages received by {whom}: {range}{people}"),
            found,
            against,
        )
    }

    fn duplicates(&self, by: Sameness) -> Verdict {
        let mut against = Vec::new();
        for (to, messages) in self.by_person() {
            let mut keys: BTreeMap<&str, u64> = BTreeMap::new();
            let mut contents: BTreeMap<String, u64> = BTreeMap::new();
            for message in messages {
                if let Some(key) = message.key.as_deref().filter(|_| by != Sameness::Content) {
                    *keys.entry(key).or_default() += 1;
                }
                if by != Sameness::Key {
                    *contents.entry(message.parts.to_string()).or_default() += 1;
                }
            }
            let to = masked(to);
            let repeated = |count: &u64| *count > 1;
            against.extend(
                keys.iter()
                    .filter(|(_, count)| repeated(count))
                    .map(|(key, count)| format!("{to} received {count} messages of key {key}")),
            );
            against.extend(
                contents
                    .values()
                    .filter(|count| repeated(count))
                    .map(|count| format!("{to} received the same content {count} times")),
            );
        }
        let by = match by {
            Sameness::Key => "key",
            Sameness::Content => "content",
            Sameness::Either => "key or content",
        };
        let found = format!(
            "{} among {}",
            against.len(),
            plural(self.messages.len() as u64, "message")
        );
        verdict(
            format!("duplicates to one person by {by}: none"),
            found,
            against,
        )
    }

    fn order(&self, to: Option<&Phone>, texts: &[String]) -> Verdict {
        let mut against = Vec::new();
        let (mut people, mut looked_at) = (0, 0);
        for (person, messages) in self.by_person() {
            if to.is_some_and(|to| to.expose() != person) {
                continue;
            }
            // How many of the texts have come; the next one may be any up to that.
            let mut came = 0;
            let mut concerned = false;
            for message in messages {
                let Some(place) = place(&message.parts, texts) else {
                    continue;
                };
                concerned = true;
                looked_at += 1;
                if place > came || place + 1 < came {
                    let what = if place > came {
                        format!("text {} came before text {}", place + 1, came + 1)
                    } else {
                        format!("text {} came after text {came}", place + 1)
                    };
                    against.push(format!("{}: {what}", masked(person)));
                }
                came = came.max(place + 1);
            }
            people += u64::from(concerned);
        }
        if let Some(to) = to.filter(|_| people == 0) {
            against.push(format!("{} received none of the texts", to.masked()));
        }
        let found = format!("people: {people}, messages with one of the texts: {looked_at}");
        let asserted = format!("{} texts come in order to each person", texts.len());
        verdict(asserted, found, against)
    }

    fn rate(&self, pace: &Pace) -> Verdict {
        let lines: HashMap<&str, &str> = self
            .messages
            .iter()
            .map(|one| {
                (
                    one.message_id.as_str(),
                    one.from.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for moment in self.moments.iter().filter(|moment| moment.is_post) {
            let at_us = match pace.clock {
                By::Machine => moment.at_us,
                By::Provider => moment.provider_us,
            };
            let accepted = moment.message_id.as_deref().filter(|_| !moment.replay);
            let line = accepted.and_then(|id| lines.get(id)).copied();
            let group = match (&pace.lines, pace.counted) {
                (_, Counted::Posts) => Some(""),
                (Lines::All, Counted::Messages) => line.map(|_| ""),
                (Lines::Each, Counted::Messages) => line,
                (Lines::One(one), Counted::Messages) => line.filter(|line| *line == one.expose()),
            };
            if let Some(group) = group {
                times.entry(group).or_default().push(at_us);
            }
        }
        let (mut against, mut found) = (Vec::new(), Vec::new());
        for (line, times) in times {
            let (count, start_us) = busiest(times, micros(pace.window));
            let whose = if line.is_empty() {
                String::new()
            } else {
                format!("line {}: ", masked(line))
            };
            let peak = format!("{whose}{count} from {}", time_text(start_us));
            if count > pace.most {
                against.push(peak.clone());
            }
            found.push(peak);
        }
        let what = match pace.counted {
            Counted::Messages => "messages",
            Counted::Posts => "posts",
        };
        let whose = match &pace.lines {
            Lines::All => String::new(),
            Lines::Each => " by any one line".to_owned(),
            Lines::One(line) => format!(" by line {}", line.masked()),
        };
        let clock = match pace.clock {
            By::Machine => "machine",
            By::Provider => "provider",
        };
        let asserted = format!(
            "{what}{whose} within any {} of the {clock}'s clock: at most {}",
            duration::format(pace.window),
            pace.most,
        );
        let found = if found.is_empty() {
            "none".to_owned()
        } else {
            found.join("; ")
        };
        verdict(asserted, found, against)
    }

    fn stopped(&self, within: SignedDuration) -> Verdict {
        // From when on nobody may write to somebody, until they take it back.
        let mut stops: BTreeMap<&str, Vec<(i64, Option<i64>)>> = BTreeMap::new();
        for one in &self.written {
            let spans = stops.entry(one.from.expose()).or_default();
            let last = spans.last_mut().filter(|(_, end)| end.is_none());
            match (opt_out::hear(&one.text), last) {
                (Heard::Stop, None) => spans.push((one.at_us, None)),
                (Heard::Start, Some((_, end))) => *end = Some(one.at_us),
                (Heard::Stop, Some(_))
                | (Heard::Start, None)
                | (Heard::Review | Heard::Nothing, _) => {}
            }
        }
        stops.retain(|_, spans| !spans.is_empty());
        let mut against = Vec::new();
        for (to, messages) in self.by_person() {
            let Some(spans) = stops.get(to) else {
                continue;
            };
            for message in messages {
                let late = spans.iter().any(|(from, end)| {
                    message.at_us > from.saturating_add(micros(within))
                        && end.is_none_or(|end| message.at_us < end)
                });
                if late {
                    let at = time_text(message.at_us);
                    against.push(format!("{} received a message at {at}", masked(to)));
                }
            }
        }
        let asserted = format!(
            "nothing received later than {} after an opt-out",
            duration::format(within)
        );
        verdict(
            asserted,
            format!("people who opted out: {}", stops.len()),
            against,
        )
    }
}

/// Which of the texts a message holds: the last one listed that stands in any of its parts.
fn place(parts: &Value, texts: &[String]) -> Option<usize> {
    let values: Vec<&str> = parts
        .as_array()?
        .iter()
        .filter_map(|part| part.get("value")?.as_str())
        .collect();
    texts
        .iter()
        .rposition(|text| values.iter().any(|value| value.contains(text.as_str())))
}

/// The most moments that any window of this width holds, and where the first such begins. The
/// window excludes its end.
fn busiest(mut times: Vec<i64>, width_us: i64) -> (usize, i64) {
    times.sort_unstable();
    let mut window = VecDeque::new();
    let mut most = (0, 0);
    for time in times {
        window.push_back(time);
        while window
            .front()
            .is_some_and(|first| time.saturating_sub(*first) >= width_us)
        {
            window.pop_front();
        }
        if window.len() > most.0 {
            most = (window.len(), window.front().copied().unwrap_or(time));
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_busiest_window_is_the_one_that_counting_from_every_moment_finds(
            times in prop::collection::vec(-50i64..50, 1..40),
            width in 1i64..30,
        ) {
            let from = |start: i64| times.iter().filter(|t| (start..start + width).contains(*t)).count();
            let (count, start) = busiest(times.clone(), width);
            prop_assert_eq!(Some(count), times.iter().map(|t| from(*t)).max());
            prop_assert_eq!(from(start), count);
        }
    }

    #[test]
    fn a_text_is_found_in_any_part_of_a_message() {
        let parts = serde_json::json!([
            { "type": "media", "url": "https://example.com/a.png" },
            { "type": "text", "value": "Hi Dana" },
        ]);
        let texts = ["Still".to_owned(), "Hi".to_owned()];
        assert_eq!(place(&parts, &texts), Some(1));
        assert_eq!(place(&parts, &texts[..1]), None);
    }
}
