//! Small state in one LMDB environment of its own, so that it never waits for a merge of rows: the registry, runs, claims.
//!
//! Writes that arrive together are one transaction and one sync, each in a nested transaction of its own.

mod claims;
mod registry;
mod runs;

use std::{path::Path, sync::Arc};

use forebay_storage::{Result, StorageError};
use heed::{
    CommitOrAbort, Database, Env, RoTxn, RwTxn,
    byteorder::BE,
    types::{Bytes, Str, U64},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

pub use self::{claims::EmbeddedClaimStore, registry::EmbeddedRegistryStore, runs::EmbeddedRunStore};
use crate::{directory::DirectoryLock, group_commit::GroupCommit, lmdb};

const WHAT: &str = "state store";

/// The most it can ever hold; only what is used takes space.
const MAP_BYTES: usize = 64 << 30;

/// Writes that may wait.
const WAITING_WRITES: usize = 10_000;

type Table = Database<'static, Bytes, Bytes>;

/// The tables; keys are told where they are used.
#[derive(Clone, Copy)]
pub(crate) struct Tables {
    objects: Table,
    /// The heads, by registry revision, as JSON; the last one is the head.
    heads: Database<'static, U64<BE>, Bytes>,
    runs: Table,
    unfinished: Table,
    marks: Database<'static, Str, Str>,
    claims: Table,
    claims_by_time: Table,
}

pub(crate) struct State {
    env: Env,
    tables: Tables,
    writes: Arc<GroupCommit<Write>>,
    /// Kept until the last store that uses it is gone.
    _lock: Arc<DirectoryLock>,
}

/// A write, and what is to be done with it once it is committed or not.
type Write = Box<dyn FnOnce(&Env, &mut RwTxn<'_>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

impl State {
    pub(crate) fn open(folder: &Path, lock: Arc<DirectoryLock>) -> Result<Arc<Self>> {
        let env = lmdb::open(WHAT, folder, MAP_BYTES, 8)?;
        let write = env.write_txn().map_err(failed)?;
        let tables = env.create_databases_and_commit(write, |opener, write| {
            let objects = opener.create_database::<Bytes, Bytes>(write, Some("objects"))?;
            let heads = opener.create_database::<U64<BE>, Bytes>(write, Some("heads"))?;
            let runs = opener.create_database::<Bytes, Bytes>(write, Some("runs"))?;
            let unfinished = opener.create_database::<Bytes, Bytes>(write, Some("unfinished"))?;
            let marks = opener.create_database::<Str, Str>(write, Some("marks"))?;
            let claims = opener.create_database::<Bytes, Bytes>(write, Some("claims"))?;
            let by_time = opener.create_database::<Bytes, Bytes>(write, Some("claims_by_time"))?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((
                objects, heads, runs, unfinished, marks, claims, by_time,
            )))
        });
        let (objects, heads, runs, unfinished, marks, claims, claims_by_time) = tables
            .map_err(failed)?
            .commit()
            .ok_or(StorageError::Closed { what: WHAT })?;
        Ok(Arc::new(Self {
            env,
            tables: Tables {
                objects,
                heads,
                runs,
                unfinished,
                marks,
                claims,
                claims_by_time,
            },
            writes: Arc::new(GroupCommit::new(WHAT, WAITING_WRITES)),
            _lock: lock,
        }))
    }

    /// Reads in one snapshot.
    fn read<T>(&self, work: impl FnOnce(&Tables, &RoTxn<'_>) -> Result<T>) -> Result<T> {
        let snapshot = self.env.read_txn().map_err(failed)?;
        work(&self.tables, &snapshot)
    }

    /// Does work in a transaction, alone with it; what it returns is handed out when it is durable. Work that fails leaves nothing behind.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tables, &mut RwTxn<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, answer) = oneshot::channel();
        let tables = self.tables;
        let write: Write = Box::new(move |env, transaction| {
            let result = (|| {
                let mut nested = env.nested_write_txn(transaction).map_err(failed)?;
                let result = work(&tables, &mut nested)?;
                nested.commit().map_err(failed)?;
                Ok(result)
            })();
            Box::new(move |committed| {
                // Whoever asked may have gone; the write stays.
                let _ = sender.send(committed.and(result));
            })
        });
        let env = self.env.clone();
        self.writes.submit(write, 1, move |writes| commit(&env, writes))?;
        answer.await.map_err(|_| StorageError::Closed { what: WHAT })?
    }
}

/// Does all writes in one transaction and answers them.
fn commit(env: &Env, writes: Vec<Write>) {
    let mut answers: Vec<Answer> = Vec::with_capacity(writes.len());
    let committed = env.write_txn().and_then(|mut transaction| {
        for write in writes {
            answers.push(write(env, &mut transaction));
        }
        transaction.commit()
    });
    let committed = committed.map_err(|error| lmdb::commit_failed(WHAT, env, error));
    for answer in answers {
        answer(committed.clone());
    }
}

fn failed(error: heed::Error) -> StorageError {
    lmdb::failed(WHAT, error)
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| StorageError::corrupt(WHAT, error.to_string()))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| StorageError::corrupt(WHAT, error.to_string()))
}
