//! Server-sent events.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::{Stream, StreamExt};

/// Longest event that is taken, in bytes.
const MAX_EVENT: usize = 16 << 20;

/// One event: its name (`message` if the server gave none) and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The kind of event.
    pub name: String,
    /// Its data, lines joined.
    pub data: String,
}

/// Splits a body of `text/event-stream` into events. It ends with the body, and after the first error.
pub(crate) fn events<E>(body: impl Stream<Item = Result<Bytes, E>> + Unpin) -> impl Stream<Item = Result<Event, E>> {
    let state = (body, Parser::default(), false);
    futures::stream::unfold(state, |(mut body, mut parser, mut ended)| async move {
        loop {
            if let Some(event) = parser.ready.pop_front() {
                return Some((Ok(event), (body, parser, ended)));
            }
            if ended {
                return None;
            }
            match body.next().await {
                Some(Ok(bytes)) => ended = !parser.push(&bytes),
                Some(Err(error)) => return Some((Err(error), (body, parser, true))),
                None => ended = true,
            }
        }
    })
}

#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    name: String,
    data: Vec<String>,
    size: usize,
    ready: VecDeque<Event>,
}

impl Parser {
    /// Takes bytes in; false if an event grows over the limit.
    fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                other => self.line.push(*other),
            }
        }
        self.size + self.line.len() <= MAX_EVENT
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line)).into_owned();
        if text.is_empty() {
            self.end_event();
            return;
        }
        let (field, value) = text.split_once(':').unwrap_or((&text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                self.size += value.len();
                self.data.push(value.to_owned());
            }
            // Comments keep the connection open; ids and retry times are for clients that reconnect by themselves.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        self.size = 0;
        if !data.is_empty() {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            self.ready.push_back(Event {
                name,
                data: data.join("\n"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn events_are_the_same_however_the_bytes_are_cut() {
        let text =
            ": hello\n\nevent: run\ndata: {\"a\":\ndata: 1}\nid: 7\n\ndata:x\r\n\r\nevent: nothing\n\ndata: half";
        for size in [1, 2, 3, 7, 1000] {
            let chunks: Vec<Result<Bytes, Infallible>> = text
                .as_bytes()
                .chunks(size)
                .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
                .collect();
            let found: Vec<_> = events(futures::stream::iter(chunks))
                .map(|event| event.expect("an event"))
                .collect()
                .await;
            let event = |name: &str, data: &str| Event {
                name: name.to_owned(),
                data: data.to_owned(),
            };
            assert_eq!(
                found,
                [event("run", "{\"a\":\n1}"), event("message", "x")],
                "chunks of {size}"
            );
        }
    }
}
