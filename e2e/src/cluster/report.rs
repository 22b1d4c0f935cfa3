//! Steps that pass or fail, and figures.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::FutureExt;

/// What was done and seen so far.
#[derive(Debug)]
pub(super) struct Report {
    start: Instant,
    steps: Vec<(String, Duration, Result<(), String>)>,
    figures: Vec<(String, String)>,
    untested: Vec<(String, String)>,
}

impl Report {
    pub fn new() -> Report {
        Report {
            start: Instant::now(),
            steps: Vec::new(),
            figures: Vec::new(),
            untested: Vec::new(),
        }
    }

    /// Does one step. A panic fails it, not the whole. Returns what it gave unless it failed.
    pub async fn step<T>(&mut self, name: &str, work: impl Future<Output = T>) -> Option<T> {
        eprintln!("[{:>4} s] {name}", self.start.elapsed().as_secs());
        let begin = Instant::now();
        let done = AssertUnwindSafe(work).catch_unwind().await;
        let (value, result) = match done {
            Ok(value) => (Some(value), Ok(())),
            Err(panic) => (None, Err(said(&*panic))),
        };
        self.note_step(name, begin.elapsed(), result);
        value
    }

    /// Notes a step that was done elsewhere.
    pub fn note_step(&mut self, name: &str, took: Duration, result: Result<(), String>) {
        match &result {
            Ok(()) => eprintln!("    passed {name} in {:.1} s", took.as_secs_f64()),
            Err(why) => eprintln!("    FAILED {name}: {why}"),
        }
        self.steps.push((name.to_owned(), took, result));
    }

    pub fn figure(&mut self, what: &str, seen: impl Display) {
        eprintln!("    {what}: {seen}");
        self.figures.push((what.to_owned(), seen.to_string()));
    }

    /// What this run cannot show, and why.
    pub fn untested(&mut self, what: &str, why: &str) {
        self.untested.push((what.to_owned(), why.to_owned()));
    }

    pub fn failed(&self) -> usize {
        self.steps.iter().filter(|(_, _, result)| result.is_err()).count()
    }

    /// Prints all of it, the counts last.
    pub fn print(&self) {
        println!("\n== figures");
        print_pairs(self.figures.iter());
        println!("\n== not tested here");
        print_pairs(self.untested.iter());
        println!("\n== steps");
        for (name, took, result) in &self.steps {
            let mark = if result.is_ok() { "passed" } else { "FAILED" };
            println!("{mark}  {:>6.1} s  {name}", took.as_secs_f64());
            if let Err(why) = result {
                for line in why.lines().take(3) {
                    println!("        {line}");
                }
            }
        }
        let failed = self.failed();
        println!(
            "\n{} steps passed, {failed} failed, in {} s",
            self.steps.len() - failed,
            self.start.elapsed().as_secs()
        );
    }
}

fn print_pairs<'a>(pairs: impl Iterator<Item = &'a (String, String)> + Clone) {
    let width = pairs.clone().map(|(what, _)| what.len()).max().unwrap_or(0);
    for (what, seen) in pairs {
        println!("{what:width$}  {seen}");
    }
}

/// The words of a panic.
pub(super) fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}
