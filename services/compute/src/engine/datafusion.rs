//! Batch queries within the process.

use async_trait::async_trait;
use datafusion::{error::DataFusionError, physical_plan::stream::RecordBatchStreamAdapter};
use forebay_query::{BatchQuery, Engine, QueryError};
use forebay_sql::group_schema;
use futures::{StreamExt, TryStreamExt};

use super::{BatchEngine, Computed, Target};

#[async_trait]
impl BatchEngine for Engine {
    async fn compute(&self, query: &BatchQuery, target: Target) -> Result<Computed, QueryError> {
        let Target {
            schema,
            leaves_out_known,
            conform,
        } = target;
        // Opened first, so that what others write meanwhile is compared by the run after this.
        let history = match leaves_out_known {
            true => Some(self.history_of(&schema, None).await?),
            false => None,
        };
        let answer = self.run_batch(query).await?;
        let columns = group_schema(
            schema.keys.iter().map(|key| (key.name.as_str(), key.key_type.into())),
            schema
                .visible()
                .map(|(_, slot)| (slot.name.as_str(), slot.data_type.clone())),
        );
        let conformed = answer
            .rows
            .map(move |batch| conform(&batch?).map_err(DataFusionError::External));
        let conformed = Box::pin(RecordBatchStreamAdapter::new(columns, conformed));
        let rows = self.unseen_rows(conformed, &schema, history)?;
        Ok(Computed {
            rows: rows.map_err(|error| Box::new(error) as _).boxed(),
            versions: answer.versions,
        })
    }
}
