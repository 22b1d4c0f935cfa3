//! A proxy in front of an S3 server, which counts requests and can lose the answer to a commit.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What the proxy does with the conditional PUTs that it sees next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The server carries it out, and the connection breaks before its answer.
    AnswerLost,
    /// It never gets to the server.
    RequestLost,
    /// It is held back, and gets to the server when [`Proxy::deliver`] is called.
    RequestLate,
    /// The server carries it out and the answer says that it is overloaded, so that the client sends it again.
    AnsweredBusy,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    fates: Vec<Fate>,
    late: Vec<Message>,
}

/// Ends when it is dropped.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    server: String,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(server: &str) -> Self {
        let server = server.strip_prefix("http://").expect("an endpoint").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let accepting = tokio::spawn(accept(listener, server.clone(), seen.clone()));
        Self {
            endpoint,
            server,
            seen,
            accepting,
        }
    }

    /// What happens to the next commits, in turn; those after them are carried out.
    pub(crate) fn doom(&self, fates: &[Fate]) {
        self.seen.lock().fates = fates.iter().rev().copied().collect();
    }

    /// Brings the requests that were held back to the server, and tells what it answered.
    pub(crate) async fn deliver(&self) -> Vec<String> {
        let late = std::mem::take(&mut self.seen.lock().late);
        let mut answers = Vec::new();
        for request in late {
            let mut upstream = BufReader::new(TcpStream::connect(&self.server).await.expect("the server"));
            upstream.write_all(&request.head).await.expect("sent");
            upstream.write_all(&request.body).await.expect("sent");
            let answer = read(&mut upstream, false).await.expect("read").expect("an answer");
            let head = String::from_utf8_lossy(&answer.head).into_owned();
            answers.push(head.split(' ').nth(1).unwrap_or_default().to_owned());
        }
        answers
    }

    /// The requests since the last call: method, and what was asked for.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().requests)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: String, seen: Arc<Mutex<Seen>>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, seen) = (server.clone(), seen.clone());
        tokio::spawn(async move {
            // A connection that ends is no failure of the test; the client sees it.
            let _ = pass(client, &server, &seen).await;
        });
    }
}

struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
}

async fn pass(client: TcpStream, server: &str, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut client = BufReader::new(client);
    let mut upstream = BufReader::new(TcpStream::connect(server).await?);
    while let Some(request) = read(&mut client, false).await? {
        let head = String::from_utf8_lossy(&request.head).into_owned();
        let line = head.lines().next().unwrap_or_default().to_owned();
        let fate = {
            let mut seen = seen.lock();
            seen.requests.push(describe(&line));
            let conditional = head.to_ascii_lowercase().contains("\r\nif-none-match: *");
            if conditional { seen.fates.pop() } else { None }
        };
        match fate {
            Some(Fate::RequestLost) => return Ok(()),
            Some(Fate::RequestLate) => {
                seen.lock().late.push(request);
                return Ok(());
            }
            _ => {}
        }
        upstream.write_all(&request.head).await?;
        upstream.write_all(&request.body).await?;
        let Some(answer) = read(&mut upstream, line.starts_with("HEAD ")).await? else {
            return Ok(());
        };
        match fate {
            Some(Fate::AnswerLost) => return Ok(()),
            Some(Fate::AnsweredBusy) => {
                client
                    .write_all(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")
                    .await?;
            }
            _ => {
                client.write_all(&answer.head).await?;
                client.write_all(&answer.body).await?;
            }
        }
    }
    Ok(())
}

/// The method, and the last parts of the path or the prefix that is listed.
fn describe(line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap_or_default();
    let target = rest.split(' ').next().unwrap_or_default();
    if target.contains("list-type=2") {
        return format!("LIST {}", target.replace("%2F", "/"));
    }
    let parts: Vec<&str> = target
        .split('?')
        .next()
        .unwrap_or_default()
        .rsplit('/')
        .take(2)
        .collect();
    format!("{method} {}/{}", parts.get(1).unwrap_or(&""), parts[0])
}

/// One request or answer; `None` at the end of the connection.
async fn read(stream: &mut BufReader<TcpStream>, no_body: bool) -> std::io::Result<Option<Message>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).await? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let mut body = Vec::new();
    let chunked = field("transfer-encoding:").is_some_and(|encoding| encoding == "chunked");
    if chunked && !no_body {
        loop {
            let mut size = Vec::new();
            stream.read_until(b'\n', &mut size).await?;
            let line = String::from_utf8_lossy(&size).into_owned();
            let length = usize::from_str_radix(line.trim(), 16).unwrap_or_default();
            body.extend_from_slice(&size);
            let start = body.len();
            body.resize(start + length + 2, 0);
            stream.read_exact(&mut body[start..]).await?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = field("content-length:")
        && !no_body
    {
        body.resize(length.parse().unwrap_or_default(), 0);
        stream.read_exact(&mut body).await?;
    }
    Ok(Some(Message { head, body }))
}
