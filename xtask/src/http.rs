//! Whether a server is ready: one GET over a plain socket, so that this crate builds in seconds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Whether a GET of this path is answered 200 within a second.
pub fn answers_ok(server: SocketAddr, path: &str) -> bool {
    let second = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&server, second) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    let mut status = [0; 12];
    stream.set_read_timeout(Some(second)).is_ok()
        && stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut status).is_ok()
        && &status == b"HTTP/1.1 200"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn tells_ready_from_not_ready_and_from_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = listener.local_addr().expect("its address");
        let answers = std::thread::spawn(move || {
            for status in ["503 Service Unavailable", "200 OK"] {
                let (mut stream, _) = listener.accept().expect("a caller");
                let _ = stream.read(&mut [0; 1024]);
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").expect("an answer");
            }
        });
        assert!(!answers_ok(server, "/readyz"));
        assert!(answers_ok(server, "/readyz"));
        answers.join().expect("both answers");
        assert!(!answers_ok(server, "/readyz"), "the listener is gone");
    }
}
