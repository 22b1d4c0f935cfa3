//! A program of its own over the driver: the same statements on the same table, values in a struct.

use futures::{StreamExt, TryStreamExt, stream};
use scylla::{
    DeserializeValue, SerializeValue,
    client::{PoolSize, session::Session, session_builder::SessionBuilder},
    statement::{Consistency, prepared::PreparedStatement},
};

use crate::data::{FEATURES, Row};

macro_rules! row_type {
    ($($feature:ident),*) => {
        /// The row's user type, by field name.
        #[derive(SerializeValue, DeserializeValue)]
        struct Cell {
            #[scylla(rename = "_sequence")]
            sequence: i64,
            #[scylla(rename = "_hash")]
            hash: i64,
            #[scylla(rename = "_ingest_time")]
            ingest_time: i64,
            #[scylla(rename = "_deleted")]
            deleted: bool,
            $($feature: Option<f64>),*
        }

        impl Cell {
            fn of(row: &Row) -> Self {
                let [$($feature),*] = row.features;
                Self {
                    sequence: row.sequence,
                    hash: 0,
                    ingest_time: row.event_time,
                    deleted: false,
                    $($feature: Some($feature)),*
                }
            }

            fn features(&self) -> [f64; FEATURES] {
                [$(self.$feature.unwrap_or_default()),*]
            }
        }
    };
}

row_type!(
    f0, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19
);

pub struct Bare {
    session: Session,
    upsert: PreparedStatement,
    select: PreparedStatement,
}

impl Bare {
    pub async fn connect(contact_point: &str, table: &str, connections: usize) -> Self {
        let session = SessionBuilder::new()
            .known_node(contact_point)
            .pool_size(PoolSize::PerShard(connections.try_into().expect("not zero")))
            .build()
            .await
            .expect("connected");
        let prepare = async |cql: String| {
            let mut statement = session.prepare(cql).await.expect("prepared");
            statement.set_consistency(Consistency::LocalQuorum);
            statement.set_is_idempotent(true);
            statement
        };
        let upsert = prepare(format!(
            "UPDATE {table} USING TIMESTAMP ? SET \"_row\" = ? WHERE \"product_id\" = ?"
        ))
        .await;
        let select = prepare(format!(
            "SELECT \"_row\", writetime(\"_row\") FROM {table} WHERE \"product_id\" = ?"
        ))
        .await;
        Self {
            session,
            upsert,
            select,
        }
    }

    pub async fn write(&self, rows: &[Row], at_once: usize) {
        stream::iter(0..rows.len())
            .map(|index| async move {
                let row = &rows[index];
                self.session
                    .execute_unpaged(&self.upsert, (row.event_time, Cell::of(row), row.id))
                    .await
            })
            .buffer_unordered(at_once)
            .try_for_each(|_| async { Ok(()) })
            .await
            .expect("written");
    }

    pub async fn read(&self, ids: &[i64], at_once: usize) -> Vec<Option<Row>> {
        stream::iter(0..ids.len())
            .map(|index| self.read_one(ids[index]))
            .buffered(at_once)
            .collect()
            .await
    }

    async fn read_one(&self, id: i64) -> Option<Row> {
        let result = self.session.execute_unpaged(&self.select, (id,)).await.expect("read");
        let rows = result.into_rows_result().expect("rows");
        let row: Option<(Cell, i64)> = rows.maybe_first_row().expect("a row");
        row.map(|(cell, event_time)| Row {
            id,
            event_time,
            sequence: cell.sequence,
            features: cell.features(),
        })
    }
}
