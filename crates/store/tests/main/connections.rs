//! Connections to databases: added, changed by one at a time, removed, and
//! there again with every field after the store was opened anew.

use jobcell_model::{ConnectionKind, ConnectionRecord, ConnectionSettings, ConnectionTls, Sealed};
use jobcell_store::{PutConnectionError, RedbStore, Store, StoreOptions};
use tempfile::TempDir;

use crate::support::at;

fn plain(name: &str) -> ConnectionRecord {
    ConnectionRecord {
        name: name.to_owned(),
        settings: ConnectionSettings::new(ConnectionKind::Mysql),
        secret: None,
        created: at(0),
        modified: at(0),
        created_by: "api".to_owned(),
        revision: 1,
    }
}

fn full(name: &str) -> ConnectionRecord {
    let some = |text: &str| Some(text.to_owned());
    ConnectionRecord {
        settings: ConnectionSettings {
            kind: ConnectionKind::Sqlserver,
            description: some("für alles"),
            enabled: false,
            job_types: Some(vec!["SQL".to_owned()]),
            file: some("/f"),
            host: some("h"),
            port: Some(1433),
            database: some("d"),
            username: some("u"),
            tls: Some(ConnectionTls::VerifyFull),
            ca_file: some("/c"),
            read_only: true,
            connect_timeout_seconds: Some(1),
            statement_timeout_seconds: Some(2),
            max_open: Some(3),
            idle_time_seconds: Some(4),
        },
        secret: Some(Sealed(vec![0, 1, 255])),
        modified: at(7),
        revision: 2,
        ..plain(name)
    }
}

#[tokio::test]
async fn a_connection_is_there_with_every_field_after_the_next_start() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("store");
    let store = RedbStore::open(&file, StoreOptions::default()).unwrap();
    store.put_connection(plain("b"), None).await.unwrap();
    store.put_connection(plain("a"), None).await.unwrap();
    store.put_connection(full("a"), Some(1)).await.unwrap();
    store.close().await;
    drop(store);
    let store = RedbStore::open(&file, StoreOptions::default()).unwrap();
    assert_eq!(store.connections().await.unwrap(), [full("a"), plain("b")]);
    assert_eq!(store.connection("a").await.unwrap(), Some(full("a")));
    assert_eq!(store.connection("c").await.unwrap(), None);
    assert!(store.verify().unwrap().is_empty());
}

#[tokio::test]
async fn one_name_is_one_connection_and_the_last_reader_wins_nothing() {
    let store = RedbStore::in_memory().unwrap();
    store.put_connection(plain("a"), None).await.unwrap();
    let again = store.put_connection(plain("a"), None).await.unwrap_err();
    assert!(matches!(again, PutConnectionError::Exists { .. }));
    store.put_connection(full("a"), Some(1)).await.unwrap();
    let late = store.put_connection(full("a"), Some(1)).await.unwrap_err();
    assert!(matches!(late, PutConnectionError::Changed { revision: 2 }));
    let none = store.put_connection(full("b"), Some(1)).await.unwrap_err();
    assert!(matches!(none, PutConnectionError::NotFound { .. }));
    assert!(store.delete_connection("a").await.unwrap());
    assert!(!store.delete_connection("a").await.unwrap());
    assert!(store.connections().await.unwrap().is_empty());
}
