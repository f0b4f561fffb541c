//! Closes what an earlier process left running. Runs before anything else may
//! start, so no run of this process can be among them.

use jobcell_model::{RunOutput, RunState};
use jobcell_store::{Finish, FinishError, StorageError};

use crate::Shared;

/// Records every run that was going on as interrupted.
pub(crate) async fn close_interrupted(shared: &Shared) -> Result<(), StorageError> {
    let open = shared.store.open_executions().await?;
    if open.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        runs = open.len(),
        "closing runs that were going on when the server ended"
    );
    let now = shared.clock.now();
    let mut writes = tokio::task::JoinSet::new();
    for mut execution in open {
        execution.status = RunState::Interrupted;
        execution.end_time = Some(now.max(execution.start_time));
        execution.error_code = Some("interrupted".to_owned());
        execution.error_message = Some("the server ended while this run was going on".to_owned());
        let store = std::sync::Arc::clone(&shared.store);
        let finish = Finish {
            execution,
            output: RunOutput::default(),
        };
        // Side by side, so that they share commits.
        writes.spawn(async move { store.finish_run(finish).await });
    }
    while let Some(written) = writes.join_next().await {
        match written {
            Ok(Ok(()) | Err(FinishError::NotOpen { .. })) => {}
            Ok(Err(FinishError::Storage(error))) => return Err(error),
            Err(_) => return Err(StorageError::Closed),
        }
    }
    Ok(())
}
