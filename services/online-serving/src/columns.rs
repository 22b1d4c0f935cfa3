//! The columns that a caller sends: of one length, or of length 1, which stands for every entity.

use forebay_api::{Code, ProblemError, push_pointer};
use forebay_model::{Name, definitions::nearest};
use forebay_rows::json::{Column, ColumnFault, KeyColumn};
use serde_json::value::RawValue;

use crate::{plan::Plan, request::Columns};

/// What the caller sent for a plan.
#[derive(Debug)]
pub struct Sent {
    /// One per key of the plan.
    pub keys: Vec<KeyColumn>,
    /// One per request feature of the plan.
    pub request: Vec<Column>,
    /// The number of entities.
    pub entities: usize,
}

impl Sent {
    /// Reads what the plan needs, and refuses any other column.
    ///
    /// # Errors
    /// Every column that is missing, not asked for, of another type, or of another length than the others.
    pub fn read(plan: &Plan, entities: &Columns<'_>, request: &Columns<'_>) -> Result<Self, Vec<ProblemError>> {
        let mut errors = Vec::new();
        let keys: Vec<_> = plan.keys.iter().map(|key| &key.name).collect();
        refuse_others("/entities", entities, &keys, Code::UnknownEntity, &mut errors);
        let names: Vec<_> = plan.request.iter().map(|request| &request.name).collect();
        refuse_others("/request", request, &names, Code::UnknownField, &mut errors);
        let keys = plan.keys.iter().filter_map(|key| {
            let read = |raw: &RawValue| KeyColumn::read(raw.get(), key.key_type);
            column("/entities", entities, &key.name, read, &mut errors)
        });
        let keys: Vec<_> = keys.collect();
        let features = plan.request.iter().filter_map(|feature| {
            column(
                "/request",
                request,
                &feature.name,
                |raw| feature.reader.read(raw.get()),
                &mut errors,
            )
        });
        let request: Vec<_> = features.collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let lengths = keys.iter().map(KeyColumn::len).chain(request.iter().map(Column::len));
        let entities = common_length(lengths).ok_or_else(|| {
            let detail = "the columns differ in length; give them one length, or length 1";
            vec![ProblemError::at("/entities", Code::InvalidCombination, detail)]
        })?;
        Ok(Self {
            keys,
            request,
            entities,
        })
    }

    /// The element of a column of this length that an entity has.
    pub const fn place(length: usize, entity: usize) -> usize {
        if length == 1 { 0 } else { entity }
    }

    /// Whether every one of these keys has a single value, which all entities share.
    pub fn are_constant(&self, keys: &[usize]) -> bool {
        keys.iter().all(|key| self.keys[*key].len() == 1)
    }

    /// Appends the encoded key that an entity has in these columns; false when one of them is null, which matches nothing.
    pub fn encode(&self, keys: &[usize], entity: usize, out: &mut Vec<u8>) -> bool {
        keys.iter().all(|key| {
            let column = &self.keys[*key];
            let element = column.get(Self::place(column.len(), entity));
            out.extend_from_slice(element.unwrap_or_default());
            element.is_some()
        })
    }
}

fn refuse_others(pointer: &str, columns: &Columns<'_>, wanted: &[&Name], code: Code, errors: &mut Vec<ProblemError>) {
    for (name, _) in &columns.0 {
        if wanted.iter().any(|known| known.as_str() == name) {
            continue;
        }
        let near = nearest(name, wanted.iter().map(|known| known.as_str()));
        let expected = match (wanted, near.as_slice()) {
            ([], _) => "nothing is expected here".to_owned(),
            (_, []) => format!(
                "expected {}",
                wanted
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            (_, near) => format!("did you mean `{}`?", near.join("` or `")),
        };
        errors.push(ProblemError::at(
            at(pointer, name),
            code,
            format!("`{name}` is not asked for: {expected}"),
        ));
    }
}

fn column<T>(
    pointer: &str,
    columns: &Columns<'_>,
    name: &Name,
    read: impl FnOnce(&RawValue) -> Result<T, Vec<ColumnFault>>,
    errors: &mut Vec<ProblemError>,
) -> Option<T> {
    let pointer = at(pointer, name.as_str());
    let Some(raw) = columns.get(name.as_str()) else {
        errors.push(ProblemError::at(
            pointer,
            Code::MissingField,
            format!("the column `{name}` is missing"),
        ));
        return None;
    };
    match read(raw) {
        Ok(column) => Some(column),
        Err(faults) => {
            errors.extend(faults.into_iter().map(|fault| {
                let place = fault
                    .index
                    .map_or_else(|| pointer.clone(), |index| format!("{pointer}/{index}"));
                ProblemError::at(
                    place,
                    Code::parse(fault.code.as_str()).unwrap_or(Code::InvalidValue),
                    fault.detail,
                )
            }));
            None
        }
    }
}

fn at(pointer: &str, name: &str) -> String {
    let mut pointer = pointer.to_owned();
    push_pointer(&mut pointer, name);
    pointer
}

/// The one length of all columns, where length 1 fits any. None when two differ.
fn common_length(mut lengths: impl Iterator<Item = usize>) -> Option<usize> {
    lengths.try_fold(1, |common, length| match (common, length) {
        (common, 1) => Some(common),
        (1, length) => Some(length),
        (common, length) => (common == length).then_some(common),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_one_length_or_one_element() {
        let length = |lengths: &[usize]| common_length(lengths.iter().copied());
        assert_eq!(length(&[]), Some(1));
        assert_eq!(length(&[1, 1]), Some(1));
        assert_eq!(length(&[3, 1, 3]), Some(3));
        assert_eq!(length(&[1, 0]), Some(0));
        assert_eq!(length(&[3, 2]), None);
    }
}
