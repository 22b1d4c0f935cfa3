use std::sync::Arc;

use forebay_model::{DataType, GroupSchema, LayoutNumber, Slot};

use super::{HEAD_LENGTH, PackedError, RowHead, RowView};

/// Where everything stands in the packed rows of a group, for each of its layouts. Made once per schema; finding a slot is an index.
#[derive(Debug)]
pub struct Layouts {
    schema: Arc<GroupSchema>,
    /// Of each slot, its distance from the start of the fixed part; one more for its end.
    offsets: Box<[u32]>,
    /// By layout number.
    sizes: Box<[LayoutSize]>,
    /// The slots in the order of their names, as the canonical hash takes them.
    by_name: Box<[u16]>,
}

/// The sizes that differ between the layouts of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayoutSize {
    pub slots: u16,
    pub fixed_start: u32,
    pub heap_start: u32,
}

/// Bytes of a type's field in the fixed part of a row.
#[must_use]
pub const fn field_width(data_type: &DataType) -> usize {
    match data_type {
        DataType::Bool => 1,
        DataType::Int32 | DataType::Float32 | DataType::Date => 4,
        DataType::Int64
        | DataType::Float64
        | DataType::Timestamp
        | DataType::String
        | DataType::Binary
        | DataType::List(_)
        | DataType::Vector { .. } => 8,
        DataType::Decimal { .. } => 16,
    }
}

impl Layouts {
    #[must_use]
    pub fn new(schema: Arc<GroupSchema>) -> Arc<Self> {
        let mut offsets = Vec::with_capacity(schema.slots.len() + 1);
        let mut end = 0_u32;
        offsets.push(end);
        for slot in schema.slots.iter() {
            end += field_width(&slot.data_type) as u32;
            offsets.push(end);
        }
        let sizes = (0..=schema.layout.0)
            .map(|number| {
                let slots = schema.slots_of(LayoutNumber(number)).map_or(0, <[Slot]>::len);
                let fixed_start = (HEAD_LENGTH + slots.div_ceil(8)) as u32;
                LayoutSize {
                    slots: slots as u16,
                    fixed_start,
                    heap_start: fixed_start + offsets[slots],
                }
            })
            .collect();
        let mut by_name: Vec<u16> = (0..schema.slots.len() as u16).collect();
        by_name.sort_by(|a, b| {
            schema.slots[usize::from(*a)]
                .name
                .cmp(&schema.slots[usize::from(*b)].name)
        });
        Arc::new(Self {
            schema,
            offsets: offsets.into(),
            sizes,
            by_name: by_name.into(),
        })
    }

    #[must_use]
    pub fn schema(&self) -> &Arc<GroupSchema> {
        &self.schema
    }

    /// All slots, hidden ones included.
    #[must_use]
    pub fn slots(&self) -> &[Slot] {
        &self.schema.slots
    }

    /// Opens a packed row of any layout up to the schema's own.
    ///
    /// # Errors
    /// [`PackedError::NewerLayout`] when the schema must be renewed first; otherwise the bytes are no row of this group.
    pub fn open<'a>(&'a self, row: &'a [u8]) -> Result<RowView<'a>, PackedError> {
        let head = RowHead::read(row)?;
        let size = self
            .sizes
            .get(usize::from(head.layout.0))
            .ok_or(PackedError::NewerLayout {
                found: head.layout,
                known: self.schema.layout,
            })?;
        if row.len() < size.heap_start as usize {
            return Err(PackedError::Corrupt("shorter than its layout"));
        }
        Ok(RowView {
            layouts: self,
            head,
            size: *size,
            row,
        })
    }

    /// The layout that writers use.
    pub(super) fn current(&self) -> LayoutSize {
        self.sizes[usize::from(self.schema.layout.0)]
    }

    pub(super) fn offset(&self, slot: usize) -> usize {
        self.offsets[slot] as usize
    }

    /// Where the newest layout's field of a slot begins in a row.
    pub(crate) fn field_start(&self, slot: usize) -> usize {
        self.current().fixed_start as usize + self.offset(slot)
    }

    /// Where the newest layout's heap begins in a row.
    pub(crate) fn heap_start(&self) -> usize {
        self.current().heap_start as usize
    }

    pub(super) fn by_name(&self) -> impl Iterator<Item = usize> {
        self.by_name.iter().map(|slot| usize::from(*slot))
    }
}
