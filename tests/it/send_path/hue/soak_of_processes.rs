//! `kill -9` of real processes at random moments and in every window, up to three at a time on one
//! ledger, while a provider without keys fails before and after it takes a message; then the
//! sandbox's record against the ledger, person by person.
//!
//! Everything follows from one seed, which is printed, except what the machine's scheduler adds.
//! `SENDOFF_SOAK_SEED=N` repeats a soak, `SENDOFF_SOAK_KILLS=N` makes it longer (or shorter):
//!
//! ```text
//! SENDOFF_SOAK_KILLS=500 cargo t everybody_is_accounted_for --no-capture
//! ```
//!
//! A minute has to pass before what is in doubt is looked for. It passes at once, now and then,
//! when all are dead; see [`super::stage`].

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::stage::{By, HueStage, LOOKED_FOR_AFTER, rule};
use crate::send_path::assert_armed;
use crate::send_path::soak::told;
use crate::support::{KILL, On, Process, until};

/// Kills of a soak that is told nothing else.
const KILLS: usize = 16;
/// The seed of a soak that is told none.
const SEED: u64 = 0x5eed;
/// Kills of one run, at the most; the next run then has another list, other faults and pace.
const KILLS_OF_A_RUN: usize = 24;
/// A process that comes to life needs some tens of milliseconds; at this one it is at work.
const LONGEST_DELAY_MS: u64 = 400;
/// Of a request: far longer than a page of everybody's conversations takes on a busy machine.
const TIMEOUT: &str = "1500ms";
/// Whoever asks for nothing for so long has nothing to do.
const IDLE: Duration = Duration::from_millis(2_500);
/// Nobody is waited for longer who does not come to its crash point.
const LONGEST_DOOM: Duration = Duration::from_secs(6);
/// They are killed as well when they have been at work for so long.
const LONGEST_ROUND: Duration = Duration::from_secs(20);
/// Turns of what is due and a step of time, until a run has ended.
const MOST_ROUNDS: u32 = 60;
const OCCURRENCE: &str = "once";

/// Where a process ends itself, at one of its first arrivals there.
const POINTS: [&str; 9] = [
    "slot.waited",
    "contact.answered",
    "contact.kept",
    "begin.before",
    "begin.committed",
    "answer.received",
    "record.committed",
    "group.committed",
    "sighting.answered",
];

/// What the soak came to.
#[derive(Debug, Default)]
struct Tally {
    runs: usize,
    kills: usize,
    /// Among the kills: at a crash point.
    at_points: usize,
    /// Steps of time.
    steps: usize,
    people: usize,
    messages: usize,
    posts: usize,
    /// Attempts whose process was killed before it knew the outcome.
    lost: usize,
    /// Attempts without an answer.
    unanswered: usize,
    /// Doubts that the conversation has settled: it was there, or it was not.
    found: usize,
    absent: usize,
    /// Left to a person, and what the provider says of them.
    uncertain_with: usize,
    uncertain_without: usize,
}

#[expect(clippy::print_stderr, reason = "the seed repeats what has failed")]
pub(in crate::send_path) async fn whatever_the_kills_and_faults_everybody_is_accounted_for_and_nobody_gets_it_twice(
    on: On,
) {
    assert_armed();
    let seed = told("SENDOFF_SOAK_SEED").unwrap_or(SEED);
    let wanted = told("SENDOFF_SOAK_KILLS").map_or(KILLS, |kills| kills.try_into().unwrap());
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut in_vain = 0;
    while tally.kills < wanted {
        let seed = seed.wrapping_add(tally.runs as u64);
        eprintln!("soak of processes, {on:?}: SENDOFF_SOAK_SEED={seed}, {tally:?}");
        let before = tally.kills;
        one_run(on, seed, wanted - tally.kills, &mut tally).await;
        // One may happen to end before it is killed.
        in_vain = if tally.kills > before { 0 } else { in_vain + 1 };
        assert!(in_vain < 3, "nobody was killed up to seed {seed}");
    }
    let took = begun.elapsed();
    eprintln!("soak of processes, {on:?}: {tally:?} within {took:.0?}; 0 twice, 0 left out");
    let settled = tally.found + tally.absent;
    assert!(settled > 0, "there was no doubt: the soak is too easy");
}

/// A run under faults, killed over and over, then finished and compared.
async fn one_run(on: On, seed: u64, kills: usize, tally: &mut Tally) {
    // Seeds that follow each other are to give soaks that have nothing in common.
    let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let people = chance.usize(40..90);
    let terms = format!(
        "pace: {{ concurrency: {} }}\nretry: {{ attempts: 40, base: 20ms, max: 100ms }}",
        chance.usize(1..=4)
    );
    let by = if chance.bool() { By::Whatsapp } else { By::Sms };
    let stage = HueStage::new(on, by, &terms, TIMEOUT).await;
    stage.list(0..people);
    stage.provider.faults(seed, &faults(&mut chance)).await;
    let mut crowd = Crowd::default();
    while crowd.kills < kills.min(KILLS_OF_A_RUN) {
        let is_at_work = match crowd.fill(&mut chance, &stage).await {
            Fate::Sealed => crowd.doom(&stage).await,
            Fate::Open => moment(&mut chance, &stage).await,
        };
        // Now and then all of them, as when the power fails; also when they only wait for the minute.
        if is_at_work && chance.u8(..) < 160 {
            crowd.kill_one(&mut chance, &stage).await;
            continue;
        }
        crowd.kill_all(is_at_work, &stage).await;
        if crowd.has_finished {
            break;
        }
        if !is_at_work || chance.bool() {
            let more = Duration::from_secs(chance.u64(0..600));
            stage.later(LOOKED_FOR_AFTER + more).await;
            tally.steps += 1;
        }
    }
    crowd.kill_all(true, &stage).await;
    tally.kills += crowd.kills;
    tally.at_points += crowd.at_points;
    finish(&stage, tally).await;
    let compared = stage.compare(OCCURRENCE, people).await;
    let books = stage.books().await;
    let of = |outcome| {
        let attempts = books.all_attempts();
        attempts.filter(|one| one.outcome == outcome).count()
    };
    let event = |name| books.events.get(name).copied().unwrap_or(0);
    tally.runs += 1;
    tally.people += people;
    tally.messages += compared.sent + compared.uncertain_with;
    tally.posts += compared.posts;
    tally.lost += of("lost");
    tally.unanswered += of("uncertain");
    tally.found += event("found");
    tally.absent += event("put_back");
    tally.uncertain_with += compared.uncertain_with;
    tally.uncertain_without += compared.uncertain_without;
}

/// Whether one of those who were started is to end itself.
enum Fate {
    Sealed,
    Open,
}

/// Notices when nobody asks for anything any more.
struct Idleness {
    asked: usize,
    since: Instant,
}

impl Default for Idleness {
    fn default() -> Self {
        Self {
            asked: 0,
            since: Instant::now(),
        }
    }
}

impl Idleness {
    fn looked(&mut self, asked: usize) -> bool {
        if asked > self.asked {
            (self.asked, self.since) = (asked, Instant::now());
        }
        self.since.elapsed() >= IDLE
    }
}

/// The processes on a run.
#[derive(Default)]
struct Crowd {
    working: Vec<Process>,
    kills: usize,
    at_points: usize,
    /// One of them has found nothing open any more.
    has_finished: bool,
}

impl Crowd {
    /// Up to three at work, of whom some end themselves in a window.
    async fn fill(&mut self, chance: &mut fastrand::Rng, stage: &HueStage) -> Fate {
        self.bury(stage).await;
        let mut fate = Fate::Open;
        while self.working.len() < chance.usize(1..=3) {
            let is_doomed = chance.u8(..) < 100;
            let process = if is_doomed {
                fate = Fate::Sealed;
                let point = POINTS[chance.usize(..POINTS.len())];
                stage.doomed(OCCURRENCE, &format!("{point}:{}", chance.usize(1..8)))
            } else {
                stage.worker(OCCURRENCE)
            };
            self.working.push(process);
        }
        fate
    }

    /// Waits until one of them ends by itself, but not for ever: who has nothing to do does not come
    /// to its point. Whether one has.
    async fn doom(&mut self, stage: &HueStage) -> bool {
        let begun = Instant::now();
        let mut watch = Idleness::default();
        until("a crash point, or nobody who works", async || {
            let is_there = self.working.iter_mut().any(|one| !one.is_running());
            let is_idle = watch.looked(stage.provider.totals().await.requests);
            let is_over = is_idle || begun.elapsed() >= LONGEST_DOOM;
            (is_there || is_over).then_some(is_there)
        })
        .await
    }

    /// Takes out who has ended, by a crash point or because the run has.
    async fn bury(&mut self, stage: &HueStage) {
        let all = std::mem::take(&mut self.working);
        for mut process in all {
            if process.is_running() {
                self.working.push(process);
                continue;
            }
            let id = process.id();
            let ended = process.end().await;
            match (ended.signal, ended.code) {
                (Some(KILL), _) => {
                    self.kills += 1;
                    self.at_points += 1;
                    stage.bury(&id).await;
                }
                (_, Some(0 | 3)) => self.has_finished = true,
                // The provider could not be asked at the start.
                (_, Some(1)) if ended.err.contains("nothing was sent") => {}
                _ => panic!("{ended:?}"),
            }
        }
    }

    async fn kill_one(&mut self, chance: &mut fastrand::Rng, stage: &HueStage) {
        self.bury(stage).await;
        if self.working.is_empty() {
            return;
        }
        let victim = chance.usize(..self.working.len());
        let mut victim = self.working.swap_remove(victim);
        self.kills += usize::from(victim.kill());
        stage.bury(&victim.id()).await;
    }

    /// Kills that find nobody at work are none.
    #[expect(clippy::fn_params_excessive_bools, reason = "what was just looked at")]
    async fn kill_all(&mut self, are_at_work: bool, stage: &HueStage) {
        self.bury(stage).await;
        for mut process in self.working.drain(..) {
            let was_alive = process.kill();
            self.kills += usize::from(was_alive && are_at_work);
            stage.bury(&process.id()).await;
        }
    }
}

/// Waits for a random moment: a length of time, or some more requests. Whether anything was asked
/// for meanwhile.
async fn moment(chance: &mut fastrand::Rng, stage: &HueStage) -> bool {
    let before = stage.provider.totals().await.requests;
    let begun = Instant::now();
    let target = before + chance.usize(1..16);
    let delay = Duration::from_millis(chance.u64(0..LONGEST_DELAY_MS));
    let by_time = chance.bool();
    until("requests, or nobody who asks", async || {
        let asked = stage.provider.totals().await.requests;
        let is_there = if by_time {
            asked > before && begun.elapsed() >= delay
        } else {
            asked >= target
        };
        let is_idle = begun.elapsed() >= IDLE;
        (is_there || is_idle).then_some(asked > before)
    })
    .await
}

/// Two processes at a time send what is due, and time passes, until the run has ended.
async fn finish(stage: &HueStage, tally: &mut Tally) {
    for _ in 0..MOST_ROUNDS {
        stage.later(LOOKED_FOR_AFTER).await;
        tally.steps += 1;
        let mut both = [stage.worker(OCCURRENCE), stage.worker(OCCURRENCE)];
        let (mut has_ended, begun) = (false, Instant::now());
        let mut watch = Idleness::default();
        until("both to have nothing to do", async || {
            let is_idle = watch.looked(stage.provider.totals().await.requests);
            let are_gone = both.iter_mut().all(|one| !one.is_running());
            (is_idle || are_gone || begun.elapsed() >= LONGEST_ROUND).then_some(())
        })
        .await;
        for mut process in both {
            if process.is_running() {
                process.kill();
                continue;
            }
            let ended = process.end().await;
            if ended.code == Some(1) && ended.err.contains("nothing was sent") {
                continue;
            }
            assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
            has_ended = true;
        }
        if has_ended {
            return;
        }
    }
    panic!("the run does not end");
}

/// Faults of every kind: before and after the message was taken, lies, silence and waits; also where
/// people are made known, and where what is in doubt is looked for.
fn faults(chance: &mut fastrand::Rng) -> Value {
    let share = 0.01 + chance.f64() * 0.05;
    let of = |part: f64| json!({ "share": share / part });
    let with = |fields: &Value, more: Value| {
        let mut all = fields.clone();
        let fields = more.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(fields);
        all
    };
    let (some, few) = (of(1.0), of(3.0));
    let mut rules = Vec::new();
    // A look reads many pages, and begins anew where one fails.
    for (route, part) in [
        ("hue_send", 1.0),
        ("hue_new_contact", 1.0),
        ("hue_messages", 3.0),
        ("hue_conversations", 12.0),
    ] {
        let (some, few) = (of(part), of(3.0 * part));
        rules.push(rule("drop", route, &some));
        rules.push(rule("drop_before", route, &some));
        rules.push(rule("half_answer", route, &few));
        let failed = json!({ "status": 500 });
        rules.push(rule("error", route, &with(&some, failed)));
        rules.push(rule("non_json", route, &few));
        let wait = json!({ "wait": 1, "times": 2 });
        rules.push(rule("throttle", route, &with(&few, wait)));
    }
    for route in ["hue_send", "hue_new_contact"] {
        let lie = json!({ "status": 500 });
        rules.push(rule("error_after_accept", route, &with(&some, lie)));
        rules.push(rule("non_json_after_accept", route, &some));
    }
    let lost = json!({ "delay_ms": 2_000 });
    rules.push(rule("slow", "hue_send", &with(&few, lost.clone())));
    rules.push(rule("slow_after_accept", "hue_send", &with(&few, lost)));
    rules.push(rule(
        "slow_after_accept",
        "hue_send",
        &json!({ "delay_ms": 20 }),
    ));
    json!(rules)
}
