//! V1's tables in a database. Sends nothing but SELECT, and never holds more
//! than a few pages of history.

use std::time::Duration;

use jobcell_host_sql::{ConnectionConfig, SqlCapability, SqlConfig, SqlError};
use jobcell_plugin_host::bindings::sql::{Page, Value as Cell};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use super::source::Dialect;
use super::v1::{Row, TABLES, Table};

/// The name that the database has here.
const NAME: &str = "V1";
/// How long reading may take.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// Rows that are asked for at a time.
const PAGE: u32 = 1000;
/// A bound that no result reaches.
const MOST: u64 = 1 << 60;

/// A database with V1's tables.
pub(crate) struct Database {
    sql: SqlCapability,
    scope: RunScope,
    /// The tables that it has, as they are written in a statement.
    tables: [Option<String>; TABLES],
}

/// A database can't be read.
#[derive(Debug, thiserror::Error)]
#[error("V1's database can't be read")]
pub(crate) struct Unreadable(#[from] SqlError);

impl Database {
    /// Connects, and looks which of the tables there are.
    pub(crate) async fn open(
        config: ConnectionConfig,
        dialect: Dialect,
    ) -> Result<Self, Unreadable> {
        let limits = RunLimits {
            sql_rows: MOST,
            sql_bytes: MOST,
            ..RunLimits::default()
        };
        let connections = [(NAME.to_owned(), config)].into();
        let mut database = Self {
            sql: SqlCapability::new(SqlConfig { connections }),
            scope: RunScope::new(Vec::new(), limits, PATIENCE, EffectGate::open(), None),
            tables: Default::default(),
        };
        let mut found: Vec<(String, String)> = Vec::new();
        for row in database.select(catalogue(dialect)).await? {
            let text = |name| match row.get(name) {
                Some(Value::String(text)) => text.clone(),
                _ => String::new(),
            };
            found.push((text("s"), text("n")));
        }
        for table in Table::ALL {
            // The list has the tables that unqualified names mean first.
            let named = found
                .iter()
                .find(|(_, name)| name.eq_ignore_ascii_case(table.name()));
            database.tables[table as usize] =
                named.map(|(schema, name)| dialect.qualified(schema, name));
        }
        Ok(database)
    }

    pub(crate) fn has(&self, table: Table) -> bool {
        self.tables[table as usize].is_some()
    }

    /// All rows of a table; none where there is no such table.
    pub(crate) async fn rows(&self, table: Table) -> Result<Vec<Row>, Unreadable> {
        match &self.tables[table as usize] {
            Some(name) => self.select(&format!("SELECT * FROM {name}")).await,
            None => Ok(Vec::new()),
        }
    }

    /// Brings the rows of a table page by page, until all are there or nobody
    /// wants more.
    pub(crate) async fn pages(
        &self,
        table: Table,
        to: &mpsc::Sender<Vec<Row>>,
    ) -> Result<(), Unreadable> {
        let Some(name) = &self.tables[table as usize] else {
            return Ok(());
        };
        let text = format!("SELECT * FROM {name}");
        let mut session = self.sql.session(NAME, &self.scope).await?;
        let statement = session.prepare(&text).await?;
        let mut cursor = session.execute(statement).await?;
        let columns = names(&cursor);
        loop {
            let page = session.next_page(&mut cursor, PAGE).await?;
            let last = page.last;
            if to.send(rows(&columns, page)).await.is_err() || last {
                break;
            }
        }
        session.close_cursor(cursor).await?;
        session.close().await;
        Ok(())
    }

    pub(crate) async fn close(self) {
        self.sql.close().await;
    }

    async fn select(&self, text: &str) -> Result<Vec<Row>, Unreadable> {
        let mut session = self.sql.session(NAME, &self.scope).await?;
        let statement = session.prepare(text).await?;
        let mut cursor = session.execute(statement).await?;
        let columns = names(&cursor);
        let mut found = Vec::new();
        loop {
            let page = session.next_page(&mut cursor, PAGE).await?;
            let last = page.last;
            found.extend(rows(&columns, page));
            if last {
                break;
            }
        }
        session.close_cursor(cursor).await?;
        session.close().await;
        Ok(found)
    }
}

impl Dialect {
    fn qualified(self, schema: &str, name: &str) -> String {
        match self {
            Self::Sqlite => quoted(name, '"', '"'),
            Self::PostgreSql => format!("{}.{}", quoted(schema, '"', '"'), quoted(name, '"', '"')),
            Self::MySql => format!("{}.{}", quoted(schema, '`', '`'), quoted(name, '`', '`')),
            Self::SqlServer => format!("{}.{}", quoted(schema, '[', ']'), quoted(name, '[', ']')),
        }
    }
}

fn quoted(name: &str, open: char, close: char) -> String {
    let doubled = name.replace(close, &format!("{close}{close}"));
    format!("{open}{doubled}{close}")
}

/// A list of schemas and tables, those first that a bare name means.
const fn catalogue(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => {
            "SELECT '' AS s, name AS n FROM sqlite_schema WHERE type IN ('table', 'view')"
        }
        Dialect::PostgreSql => {
            "SELECT table_schema::text AS s, table_name::text AS n FROM information_schema.tables
             WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
             ORDER BY (table_schema <> current_schema()), 1"
        }
        Dialect::MySql => {
            "SELECT table_schema AS s, table_name AS n FROM information_schema.tables
             WHERE table_schema = database()"
        }
        Dialect::SqlServer => {
            "SELECT TABLE_SCHEMA AS s, TABLE_NAME AS n FROM INFORMATION_SCHEMA.TABLES
             ORDER BY CASE WHEN TABLE_SCHEMA = SCHEMA_NAME() THEN 0 ELSE 1 END, TABLE_SCHEMA"
        }
    }
}

fn names(cursor: &jobcell_host_sql::Cursor) -> Vec<String> {
    let columns = cursor.columns().iter();
    columns.map(|column| column.name.clone()).collect()
}

fn rows(columns: &[String], page: Page) -> Vec<Row> {
    let row = |cells: Vec<Cell>| {
        let cells = cells.into_iter().map(value);
        columns.iter().cloned().zip(cells).collect::<Map<_, _>>()
    };
    page.rows.into_iter().map(row).collect()
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Boolean(truth) => Value::Bool(truth),
        Cell::Integer(number) => number.into(),
        Cell::Real(number) => number.into(),
        Cell::Decimal(text) | Cell::Text(text) | Cell::Temporal(text) | Cell::Json(text) => {
            Value::String(text)
        }
        // SQLite may hold text as bytes; anything else is no text of V1.
        Cell::Binary(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
