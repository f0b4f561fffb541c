//! The files that a plugin leaves with its run, under one bound for all.
//! Never writes one anywhere.

use jobcell_model::{Artifact, bad_artifact_name, is_media_type};

/// Files that one run may leave.
const MOST: usize = 32;

/// The files of one run.
pub(crate) struct Artifacts {
    most: u64,
    left: u64,
    all: Vec<Artifact>,
}

/// Why a file is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ArtifactError {
    /// There are too many.
    TooMany(usize),
    /// All together have more than so many bytes.
    TooLarge(u64),
    /// It can't be called so, or not be of that type.
    Wrong(String),
    /// It was ended already.
    Ended,
}

impl Artifacts {
    pub(crate) const fn new(most: u64) -> Self {
        Self {
            most,
            left: most,
            all: Vec::new(),
        }
    }

    /// Begins a file and gives its handle.
    pub(crate) fn create(&mut self, name: &str, media_type: &str) -> Result<u32, ArtifactError> {
        if let Some(reason) = bad_artifact_name(name) {
            let reason = format!("an artifact's name {reason}");
            return Err(ArtifactError::Wrong(reason));
        }
        if !is_media_type(media_type) {
            let reason = "an artifact's media type should be like `text/csv`".to_owned();
            return Err(ArtifactError::Wrong(reason));
        }
        if self.all.iter().any(|known| known.name == name) {
            let reason = format!("the run has an artifact `{name}` already");
            return Err(ArtifactError::Wrong(reason));
        }
        let handle = self.all.len();
        if handle == MOST {
            return Err(ArtifactError::TooMany(MOST));
        }
        self.all.push(Artifact {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            complete: false,
            bytes: Vec::new(),
        });
        u32::try_from(handle).map_err(|_| ArtifactError::TooMany(MOST))
    }

    /// Adds to a file.
    pub(crate) fn write(&mut self, handle: u32, bytes: &[u8]) -> Result<(), ArtifactError> {
        let length = bytes.len() as u64;
        if length > self.left {
            return Err(ArtifactError::TooLarge(self.most));
        }
        self.open(handle)?.bytes.extend_from_slice(bytes);
        self.left -= length;
        Ok(())
    }

    /// Says that a file is whole.
    pub(crate) fn finish(&mut self, handle: u32) -> Result<(), ArtifactError> {
        self.open(handle)?.complete = true;
        Ok(())
    }

    /// What there is in the end.
    pub(crate) fn take(&mut self) -> Vec<Artifact> {
        std::mem::take(&mut self.all)
    }

    fn open(&mut self, handle: u32) -> Result<&mut Artifact, ArtifactError> {
        let found = self.all.get_mut(handle as usize);
        found
            .filter(|artifact| !artifact.complete)
            .ok_or(ArtifactError::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::{ArtifactError, Artifacts, MOST};

    #[test]
    fn all_files_share_one_bound() -> Result<(), ArtifactError> {
        let mut artifacts = Artifacts::new(10);
        let one = artifacts.create("one.csv", "text/csv")?;
        let two = artifacts.create("two.csv", "text/csv")?;
        artifacts.write(one, b"123456")?;
        assert_eq!(
            artifacts.write(two, b"12345"),
            Err(ArtifactError::TooLarge(10))
        );
        artifacts.write(two, b"1234")?;
        artifacts.finish(one)?;
        assert_eq!(artifacts.write(one, b""), Err(ArtifactError::Ended));
        assert_eq!(artifacts.write(9, b""), Err(ArtifactError::Ended));
        let all = artifacts.take();
        assert_eq!((all[0].complete, all[1].complete), (true, false));
        assert_eq!(all[1].bytes, b"1234");
        Ok(())
    }

    #[test]
    fn names_are_told_apart_and_counted() -> Result<(), ArtifactError> {
        let mut artifacts = Artifacts::new(0);
        for number in 0..MOST {
            artifacts.create(&number.to_string(), "text/plain")?;
        }
        let wrong = |result| matches!(result, Err(ArtifactError::Wrong(_)));
        assert!(wrong(artifacts.create("0", "text/plain")));
        assert!(wrong(artifacts.create("../x", "text/plain")));
        assert!(wrong(artifacts.create("x", "plain")));
        let more = artifacts.create("more", "text/plain");
        assert_eq!(more, Err(ArtifactError::TooMany(MOST)));
        Ok(())
    }
}
