//! V1's connections on their way into the store: what jobs will call them, their
//! passwords sealed. Never shows one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jobcell_engine::Engine;
use jobcell_engine::connections::{Connections, NewConnection};
use jobcell_migrate::{ConvertedConnection, V1Connection};
use jobcell_model::ConnectionRecord;

use super::report::{Report, State};
use crate::exit::{Exit, Failure};

/// Who made what was taken over.
const MAKER: &str = "v1";

/// What jobs will call each, by all that V1's jobs called it; its key counts
/// more than another's name. One that is left is called what it was: whoever
/// adds it by hand gives it that name.
pub(super) fn names(connections: &[V1Connection]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for by_key in [false, true] {
        for connection in connections {
            let old = if by_key {
                &connection.connection_id
            } else {
                &connection.name
            };
            if let (Some(old), Some(new)) = (old, connection.new_name()) {
                names.insert(old.trim().to_lowercase(), new);
            }
        }
    }
    names
}

/// Those that can be taken over: each name once, and none that the configuration
/// has. The report says of the others why they are not.
pub(super) fn converted(
    connections: &[V1Connection],
    configured: &[&str],
    report: &mut Report,
) -> Vec<ConvertedConnection> {
    let mut found = BTreeMap::new();
    for (connection, shown) in connections.iter().zip(&mut report.connections) {
        let Ok(converted) = connection.convert() else {
            continue;
        };
        let name = converted.name.clone();
        let why = match found.entry(name.clone()) {
            _ if configured.contains(&name.as_str()) => hidden(&name),
            Entry::Occupied(_) => {
                format!("another one of V1 is called `{name}` here; add it by another name")
            }
            Entry::Vacant(place) => {
                place.insert(converted);
                continue;
            }
        };
        (shown.migrated_as, shown.left) = (None, Some(why));
    }
    found.into_values().collect()
}

fn hidden(name: &str) -> String {
    format!("the configuration file has a connection `{name}`, which counts")
}

/// The same as they are stored.
pub(super) fn sealed(
    connections: Vec<ConvertedConnection>,
    sealing: Option<&Connections>,
) -> Result<Vec<ConnectionRecord>, Failure> {
    let Some(sealing) = sealing else {
        return Ok(Vec::new());
    };
    let new = connections.into_iter().map(|converted| NewConnection {
        name: converted.name,
        settings: converted.settings,
        password: converted
            .password
            .map(|password| password.reveal().to_owned()),
        created_by: MAKER.to_owned(),
    });
    new.map(|new| {
        let name = new.name.clone();
        sealing.prepare(new).map_err(|error| {
            let doing = format!("the connection `{name}` can't be taken over");
            Failure::context(Exit::Unavailable, error, doing)
        })
    })
    .collect()
}

/// Says which were added, and which a server's configuration hides.
pub(super) fn told(report: &mut Report, added: &[String], configured: &[String]) {
    for connection in &mut report.connections {
        let name = connection
            .migrated_as
            .take_if(|name| configured.contains(name));
        if let Some(name) = name {
            connection.left = Some(hidden(&name));
        }
        let name = connection.migrated_as.as_ref();
        connection.state = name.map(|name| {
            if added.contains(name) {
                State::Added
            } else {
                State::Present
            }
        });
    }
}

/// Says which would be added.
pub(super) async fn look(engine: &Engine, report: &mut Report) -> Result<(), Failure> {
    let stored =
        engine.store().connections().await.map_err(|error| {
            Failure::context(Exit::Unavailable, error, "the store can't be read")
        })?;
    for connection in &mut report.connections {
        let name = connection.migrated_as.as_ref();
        connection.state = name.map(|name| {
            if stored.iter().any(|record| record.name == *name) {
                State::Present
            } else {
                State::Added
            }
        });
    }
    Ok(())
}
