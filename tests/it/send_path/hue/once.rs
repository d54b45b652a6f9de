//! Whom a run writes to over HueChat, and at what cost: known and new people, free text and
//! templates.

use jiff::SignedDuration;
use sendoff::domain::campaign::Terms;
use sendoff::domain::channel::Channel;
use sendoff::domain::delivery::{DeliveryState, SkipReason};
use sendoff::engine::clock::Clock as _;
use sendoff::engine::dispatch::Ended;
use sendoff::sandbox::HueIncoming;

use super::world::{World, person, template, words};
use crate::support::On;

pub(in crate::send_path) async fn a_new_person_costs_two_requests_and_a_known_one_costs_one(
    on: On,
) {
    let world = World::unlimited(on).await;
    let run = world.freeze("first@once", 30, template).await;
    let of_messages = |world: &World| {
        let report = world.sandbox.hue_report();
        let asked = |route: &str| {
            let routes = report.requests.iter();
            routes
                .filter(|(name, _)| name.ends_with(route))
                .map(|(_, n)| *n)
                .sum::<usize>()
        };
        (asked("POST /v2/contact"), asked("/message"))
    };
    assert_eq!(world.send(&run).await, Ended::Finished);
    assert_eq!(of_messages(&world), (30, 30));
    let again = world.freeze("second@once", 30, template).await;
    assert_eq!(world.send(&again).await, Ended::Finished);
    assert_eq!(of_messages(&world), (30, 60), "they are known by now");
    assert!(world.received().values().all(|n| *n == 2));
}

/// The first person writes.
fn is_asked_over(world: &World, channel: Channel) {
    let wrote = HueIncoming {
        channel,
        from: person(0).expose().to_owned(),
        text: "Is it ready?".to_owned(),
        account: None,
    };
    world.sandbox.hue_receive(&wrote).unwrap();
}

pub(in crate::send_path) async fn free_text_goes_only_to_people_who_have_written_within_a_day(
    on: On,
) {
    let world = World::unlimited(on).await;
    let hello = world.freeze("hello@once", 2, template).await;
    assert_eq!(world.send(&hello).await, Ended::Finished);
    is_asked_over(&world, Channel::Whatsapp);
    let words_of = async |name: &str| {
        let run = world.freeze(name, 2, words).await;
        assert_eq!(world.send(&run).await, Ended::Finished);
        let all = world.deliveries(&run).await;
        all.iter()
            .map(|one| (one.state, one.reason))
            .collect::<Vec<_>>()
    };
    let closed = (DeliveryState::Skipped, Some(SkipReason::WindowClosed));
    assert_eq!(
        words_of("now@once").await,
        [(DeliveryState::Sent, None), closed]
    );
    let day = SignedDuration::from_hours(24);
    world.clock.forward_to(world.clock.now() + day);
    assert_eq!(words_of("later@once").await, [closed, closed]);
}

pub(in crate::send_path) async fn by_instagram_only_those_are_answered_who_have_written(on: On) {
    let world = World::unlimited(on).await;
    let hello = world.freeze("hello@once", 3, template).await;
    assert_eq!(world.send(&hello).await, Ended::Finished);
    is_asked_over(&world, Channel::Instagram);
    let terms = Terms {
        channel: Some(Channel::Instagram),
        ..Terms::default()
    };
    let run = world.freeze_as("answer@once", 3, words, terms).await;
    assert_eq!(world.send(&run).await, Ended::Finished);
    let states = world.deliveries(&run).await.into_iter();
    let closed = (DeliveryState::Skipped, Some(SkipReason::WindowClosed));
    assert_eq!(
        states
            .map(|one| (one.state, one.reason))
            .collect::<Vec<_>>(),
        [(DeliveryState::Sent, None), closed, closed]
    );
    let sent = world.sandbox.hue_messages();
    let by_instagram: Vec<_> = sent
        .iter()
        .filter(|one| one.channel == "instagram")
        .collect();
    let [answer] = &*by_instagram else {
        panic!("{sent:?}");
    };
    assert_eq!(answer.phone.as_deref(), Some(person(0).expose()));
}

pub(in crate::send_path) async fn a_template_fault_stops_the_run_before_a_second_person_meets_it(
    on: On,
) {
    let world = World::unlimited(on).await;
    world.faults(&serde_json::json!([
        { "kind": "error", "status": 422, "error": "template_not_approved", "share": 1.0,
          "match": { "route": "hue_send" } },
    ]));
    let terms = Terms::default();
    let run = world.freeze_as("order@once", 40, template, terms).await;
    let ended = world.process(&run, "only".to_owned()).end().await;
    assert!(matches!(ended, Ended::Halted { .. }), "{ended:?}");
    let report = world.sandbox.hue_report();
    let refused = report.refusals.get("template_not_approved").copied();
    assert!((1..=20).contains(&refused.unwrap_or(0)), "{refused:?}");
    assert_eq!(world.received().len(), 0);
}
