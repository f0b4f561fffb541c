//! The WIT side: hands out resources and passes calls on to sessions. The
//! order of drops is the plugin's; nothing here trusts it.

use std::collections::BTreeMap;

use jobcell_plugin_host::bindings::sql::{
    Column, Connection as ConnectionResource, Cursor as CursorResource, Host, HostConnection,
    HostCursor, HostStatement, Message, Page, Statement as StatementResource, Summary, Value,
};
use jobcell_plugin_host::bindings::types::Failure;
use wasmtime::component::Resource;

use crate::capability::SqlRun;
use crate::error::SqlError;
use crate::session::{Cursor, Session, Statement};

/// What a run's handles stand for. An id is never used twice in a run, so a
/// statement can't come to belong to a later connection.
#[derive(Default)]
pub(crate) struct Resources {
    last_id: u32,
    connections: BTreeMap<u32, OpenConnection>,
    statements: BTreeMap<u32, OpenStatement>,
    cursors: BTreeMap<u32, OpenCursor>,
    /// Bytes of all statements' texts and values.
    held: u64,
}

struct OpenConnection {
    name: String,
    dialect: &'static str,
    session: Session,
}

struct OpenStatement {
    connection: u32,
    /// None once it was executed.
    prepared: Option<Statement>,
    held: u64,
}

struct OpenCursor {
    connection: u32,
    cursor: Cursor,
}

impl Resources {
    pub(crate) fn take_sessions(&mut self) -> Vec<(String, Session)> {
        self.statements.clear();
        self.cursors.clear();
        let connections = std::mem::take(&mut self.connections);
        connections
            .into_values()
            .map(|open| (open.name, open.session))
            .collect()
    }

    fn next_id(&mut self) -> u32 {
        self.last_id += 1;
        self.last_id
    }

    fn session(&mut self, connection: u32) -> Result<&mut Session, SqlError> {
        let open = self.connections.get_mut(&connection);
        open.map(|open| &mut open.session)
            .ok_or(SqlError::Misuse("its connection was dropped"))
    }

    fn statement(&mut self, id: u32) -> Result<&mut OpenStatement, SqlError> {
        self.statements
            .get_mut(&id)
            .ok_or(SqlError::Misuse("no such statement"))
    }

    fn cursor(&mut self, id: u32) -> wasmtime::Result<&mut OpenCursor> {
        self.cursors
            .get_mut(&id)
            .ok_or_else(|| wasmtime::format_err!("no such cursor"))
    }

    /// A cursor with its session.
    fn open_cursor(
        &mut self,
        id: u32,
    ) -> wasmtime::Result<Result<(&mut Session, &mut Cursor), SqlError>> {
        let Some(open) = self.cursors.get_mut(&id) else {
            return Err(wasmtime::format_err!("no such cursor"));
        };
        Ok(match self.connections.get_mut(&open.connection) {
            Some(connection) => Ok((&mut connection.session, &mut open.cursor)),
            None => Err(SqlError::Misuse("its connection was dropped")),
        })
    }

    /// Counts bytes that a statement makes the host keep.
    fn hold(&mut self, bytes: u64, most: u64) -> Result<(), SqlError> {
        if self.held + bytes > most {
            return Err(SqlError::HoldsTooMuch(most));
        }
        self.held += bytes;
        Ok(())
    }
}

/// What a statement costs beside its own bytes.
const OVERHEAD: u64 = 256;

fn size(value: &Value) -> u64 {
    let bytes = match value {
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) | Value::Json(text) => {
            text.len()
        }
        Value::Binary(bytes) => bytes.len(),
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
    };
    OVERHEAD + bytes as u64
}

impl SqlRun {
    async fn open_connection(&mut self, name: String) -> Result<u32, SqlError> {
        let most = self.scope.limits().sql_connections;
        if self.resources.connections.len() >= most as usize {
            return Err(SqlError::TooManyConnections(most));
        }
        let (dialect, session) = self.databases.session(&name, &self.scope).await?;
        let id = self.resources.next_id();
        self.resources.connections.insert(
            id,
            OpenConnection {
                name,
                dialect,
                session,
            },
        );
        Ok(id)
    }

    async fn prepare_statement(&mut self, connection: u32, text: &str) -> Result<u32, SqlError> {
        let held = OVERHEAD + text.len() as u64;
        self.resources.hold(held, self.scope.limits().sql_bytes)?;
        let prepared = match self.resources.session(connection) {
            Ok(session) => session.prepare(text).await,
            Err(error) => Err(error),
        };
        let prepared = prepared.inspect_err(|_| self.resources.held -= held)?;
        let id = self.resources.next_id();
        let statement = OpenStatement {
            connection,
            prepared: Some(prepared),
            held,
        };
        self.resources.statements.insert(id, statement);
        Ok(id)
    }

    fn bind_value(&mut self, statement: u32, name: &str, value: &Value) -> Result<(), SqlError> {
        let held = size(value);
        self.resources.hold(held, self.scope.limits().sql_bytes)?;
        let statement = self.resources.statement(statement)?;
        statement.held += held;
        let prepared = statement.prepared.as_mut().ok_or(ONCE)?;
        prepared.bind(name, value)
    }

    async fn execute_statement(&mut self, statement: u32) -> Result<u32, SqlError> {
        let open = self.resources.statement(statement)?;
        let prepared = open.prepared.take().ok_or(ONCE)?;
        let connection = open.connection;
        let cursor = self
            .resources
            .session(connection)?
            .execute(prepared)
            .await?;
        let id = self.resources.next_id();
        self.resources
            .cursors
            .insert(id, OpenCursor { connection, cursor });
        Ok(id)
    }

    async fn next_rows(
        &mut self,
        cursor: u32,
        max_rows: u32,
    ) -> wasmtime::Result<Result<Page, SqlError>> {
        Ok(match self.resources.open_cursor(cursor)? {
            Ok((session, cursor)) => session.next_page(cursor, max_rows).await,
            Err(error) => Err(error),
        })
    }
}

const ONCE: SqlError = SqlError::Misuse("the statement was executed before; prepare it again");

impl Host for SqlRun {}

impl HostConnection for SqlRun {
    async fn open(
        &mut self,
        name: String,
    ) -> wasmtime::Result<Result<Resource<ConnectionResource>, Failure>> {
        let opened = self.open_connection(name).await;
        Ok(opened.map(Resource::new_own).map_err(Failure::from))
    }

    async fn dialect(&mut self, this: Resource<ConnectionResource>) -> wasmtime::Result<String> {
        let open = self.resources.connections.get(&this.rep());
        Ok(open.map_or("sqlite", |open| open.dialect).to_owned())
    }

    async fn prepare(
        &mut self,
        this: Resource<ConnectionResource>,
        text: String,
    ) -> wasmtime::Result<Result<Resource<StatementResource>, Failure>> {
        let prepared = self.prepare_statement(this.rep(), &text).await;
        Ok(prepared.map(Resource::new_own).map_err(Failure::from))
    }

    async fn in_transaction(
        &mut self,
        this: Resource<ConnectionResource>,
    ) -> wasmtime::Result<bool> {
        Ok(self
            .resources
            .session(this.rep())
            .is_ok_and(|session| session.in_transaction()))
    }

    async fn drop(&mut self, this: Resource<ConnectionResource>) -> wasmtime::Result<()> {
        if let Some(open) = self.resources.connections.remove(&this.rep()) {
            self.end_session(&open.name, open.session).await;
        }
        Ok(())
    }
}

impl HostStatement for SqlRun {
    async fn bind(
        &mut self,
        this: Resource<StatementResource>,
        name: String,
        value: Value,
    ) -> wasmtime::Result<Result<(), Failure>> {
        Ok(self
            .bind_value(this.rep(), &name, &value)
            .map_err(Failure::from))
    }

    async fn execute(
        &mut self,
        this: Resource<StatementResource>,
    ) -> wasmtime::Result<Result<Resource<CursorResource>, Failure>> {
        let cursor = self.execute_statement(this.rep()).await;
        Ok(cursor.map(Resource::new_own).map_err(Failure::from))
    }

    async fn drop(&mut self, this: Resource<StatementResource>) -> wasmtime::Result<()> {
        if let Some(open) = self.resources.statements.remove(&this.rep()) {
            self.resources.held -= open.held;
        }
        Ok(())
    }
}

impl HostCursor for SqlRun {
    async fn columns(&mut self, this: Resource<CursorResource>) -> wasmtime::Result<Vec<Column>> {
        Ok(self.resources.cursor(this.rep())?.cursor.columns().to_vec())
    }

    async fn next_page(
        &mut self,
        this: Resource<CursorResource>,
        max_rows: u32,
    ) -> wasmtime::Result<Result<Page, Failure>> {
        Ok(self
            .next_rows(this.rep(), max_rows)
            .await?
            .map_err(Failure::from))
    }

    async fn summary(&mut self, this: Resource<CursorResource>) -> wasmtime::Result<Summary> {
        let cursor = &self.resources.cursor(this.rep())?.cursor;
        Ok(Summary {
            affected: cursor.affected(),
            returned: cursor.returned(),
            total: cursor.total(),
        })
    }

    async fn next_result(
        &mut self,
        this: Resource<CursorResource>,
    ) -> wasmtime::Result<Result<bool, Failure>> {
        let (session, cursor) = match self.resources.open_cursor(this.rep())? {
            Ok(open) => open,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(session.next_result(cursor).await.map_err(Failure::from))
    }

    async fn messages(&mut self, this: Resource<CursorResource>) -> wasmtime::Result<Vec<Message>> {
        let open = self.resources.open_cursor(this.rep())?;
        Ok(open.map_or_else(|_| Vec::new(), |(session, _)| session.take_messages()))
    }

    async fn drop(&mut self, this: Resource<CursorResource>) -> wasmtime::Result<()> {
        let Some(open) = self.resources.cursors.remove(&this.rep()) else {
            return Ok(());
        };
        if let Ok(session) = self.resources.session(open.connection)
            && let Err(error) = session.close_cursor(open.cursor).await
        {
            // Nobody can be told: `drop` has no result. The session is cleaned
            // when it ends.
            tracing::debug!(%error, "a cursor could not be closed");
        }
        Ok(())
    }
}
