//! The sample jobs, as the original shows them. Never runs or stores one.

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use jobcell_engine::Engine;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::views::Reply;
use crate::{Api, Sample};

pub(crate) fn routes() -> Router<Api> {
    Router::new().route("/api/v2/jobs/samples", get(samples))
}

/// A sample with the name and description that its YAML gives it.
#[derive(Serialize)]
pub(crate) struct SampleView {
    #[serde(skip)]
    slug: String,
    name: String,
    description: String,
    yaml_config: String,
}

/// Reads names and descriptions out of the samples' YAML.
pub(crate) fn describe(engine: &Engine, samples: Vec<Sample>) -> Vec<SampleView> {
    let describe = |Sample { slug, yaml }| {
        let read = jobcell_model::parse_job(&yaml, engine.job_types().schemas());
        let (name, description) = match read {
            Ok(document) => (
                document.spec.name,
                document.spec.description.unwrap_or_default(),
            ),
            // For a job type that this server lacks.
            Err(_) => (String::clone(&slug), String::new()),
        };
        SampleView {
            slug,
            name,
            description,
            yaml_config: yaml,
        }
    };
    samples.into_iter().map(describe).collect()
}

#[derive(Serialize)]
struct Samples<'a> {
    success: bool,
    samples: BySlug<'a>,
}

struct BySlug<'a>(&'a [SampleView]);

impl Serialize for BySlug<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for sample in self.0 {
            map.serialize_entry(&sample.slug, sample)?;
        }
        map.end()
    }
}

async fn samples(State(api): State<Api>) -> impl IntoResponse {
    Reply(Samples {
        success: true,
        samples: BySlug(api.samples()),
    })
    .into_response()
}
