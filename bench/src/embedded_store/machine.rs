use std::{fs, path::Path};

/// The processor, its cores and the memory of this machine, in one line.
#[must_use]
pub fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_once(':')
                    .map(|(_, value)| value.trim().to_owned())
            })
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, {cores} cores, memory {}",
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal")
    )
}

/// The most memory that this process has had, in MiB, pages of mapped files among it.
pub(super) fn peak_memory_mib() -> u64 {
    status_kib("VmHWM") / 1024
}

/// The memory of its own that this process has, in MiB, pages of mapped files left out.
pub(super) fn anonymous_memory_mib() -> u64 {
    status_kib("RssAnon") / 1024
}

fn status_kib(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.strip_prefix(name)?
                .trim_start_matches(':')
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// What a directory takes on disk, in MiB: blocks, not lengths, for files may be sparse.
pub(super) fn disk_mib(directory: &Path) -> u64 {
    fn bytes(directory: &Path) -> u64 {
        use std::os::unix::fs::MetadataExt;
        fs::read_dir(directory).map_or(0, |entries| {
            entries
                .filter_map(Result::ok)
                .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
                .map(|(path, data)| {
                    if data.is_dir() {
                        bytes(&path)
                    } else {
                        data.blocks() * 512
                    }
                })
                .sum()
        })
    }
    bytes(directory) >> 20
}
