//! What everything in a process is made with.

use std::path::Path;
use std::sync::Arc;

use forebay_model::{Clock, SystemClock};
use forebay_server::Starting;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::backend_error::BackendError;
use crate::scratch::Scratch;

/// One process from its start to its end.
pub struct Process {
    /// Told what is waited for.
    pub starting: Starting,
    /// Where work runs that takes long.
    pub work: Handle,
    pub clock: Arc<dyn Clock>,
    /// This process, another one after each start.
    pub id: Uuid,
    scratch: OnceCell<Scratch>,
}

impl Process {
    pub(crate) fn new(work: Handle) -> Self {
        Process {
            starting: Starting::default(),
            work,
            clock: Arc::new(SystemClock),
            id: Uuid::new_v4(),
            scratch: OnceCell::new(),
        }
    }

    /// The folder of what this process spills, in its data directory. It goes when the process has drained.
    ///
    /// # Errors
    /// When the data directory cannot be written.
    pub async fn scratch(&self, data_dir: &Path) -> Result<&Path, BackendError> {
        let folder = data_dir.join("spill");
        let open = async || {
            Scratch::open(&folder).map_err(|source| BackendError::Scratch {
                folder: folder.clone(),
                source,
            })
        };
        self.scratch.get_or_try_init(open).await.map(Scratch::folder)
    }
}
