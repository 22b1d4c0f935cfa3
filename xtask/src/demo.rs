//! `cargo xtask demo`: from nothing to online answers and training rows, with the commands that anyone would type.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use forebay_testbed::checkout;

use crate::http;
use crate::shell::{self, Error};

const FEATURES: &str = "examples/real-estate/features.yaml";
/// Tells a folder that a demo made, and that the next one may replace, from everything else.
const MARK: &str = "made-by-cargo-xtask-demo";

/// What the demo was asked for.
#[derive(Debug)]
pub struct Options {
    pub listen: SocketAddr,
    pub data_dir: Option<PathBuf>,
    pub release: bool,
    pub stop: bool,
}

/// Builds, loads and shows. Leaves the server running unless it is to be stopped or something fails.
pub fn run(options: &Options) -> Result<(), Error> {
    let data_dir = options.data_dir.clone().unwrap_or_else(|| shell::target().join("demo"));
    let programs = build(options.release)?;
    prepare(&data_dir, options.listen)?;

    heading("The data: house sales, made into a Delta table with history, a clickstream and labels");
    step(
        Command::new(&programs.generator)
            .arg("--lake")
            .arg(data_dir.join("lake"))
            .arg("--events")
            .arg(data_dir.join("events")),
    )?;

    let (server, started) = start(&programs.forebay, &data_dir, options.listen)?;
    let mut server = Stopped::on_failure(server);
    let url = format!("http://{}", options.listen);
    println!("\n{url} is ready after {} ms", started.as_millis());
    tour(&programs.forebay, &data_dir, &url)?;

    if options.stop {
        return Ok(());
    }
    let id = server.keep();
    println!();
    println!(
        "Forebay is running at {url} (documentation: {url}/docs), data in {}",
        data_dir.display()
    );
    println!("Stop it with: kill {id}");
    Ok(())
}

fn tour(forebay: &Path, data_dir: &Path, url: &str) -> Result<(), Error> {
    let client = |words: &[&str]| {
        let mut command = Command::new(forebay);
        command.args(words).env("FOREBAY_URL", url).current_dir(checkout());
        step(&mut command)
    };
    let events = |name: &str| data_dir.join("events").join(name).display().to_string();

    heading("Register: domains, entities, a source, groups and a view; the order of work follows from the SQL");
    client(&["apply", FEATURES])?;

    heading("Push rows: who the visitors are, and what they clicked");
    client(&[
        "ingest",
        "visitor.profile",
        &events("profiles.ndjson"),
        "--wait",
        "online,offline",
    ])?;
    client(&[
        "ingest",
        "visitor.click",
        &events("clicks.ndjson"),
        "--wait",
        "online,offline",
    ])?;

    heading("Compute: registering was all it took; what depends on the listings was computed level by level");
    finished(forebay, url)?;
    client(&["runs"])?;

    heading("Compute on request: what waits for its hour, and all that depends on it");
    client(&["run", "product.interest", "market.price", "--downstream"])?;
    online(forebay, url)?;

    heading("Online: the answer now");
    client(&[
        "online",
        "product.value.sale_price",
        "product.yield.gross_yield",
        "product.interest.views_7d",
        "--entity",
        "product_id=1,2,999999",
    ])?;
    client(&[
        "online",
        "--view",
        "fair_price",
        "--entity",
        "product_id=1,2",
        "--entity",
        "buyer_id=v0001",
        "--request",
        "asked_price=220000,110000",
    ])?;

    heading(
        "Point in time: what was known at each sale, for training; the price paid is the label, and no feature knows it",
    );
    client(&[
        "history",
        "--view",
        "fair_price",
        "--spine",
        "labels",
        "--event-time",
        "sold_at",
        "--limit",
        "5",
    ])
}

/// Waits until the runs that the changes have started are finished.
fn finished(forebay: &Path, url: &str) -> Result<(), Error> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(120) {
        let mut runs = Command::new(forebay);
        let output = runs.args(["runs", "--output", "json"]).env("FOREBAY_URL", url).output();
        let output = output.map_err(|source| shell::not_started(&runs, source))?;
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let runs = listed
            .get("items")
            .unwrap_or(&listed)
            .as_array()
            .cloned()
            .unwrap_or_default();
        let is_under_way = |run: &serde_json::Value| matches!(run["state"].as_str(), Some("queued" | "running"));
        if !runs.is_empty() && !runs.iter().any(is_under_way) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Err(Error::Other(
        "the runs that the definitions started do not finish".into(),
    ))
}

/// Waits until what the last run has committed to its table is online too, which takes the follower a moment.
fn online(forebay: &Path, url: &str) -> Result<(), Error> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        let mut ask = Command::new(forebay);
        ask.args([
            "online",
            "product.bargain.score",
            "--entity",
            "product_id=1",
            "--output",
            "json",
        ]);
        let output = ask.env("FOREBAY_URL", url).output();
        let output = output.map_err(|source| shell::not_started(&ask, source))?;
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if answer["results"][1]["statuses"][0] == "PRESENT" {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::Other("the run's rows do not come online".into()))
}

struct Programs {
    forebay: PathBuf,
    generator: PathBuf,
}

fn build(release: bool) -> Result<Programs, Error> {
    heading("Build");
    let mut build = shell::cargo();
    // The whole workspace's choice of features, so that the tests use what is built here and the other way round.
    build.args([
        "build",
        "--locked",
        "--workspace",
        "--bin",
        "forebay",
        "--bin",
        "real-estate-data",
    ]);
    if release {
        build.arg("--release");
    }
    step(&mut build)?;
    let folder = shell::target().join(if release { "release" } else { "debug" });
    Ok(Programs {
        forebay: folder.join("forebay"),
        generator: folder.join("real-estate-data"),
    })
}

/// An empty data folder, and a port that nobody holds.
fn prepare(data_dir: &Path, listen: SocketAddr) -> Result<(), Error> {
    if let Err(error) = std::net::TcpListener::bind(listen) {
        return Err(Error::Other(format!(
            "{listen} cannot be listened on ({error}): stop the server of an earlier demo, or choose --listen 127.0.0.1:7171"
        )));
    }
    if data_dir.exists() {
        if !data_dir.join(MARK).exists() {
            return Err(Error::Other(format!(
                "{} was not made by a demo: choose another --data-dir",
                data_dir.display()
            )));
        }
        std::fs::remove_dir_all(data_dir).map_err(Error::file(data_dir))?;
    }
    std::fs::create_dir_all(data_dir).map_err(Error::file(data_dir))?;
    File::create(data_dir.join(MARK))
        .map(drop)
        .map_err(Error::file(data_dir))
}

/// Starts the server and waits until it is ready. Returns how long that took.
fn start(forebay: &Path, data_dir: &Path, listen: SocketAddr) -> Result<(Child, Duration), Error> {
    heading("Start: all services in one process");
    let log = data_dir.join("server.log");
    let output = File::create(&log).map_err(Error::file(&log))?;
    let errors = output.try_clone().map_err(Error::file(&log))?;
    let mut command = Command::new(forebay);
    command
        .arg("serve")
        .arg("--data-dir")
        .arg(data_dir)
        .args(["--listen", &listen.to_string()]);
    println!("$ {} > {} &", shell::shown(&command), log.display());
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    // Of a process group of its own, so that Ctrl-C in the terminal does not end it.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let begin = Instant::now();
    let mut child = command.spawn().map_err(|source| shell::not_started(&command, source))?;
    while begin.elapsed() < Duration::from_secs(30) {
        if http::answers_ok(listen, "/readyz") {
            return Ok((child, begin.elapsed()));
        }
        if child.try_wait().is_ok_and(|ended| ended.is_some()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    Err(Error::Other(format!(
        "the server does not get ready; it said:\n{}",
        std::fs::read_to_string(&log).unwrap_or_default()
    )))
}

/// Ends the server unless it is kept.
struct Stopped(Option<Child>);

impl Stopped {
    fn on_failure(child: Child) -> Self {
        Stopped(Some(child))
    }

    fn keep(&mut self) -> u32 {
        self.0.take().map_or(0, |child| child.id())
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let asked = Command::new("kill").arg(child.id().to_string()).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
    }
}

fn heading(text: &str) {
    println!("\n== {text}");
}

fn step(command: &mut Command) -> Result<(), Error> {
    println!("$ {}", shell::shown(command));
    shell::run(command)
}
