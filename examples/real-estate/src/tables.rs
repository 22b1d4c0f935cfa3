//! The Arrow form of the generated rows, and the Delta tables made of them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use deltalake::kernel::StructType;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::{DeltaTable, DeltaTableError};
use url::Url;

use crate::calendar;
use crate::labels::Label;
use crate::listings::Listing;

/// Why a table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{0} holds a table already: choose another folder, or remove it")]
    Exists(String),
    #[error("{0} is not a folder that can be made and addressed by a URL")]
    Location(String, #[source] Option<std::io::Error>),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Delta(#[from] DeltaTableError),
}

/// The source table's rows of some listings.
///
/// # Errors
/// None in practice: the columns are of one length and fit their schema.
pub fn listings_batch(rows: &[Listing<'_>]) -> Result<RecordBatch, ArrowError> {
    let column = |array: ArrayRef| array;
    let int32 =
        |of: fn(&Listing<'_>) -> i32| column(Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Int32Array>()));
    let float64 = |of: fn(&Listing<'_>) -> Option<f64>| column(Arc::new(rows.iter().map(of).collect::<Float64Array>()));
    let text = |of: for<'a> fn(&'a Listing<'_>) -> &'a str| {
        column(Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>()))
    };
    RecordBatch::try_from_iter_with_nullable(
        [
            (
                "product_id",
                column(Arc::new(
                    rows.iter().map(|row| Some(row.sale.product_id)).collect::<Int64Array>(),
                )),
            ),
            ("updated_at", timestamps(rows.iter().map(|row| row.updated_at))),
            ("status", text(|row| row.status.as_str())),
            ("sale_price", float64(|row| Some(row.sale_price as f64))),
            (
                "condominium_fee",
                float64(|row| row.condominium_fee.map(|fee| fee as f64)),
            ),
            ("rent_price", float64(|row| Some(row.rent_price as f64))),
            ("neighborhood", text(|row| &row.sale.neighborhood)),
            ("longitude", float64(|row| Some(row.sale.longitude))),
            ("latitude", float64(|row| Some(row.sale.latitude))),
            ("zoning", text(|row| &row.sale.zoning)),
            ("building", text(|row| &row.sale.building)),
            ("year_built", int32(|row| row.sale.year_built)),
            ("lot_area", int32(|row| row.sale.lot_area)),
            ("living_area", int32(|row| row.sale.living_area)),
            ("bedrooms", int32(|row| row.sale.bedrooms)),
            (
                "bathrooms",
                float64(|row| Some(f64::from(2 * row.sale.full_bath + row.sale.half_bath) / 2.0)),
            ),
            ("garage_cars", int32(|row| row.sale.garage_cars)),
            (
                "central_air",
                column(Arc::new(
                    rows.iter()
                        .map(|row| Some(row.sale.central_air))
                        .collect::<BooleanArray>(),
                )),
            ),
        ]
        .map(|(name, array)| (name, array, true)),
    )
}

/// The label table's rows.
///
/// # Errors
/// None in practice: the columns are of one length and fit their schema.
pub fn labels_batch(labels: &[Label]) -> Result<RecordBatch, ArrowError> {
    let columns: [(&str, ArrayRef); 5] = [
        (
            "product_id",
            Arc::new(
                labels
                    .iter()
                    .map(|label| Some(label.product_id))
                    .collect::<Int64Array>(),
            ),
        ),
        (
            "buyer_id",
            Arc::new(
                labels
                    .iter()
                    .map(|label| Some(label.buyer_id.as_str()))
                    .collect::<StringArray>(),
            ),
        ),
        ("sold_at", timestamps(labels.iter().map(|label| label.sold_at))),
        (
            "asked_price",
            Arc::new(
                labels
                    .iter()
                    .map(|label| Some(label.asked_price as f64))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "sale_price",
            Arc::new(
                labels
                    .iter()
                    .map(|label| Some(label.sale_price as f64))
                    .collect::<Float64Array>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
}

fn timestamps(micros: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(
        micros
            .map(Some)
            .collect::<TimestampMicrosecondArray>()
            .with_timezone("UTC"),
    )
}

/// The source table's rows, one batch per year of `updated_at`, in order.
///
/// # Errors
/// As [`listings_batch`].
pub fn listings_by_year(rows: &[Listing<'_>]) -> Result<Vec<RecordBatch>, ArrowError> {
    rows.chunk_by(|a, b| calendar::year(a.updated_at) == calendar::year(b.updated_at))
        .map(listings_batch)
        .collect()
}

/// Makes a Delta table in `folder` and appends each batch as a version of its own. Returns the table's last version.
///
/// # Errors
/// When the folder holds a table already or cannot be written to.
pub async fn write_delta(folder: &Path, batches: &[RecordBatch]) -> Result<u64, TableError> {
    let shown = folder.display().to_string();
    if folder.join("_delta_log").exists() {
        return Err(TableError::Exists(shown));
    }
    std::fs::create_dir_all(folder).map_err(|error| TableError::Location(shown.clone(), Some(error)))?;
    let absolute = folder
        .canonicalize()
        .map_err(|error| TableError::Location(shown.clone(), Some(error)))?;
    let url = Url::from_directory_path(absolute).map_err(|()| TableError::Location(shown, None))?;
    let mut table = DeltaTable::try_from_url(url).await?;
    if let Some(first) = batches.first() {
        let schema: StructType = first.schema().as_ref().try_into_kernel()?;
        table = table.create().with_columns(schema.fields().cloned()).await?;
    }
    for batch in batches {
        table = table.write([batch.clone()]).await?;
    }
    Ok(table.version().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::SEED;
    use crate::clicks::clicks;
    use crate::draw::Draw;
    use crate::labels::labels;
    use crate::listings::listings;
    use crate::profiles::profiles;
    use crate::sale::Sale;

    /// A fingerprint of all rows of a seed.
    fn fingerprint(seed: u64) -> String {
        let sales = Sale::all().expect("the file fits");
        let draw = Draw::new(seed);
        let mut text = String::new();
        for row in listings(&sales, draw) {
            writeln!(text, "{row:?}").expect("memory takes it");
        }
        for label in labels(&sales, draw) {
            writeln!(text, "{label:?}").expect("memory takes it");
        }
        text += &serde_json::to_string(&clicks(&sales, draw)).expect("plain data");
        text += &serde_json::to_string(&profiles(draw)).expect("plain data");
        format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }

    #[test]
    fn one_seed_gives_one_set_of_rows() {
        // The rows that the documentation shows. A change of the formulas changes this, and the README with it.
        assert_eq!(fingerprint(SEED), "328fd0c2a211d57b9bb6b0cb8d780871");
        assert_ne!(fingerprint(SEED), fingerprint(SEED + 1));
    }

    #[tokio::test]
    async fn the_source_table_grows_year_by_year() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sales = Sale::all().expect("the file fits");
        let batches = listings_by_year(&listings(&sales, Draw::new(SEED))).expect("columns fit");
        assert_eq!(batches.len(), 6, "2005 to 2010");
        let path = folder.path().join("listings");
        assert_eq!(write_delta(&path, &batches).await.expect("an empty folder"), 6);
        assert!(matches!(write_delta(&path, &batches).await, Err(TableError::Exists(_))));
    }
}
