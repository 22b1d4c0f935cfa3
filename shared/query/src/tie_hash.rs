//! The canonical hash of a group's rows as its offline table holds them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_datafusion_err};
use forebay_model::canonical::CanonicalHasher;
use forebay_model::{GroupSchema, Name};
use forebay_rows::arrow_types::DELETED;

use crate::asof::TieHash;

/// `model::canonical` over the columns of one group's slots.
#[derive(Debug)]
pub(crate) struct CanonicalTieHash {
    /// In ascending order, as the hash wants them.
    features: Vec<Name>,
}

impl CanonicalTieHash {
    pub(crate) fn new(schema: &GroupSchema) -> Self {
        let mut features: Vec<_> = schema.slots.iter().map(|slot| slot.name.clone()).collect();
        features.sort_unstable();
        Self { features }
    }
}

impl TieHash for CanonicalTieHash {
    fn hash(&self, rows: &RecordBatch) -> Result<Vec<u64>> {
        let column = |name: &str| {
            rows.column_by_name(name)
                .ok_or_else(|| exec_datafusion_err!("the column {name} is needed to decide between equal versions"))
        };
        let deleted = column(DELETED)?.as_boolean();
        let columns = self
            .features
            .iter()
            .map(|name| Ok((name, column(name.as_str())?)))
            .collect::<Result<Vec<_>>>()?;
        (0..rows.num_rows())
            .map(|row| {
                let mut hasher = CanonicalHasher::new(deleted.is_valid(row) && deleted.value(row));
                for (name, values) in &columns {
                    if values.is_valid(row) {
                        hasher.feature(name);
                        write(&mut hasher, values, row)?;
                    }
                }
                Ok(hasher.finish())
            })
            .collect()
    }
}

fn write(hasher: &mut CanonicalHasher, values: &ArrayRef, row: usize) -> Result<()> {
    match values.data_type() {
        DataType::Boolean => hasher.bool(values.as_boolean().value(row)),
        DataType::Int32 => hasher.integer(values.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => hasher.integer(values.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => hasher.integer(values.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(_, _) => hasher.integer(values.as_primitive::<TimestampMicrosecondType>().value(row)),
        DataType::Float32 => hasher.float(values.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => hasher.float(values.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => hasher.bytes(values.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => hasher.bytes(values.as_binary::<i32>().value(row)),
        DataType::Decimal128(_, _) => hasher.decimal(values.as_primitive::<Decimal128Type>().value(row)),
        DataType::List(_) => write_list(hasher, &values.as_list::<i32>().value(row))?,
        DataType::FixedSizeList(_, _) => write_list(hasher, &values.as_fixed_size_list().value(row))?,
        other => return Err(exec_datafusion_err!("{other} is not a type of offline tables")),
    }
    Ok(())
}

fn write_list(hasher: &mut CanonicalHasher, elements: &ArrayRef) -> Result<()> {
    hasher.list(elements.len());
    for element in 0..elements.len() {
        if elements.is_null(element) {
            hasher.null();
        } else {
            write(hasher, elements, element)?;
        }
    }
    Ok(())
}
