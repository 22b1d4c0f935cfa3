//! One session for all stores: statements by their text, and what comes back.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use forebay_storage::{Result, StorageError};
use parking_lot::RwLock;
use scylla::{
    client::{execution_profile::ExecutionProfileHandle, session::Session},
    deserialize::row::{ColumnIterator, DeserializeRow},
    errors::ExecutionError,
    policies::retry::FallthroughRetryPolicy,
    response::query_result::QueryResult,
    serialize::row::SerializeRow,
    statement::{Consistency, SerialConsistency, Statement as Cql, prepared::PreparedStatement},
};

use crate::{
    config::{CassandraConfig, ConnectError},
    connect,
    failure::{failed, prepare_is_invalid, unprepared},
};

/// The session and the keyspace that everything is in.
pub(crate) struct Cluster {
    pub session: Session,
    pub keyspace: String,
    serial_read: Consistency,
    serial_consistency: SerialConsistency,
    pub request_timeout: Duration,
    schema_timeout: Duration,
    speculative: Option<ExecutionProfileHandle>,
    statements: RwLock<HashMap<&'static str, Arc<PreparedStatement>>>,
}

/// How a statement is run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    SerialRead,
    Write,
    Transaction,
}

/// A statement about the fixed tables: `{}` stands for the keyspace, which every table is qualified with.
pub(crate) struct Statement {
    what: &'static str,
    cql: &'static str,
    kind: Kind,
}

impl Statement {
    pub(crate) const fn read(what: &'static str, cql: &'static str) -> Self {
        Self::of(what, cql, Kind::Read)
    }

    /// A read that sees every lightweight transaction that was decided.
    pub(crate) const fn serial_read(what: &'static str, cql: &'static str) -> Self {
        Self::of(what, cql, Kind::SerialRead)
    }

    /// A write that may be repeated.
    pub(crate) const fn write(what: &'static str, cql: &'static str) -> Self {
        Self::of(what, cql, Kind::Write)
    }

    /// A lightweight transaction. It is never repeated by the driver, since it may have been applied.
    pub(crate) const fn transaction(what: &'static str, cql: &'static str) -> Self {
        Self::of(what, cql, Kind::Transaction)
    }

    const fn of(what: &'static str, cql: &'static str, kind: Kind) -> Self {
        Self { what, cql, kind }
    }
}

/// The first pause between two attempts of a transaction that others are in the way of, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

impl Cluster {
    pub(crate) async fn connect(config: &CassandraConfig, keyspace: String) -> Result<Self, ConnectError> {
        let session = connect::session(config, &keyspace).await?;
        Ok(Self {
            session,
            keyspace,
            serial_read: connect::serial_read(config.serial_consistency),
            serial_consistency: connect::serial_consistency(config.serial_consistency),
            request_timeout: config.request_timeout(),
            schema_timeout: config.schema_timeout(),
            speculative: connect::speculative(config),
            statements: RwLock::default(),
        })
    }

    /// The profile of point reads that may be sent to another replica too, if there is one: a timer for each read costs processor time.
    pub(crate) fn speculative(&self) -> Option<ExecutionProfileHandle> {
        let nodes = self.session.get_cluster_state().get_nodes_info().len();
        self.speculative.clone().filter(|_| nodes > 1)
    }

    /// The text of a statement about a table of this keyspace.
    pub(crate) fn qualified(&self, cql: &str) -> String {
        cql.replace("{}", &self.keyspace)
    }

    async fn prepared(&self, statement: &Statement) -> Result<Arc<PreparedStatement>> {
        if let Some(prepared) = self.statements.read().get(statement.cql) {
            return Ok(prepared.clone());
        }
        let prepared = self.session.prepare(self.qualified(statement.cql));
        let mut prepared = tokio::time::timeout(self.request_timeout, prepared)
            .await
            .map_err(|_| StorageError::TimedOut { what: statement.what })?
            .map_err(|error| unprepared(statement.what, error))?;
        prepared.set_use_cached_result_metadata(false);
        match statement.kind {
            Kind::Read | Kind::Write => prepared.set_is_idempotent(true),
            Kind::SerialRead => {
                prepared.set_is_idempotent(true);
                prepared.set_consistency(self.serial_read);
            }
            Kind::Transaction => {
                prepared.set_is_idempotent(false);
                prepared.set_serial_consistency(Some(self.serial_consistency));
                prepared.set_retry_policy(Some(Arc::new(FallthroughRetryPolicy::new())));
            }
        }
        let prepared = Arc::new(prepared);
        self.statements.write().insert(statement.cql, prepared.clone());
        Ok(prepared)
    }

    /// Whether the server says that there is nothing that a statement could be about.
    pub(crate) async fn is_missing(&self, statement: &Statement) -> bool {
        let prepared = self.session.prepare(self.qualified(statement.cql)).await;
        prepared.is_err_and(|error| prepare_is_invalid(&error))
    }

    pub(crate) async fn run(&self, statement: &Statement, values: impl SerializeRow) -> Result<QueryResult> {
        let prepared = self.prepared(statement).await?;
        self.session
            .execute_unpaged(&prepared, values)
            .await
            .map_err(|error| failed(statement.what, error))
    }

    /// All rows of a read, in memory at once: for reads with a bound.
    pub(crate) async fn rows<R>(&self, statement: &Statement, values: impl SerializeRow) -> Result<Vec<R>>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        let corrupt = |error: &dyn std::fmt::Display| StorageError::corrupt(statement.what, error.to_string());
        let result = self.run(statement, values).await?;
        let rows = result.into_rows_result().map_err(|error| corrupt(&error))?;
        rows.rows::<R>()
            .map_err(|error| corrupt(&error))?
            .collect::<Result<_, _>>()
            .map_err(|error| corrupt(&error))
    }

    /// The row of a read that finds one at most.
    pub(crate) async fn row<R>(&self, statement: &Statement, values: impl SerializeRow) -> Result<Option<R>>
    where
        R: for<'frame> DeserializeRow<'frame, 'frame>,
    {
        Ok(self.rows(statement, values).await?.pop())
    }

    /// Runs a lightweight transaction once: whether it was applied. After an error it may have been; see [`Attempts`].
    pub(crate) async fn transact(&self, statement: &Statement, values: impl SerializeRow) -> Result<bool> {
        let result = self.run(statement, values).await?;
        was_applied(statement.what, result)
    }

    /// For a lightweight transaction whose outcome must be known.
    pub(crate) fn attempts(&self, what: &'static str) -> Attempts {
        Attempts {
            what,
            deadline: Instant::now() + 2 * self.request_timeout,
            pause: FIRST_PAUSE,
        }
    }

    /// Changes tables or types, and returns once all nodes agree.
    pub(crate) async fn change(&self, cql: String) -> Result<(), ExecutionError> {
        let mut cql = Cql::new(cql);
        cql.set_request_timeout(Some(self.schema_timeout));
        self.session.query_unpaged(cql, ()).await?;
        Ok(())
    }
}

/// The attempts of one lightweight transaction. One that was not applied, or may not have been, is followed by a serial read of what became of it: that
/// settles what is half done, now or never. If it says that the transaction did not happen and nothing stands against it, or if it cannot tell, there may be
/// another attempt: each is conditioned on what was there before the first, so that no more than one of them is applied, and what it writes names its writer.
pub(crate) struct Attempts {
    what: &'static str,
    deadline: Instant,
    pause: Duration,
}

impl Attempts {
    /// Waits until the next attempt, given what the last one brought, or the read after it.
    ///
    /// # Errors
    /// That of the last attempt, when there is no more time, or the cluster is not there.
    pub(crate) async fn again<T>(&mut self, last: Result<T>) -> Result<()> {
        let error = last.err().unwrap_or(StorageError::TimedOut { what: self.what });
        if Instant::now() >= self.deadline || !matches!(error, StorageError::TimedOut { .. }) {
            return Err(error);
        }
        tokio::time::sleep(jittered(self.pause)).await;
        self.pause = (2 * self.pause).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// From a half of it to one and a half, so that those who wait for the same do not come at the same time.
pub(crate) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + rand::random::<f64>())
}

/// Whether a transaction was applied: the first column says so. It is the only one when it was, with Cassandra; those of the row that was in the way follow
/// when it was not.
fn was_applied(what: &'static str, result: QueryResult) -> Result<bool> {
    let corrupt = |error: &dyn std::fmt::Display| StorageError::corrupt(what, error.to_string());
    let rows = result.into_rows_result().map_err(|error| corrupt(&error))?;
    let mut row = rows.first_row::<ColumnIterator>().map_err(|error| corrupt(&error))?;
    let column = row
        .next()
        .ok_or_else(|| corrupt(&"a transaction has no outcome"))?
        .map_err(|error| corrupt(&error))?;
    Ok(column.slice.is_some_and(|applied| applied.as_slice() == [1]))
}
