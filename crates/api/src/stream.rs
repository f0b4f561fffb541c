//! A run as it goes on, as server-sent events: what was kept so far, what
//! follows, and its end. A reader that is slow finds a gap. Never keeps more of
//! a run for a reader than one piece.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::unfold;
use jobcell_engine::{Place, Seen, Watch, Watched};
use jobcell_model::{Execution, OutputChunk, OutputStream, RunOutput};
use serde::Serialize;

use crate::Api;
use crate::error::ApiError;
use crate::executions::not_found;
use crate::extract::{ExecutionPath, Parameters};
use crate::plain::{Ansi, Texts};
use crate::views::{ExecutionView, OutputText, StepView};

/// How often something is sent when there is nothing to say, so that neither
/// side takes the other for gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: &str = "last-event-id";
/// What the id of the last event ends in.
const END: &str = ".end";

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v2/executions/{id}/stream", get(stream))
}

async fn stream(
    State(api): State<Api>,
    ExecutionPath(id): ExecutionPath,
    mut parameters: Parameters,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let ansi = Ansi::wanted(&mut parameters)?;
    let watch = api.engine().watch(id).await?;
    let watch = watch.ok_or_else(|| not_found(id))?;
    let last = headers.get(LAST_EVENT_ID);
    let last = last.and_then(|id| id.to_str().ok()).unwrap_or_default();
    if last.ends_with(END) {
        // Browsers ask again until they are told this.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let teller = Teller::new(watch, ansi, read_place(last).unwrap_or_default());
    let events = unfold(teller, async |mut teller| {
        let event = teller.next().await?;
        Some((Ok::<_, Infallible>(event), teller))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

/// The place that the id of an event names.
fn read_place(id: &str) -> Option<Place> {
    let (bytes, steps) = id.split_once('.')?;
    Some(Place {
        bytes: bytes.parse().ok()?,
        steps: steps.parse().ok()?,
    })
}

#[derive(Serialize)]
struct OutputData<'a> {
    stream: OutputStream,
    at_ms: u64,
    text: &'a str,
}

#[derive(Serialize)]
struct GapData {
    bytes: u64,
}

/// Turns what a run does into events.
struct Teller {
    watch: Watch,
    texts: Texts,
    /// How far the run was read.
    place: Place,
    /// How far the reader knows it from before. What comes earlier is read for
    /// the characters and sequences that it cuts, and not sent again.
    known: Place,
    at_ms: u64,
    ready: VecDeque<Event>,
    over: bool,
}

impl Teller {
    fn new(watch: Watch, ansi: Ansi, known: Place) -> Self {
        Self {
            watch,
            texts: Texts::new(ansi),
            place: Place::default(),
            known,
            at_ms: 0,
            ready: VecDeque::new(),
            over: false,
        }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            match self.watch.next().await {
                Ok(Some(Watched::Seen(seen))) => self.tell(seen),
                Ok(Some(Watched::Ended(execution, output))) => {
                    self.end(&execution, output.as_ref());
                }
                Ok(None) => return None,
                Err(error) => {
                    // The client asks again where this ended.
                    tracing::error!(%error, "a run can't be watched any longer");
                    return None;
                }
            }
        }
    }

    fn tell(&mut self, seen: Seen) {
        match seen {
            Seen::Output(chunk) => self.output(&chunk),
            Seen::Gap(bytes) => self.gap(bytes),
            Seen::Step(step) => {
                self.place.steps += 1;
                if self.place.steps > self.known.steps {
                    self.send("step", &StepView::from(&*step));
                }
            }
        }
    }

    fn output(&mut self, chunk: &OutputChunk) {
        let length = chunk.bytes.len();
        let known = self.known.bytes.saturating_sub(self.place.bytes);
        let known = usize::try_from(known).map_or(length, |known| known.min(length));
        let (before, bytes) = chunk.bytes.split_at(known);
        self.place.bytes += length as u64;
        self.at_ms = chunk.at_ms;
        self.texts.push(chunk.stream, before);
        let text = self.texts.push(chunk.stream, bytes);
        self.text(chunk.stream, &text);
    }

    fn gap(&mut self, bytes: u64) {
        self.cut();
        let start = self.place.bytes.max(self.known.bytes);
        self.place.bytes += bytes;
        if self.place.bytes > start {
            let bytes = self.place.bytes - start;
            self.send("gap", &GapData { bytes });
        }
    }

    fn end(&mut self, execution: &Execution, output: Option<&RunOutput>) {
        self.cut();
        self.over = true;
        let view = ExecutionView::new(execution, OutputText::full(output));
        let id = format!("{}{END}", self.id());
        self.send_as("end", id, &view);
    }

    /// What was held back will not be completed.
    fn cut(&mut self) {
        let rests: Vec<_> = self.texts.cut().collect();
        if self.known.bytes < self.place.bytes {
            for (stream, rest) in rests {
                self.text(stream, &rest);
            }
        }
    }

    fn text(&mut self, stream: OutputStream, text: &str) {
        if !text.is_empty() {
            let at_ms = self.at_ms;
            let data = OutputData {
                stream,
                at_ms,
                text,
            };
            self.send("output", &data);
        }
    }

    fn id(&self) -> String {
        format!("{}.{}", self.place.bytes, self.place.steps)
    }

    fn send(&mut self, name: &str, data: &impl Serialize) {
        self.send_as(name, self.id(), data);
    }

    fn send_as(&mut self, name: &str, id: String, data: &impl Serialize) {
        match Event::default().event(name).id(id).json_data(data) {
            Ok(event) => self.ready.push_back(event),
            Err(error) => {
                tracing::error!(%error, "an event has no JSON form");
                self.over = true;
            }
        }
    }
}
