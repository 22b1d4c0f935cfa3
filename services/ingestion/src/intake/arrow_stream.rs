use arrow::{array::RecordBatch, buffer::Buffer, error::ArrowError, ipc::reader::StreamDecoder};
use bytes::Bytes;
use forebay_rows::{from_arrow, json::RowOptions};

use super::{Decoded, Refusal, decoded::Part, expansion};

/// Rows packed at once.
const SLICE: usize = 8_192;

/// Reads rows from an Arrow IPC stream in chunks that end anywhere.
pub struct ArrowStream {
    decoder: StreamDecoder,
    options: RowOptions,
}

impl ArrowStream {
    pub fn new(options: RowOptions) -> Self {
        Self {
            decoder: StreamDecoder::new(),
            options,
        }
    }

    pub fn push(&mut self, chunk: Bytes, decoded: &mut Decoded) -> Result<(), Refusal> {
        let mut buffer = Buffer::from(chunk);
        while let Some(batch) = self.decoder.decode(&mut buffer).map_err(malformed)? {
            push_batch(&batch, self.options, decoded)?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), Refusal> {
        self.decoder.finish().map_err(malformed)
    }
}

fn malformed(error: ArrowError) -> Refusal {
    Refusal::Malformed {
        format: "an Arrow IPC stream",
        detail: error.to_string(),
    }
}

/// Packs the rows of a batch, a slice at a time, so that no slice takes more memory than its values do.
pub fn push_batch(batch: &RecordBatch, options: RowOptions, decoded: &mut Decoded) -> Result<(), Refusal> {
    let first = decoded.count(batch.num_rows())?;
    for start in (0..batch.num_rows()).step_by(SLICE) {
        let slice = batch.slice(start, SLICE.min(batch.num_rows() - start));
        expansion::check(&slice)?;
        let read = from_arrow::read(&decoded.layouts, &slice, options);
        let at = |index: usize| first + (start + index) as u64;
        for (index, reject) in read.rejected {
            decoded.rejections.push(at(index), reject);
        }
        decoded.push(Part {
            indexes: read.indexes.into_iter().map(at).collect(),
            rows: read.rows,
        })?;
    }
    Ok(())
}
