//! A statement that runs, on a task of its own: where its results arrive, and
//! how it is ended early. Never leaves a statement behind on the server
//! without having told it to stop.

use std::sync::Arc;
use std::time::Duration;

use jobcell_plugin_host::bindings::sql::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::pool::{Leased, Pool};
use super::results::{Event, Results};
use super::statement::Statement;
use super::{PROMPT, Stopper};
use crate::error::SqlError;

/// How often a server is told to stop what goes on all the same.
const AGAIN: Duration = Duration::from_millis(500);

/// What a statement's task brings back: the connection, and how it went.
type Back = (Leased, Result<(), SqlError>);

/// A statement that runs. Dropped before its end, it is stopped on the server
/// and its connection closed.
pub(crate) struct Running {
    events: Option<mpsc::Receiver<Event>>,
    back: Option<oneshot::Receiver<Back>>,
    stopper: Arc<dyn Stopper>,
    /// Ends its task, and with that its connection.
    given_up: CancellationToken,
    pool: Arc<Pool>,
}

impl Running {
    pub(crate) fn start(
        pool: &Arc<Pool>,
        mut leased: Leased,
        statement: Arc<Statement>,
        values: Vec<Value>,
        (most_rows, most_bytes): (u64, u64),
    ) -> Result<Self, SqlError> {
        let stopper = leased.link()?.stopper();
        let (mut results, events) = Results::new(most_rows, most_bytes);
        let (bring, back) = oneshot::channel();
        let given_up = CancellationToken::new();
        let end = given_up.clone();
        pool.spawn(async move {
            let executed = async {
                match leased.link() {
                    Ok(link) => link.execute(&statement, &values, &mut results).await,
                    Err(error) => Err(error),
                }
            };
            let Some(result) = end.run_until_cancelled(executed).await else {
                return;
            };
            // Whoever reads the events knows by their end that this is here.
            drop(bring.send((leased, result)));
            drop(results);
        });
        Ok(Self {
            events: Some(events),
            back: Some(back),
            stopper,
            given_up,
            pool: Arc::clone(pool),
        })
    }

    /// What happens next; none when the statement has ended.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        self.events.as_mut()?.recv().await
    }

    /// The connection and how it went, once the last event was taken.
    pub(crate) async fn end(mut self) -> Result<Back, SqlError> {
        self.events = None;
        match self.back.as_mut() {
            Some(back) => {
                let ended = back.await;
                self.back = None;
                ended.map_err(|_| SqlError::Lost)
            }
            None => Err(SqlError::Lost),
        }
    }

    /// Stops it on the server. Whether the server said that it has ended.
    pub(crate) async fn stop(mut self) -> bool {
        self.events = None;
        let Some(back) = self.back.take() else {
            return true;
        };
        stop(&*self.stopper, back, &self.given_up).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(back) = self.back.take() else {
            return;
        };
        let stopper = Arc::clone(&self.stopper);
        let given_up = self.given_up.clone();
        self.pool.spawn(async move {
            stop(&*stopper, back, &given_up).await;
        });
    }
}

/// Tells the server to stop until the statement has ended, for some time. The
/// connection is closed then: a stop that is late could hit what comes next.
async fn stop(
    stopper: &dyn Stopper,
    mut back: oneshot::Receiver<Back>,
    given_up: &CancellationToken,
) -> bool {
    let stopping = async {
        loop {
            if let Err(error) = stopper.stop().await {
                tracing::debug!(%error, "a server could not be told to stop a statement");
            }
            if let Ok(back) = tokio::time::timeout(AGAIN, &mut back).await {
                drop(back);
                return;
            }
        }
    };
    let ended = tokio::time::timeout(PROMPT, stopping).await.is_ok();
    if !ended {
        given_up.cancel();
        tracing::warn!(
            "a server did not confirm that it stopped a statement; its connection is closed"
        );
    }
    ended
}
