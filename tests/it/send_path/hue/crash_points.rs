//! A real `kill -9` in every crash window of the send path on a provider that knows people and no
//! keys: what it leaves behind, that nothing is sent within the minute in which nobody can tell,
//! and what the next process makes of it then, all by the sandbox's record.

use serde_json::{Value, json};

use super::stage::{By, HueStage, LOOKED_FOR_AFTER, posts};
use crate::send_path::assert_armed;
use crate::send_path::books::{Attempt, Books, Delivery};
use crate::support::{Ended, KILL, On, phone};

/// The points that only this provider has; the others are Chert's as well.
pub(in crate::send_path) const POINTS: [&str; 3] =
    ["contact.answered", "contact.kept", "sighting.answered"];

/// A crash window, and what a run to one person comes to that is killed in it.
struct Window {
    /// The point, and at which arrival (from 1).
    at: (&'static str, u32),
    /// What becomes of the first request that carries the message.
    fault: Option<&'static str>,
    left: Left,
    end: End,
}

/// What the kill leaves behind.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    state: &'static str,
    /// Attempts begun.
    attempts: u32,
    /// Whether the provider knows the person.
    is_known: bool,
    /// Requests that have carried the message.
    posts: usize,
    /// Messages that the person has.
    received: usize,
}

/// What it came to, with one message received.
#[derive(Debug, PartialEq, Eq)]
struct End {
    attempts: u32,
    posts: usize,
    /// Requests to make the person known.
    new_contacts: usize,
    /// Why it is known what became of an attempt that nobody recorded.
    evidence: Option<&'static str>,
}

#[expect(clippy::fn_params_excessive_bools, reason = "a row of a table")]
const fn left(
    (state, attempts): (&'static str, u32),
    is_known: bool,
    (posts, received): (usize, usize),
) -> Left {
    Left {
        state,
        attempts,
        is_known,
        posts,
        received,
    }
}

const fn end(
    (attempts, posts): (u32, usize),
    new_contacts: usize,
    evidence: Option<&'static str>,
) -> End {
    End {
        attempts,
        posts,
        new_contacts,
        evidence,
    }
}

const fn window(
    at: (&'static str, u32),
    fault: Option<&'static str>,
    left: Left,
    end: End,
) -> Window {
    Window {
        at,
        fault,
        left,
        end,
    }
}

const LOST_AFTER: Option<&str> = Some(r#"{ "kind": "drop" }"#);
const LOST_BEFORE: Option<&str> = Some(r#"{ "kind": "drop_before" }"#);
const FAILED_AFTER: Option<&str> = Some(r#"{ "kind": "error_after_accept", "status": 500 }"#);
const FAILED_BEFORE: Option<&str> = Some(r#"{ "kind": "error", "status": 500 }"#);
const BAD_GATEWAY: Option<&str> = Some(r#"{ "kind": "non_json", "status": 502 }"#);
const THROTTLED: Option<&str> = Some(r#"{ "kind": "throttle", "wait": 1 }"#);

const UNTOUCHED: (&str, u32) = ("pending", 0);
const BEGUN: (&str, u32) = ("sending", 1);
const SENT: (&str, u32) = ("sent", 1);
const BACK: (&str, u32) = ("pending", 1);
const FOUND: Option<&str> = Some("found");
const ABSENT: Option<&str> = Some("put_back");

/// In the order of the path: the claim, the person, the begin, the answer, the record.
const WINDOWS: &[Window] = &[
    window(
        ("claim.committed", 1),
        None,
        left(UNTOUCHED, false, (0, 0)),
        end((1, 1), 1, None),
    ),
    window(
        ("slot.waited", 1),
        None,
        left(UNTOUCHED, false, (0, 0)),
        end((1, 1), 1, None),
    ),
    // The provider knows the person, the ledger does not: asking again makes no second one.
    window(
        ("contact.answered", 1),
        None,
        left(UNTOUCHED, true, (0, 0)),
        end((1, 1), 2, None),
    ),
    window(
        ("contact.kept", 1),
        None,
        left(UNTOUCHED, true, (0, 0)),
        end((1, 1), 1, None),
    ),
    window(
        ("begin.before", 1),
        None,
        left(UNTOUCHED, true, (0, 0)),
        end((1, 1), 1, None),
    ),
    window(
        ("group.committed", 1),
        None,
        left(BEGUN, true, (0, 0)),
        end((2, 1), 1, ABSENT),
    ),
    window(
        ("begin.committed", 1),
        None,
        left(BEGUN, true, (0, 0)),
        end((2, 1), 1, ABSENT),
    ),
    window(
        ("answer.received", 1),
        None,
        left(BEGUN, true, (1, 1)),
        end((1, 1), 1, FOUND),
    ),
    window(
        ("answer.received", 1),
        LOST_AFTER,
        left(BEGUN, true, (1, 1)),
        end((1, 1), 1, FOUND),
    ),
    window(
        ("answer.received", 1),
        LOST_BEFORE,
        left(BEGUN, true, (1, 0)),
        end((2, 2), 1, ABSENT),
    ),
    window(
        ("answer.received", 1),
        FAILED_AFTER,
        left(BEGUN, true, (1, 1)),
        end((1, 1), 1, FOUND),
    ),
    window(
        ("answer.received", 1),
        FAILED_BEFORE,
        left(BEGUN, true, (1, 0)),
        end((2, 2), 1, ABSENT),
    ),
    window(
        ("answer.received", 1),
        BAD_GATEWAY,
        left(BEGUN, true, (1, 0)),
        end((2, 2), 1, ABSENT),
    ),
    window(
        ("answer.received", 1),
        THROTTLED,
        left(BEGUN, true, (1, 0)),
        end((2, 2), 1, ABSENT),
    ),
    window(
        ("group.committed", 2),
        None,
        left(SENT, true, (1, 1)),
        end((1, 1), 1, None),
    ),
    window(
        ("record.committed", 1),
        None,
        left(SENT, true, (1, 1)),
        end((1, 1), 1, None),
    ),
    window(
        ("record.committed", 1),
        LOST_AFTER,
        left(BEGUN, true, (1, 1)),
        end((1, 1), 1, FOUND),
    ),
    window(
        ("record.committed", 1),
        LOST_BEFORE,
        left(BEGUN, true, (1, 0)),
        end((2, 2), 1, ABSENT),
    ),
    window(
        ("record.committed", 1),
        FAILED_AFTER,
        left(BEGUN, true, (1, 1)),
        end((1, 1), 1, FOUND),
    ),
    window(
        ("record.committed", 1),
        THROTTLED,
        left(BACK, true, (1, 0)),
        end((2, 2), 1, None),
    ),
    window(
        ("finish.before", 1),
        None,
        left(SENT, true, (1, 1)),
        end((1, 1), 1, None),
    ),
];

/// What is not answered for has met a fault, however busy the machine is.
const PATIENT: &str = "30s";
const TERMS: &str = "retry: { attempts: 5, base: 20ms, max: 100ms }";

/// What the ledger and the provider say of one person.
#[derive(Debug)]
struct Seen {
    state: String,
    attempts: u32,
    is_known: bool,
    posts: usize,
    received: usize,
    new_contacts: usize,
    books: Books,
}

impl Seen {
    async fn of(stage: &HueStage, person: &str) -> Self {
        let books = stage.books().await;
        let journal = stage.provider.journal().await;
        let theirs = |one: &&Delivery| one.phone == person;
        let delivery = books.deliveries.values().find(theirs).unwrap();
        let known = stage.provider.hue_contacts().await;
        assert!(known.iter().filter(|one| *one == person).count() <= 1);
        let to = Some(person);
        let requests = journal.requests.iter();
        let news = requests.filter(|one| one.is_new_contact() && one.to.as_deref() == to);
        let messages = journal.hue_messages.iter();
        Self {
            state: delivery.state.clone(),
            attempts: delivery.attempt,
            is_known: known.iter().any(|one| one == person),
            posts: posts(&journal).get(person).map_or(0, Vec::len),
            received: messages.filter(|one| one.phone.as_deref() == to).count(),
            new_contacts: news.count(),
            books,
        }
    }

    fn assert_left(&self, left: &Left, name: &str) {
        let delivery = (self.state.as_str(), self.attempts);
        assert_eq!(delivery, (left.state, left.attempts), "{name}");
        let reached = (self.is_known, self.posts, self.received);
        assert_eq!(
            reached,
            (left.is_known, left.posts, left.received),
            "{name}"
        );
    }

    fn events(&self, name: &str) -> usize {
        self.books.events.get(name).copied().unwrap_or(0)
    }
}

/// `sendoff run`, killed at a point.
async fn die(stage: &HueStage, occurrence: &str, (point, arrival): (&str, u32)) -> Ended {
    let ended = stage
        .doomed(occurrence, &format!("{point}:{arrival}"))
        .end()
        .await;
    assert_eq!(ended.signal, Some(KILL), "{point}:{arrival}: {ended:?}");
    stage.bury_the_killed().await;
    ended
}

async fn first_message_comes_under(stage: &HueStage, fault: Option<&str>) {
    let mut rules = Vec::new();
    if let Some(fault) = fault {
        let mut rule: Value = serde_json::from_str(fault).unwrap();
        rule["times"] = json!(1);
        rule["match"] = json!({ "route": "hue_send" });
        rules.push(rule);
    }
    stage.provider.faults(1, &json!(rules)).await;
}

/// The person of window `n`, in a run of their own.
async fn killed_in(stage: &HueStage, n: usize, window: &Window) {
    let name = format!("{:?} {:?}", window.at, window.fault);
    let (occurrence, person) = (format!("w{n}"), phone(n));
    stage.list(n..=n);
    first_message_comes_under(stage, window.fault).await;
    die(stage, &occurrence, window.at).await;
    let before = Seen::of(stage, &person).await;
    before.assert_left(&window.left, &name);
    if window.end.evidence.is_some() && window.at.0 != "record.committed" {
        // Nobody can tell yet, and nobody guesses.
        let mut next = stage.worker(&occurrence);
        stage.until_put_off().await;
        assert!(next.kill(), "{name}: {}", next.err());
        stage.bury_the_killed().await;
        Seen::of(stage, &person)
            .await
            .assert_left(&window.left, &name);
    }
    stage.later(LOOKED_FOR_AFTER).await;
    let ended = stage.send_what_is_due(&occurrence).await;
    assert_eq!(ended.code, Some(0), "{name}: {ended:?}");
    let after = Seen::of(stage, &person).await;
    assert_eq!(
        (after.state.as_str(), after.received),
        ("sent", 1),
        "{name}"
    );
    let evidence = ["found", "put_back"]
        .into_iter()
        .find(|event| after.events(event) > before.events(event));
    let end = End {
        attempts: after.attempts,
        posts: after.posts,
        new_contacts: after.new_contacts,
        evidence,
    };
    assert_eq!(end, window.end, "{name}");
}

pub(in crate::send_path) async fn a_kill_in_any_window_is_settled_by_evidence_after_a_minute(
    on: On,
) {
    assert_armed();
    let stage = HueStage::new(on, By::Whatsapp, TERMS, PATIENT).await;
    for (n, window) in WINDOWS.iter().enumerate() {
        killed_in(&stage, n, window).await;
    }
    stage.compare("w0", 1).await;
}

/// Whoever looks for a message may be killed, too: before the look is recorded, and after.
pub(in crate::send_path) async fn a_kill_while_it_is_looked_for_changes_nothing_about_the_answer(
    on: On,
) {
    assert_armed();
    let stage = HueStage::new(on, By::Sms, TERMS, PATIENT).await;
    let deaths = ["sighting.answered", "group.committed"];
    let cases = [LOST_AFTER, LOST_BEFORE]
        .into_iter()
        .flat_map(|fault| deaths.map(|at| (fault, at)));
    for (n, (fault, at)) in cases.enumerate() {
        let (occurrence, person) = (format!("l{n}"), phone(n));
        stage.list(n..=n);
        first_message_comes_under(&stage, fault).await;
        die(&stage, &occurrence, ("answer.received", 1)).await;
        stage.later(LOOKED_FOR_AFTER).await;
        die(&stage, &occurrence, (at, 1)).await;
        let between = Seen::of(&stage, &person).await;
        assert_eq!(between.posts, 1, "{fault:?}, {at}");
        stage.later(LOOKED_FOR_AFTER).await;
        let ended = stage.send_what_is_due(&occurrence).await;
        assert_eq!(ended.code, Some(0), "{fault:?}, {at}: {ended:?}");
        let after = Seen::of(&stage, &person).await;
        let posts = if fault == LOST_AFTER { 1 } else { 2 };
        assert_eq!((after.posts, after.received), (posts, 1), "{fault:?}, {at}");
        stage.compare(&occurrence, 1).await;
    }
}

/// The windows that a run to many people is killed in over and over, and at which arrival.
const CROWDED: &[(&str, u32)] = &[
    ("contact.answered", 5),
    ("begin.committed", 5),
    ("answer.received", 5),
    ("record.committed", 4),
];
const CROWD: usize = 24;

/// Attempts that are known to have lost their process.
fn lost(books: &Books) -> usize {
    let is_lost = |one: &&Attempt| one.outcome == "lost";
    books.all_attempts().filter(is_lost).count()
}

pub(in crate::send_path) async fn a_crowd_killed_twice_in_the_same_window_gets_it_once_each(
    on: On,
) {
    assert_armed();
    let terms = format!("{TERMS}\npace: {{ concurrency: 3 }}");
    let stage = HueStage::new(on, By::Whatsapp, &terms, PATIENT).await;
    let mut lost_so_far = 0;
    for (n, &at) in CROWDED.iter().enumerate() {
        let occurrence = format!("c{n}");
        stage.list(n * CROWD..(n + 1) * CROWD);
        for _ in 1..=2 {
            die(&stage, &occurrence, at).await;
            stage.later(LOOKED_FOR_AFTER).await;
        }
        let ended = stage.send_what_is_due(&occurrence).await;
        assert_eq!(ended.code, Some(0), "{at:?}: {ended:?}");
        let compared = stage.compare(&occurrence, CROWD).await;
        assert_eq!((compared.sent, compared.posts), (CROWD, CROWD), "{at:?}");
        let lost = lost(&stage.books().await);
        if at.0 == "begin.committed" || at.0 == "answer.received" {
            assert!(lost > lost_so_far, "{at:?}: nothing was in doubt");
        }
        lost_so_far = lost;
    }
}
