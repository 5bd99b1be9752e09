//! What the kernel says about a process: processor time and resident memory.

use std::fs;

use anyhow::{Context as _, Result};

/// The unit of the times in `/proc/PID/stat`; fixed in the interface of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds, user and system, that all threads of a process have used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read the process times")?;
    parse_cpu_seconds(&stat).context("the process times have an unknown form")
}

/// Bytes of resident memory.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the memory")?;
    parse_kib(&status, "VmRSS:").context("the process has no resident memory")
}

/// The most bytes of memory that were resident at once.
pub fn peak_resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read the memory")?;
    parse_kib(&status, "VmHWM:").context("the process has no resident memory")
}

/// Forgets the peak so far: from now on it is that of what follows.
pub fn reset_peak(pid: u32) -> Result<()> {
    // 5: "Reset the peak resident set size" (Linux, `proc_pid_clear_refs`).
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("reset the peak of memory")
}

/// Processor seconds of this process.
pub fn own_cpu_seconds() -> Result<f64> {
    cpu_seconds(std::process::id())
}

fn parse_cpu_seconds(stat: &str) -> Option<f64> {
    // The name may hold spaces and brackets; the fields start after its last bracket.
    let fields = stat.rsplit_once(')')?.1;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

fn parse_kib(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times_behind_a_name_with_brackets() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(parse_cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn reads_resident_memory_in_bytes() {
        assert_eq!(parse_kib("Name:\tx\nVmRSS:\t    20 kB\n", "VmRSS:"), Some(20 * 1024));
        assert_eq!(parse_kib("Name:\tx\n", "VmRSS:"), None);
    }

    #[test]
    fn knows_its_own_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }
}
