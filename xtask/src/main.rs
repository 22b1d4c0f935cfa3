//! The project's own commands: `cargo xtask demo`, `cargo xtask test`, `cargo xtask chaos`, `cargo xtask servers`,
//! `cargo xtask openapi`, `cargo xtask chart`.

mod check;
mod cluster;
mod demo;
mod http;
mod images;
mod openapi;
mod schemas;
mod servers;
mod shell;
mod tools;
mod yaml;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Builds Forebay, starts it with the example loaded, takes a tour and leaves the server running.
    Demo {
        /// Where the server listens.
        #[arg(long, default_value = "127.0.0.1:7070")]
        listen: SocketAddr,
        /// The server's folder, replaced if an earlier demo made it; by default `demo` in the target folder.
        #[arg(long)]
        data_dir: Option<PathBuf>,
        /// Build with optimisation: slower to build, faster from then on.
        #[arg(long)]
        release: bool,
        /// Stop the server after the tour.
        #[arg(long)]
        stop: bool,
    },
    /// Passes every check and every test. Ends with the counts.
    Test {
        /// Only these checks, such as `fmt`, `clippy`, `links`, `deny`, `openapi`, `helm`, `tests`.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Kills and pauses services and their backends under load for about half an hour, and ends with figures.
    Chaos {
        /// Only these parts, such as `kills`, `kafka`, `cassandra`, `s3`, `slow`, `zombies`, `replicas`, `commits`.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Brings up Kubernetes on this machine, installs the chart, runs the scenarios, kills, scales, upgrades and uninstalls under load, and ends with
    /// figures. Takes root, containerd and about half an hour.
    Cluster {
        /// Only these parts, such as `scenarios`, `telemetry`, `kills`, `scaling`, `upgrades`, `validation`, `uninstall`, `evaluation`, `readme`.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Leave the cluster running in the end, with the suite in it, until this is ended.
        #[arg(long)]
        keep: bool,
    },
    /// Builds the images of the Dockerfile with docker buildx or buildah, as archives with their bills of materials.
    Images {
        /// Only this one, such as `registry` or `forebay`; may be repeated.
        #[arg(long = "service")]
        services: Vec<String>,
        /// Their tag; by default the version, which is what the chart pulls.
        #[arg(long, default_value = images::VERSION)]
        tag: String,
        /// Where the archives are put; by default `images` in the target folder.
        #[arg(long)]
        folder: Option<PathBuf>,
    },
    /// Starts Cassandra, Kafka and an S3 server, prints the variables by which tests find them, and runs until it is ended.
    Servers,
    /// Renews the documents under openapi/ from the code.
    Openapi,
    /// Renews the README of charts/forebay from its values.
    Chart,
}

fn chaos(only: &[String]) -> Result<(), shell::Error> {
    shell::run(
        shell::cargo()
            .args(["test", "--locked", "--package", "forebay-e2e", "--test", "end_to_end"])
            .args(["chaos::chaos", "--", "--ignored", "--nocapture", "--exact"])
            .env("FOREBAY_CHAOS", only.join(",")),
    )
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo {
            listen,
            data_dir,
            release,
            stop,
        } => demo::run(&demo::Options {
            listen,
            data_dir,
            release,
            stop,
        }),
        Command::Test { only } => check::run(&only),
        Command::Chaos { only } => chaos(&only),
        Command::Cluster { only, keep } => cluster::run(&only, keep),
        Command::Images { services, tag, folder } => images::run(&images::Options { services, tag, folder }),
        Command::Servers => servers::run(),
        Command::Openapi => openapi::renew(),
        Command::Chart => check::helm::renew(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_testbed::checkout;

    use super::*;

    #[test]
    fn images_have_the_tag_that_the_chart_pulls() {
        let arguments = Arguments::try_parse_from(["cargo xtask", "images"]).expect("no argument is needed");
        let Command::Images { tag, .. } = arguments.command else {
            panic!("{arguments:?}");
        };
        let chart = std::fs::read_to_string(checkout().join("charts/forebay/Chart.yaml")).expect("there");
        let chart = yaml::documents(&chart).expect("YAML");
        assert_eq!(chart[0]["appVersion"], *tag);
    }
}
