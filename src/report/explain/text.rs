//! A story on a page: the answer in its first line, then the scenes with their times, then what
//! to do.

use super::super::layout::{Page, clean};
use super::super::style::Tone;
use super::scenes::scenes;
use super::{Answer, Told};
use crate::domain::address::Address;
use crate::domain::delivery::SkipReason;

/// The story in words, its last line ended.
pub fn explain_text(told: &Told<'_>) -> String {
    let mut page = Page::new(told.view.style);
    let (answer, because) = told.answer();
    let (tone, word) = match answer {
        Answer::Yes => (Tone::Good, "Yes"),
        Answer::No => (Tone::Bad, "No"),
        Answer::Perhaps => (Tone::Warn, "Perhaps"),
    };
    let because = because.trim_end_matches('.');
    page.heading(tone, &format!("{word}: {because}."));
    subject(told, &mut page);
    let calendar = told.calendar();
    page.heading(
        Tone::Strong,
        &format!("What happened (times of {})", calendar.zone()),
    );
    let mut day = String::new();
    for scene in scenes(told) {
        let this_day = calendar.day(scene.at);
        if this_day != day {
            page.beside(&[(Tone::Plain, "  ".to_owned())], Tone::Faint, &this_day);
            day = this_day;
        }
        let head = [(Tone::Faint, format!("  {}  ", calendar.time(scene.at)))];
        page.beside(&head, Tone::Plain, &scene.text);
    }
    page.heading(Tone::Strong, "What to do now");
    for advice in told.next() {
        page.paragraph(2, &advice.text);
        if let Some(command) = &advice.command {
            page.command(command);
        }
    }
    page.into_text()
}

/// Who it is about, and which other rows there are for them.
fn subject(told: &Told<'_>, page: &mut Page) {
    let delivery = told.delivery();
    let phone = delivery.phone.as_ref();
    let key = delivery.recipient_key.as_deref();
    let key = key.filter(|key| Some(*key) != phone.map(Address::expose));
    let mut parts = vec![format!("Row {} of {}", delivery.row, told.run.run)];
    parts.extend(key.map(|key| format!("recipient {}", clean(key))));
    parts.extend(phone.map(Address::masked));
    let mut text = parts.join(", ");
    if let Some(key) = told.key(delivery.revision) {
        text = format!("{text}; idempotency key {key}");
    }
    page.paragraph(0, &format!("{text}."));
    if told.run.run.is_rehearsal() {
        let words = "This was a rehearsal in the sandbox: no real person was written to.";
        page.paragraph(0, words);
    }
    for other in told.others {
        let state = match other.reason {
            Some(SkipReason::Duplicate) => "was left out as a duplicate".to_owned(),
            Some(reason) => format!("was left out: {}", reason.in_words()),
            None => format!("is {}", other.state),
        };
        let words = format!("Row {} is the same person and {state}.", other.row);
        page.paragraph(0, &words);
    }
}
