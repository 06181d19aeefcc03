//! What the process uses: memory, files, time. By the names that every exporter of Prometheus gives them.

use std::time::{SystemTime, UNIX_EPOCH};

/// What is known on this system; the rest is left out.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    pub(crate) resident_bytes: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) max_files: Option<u64>,
    pub(crate) cpu_seconds: Option<f64>,
}

/// Reads it. Costs a few system calls, and one more for each hundred open files.
pub(crate) fn usage() -> Usage {
    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()
    });
    Usage {
        resident_bytes: resident.map(|kib| kib << 10),
        // One of them is the listing itself.
        open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| (files.count() as u64).saturating_sub(1)),
        ..of_unix()
    }
}

#[cfg(unix)]
fn of_unix() -> Usage {
    use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
    use nix::sys::time::TimeValLike;
    let cpu = getrusage(UsageWho::RUSAGE_SELF).ok().map(|usage| {
        let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        us as f64 / 1e6
    });
    let files = getrlimit(Resource::RLIMIT_NOFILE).ok();
    Usage { cpu_seconds: cpu, max_files: files.map(|(soft, _)| soft), ..Usage::default() }
}

#[cfg(not(unix))]
fn of_unix() -> Usage {
    Usage::default()
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
