//! Connections to databases: list, make, read, change, delete, try out. Takes
//! passwords and never gives one.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jobcell_engine::connections::{
    Connections, NewConnection, Origin, PasswordChange, SaveConnectionError, ShownConnection,
};
use jobcell_model::ConnectionSettings;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Api;
use crate::body::{JsonObject, OptionalBody};
use crate::error::ApiError;
use crate::extract::{ConnectionPath, percent_encoded, shortened};
use crate::jobs::ACTOR;
use crate::members::kind;
use crate::views::{Reply, Timestamp, VERSION};

/// How long a connection may take to answer when it is tried out.
const TRIAL: Duration = Duration::from_secs(30);

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api/v2/connections", get(list).post(create))
        .route(
            "/api/v2/connections/{id}",
            get(read).put(change).delete(remove),
        )
        .route("/api/v2/connections/{id}/test", post(test))
}

/// A connection as replies show it.
#[derive(Serialize)]
struct View {
    name: String,
    #[serde(flatten)]
    settings: ConnectionSettings,
    has_password: bool,
    source: &'static str,
    problem: Option<String>,
    created_date: Option<Timestamp>,
    modified_date: Option<Timestamp>,
    created_by: Option<String>,
    revision: Option<u64>,
}

impl From<ShownConnection> for View {
    fn from(shown: ShownConnection) -> Self {
        let mut view = Self {
            name: shown.name,
            settings: shown.settings,
            has_password: shown.has_password,
            source: "stored",
            problem: shown.problem,
            created_date: None,
            modified_date: None,
            created_by: None,
            revision: None,
        };
        match shown.origin {
            Origin::BuiltIn => view.source = "built_in",
            Origin::Configuration => view.source = "configuration",
            Origin::Stored {
                created,
                modified,
                created_by,
                revision,
            } => {
                view.created_date = Some(created.into());
                view.modified_date = Some(modified.into());
                view.created_by = Some(created_by);
                view.revision = Some(revision);
            }
        }
        view
    }
}

fn connections(api: &Api) -> Result<&Connections, ApiError> {
    api.connections().ok_or_else(|| {
        ApiError::not_found(
            "route_not_found",
            "this server has no connections to databases",
        )
    })
}

#[derive(Serialize)]
struct List {
    success: bool,
    connections: Vec<View>,
    total_count: usize,
}

async fn list(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    let all = connections(&api)?.list().await?;
    Ok(Reply(List {
        success: true,
        total_count: all.len(),
        connections: all.into_iter().map(View::from).collect(),
    }))
}

#[derive(Serialize)]
struct One {
    success: bool,
    connection: View,
}

async fn read(
    State(api): State<Api>,
    ConnectionPath(name): ConnectionPath,
) -> Result<impl IntoResponse, ApiError> {
    let found = connections(&api)?.get(&name).await?;
    let found = found.ok_or_else(|| ApiError::from(SaveConnectionError::NotFound(name)))?;
    Ok(Reply(One {
        success: true,
        connection: found.into(),
    }))
}

#[derive(Serialize)]
struct Saved {
    success: bool,
    version: &'static str,
    message: String,
    connection: View,
}

async fn create(
    State(api): State<Api>,
    JsonObject(mut body): JsonObject,
) -> Result<impl IntoResponse, ApiError> {
    let name = match body.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(wrong("name", "a string", &other)),
        None => return Err(bad("name", "`name` is missing: what jobs will call it")),
    };
    let password = match password(&mut body)? {
        PasswordChange::Set(password) => Some(password),
        PasswordChange::Keep | PasswordChange::Clear => None,
    };
    let new = NewConnection {
        name,
        settings: settings(body)?,
        password,
        created_by: ACTOR.to_owned(),
    };
    let made = connections(&api)?.create(new).await?;
    let location = [(LOCATION, location(&made.name))];
    let reply = Reply(Saved {
        success: true,
        version: VERSION,
        message: format!("the connection `{}` was made", made.name),
        connection: made.into(),
    });
    Ok((StatusCode::CREATED, location, reply))
}

/// Members that are there replace those of the connection, `null` sets them
/// back to what is usual, the others stay.
async fn change(
    State(api): State<Api>,
    ConnectionPath(name): ConnectionPath,
    JsonObject(mut body): JsonObject,
) -> Result<impl IntoResponse, ApiError> {
    let connections = connections(&api)?;
    let found = connections.get(&name).await?;
    let found = found.ok_or_else(|| ApiError::from(SaveConnectionError::NotFound(name.clone())))?;
    if body.get("name").is_some_and(|given| *given != *name) {
        let error = "`name` can't be changed, since jobs use it; make another connection";
        return Err(bad("name", error));
    }
    body.remove("name");
    let expected = match body.remove("revision") {
        None | Some(Value::Null) => None,
        Some(revision) => match revision.as_u64() {
            Some(revision) => Some(revision),
            None => return Err(wrong("revision", "a whole number", &revision)),
        },
    };
    // What is merged was read at this revision.
    let read = match found.origin {
        Origin::Stored { revision, .. } => Some(revision),
        Origin::BuiltIn | Origin::Configuration => None,
    };
    let expected = expected.or(read);
    let password = password(&mut body)?;
    let merged = merged(&found.settings, body)?;
    let changed = connections
        .change(&name, merged, password, expected)
        .await?;
    Ok(Reply(Saved {
        success: true,
        version: VERSION,
        message: format!("the connection `{name}` was changed"),
        connection: changed.into(),
    }))
}

#[derive(Serialize)]
struct Deleted {
    success: bool,
    version: &'static str,
    message: String,
}

async fn remove(
    State(api): State<Api>,
    ConnectionPath(name): ConnectionPath,
) -> Result<impl IntoResponse, ApiError> {
    connections(&api)?.delete(&name).await?;
    Ok(Reply(Deleted {
        success: true,
        version: VERSION,
        message: format!("the connection `{name}` was deleted; jobs that name it will fail"),
    }))
}

#[derive(Serialize)]
struct Tried {
    success: bool,
    name: String,
    duration_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

async fn test(
    State(api): State<Api>,
    ConnectionPath(name): ConnectionPath,
    OptionalBody(_): OptionalBody,
) -> Result<impl IntoResponse, ApiError> {
    let connections = connections(&api)?;
    if connections.get(&name).await?.is_none() {
        return Err(SaveConnectionError::NotFound(name).into());
    }
    let begun = Instant::now();
    let checked = connections.check(&name, TRIAL).await;
    let told = checked.err().map(|failed| (failed.code, failed.message));
    let (code, error) = told.unzip();
    Ok(Reply(Tried {
        success: error.is_none(),
        name,
        duration_seconds: begun.elapsed().as_secs_f64(),
        error,
        code,
    }))
}

fn password(body: &mut Map<String, Value>) -> Result<PasswordChange, ApiError> {
    match body.remove("password") {
        None => Ok(PasswordChange::Keep),
        Some(Value::Null) => Ok(PasswordChange::Clear),
        Some(Value::String(password)) => Ok(PasswordChange::Set(password)),
        // Not even a password of the wrong type is repeated.
        Some(_) => Err(bad("password", "`password` should be a string or null")),
    }
}

fn merged(
    settings: &ConnectionSettings,
    body: Map<String, Value>,
) -> Result<ConnectionSettings, ApiError> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(settings) else {
        return Err(ApiError::internal(
            "internal_error",
            "a connection has no JSON form",
        ));
    };
    for (name, value) in body {
        if value.is_null() && members.contains_key(&name) {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    self::settings(members)
}

fn settings(members: Map<String, Value>) -> Result<ConnectionSettings, ApiError> {
    serde_json::from_value(Value::Object(members)).map_err(|error| {
        let error = shortened(&error.to_string()).to_string();
        ApiError::malformed(
            "bad_member",
            format!("the connection can't be read: {error}"),
        )
    })
}

fn location(name: &str) -> String {
    format!("/api/v2/connections/{}", percent_encoded(name))
}

fn bad(name: &'static str, error: &str) -> ApiError {
    ApiError::malformed("bad_member", error).with("member", name)
}

fn wrong(name: &'static str, expected: &str, found: &Value) -> ApiError {
    bad(
        name,
        &format!("`{name}` should be {expected}, not {}", kind(found)),
    )
}
