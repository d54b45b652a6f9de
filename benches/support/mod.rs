//! What the benches share: memory and time as the operating system sees them, a project with a
//! long list, and the sandbox in a process of its own.
#![allow(dead_code, reason = "no bench uses all of it")]

pub(crate) mod project;
pub(crate) mod sandbox;
pub(crate) mod server;

use std::time::Duration;

/// The largest resident size of this process so far, in MB; `None` where `/proc` is not there.
pub(crate) fn peak_memory_mb() -> Option<f64> {
    peak_memory_mb_of("self")
}

/// The same of any process, by its id.
pub(crate) fn peak_memory_mb_of(process: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// `peak memory 43 MB`, or that it is not known.
pub(crate) fn memory_in_words() -> String {
    peak_memory_mb().map_or_else(
        || "peak memory not known on this system".to_owned(),
        |mb| format!("peak memory {mb:.0} MB"),
    )
}

/// The processor time of this process so far, on all cores; `None` where `/proc` is not there.
/// Counted in hundredths of a second.
pub(crate) fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold blanks: state is field 3, user and system time 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// What one of many cost of a processor, in microseconds, since `before`.
pub(crate) fn each_in_words(count: u32, before: Option<Duration>) -> String {
    match (before, processor_time()) {
        (Some(before), Some(after)) => {
            let each = after.saturating_sub(before).as_secs_f64() * 1e6 / f64::from(count);
            format!("{each:.0} us of processor each")
        }
        _ => "processor time not known on this system".to_owned(),
    }
}

/// Things per second.
pub(crate) fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}

/// The most of these moments, in milliseconds and in order, that lie within any one second.
pub(crate) fn most_in_a_window(arrivals: &[i64]) -> usize {
    let mut from = 0;
    let mut most = 0;
    for (to, at) in arrivals.iter().enumerate() {
        while arrivals.get(from).is_some_and(|first| at - first >= 1_000) {
            from += 1;
        }
        most = most.max(to + 1 - from);
    }
    most
}
