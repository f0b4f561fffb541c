//! Names lead where they were last set to, for whom they are granted.

use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig, SqlError, SqliteOptions};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};
use std::time::Duration;
use tempfile::TempDir;

fn file(folder: &TempDir, name: &str) -> ConnectionConfig {
    ConnectionConfig::Sqlite {
        path: folder.path().join(name),
        read_only: false,
    }
}

fn capability() -> SqlCapability {
    let options = SqliteOptions {
        create: true,
        ..SqliteOptions::default()
    };
    SqlCapability::with_options(SqlConfig::default(), &options)
}

fn scope(job_type: &str) -> RunScope {
    let facts = vec![("job-type".to_owned(), job_type.to_owned())];
    let (limits, timeout) = (RunLimits::default(), Duration::from_secs(60));
    RunScope::new(facts, limits, timeout, EffectGate::open(), None)
}

async fn refused(capability: &SqlCapability, job_type: &str) -> SqlError {
    let session = capability.session("a", &scope(job_type)).await;
    session.err().expect("it is refused")
}

#[tokio::test]
async fn a_name_leads_where_it_was_last_set_and_runs_go_on_where_they_began() {
    let folder = TempDir::new().unwrap();
    let capability = capability();
    let unknown = refused(&capability, "SQL").await.to_string();
    assert!(unknown.contains("known connections: none"), "{unknown}");
    capability.set("a", file(&folder, "one"), None);
    let mut before = capability.session("a", &scope("SQL")).await.unwrap();
    let create = before.prepare("CREATE TABLE only_in_one (id)").await;
    before.execute(create.unwrap()).await.unwrap();
    capability.set("a", file(&folder, "two"), None);
    let mut after = capability.session("a", &scope("SQL")).await.unwrap();
    assert!(after.prepare("SELECT * FROM only_in_one").await.is_err());
    assert!(before.prepare("SELECT * FROM only_in_one").await.is_ok());
    before.close().await;
    capability.refuse("a", "it is disabled".to_owned());
    let disabled = refused(&capability, "SQL").await.to_string();
    assert!(disabled.ends_with("it is disabled"), "{disabled}");
    assert!(after.prepare("SELECT 1").await.is_ok());
    after.close().await;
    capability.remove("a");
    let gone = refused(&capability, "SQL").await;
    assert!(matches!(gone, SqlError::UnknownConnection { .. }));
    assert!(capability.connections().is_empty());
}

#[tokio::test]
async fn a_connection_is_for_the_job_types_that_it_is_granted_to() {
    let folder = TempDir::new().unwrap();
    let capability = capability();
    let granted = Some(vec!["SQL".to_owned(), "Report".to_owned()]);
    capability.set("a", file(&folder, "one"), granted);
    assert!(capability.session("a", &scope("Report")).await.is_ok());
    let denied = refused(&capability, "Steps").await.to_string();
    assert!(denied.contains("jobs of the type `Steps`"), "{denied}");
    assert!(denied.contains("only to: SQL, Report"), "{denied}");
    // A check is nobody's job.
    let within = Duration::from_secs(5);
    assert!(capability.check("a", within).await.is_ok());
}

#[tokio::test]
async fn whoever_waits_goes_on_waiting_where_the_name_leads_now() {
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions {
        create: true,
        max_open: 1,
        ..SqliteOptions::default()
    };
    let capability = SqlCapability::with_options(SqlConfig::default(), &options);
    capability.set("a", file(&folder, "one"), None);
    let held = capability.session("a", &scope("SQL")).await.unwrap();
    let scope = scope("SQL");
    let waiting = capability.session("a", &scope);
    let change = async {
        tokio::task::yield_now().await;
        capability.set("a", file(&folder, "one"), None);
    };
    let (session, ()) = tokio::join!(waiting, change);
    let mut session = session.unwrap();
    assert!(session.prepare("SELECT 1").await.is_ok());
    held.close().await;
}
