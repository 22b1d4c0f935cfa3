//! Bills of materials: what is linked into an image's program, as CycloneDX.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::Image;
use super::builder::Labels;
use forebay_testbed::checkout;

use crate::shell::{self, Error};
use crate::tools;

/// The name that the bills of all packages get in the copy of the checkout.
const FILE: &str = "bill";

/// Where the bill of an image is, beside its archive.
pub fn path(folder: &Path, image: Image) -> PathBuf {
    folder.join(format!("{}.cdx.json", image.target))
}

/// Writes the bill of an image. cargo-cyclonedx resolves the whole workspace, in which packages lend each other features; what the program alone is not
/// built from is left out.
pub fn write(folder: &Path, image: Image, labels: &Labels) -> Result<(), Error> {
    let copy = shell::target().join("bill");
    let of_workspace = of_workspace(&copy, image, labels);
    let _ = std::fs::remove_dir_all(&copy);
    let bill = of_program(of_workspace?, &built_from(image)?, image, labels);
    let path = path(folder, image);
    let text = serde_json::to_string_pretty(&bill).map_err(|error| Error::Other(error.to_string()))?;
    std::fs::write(&path, text + "\n").map_err(Error::file(&path))
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// The bill as cargo-cyclonedx writes it. It does so beside every manifest: hence in a copy.
fn of_workspace(copy: &Path, image: Image, labels: &Labels) -> Result<Value, Error> {
    let _ = std::fs::remove_dir_all(copy);
    std::fs::create_dir_all(copy).map_err(Error::file(copy))?;
    let files = "git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- --ignore-failed-read 2>/dev/null";
    let unpack = format!("{files} | tar --extract --directory \"$1\"");
    let mut fill = Command::new("sh");
    fill.args(["-c", &unpack, "sh"]).arg(copy).current_dir(checkout());
    shell::run(&mut fill)?;

    let metadata = shell::output(shell::cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| Error::Other(error.to_string()))?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == image.package)
        .and_then(|package| package["manifest_path"].as_str())
        .and_then(|manifest| Path::new(manifest).strip_prefix(checkout()).ok())
        .map(|manifest| copy.join(manifest))
        .ok_or_else(|| Error::Other(format!("there is no package {}", image.package)))?;
    let mut bill = Command::new(tools::cargo_cyclonedx()?);
    bill.args(["cyclonedx", "-qq", "--format", "json", "--spec-version", "1.5", "--all"]);
    bill.args([
        "--override-filename",
        FILE,
        "--features",
        image.features,
        "--target",
        &target(),
    ]);
    bill.arg("--manifest-path").arg(&manifest);
    bill.env("SOURCE_DATE_EPOCH", &labels.epoch).current_dir(copy);
    shell::run(&mut bill)?;
    let written = manifest.with_file_name(format!("{FILE}.json"));
    let text = std::fs::read_to_string(&written).map_err(Error::file(&written))?;
    serde_json::from_str(&text).map_err(|error| Error::Other(error.to_string()))
}

/// `name@version` of the crates that this program alone is built from, with those that build C libraries from source.
fn built_from(image: Image) -> Result<BTreeSet<String>, Error> {
    let mut tree = shell::cargo();
    tree.args([
        "tree",
        "--locked",
        "--package",
        image.package,
        "--features",
        image.features,
    ]);
    tree.args([
        "--target",
        &target(),
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    Ok(shell::output(&mut tree)?.lines().filter_map(crate_of).collect())
}

/// Of `name v1.2.3 (…)`.
fn crate_of(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some(format!("{name}@{version}"))
}

/// The bill without what is not in the program, and of the image.
fn of_program(mut bill: Value, crates: &BTreeSet<String>, image: Image, labels: &Labels) -> Value {
    let mut kept = BTreeSet::new();
    if let Some(own) = bill["metadata"]["component"]["bom-ref"].as_str() {
        kept.insert(own.to_owned());
    }
    if let Some(components) = bill["components"].as_array_mut() {
        components.retain(|component| {
            let named = format!("{}@{}", text(&component["name"]), text(&component["version"]));
            let is_built = crates.contains(&named);
            if is_built {
                kept.insert(text(&component["bom-ref"]).to_owned());
            }
            is_built
        });
    }
    if let Some(dependencies) = bill["dependencies"].as_array_mut() {
        dependencies.retain(|dependency| kept.contains(text(&dependency["ref"])));
        for dependency in dependencies {
            // Asked for by index, what is not there would be made.
            if let Some(on) = dependency.get_mut("dependsOn").and_then(Value::as_array_mut) {
                on.retain(|reference| kept.contains(text(reference)));
            }
        }
    }
    bill["metadata"]["properties"] = json!([
        {"name": "forebay:image", "value": format!("forebay/{}", image.target)},
        {"name": "forebay:revision", "value": labels.revision},
        {"name": "forebay:target", "value": target()},
    ]);
    bill
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_built_is_left_out() {
        let labels = Labels {
            version: "1.0.0".to_owned(),
            revision: "abc".to_owned(),
            epoch: "0".to_owned(),
            created: String::new(),
        };
        let bill = json!({
            "metadata": {"component": {"bom-ref": "own"}},
            "components": [
                {"name": "serde", "version": "1.0.2", "bom-ref": "s"},
                {"name": "parquet", "version": "59.3.2", "bom-ref": "p"},
            ],
            "dependencies": [{"ref": "own", "dependsOn": ["s", "p"]}, {"ref": "s"}, {"ref": "p", "dependsOn": ["s"]}],
        });
        let crates = ["serde v1.0.2", "own v1.0.0 (/src)", ""]
            .into_iter()
            .filter_map(crate_of)
            .collect();
        let bill = of_program(bill, &crates, super::super::IMAGES[0], &labels);
        assert_eq!(bill["components"].as_array().map(Vec::len), Some(1));
        assert_eq!(
            bill["dependencies"],
            json!([{"ref": "own", "dependsOn": ["s"]}, {"ref": "s"}])
        );
        assert_eq!(bill["metadata"]["properties"][1]["value"], "abc");
    }
}
