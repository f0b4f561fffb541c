//! A running server as the place to migrate to: asks it what it has, has it judge
//! the jobs, and sends it all in one request. Never opens a store.

use std::io::{self, Read};
use std::net::IpAddr;
use std::time::Duration;

use jobcell_api::{
    IMPORT_MEDIA_TYPE, IMPORT_VERSION, ImportConnection, ImportCounts, ImportJob, ImportLine,
};
use jobcell_engine::ForeignJob;
use jobcell_migrate::{ConvertedConnection, Taken};
use jobcell_model::{ForeignRun, JobId};
use serde::Deserialize;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::client::{Client, Method};
use crate::exit::{Exit, Failure};

/// How many jobs are asked for at a time.
const PAGE: usize = 50;
/// Pieces of the request on their way.
const PIECES: usize = 16;
/// How long a piece grows before it goes.
const PIECE: usize = 64 << 10;
/// After so long without one, a blank line goes: the server does not wait for ever.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);
/// The longest line that a server takes.
const LONGEST_LINE: usize = 64 << 20;

/// A running server.
#[derive(Clone)]
pub(crate) struct Remote(Client);

/// What became of what was sent.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {
    pub(crate) connections: DoneConnections,
    pub(crate) jobs: DoneJobs,
    pub(crate) runs: DoneRuns,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DoneConnections {
    pub(crate) added: Vec<String>,
    /// Those that the server's configuration has.
    pub(crate) configured: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DoneJobs {
    pub(crate) added: Vec<JobId>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DoneRuns {
    pub(crate) added: u64,
    pub(crate) present: u64,
}

/// What the server does not take, and why.
#[derive(Debug, Deserialize)]
pub(crate) struct Refused {
    pub(crate) job_id: Option<JobId>,
    pub(crate) error: String,
}

impl Remote {
    /// The server at this address, which has to be on this machine: V1's passwords
    /// go to it as they are.
    pub(crate) fn new(server: &str) -> Result<Self, Failure> {
        let client = Client::new(server)?;
        let host = client.host();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        if host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|one| one.is_loopback()) {
            return Ok(Self(client));
        }
        Err(Failure::message(
            Exit::Usage,
            format!(
                "`{server}` is not this machine, and V1's passwords would travel unprotected: \
                 migrate on the server's machine, or through a tunnel that ends on this one"
            ),
        ))
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        self.0.server()
    }

    /// What it has already.
    pub(crate) async fn taken(&self) -> Result<Taken, Failure> {
        #[derive(Deserialize)]
        struct Page {
            jobs: Vec<Job>,
            next_cursor: Option<JobId>,
        }
        #[derive(Deserialize)]
        struct Job {
            job_id: JobId,
            key: String,
            name: String,
        }
        let client = self.0.clone();
        aside(move || {
            let mut taken = Taken::default();
            let mut path = format!("/api/v2/jobs?limit={PAGE}");
            loop {
                let answer = client.ask(Method::Get, &path, None)?;
                let page: Page = understood(answer)?;
                for job in page.jobs {
                    taken.keys.insert(job.key, job.job_id);
                    taken.names.insert(job.name, job.job_id);
                }
                let Some(cursor) = page.next_cursor else {
                    return Ok(taken);
                };
                path = format!("/api/v2/jobs?limit={PAGE}&cursor={cursor}");
            }
        })
        .await
    }

    /// Which of these jobs it would refuse.
    pub(crate) async fn refused<'a>(
        &self,
        jobs: impl Iterator<Item = &'a ForeignJob>,
    ) -> Result<Vec<Refused>, Failure> {
        let (mut sending, answer) = self.send(true);
        let feed = async {
            for job in jobs {
                if !sending.job(job).await {
                    break;
                }
            }
            sending.finish().await;
        };
        let ((), answer) = tokio::join!(feed, answer);
        match answer? {
            Ok(_) => Ok(Vec::new()),
            Err(mut refusal) => {
                let refused = refusal.facts["refused"].take();
                serde_json::from_value(refused).map_err(|_| refusal.failure)
            }
        }
    }

    /// Begins to send. What comes of it is known once all was sent, or when the
    /// server wants no more.
    pub(crate) fn send(
        &self,
        dry_run: bool,
    ) -> (
        Sending,
        impl Future<Output = Result<Result<Value, Refusal>, Failure>> + use<>,
    ) {
        let (to, pieces) = mpsc::channel(PIECES);
        let mut sending = Sending {
            to,
            buffer: Vec::with_capacity(PIECE),
            counts: ImportCounts::default(),
            dry_run,
        };
        sending.write(&ImportLine::Version(IMPORT_VERSION));
        let client = self.0.clone();
        let path = format!("/api/v2/import?dry_run={dry_run}");
        let runtime = Handle::current();
        let answer = aside(move || {
            let body = Pieces {
                runtime,
                pieces,
                piece: io::Cursor::default(),
                ended: false,
            };
            let answer = client.upload(&path, IMPORT_MEDIA_TYPE, body)?;
            Ok(answer.map_err(Refusal::from))
        });
        (sending, answer)
    }
}

/// What a server says when it refuses.
pub(crate) struct Refusal {
    failure: Failure,
    facts: Value,
}

impl From<(Failure, Value)> for Refusal {
    fn from((failure, facts): (Failure, Value)) -> Self {
        Self { failure, facts }
    }
}

/// Reads the server's answer.
pub(crate) fn done(answer: Result<Value, Refusal>) -> Result<Done, Failure> {
    answer
        .map_err(|refusal| refusal.failure)
        .and_then(understood)
}

fn understood<T: for<'de> Deserialize<'de>>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer).map_err(|error| {
        let doing = "the server answers not as a jobcell of this version does";
        Failure::context(Exit::Unavailable, error, doing)
    })
}

/// Does what blocks where it harms nobody, from now on.
fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> impl Future<Output = Result<T, Failure>> {
    let done = tokio::task::spawn_blocking(work);
    async {
        done.await.unwrap_or_else(|error| {
            let doing = "the server can't be asked";
            Err(Failure::context(Exit::Internal, error, doing))
        })
    }
}

enum Piece {
    Bytes(Vec<u8>),
    /// That was all.
    End,
}

/// A request on its way. Dropped before its end, it is broken off: the server
/// takes nothing of it.
pub(crate) struct Sending {
    to: mpsc::Sender<Piece>,
    buffer: Vec<u8>,
    counts: ImportCounts,
    dry_run: bool,
}

/// What became of a run that was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is on its way.
    OnItsWay,
    /// It is too long to be sent.
    TooLong,
    /// The server wants no more.
    Unwanted,
}

impl Sending {
    pub(crate) async fn connection(&mut self, connection: ConvertedConnection) -> bool {
        self.counts.connections += 1;
        // Who only looks needs none.
        let password = connection.password.as_ref().filter(|_| !self.dry_run);
        let line = ImportLine::Connection(Box::new(ImportConnection {
            password: password.map(|password| password.reveal().to_owned()),
            name: connection.name,
            settings: connection.settings,
        }));
        self.line(&line).await
    }

    pub(crate) async fn job(&mut self, job: &ForeignJob) -> bool {
        self.counts.jobs += 1;
        let record = job.record();
        let line = ImportLine::Job(Box::new(ImportJob {
            job_id: record.job_id,
            yaml_configuration: record.yaml_configuration.clone(),
            created_date: record.created_date,
            modified_date: record.modified_date,
            created_by: record.created_by.clone(),
        }));
        self.line(&line).await
    }

    pub(crate) async fn run(&mut self, run: ForeignRun) -> Fate {
        let before = self.buffer.len();
        self.write(&ImportLine::Run(Box::new(run)));
        if self.buffer.len() - before >= LONGEST_LINE {
            self.buffer.truncate(before);
            return Fate::TooLong;
        }
        self.counts.runs += 1;
        if self.flush().await {
            Fate::OnItsWay
        } else {
            Fate::Unwanted
        }
    }

    /// That was all.
    pub(crate) async fn finish(mut self) {
        self.write(&ImportLine::End(self.counts));
        let last = Piece::Bytes(std::mem::take(&mut self.buffer));
        // A server that wants no more says why.
        if self.to.send(last).await.is_ok() {
            drop(self.to.send(Piece::End).await);
        }
    }

    /// False when the server wants no more.
    async fn line(&mut self, line: &ImportLine) -> bool {
        self.write(line);
        self.flush().await
    }

    async fn flush(&mut self) -> bool {
        if self.buffer.len() < PIECE {
            return true;
        }
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.to.send(Piece::Bytes(piece)).await.is_ok()
    }

    fn write(&mut self, line: &ImportLine) {
        // Nothing in a line lacks a JSON form, and writing to memory can't fail.
        let _ = serde_json::to_writer(&mut self.buffer, line);
        self.buffer.push(b'\n');
    }
}

/// The pieces as a body.
struct Pieces {
    runtime: Handle,
    pieces: mpsc::Receiver<Piece>,
    piece: io::Cursor<Vec<u8>>,
    ended: bool,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(into)?;
            if read > 0 || self.ended || into.is_empty() {
                return Ok(read);
            }
            let next = tokio::time::timeout(SIGN_OF_LIFE, self.pieces.recv());
            match self.runtime.block_on(next) {
                Ok(Some(Piece::Bytes(bytes))) => self.piece = io::Cursor::new(bytes),
                Ok(Some(Piece::End)) => self.ended = true,
                Ok(None) => return Err(io::Error::other("the migration broke off")),
                // Each piece is whole lines, so that this is one of its own.
                Err(_) => self.piece = io::Cursor::new(b"\n".to_vec()),
            }
        }
    }
}
