//! A statement's results on their way from a server to a run: pages under caps,
//! and no more of them than the run takes, so that a slow reader slows the
//! server down and fills no memory.

use jobcell_plugin_host::bindings::sql::{Column, Value};
use tokio::sync::mpsc;

use crate::error::Cap;

/// The values of one row.
pub(crate) type Row = Vec<Value>;

/// The rows of one page.
const PAGE_ROWS: usize = 1_000;
/// Its bytes; a larger row is a page itself.
const PAGE_BYTES: u64 = 256 << 10;
/// What a value costs beside its own bytes.
const OVERHEAD: u64 = 16;

/// What happens to a result.
#[derive(Debug)]
pub(crate) enum Event {
    /// One begins, with these columns; none where it has no rows.
    Begin(Vec<Column>),
    /// Its next rows.
    Rows(Vec<Row>),
    /// It has ended.
    End(Ended),
}

/// How a result ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Rows changed, where the statement does that.
    pub(crate) affected: Option<u64>,
    /// The cap that cut it.
    pub(crate) cap: Option<Cap>,
    /// Its rows, with those that the cap kept back; none when the server was
    /// stopped before it had sent them all.
    pub(crate) total: Option<u64>,
}

/// Whether more rows are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// They are.
    Go,
    /// No: a cap was reached, or nobody listens any more.
    Enough,
}

/// The server's end.
pub(crate) struct Results {
    events: mpsc::Sender<Event>,
    most_rows: u64,
    most_bytes: u64,
    rows: u64,
    /// Rows that nobody wanted any more.
    passed: u64,
    bytes: u64,
    page: Vec<Row>,
    page_bytes: u64,
    cap: Option<Cap>,
    gone: bool,
}

impl Results {
    /// Results of which each may have so many rows and bytes, and where they
    /// arrive.
    pub(crate) fn new(most_rows: u64, most_bytes: u64) -> (Self, mpsc::Receiver<Event>) {
        let (events, arrivals) = mpsc::channel(1);
        let results = Self {
            events,
            most_rows,
            most_bytes,
            rows: 0,
            passed: 0,
            bytes: 0,
            page: Vec::new(),
            page_bytes: 0,
            cap: None,
            gone: false,
        };
        (results, arrivals)
    }

    /// The bytes that one result may have.
    pub(crate) const fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    /// A result begins.
    pub(crate) async fn begin(&mut self, columns: Vec<Column>) {
        (self.rows, self.passed, self.bytes, self.cap) = (0, 0, 0, None);
        self.send(Event::Begin(columns)).await;
    }

    /// Its next row.
    pub(crate) async fn row(&mut self, row: Row) -> Flow {
        if self.gone || self.cap.is_some() {
            self.pass();
            return Flow::Enough;
        }
        let size = size(&row);
        if self.rows == self.most_rows {
            self.cap = Some(Cap::Rows(self.most_rows));
        } else if self.bytes + size > self.most_bytes {
            self.cap = Some(Cap::Bytes(self.most_bytes));
        }
        if self.cap.is_some() {
            self.pass();
            return Flow::Enough;
        }
        self.rows += 1;
        self.bytes += size;
        if !self.page.is_empty() && self.page_bytes + size > PAGE_BYTES {
            self.flush().await;
        }
        self.page.push(row);
        self.page_bytes += size;
        if self.page.len() == PAGE_ROWS {
            self.flush().await;
        }
        if self.gone { Flow::Enough } else { Flow::Go }
    }

    /// A row that is not wanted any more.
    pub(crate) const fn pass(&mut self) {
        self.passed += 1;
    }

    /// It has ended, and all its rows were seen.
    pub(crate) async fn end(&mut self, affected: Option<u64>) {
        let total = Some(self.rows + self.passed);
        self.close(affected, total).await;
    }

    /// It has ended because the server was stopped.
    pub(crate) async fn end_early(&mut self) {
        self.close(None, None).await;
    }

    async fn close(&mut self, affected: Option<u64>, total: Option<u64>) {
        self.flush().await;
        let cap = self.cap.take();
        let ended = Ended {
            affected,
            cap,
            total,
        };
        self.send(Event::End(ended)).await;
    }

    async fn flush(&mut self) {
        self.page_bytes = 0;
        let page = std::mem::take(&mut self.page);
        if !page.is_empty() {
            self.send(Event::Rows(page)).await;
        }
    }

    async fn send(&mut self, event: Event) {
        if !self.gone {
            self.gone = self.events.send(event).await.is_err();
        }
    }
}

fn size(row: &Row) -> u64 {
    let bytes = row.iter().map(|value| match value {
        Value::Decimal(text) | Value::Text(text) | Value::Temporal(text) | Value::Json(text) => {
            text.len() as u64
        }
        Value::Binary(bytes) => bytes.len() as u64,
        Value::Null | Value::Boolean(_) | Value::Integer(_) | Value::Real(_) => 0,
    });
    OVERHEAD + bytes.map(|bytes| OVERHEAD + bytes).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::{Cap, Ended, Event, Flow, Results, Value};

    fn row() -> Vec<Value> {
        vec![Value::Integer(1)]
    }

    #[tokio::test]
    async fn a_cap_by_rows_ends_a_result_and_not_the_next() {
        let (mut results, mut arrivals) = Results::new(2, 1 << 20);
        let server = async {
            for _ in 0..2 {
                results.begin(Vec::new()).await;
                assert_eq!(results.row(row()).await, Flow::Go);
                assert_eq!(results.row(row()).await, Flow::Go);
                assert_eq!(results.row(row()).await, Flow::Enough);
                assert_eq!(results.row(row()).await, Flow::Enough);
                results.end(None).await;
            }
            drop(results);
        };
        let reader = async {
            let mut seen = Vec::new();
            while let Some(event) = arrivals.recv().await {
                seen.push(match event {
                    Event::Begin(_) => "begin".to_owned(),
                    Event::Rows(rows) => rows.len().to_string(),
                    Event::End(Ended { cap, total, .. }) => format!("{cap:?} of {total:?}"),
                });
            }
            seen
        };
        let ((), seen) = tokio::join!(server, reader);
        let one = ["begin", "2", "Some(Rows(2)) of Some(4)"];
        assert_eq!(seen, [one, one].concat());
    }

    #[tokio::test]
    async fn a_cap_by_bytes_counts_what_values_hold() {
        let (mut results, arrivals) = Results::new(100, 1_000);
        let large = vec![Value::Text("x".repeat(900))];
        results.begin(Vec::new()).await;
        assert_eq!(results.row(large.clone()).await, Flow::Go);
        assert_eq!(results.row(large).await, Flow::Enough);
        assert_eq!(results.cap, Some(Cap::Bytes(1_000)));
        drop(arrivals);
    }

    #[tokio::test]
    async fn without_a_reader_it_is_enough() {
        let (mut results, arrivals) = Results::new(100_000, 1 << 30);
        drop(arrivals);
        let mut rows = 0;
        while results.row(row()).await == Flow::Go {
            rows += 1;
        }
        assert!(rows < super::PAGE_ROWS);
    }
}
