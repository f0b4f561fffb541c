//! Identities: of stored jobs, of runs, and how a caller may name a job.
//! Never decides whether what is named exists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An id that is not a UUID.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{text}` is not a UUID")]
pub struct IdError {
    /// What was given.
    pub text: String,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id, later than every one made before in this process.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// Its sixteen bytes, which sort by age.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text)
                    .map(Self)
                    .map_err(|_| IdError { text: text.to_owned() })
            }
        }
    };
}

uuid_id!(
    /// The server's own id of a stored job: a UUID of version 7 (RFC 9562).
    JobId
);
uuid_id!(
    /// The id of one run: a UUID of version 7 (RFC 9562), so ids sort by age.
    ExecutionId
);

/// How a caller names a job: by the server's UUID or by the job's own `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRef {
    /// By the server's UUID.
    Id(JobId),
    /// By the `id` in the job's YAML.
    Key(String),
}

impl JobRef {
    /// Reads either form. Text that is a UUID is first looked up as one.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        JobId::from_str(text).map_or_else(|_| Self::Key(text.to_owned()), Self::Id)
    }
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Key(key) => f.write_str(key),
        }
    }
}
