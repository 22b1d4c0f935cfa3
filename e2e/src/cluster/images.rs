//! The images that the node gets: archives in the folder that `FOREBAY_IMAGES` names, one for each service and `forebay.tar`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::release::SERVICES;
use super::{NEXT, TAG, VERSION, World};

/// What online serving's image may weigh, in bytes as a registry keeps and sends it.
const ONLINE_SERVING_BYTES: u64 = 40_000_000;

/// Loads all of them, each under several tags, and notes their sizes.
pub(super) async fn load(world: &mut World) {
    let Some(folder) = std::env::var_os("FOREBAY_IMAGES").map(PathBuf::from) else {
        panic!("FOREBAY_IMAGES names the folder with the images' archives; `cargo xtask cluster` sets it");
    };
    for name in SERVICES.into_iter().chain(["forebay"]) {
        let archive = folder.join(format!("{name}.tar"));
        let weighed = archive.clone();
        let cluster = world.cluster.clone();
        let step = format!("image forebay/{name} is loaded");
        let begin = Instant::now();
        world
            .report
            .step(&step, async {
                let work = tokio::task::spawn_blocking(move || {
                    cluster.import(&archive)?;
                    [NEXT, VERSION]
                        .into_iter()
                        .try_for_each(|tag| cluster.tag(&format!("forebay/{name}:{TAG}"), tag))
                });
                work.await.expect("no panic").unwrap_or_else(|error| panic!("{error}"));
            })
            .await;
        let took = begin.elapsed();
        let sizes = tokio::task::spawn_blocking(move || sizes(&weighed));
        let (unpacked, compressed) = sizes.await.expect("no panic");
        let told = format!(
            "{:.1} MB compressed, {:.1} MB unpacked, loaded in {:.1} s",
            compressed as f64 / 1e6,
            unpacked as f64 / 1e6,
            took.as_secs_f64()
        );
        world.report.figure(&format!("image forebay/{name}"), told);
        if name == "online-serving" {
            let step = "online serving's image has at most 40 MB";
            let small = async { assert!(compressed <= ONLINE_SERVING_BYTES, "{compressed} bytes") };
            world.report.step(step, small).await;
        }
    }
}

/// The bytes of an archive, and how many they are compressed by gzip.
fn sizes(archive: &Path) -> (u64, u64) {
    let unpacked = std::fs::metadata(archive).map_or(0, |file| file.len());
    let mut gzip = Command::new("gzip");
    gzip.args(["--stdout", "--no-name"]).arg(archive).stdout(Stdio::piped());
    let mut child = gzip.spawn().expect("gzip runs");
    let mut stream = child.stdout.take().expect("its output");
    let compressed = std::io::copy(&mut stream, &mut std::io::sink()).expect("its output");
    child.wait().expect("gzip ends");
    (unpacked, compressed)
}
