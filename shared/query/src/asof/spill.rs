//! Rows on disk, split by the hash of their keys.

use std::io::BufWriter;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::spill_file::{SpillFile, SpillWriter};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::SpillManager;
use datafusion::physical_plan::metrics::SpillMetrics;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use parking_lot::Mutex;

use super::keys::Keys;

/// How many files one side is split into. Splitting again multiplies.
pub(super) const FAN_OUT: usize = 16;

/// How often a part may be split again: 16^4 parts are enough for any disk.
pub(super) const MAX_DEPTH: u32 = 4;

/// Where files of one schema are written and read.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    context: Arc<TaskContext>,
    metrics: SpillMetrics,
    schema: SchemaRef,
}

impl Disk {
    pub(super) fn new(context: &Arc<TaskContext>, metrics: &SpillMetrics, schema: SchemaRef) -> Self {
        Self {
            context: Arc::clone(context),
            metrics: metrics.clone(),
            schema,
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The batches of a file, in the order in which they were written.
    pub(super) fn read(&self, file: Arc<dyn SpillFile>) -> Result<SendableRecordBatchStream> {
        let manager = SpillManager::new(
            self.context.runtime_env(),
            self.metrics.clone(),
            Arc::clone(&self.schema),
        );
        let stream = manager.read_spill_as_stream(file, None)?;
        // What is read shares the buffer of the read, of which a kept row would hold all.
        let copied = stream.map(|batch| {
            let batch = batch?;
            let all = UInt32Array::from_iter_values(0..batch.num_rows() as u32);
            compact(take_record_batch(&batch, &all)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            copied,
        )))
    }
}

type IpcWriter = StreamWriter<BufWriter<Box<dyn SpillWriter>>>;

/// A file that is being written; it is made with its first batch.
pub(super) struct FileWriter {
    disk: Disk,
    open: Option<(Arc<dyn SpillFile>, IpcWriter)>,
}

impl FileWriter {
    pub(super) fn new(disk: Disk) -> Self {
        Self { disk, open: None }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let (_, writer) = match &mut self.open {
            Some(open) => open,
            None => {
                let disk_manager = &self.disk.context.runtime_env().disk_manager;
                let file = disk_manager.create_tmp_file("as-of join")?;
                let writer = StreamWriter::try_new(BufWriter::new(file.open_writer()?), &self.disk.schema)?;
                self.disk.metrics.spill_file_count.add(1);
                self.open.insert((file, writer))
            }
        };
        writer.write(batch)?;
        self.disk.metrics.spilled_rows.add(batch.num_rows());
        Ok(())
    }

    /// The file, or `None` if nothing was written.
    pub(super) fn finish(self) -> Result<Option<Arc<dyn SpillFile>>> {
        let Some((file, writer)) = self.open else {
            return Ok(None);
        };
        let buffered = writer.into_inner()?;
        let mut inner = buffered.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        inner.finish()?;
        if let Some(size) = file.size() {
            self.disk.metrics.spilled_bytes.add(size as usize);
        }
        Ok(Some(file))
    }
}

/// One side of a join, split by key. Any task may write.
pub(super) struct Split {
    files: Vec<Mutex<FileWriter>>,
}

impl Split {
    pub(super) fn new(disk: &Disk) -> Self {
        let files = (0..FAN_OUT)
            .map(|_| Mutex::new(FileWriter::new(disk.clone())))
            .collect();
        Self { files }
    }

    /// Writes a batch's rows, each to its key's file, keeping their order within a file.
    pub(super) fn write(&self, batch: &RecordBatch, keys: &Keys) -> Result<()> {
        let mut rows = vec![Vec::new(); FAN_OUT];
        for row in 0..keys.len() {
            // The high bits; the low ones place keys in the hash table.
            rows[(keys.hash(row) >> 60) as usize % FAN_OUT].push(row as u32);
        }
        for (file, rows) in self.files.iter().zip(rows) {
            if !rows.is_empty() {
                let part = compact(take_record_batch(batch, &UInt32Array::from(rows))?)?;
                file.lock().write(&part)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<Option<Arc<dyn SpillFile>>>> {
        self.files.into_iter().map(|file| file.into_inner().finish()).collect()
    }
}

/// Lets views go of buffers of which they show little: those would be written whole.
fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()) as ArrayRef,
            _ => Arc::clone(column),
        })
        .collect();
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
