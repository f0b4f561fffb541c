//! The job types that can run: one plugin for each, found by name without case.
//! Never loads a plugin itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use jobcell_model::{Execution, JobTypeSchema};
use jobcell_plugin_host::Plugin;

/// Two plugins that can't live together.
#[derive(Debug, thiserror::Error)]
#[error("two plugins carry out the job type `{name}`")]
pub struct JobTypesError {
    /// The name that both claim.
    pub name: String,
}

/// The installed job types. Cheap to clone.
#[derive(Clone, Default)]
pub struct JobTypes {
    plugins: Arc<BTreeMap<String, Plugin>>,
    schemas: Arc<Vec<JobTypeSchema>>,
}

impl JobTypes {
    /// The job types of these plugins.
    ///
    /// # Errors
    /// When two claim one name.
    pub fn new(plugins: impl IntoIterator<Item = Plugin>) -> Result<Self, JobTypesError> {
        let mut by_name = BTreeMap::new();
        let mut schemas = Vec::new();
        for plugin in plugins {
            let description = plugin.description();
            let name = description.name.clone();
            let schema = description.configuration_schema.clone();
            schemas.push(JobTypeSchema::new(name.clone(), schema));
            if by_name.insert(name.to_lowercase(), plugin).is_some() {
                return Err(JobTypesError { name });
            }
        }
        Ok(Self {
            plugins: Arc::new(by_name),
            schemas: Arc::new(schemas),
        })
    }

    /// The plugin of a job type.
    #[must_use]
    pub fn get(&self, job_type: &str) -> Option<&Plugin> {
        self.plugins.get(&job_type.to_lowercase())
    }

    /// What each adds to a job.
    #[must_use]
    pub fn schemas(&self) -> &[JobTypeSchema] {
        &self.schemas
    }

    /// Ends what a process of the server that crashed left of an execution,
    /// whatever became of its job and its plugin since.
    ///
    /// # Errors
    /// With what is there all the same, in words.
    pub(crate) async fn end_leftovers(&self, run: &Execution) -> Result<(), String> {
        if run.processes.traces.is_empty() {
            return Ok(());
        }
        let execution = run.execution_id.to_string();
        for plugin in self.plugins.values() {
            plugin
                .end_leftovers(&execution, &run.processes.traces)
                .await?;
        }
        Ok(())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Plugin> {
        self.plugins.values()
    }
}
