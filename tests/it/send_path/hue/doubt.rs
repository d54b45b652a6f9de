//! What got no answer from a provider that knows no keys.

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::campaign::{OnUncertain, Terms};
use sendoff::domain::delivery::DeliveryState;
use sendoff::engine::dispatch::Ended;

use super::world::{World, template};
use crate::support::On;

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
