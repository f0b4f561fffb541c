//! Turns jobs and runs of V1 into those of V2: rows in, YAML and records out,
//! with every decision told. Pure: never opens a file or a database, never
//! asks what time it is.
//!
//! # What it promises
//! Each row is either migrated or reported as broken, never both, never
//! neither. A migrated job was read back by the model and says what was meant,
//! its script byte for byte. No script, connection, schedule or parameter is
//! ever made up.
//!
//! # Broken jobs
//! A row without a script, with a configuration that is no JSON, or of an
//! unknown type can't become a job: any text that V2 accepts would need a
//! script that nobody wrote. A row whose script is whole, but whose schedule,
//! parameters, numbers or the like can't be read, can: with
//! [`Options::keep_broken`] it is migrated disabled, without the part that
//! can't be read, which stands as V1 had it in `metadata.notMigrated`.

mod argv;
mod body;
mod check;
mod comment;
mod conduct;
mod configuration;
mod connection;
mod convert;
mod cron;
mod date;
mod draft;
mod history;
mod identity;
mod interval;
mod job;
mod mask;
mod origin;
mod parameters;
mod reading;
mod reason;
mod report;
mod row;
mod run_id;
mod scalar;
mod schedule;
mod source;
mod status;
mod unique;
mod weekday;
mod yaml;

pub use connection::{ConvertedConnection, LeftConnection, V1Connection, V1Password};
pub use convert::convert_all;
pub use history::{ConvertedRun, HistoryError, RunOwner, V1History};
pub use identity::Taken;
pub use job::V1Job;
pub use mask::{masked, masked_text};
pub use reason::Reason;
pub use report::{Broken, Converted, Note, Options, Outcome, Report};
pub use weekday::{WeekdayDifference, Weekdays};
