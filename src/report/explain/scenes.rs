//! The story scene by scene: what happened to the delivery in the order in which it did, and
//! what happened to its run meanwhile.

use jiff::Timestamp;

use super::super::json::instant;
use super::super::layout::clean;
use super::super::opt_outs;
use super::{Scene, Told, tell};
use crate::domain::delivery::{DeliveryState, Hold, SkipReason};
use crate::domain::history::{Attempt, DeliveryEvent, Event, RunEvent};
use crate::ledger::Said;

/// All scenes, oldest first.
pub(super) fn scenes(told: &Told<'_>) -> Vec<Scene> {
    let mut scenes = vec![frozen(told)];
    let history = told.history;
    let mut tries = 0;
    for number in 0..=told.delivery().attempts {
        if number > 0 {
            let known = history.attempts.iter().find(|one| one.attempt == number);
            match known {
                Some(attempt) => {
                    scenes.push(attempted(told, attempt, tries));
                    let after = attempt.after.as_ref().filter(|_| !attempt.late);
                    tries = after.and_then(|after| after.tries).unwrap_or(tries);
                }
                None => scenes.push(on_the_wire(told, number)),
            }
        }
        for event in history.events.iter().filter(|one| one.attempt == number) {
            tries = tries_after(tries, &event.what);
            if !again(&mut scenes, told, event) {
                scenes.push(happened(told, event));
            }
        }
    }
    receipts(told, &mut scenes);
    with_opt_outs(told, with_the_run(told, scenes))
}

/// Puts what the person or the operator said about writing at all where it became known. What was
/// known before the run was frozen comes first.
fn with_opt_outs(told: &Told<'_>, mut scenes: Vec<Scene>) -> Vec<Scene> {
    for event in told.opt_outs {
        let here = event.rehearsal.as_deref();
        if here.is_some_and(|gateway| gateway != told.run.gateway) {
            continue;
        }
        let kind = match event.what {
            Said::Stop => "opted_out",
            Said::Start => "opted_in",
        };
        let scene = Scene::new(event.at, kind, opt_outs::told(event))
            .with("source", event.source.as_str())
            .with("event_id", event.event_id.clone());
        let before = scenes.iter().rposition(|scene| scene.at <= event.at);
        scenes.insert(before.map_or(0, |before| before + 1), scene);
    }
    scenes
}

fn frozen(told: &Told<'_>) -> Scene {
    let (run, delivery) = (told.run, told.delivery());
    let row = delivery.row;
    let at = run.created_at;
    if told.history.message.is_none() {
        let reason = delivery.reason.map_or("", |reason| reason.in_words());
        let detail = delivery.detail.as_deref().map(clean).unwrap_or_default();
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(" ({detail})")
        };
        let text =
            format!("The run was frozen. Row {row} of the list was left out: {reason}{detail}.");
        return Scene::new(at, "left_out", text)
            .with("reason", delivery.reason.map(SkipReason::as_str));
    }
    let due = if run.starts_at > at {
        format!(" It was due {}.", told.moment(run.starts_at))
    } else {
        String::new()
    };
    let text = format!(
        "The run was frozen with row {row} of the list, {}, {}.{due}",
        told.who(),
        line(told)
    );
    Scene::new(at, "frozen", text).with("line", delivery.line.as_str())
}

/// By which line, and why by this one; or over which channel.
fn line(told: &Told<'_>) -> String {
    let line = told.delivery().line.as_str();
    let lines = told.run.terms.lines.len();
    if let Some(channel) = told.run.terms.channel {
        return format!("to be sent by {}", channel.in_words());
    }
    match (&told.history.known_from, lines) {
        _ if line.is_empty() => "to be sent by the account itself".to_owned(),
        (Some(before), _) => {
            format!("to be sent from the line {line}, which has written to them before ({before})")
        }
        (None, 0 | 1) => format!("to be sent from the line {line}"),
        (None, _) => format!(
            "to be sent from the line {line}: new recipients take the {lines} lines in turn"
        ),
    }
}

fn attempted(told: &Told<'_>, attempt: &Attempt, tries: u32) -> Scene {
    let text = format!(
        "Attempt {}: {}",
        attempt.attempt,
        tell::outcome(told, attempt, tries)
    );
    let failure = &attempt.failure;
    Scene::new(attempt.begun_at, "attempt", text)
        .with("attempt", attempt.attempt)
        .with("outcome", attempt.class.as_str())
        .with("late", attempt.late)
        .with("ended_at", attempt.ended_at.map(instant))
        .with("code", failure.code)
        .with("http", failure.http)
        .with("trace_id", failure.trace_id.clone())
        .with(
            "idempotency_key",
            told.key(attempt.revision).map(|key| key.to_string()),
        )
}

fn on_the_wire(told: &Told<'_>, number: u32) -> Scene {
    let at = told.history.begun_at.unwrap_or(told.run.created_at);
    let who = told.holder().map_or_else(String::new, |holder| {
        format!(" {holder} is waiting for it.")
    });
    let text = format!("Attempt {number} was begun; no answer is recorded so far.{who}");
    let key = told.key(told.delivery().revision);
    Scene::new(at, "attempt", text)
        .with("attempt", number)
        .with("outcome", serde_json::Value::Null)
        .with("idempotency_key", key.map(|key| key.to_string()))
}

fn tries_after(tries: u32, what: &DeliveryEvent) -> u32 {
    match what {
        DeliveryEvent::Retried { .. } | DeliveryEvent::Resolved { sent: false } => 0,
        DeliveryEvent::Unprepared { tries: now, .. } => now.unwrap_or(tries),
        DeliveryEvent::PutBack { tries: now, .. } => *now,
        DeliveryEvent::Held { .. }
        | DeliveryEvent::Skipped { .. }
        | DeliveryEvent::Found { .. }
        | DeliveryEvent::LeftUncertain { .. }
        | DeliveryEvent::GivenUp { .. }
        | DeliveryEvent::FailedLater { .. }
        | DeliveryEvent::Resolved { sent: true } => tries,
    }
}

/// The same wait once more is no new scene: the last one goes on until later.
fn again(scenes: &mut [Scene], told: &Told<'_>, event: &Event<DeliveryEvent>) -> bool {
    let DeliveryEvent::Held { until, hold } = &event.what else {
        return false;
    };
    let Some(last) = scenes.last_mut().filter(|last| last.kind == "held") else {
        return false;
    };
    let same = last.more.get("hold").and_then(|hold| hold.as_str()) == Some(hold.as_str());
    if same {
        let times = last.more.get("times").and_then(serde_json::Value::as_u64);
        let times = times.unwrap_or(1) + 1;
        last.text = format!("{} It was held {times} times.", held(told, *until, *hold));
        last.more.insert("times".to_owned(), times.into());
        last.more.insert("until".to_owned(), instant(*until).into());
    }
    same
}

fn held(told: &Told<'_>, until: Timestamp, hold: Hold) -> String {
    format!(
        "It was due and had to wait until {}: {}. That uses up no try.",
        told.moment(until),
        tell::hold(hold)
    )
}

fn happened(told: &Told<'_>, event: &Event<DeliveryEvent>) -> Scene {
    let at = event.at;
    match &event.what {
        DeliveryEvent::Held { until, hold } => Scene::new(at, "held", held(told, *until, *hold))
            .with("hold", hold.as_str())
            .with("until", instant(*until)),
        DeliveryEvent::Skipped { reason, detail } => {
            let detail = detail.as_deref().map(clean);
            let detail = detail.map_or_else(String::new, |detail| format!(" ({detail})"));
            let text = format!("It was due and left out: {}{detail}.", reason.in_words());
            Scene::new(at, "left_out", text).with("reason", reason.as_str())
        }
        DeliveryEvent::Unprepared {
            state,
            due_at,
            failure,
            anew,
            ..
        } => unprepared(told, at, (*state, *due_at, *anew), failure.as_ref()),
        DeliveryEvent::Found {
            message_id,
            chat_id,
        } => {
            let text = format!(
                "The messages of the chat were looked through: it is there, as message {}.",
                clean(message_id)
            );
            Scene::new(at, "found", text)
                .with("message_id", message_id.as_str())
                .with("chat_id", chat_id.clone())
        }
        DeliveryEvent::LeftUncertain { why } => {
            let why = clean(why);
            Scene::new(at, "left_uncertain", format!("Left to a person: {why}."))
        }
        DeliveryEvent::GivenUp { why } => {
            let why = clean(why);
            Scene::new(at, "given_up", format!("Given up: {why}."))
        }
        DeliveryEvent::PutBack { why, due_at, .. } => {
            let text = format!(
                "Put back, to be sent {}: {}.",
                told.moment(*due_at),
                clean(why)
            );
            Scene::new(at, "put_back", text).with("until", instant(*due_at))
        }
        DeliveryEvent::Retried { .. } | DeliveryEvent::Resolved { .. } => by_operator(told, event),
        DeliveryEvent::FailedLater { code, text } => {
            let text = clean(text);
            let text = text.trim_end_matches('.');
            let code = *code;
            let words = match code {
                Some(code) => format!("The provider says that it failed: {text} (code {code})."),
                None => format!("The provider says that it failed: {text}."),
            };
            Scene::new(at, "failed_later", words).with("code", code)
        }
    }
}

/// What the operator did with it.
fn by_operator(told: &Told<'_>, event: &Event<DeliveryEvent>) -> Scene {
    let has_keys = told.run.terms.has_keys();
    let (kind, name, value, text) = if let DeliveryEvent::Resolved { sent } = &event.what {
        let text = if *sent {
            "The operator said that it was sent (`resolve --as sent`)."
        } else if has_keys {
            "The operator said that it was not sent (`resolve --as unsent`): put back with the \
             same key, which protects if it was after all."
        } else {
            "The operator said that it was not sent (`resolve --as unsent`): put back. The provider \
             knows no keys: if it was after all, there are two."
        };
        ("resolved", "sent", *sent, text)
    } else if let DeliveryEvent::Retried { revise: true } = &event.what {
        let text = "The operator put it back (`retry`), with a new key.";
        ("retried", "revise", true, text)
    } else {
        let text = if has_keys {
            "The operator put it back (`retry`), with the same key and request."
        } else {
            "The operator put it back (`retry`), with the same request."
        };
        ("retried", "revise", false, text)
    };
    Scene::new(event.at, kind, text.to_owned()).with(name, value)
}

fn unprepared(
    told: &Told<'_>,
    at: Timestamp,
    (state, due_at, anew): (DeliveryState, Option<Timestamp>, bool),
    failure: Option<&crate::domain::outcome::Failure>,
) -> Scene {
    let why = failure.map_or_else(String::new, |failure| format!(": {}", tell::words(failure)));
    let next = match (state, due_at) {
        (DeliveryState::Failed, _) => " No further try was allowed.".to_owned(),
        _ if anew => " To be sent with a new key, since the request has to change.".to_owned(),
        (_, Some(due_at)) => format!(" To be tried again {}.", told.moment(due_at)),
        (_, None) => String::new(),
    };
    let text = format!("The request could not be made{why}.{next} No attempt was begun.");
    Scene::new(at, "unprepared", text)
        .with("state", state.as_str())
        .with("code", failure.and_then(|failure| failure.code))
}

fn receipts(told: &Told<'_>, scenes: &mut Vec<Scene>) {
    let delivery = told.delivery();
    if let Some(at) = delivery.delivered_at {
        scenes.push(Scene::new(at, "delivered", "It reached the phone."));
    }
    if let Some(at) = delivery.read_at {
        scenes.push(Scene::new(at, "read", "It was opened."));
    }
}

/// Puts what happened to the run between the scenes, as far as the delivery was open then.
fn with_the_run(told: &Told<'_>, scenes: Vec<Scene>) -> Vec<Scene> {
    let open = !told.delivery().state.is_settled();
    let end = scenes.iter().map(|scene| scene.at).max();
    let mut all = Vec::with_capacity(scenes.len());
    let of_run = &told.history.run_events;
    let mut run = of_run
        .iter()
        .enumerate()
        .filter_map(|(n, event)| {
            // That it is finished is only news where it went on all the same.
            let ended = event.what == RunEvent::Finished && of_run.get(n + 1).is_none();
            (event.what != RunEvent::Started && !ended).then(|| run_scene(event))
        })
        .filter(|scene| open || scene.kind == "run_cancelled" || Some(scene.at) <= end)
        .peekable();
    for scene in scenes {
        while let Some(before) = run.next_if(|before| before.at < scene.at) {
            all.push(before);
        }
        all.push(scene);
    }
    let moved = matches!(
        told.delivery().state,
        DeliveryState::Pending
            | DeliveryState::Sending
            | DeliveryState::Cancelled
            | DeliveryState::Uncertain
    );
    all.extend(run.filter(|_| moved));
    all
}

fn run_scene(event: &Event<RunEvent>) -> Scene {
    let because = |reason: &Option<String>| {
        let reason = reason.as_deref().map(clean).unwrap_or_default();
        let reason = reason.trim_end_matches('.').to_owned();
        if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        }
    };
    let (kind, text) = match &event.what {
        RunEvent::Started => ("run_started", "The run began.".to_owned()),
        RunEvent::Paused { reason } => (
            "run_paused",
            format!("The run was paused{}.", because(reason)),
        ),
        RunEvent::Halted { reason } => (
            "run_halted",
            format!("The run was halted{}.", because(reason)),
        ),
        RunEvent::Resumed => ("run_resumed", "The run went on.".to_owned()),
        RunEvent::Finished => ("run_finished", "The run was finished.".to_owned()),
        RunEvent::Cancelled { reason } => (
            "run_cancelled",
            format!("The run was cancelled{}.", because(reason)),
        ),
    };
    Scene::new(event.at, kind, text)
}
