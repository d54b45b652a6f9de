//! What both benches need: memory and time as the operating system sees them.

use std::time::Duration;

/// The largest resident size of this process so far, in MB; `None` where `/proc` is not there.
pub(crate) fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
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

/// Things per second.
pub(crate) fn per_second(count: u32, took: Duration) -> f64 {
    f64::from(count) / took.as_secs_f64()
}
