//! What the kernel and the runtimes know of this process. Written as text, since the registry's counters hold whole numbers only.

use std::fmt::Write;

use tokio::runtime::RuntimeMetrics;

use super::METRICS;

/// Clock ticks in a second, as `/proc` counts processor time on every Linux that Rust supports.
const TICKS: f64 = 100.0;

/// Appends the usual `process_` metrics; what cannot be read is left out.
pub(super) fn of_process(text: &mut String) {
    let read = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
    if let Some((cpu, started)) = cpu_and_start(&read("/proc/self/stat")) {
        sample(text, "process_cpu_seconds_total", &[("", cpu)]);
        if let Some(boot) = after(&read("/proc/stat"), "btime") {
            sample(text, "process_start_time_seconds", &[("", boot + started)]);
        }
    }
    let status = read("/proc/self/status");
    for (name, field, unit) in [
        ("process_resident_memory_bytes", "VmRSS:", 1024.0),
        ("process_virtual_memory_bytes", "VmSize:", 1024.0),
        ("process_threads", "Threads:", 1.0),
    ] {
        if let Some(value) = after(&status, field) {
            sample(text, name, &[("", value * unit)]);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        sample(text, "process_open_fds", &[("", open.count().saturating_sub(1) as f64)]);
    }
    if let Some(most) = after(&read("/proc/self/limits"), "Max open files") {
        sample(text, "process_max_fds", &[("", most)]);
    }
}

/// Appends what runtimes tell of their threads, each with its name.
pub(super) fn of_runtimes(text: &mut String, runtimes: &[(&str, RuntimeMetrics)]) {
    let busy = |metrics: &RuntimeMetrics| -> f64 {
        let workers = 0..metrics.num_workers();
        workers
            .map(|worker| metrics.worker_total_busy_duration(worker).as_secs_f64())
            .sum()
    };
    let labelled = |of: &dyn Fn(&RuntimeMetrics) -> f64| -> Vec<(String, f64)> {
        let samples = runtimes.iter();
        samples
            .map(|(name, metrics)| (format!("{{runtime=\"{name}\"}}"), of(metrics)))
            .collect()
    };
    for (name, samples) in [
        ("forebay_runtime_busy_seconds_total", labelled(&busy)),
        (
            "forebay_runtime_threads",
            labelled(&|metrics| metrics.num_workers() as f64),
        ),
    ] {
        let samples: Vec<(&str, f64)> = samples
            .iter()
            .map(|(labels, value)| (labels.as_str(), *value))
            .collect();
        sample(text, name, &samples);
    }
}

/// Appends one metric with its description.
fn sample(text: &mut String, name: &str, samples: &[(&str, f64)]) {
    let Some(metric) = METRICS.iter().find(|metric| metric.name == name) else {
        return;
    };
    // Writing into a string does not fail.
    let _ = writeln!(
        text,
        "# HELP {name} {}\n# TYPE {name} {}",
        metric.help,
        metric.kind.as_str()
    );
    for (labels, value) in samples {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
    text.push('\n');
}

/// Processor time, and the time from the machine's start to the process's, in seconds. The name in parentheses may hold anything.
fn cpu_and_start(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first of these is the third of proc_pid_stat(5).
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(((field(14)? + field(15)?) / TICKS, field(22)? / TICKS))
}

/// The number that follows this at the beginning of a line.
fn after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_tells() {
        let stat = "42 (a ) name) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 9 0 777 4096000 100 18446744073709551615";
        assert_eq!(cpu_and_start(stat), Some((3.0, 7.77)));
        assert_eq!(after("cpu 1 2\nbtime 1700000000\n", "btime"), Some(1_700_000_000.0));
        let limits = "Limit  Soft Limit\nMax open files            1024                 4096                 files\n";
        assert_eq!(after(limits, "Max open files"), Some(1024.0));
        assert_eq!(after("VmRSS:\t  2048 kB\n", "VmRSS:"), Some(2048.0));
    }

    #[test]
    fn a_metric_stands_with_its_description() {
        let mut text = String::new();
        of_process(&mut text);
        assert!(
            text.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "),
            "{text}"
        );
        assert!(
            text.contains("# TYPE process_open_fds gauge\nprocess_open_fds "),
            "{text}"
        );
    }
}
