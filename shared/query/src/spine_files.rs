//! Spines that lie in files.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::TableProvider;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::object_store::{self, ObjectStoreExt};
use forebay_model::DataType;
use forebay_sql::arrow_type;
use forebay_storage::SourceError;

use crate::{Engine, QueryError};

/// How a spine's file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    Parquet,
    /// With a header line.
    Csv,
}

impl FileKind {
    /// By the name's ending, whatever its case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Lines of a CSV that are looked at to find the types of columns nobody knows.
const INFERRED_LINES: usize = 10_000;

impl Engine {
    /// The table at a place that a request names: a file by its ending, otherwise a Delta table. `known` are columns whose types are known; a CSV's are read
    /// as such, not guessed.
    ///
    /// # Errors
    /// When the place is not allowed, nothing is there, or it cannot be read.
    pub async fn spine_table(
        &self,
        uri: &str,
        known: &[(String, DataType)],
    ) -> Result<Arc<dyn TableProvider>, QueryError> {
        match FileKind::of(uri) {
            Some(kind) => {
                let url = self.tables().locate(uri)?;
                self.file_table(&url, kind, known).await
            }
            None => Ok(self.tables().source(uri, None).await?.provider),
        }
    }

    /// The table in one file, given by its full URL.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub async fn file_table(
        &self,
        url: &str,
        kind: FileKind,
        known: &[(String, DataType)],
    ) -> Result<Arc<dyn TableProvider>, QueryError> {
        let state = self.ordered_state();
        let format: Arc<dyn FileFormat> = match kind {
            FileKind::Parquet => Arc::new(ParquetFormat::default().with_options(state.table_options().parquet.clone())),
            FileKind::Csv => Arc::new(
                CsvFormat::default()
                    .with_has_header(true)
                    .with_schema_infer_max_rec(INFERRED_LINES),
            ),
        };
        // The URL names the file itself, whatever its ending.
        let options = ListingOptions::new(format).with_file_extension("");
        let place = ListingTableUrl::parse(url)?;
        // A listing of nothing is an empty table; a file that is named must be there.
        let store = state.runtime_env().object_store(&place)?;
        if let Err(object_store::Error::NotFound { .. }) = store.head(place.prefix()).await {
            return Err(SourceError::NotFound { uri: url.to_owned() }.into());
        }
        let mut schema = options.infer_schema(&state, &place).await?;
        if kind == FileKind::Csv {
            schema = with_known(&schema, known);
        }
        let config = ListingTableConfig::new(place)
            .with_listing_options(options)
            .with_schema(schema);
        Ok(Arc::new(ListingTable::try_new(config)?))
    }
}

fn with_known(schema: &Schema, known: &[(String, DataType)]) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| match known.iter().find(|(name, _)| name == field.name()) {
            Some((name, data_type)) => Arc::new(Field::new(name, arrow_type(data_type), true)),
            None => Arc::clone(field),
        })
        .collect();
    Arc::new(Schema::new(fields))
}
