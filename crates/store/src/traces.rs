//! What leads to the processes of a run after a crash, added to its row while
//! it goes on. Never reads a trace's meaning.

use jobcell_model::ExecutionId;
use redb::ReadableTable;

use crate::error::FinishError;
use crate::places;
use crate::rows;
use crate::tables::WriteTables;
use crate::writer::{Change, Operation, Stop};

/// Adds a trace to the row of a run that goes on.
pub(crate) struct AddTrace {
    pub(crate) execution_id: ExecutionId,
    pub(crate) trace: String,
}

impl Operation for AddTrace {
    type Reply = ();
    type Error = FinishError;

    fn apply(&self, tables: &mut WriteTables<'_>) -> Result<Change<()>, Stop<FinishError>> {
        let execution_id = self.execution_id;
        let row = tables.history()?.get(execution_id.as_bytes())?;
        let run = row.map(|row| rows::decode_execution(execution_id, row.value()));
        let Some(mut run) = run.transpose()? else {
            return Err(Stop::Refused(FinishError::NotOpen { execution_id }));
        };
        if !places::open(tables).holds(&run)? {
            return Err(Stop::Refused(FinishError::NotOpen { execution_id }));
        }
        // A commit that is reported as failed may have reached the disk.
        if run.processes.traces.contains(&self.trace) {
            return Ok(Change::Made(()));
        }
        run.processes.traces.push(self.trace.clone());
        let row = rows::encode_execution(&run)?;
        tables
            .history()?
            .insert(execution_id.as_bytes(), row.as_slice())?;
        Ok(Change::Made(()))
    }

    fn needs_room(&self) -> bool {
        true
    }
}
