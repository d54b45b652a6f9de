//! What got no answer from a provider that knows no keys.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::campaign::{OnUncertain, Terms};
use sendoff::domain::delivery::DeliveryState;
use sendoff::domain::pace::Pace;
use sendoff::engine::clock::Clock as _;
use sendoff::engine::dispatch::Ended;
use sendoff::ledger::Held;

use super::world::{GATEWAY, TRIES, World, person, template};
use crate::support::{On, until};

pub(in crate::send_path) async fn what_got_no_answer_is_looked_for_after_a_minute_and_only_then_sent_again(
    on: On,
) {
    let world = World::unlimited(on).await;
    world.faults(&serde_json::json!([
        { "kind": "drop", "share": 1.0, "times": 2, "match": { "route": "hue_send" } },
        { "kind": "drop_before", "share": 1.0, "times": 2, "match": { "route": "hue_send" } },
    ]));
    let run = world.freeze("order@once", 6, template).await;
    assert_eq!(world.send(&run).await, Ended::Finished);
    let messages = world.sandbox.hue_messages().into_iter();
    let at: Vec<Timestamp> = messages.map(|one| one.sent_at.parse().unwrap()).collect();
    let (first, last) = (at.iter().min().unwrap(), at.iter().max().unwrap());
    let apart = last.duration_since(*first);
    assert!(apart >= SignedDuration::from_secs(55), "{apart:?}");
    let received = world.received();
    assert_eq!(received.len(), 6);
    assert!(received.values().all(|n| *n == 1), "{received:?}");
    let states = world.deliveries(&run).await;
    assert!(states.iter().all(|one| one.state == DeliveryState::Sent));
}

pub(in crate::send_path) async fn what_nothing_can_tell_waits_for_a_person_unless_the_campaign_accepts_it_twice(
    on: On,
) {
    for (policy, state, got) in [
        (OnUncertain::Hold, DeliveryState::Uncertain, 1),
        (OnUncertain::Resend, DeliveryState::Sent, 2),
    ] {
        let world = World::unlimited(on).await;
        // The message is out, and its conversation cannot be read any more.
        world.faults(&serde_json::json!([
            { "kind": "drop", "share": 1.0, "times": 1, "match": { "route": "hue_send" } },
            { "kind": "error", "status": 404, "share": 1.0, "match": { "route": "hue_messages" } },
        ]));
        let terms = Terms {
            on_uncertain: policy,
            ..Terms::default()
        };
        let run = world.freeze_as("order@once", 1, template, terms).await;
        assert_eq!(world.send(&run).await, Ended::Finished);
        let delivery = world.deliveries(&run).await.remove(0);
        assert_eq!(delivery.state, state, "{policy:?}");
        assert_eq!(world.received().values().sum::<usize>(), got, "{policy:?}");
    }
}

pub(in crate::send_path) async fn a_contact_that_gets_no_answer_is_asked_for_until_the_tries_are_used_up(
    on: On,
) {
    let world = World::unlimited(on).await;
    world.faults(&serde_json::json!([
        { "kind": "drop_before", "share": 1.0, "match": { "route": "hue_new_contact" } },
    ]));
    let run = world.freeze("order@once", 1, template).await;
    assert_eq!(world.send(&run).await, Ended::Finished);
    let delivery = world.deliveries(&run).await.remove(0);
    assert_eq!(delivery.state, DeliveryState::Failed);
    assert_eq!(world.received().len(), 0);
    let requests = world.sandbox.hue_report().requests;
    assert_eq!(requests.get("POST /v2/contact"), Some(&TRIES));
}

pub(in crate::send_path) async fn a_wait_that_a_look_is_asked_for_holds_everybody(on: On) {
    let world = World::unlimited(on).await;
    world.faults(&serde_json::json!([
        { "kind": "drop", "share": 1.0, "times": 1, "match": { "route": "hue_send" } },
        { "kind": "throttle", "wait": 3_000, "share": 1.0, "times": 1,
          "match": { "route": "hue_messages" } },
    ]));
    let run = world.freeze("order@once", 1, template).await;
    let ended = world.process(&run, "first".to_owned()).end().await;
    assert!(matches!(ended, Ended::Idle { .. }), "{ended:?}");
    let gates = world.ledger().await.gates(GATEWAY, world.clock.now()).await;
    let gates = gates.unwrap();
    assert!(
        gates.iter().any(|gate| gate.held == Held::Account),
        "{gates:?}"
    );
    assert_eq!(world.send(&run).await, Ended::Finished);
    assert_eq!(world.received().values().sum::<usize>(), 1);
}

/// Somebody at the account deletes the contact meanwhile, and another run makes it anew.
pub(in crate::send_path) async fn a_message_is_looked_for_with_the_contact_that_it_was_sent_to(
    on: On,
) {
    let world = World::unlimited(on).await;
    world.faults(&serde_json::json!([
        { "kind": "drop", "share": 1.0, "times": 1, "match": { "route": "hue_send" } },
    ]));
    let run = world.freeze("order@once", 1, template).await;
    let process = world.process(&run, "first".to_owned());
    until("the message", async || {
        (!world.received().is_empty()).then_some(())
    })
    .await;
    process.kill();
    world.bury_the_killed().await;
    let (ledger, person) = (world.ledger().await, person(0));
    let anew = ledger.keep_contact(GATEWAY, &person, "cnt_made_anew");
    anew.await.unwrap();
    assert_eq!(world.send(&run).await, Ended::Finished);
    let delivery = world.deliveries(&run).await.remove(0);
    assert_eq!(delivery.state, DeliveryState::Sent);
    assert_eq!(world.received().values().sum::<usize>(), 1);
}

/// A request that waits for its turn on the wire leaves later than it was begun, and what a killed
/// process leaves in the ledger is the begin alone.
pub(in crate::send_path) async fn a_request_that_waited_for_the_wire_is_given_its_whole_minute(
    on: On,
) {
    let mut world = World::unlimited(on).await;
    world.timeout = SignedDuration::from_secs(20);
    let lies = |kind: &str, times: u32| {
        serde_json::json!({ "kind": kind, "delay_ms": 600_000, "share": 1.0, "times": times,
            "match": { "route": "hue_send" } })
    };
    let held_up = lies("slow_after_accept", 1);
    world.faults(&serde_json::json!([held_up, lies("slow", 100)]));
    let pace = Pace {
        concurrency: NonZeroU32::MIN,
        ..Pace::default()
    };
    let terms = Terms {
        pace,
        ..Terms::default()
    };
    let run = world.freeze_as("order@once", 2, template, terms).await;
    let process = world.process(&run, "first".to_owned());
    let states = async || {
        let all = world.deliveries(&run).await;
        all.iter().map(|one| one.state).collect::<Vec<_>>()
    };
    until("both to be begun", async || {
        let begun = states().await == [DeliveryState::Sending; 2];
        (begun && world.sandbox.totals().waiting == 1).then_some(())
    })
    .await;
    let pass = |seconds| {
        let time = SignedDuration::from_secs(seconds);
        world.clock.forward_to(world.clock.now() + time);
    };
    // The wire is free after half a minute; the second message leaves then.
    pass(30);
    world.faults(&serde_json::json!([lies("slow", 100)]));
    until("the second to leave", async || {
        let first_is_sent = states().await.contains(&DeliveryState::Sent);
        (first_is_sent && world.sandbox.totals().waiting == 1).then_some(())
    })
    .await;
    assert!(process.kill());
    world.bury_the_killed().await;
    // A minute after both were begun, and half of one after the second has left.
    pass(30);
    let next = world.process(&run, "second".to_owned());
    world.until_put_off().await;
    assert!(next.kill());
    world.bury_the_killed().await;
    assert_eq!(
        world.sandbox.totals().message_posts,
        1,
        "and one lies there"
    );
    assert_eq!(world.received().len(), 1);
    // It takes the other one, just within the minute.
    world.faults(&serde_json::json!([]));
    until("the second to arrive", async || {
        (world.received().len() == 2).then_some(())
    })
    .await;
    assert_eq!(world.send(&run).await, Ended::Finished);
    let received = world.received();
    assert!(received.values().all(|n| *n == 1), "{received:?}");
    assert_eq!(states().await, [DeliveryState::Sent; 2]);
}
