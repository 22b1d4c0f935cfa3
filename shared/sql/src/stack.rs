//! Deep syntax trees are walked by recursion, by the parser's crate and the planner's; a caller's thread may be small.

use crate::{ErrorKind, SqlError};

/// Of virtual memory; only what is touched is taken. A chain of operators is as deep as it is long until it is refused.
const STACK: usize = 256 << 20;

/// Runs `work` on a thread of its own with a large stack, and waits for it.
pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> Result<T, SqlError> + Send) -> Result<T, SqlError> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("sql-planner".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, work);
        match thread.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => Err(SqlError::new(
                ErrorKind::Invalid,
                format!("the SQL cannot be planned, because no thread can be started: {error}"),
            )),
        }
    })
}
