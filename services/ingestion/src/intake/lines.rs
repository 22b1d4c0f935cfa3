use forebay_rows::{
    Reject, RejectCode, RowsWriter,
    json::{RowReader, Scanner},
};

use super::{Decoded, Refusal, decoded::Part};
use crate::intake::options::UNDATED;

/// Bytes of packed rows that are collected before they are handed on.
const PART_BYTES: usize = 1 << 20;

/// Reads rows, one JSON object per line, from chunks that end anywhere. A line that is no JSON is a row that does not fit; empty lines are none.
pub struct Lines {
    sink: RowSink,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

/// Takes rows from JSON text one by one.
pub struct RowSink {
    reader: RowReader,
    writer: RowsWriter,
    indexes: Vec<u64>,
}

impl Lines {
    pub fn new(reader: RowReader) -> Self {
        Self {
            sink: RowSink::new(reader),
            rest: Vec::new(),
        }
    }

    pub fn push(&mut self, chunk: &[u8], decoded: &mut Decoded) -> Result<(), Refusal> {
        let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') else {
            decoded.reservation.grow(chunk.len())?;
            self.rest.extend_from_slice(chunk);
            return Ok(());
        };
        let (whole, rest) = (&chunk[..end], &chunk[end + 1..]);
        if self.rest.is_empty() {
            self.sink.lines(whole, decoded)?;
        } else {
            self.rest.extend_from_slice(whole);
            self.sink.lines(&self.rest, decoded)?;
            self.rest.clear();
        }
        self.rest.extend_from_slice(rest);
        Ok(())
    }

    pub fn finish(mut self, decoded: &mut Decoded) -> Result<(), Refusal> {
        self.sink.lines(&self.rest, decoded)?;
        self.sink.finish(decoded)
    }
}

impl RowSink {
    pub fn new(reader: RowReader) -> Self {
        Self {
            writer: RowsWriter::new(reader.layouts().clone()),
            indexes: Vec::new(),
            reader,
        }
    }

    fn lines(&mut self, text: &[u8], decoded: &mut Decoded) -> Result<(), Refusal> {
        if let Ok(text) = std::str::from_utf8(text) {
            return text.split('\n').try_for_each(|line| self.line(line, decoded));
        }
        text.split(|byte| *byte == b'\n')
            .try_for_each(|line| match std::str::from_utf8(line) {
                Ok(line) => self.line(line, decoded),
                Err(error) => {
                    let index = decoded.count(1)?;
                    let detail = format!("the line is not UTF-8 at byte {}", error.valid_up_to());
                    decoded
                        .rejections
                        .push(index, Reject::of_row(RejectCode::NotParseable, detail));
                    Ok(())
                }
            })
    }

    fn line(&mut self, line: &str, decoded: &mut Decoded) -> Result<(), Refusal> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let mut scanner = Scanner::new(line);
        let before = self.writer.len();
        let read = self.row(&mut scanner, decoded).and_then(|()| match scanner.end() {
            Ok(()) => Ok(()),
            Err(error) => {
                if self.writer.len() > before {
                    self.writer.take_back();
                    self.indexes.pop();
                }
                Err(error.into())
            }
        });
        match read {
            Err(Refusal::Syntax(error)) => {
                let index = decoded.rows as u64 - 1;
                decoded
                    .rejections
                    .push(index, Reject::of_row(RejectCode::NotParseable, error.to_string()));
                Ok(())
            }
            other => other,
        }?;
        if self.writer.byte_size() > PART_BYTES {
            self.hand_on(decoded)
        } else {
            Ok(())
        }
    }

    /// Reads the next value as a row.
    pub fn row(&mut self, scanner: &mut Scanner<'_>, decoded: &mut Decoded) -> Result<(), Refusal> {
        let index = decoded.count(1)?;
        let finished = match self.reader.read(scanner, &mut self.writer)? {
            // The ingest time is not known before the whole request is.
            Ok(draft) => self
                .writer
                .finish(draft.event_time, UNDATED, draft.deleted)
                .map_err(|error| Reject::of_row(RejectCode::RowTooLarge, error.to_string())),
            Err(reject) => Err(reject),
        };
        match finished {
            Ok(()) => self.indexes.push(index),
            Err(reject) => decoded.rejections.push(index, reject),
        }
        Ok(())
    }

    /// As [`RowSink::row`], handing rows on when there are enough.
    pub fn row_of_many(&mut self, scanner: &mut Scanner<'_>, decoded: &mut Decoded) -> Result<(), Refusal> {
        self.row(scanner, decoded)?;
        if self.writer.byte_size() > PART_BYTES {
            self.hand_on(decoded)
        } else {
            Ok(())
        }
    }

    pub fn finish(&mut self, decoded: &mut Decoded) -> Result<(), Refusal> {
        self.hand_on(decoded)
    }

    fn hand_on(&mut self, decoded: &mut Decoded) -> Result<(), Refusal> {
        decoded.push(Part {
            rows: self.writer.take_batch(),
            indexes: std::mem::take(&mut self.indexes),
        })
    }
}
