//! The sample jobs, built into the binary. Never runs them.

/// A sample job.
pub(crate) struct Sample {
    /// Its name in `GET /jobs/samples`.
    pub(crate) slug: &'static str,
    /// Its file's name.
    pub(crate) file: &'static str,
    /// Its YAML.
    pub(crate) yaml: &'static str,
    /// What a fresh machine lacks to run it, if anything.
    pub(crate) needs: Option<&'static str>,
}

macro_rules! sample {
    ($slug:literal, $file:literal, $needs:expr) => {
        Sample {
            slug: $slug,
            file: $file,
            yaml: include_str!(concat!("../../../samples/", $file)),
            needs: $needs,
        }
    };
}
