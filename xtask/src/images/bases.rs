//! The image that programs are built in: the public one of the toolchain, or one like it made here where no registry can be reached.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::builder::{Builder, buildah};
use forebay_testbed::checkout;

use crate::shell::{self, Error};

/// Debian's name of the system in it.
const SYSTEM: &str = "bookworm";

/// What the Dockerfile installs, so that it finds it there already, and compilers, which the public image has.
const PACKAGES: &str = "ca-certificates,cmake,g++,gcc,libc6-dev,make,musl-tools,perl";

/// The name of the public image with a toolchain.
pub fn name(channel: &str) -> String {
    format!("rust:{channel}-{SYSTEM}")
}

/// The name of the image to build in; where it cannot be pulled, buildah gets one made from Debian's packages and this machine's toolchain.
pub fn build_image(builder: &Builder) -> Result<String, Error> {
    let toolchain = shell::output(
        Command::new("rustup")
            .args(["show", "active-toolchain"])
            .current_dir(checkout()),
    )?;
    let toolchain = toolchain.split_whitespace().next().unwrap_or_default();
    let channel = toolchain.split('-').next().unwrap_or_default();
    let public = name(channel);
    if matches!(builder, Builder::Buildx) {
        return Ok(public);
    }
    let local = format!("localhost/forebay-{public}");
    if has(&public) || (!has(&local) && shell::run(buildah().args(["pull", "--quiet", &public])).is_ok()) {
        return Ok(public);
    }
    if !has(&local) {
        println!(
            "{public} cannot be pulled: making one like it from Debian's packages and the toolchain of this machine"
        );
        make(&local, toolchain)?;
    }
    Ok(local)
}

fn has(image: &str) -> bool {
    shell::output(buildah().args(["images", "--quiet", "--filter", &format!("reference={image}")]))
        .is_ok_and(|found| !found.trim().is_empty())
}

fn make(image: &str, toolchain: &str) -> Result<(), Error> {
    let folder = shell::cache().join("buildah/base");
    std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let (system, rust, settings) = (
        folder.join("system.tar"),
        folder.join("rust.tar"),
        folder.join("settings.toml"),
    );
    let mut debian = Command::new("mmdebstrap");
    debian.args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}")]);
    for unread in ["man", "doc", "locale"] {
        debian.arg(format!("--dpkgopt=path-exclude=/usr/share/{unread}/*"));
    }
    shell::run(debian.arg(SYSTEM).arg(&system))?;
    let sysroot = shell::output(
        Command::new("rustc")
            .args(["--print", "sysroot"])
            .current_dir(checkout()),
    )?;
    let mut pack = Command::new("tar");
    pack.args(["--create", "--dereference", "--exclude=share/doc", "--file"])
        .arg(&rust);
    pack.arg("--directory").arg(sysroot.trim()).arg(".");
    shell::run(&mut pack)?;
    std::fs::write(
        &settings,
        format!("version = \"12\"\ndefault_toolchain = \"{toolchain}\"\n"),
    )
    .map_err(Error::file(&settings))?;
    let made = assemble(image, toolchain, &system, &rust, &settings);
    std::fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    made
}

/// The parts where the public image has them.
fn assemble(image: &str, toolchain: &str, system: &Path, rust: &Path, settings: &Path) -> Result<(), Error> {
    let container = shell::output(buildah().args(["from", "scratch"]))?;
    let container = container.trim();
    let add = |from: &Path, to: &str| shell::run(buildah().args(["add", "--quiet", container]).arg(from).arg(to));
    let home = "/usr/local/cargo/bin";
    let steps = || {
        add(system, "/")?;
        add(rust, &format!("/usr/local/rustup/toolchains/{toolchain}"))?;
        add(settings, "/usr/local/rustup/settings.toml")?;
        let rustup = rustup()?;
        for program in ["rustup", "cargo", "rustc"] {
            add(&rustup, &format!("{home}/{program}"))?;
        }
        let path = format!("PATH={home}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        let mut config = buildah();
        config.arg("config");
        for variable in ["RUSTUP_HOME=/usr/local/rustup", "CARGO_HOME=/usr/local/cargo", &path] {
            config.args(["--env", variable]);
        }
        shell::run(config.arg(container))?;
        shell::run(buildah().args(["commit", "--quiet", container, image]))
    };
    let made = steps();
    shell::run(buildah().args(["rm", container]))?;
    made
}

/// The program of rustup on this machine; `cargo` and `rustc` are other names of it.
fn rustup() -> Result<PathBuf, Error> {
    let found = shell::output(Command::new("sh").args(["-c", "command -v rustup"]))?;
    let path = PathBuf::from(found.trim());
    std::fs::canonicalize(&path).map_err(Error::file(&path))
}
