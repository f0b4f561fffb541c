//! Judges connections and jobs of an import before anything of it is written: what
//! is new, what is there already, and what can't be taken over. Never writes.

use std::collections::{HashMap, HashSet};

use jobcell_engine::connections::{NewConnection, Origin, SaveConnectionError};
use jobcell_engine::{ForeignJob, ForeignText};
use jobcell_model::{ConnectionRecord, JobId, JobRef};
use serde::Serialize;
use serde_json::json;

use super::wire::{ImportConnection, ImportJob};
use crate::Api;
use crate::error::ApiError;
use crate::views::sentence;

/// Who made the connections that are taken over.
const MAKER: &str = "v1";
/// The longest name of who created a job, in bytes.
const LONGEST_NAME: usize = 1000;
/// So many reasons are told.
const TOLD: usize = 10_000;

/// What can be taken over.
#[derive(Default)]
pub(super) struct Ready {
    /// The connections that are new.
    pub(super) connections: Vec<ConnectionRecord>,
    /// Those that are stored already.
    pub(super) present_connections: Vec<String>,
    /// Those whose names the configuration has.
    pub(super) configured_connections: Vec<String>,
    /// The jobs that are new.
    pub(super) jobs: Vec<ForeignJob>,
    /// Those that are stored already.
    pub(super) present_jobs: Vec<JobId>,
    pub(super) owners: Owners,
    refused: Vec<Refused>,
}

/// What can't be taken over, and why.
#[derive(Serialize)]
struct Refused {
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
    error: String,
}

/// The keys and types of the jobs that came, to which runs may belong.
pub(super) type Owners = HashMap<JobId, (String, String)>;

/// Judges all of them.
///
/// # Errors
/// With everything that is wrong.
pub(super) async fn check(
    api: &Api,
    connections: Vec<ImportConnection>,
    jobs: Vec<ImportJob>,
) -> Result<Ready, ApiError> {
    let mut ready = Ready::default();
    let mut names = HashSet::new();
    for connection in connections {
        if names.insert(connection.name.clone()) {
            ready.connection(api, connection).await?;
        } else {
            ready.refuse_connection(connection.name, "there are two of this name");
        }
        // Others have work to do as well.
        tokio::task::yield_now().await;
    }
    let mut keys = HashMap::new();
    for job in jobs {
        if ready.refused.len() >= TOLD {
            break;
        }
        ready.job(api, job, &mut keys).await?;
        tokio::task::yield_now().await;
    }
    if ready.refused.is_empty() {
        Ok(ready)
    } else {
        Err(refusal(&ready.refused))
    }
}

impl Ready {
    async fn connection(&mut self, api: &Api, given: ImportConnection) -> Result<(), ApiError> {
        let name = given.name;
        let Some(connections) = api.connections() else {
            self.refuse_connection(name, "this server has no connections to databases");
            return Ok(());
        };
        if let Some(found) = connections.get(&name).await? {
            match found.origin {
                Origin::Stored { .. } => self.present_connections.push(name),
                Origin::BuiltIn | Origin::Configuration => self.configured_connections.push(name),
            }
            return Ok(());
        }
        let prepared = connections.prepare(NewConnection {
            name: name.clone(),
            settings: given.settings,
            password: given.password,
            created_by: MAKER.to_owned(),
        });
        match prepared {
            Ok(record) => self.connections.push(record),
            Err(error @ (SaveConnectionError::NotSealed(_) | SaveConnectionError::Storage(_))) => {
                return Err(error.into());
            }
            Err(error) => self.refuse_connection(name, error.to_string()),
        }
        Ok(())
    }

    async fn job(
        &mut self,
        api: &Api,
        given: ImportJob,
        keys: &mut HashMap<String, JobId>,
    ) -> Result<(), ApiError> {
        let (store, job_id) = (api.engine().store(), given.job_id);
        if let Some(stored) = store.job(&JobRef::Id(job_id)).await? {
            let record = stored.record;
            self.owners.insert(job_id, (record.key, record.job_type));
            self.present_jobs.push(job_id);
            return Ok(());
        }
        if given.created_by.len() > LONGEST_NAME {
            self.refuse_job(job_id, "its `created_by` is too long");
            return Ok(());
        }
        let text = ForeignText {
            job_id,
            yaml: given.yaml_configuration,
            created: given.created_date,
            modified: given.modified_date,
            created_by: given.created_by,
        };
        let job = match api.engine().check_foreign(text).await {
            Ok(job) => job,
            Err(problems) => {
                self.refuse_job(job_id, sentence("the job is not valid", &problems));
                return Ok(());
            }
        };
        let record = job.record();
        let key = JobRef::Key(record.key.clone());
        let other = store.job(&key).await?.map(|stored| stored.record.job_id);
        if let Some(other) = other.or_else(|| keys.insert(record.key.clone(), job_id)) {
            let error = format!("the job {other} has the id `{}` too", record.key);
            self.refuse_job(job_id, error);
            return Ok(());
        }
        let owner = (record.key.clone(), record.job_type.clone());
        if self.owners.insert(job_id, owner).is_some() {
            self.refuse_job(job_id, "there are two with this `job_id`");
            return Ok(());
        }
        self.jobs.push(job);
        Ok(())
    }

    fn refuse_job(&mut self, job_id: JobId, error: impl Into<String>) {
        self.refused.push(Refused {
            job_id: Some(job_id),
            connection: None,
            error: error.into(),
        });
    }

    fn refuse_connection(&mut self, name: String, error: impl Into<String>) {
        self.refused.push(Refused {
            job_id: None,
            connection: Some(name),
            error: error.into(),
        });
    }
}

fn refusal(refused: &[Refused]) -> ApiError {
    let first = refused.first();
    let what = first.map_or_else(String::new, |first| {
        match (&first.job_id, &first.connection) {
            (Some(id), _) => format!("the job {id}: {}", first.error),
            (None, Some(name)) => format!("the connection `{name}`: {}", first.error),
            (None, None) => first.error.clone(),
        }
    });
    let more = match refused.len() {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let error = format!("nothing was taken over, since not all of it can be: {what}{more}");
    ApiError::new(
        axum::http::StatusCode::UNPROCESSABLE_ENTITY,
        "import_refused",
        error,
    )
    .with("refused", json!(refused))
}
