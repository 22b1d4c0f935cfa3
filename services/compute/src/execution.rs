//! One attempt at one task: a group's query over an interval, written to the group's store.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use forebay_catalog::{Group, Snapshot};
use forebay_model::{GroupName, Timestamp};
use forebay_query::BatchQuery;
use forebay_storage::TableVersion;
use uuid::Uuid;

use crate::{
    Compute,
    changes::News,
    conform::{Conformer, Counts},
    engine::Target,
    failure::Failure,
    marks::{Seen, fingerprint},
    reads::{Read, Reads},
    record::Span,
    runner::lost,
    writer,
};

/// `{{ start }}` of a run over the whole past: 0001-01-01T00:00:00Z, which every engine can write.
const BEGINNING: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);

/// How long a task waits for the definitions that its run was planned with.
const CATALOG: Duration = Duration::from_secs(10);

/// What a task is to do.
pub(crate) struct Job {
    pub run: Uuid,
    pub group: GroupName,
    pub span: Span,
    /// The run was planned with it.
    pub registry_revision: u64,
    /// The versions that this run's other tasks wrote, of the groups that this one reads.
    pub upstream: BTreeMap<GroupName, TableVersion>,
}

/// What a task has done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub start: Option<Timestamp>,
    pub end: Option<Timestamp>,
    pub rows_read: Option<u64>,
    pub rows_written: Option<u64>,
    pub rows_ahead: u64,
    pub rows_rejected: u64,
    pub warnings: Vec<String>,
    /// By source or group, as definitions call them.
    pub versions_read: BTreeMap<String, TableVersion>,
    pub version_written: Option<TableVersion>,
}

/// An interval that was decided on.
struct Interval {
    start: Option<Timestamp>,
    end: Timestamp,
    /// The versions to read, where they are decided on already.
    versions: BTreeMap<String, TableVersion>,
}

impl Compute {
    pub async fn execute(&self, job: &Job) -> Result<Done, Failure> {
        let snapshot = self
            .catalog
            .wait_for(job.registry_revision, CATALOG)
            .await
            .map_err(|error| Failure::passing(error.to_string()))?;
        let group = Arc::clone(
            snapshot
                .ready_group(&job.group)
                .map_err(|error| Failure::passing(error.to_string()))?,
        );
        // Two runs of one group at once would each write what the other is about to.
        let lease = self.leases.acquire(&format!("compute/{}", group.schema.id.0)).await?;
        tokio::select! {
            done = self.execute_alone(job, &snapshot, group) => done,
            () = lost(&*lease) => Err(Failure::passing("the lease of the group was lost")),
        }
    }

    async fn execute_alone(&self, job: &Job, snapshot: &Snapshot, group: Arc<Group>) -> Result<Done, Failure> {
        if let Some(done) = self.already_committed(job, &group).await? {
            return Ok(done);
        }
        let reads = Reads::of(&group, snapshot)?;
        match self.interval(job, &group, &reads).await? {
            Some(interval) => self.compute(job, snapshot, &group, &reads, interval).await,
            None => Ok(Done {
                rows_read: Some(0),
                rows_written: Some(0),
                ..Done::default()
            }),
        }
    }

    /// A task whose commit stands has nothing left to do, whatever became of the process that made it.
    async fn already_committed(&self, job: &Job, group: &Arc<Group>) -> Result<Option<Done>, Failure> {
        if !group.has_history() {
            return Ok(None);
        }
        if !self.offline.committed_run(&group.schema, &job.run.to_string()).await? {
            return Ok(None);
        }
        Ok(Some(Done {
            version_written: Some(self.offline.version(&group.schema).await?),
            ..Done::default()
        }))
    }

    async fn interval(&self, job: &Job, group: &Arc<Group>, reads: &Reads) -> Result<Option<Interval>, Failure> {
        let pinned = |versions: BTreeMap<String, TableVersion>| -> BTreeMap<String, TableVersion> {
            let upstream = job.upstream.iter().map(|(name, version)| (name.to_string(), *version));
            versions.into_iter().chain(upstream).collect()
        };
        match job.span {
            Span::Fixed { start, end } => Ok(Some(Interval {
                start,
                end,
                versions: pinned(BTreeMap::new()),
            })),
            Span::SinceLast { end } => {
                let covered = self.marks.covered(group.schema.id).await?;
                Ok(Some(Interval {
                    start: covered.filter(|covered| reads.sql.uses_interval() && *covered < end),
                    end,
                    versions: pinned(BTreeMap::new()),
                }))
            }
            Span::Changes => {
                let seen = self.marks.seen(group.schema.id).await?;
                let (news, versions) = self.news(group, reads, seen.as_ref(), &job.upstream).await?;
                if news == News::Nothing {
                    return Ok(None);
                }
                let (start, end) = self.widened(group, reads, news).await?;
                Ok(Some(Interval { start, end, versions }))
            }
        }
    }

    /// What of the tables that a group reads is new to it, and the versions up to which that holds.
    pub async fn news(
        &self,
        group: &Group,
        reads: &Reads,
        seen: Option<&Seen>,
        upstream: &BTreeMap<GroupName, TableVersion>,
    ) -> Result<(News, BTreeMap<String, TableVersion>), Failure> {
        let seen = seen.filter(|seen| seen.fingerprint == fingerprint(group));
        let mut news = News::Nothing;
        let mut versions = BTreeMap::new();
        for read in &reads.tables {
            let key = read.key();
            let since = seen.and_then(|seen| seen.versions.get(&key).copied());
            let Some(newest) = self.changes.refresh(read, since).await? else {
                continue;
            };
            let to = match read {
                Read::Group(group) => upstream.get(&group.name).copied().unwrap_or(newest),
                Read::Source { .. } => newest,
            };
            news = news.and(self.changes.news(read, since, to));
            versions.insert(key, to);
        }
        Ok((news, versions))
    }

    /// The interval that what is new asks for.
    async fn widened(
        &self,
        group: &Group,
        reads: &Reads,
        news: News,
    ) -> Result<(Option<Timestamp>, Timestamp), Failure> {
        let now = self.clock.now();
        let News::Range(from, to) = news else {
            return Ok((None, now));
        };
        if !reads.sql.uses_interval() {
            return Ok((None, now));
        }
        let tables = reads.schemas(&*self.sources).await?;
        let plan = reads
            .sql
            .plan(&tables)
            .map_err(|error| Failure::lasting(error.to_string()))?;
        let gives_event_time = plan.lineage().column("event_time").is_some();
        // An input's row stands until the next one, and rows without a time of their own are of the end of the interval.
        if reads.has_inputs || !gives_event_time {
            return Ok((Some(from), now));
        }
        let after = Timestamp::from_micros(to.micros().saturating_add(1));
        let end = plan.look_back().map_or(after, |back| after.saturating_add(back));
        tracing::debug!(group = %group.name, "an interval follows from what was added");
        Ok((Some(from), end.min(now).max(after)))
    }

    async fn compute(
        &self,
        job: &Job,
        snapshot: &Snapshot,
        group: &Arc<Group>,
        reads: &Reads,
        interval: Interval,
    ) -> Result<Done, Failure> {
        let counts = Arc::new(Counts::default());
        let conformer = Conformer::new(group, interval.end, self.clock.now(), Arc::clone(&counts));
        let target = Target {
            schema: Arc::clone(&group.schema),
            leaves_out_known: group.has_history(),
            conform: Arc::new(move |batch| Ok(conformer.conform(batch)?)),
        };
        let query = BatchQuery {
            sql: reads.sql.clone(),
            start: interval.start.unwrap_or(BEGINNING),
            end: interval.end,
            tables: reads.batch_tables(&interval.versions),
        };
        let computed = self.engine.compute(&query, target).await?;
        let ingest_time = self.ingest_time(group).await?;
        let (rows_written, version_written) = if group.has_history() {
            let run = job.run.to_string();
            let committed = writer::commit(&*self.offline, &group.schema, &run, computed.rows, ingest_time).await?;
            (
                committed.map_or(0, |committed| committed.rows),
                committed.map(|committed| committed.version),
            )
        } else {
            let written = AtomicU64::new(0);
            writer::log(
                &*self.row_log,
                &group.schema,
                job.run,
                computed.rows,
                ingest_time,
                &written,
            )
            .await?;
            (written.into_inner(), None)
        };
        self.remember(job, group, reads, &interval, &computed.versions).await?;
        let names = reads.tables.iter().filter_map(|read| {
            let version = computed.versions.get(&read.key())?;
            Some((read.name(), *version))
        });
        let reasons = counts.reasons.lock();
        tracing::info!(group = %group.name, run = %job.run, revision = snapshot.revision(), rows_written, "a group was computed");
        Ok(Done {
            start: interval.start,
            end: Some(interval.end),
            rows_read: Some(counts.read.load(Ordering::Relaxed)),
            rows_written: Some(rows_written),
            rows_ahead: counts.ahead.load(Ordering::Relaxed),
            rows_rejected: counts.rejected.load(Ordering::Relaxed),
            warnings: reasons
                .iter()
                .map(|(reason, rows)| format!("{reason}: {rows} rows are not"))
                .collect(),
            versions_read: names.collect(),
            version_written,
        })
    }

    /// Notes up to where the group is computed, if nothing behind that is left out.
    async fn remember(
        &self,
        job: &Job,
        group: &Group,
        reads: &Reads,
        interval: &Interval,
        versions: &BTreeMap<String, TableVersion>,
    ) -> Result<(), Failure> {
        let id = group.schema.id;
        let now = self.clock.now();
        let is_whole = interval.start.is_none() || !reads.sql.uses_interval();
        // A query that reads its interval may have left out what came after its end.
        if matches!(job.span, Span::Changes) || !reads.sql.uses_interval() {
            let seen = Seen {
                fingerprint: fingerprint(group),
                versions: versions.clone(),
            };
            self.marks.set_seen(id, &seen).await?;
        }
        if is_whole || matches!(job.span, Span::SinceLast { .. }) {
            let covered = self.marks.covered(id).await?;
            if covered.is_none_or(|covered| covered < interval.end) {
                self.marks.set_covered(id, interval.end).await?;
            }
        }
        self.marks.set_succeeded(id, now).await?;
        Ok(())
    }

    /// A time later than that of every run before, also when the machine's clock was put back: it decides between rows of one event
    /// time.
    async fn ingest_time(&self, group: &Group) -> Result<Timestamp, Failure> {
        let id = group.schema.id;
        let last = self.marks.ingested(id).await?;
        let next = last.map_or(i64::MIN, |last| last.micros().saturating_add(1));
        let time = Timestamp::from_micros(self.clock.now().micros().max(next));
        self.marks.set_ingested(id, time).await?;
        Ok(time)
    }
}
