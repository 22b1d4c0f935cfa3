//! Progress bars on standard error, for people who watch.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

const COUNT: &str = "{spinner} {msg} [{bar:30}] {pos}/{len}";
const BYTES: &str = "{spinner} {msg} [{bar:30}] {bytes}/{total_bytes} ({bytes_per_sec})";
const FLOW: &str = "{spinner} {msg} {bytes} ({bytes_per_sec})";

/// A bar of so many things.
pub fn count(output: Output, total: u64) -> ProgressBar {
    bar(output, Some(total), COUNT)
}

/// A bar of bytes; without a total, only their number and rate.
pub fn bytes(output: Output, total: Option<u64>) -> ProgressBar {
    bar(output, total, if total.is_some() { BYTES } else { FLOW })
}

fn bar(output: Output, total: Option<u64>, template: &str) -> ProgressBar {
    let target = if output.shows_progress() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(total, target);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("█▉ "));
    }
    bar
}
