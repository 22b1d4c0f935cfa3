use std::{ops::Bound, sync::Arc};

use async_trait::async_trait;
use forebay_storage::{Result, RunStore, Saved, StoredRun};
use uuid::Uuid;

use super::{State, failed, from_json, to_json};

/// Runs by id, which is by creation; those that are not finished are listed beside them.
pub struct EmbeddedRunStore(pub(crate) Arc<State>);

#[async_trait]
impl RunStore for EmbeddedRunStore {
    async fn save(&self, run: &StoredRun) -> Result<Saved> {
        let (run, json) = (run.clone(), to_json(run)?);
        self.0
            .write(move |tables, write| {
                let id = run.id.as_bytes().as_slice();
                let stored: Option<StoredRun> =
                    tables.runs.get(write, id).map_err(failed)?.map(from_json).transpose()?;
                if stored.map_or(0, |stored| stored.version) + 1 != run.version {
                    return Ok(Saved::Conflict);
                }
                tables.runs.put(write, id, &json).map_err(failed)?;
                if run.finished {
                    tables.unfinished.delete(write, id).map_err(failed)?;
                } else {
                    tables.unfinished.put(write, id, &[]).map_err(failed)?;
                }
                Ok(Saved::Done)
            })
            .await
    }

    async fn get(&self, id: Uuid) -> Result<Option<StoredRun>> {
        self.0.read(|tables, snapshot| {
            let json = tables.runs.get(snapshot, id.as_bytes()).map_err(failed)?;
            json.map(from_json).transpose()
        })
    }

    async fn list(&self, before: Option<Uuid>, limit: usize) -> Result<Vec<StoredRun>> {
        self.0.read(|tables, snapshot| {
            let end = before.map_or(Bound::Unbounded, |id| Bound::Excluded(id.into_bytes()));
            let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, end.as_ref().map(|id| id.as_slice()));
            let runs = tables.runs.rev_range(snapshot, &range).map_err(failed)?;
            runs.take(limit).map(|run| from_json(run.map_err(failed)?.1)).collect()
        })
    }

    async fn unfinished(&self) -> Result<Vec<StoredRun>> {
        self.0.read(|tables, snapshot| {
            let mut runs = Vec::new();
            for id in tables.unfinished.iter(snapshot).map_err(failed)? {
                let json = tables.runs.get(snapshot, id.map_err(failed)?.0).map_err(failed)?;
                runs.extend(json.map(from_json).transpose()?);
            }
            Ok(runs)
        })
    }

    async fn remove_finished(&self, before: Uuid) -> Result<u64> {
        self.0
            .write(move |tables, write| {
                let mut old = Vec::new();
                let end = before.into_bytes();
                let range: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Excluded(&end));
                for run in tables.runs.range(write, &range).map_err(failed)? {
                    let (id, json) = run.map_err(failed)?;
                    if from_json::<StoredRun>(json)?.finished {
                        old.push(id.to_vec());
                    }
                }
                for id in &old {
                    tables.runs.delete(write, id).map_err(failed)?;
                }
                Ok(old.len() as u64)
            })
            .await
    }

    async fn mark(&self, name: &str) -> Result<Option<String>> {
        self.0.read(|tables, snapshot| {
            let mark = tables.marks.get(snapshot, name).map_err(failed)?;
            Ok(mark.map(str::to_owned))
        })
    }

    async fn set_mark(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.0
            .write(move |tables, write| tables.marks.put(write, &name, &value).map_err(failed))
            .await
    }
}
