//! Measures the candidates for the embedded store; see `forebay_bench::embedded_store`.
//!
//! `embedded-store [--directory D] [--seconds N] [--keys N] [candidate …]` runs every phase of the candidates, each phase in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use forebay_bench::embedded_store::{CANDIDATES, Error, Workload, load, machine, mix, reopen, write_until_killed};
use rand::Rng;

/// How often each candidate is killed while it merges.
const KILLS: u64 = 5;

struct Arguments {
    phase: Option<String>,
    directory: Option<PathBuf>,
    seconds: u64,
    acknowledged: u64,
    workload: Workload,
    candidates: Vec<String>,
}

fn arguments() -> Result<Arguments, Error> {
    let mut parsed = Arguments {
        phase: None,
        directory: None,
        seconds: 10,
        acknowledged: 0,
        workload: Workload::default(),
        candidates: Vec::new(),
    };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--phase" => parsed.phase = Some(value()?),
            "--directory" => parsed.directory = Some(value()?.into()),
            "--seconds" => parsed.seconds = value()?.parse()?,
            "--keys" => parsed.workload.keys = value()?.parse()?,
            "--acknowledged" => parsed.acknowledged = value()?.parse()?,
            candidate => parsed.candidates.push(candidate.to_owned()),
        }
    }
    if parsed.candidates.is_empty() {
        parsed.candidates = CANDIDATES.iter().map(|&name| name.to_owned()).collect();
    }
    Ok(parsed)
}

fn main() -> Result<(), Error> {
    let arguments = arguments()?;
    match (&arguments.phase, &arguments.directory) {
        (Some(phase), Some(directory)) => run_phase(phase, directory, &arguments),
        _ => run_all(&arguments),
    }
}

fn run_phase(phase: &str, directory: &Path, arguments: &Arguments) -> Result<(), Error> {
    let (candidate, workload) = (&arguments.candidates[0], &arguments.workload);
    let report = match phase {
        "load" => load(candidate, directory, workload)?,
        "mix" => mix(candidate, directory, workload, arguments.seconds)?,
        "write" => return write_until_killed(candidate, directory, workload),
        "reopen" => reopen(candidate, directory, workload, arguments.acknowledged)?,
        other => return Err(format!("unknown phase {other}").into()),
    };
    println!("{report}");
    Ok(())
}

fn run_all(arguments: &Arguments) -> Result<(), Error> {
    println!("{}", machine());
    println!("{:?}, {} s", arguments.workload, arguments.seconds);
    for candidate in &arguments.candidates {
        let directory = match &arguments.directory {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        for phase in ["load", "mix"] {
            let mut child = command(phase, candidate, directory.path(), arguments)?;
            let output = child.stderr(Stdio::inherit()).output()?;
            println!(
                "{candidate} {phase}: {}",
                String::from_utf8_lossy(&output.stdout).trim()
            );
        }
        for kill in 0..KILLS {
            let acknowledged = kill_while_writing(candidate, directory.path(), arguments, kill)?;
            let mut child = command("reopen", candidate, directory.path(), arguments)?;
            child.args(["--acknowledged", &acknowledged.to_string()]);
            let output = child.stderr(Stdio::inherit()).output()?;
            println!("{candidate} reopen: {}", String::from_utf8_lossy(&output.stdout).trim());
        }
    }
    Ok(())
}

fn command(phase: &str, candidate: &str, directory: &Path, arguments: &Arguments) -> Result<Command, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--phase", phase, "--seconds", &arguments.seconds.to_string()]);
    command.args(["--keys", &arguments.workload.keys.to_string()]);
    command.arg("--directory").arg(directory).arg(candidate);
    Ok(command)
}

/// Starts a writer, kills it at a random moment after its third merge, and returns the last position it acknowledged.
fn kill_while_writing(candidate: &str, directory: &Path, arguments: &Arguments, kill: u64) -> Result<u64, Error> {
    let mut child = command("write", candidate, directory, arguments)?
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let lines = std::thread::spawn(move || {
        let positions = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.parse::<u64>().ok());
        positions.last().unwrap_or(0)
    });
    let wait = arguments.workload.random(1000 + kill).random_range(1500..3500);
    std::thread::sleep(Duration::from_millis(wait));
    child.kill()?;
    child.wait()?;
    Ok(lines.join().map_err(|_| "the reader of positions panicked")?)
}
