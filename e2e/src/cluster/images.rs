//! The images that the node gets: archives in the folder that `FOREBAY_IMAGES` names, one for each service and `forebay.tar`, whatever their tag.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::Value;

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
                    let image = format!("forebay/{name}:{}", tag_of(&archive));
                    [TAG, NEXT, VERSION]
                        .into_iter()
                        .filter(|tag| !image.ends_with(&format!(":{tag}")))
                        .try_for_each(|tag| cluster.tag(&image, tag))
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

/// The tag of the image in an archive, which has its name in `manifest.json`.
fn tag_of(archive: &Path) -> String {
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--to-stdout", "--file"])
        .arg(archive)
        .arg("manifest.json");
    let manifest = tar.output().expect("tar runs").stdout;
    tag(&manifest).unwrap_or_else(|| panic!("{} names no image", archive.display()))
}

fn tag(manifest: &[u8]) -> Option<String> {
    let manifest: Value = serde_json::from_slice(manifest).ok()?;
    let (_, tag) = manifest[0]["RepoTags"][0].as_str()?.rsplit_once(':')?;
    Some(tag.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_names_its_tag() {
        let manifest = br#"[{"Config": "a.json", "RepoTags": ["example:5000/forebay/registry:0.1.0"], "Layers": []}]"#;
        assert_eq!(tag(manifest).as_deref(), Some("0.1.0"));
        assert_eq!(tag(br#"[{"RepoTags": []}]"#), None);
        assert_eq!(tag(b""), None);
    }
}
