//! The suite in Kubernetes: `cargo xtask cluster`.

use std::path::PathBuf;

use crate::images;
use crate::shell::{self, Error};

/// Names a folder with images that are there already.
const IMAGES: &str = "FOREBAY_IMAGES";

/// Builds the images unless `FOREBAY_IMAGES` names their folder, and runs all parts or these on a cluster of its own.
pub fn run(only: &[String], keep: bool) -> Result<(), Error> {
    let images = match std::env::var_os(IMAGES) {
        Some(folder) => PathBuf::from(folder),
        None => images::build(&images::Options {
            services: Vec::new(),
            tag: images::VERSION.to_owned(),
            folder: None,
        })?,
    };
    let mut test = shell::cargo();
    test.args(["test", "--locked", "--package", "forebay-e2e", "--test", "end_to_end"])
        .args(["cluster::cluster", "--", "--ignored", "--nocapture", "--exact"])
        .env(IMAGES, images)
        .env("FOREBAY_CLUSTER", only.join(","));
    if keep {
        test.env("FOREBAY_CLUSTER_KEEP", "yes");
    }
    shell::run(&mut test)
}
