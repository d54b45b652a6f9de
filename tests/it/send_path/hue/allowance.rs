//! The requests that an account of HueChat has: used up, and never more.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};
use sendoff::domain::account::Plan;
use sendoff::engine::dispatch::Ended;
use sendoff::sandbox::{HueConfig, HuePlan, HueWindow};

use super::world::{World, template};
use crate::support::{On, Watch, until};

/// The last request may be late by this on a machine that does nothing else.
const LAST_LATE: SignedDuration = SignedDuration::from_millis(100);

#[expect(clippy::print_stderr, reason = "figures for people")]
pub(in crate::send_path) async fn the_plan_is_used_up_to_more_than_97_of_100_and_never_refused(
    on: On,
) {
    const PER_MINUTE: u32 = 600;
    let plan = Plan {
        per_minute: NonZeroU32::new(PER_MINUTE),
        per_day: None,
    };
    let huechat = HueConfig {
        plan: HuePlan::Own {
            per_minute: PER_MINUTE,
            per_day: 1_000_000,
        },
        window: HueWindow::Off,
        ..HueConfig::default()
    };
    let mut world = World::new(on, plan, huechat).await;
    world.hurry = SignedDuration::ZERO;
    let run = world.freeze("order@once", 150, template).await;
    let watch = Watch::start();
    let first = until("the first request", async || {
        let begun = tokio::time::Instant::now();
        (!world.sandbox.hue_report().requests.is_empty()).then_some(begun)
    });
    let (ended, begun) = tokio::join!(world.send(&run), first);
    assert_eq!(ended, Ended::Finished);
    // What the machine gave to others meanwhile, the plan cannot get back.
    let spared = (watch.late(LAST_LATE) + watch.lost()).as_secs_f64();
    let took = begun.elapsed().as_secs_f64() - spared;
    let report = world.sandbox.hue_report();
    let requests: usize = report.requests.values().sum();
    let share =
        f64::from(u32::try_from(requests - 1).unwrap()) / took * 60.0 / f64::from(PER_MINUTE);
    eprintln!("{requests} requests in {took:.1} s: {share:.3} of the plan");
    assert_eq!(report.refusals.get("rate_limited"), None);
    assert!(share > 0.97, "{share}");
}

pub(in crate::send_path) async fn the_days_requests_end_at_their_number_and_go_on_at_midnight(
    on: On,
) {
    let plan = Plan {
        per_minute: None,
        per_day: NonZeroU32::new(50),
    };
    let huechat = HueConfig {
        plan: HuePlan::Own {
            per_minute: 1_000_000,
            per_day: 50,
        },
        window: HueWindow::Off,
        ..HueConfig::default()
    };
    let mut world = World::new(on, plan, huechat).await;
    // On a slow machine nothing that was counted is to go back, or out again.
    world.hurry = SignedDuration::ZERO;
    world.timeout = SignedDuration::from_secs(10);
    let run = world.freeze("order@once", 40, template).await;
    let first = world.process(&run, "first".to_owned()).end().await;
    let Ended::Idle { next_at } = first else {
        panic!("{first:?}");
    };
    let midnight: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
    // It is asked for a little ahead of the slot, which is after midnight.
    assert!(
        next_at >= midnight - SignedDuration::from_secs(1),
        "{next_at}"
    );
    let today = world.received().len();
    assert!((5..=25).contains(&today), "{today}");
    assert_eq!(world.send(&run).await, Ended::Finished);
    assert_eq!(world.received().len(), 40);
    assert_eq!(
        world.sandbox.hue_report().refusals.get("rate_limited"),
        None
    );
}
