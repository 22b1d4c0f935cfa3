//! What an image weighs.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::shell::{self, Error};

/// The bytes of an archive, and how many they are compressed by gzip, as registries keep and send them.
pub fn of(archive: &Path) -> Result<(u64, u64), Error> {
    let unpacked = std::fs::metadata(archive).map_err(Error::file(archive))?.len();
    let mut gzip = Command::new("gzip");
    gzip.args(["--stdout", "--no-name"]).arg(archive).stdout(Stdio::piped());
    let mut child = gzip.spawn().map_err(|source| shell::not_started(&gzip, source))?;
    let compressed = match child.stdout.take() {
        Some(mut stream) => io::copy(&mut stream, &mut io::sink()).map_err(Error::file(archive))?,
        None => 0,
    };
    match child.wait() {
        Ok(status) if status.success() => Ok((unpacked, compressed)),
        _ => Err(Error::Failed(shell::shown(&gzip))),
    }
}
