//! Columns of values from JSON arrays, as requests name entities and request features.

use std::sync::Arc;

use arrow::array::ArrayRef;
use forebay_model::{DataType, Generation, GroupId, GroupSchema, KeyType, LayoutNumber, Slot, Timestamp, entity_key};

use super::{
    read,
    row_reader::unfit_detail,
    scan::{Scanner, SyntaxError, Token},
};
use crate::{
    Layouts, PackedError, RowView, RowsWriter, arrow_types::Flavor, packed::RowBatch, rejected::RejectCode,
    to_arrow::slot_column,
};

/// Faults told of one column; a column of a million wrong values is told like one of a hundred.
const FAULTS: usize = 100;

/// An element that is not of the column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnFault {
    /// The element; none when the text is no array.
    pub index: Option<usize>,
    pub code: RejectCode,
    pub detail: String,
}

/// Reads columns of values of one type; null is null.
#[derive(Debug, Clone)]
pub struct ColumnReader {
    layouts: Arc<Layouts>,
}

impl ColumnReader {
    #[must_use]
    pub fn new(data_type: &DataType) -> Self {
        // A column is read as rows of one slot, so that values are read in one place only.
        let name = "column.column".parse();
        let slot = name.ok().map(|name: forebay_model::GroupName| {
            let since = LayoutNumber(0);
            let slot = Slot {
                name: name.group().clone(),
                data_type: data_type.clone(),
                since,
                hidden: false,
            };
            GroupSchema {
                name,
                id: GroupId(0),
                generation: Generation(0),
                layout: since,
                keys: Arc::from([]),
                slots: Arc::from([slot]),
            }
        });
        Self {
            layouts: Layouts::new(Arc::new(slot.expect("`column.column` is a group's name"))),
        }
    }

    fn data_type(&self) -> &DataType {
        &self.layouts.slots()[0].data_type
    }

    /// Reads a JSON array.
    ///
    /// # Errors
    /// Every element that is not of the type, up to a hundred of them.
    pub fn read(&self, text: &str) -> Result<Column, Vec<ColumnFault>> {
        let mut writer = RowsWriter::new(Arc::clone(&self.layouts));
        let data_type = self.data_type();
        elements(text, &data_type.to_string(), |scanner, buffer| {
            writer.begin();
            let outcome = read::slot(scanner, &mut writer, 0, data_type, buffer)?;
            let outcome = outcome.and_then(|()| {
                let moment = Timestamp::default();
                writer
                    .finish(moment, moment, false)
                    .map_err(|_| RejectCode::RowTooLarge)
            });
            if outcome.is_err() {
                writer.abandon();
            }
            Ok(outcome)
        })?;
        Ok(Column(writer.into_batch()))
    }
}

/// Values of one type that were read from JSON.
#[derive(Debug, Clone)]
pub struct Column(RowBatch);

impl Column {
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The element, as slot 0 of a row.
    ///
    /// # Errors
    /// Never: the rows were written here.
    pub fn row(&self, index: usize) -> Result<RowView<'_>, PackedError> {
        self.0.view(index)
    }

    /// The column as an array.
    ///
    /// # Errors
    /// Never: the rows were written here.
    pub fn to_array(&self) -> Result<ArrayRef, PackedError> {
        let rows = (0..self.len())
            .map(|index| self.row(index))
            .collect::<Result<Vec<_>, _>>()?;
        slot_column(
            &self.0.layouts().slots()[0].data_type,
            Flavor::Arrow,
            0,
            rows.iter().map(Some),
        )
    }
}

/// Reads a JSON array of values of a type; null is null.
///
/// # Errors
/// Every element that is not of the type, up to a hundred of them.
pub fn read_column(text: &str, data_type: &DataType) -> Result<ArrayRef, Vec<ColumnFault>> {
    let column = ColumnReader::new(data_type).read(text)?;
    column.to_array().map_err(|error| {
        vec![ColumnFault {
            index: None,
            code: RejectCode::NotParseable,
            detail: error.to_string(),
        }]
    })
}

/// One key column of many entities, encoded. The encodings of an entity's columns one after the other are its key.
#[derive(Debug, Clone, Default)]
pub struct KeyColumn {
    bytes: Vec<u8>,
    /// Where each element ends; an element without bytes is null, since no encoding is empty.
    ends: Vec<usize>,
}

impl KeyColumn {
    /// Reads a JSON array of keys; null is null, and matches nothing.
    ///
    /// # Errors
    /// Every element that is not of the type, or too long for a key, up to a hundred of them.
    pub fn read(text: &str, key_type: KeyType) -> Result<Self, Vec<ColumnFault>> {
        let mut column = Self::default();
        elements(text, &key_type.to_string(), |scanner, buffer| {
            let start = column.bytes.len();
            let outcome = match read::key(scanner, key_type, &mut column.bytes, buffer)? {
                Err(RejectCode::NullKey) => Ok(()),
                outcome => outcome,
            };
            let fits = entity_key::check_length(&column.bytes[start..]).map_err(|_| RejectCode::KeyTooLong);
            column.ends.push(column.bytes.len());
            Ok(outcome.and(fits))
        })?;
        Ok(column)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The encoded element, none for null.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.bytes[start..self.ends[index]]).filter(|element| !element.is_empty())
    }
}

/// Reads the elements of an array one by one. `expected` names their type.
fn elements<'t>(
    text: &'t str,
    expected: &str,
    mut read: impl FnMut(&mut Scanner<'t>, &mut String) -> Result<Result<(), RejectCode>, SyntaxError>,
) -> Result<(), Vec<ColumnFault>> {
    let mut faults = Vec::new();
    let mut scanner = Scanner::new(text);
    let mut buffer = String::new();
    let mut scan = || -> Result<bool, SyntaxError> {
        if scanner.value()? != Token::Array {
            return Ok(false);
        }
        let (mut first, mut index) = (true, 0);
        while scanner.element(&mut first)? {
            if let Err(code) = read(&mut scanner, &mut buffer)?
                && faults.len() < FAULTS
            {
                faults.push(ColumnFault {
                    index: Some(index),
                    code,
                    detail: unfit_detail(code, expected),
                });
            }
            index += 1;
        }
        Ok(true)
    };
    match scan() {
        Ok(true) if faults.is_empty() => Ok(()),
        Ok(true) => Err(faults),
        Ok(false) => {
            let detail = format!("expected a list of {expected}");
            Err(vec![ColumnFault {
                index: None,
                code: RejectCode::WrongType,
                detail,
            }])
        }
        Err(error) => Err(vec![ColumnFault {
            index: None,
            code: RejectCode::NotParseable,
            detail: error.to_string(),
        }]),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, Int64Array};

    use super::*;

    #[test]
    fn values_are_exact_and_null_is_null() {
        let read = read_column("[1, \"9007199254740993\", null]", &DataType::Int64).expect("a column");
        assert_eq!(
            read.as_ref(),
            &Int64Array::from(vec![Some(1), Some(9_007_199_254_740_993), None]) as &dyn Array
        );
        let read = read_column(r#"["a", null, "\u00e9"]"#, &DataType::String).expect("a column");
        assert_eq!(
            read.as_string::<i32>().iter().collect::<Vec<_>>(),
            [Some("a"), None, Some("é")]
        );
        assert!(read_column(" [ ] ", &DataType::Timestamp).expect("a column").is_empty());
    }

    #[test]
    fn every_wrong_element_is_told() {
        let faults = read_column("[1, 2.5, \"x\", 99999999999]", &DataType::Int32).expect_err("faults");
        let places: Vec<_> = faults.iter().map(|fault| (fault.index, fault.code)).collect();
        let expected = [
            (1, RejectCode::NotExact),
            (2, RejectCode::WrongType),
            (3, RejectCode::OutOfRange),
        ];
        assert_eq!(places, expected.map(|(index, code)| (Some(index), code)));
        assert_eq!(read_column("7", &DataType::Int32).expect_err("no list")[0].index, None);
    }

    #[test]
    fn keys_are_encoded_and_null_is_none() {
        let column = KeyColumn::read("[\"12\", null, 3]", KeyType::Int64).expect("keys");
        let key = |value: i64| {
            let mut key = Vec::new();
            entity_key::append::i64(&mut key, value);
            Some(key)
        };
        let read: Vec<_> = (0..column.len())
            .map(|index| column.get(index).map(<[u8]>::to_vec))
            .collect();
        assert_eq!(read, [key(12), None, key(3)]);
        let long = format!("[\"{}\"]", "x".repeat(2_000));
        assert_eq!(
            KeyColumn::read(&long, KeyType::String).expect_err("too long")[0].code,
            RejectCode::KeyTooLong
        );
    }
}
