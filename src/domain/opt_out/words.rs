//! The words of opting out. One of a few words that stands alone is obeyed; a sentence that reads
//! like the same wish is for a person to judge, and so is whatever could be either.

use super::Heard;

/// Words that end it when they stand alone, as the joined letters of one message. The first nine
/// are the contract's with everybody who was ever told "reply STOP"; a blank between "stop" and
/// "all" or "opt" and "out" makes no difference.
const STOP: [&str; 8] = [
    "stop",
    "stopall",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "revoke",
    "optout",
];
/// Those of them that mean nothing else, even as one sentence among others.
const STOP_IN_A_SENTENCE: [&str; 5] = ["stop", "stopall", "unsubscribe", "revoke", "optout"];
const START: [&str; 2] = ["start", "unstop"];

/// A message that is nothing else: slips of the fingers, and other languages.
const LIKE_STOP: [&str; 26] = [
    "stpo",
    "sotp",
    "tsop",
    "stp",
    "stopp",
    "stoop",
    "stopo",
    "sto",
    "stops",
    "stopit",
    "unsub",
    "unsubcribe",
    "unsuscribe",
    "unsubscibe",
    "unsubscribed",
    "remove",
    "enough",
    "alto",
    "pare",
    "parar",
    "basta",
    "baja",
    "cancelar",
    "arret",
    "arrêt",
    "abmelden",
];

/// Words that add nothing to a word of [`STOP`] beside them: "please stop", "stop it now".
const FILLERS: [&str; 38] = [
    "please",
    "pls",
    "plz",
    "kindly",
    "just",
    "it",
    "now",
    "this",
    "that",
    "these",
    "thanks",
    "thank",
    "you",
    "thx",
    "already",
    "immediately",
    "everything",
    "all",
    "ok",
    "okay",
    "no",
    "hi",
    "hey",
    "hello",
    "sorry",
    "me",
    "messages",
    "message",
    "texts",
    "text",
    "texting",
    "messaging",
    "sms",
    "forever",
    "asap",
    "god",
    "omg",
    "sir",
];

/// What is done to somebody who is written to.
const CONTACT: [&str; 27] = [
    "text",
    "texts",
    "texting",
    "message",
    "messages",
    "messaging",
    "msg",
    "msgs",
    "contact",
    "contacting",
    "contacted",
    "call",
    "calls",
    "calling",
    "write",
    "writing",
    "send",
    "sending",
    "email",
    "emails",
    "emailing",
    "bother",
    "bothering",
    "spam",
    "spamming",
    "harass",
    "harassing",
];

/// To whom, or for how long: what makes an order of "don't text".
const OBJECT: [&str; 12] = [
    "me", "us", "my", "this", "here", "again", "anymore", "ever", "more", "any", "messages",
    "texts",
];

/// Sentences, word by word, wherever they stand in a message.
const SENTENCES: [&str; 41] = [
    "wrong number",
    "wrong person",
    "wrong phone",
    "not my number",
    "leave me alone",
    "leave us alone",
    "lose my number",
    "lose this number",
    "forget my number",
    "block my number",
    "not interested",
    "no longer interested",
    "no more texts",
    "no more messages",
    "no more text",
    "no more of these",
    "no texts",
    "no messages please",
    "no thank you stop",
    "opt out",
    "opt me out",
    "opting out",
    "opt us out",
    "remove me",
    "remove us",
    "remove my",
    "remove this number",
    "delete me",
    "delete my number",
    "delete this number",
    "take me off",
    "take us off",
    "take my number off",
    "take this number off",
    "off your list",
    "off the list",
    "off this list",
    "cease and desist",
    "revoke my consent",
    "withdraw my consent",
    "never signed up",
];

/// One of these anywhere is enough.
const TELLING: [&str; 8] = [
    "unsubscribe",
    "unsubscribing",
    "unsuscribe",
    "unsubcribe",
    "optout",
    "donotcontact",
    "spam",
    "spamming",
];

/// How a phone of another kind tells of a reaction; what follows in quotes is our own message.
const REACTIONS: [&str; 9] = [
    "liked",
    "loved",
    "disliked",
    "laughed",
    "emphasized",
    "emphasised",
    "questioned",
    "reacted",
    "removed",
];

/// What a mail program puts below a message by itself.
const SIGNATURES: [&str; 3] = ["sent from my", "get outlook for", "sent via"];

/// More than this is not looked at: nobody hides a wish behind so many words.
const MOST_LETTERS: usize = 4_000;

/// What an inbound text means.
pub fn hear(text: &str) -> Heard {
    let plain = plain(text);
    if is_reaction(&plain) {
        return Heard::Nothing;
    }
    let lines: Vec<&str> = plain
        .lines()
        .map(str::trim)
        .filter(|line| !SIGNATURES.iter().any(|mark| line.starts_with(mark)))
        .collect();
    let body = lines.join("\n");
    let words = words(&body);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let joined = words.concat();
    if is_stop(&words, &joined) {
        Heard::Stop
    } else if START.contains(&joined.as_str()) && words.len() == 1 {
        Heard::Start
    } else if is_for_review(&plain, &body, &words, &joined) {
        Heard::Review
    } else {
        Heard::Nothing
    }
}

/// Lower-case letters without width or marks of direction, and one sort of apostrophe, dash and
/// blank.
fn plain(text: &str) -> String {
    text.chars()
        .take(MOST_LETTERS)
        .filter(|c| !is_invisible(*c))
        .map(folded)
        .flat_map(char::to_lowercase)
        // What is left of İ in lower case.
        .filter(|c| *c != '\u{307}')
        .collect()
}

/// Zero width, soft hyphens, marks of direction, variation selectors and tags.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{fffc}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn folded(c: char) -> char {
    match c {
        // Full-width forms stand in the order of ASCII (Unicode, block FF00).
        '\u{ff01}'..='\u{ff5e}' => u32::from(c)
            .checked_sub(0xfee0)
            .and_then(char::from_u32)
            .unwrap_or(c),
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' | '\u{2bc}' | '\u{60}' | '\u{b4}' => '\'',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2028}' | '\u{2029}' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' => '\n',
        c if c.is_whitespace() && c != '\n' => ' ',
        c => c,
    }
}

/// The words; an apostrophe is no end of one, and is left out.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.replace('\'', ""))
        .filter(|word| !word.is_empty())
        .collect()
}

/// `liked “…”`: nobody has written this.
fn is_reaction(plain: &str) -> bool {
    let mut rest = plain.trim_start().splitn(2, ' ');
    let (first, rest) = (
        rest.next().unwrap_or_default(),
        rest.next().unwrap_or_default(),
    );
    let quoted = rest
        .char_indices()
        .take(40)
        .any(|(_, c)| matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{ab}'));
    REACTIONS.contains(&first) && quoted
}

/// One word of [`STOP`] and nothing else, once or more; perhaps with a blank or a dash in it.
fn is_stop(words: &[&str], joined: &str) -> bool {
    let alone = |word: &str| STOP.contains(&word);
    match words {
        [] => false,
        [word] => alone(word),
        ["stop", "all"] | ["opt", "out"] => true,
        [first, rest @ ..] => {
            alone(first) && rest.iter().all(|word| word == first) && !joined.is_empty()
        }
    }
}

fn is_for_review(plain: &str, body: &str, words: &[&str], joined: &str) -> bool {
    LIKE_STOP.contains(&joined)
        || letter_by_letter(words, joined)
        || with_fillers(words)
        || words.iter().any(|word| TELLING.contains(word))
        || has_a_sentence(words)
        || a_sentence_is_a_word(body)
        || orders_to_stop(words)
        || forbids(words)
        || does_not_want(words)
        || (words.is_empty() && plain.contains('\u{1f6d1}'))
}

/// `s t o p`
fn letter_by_letter(words: &[&str], joined: &str) -> bool {
    words.len() > 1 && words.iter().all(|word| word.chars().count() == 1) && STOP.contains(&joined)
}

fn with_fillers(words: &[&str]) -> bool {
    let (stops, others): (Vec<&str>, Vec<&str>) =
        words.iter().copied().partition(|word| STOP.contains(word));
    !stops.is_empty() && others.len() <= 5 && others.iter().all(|word| FILLERS.contains(word))
}

fn has_a_sentence(words: &[&str]) -> bool {
    let text = format!(" {} ", words.join(" "));
    SENTENCES
        .iter()
        .any(|sentence| text.contains(&format!(" {sentence} ")))
}

/// `STOP. I never asked for this.`
fn a_sentence_is_a_word(body: &str) -> bool {
    body.split(['.', '!', '?', ',', ';', '\n'])
        .any(|sentence| STOP_IN_A_SENTENCE.contains(&words(sentence).concat().as_str()))
}

/// "stop texting me", "quit with the messages"; not "don't stop texting", not "stop by".
fn orders_to_stop(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        matches!(*word, "stop" | "quit" | "cease" | "end")
            && !before.is_some_and(|before| is_never(before))
            && following(words, at, 4).any(|next| CONTACT.contains(&next))
            && !following(words, at, 1).any(|next| matches!(next, "by" | "in" | "over" | "at"))
    })
}

/// "do not contact me again", "never text this number".
fn forbids(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let not = is_never(word) && !matches!(*word, "cant" | "couldnt");
        // "I don't text while driving" tells; "don't text me" forbids.
        let telling = at.checked_sub(1).and_then(|before| words.get(before));
        let telling =
            telling.is_some_and(|who| matches!(*who, "i" | "we" | "they" | "you" | "he" | "she"));
        let after: Vec<&str> = following(words, at, 5).collect();
        let contact = after.iter().take(2).position(|next| CONTACT.contains(next));
        let go_on = matches!(after.first(), Some(&("stop" | "quit" | "cease" | "end")));
        not && !telling
            && !go_on
            && contact.is_some_and(|contact| {
                let rest = after.get(contact + 1..).unwrap_or_default();
                rest.is_empty() || rest.iter().any(|next| OBJECT.contains(next))
            })
    })
}

/// "I don't want any more texts".
fn does_not_want(words: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        (is_never(word) || *word == "longer")
            && following(words, at, 3).any(|next| {
                matches!(
                    next,
                    "want" | "wish" | "need" | "like" | "consent" | "agree" | "receive"
                )
            })
            && following(words, at, 9).any(|next| {
                CONTACT.contains(&next) && !matches!(next, "call" | "write" | "send" | "email")
            })
    })
}

fn is_never(word: &str) -> bool {
    matches!(
        word,
        "dont" | "not" | "never" | "donot" | "wont" | "cant" | "couldnt" | "didnt" | "doesnt"
    )
}

fn following<'w>(words: &'w [&'w str], at: usize, most: usize) -> impl Iterator<Item = &'w str> {
    words.iter().skip(at + 1).take(most).copied()
}
