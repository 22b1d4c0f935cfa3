//! Reads what a plan asks for: one call to the store for all groups, each key of a group once.

use std::{collections::HashMap, time::Instant};

use forebay_model::{Duration, Freshness, Status, Timestamp};
use forebay_rows::{PackedError, RowView};
use forebay_storage::{OnlineAnswer, OnlineRead, OnlineStore, StorageError};

use crate::{
    columns::Sent,
    plan::{Plan, PlanGroup},
};

/// The keys of each group of a plan, ready to be read.
#[derive(Debug)]
pub struct Reads {
    reads: Vec<OnlineRead>,
    /// Of each group, which of its read's keys an entity has; none where a key column is null.
    places: Vec<Vec<Option<u32>>>,
}

/// What a group gave for each entity.
pub struct GroupRows<'a> {
    pub cells: Vec<Cell<'a>>,
    /// Why it could not be read; then every cell's status is ERROR.
    pub failure: Option<StorageError>,
}

/// What a group gave for one entity.
#[derive(Clone, Copy)]
pub struct Cell<'a> {
    /// Present: the row is visible, its features decide.
    pub status: Status,
    /// Of the winning row.
    pub event_time: Option<Timestamp>,
    /// The winning row, if it is visible.
    pub row: Option<RowView<'a>>,
}

impl<'a> Cell<'a> {
    const MISSING: Self = Self {
        status: Status::NotFound,
        event_time: None,
        row: None,
    };
    pub const FAILED: Self = Self {
        status: Status::Error,
        event_time: None,
        row: None,
    };

    fn of(row: RowView<'a>, freshness: Freshness, at: Timestamp) -> Self {
        let head = row.head();
        let status = freshness.status(Some((head.event_time, head.deleted)), at);
        let found = status != Status::NotFound;
        Self {
            status,
            event_time: found.then_some(head.event_time),
            row: (status == Status::Present).then_some(row),
        }
    }
}

impl Reads {
    /// Encodes each entity's key for each group.
    pub fn new(plan: &Plan, sent: &Sent) -> Self {
        let mut reads = Vec::with_capacity(plan.groups.len());
        let mut places = Vec::with_capacity(plan.groups.len());
        for group in &plan.groups {
            let (read, place) = read_of(group, sent);
            reads.push(read);
            places.push(place);
        }
        Self { reads, places }
    }

    /// Asks the store for all of it.
    pub async fn run(&self, plan: &Plan, store: &dyn OnlineStore, deadline: Instant) -> OnlineAnswer {
        let mut answer = OnlineAnswer::default();
        store.read(&self.reads, deadline, &mut answer).await;
        for (index, (group, read)) in plan.groups.iter().zip(&self.reads).enumerate() {
            group.measures.answered(&answer, index, read.len());
        }
        answer
    }

    /// What the `index`th group of the plan means for a reader at `at`.
    pub fn rows<'a>(
        &self,
        plan: &'a Plan,
        answer: &'a OnlineAnswer,
        index: usize,
        at: Timestamp,
        max_age: Option<Duration>,
    ) -> GroupRows<'a> {
        let group = &plan.groups[index];
        let freshness = Freshness::new(group.group.ttl, max_age);
        let cell = |place: &Option<u32>| -> Result<Cell<'a>, StorageError> {
            let Some(place) = place else { return Ok(Cell::MISSING) };
            let Some(row) = answer.row(index, *place as usize).map_err(Clone::clone)? else {
                return Ok(Cell::MISSING);
            };
            let row = group.layouts.open(row).map_err(|error| failure_of(group, &error))?;
            Ok(Cell::of(row, freshness, at))
        };
        let cells = answer
            .outcome(index)
            .map_err(Clone::clone)
            .and_then(|()| self.places[index].iter().map(cell).collect());
        cells.map_or_else(
            |failure| {
                group.measures.errors.increment(1);
                GroupRows {
                    cells: vec![Cell::FAILED; self.places[index].len()],
                    failure: Some(failure),
                }
            },
            |cells| GroupRows { cells, failure: None },
        )
    }
}

fn failure_of(group: &PlanGroup, error: &PackedError) -> StorageError {
    match error {
        PackedError::NewerLayout { found, known } => StorageError::NewerLayout {
            group: group.group.name.clone(),
            found: *found,
            known: *known,
        },
        other => StorageError::corrupt("the online store", format!("a row of {}: {other}", group.group.name)),
    }
}

fn read_of(group: &PlanGroup, sent: &Sent) -> (OnlineRead, Vec<Option<u32>>) {
    let mut read = OnlineRead::new(group.group.schema.clone());
    // Key columns that are all of length 1 name one key, whatever the number of entities.
    let entities = sent.entities;
    let rows = if sent.are_constant(&group.keys) {
        entities.min(1)
    } else {
        entities
    };
    let mut known: HashMap<Vec<u8>, u32> = HashMap::with_capacity(if rows > 1 { rows } else { 0 });
    let mut key = Vec::new();
    let mut places = Vec::with_capacity(entities);
    for row in 0..rows {
        key.clear();
        let place = sent.encode(&group.keys, row, &mut key).then(|| {
            let next = read.len() as u32;
            if rows == 1 {
                read.push(&key);
                return next;
            }
            *known.entry(key.clone()).or_insert_with(|| {
                read.push(&key);
                next
            })
        });
        places.push(place);
    }
    if rows == 1 {
        places.resize(entities, places[0]);
    }
    (read, places)
}
