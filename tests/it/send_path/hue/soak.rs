//! Kills at random moments within the test, under faults, on a provider that knows no keys; then
//! the sandbox's record against the ledger, person by person.
//!
//! `SENDOFF_SOAK_SEED=N` repeats a soak, `SENDOFF_SOAK_KILLS=N` makes it longer (or shorter).

use std::collections::HashSet;
use std::time::Duration;

use jiff::SignedDuration;
use sendoff::domain::delivery::DeliveryState;
use sendoff::engine::clock::Clock as _;
use sendoff::engine::dispatch::Ended;

use super::world::{World, template};
use crate::send_path::soak::told;
use crate::support::On;

/// Faults before and after a message was taken, each with this share.
fn every_fault(share: f64) -> Vec<serde_json::Value> {
    let routes = serde_json::json!(["hue_send", "hue_new_contact", "hue_messages"]);
    ["drop", "drop_before", "half_answer", "throttle"]
        .into_iter()
        .flat_map(|kind| {
            let routes = routes.as_array().unwrap().clone();
            routes.into_iter().map(move |route| {
                    serde_json::json!({ "kind": kind, "share": share, "match": { "route": route } })
                })
        })
        .chain([500, 502].map(|status| {
            serde_json::json!({ "kind": "error_after_accept", "status": status,
                    "share": share, "match": { "route": "hue_send" } })
        }))
        .collect()
}

/// Kills of a soak that is told nothing else.
const KILLS: u64 = 60;

#[expect(clippy::print_stderr, reason = "figures for people")]
pub(in crate::send_path) async fn nobody_gets_it_twice_without_keys_whatever_the_kills_and_faults(
    on: On,
) {
    let wanted = told("SENDOFF_SOAK_KILLS").unwrap_or(KILLS);
    let seed = told("SENDOFF_SOAK_SEED").unwrap_or(7);
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut kills, mut runs, mut people_in_all, mut uncertain, mut posts) = (0, 0, 0, 0, 0);
    while kills < wanted {
        let world = World::unlimited(on).await;
        let people = chance.usize(40..90);
        let share = 0.01 + chance.f64() * 0.05;
        let rules = every_fault(share);
        world.faults(&serde_json::Value::Array(rules));
        let run = world.freeze("order@once", people, template).await;
        let mut here = 0;
        for n in 0..25 {
            let process = world.process(&run, format!("p-{n}"));
            // A moment that no event marks is what a kill is to find.
            tokio::time::sleep(Duration::from_millis(chance.u64(5..120))).await;
            if !process.kill() {
                break;
            }
            here += 1;
            // Another one comes when leases are over or the look at what is in doubt is due.
            if chance.bool() {
                let minutes = SignedDuration::from_mins(chance.i64(1..15));
                world.clock.forward_to(world.clock.now() + minutes);
            }
        }
        kills += here;
        let ended = world.send(&run).await;
        assert_eq!(ended, Ended::Finished, "seed {seed}");
        let received = world.received();
        let ids: HashSet<String> = world
            .sandbox
            .hue_messages()
            .into_iter()
            .map(|message| message.message_id)
            .collect();
        for one in world.deliveries(&run).await {
            let got = received.get(one.phone.as_ref().unwrap().expose());
            let got = got.copied().unwrap_or(0);
            assert!(got <= 1, "row {} came {got} times, seed {seed}", one.row);
            if one.state == DeliveryState::Uncertain {
                uncertain += 1;
                continue;
            }
            let accepted = [
                DeliveryState::Sent,
                DeliveryState::Delivered,
                DeliveryState::Read,
            ];
            assert!(
                accepted.contains(&one.state),
                "row {}, seed {seed}",
                one.row
            );
            assert_eq!(got, 1, "row {} is said to be sent, seed {seed}", one.row);
            assert!(one.message_id.is_none_or(|id| ids.contains(&id)));
        }
        runs += 1;
        people_in_all += people;
        posts += ids.len();
    }
    eprintln!(
        "soak without keys, {on:?}: {kills} kills in {runs} runs, {people_in_all} people, {posts} messages, \
         0 twice, {uncertain} uncertain"
    );
    assert!(posts > 0);
}
