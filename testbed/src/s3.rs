//! S3: versitygw over a folder. Conditional PUT (`If-None-Match: *`) works.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cassandra::temporary;
use crate::server::{Ready, Server, faults};
use crate::{Error, Port, download};

const PACKAGE: &str = "github.com/versity/versitygw/cmd/versitygw";
const VERSION: &str = "v1.8.0";

/// How a server is started.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// The address of this machine at which it listens.
    pub listen: Ipv4Addr,
    /// The buckets that it has.
    pub buckets: Vec<String>,
}

impl Default for S3Options {
    fn default() -> Self {
        S3Options {
            listen: Ipv4Addr::LOCALHOST,
            buckets: vec![S3Address::BUCKET.to_owned()],
        }
    }
}

/// Where a server is. All have the same credentials and a bucket `forebay`; requests name the bucket in the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Address {
    /// Such as `http://127.0.0.1:20001`.
    pub endpoint: String,
}

impl S3Address {
    pub const BUCKET: &str = "forebay";
    pub const ACCESS_KEY: &str = "test";
    pub const SECRET_KEY: &str = "testsecret";
    pub const REGION: &str = "us-east-1";
}

/// A running server. It ends, and its objects go, when this is dropped.
#[derive(Debug)]
pub struct S3 {
    server: Server,
    folder: TempDir,
    port: Port,
}

impl S3 {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    /// When Go is missing or too old, or the server does not start.
    pub fn start(options: S3Options) -> Result<S3, Error> {
        let program = download::go_program("versitygw", PACKAGE, VERSION)?.join("versitygw");
        let folder = temporary()?;
        let (objects, sidecar) = (folder.path().join("objects"), folder.path().join("sidecar"));
        let buckets = options.buckets.iter().map(|bucket| objects.join(bucket));
        for path in buckets.chain([sidecar.clone()]) {
            std::fs::create_dir_all(&path).map_err(Error::file(&path))?;
        }
        let port = Port::take_at(options.listen)?;
        let command = command(&program, &port.address().to_string(), &objects, &sidecar);
        let ready = Ready {
            listens: port.address(),
            says: "",
        };
        let server = Server::launch("versitygw", command, folder.path(), folder.path(), ready)?;
        server.wait()?;
        Ok(S3 { server, folder, port })
    }

    pub fn address(&self) -> S3Address {
        S3Address {
            endpoint: format!("http://{}", self.port.address()),
        }
    }

    /// The folder that holds the buckets: the objects are its files.
    pub fn objects(&self) -> PathBuf {
        self.folder.path().join("objects")
    }
}

faults!(S3);

fn command(program: &Path, listen: &str, objects: &Path, sidecar: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--access", S3Address::ACCESS_KEY, "--secret", S3Address::SECRET_KEY])
        .args(["--port", listen, "posix", "--sidecar"])
        .args([sidecar, objects]);
    command
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    /// What an unsigned request for a bucket is answered.
    fn status(s3: &S3) -> Option<String> {
        let mut stream = TcpStream::connect(s3.port.address()).ok()?;
        let request = "GET /forebay HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1).map(str::to_owned)
    }

    #[test]
    fn asks_for_credentials_and_starts_again() {
        let s3 = S3::start(S3Options::default()).expect("it starts");
        assert_eq!(status(&s3).as_deref(), Some("403"));
        s3.kill();
        assert_eq!(status(&s3), None);
        s3.restart().expect("it starts again");
        assert_eq!(status(&s3).as_deref(), Some("403"));
    }
}
