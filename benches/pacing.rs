//! How well a rate is kept, and how soon after its due moment a message is on the wire:
//! `cargo bench --bench pacing [-- PER_SECOND SECONDS]`.
//!
//! The program and the sandbox are processes of their own; what counts is when the sandbox had the
//! whole request, to the millisecond. Due are the slots of an even pace from the first message on.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints what it measured, and stops when it cannot measure"
)]

mod support;

use support::project;
use support::sandbox::SandboxProcess;

/// What may leave at once after a stall; with less, time that is lost once is lost for good.
const BURST: u32 = 10;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let rate: u32 = numbers.next().unwrap_or(200);
    let seconds: u32 = numbers.next().unwrap_or(60);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let arrivals = runtime.block_on(arrivals(rate, rate * seconds + 1));
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else {
        return;
    };
    #[expect(clippy::cast_precision_loss, reason = "a minute in milliseconds")]
    let took = (last - first) as f64 / 1e3;
    let off = (took / f64::from(seconds) - 1.0) * 100.0;
    println!(
        "{} messages at {rate}/s: {took:.3} s instead of {seconds}, {off:+.3} %",
        arrivals.len()
    );
    println!(
        "most in any second: {} (the limit allows {})",
        support::most_in_a_window(&arrivals),
        rate + BURST
    );
    let mut late: Vec<i64> = arrivals
        .iter()
        .zip(0i64..)
        .map(|(at, n)| at - first - n * 1_000 / i64::from(rate))
        .collect();
    late.sort_unstable();
    let of = |share: usize| late.get(late.len() * share / 1_000).unwrap();
    println!(
        "on the wire after its due moment: p50 {} ms, p99 {} ms, p99.9 {} ms, most {} ms",
        of(500),
        of(990),
        of(999),
        late.last().unwrap()
    );
}

/// When each message arrived, in milliseconds, in order.
async fn arrivals(rate: u32, people: u32) -> Vec<i64> {
    let sandbox = SandboxProcess::start();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let pace = format!("pace: {{ rate: {rate}/s, burst: {BURST}, concurrency: 32 }}");
    project::write(folder.path(), people, &pace);
    project::settings(folder.path(), &sandbox, "");
    let args = ["run", "campaign.yaml", "--yes"];
    let ended = project::sendoff(folder.path(), &sandbox, &args).status();
    assert!(ended.unwrap().success());
    let arrivals = sandbox.arrivals().await;
    assert_eq!(arrivals.len(), usize::try_from(people).unwrap());
    arrivals
}
