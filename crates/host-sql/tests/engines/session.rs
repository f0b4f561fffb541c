//! One run's session as the tests use it.

use std::time::Duration;

use jobcell_host_sql::{Session, SqlCapability, SqlError};
use jobcell_plugin_host::bindings::sql::{Column, Message, Value};
use jobcell_plugin_host::bindings::types::{Detail, Failure};
use jobcell_plugin_host::{EffectGate, RunLimits, RunScope};

/// A run.
pub(crate) struct Run {
    pub(crate) scope: RunScope,
    pub(crate) session: Session,
}

/// One result, whole or up to its cap.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    pub(crate) affected: Option<u64>,
    pub(crate) cut: bool,
    pub(crate) total: Option<u64>,
}

pub(crate) fn scope() -> RunScope {
    let (limits, timeout) = (RunLimits::default(), Duration::from_secs(120));
    RunScope::new(Vec::new(), limits, timeout, EffectGate::open(), None)
}

impl Run {
    pub(crate) async fn begin(capability: &SqlCapability) -> Self {
        Self::try_begin(capability).await.unwrap()
    }

    pub(crate) async fn try_begin(capability: &SqlCapability) -> Result<Self, SqlError> {
        let scope = scope();
        let session = capability.session("test", &scope).await?;
        Ok(Self { scope, session })
    }

    /// The only result of a statement.
    pub(crate) async fn query(&mut self, text: &str) -> Result<Found, SqlError> {
        self.bound(text, &[]).await
    }

    pub(crate) async fn bound(
        &mut self,
        text: &str,
        values: &[(&str, Value)],
    ) -> Result<Found, SqlError> {
        let mut all = self.all(text, values).await?;
        assert_eq!(all.len(), 1, "{all:?}");
        Ok(all.remove(0))
    }

    /// Every result of a statement.
    pub(crate) async fn all(
        &mut self,
        text: &str,
        values: &[(&str, Value)],
    ) -> Result<Vec<Found>, SqlError> {
        let mut statement = self.session.prepare(text).await?;
        for (name, value) in values {
            statement.bind(name, value)?;
        }
        let mut cursor = self.session.execute(statement).await?;
        let mut all = Vec::new();
        loop {
            let columns = cursor.columns().to_vec();
            let (mut rows, mut cut) = (Vec::new(), false);
            loop {
                match self.session.next_page(&mut cursor, 1_000).await {
                    Ok(page) => {
                        rows.extend(page.rows);
                        if page.last {
                            break;
                        }
                    }
                    Err(SqlError::ResultCap(_)) => {
                        cut = true;
                        break;
                    }
                    Err(error) => return Err(error),
                }
            }
            assert_eq!(cursor.returned(), rows.len() as u64);
            all.push(Found {
                columns,
                rows,
                affected: cursor.affected(),
                cut,
                total: cursor.total(),
            });
            if !self.session.next_result(&mut cursor).await? {
                break;
            }
        }
        self.session.close_cursor(cursor).await?;
        Ok(all)
    }

    /// The only value of a query.
    pub(crate) async fn value(&mut self, text: &str) -> Value {
        let found = self.query(text).await.unwrap();
        let row = found.rows.into_iter().next().expect("a row");
        row.into_iter().next().expect("a column")
    }

    pub(crate) async fn number(&mut self, text: &str) -> i64 {
        match self.value(text).await {
            Value::Integer(number) => number,
            other => panic!("{other:?} is no number"),
        }
    }

    /// How a statement fails: its code, its facts and its message.
    pub(crate) async fn failure(&mut self, text: &str) -> Detail {
        let error = self.query(text).await.unwrap_err();
        detail(error)
    }

    pub(crate) fn messages(&mut self) -> Vec<Message> {
        self.session.take_messages()
    }

    pub(crate) async fn end(self) -> bool {
        self.session.close().await.rolled_back
    }
}

pub(crate) fn detail(error: SqlError) -> Detail {
    match Failure::from(error) {
        Failure::Other(detail)
        | Failure::Unavailable(detail)
        | Failure::Invalid(detail)
        | Failure::Denied(detail)
        | Failure::NotFound(detail) => detail,
        other => panic!("{other:?} has no detail"),
    }
}

/// A failure's fact.
pub(crate) fn fact<'d>(detail: &'d Detail, name: &str) -> Option<&'d str> {
    let attributes = &detail.attributes;
    let found = attributes.iter().find(|attribute| attribute.name == name)?;
    Some(found.value.as_str())
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
