//! What builds images: docker with buildx where a daemon answers, or else buildah, which needs none.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Image;
use forebay_testbed::checkout;

use crate::shell::{self, Error};

/// Whom this machine trusts, where Debian has it.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// What builds images on this machine.
#[derive(Debug)]
pub enum Builder {
    Buildx,
    Buildah,
}

/// What images say of where they come from.
#[derive(Debug)]
pub struct Labels {
    pub version: String,
    /// The commit, with `-modified` when the checkout differs from it.
    pub revision: String,
    /// The commit's time in seconds: images carry no other.
    pub epoch: String,
    /// The same as text.
    pub created: String,
}

impl Labels {
    pub fn of_checkout() -> Result<Self, Error> {
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.args(arguments).env("TZ", "UTC0").current_dir(checkout());
            let said = shell::output(&mut git)?;
            Ok::<_, Error>(said.trim().to_owned())
        };
        let mut revision = git(&["rev-parse", "HEAD"])?;
        if !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() {
            revision.push_str("-modified");
        }
        Ok(Labels {
            version: super::VERSION.to_owned(),
            revision,
            epoch: git(&["log", "-1", "--format=%ct"])?,
            created: git(&["log", "-1", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd"])?,
        })
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Builder::Buildx => "docker buildx",
            Builder::Buildah => "buildah",
        })
    }
}

impl Builder {
    /// The one that works here.
    pub fn find() -> Result<Self, Error> {
        let works = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if works("docker", &["buildx", "version"]) && works("docker", &["info"]) {
            Ok(Builder::Buildx)
        } else if works("buildah", &["--version"]) {
            Ok(Builder::Buildah)
        } else {
            Err(Error::Other(
                "nothing here builds images: install Docker with buildx, or buildah (apt-get install buildah)".into(),
            ))
        }
    }

    /// Builds a target of the Dockerfile into an archive that `docker load`, `podman load` and `ctr images import` take.
    pub fn build(&self, image: Image, tag: &str, labels: &Labels, base: &str, archive: &Path) -> Result<(), Error> {
        let name = format!("forebay/{}:{tag}", image.target);
        if archive.exists() {
            std::fs::remove_file(archive).map_err(Error::file(archive))?;
        }
        let arguments = [
            format!("BUILD_IMAGE={base}"),
            format!("VERSION={}", labels.version),
            format!("REVISION={}", labels.revision),
            format!("CREATED={}", labels.created),
        ];
        let mut build = match self {
            Builder::Buildx => {
                let mut build = Command::new("docker");
                build.args(["buildx", "build"]);
                build.env("SOURCE_DATE_EPOCH", &labels.epoch);
                build.arg("--output");
                build.arg(format!("type=docker,rewrite-timestamp=true,dest={}", archive.display()));
                build
            }
            Builder::Buildah => {
                let mut build = buildah();
                // Without a daemon and without privileges of its own: the steps run in a chroot, on the machine's network.
                build.args([
                    "build",
                    "--pull-never",
                    "--layers",
                    "--isolation",
                    "chroot",
                    "--network",
                    "host",
                ]);
                build.args(["--timestamp", &labels.epoch]);
                // Registries may be behind a proxy whose authority this machine trusts; the image gets Debian's.
                if Path::new(AUTHORITIES).exists() {
                    build.args(["--volume", &format!("{AUTHORITIES}:{AUTHORITIES}:ro")]);
                }
                build
            }
        };
        for argument in arguments {
            build.args(["--build-arg", &argument]);
        }
        build.args(["--target", image.target, "--tag", &name]).arg(checkout());
        shell::run(&mut build)?;
        match self {
            Builder::Buildx => Ok(()),
            Builder::Buildah => {
                let archive = format!("docker-archive:{}:{name}", archive.display());
                shell::run(buildah().args(["push", "--quiet", &name, &archive]))
            }
        }
    }
}

/// buildah with images and caches of its own, in the project's cache.
pub fn buildah() -> Command {
    let folder: PathBuf = shell::cache().join("buildah");
    let mut command = Command::new("buildah");
    command.arg("--root").arg(folder.join("root"));
    command.arg("--runroot").arg(folder.join("run"));
    command.env("TMPDIR", folder.join("tmp"));
    command
}
