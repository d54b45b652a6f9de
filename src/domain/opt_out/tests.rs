use super::*;
use proptest::prelude::*;

fn all(heard: Heard, texts: &[&str]) {
    for text in texts {
        assert_eq!(hear(text), heard, "{text:?}");
    }
}

#[test]
fn a_word_that_stands_alone_is_obeyed() {
    all(
        Heard::Stop,
        &[
            "STOP",
            "stop",
            "Stop",
            "sToP",
            "STOP.",
            "Stop!!",
            "stop...",
            "STOP\n",
            "  stop  ",
            "\"STOP\"",
            "“Stop”",
            "‘stop’",
            "'stop'",
            "(stop)",
            "*STOP*",
            "STOP 🛑",
            "👎 stop",
            "STOP STOP STOP",
            "Stop. Stop!",
            "STOPALL",
            "stop all",
            "Stop-All",
            "UNSUBSCRIBE",
            "Unsubscribe.",
            "CANCEL",
            "cancel!",
            "END",
            "end.",
            "QUIT",
            "Quit",
            "REVOKE",
            "revoke",
            "OPTOUT",
            "OPT-OUT",
            "opt‑out",
            "Opt–Out.",
            "opt out",
            "ＳＴＯＰ",
            "ｓｔｏｐ！",
            "\u{a0}STOP\u{a0}",
            "\u{200b}STOP\u{200b}",
            "S\u{200d}TOP",
            "ST\u{ad}OP",
            "\u{feff}stop",
            "\u{202d}STOP\u{202c}",
            "\u{3000}STOP\u{3000}",
            "STOP\u{fe0f}",
            "\tSTOP\r\n",
            "stop\n\nSent from my iPhone",
        ],
    );
}

#[test]
fn only_two_words_take_it_back() {
    all(
        Heard::Start,
        &[
            "START",
            "start",
            "Start!",
            "UNSTOP",
            "unstop.",
            " ＳＴＡＲＴ ",
            "\"Start\"",
        ],
    );
    all(
        Heard::Nothing,
        &[
            "yes",
            "YES",
            "resume",
            "subscribe",
            "continue",
            "start over please",
            "When do you start?",
            "please start",
            "un stop",
            "restart",
            "go",
        ],
    );
}

#[test]
fn a_clear_sentence_is_for_a_person_to_judge() {
    all(
        Heard::Review,
        &[
            "please stop texting me",
            "Please stop",
            "stop please",
            "STOP IT",
            "stop now!!!",
            "just stop already",
            "ok stop thanks",
            "Stop messaging me.",
            "stop sending me these",
            "quit texting me",
            "Can you stop contacting us please?",
            "I asked you to stop texting",
            "do not contact me again",
            "Don't text me",
            "don’t text me anymore",
            "dont message this number",
            "never contact me again",
            "DO NOT CALL ME",
            "Do not text",
            "please don't send me any more messages",
            "take me off your list",
            "Take me off of this list now",
            "remove me",
            "please remove my number",
            "delete my number",
            "wrong number",
            "You have the wrong number",
            "wrong person sorry",
            "This is not my number anymore",
            "leave me alone",
            "lose my number",
            "unsubscribe me please",
            "How do I unsubscribe?",
            "I want to opt out",
            "opt me out",
            "not interested",
            "no more texts please",
            "I don't want these messages",
            "I do not want to be contacted",
            "I didn’t want any texts",
            "I no longer want to receive texts",
            "this is spam",
            "STOP. I never asked for this.",
            "Stop! Who is this?",
            "STOP\nI told you before",
            "s t o p",
            "S.T.O.P.",
            "stpo",
            "Stopp",
            "alto",
            "🛑",
            "please cancel",
            "cease and desist",
        ],
    );
}

#[test]
fn an_ordinary_answer_is_none() {
    all(
        Heard::Nothing,
        &[
            "",
            "   ",
            "!!!",
            "👍",
            "we will stop by on Monday",
            "Can you stop by at 5?",
            "stop by anytime",
            "I'll stop in to write a review",
            "end of the day works",
            "by the end of the week",
            "the end",
            "can you cancel my appointment",
            "I need to cancel Tuesday's visit",
            "cancel my order",
            "please cancel the appointment",
            "Don't cancel",
            "I quit my job",
            "did the technician quit?",
            "please don't stop texting me",
            "never stop sending these!",
            "Don't stop",
            "bus stop",
            "the nonstop service was great",
            "unstoppable",
            "I can't stop smiling, thanks",
            "my house is the last stop on the road",
            "I don't text while driving",
            "we don't call before noon",
            "Thanks! Great work",
            "No thanks",
            "no",
            "What number is this",
            "the weekend",
            "Endless patience",
            "I revoked nothing",
            "optional",
            "Liked “Reply STOP to opt out”",
            "Loved \"Reply STOP to unsubscribe\"",
            "Reacted 😂 to “Text STOP to stop messages”",
        ],
    );
}

#[test]
fn every_name_reads_back() {
    for heard in Heard::ALL {
        assert_eq!(Heard::parse(heard.as_str()), Some(heard));
    }
    for source in Source::ALL {
        assert_eq!(Source::parse(source.as_str()), Some(source));
    }
    for voice in Voice::ALL {
        assert_eq!(Voice::parse(voice.as_str()), Some(voice));
    }
}

#[test]
fn what_is_heard_in_a_rehearsal_stays_there() {
    assert_eq!(reach("chert"), None);
    assert_eq!(reach("sandbox"), None, "a live gateway may be called so");
    let rehearsal = "sandbox spring@rehearsal-2";
    assert_eq!(reach(rehearsal), Some(rehearsal));
}

const WORDS: [&str; 9] = [
    "stop",
    "stopall",
    "unsubscribe",
    "cancel",
    "end",
    "quit",
    "revoke",
    "optout",
    "opt-out",
];

#[derive(Debug, Clone, Copy)]
struct Word {
    stop: bool,
    at: i64,
}

fn told(words: &[Word]) -> Standing {
    let mut standing = Standing::default();
    for word in words {
        let at = Timestamp::from_second(word.at).unwrap();
        if word.stop {
            standing.stop(at);
        } else {
            standing.start(at);
        }
    }
    standing
}

proptest! {
    #[test]
    fn any_text_is_heard_without_panic(text in "\\PC{0,80}") {
        hear(&text);
    }

    #[test]
    fn any_words_are_heard_without_panic(
        text in "((stop|don't|not|text|me|by|want|end|opt|out|[.,!\n ’]) ?){0,30}"
    ) {
        hear(&text);
    }

    /// Whatever its case, and whatever stands around it that is no letter.
    #[test]
    fn a_stop_word_is_heard_through_all_decoration(
        word in prop::sample::select(&WORDS[..]),
        upper in prop::collection::vec(any::<bool>(), 11),
        before in "[ \u{a0}\u{200b}\"'“(*\n]{0,4}",
        after in "[ .!?…\u{a0}\u{200b}\u{feff}\"'”)*\n]{0,6}",
        wide in any::<bool>(),
    ) {
        let letters = word.chars().zip(upper).map(|(c, up)| {
            let c = if up { c.to_ascii_uppercase() } else { c };
            if wide { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c }
        });
        let text = format!("{before}{}{after}", letters.collect::<String>());
        prop_assert_eq!(hear(&text), Heard::Stop, "{:?}", text);
    }

    /// A word within a longer one, or in front of a noun, is not obeyed.
    #[test]
    fn nothing_with_another_word_in_it_is_obeyed(
        word in prop::sample::select(&WORDS[..]),
        other in "[b-z]{3,9}",
        first in any::<bool>(),
    ) {
        prop_assume!(!WORDS.contains(&other.as_str()));
        let text = if first { format!("{other} {word}") } else { format!("{word} {other}") };
        prop_assert_ne!(hear(&text), Heard::Stop);
        let glued = format!("{word}{other}");
        prop_assert_ne!(hear(&glued), Heard::Stop);
    }

    /// In any order, and with any of them twice, the newest word counts, and STOP wins ties.
    #[test]
    fn the_newest_word_counts_in_whatever_order_words_come(
        words in prop::collection::vec((any::<bool>(), 0i64..12), 1..20)
            .prop_map(|all| all.into_iter().map(|(stop, at)| Word { stop, at }).collect::<Vec<_>>()),
        twice in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        seed in any::<u64>(),
    ) {
        let newest = words.iter().max_by_key(|word| (word.at, word.stop)).unwrap();
        let mut mixed = words.clone();
        mixed.extend(twice.iter().map(|at| *at.get(&words)));
        let mut state = seed;
        for at in (1..mixed.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            mixed.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(told(&mixed), told(&words));
        prop_assert_eq!(told(&mixed).is_suppressed(), newest.stop);
    }
}
